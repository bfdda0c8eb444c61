"""The calls of CUDA that timing on a GPU is made of, each checked, through cuda-python."""

from __future__ import annotations

import ctypes
import os
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from typing import Any

import numpy as np
from numpy.typing import NDArray

from ...core.errors import MeasurementError, UnavailableError

MISSING = "cuda-python is not installed; install it with: pip install cuda-python"
_NO_DEVICE = 100


class Cuda:
    """One GPU, as the CUDA runtime sees it. A call that fails is a `MeasurementError`.

    Args:
        api: The module `cuda.bindings.runtime`, or what stands in for it.
        index: Of the GPU, in the order of the PCI bus.

    Raises:
        MeasurementError: There is no such GPU.
    """

    def __init__(self, api: Any, index: int) -> None:
        self._api = api
        self._index = index
        self._call("cudaSetDevice", index)

    def name(self) -> str:
        """The GPU's name, such as `NVIDIA GeForce RTX 4090`."""
        return _text(self._call("cudaGetDeviceProperties", self._index).name)

    def bus_id(self) -> str:
        """Where the GPU is on the PCI bus."""
        return _text(self._call("cudaDeviceGetPCIBusId", 32, self._index)).lower()

    def l2_bytes(self) -> int:
        """Size of the cache that all multiprocessors share."""
        return int(self._attribute("cudaDevAttrL2CacheSize"))

    def compute_capability(self) -> str:
        """Such as `sm86`."""
        major = self._attribute("cudaDevAttrComputeCapabilityMajor")
        return f"sm{major}{self._attribute('cudaDevAttrComputeCapabilityMinor')}"

    def versions(self) -> dict[str, int]:
        """Of the driver and of the runtime, as CUDA counts them: 13000 is 13.0."""
        return {
            "driver": int(self._call("cudaDriverGetVersion")),
            "runtime": int(self._call("cudaRuntimeGetVersion")),
        }

    @contextmanager
    def stream(self) -> Iterator[Any]:
        """A stream of its own, which waits for no other one."""
        stream = self._call("cudaStreamCreateWithFlags", self._api.cudaStreamNonBlocking)
        try:
            yield stream
        finally:
            self._call("cudaStreamDestroy", stream)

    @contextmanager
    def event(self) -> Iterator[Any]:
        """An event that keeps the time at which a stream reached it."""
        event = self._call("cudaEventCreate")
        try:
            yield event
        finally:
            self._call("cudaEventDestroy", event)

    @contextmanager
    def memory(self, size: int) -> Iterator[int]:
        """The address of `size` bytes on the GPU."""
        address = int(self._call("cudaMalloc", max(1, size)))
        try:
            yield address
        finally:
            self._call("cudaFree", address)

    @contextmanager
    def pinned(self, array: NDArray[Any]) -> Iterator[NDArray[Any]]:
        """A copy of `array` that the GPU can read and write by itself."""
        address = int(self._call("cudaMallocHost", max(1, array.nbytes)))
        try:
            held: Any = (ctypes.c_byte * array.nbytes).from_address(address)
            copy = np.frombuffer(held, dtype=array.dtype).reshape(array.shape)
            copy[...] = array
            yield copy
        finally:
            self._call("cudaFreeHost", address)

    @contextmanager
    def graph(self, stream: Any, enqueue: Callable[[], None]) -> Iterator[Any]:
        """What `enqueue` puts on `stream`, recorded to be launched as one.

        Raises:
            MeasurementError: Something of it cannot be recorded.
        """
        mode = self._api.cudaStreamCaptureMode.cudaStreamCaptureModeThreadLocal
        self._call("cudaStreamBeginCapture", stream, mode)
        recorded = None
        try:
            try:
                enqueue()
            finally:
                recorded = self._call("cudaStreamEndCapture", stream)
            launchable = self._call("cudaGraphInstantiate", recorded, 0)
        finally:
            if recorded is not None:
                self._call("cudaGraphDestroy", recorded)
        try:
            yield launchable
        finally:
            self._call("cudaGraphExecDestroy", launchable)

    def launch(self, graph: Any, stream: Any) -> None:
        """Put everything that `graph` recorded on `stream`."""
        self._call("cudaGraphLaunch", graph, stream)

    def record(self, event: Any, stream: Any) -> None:
        """Let `event` keep the time at which `stream` comes to this point."""
        self._call("cudaEventRecord", event, stream)

    def wait_for(self, event: Any) -> None:
        """Wait until the stream on which `event` was recorded has come to it."""
        self._call("cudaEventSynchronize", event)

    def synchronise(self, stream: Any) -> None:
        """Wait until everything on `stream` is done."""
        self._call("cudaStreamSynchronize", stream)

    def elapsed_ns(self, start: Any, stop: Any) -> int:
        """Time between two events that have passed, in nanoseconds; CUDA tells about 0.5 us."""
        return round(float(self._call("cudaEventElapsedTime", start, stop)) * 1e6)

    def fill(self, address: int, size: int, stream: Any) -> None:
        """Put zeros into `size` bytes at `address`, on `stream`."""
        self._call("cudaMemsetAsync", address, 0, size, stream)

    def to_device(self, address: int, array: NDArray[Any], stream: Any) -> None:
        """Copy `array`, which is contiguous, to `address`, on `stream`."""
        kind = self._api.cudaMemcpyKind.cudaMemcpyHostToDevice
        self._call("cudaMemcpyAsync", address, array.ctypes.data, array.nbytes, kind, stream)

    def to_host(self, array: NDArray[Any], address: int, stream: Any) -> None:
        """Copy what is at `address` into `array`, on `stream`."""
        kind = self._api.cudaMemcpyKind.cudaMemcpyDeviceToHost
        self._call("cudaMemcpyAsync", array.ctypes.data, address, array.nbytes, kind, stream)

    def _attribute(self, name: str) -> int:
        attribute = getattr(self._api.cudaDeviceAttr, name)
        return int(self._call("cudaDeviceGetAttribute", attribute, self._index))

    def _call(self, name: str, *arguments: Any) -> Any:
        error, *results = getattr(self._api, name)(*arguments)
        if int(error):
            raise MeasurementError(f"{name} failed: {_name_of(error)}.")
        return results[0] if results else None


def load_api() -> Any:
    """The module that speaks to the CUDA runtime; GPUs are counted in the order of the PCI bus.

    Raises:
        UnavailableError: It is not installed.
    """
    # Must be set before the first call: the order in which NVML counts, by which cards name GPUs.
    os.environ.setdefault("CUDA_DEVICE_ORDER", "PCI_BUS_ID")
    try:
        from cuda.bindings import runtime
    except ImportError:
        raise UnavailableError(MISSING) from None
    return runtime


def missing_gpu_reason(api: Any, index: int) -> str | None:
    """Why CUDA cannot use GPU `index`, with the repair, or None if it can."""
    error, count = api.cudaGetDeviceCount()
    if int(error) == _NO_DEVICE or (not int(error) and not count):
        return "CUDA finds no GPU; list those of this machine with: nvidia-smi -L"
    if int(error):
        return (
            f"The NVIDIA driver does not answer ({_name_of(error)}); load it: sudo modprobe nvidia"
        )
    if index >= count:
        return f"There is no GPU {index}, CUDA finds {count}; list them with: nvidia-smi -L"
    return None


def _text(found: bytes | str) -> str:
    """What stands before the first NUL: cuda-python gives the whole buffer."""
    text = found.decode(errors="replace") if isinstance(found, bytes) else found
    return text.partition("\0")[0].strip()


def _name_of(error: Any) -> str:
    return str(getattr(error, "name", error))
