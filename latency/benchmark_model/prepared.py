"""Models on their way to the device: file, inputs as raw bytes, and the flags that name them."""

from __future__ import annotations

import importlib
import io
import tarfile
from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import numpy as np

from ...core.artefact import sha256_of
from ...core.errors import UnavailableError, WrongOutputError
from ..artefacts import Artefact, read_artefact
from ..runtimes.tflite import installed_package, load, placed, real

FOLDER = "models"
"""Below the work folder: a model a folder, called by its content."""


@dataclass(frozen=True)
class Prepared:
    """One model as the device gets it.

    Attributes:
        key: 32 digits that follow from the model and its inputs.
        files: What its folder holds, by name.
        flags: That give it its inputs.
        place: How the interpreter describes its output.
    """

    key: str
    artefact: Artefact
    files: Mapping[str, bytes] = field(hash=False)
    flags: tuple[str, ...]
    place: Mapping[str, Any] = field(hash=False)

    @property
    def folder(self) -> str:
        """Where it is on the device, below the work folder."""
        return f"{FOLDER}/{self.key}"

    def check(self, raw: bytes) -> float:
        """The largest absolute difference of the output `raw` from torch's.

        Raises:
            WrongOutputError: It is another one.
        """
        shape, dtype = tuple(self.place["shape"]), np.dtype(self.place["dtype"])
        wanted = int(np.prod(shape)) * dtype.itemsize
        if len(raw) != wanted:
            raise WrongOutputError(
                f"benchmark_model wrote {len(raw)} bytes of output, and the model gives {wanted}."
            )
        return self.artefact.check(real(np.frombuffer(raw, dtype).reshape(shape), self.place))


def prepare(folder: Path) -> Prepared:
    """The artefact in `folder` of this machine, ready to be brought.

    Raises:
        UnavailableError: No TFLite interpreter is installed here, which tells how inputs are laid
            out.
        ArtefactError: There is no whole artefact.
        MeasurementError: TFLite refuses it.
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
    inputs = [
        placed(array, place).tobytes()
        for array, place in zip(artefact.inputs, places, strict=True)
    ]
    shapes = [",".join(map(str, place["shape"])) for place in places]
    files = {
        "model.tflite": artefact.model_path.read_bytes(),
        **{f"input{index}": data for index, data in enumerate(inputs)},
    }
    key = sha256_of(b"".join(bytes.fromhex(sha256_of(data)) for data in files.values()))[:32]
    return Prepared(
        key,
        artefact,
        files,
        _input_flags(f"{FOLDER}/{key}", shapes),
        interpreter.get_output_details()[0],
    )


def pack(models: Iterable[Prepared], target: Path) -> None:
    """Write the folders of `models` into the one tar file `target`, in a format of long ago."""
    with tarfile.open(target, "w", format=tarfile.USTAR_FORMAT) as archive:
        for model in models:
            # What says that the folder is whole comes last.
            for name, data in (*model.files.items(), ("whole", b"")):
                entry = tarfile.TarInfo(f"{model.key}/{name}")
                entry.size = len(data)
                archive.addfile(entry, io.BytesIO(data))


def _input_flags(folder: str, shapes: list[str]) -> tuple[str, ...]:
    """The flags that read every input from its file; names stand for places in the tool."""
    names = [f"i{index}" for index in range(len(shapes))]
    files = [f"{name}:{folder}/input{index}" for index, name in enumerate(names)]
    return (
        f"--input_layer={','.join(names)}",
        f"--input_layer_shape={':'.join(shapes)}",
        f"--input_layer_value_files={','.join(files)}",
    )
