"""CIFAR-10 (Krizhevsky 2009), binary version: 50,000 + 10,000 colour images of 32 x 32 pixels."""

from __future__ import annotations

from pathlib import Path

import numpy as np

from ..core.errors import ArtefactError
from .image_set import ImageData
from .sources import ArrayImages, resized

_SIDE = 32
_RECORD = 1 + 3 * _SIDE * _SIDE
_TRAIN = tuple(f"data_batch_{number}.bin" for number in range(1, 6))
_TEST = ("test_batch.bin",)
_PICKLES = ("data_batch_1", "test_batch")


def read_cifar10(folder: Path, resolution: int | None) -> ImageData:
    """CIFAR-10 from `folder`, where cifar-10-binary.tar.gz was unpacked.

    Raises:
        ArtefactError: A file is missing or cut short, or it is the Python version, whose files
            are pickles.
    """
    home = _home(folder)
    side = resolution or _SIDE
    train = _read(home, _TRAIN, side)
    return ImageData.of(
        f"cifar10:{folder}", train, lambda: _read(home, _TEST, side), classes=10, has_flip=True
    )


def _home(folder: Path) -> Path:
    for candidate in (folder, folder / "cifar-10-batches-bin"):
        if (candidate / _TRAIN[0]).exists():
            return candidate
    for candidate in (folder, folder / "cifar-10-batches-py"):
        if any((candidate / name).exists() for name in _PICKLES):
            raise ArtefactError(
                f"{candidate} holds the Python version of CIFAR-10, whose files are pickles, and "
                "a pickle can run any code when it is read; unpack cifar-10-binary.tar.gz from "
                "https://www.cs.toronto.edu/~kriz/cifar.html and name that folder."
            )
    raise ArtefactError(
        f"{folder} holds no {_TRAIN[0]}; unpack cifar-10-binary.tar.gz from "
        "https://www.cs.toronto.edu/~kriz/cifar.html and name its folder."
    )


def _read(folder: Path, names: tuple[str, ...], resolution: int) -> ArrayImages:
    records = np.concatenate([_records(folder / name) for name in names])
    pixels = records[:, 1:].reshape(-1, 3, _SIDE, _SIDE)
    return ArrayImages(resized(pixels, resolution), records[:, 0].astype(np.int64))


def _records(path: Path) -> np.ndarray[tuple[int, int], np.dtype[np.uint8]]:
    if not path.exists():
        raise ArtefactError(f"{path} does not exist; unpack cifar-10-binary.tar.gz again.")
    data = np.frombuffer(path.read_bytes(), np.uint8)
    if data.size == 0 or data.size % _RECORD:
        raise ArtefactError(
            f"{path} has {data.size} bytes, not a multiple of {_RECORD}; unpack "
            "cifar-10-binary.tar.gz again."
        )
    records = data.reshape(-1, _RECORD)
    if records[:, 0].max() > 9:
        raise ArtefactError(f"{path} names classes above 9; it is not CIFAR-10's binary version.")
    return records
