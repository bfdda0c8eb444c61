"""Models on their way to the device: file, inputs as raw bytes, and the flags that name them."""

from __future__ import annotations

import io
import tarfile
import tempfile
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path

from ...core.artefact import sha256_of
from ...devices.transports import Transport
from ..remote.patience import Patience
from . import scripts

FOLDER = "models"
"""Below the work folder: a model a folder, called by its content."""

_PUSH_S = 60.0
_SLOWEST_BYTES_PER_S = 100_000


@dataclass(frozen=True)
class Carried:
    """One model as the device gets it.

    Attributes:
        key: 32 digits that follow from the model and its inputs.
        files: What its folder holds, by name.
        flags: That give it its inputs.
    """

    key: str
    files: Mapping[str, bytes] = field(hash=False, repr=False)
    flags: tuple[str, ...]

    @classmethod
    def of(cls, model: bytes, inputs: Sequence[bytes], shapes: Sequence[Sequence[int]]) -> Carried:
        """The TFLite file `model` with its `inputs` as they lie in memory, and their `shapes`."""
        files = {
            "model.tflite": model,
            **{f"input{index}": data for index, data in enumerate(inputs)},
        }
        key = sha256_of(b"".join(bytes.fromhex(sha256_of(data)) for data in files.values()))[:32]
        return cls(key, files, _input_flags(f"{FOLDER}/{key}", shapes))

    @property
    def folder(self) -> str:
        """Where it is on the device, below the work folder."""
        return f"{FOLDER}/{self.key}"


def bring(
    models: Iterable[Carried], transport: Transport, patience: Patience, bundle_name: str
) -> None:
    """Have `models` on the device; those that are there already are not sent.

    They travel in one file, `bundle_name`, which nobody else may use.

    Raises:
        TransportError: The device stays away, or has no room.
    """

    def ask(script: str, *arguments: str) -> str:
        words = ["sh", "-c", script, "elat", *arguments]
        return patience.persist(lambda: transport.run(words, 2 * _PUSH_S).checked()).text

    waiting = {model.key: model for model in models}
    absent = ask(scripts.MISSING, *waiting).split()
    brought = [waiting[key] for key in absent if key in waiting]
    if not brought:
        return
    with tempfile.TemporaryDirectory() as folder:
        bundle = Path(folder) / bundle_name
        pack(brought, bundle)
        limit_s = _PUSH_S + bundle.stat().st_size / _SLOWEST_BYTES_PER_S

        def send() -> None:
            """Both as one: unpacking deletes the bundle, also where its end was not heard."""
            transport.push(bundle, bundle_name, limit_s)
            unpack = ["sh", "-c", scripts.UNPACK, "elat", bundle_name]
            transport.run(unpack, 2 * _PUSH_S).checked()

        patience.persist(send)


def pack(models: Iterable[Carried], target: Path) -> None:
    """Write the folders of `models` into the one tar file `target`, in a format of long ago."""
    with tarfile.open(target, "w", format=tarfile.USTAR_FORMAT) as archive:
        for model in models:
            # What says that the folder is whole comes last.
            for name, data in (*model.files.items(), ("whole", b"")):
                entry = tarfile.TarInfo(f"{model.key}/{name}")
                entry.size = len(data)
                archive.addfile(entry, io.BytesIO(data))


def _input_flags(folder: str, shapes: Sequence[Sequence[int]]) -> tuple[str, ...]:
    """The flags that read every input from its file; names stand for places in the tool."""
    names = [f"i{index}" for index in range(len(shapes))]
    files = [f"{name}:{folder}/input{index}" for index, name in enumerate(names)]
    return (
        f"--input_layer={','.join(names)}",
        f"--input_layer_shape={':'.join(','.join(map(str, shape)) for shape in shapes)}",
        f"--input_layer_value_files={','.join(files)}",
    )
