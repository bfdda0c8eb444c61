"""A data set as searches and trainings of a space take it."""

from __future__ import annotations

from ..datasets.images import ImageData, find_data
from ..search.data import SplitData
from ..search.spaces import SearchSpace

VALIDATION_SHARE = 0.2


def open_data(name: str, space: SearchSpace) -> ImageData:
    """The data set `name`, scaled to the resolution of `space`.

    Raises:
        UnknownNameError: There is no such data set.
        UnavailableError: It is not on this machine.
    """
    return find_data(name, space.input_shape[1])


def split_data(data: ImageData, seed: int) -> SplitData:
    """Training images, and a class-balanced fifth of them held out for architecture steps."""
    split = data.split(VALIDATION_SHARE, seed)
    return SplitData(
        name=f"{data.name} at {data.resolution}, split {seed}",
        channels=data.channels,
        resolution=data.resolution,
        classes=data.classes,
        images=data.train,
        train=split.train,
        validation=split.validation,
        seed=seed,
    )
