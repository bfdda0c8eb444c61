"""Artefacts on their way to the device, and what comes back held against torch's outputs."""

from __future__ import annotations

import importlib
from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import numpy as np

from ...core.errors import MeasurementError, UnavailableError, WrongOutputError
from ..artefacts import Artefact, read_artefact
from ..runtimes.tflite import installed_package, load, placed, real
from .carried import Carried


@dataclass(frozen=True)
class Prepared:
    """One artefact as the device gets it.

    Attributes:
        carried: What is brought.
        place: How the interpreter describes its output.
    """

    carried: Carried
    artefact: Artefact
    place: Mapping[str, Any] = field(hash=False)

    @property
    def output_bytes(self) -> int:
        """Bytes of its output."""
        return int(np.prod(self.place["shape"])) * int(np.dtype(self.place["dtype"]).itemsize)

    def check(self, raw: bytes) -> float:
        """The largest absolute difference of the output `raw` from torch's.

        Raises:
            WrongOutputError: It is another one.
        """
        shape, dtype = tuple(self.place["shape"]), np.dtype(self.place["dtype"])
        if len(raw) != self.output_bytes:
            raise WrongOutputError(
                f"benchmark_model wrote {len(raw)} bytes of output, and the model gives "
                f"{self.output_bytes}."
            )
        return self.artefact.check(real(np.frombuffer(raw, dtype).reshape(shape), self.place))


def prepare(folder: Path) -> Prepared:
    """The artefact in `folder` of this machine, ready to be brought.

    Raises:
        UnavailableError: No TFLite interpreter is installed here, which tells how inputs are laid
            out.
        ArtefactError: There is no whole artefact.
        MeasurementError: TFLite refuses it, or it has other inputs.
    """
    package = installed_package()
    if package is None:
        raise UnavailableError(
            "Preparing models for benchmark_model needs: pip install ai-edge-litert"
        )
    artefact = read_artefact(folder)
    library = importlib.import_module(f"{package}.interpreter")
    interpreter = load(library, artefact.model_path, {"xnnpack": False}, 1)
    places = interpreter.get_input_details()
    if len(places) != len(artefact.inputs):
        raise MeasurementError(
            f"{artefact.model_path} takes {len(places)} inputs, and the artefact has "
            f"{len(artefact.inputs)}."
        )
    inputs = [
        placed(array, place).tobytes()
        for array, place in zip(artefact.inputs, places, strict=True)
    ]
    carried = Carried.of(
        artefact.model_path.read_bytes(), inputs, [place["shape"] for place in places]
    )
    return Prepared(carried, artefact, interpreter.get_output_details()[0])
