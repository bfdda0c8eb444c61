"""Images made from a seed, for tests: each class is a smooth pattern under noise."""

from __future__ import annotations

import numpy as np

from ..core.seeding import numpy_generator
from .image_set import ImageData
from .sources import ArrayImages, resized

_SEED = 20190227
_CELLS = 4


def generate_images(
    resolution: int | None = None,
    *,
    classes: int = 4,
    train: int = 256,
    test: int = 64,
    channels: int = 1,
    noise: float = 40.0,
) -> ImageData:
    """`train + test` images in `classes` balanced classes, the same on every call.

    Args:
        resolution: Side in pixels; 28 where None.
        classes: Number of classes.
        train: Number of training images.
        test: Number of test images.
        channels: 1 for grey, 3 for colour.
        noise: Standard deviation of the pixel noise, on the 0-255 scale.
    """
    side = resolution or 28
    coarse = numpy_generator(_SEED, "patterns").integers(
        0, 256, size=(classes, channels, _CELLS, _CELLS), dtype=np.uint8
    )
    patterns = resized(coarse, side)

    def part(name: str, count: int) -> ArrayImages:
        generator = numpy_generator(_SEED, name)
        labels = generator.permutation(np.arange(count) % classes).astype(np.int64)
        noisy = patterns[labels] + generator.normal(0, noise, (count, channels, side, side))
        return ArrayImages(np.clip(noisy, 0, 255).astype(np.uint8), labels)

    return ImageData.of(
        "generated", part("train", train), lambda: part("test", test),
        classes=classes, has_flip=False,
    )  # fmt: skip
