"""Tensors of an engine: real numbers on the host, the engine's own format on the GPU."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

import numpy as np
from numpy.typing import NDArray

from ...core.errors import MeasurementError
from .cuda import Cuda

if TYPE_CHECKING:
    from ..graph.ir import Array

FORMATS: dict[str, np.dtype[Any]] = {
    "FLOAT": np.dtype(np.float32),
    "HALF": np.dtype(np.float16),
    "BF16": np.dtype(np.uint16),
    "INT8": np.dtype(np.int8),
}
"""TensorRT's names of the formats that real numbers are put into, with what holds them here."""

_LOWEST, _HIGHEST = -128, 127
_HALF_BITS = 16


@dataclass(frozen=True)
class TensorInfo:
    """One input or output of an engine.

    Attributes:
        format: A key of `FORMATS`.
        scale: What one step of int8 stands for; None for the other formats.
    """

    name: str
    shape: tuple[int, ...]
    format: str
    scale: float | None

    def encoded(self, array: Array) -> NDArray[Any]:
        """Real numbers in the format of the tensor.

        Raises:
            MeasurementError: The shape is another one.
        """
        if array.shape != self.shape:
            raise MeasurementError(f"{self.name} takes {self.shape}, got {array.shape}.")
        if self.format == "BF16":
            return to_bfloat16(array)
        if self.format == "INT8":
            steps = np.rint(array / np.float32(self._step()))
            return np.asarray(np.clip(steps, _LOWEST, _HIGHEST), np.int8)
        return np.asarray(array, FORMATS[self.format], order="C")

    def decoded(self, raw: NDArray[Any]) -> Array:
        """The real numbers that `raw` stands for, as float32."""
        if self.format == "BF16":
            bits = raw.astype(np.uint32) << _HALF_BITS
            return np.asarray(bits.view(np.float32))
        if self.format == "INT8":
            return raw.astype(np.float32) * np.float32(self._step())
        return raw.astype(np.float32)

    def _step(self) -> float:
        if self.scale is None:
            raise MeasurementError(
                f"{self.name} is int8, and the file does not say its scale; write it again."
            )
        return self.scale

    @contextmanager
    def placed(self, cuda: Cuda, stream: Any, array: Array | None) -> Iterator[Tensor]:
        """Memory for it on the GPU and on the host, with `array` in both unless it is None."""
        empty = np.zeros(self.shape, FORMATS[self.format])
        with (
            cuda.memory(empty.nbytes) as address,
            cuda.pinned(empty if array is None else self.encoded(array)) as held,
        ):
            tensor = Tensor(self, cuda, stream, address, held)
            if array is not None:
                tensor.send()
            yield tensor


@dataclass(frozen=True, eq=False)
class Tensor:
    """A tensor with its memory: `address` on the GPU, `held` on the host."""

    info: TensorInfo
    cuda: Cuda
    stream: Any
    address: int
    held: NDArray[Any]

    def send(self) -> None:
        """Put the copy to the GPU on the stream."""
        self.cuda.to_device(self.address, self.held, self.stream)

    def fetch(self) -> None:
        """Put the copy to the host on the stream."""
        self.cuda.to_host(self.held, self.address, self.stream)

    def read(self) -> Array:
        """What is on the GPU once the stream is done, as real numbers."""
        self.fetch()
        self.cuda.synchronise(self.stream)
        return self.info.decoded(self.held.copy())


def to_bfloat16(array: Array) -> NDArray[np.uint16]:
    """The upper halves of float32 numbers, rounded to the nearest, ties to even."""
    bits = np.ascontiguousarray(array, np.float32).view(np.uint32)
    odd = (bits >> _HALF_BITS) & 1
    rounded = ((bits + 0x7FFF + odd) >> _HALF_BITS).astype(np.uint16)
    return np.where(np.isnan(array), np.uint16(0x7FC0), rounded)
