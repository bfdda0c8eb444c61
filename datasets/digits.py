"""scikit-learn's digits (UCI optical recognition): 1,797 grey images, 8 x 8, 10 classes."""

from __future__ import annotations

import numpy as np

from ..core.seeding import numpy_generator
from .image_set import ImageData
from .sources import ArrayImages, Indices, Labels, resized

_SEED = 0
_TEST_SHARE = 0.2


def read_digits(resolution: int | None = None) -> ImageData:
    """The digits scaled to `resolution` (28 where None), in a fixed stratified split.

    The split is the same for every seed: a fifth of every class is the test set. Digits are not
    flipped: a mirrored 2 is no 2.
    """
    from sklearn.datasets import load_digits

    pixels, labels = load_digits(return_X_y=True)
    images = np.rint(pixels * (255 / 16)).astype(np.uint8).reshape(-1, 1, 8, 8)
    scaled = resized(images, resolution or 28)
    classes = np.asarray(labels).astype(np.int64)
    test = _stratified(classes)
    train = np.setdiff1d(np.arange(len(classes)), test)
    return ImageData.of(
        "digits",
        ArrayImages(scaled[train], classes[train]),
        lambda: ArrayImages(scaled[test], classes[test]),
        classes=10,
        has_flip=False,
    )


def _stratified(labels: Labels) -> Indices:
    parts = []
    for label in range(10):
        members = np.flatnonzero(labels == label)
        order = numpy_generator(_SEED, "digits", label).permutation(members)
        parts.append(order[: round(_TEST_SHARE * len(members))])
    return np.sort(np.concatenate(parts)).astype(np.int64)
