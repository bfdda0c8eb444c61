"""What a search and a training read images through: batches that depend on the step alone."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from typing import Any, Protocol

import torch
from torch import Tensor

from ..core.errors import ConfigError
from ..core.seeding import torch_generator
from .spaces import SearchSpace

Batch = tuple[Tensor, Tensor]


class SearchData(Protocol):
    """Training images and held-out validation images.

    A batch is images `(batch, channels, resolution, resolution)`, float32, and labels `(batch,)`,
    int64. The batch of a step depends on the data, the seed of the data, the step and the size and
    on nothing else, so that an interrupted run goes on as if it had not been interrupted.
    """

    @property
    def name(self) -> str:
        """What identifies the images and their split; a run refuses to go on with another."""

    @property
    def channels(self) -> int: ...

    @property
    def resolution(self) -> int: ...

    @property
    def classes(self) -> int: ...

    @property
    def train_size(self) -> int:
        """Number of training images."""

    def train_batch(self, step: int, size: int) -> Batch:
        """The training batch of `step`; the order changes with every pass."""

    def validation_batch(self, step: int, size: int) -> Batch:
        """The validation batch of `step`; the order changes with every pass."""

    def validation_set(self, size: int) -> Iterator[Batch]:
        """Yields every validation image once, always in the same order."""


class ImageBatches(Protocol):
    """A set of images that yields shuffled passes; data sets of the package are such sets."""

    def batches(
        self,
        indices: Any = None,
        *,
        batch_size: int,
        seed: int,
        epoch: int = 0,
        augment: bool = False,
        start_batch: int = 0,
        drop_last: bool = False,
    ) -> Iterator[Batch]:
        """Yields one pass from batch `start_batch` on; see `SearchData` for what it may use."""


@dataclass(frozen=True, eq=False)
class SplitData:
    """A `SearchData` over a set of images and a split of their indices.

    Args:
        train: Indices of the training images, `(images,)`.
        validation: Indices of the validation images.
        augment: Vary the training images.
    """

    name: str
    channels: int
    resolution: int
    classes: int
    images: ImageBatches
    train: Any
    validation: Any
    seed: int
    augment: bool = True

    @property
    def train_size(self) -> int:
        return len(self.train)

    def train_batch(self, step: int, size: int) -> Batch:
        return self._batch(self.train, step, size, self.augment)

    def validation_batch(self, step: int, size: int) -> Batch:
        return self._batch(self.validation, step, size, False)

    def validation_set(self, size: int) -> Iterator[Batch]:
        return self.images.batches(self.validation, batch_size=size, seed=self.seed)

    def _batch(self, indices: Any, step: int, size: int, augment: bool) -> Batch:
        size = min(size, len(indices))
        epoch, position = divmod(step, len(indices) // size)
        return next(
            iter(
                self.images.batches(
                    indices,
                    batch_size=size,
                    seed=self.seed,
                    epoch=epoch,
                    augment=augment,
                    start_batch=position,
                    drop_last=True,
                )
            )
        )


@dataclass(frozen=True, eq=False)
class TensorData:
    """A `SearchData` over tensors in memory, without augmentation."""

    name: str
    classes: int
    train: Batch
    validation: Batch
    seed: int

    @property
    def channels(self) -> int:
        return int(self.train[0].shape[1])

    @property
    def resolution(self) -> int:
        return int(self.train[0].shape[2])

    @property
    def train_size(self) -> int:
        return len(self.train[1])

    def train_batch(self, step: int, size: int) -> Batch:
        return self._batch(self.train, "train", step, size)

    def validation_batch(self, step: int, size: int) -> Batch:
        return self._batch(self.validation, "validation", step, size)

    def validation_set(self, size: int) -> Iterator[Batch]:
        images, labels = self.validation
        for start in range(0, len(labels), size):
            yield images[start : start + size], labels[start : start + size]

    def _batch(self, part: Batch, kind: str, step: int, size: int) -> Batch:
        images, labels = part
        size = min(size, len(labels))
        epoch, position = divmod(step, len(labels) // size)
        order = torch.randperm(len(labels), generator=torch_generator(self.seed, kind, epoch))
        chosen = order[position * size : (position + 1) * size]
        return images[chosen], labels[chosen]


def check_data(space: SearchSpace, data: SearchData) -> None:
    """Refuse data that the networks of `space` do not take.

    Raises:
        ConfigError: Channels, resolution or classes differ.
    """
    found = (data.channels, data.resolution, data.classes)
    wanted = (space.input_shape[0], space.input_shape[1], space.classes)
    if found != wanted:
        raise ConfigError(
            f"{space.name} takes {_shape(wanted)}, {data.name} has {_shape(found)}; change the "
            f"space (in_channels, resolution, classes) or the data."
        )


def _shape(shape: tuple[int, int, int]) -> str:
    channels, resolution, classes = shape
    return f"{channels}-channel images of {resolution} pixels in {classes} classes"
