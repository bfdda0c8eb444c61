"""Model files as they are profiled: every size fixed, every node named, costs counted."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from functools import cached_property
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from ...core.errors import ArtefactError, ConfigError
from ...core.seeding import numpy_generator

NAME_TAG = "elat.{}."
"""What node `{}` is called in `ModelFile.data`, unlike any other, if its format names nodes."""


@dataclass(frozen=True)
class ModelNode:
    """One operation of a model.

    Attributes:
        name: As the file has it; made of its kind and number where the file has none.
        kind: As the format calls it.
        inputs: Names of the tensors it reads, constants too.
        outputs: Names of the tensors it writes.
        macs: Multiply-adds; None where shapes are not known or the kind cannot be counted.
    """

    name: str
    kind: str
    inputs: tuple[str, ...]
    outputs: tuple[str, ...]
    macs: int | None


@dataclass(frozen=True)
class ModelInput:
    """A tensor that a run is given."""

    name: str
    dtype: np.dtype[Any]
    shape: tuple[int, ...]


@dataclass(frozen=True)
class ModelFile:
    """A model read from a file.

    Attributes:
        data: The file to run: sizes that were open are fixed, and nodes are named by `NAME_TAG`
            where the format names nodes.
        suffix: Of its format, with the dot.
        nodes: In order of execution.
        inputs: In the order of the file.
        outputs: Names of the tensors that a run gives.
        constants: Names of the tensors that the file holds, or that follow from them alone.
        tensor_bytes: Size of each tensor by name; those of unknown shape are left out.
        has_integers: Whether weights are integers of a byte, so that integers are multiplied.
    """

    data: bytes
    suffix: str
    nodes: tuple[ModelNode, ...]
    inputs: tuple[ModelInput, ...]
    outputs: tuple[str, ...]
    constants: frozenset[str]
    tensor_bytes: Mapping[str, int]
    has_integers: bool

    @cached_property
    def producers(self) -> Mapping[str, int]:
        """Number of the node that writes a tensor, by the tensor's name."""
        return {name: i for i, node in enumerate(self.nodes) for name in node.outputs}

    @cached_property
    def consumers(self) -> Mapping[str, tuple[int, ...]]:
        """Numbers of the nodes that read a tensor, by the tensor's name."""
        found: dict[str, list[int]] = {}
        for index, node in enumerate(self.nodes):
            for name in dict.fromkeys(node.inputs):
                found.setdefault(name, []).append(index)
        return {name: tuple(readers) for name, readers in found.items()}

    def is_constant(self, index: int) -> bool:
        """Whether node `index` computes the same in every run, so that no runtime executes it."""
        return all(name in self.constants for name in self.nodes[index].outputs)

    def seeded_inputs(self, seed: int = 0) -> tuple[NDArray[Any], ...]:
        """Arrays for a run, in the order of the inputs.

        Reals are standard normal, bytes use their whole range, and wider integers are 0 or 1,
        which are valid as indices of anything.

        Raises:
            ConfigError: An input is of a kind for which nothing can be made up, such as text.
        """
        random = numpy_generator(seed, "profile", "inputs")
        return tuple(_made_up(given, random) for given in self.inputs)


def _made_up(given: ModelInput, random: np.random.Generator) -> NDArray[Any]:
    kind = given.dtype
    if kind.kind == "f":
        return random.standard_normal(given.shape).astype(kind)
    if kind.kind == "b":
        return random.integers(0, 2, given.shape).astype(kind)
    if kind.kind in "iu":
        limits = np.iinfo(kind)
        low, high = (limits.min, limits.max) if kind.itemsize == 1 else (0, 1)
        return random.integers(low, high, given.shape, endpoint=True).astype(kind)
    raise ConfigError(
        f"Input {given.name!r} holds {kind}, for which no values can be made up; only models of "
        "real numbers, integers and booleans are profiled."
    )


def kinds(text: str) -> frozenset[str]:
    """The kinds of operation that `text` names, one a word."""
    return frozenset(text.split())


def read_model(path: Path, suffix: str, batch: int) -> ModelFile:
    """The model at `path`, its open batch axis fixed to `batch`.

    Args:
        path: Of the file.
        suffix: Of the format that the runtime opens; the file must have it.
        batch: Samples of one run.

    Raises:
        ArtefactError: The file is missing, or no whole model.
        ConfigError: It is of another format, or sizes other than the batch are open.
    """
    readers = {".onnx": _read_onnx, ".tflite": _read_tflite}
    if suffix not in readers:
        raise ConfigError(f"Models of format {suffix} cannot be profiled, only {list(readers)}.")
    if path.suffix != suffix:
        raise ConfigError(
            f"The device's runtime opens {suffix} files; {path} is none. Choose a device whose "
            "runtime opens it; list them with: elat devices"
        )
    if not path.is_file():
        raise ArtefactError(f"{path} does not exist.")
    return readers[suffix](path, batch)


def _read_onnx(path: Path, batch: int) -> ModelFile:
    from .onnx_model import read_onnx

    return read_onnx(path, batch)


def _read_tflite(path: Path, batch: int) -> ModelFile:
    from .tflite_model import read_tflite

    return read_tflite(path, batch)
