"""Data sets by the name or path that the command line gives."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

from ..core.errors import ConfigError, UnknownNameError
from .cifar import read_cifar10
from .digits import read_digits
from .fashion_mnist import fetch_fashion_mnist, read_fashion_mnist
from .generated import generate_images
from .image_folder import read_image_folder
from .image_set import Batch, ImageData, ImageSet, Normalisation, Split, batch_count

__all__ = [
    "Batch",
    "ImageData",
    "ImageSet",
    "Normalisation",
    "Split",
    "batch_count",
    "data_names",
    "fetch_fashion_mnist",
    "find_data",
]

Reader = Callable[[Path, int | None], ImageData]

_NAMED: dict[str, Callable[[int | None], ImageData]] = {
    "digits": read_digits,
    "fashion-mnist": lambda resolution: read_fashion_mnist(None, resolution),
    "generated": generate_images,
}
_AT_PATH: dict[str, Reader] = {
    "fashion-mnist": read_fashion_mnist,
    "cifar10": read_cifar10,
    "imagefolder": read_image_folder,
}


def data_names() -> list[str]:
    """What `find_data` accepts, as the user writes it."""
    return sorted([*_NAMED, *(f"{name}:PATH" for name in _AT_PATH)])


def find_data(name_or_path: str, resolution: int | None = None) -> ImageData:
    """The data set named `digits`, `fashion-mnist`, `generated`, or `cifar10:PATH` and the like.

    Args:
        name_or_path: A name, or `NAME:PATH` for data in a folder of the user's.
        resolution: Side in pixels that the images are scaled to; the data set's own where None.

    Raises:
        UnknownNameError: There is no such data set.
        ConfigError: The resolution is below 1.
        UnavailableError: It is not on this machine.
        ArtefactError: Its files are damaged or of another kind.
    """
    if resolution is not None and resolution < 1:
        raise ConfigError(
            f"A resolution of {resolution} pixels was asked for; at least 1 is needed."
        )
    name, colon, path = name_or_path.partition(":")
    if colon and path and name in _AT_PATH:
        return _AT_PATH[name](Path(path).expanduser(), resolution)
    if not colon and name in _NAMED:
        return _NAMED[name](resolution)
    raise UnknownNameError("data set", name_or_path, data_names(), "PATH is a folder of yours.")
