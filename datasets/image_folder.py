"""A folder of images in ImageNet's layout: `train/CLASS/*.jpeg` and `val/CLASS/*.jpeg`."""

from __future__ import annotations

from pathlib import Path

import numpy as np

from ..core.errors import ArtefactError
from .image_set import ImageData
from .sources import FileImages

_SUFFIXES = frozenset({".jpg", ".jpeg", ".png", ".bmp", ".webp"})
_TEST_NAMES = ("val", "validation", "test")


def read_image_folder(folder: Path, resolution: int | None) -> ImageData:
    """The images of `folder`, decoded as they are needed; classes in the order of their names.

    ImageNet's `val` part plays the test set: validation images are held out of `train`.

    Raises:
        ArtefactError: A part, a class or an image file is missing.
    """
    side = resolution or 224
    train = folder / "train"
    test = next((folder / name for name in _TEST_NAMES if (folder / name).is_dir()), None)
    if not train.is_dir() or test is None:
        raise ArtefactError(
            f"{folder} needs the folders train/CLASS and val/CLASS (ImageNet's layout)."
        )
    names = sorted(path.name for path in train.iterdir() if path.is_dir())
    if len(names) < 2:
        raise ArtefactError(f"{train} needs at least two folders of images, one a class.")
    return ImageData.of(
        f"imagefolder:{folder}",
        _files(train, names, side),
        lambda: _files(test, names, side),
        classes=len(names),
        has_flip=True,
        is_lazy=True,
    )


def _files(part: Path, names: list[str], resolution: int) -> FileImages:
    paths: list[Path] = []
    labels: list[int] = []
    for label, name in enumerate(names):
        folder = part / name
        members = sorted(folder.iterdir()) if folder.is_dir() else []
        images = [path for path in members if path.suffix.lower() in _SUFFIXES]
        if not images:
            raise ArtefactError(f"{folder} holds no image; put some there or remove the class.")
        paths.extend(images)
        labels.extend([label] * len(images))
    return FileImages(paths, np.array(labels, np.int64), resolution)
