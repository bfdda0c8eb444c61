"""Images as training takes them: normalised batches whose order depends on the seed alone."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from dataclasses import dataclass, field

import numpy as np
import torch
from numpy.typing import NDArray

from ..core.errors import ConfigError
from ..core.seeding import numpy_generator
from .sources import ImageSource, Indices, Labels, Pixels

Batch = tuple[torch.Tensor, torch.Tensor]
_SAMPLE = 20_000
_LAZY_SAMPLE = 256


@dataclass(frozen=True)
class Normalisation:
    """Mean and standard deviation of each channel of the training images, in [0, 1]."""

    mean: tuple[float, ...]
    std: tuple[float, ...]

    @classmethod
    def of(cls, source: ImageSource, sample: int = _SAMPLE) -> Normalisation:
        """The constants of `source`, from at most `sample` evenly spaced images."""
        count = min(sample, len(source.labels))
        chosen = np.linspace(0, len(source.labels) - 1, count).astype(np.int64)
        pixels = source.read(chosen).astype(np.float64) / 255
        mean, std = pixels.mean(axis=(0, 2, 3)), pixels.std(axis=(0, 2, 3))
        return cls(tuple(mean.tolist()), tuple(np.maximum(std, 1e-3).tolist()))

    def __call__(self, pixels: Pixels) -> torch.Tensor:
        """`pixels` `(n, c, h, w)` as float32 of mean 0 and deviation 1 over the training set."""
        mean = torch.tensor(self.mean).reshape(-1, 1, 1)
        std = torch.tensor(self.std).reshape(-1, 1, 1)
        return (torch.from_numpy(pixels).float() / 255 - mean) / std


@dataclass(frozen=True, eq=False)
class ImageSet:
    """The training images or the test images of a data set."""

    source: ImageSource
    normalise: Normalisation
    has_flip: bool

    def __len__(self) -> int:
        return len(self.source.labels)

    @property
    def labels(self) -> Labels:
        """Class of each image, `(images,)`."""
        return self.source.labels

    def batches(
        self,
        indices: Indices | None = None,
        *,
        batch_size: int,
        seed: int,
        epoch: int = 0,
        augment: bool = False,
        start_batch: int = 0,
        drop_last: bool = False,
    ) -> Iterator[Batch]:
        """Yields one shuffled pass over `indices` as (images, labels).

        Order and augmentation derive from `(seed, epoch, batch number)` alone, so that starting at
        `start_batch` yields to the bit what an uninterrupted pass yields from there.

        Args:
            indices: Images of the pass; all of them where None.
            batch_size: Images in a batch; the last one may have fewer.
            seed: The run's seed.
            epoch: Number of the pass; each has its own order and augmentation.
            augment: Vary each image by a random crop and, where it keeps its class, a flip.
            start_batch: Batches at the front that are left out, without being read.
            drop_last: Leave out a last batch that is not full.

        Yields:
            Normalised float32 images `(batch, channels, height, width)`; int64 labels `(batch,)`.

        Raises:
            ConfigError: The batch size is below 1, or `start_batch` below 0.
        """
        if batch_size < 1 or start_batch < 0:
            raise ConfigError(
                f"A pass of batches of {batch_size} from batch {start_batch} was asked for; the "
                "size must be at least 1 and the start at least 0."
            )
        chosen = np.arange(len(self), dtype=np.int64) if indices is None else indices
        order = numpy_generator(seed, "order", epoch).permutation(chosen)
        for number in range(start_batch, batch_count(len(order), batch_size, drop_last)):
            part = order[number * batch_size : (number + 1) * batch_size]
            if augment:
                pixels = self._varied(part, numpy_generator(seed, "augment", epoch, number))
            else:
                pixels = self.source.read(part)
            yield self.normalise(pixels), torch.from_numpy(self.labels[part])

    def _varied(self, part: Indices, generator: np.random.Generator) -> Pixels:
        pixels = self.source.read_augmented(part, generator)
        if not self.has_flip:
            return pixels
        flip = generator.random(len(part)) < 0.5
        return np.where(flip[:, None, None, None], pixels[..., ::-1], pixels)


def batch_count(images: int, batch_size: int, drop_last: bool = False) -> int:
    """Batches in one pass over `images` images."""
    return images // batch_size if drop_last else -(-images // batch_size)


@dataclass(frozen=True, eq=False)
class Split:
    """Indices into the training images: disjoint, together all of them, each sorted."""

    train: Indices
    validation: Indices


@dataclass(frozen=True, eq=False)
class ImageData:
    """A data set: its training images at hand, its test images behind a call.

    Attributes:
        name: What `find_data` was asked for, without the resolution.
        resolution: Side of the square images, in pixels.
        classes: Number of classes.
        train: The training images; hold out validation images from them with `split`.
        open_test: Reads the test images; `test_set` calls it.
    """

    name: str
    channels: int
    resolution: int
    classes: int
    train: ImageSet
    open_test: Callable[[], ImageSource] = field(repr=False)

    @classmethod
    def of(
        cls,
        name: str,
        train: ImageSource,
        open_test: Callable[[], ImageSource],
        *,
        classes: int,
        has_flip: bool,
        is_lazy: bool = False,
    ) -> ImageData:
        """The data set over `train`, with the normalisation constants of its training images."""
        shape = train.read(np.zeros(1, np.int64)).shape
        constants = Normalisation.of(train, _LAZY_SAMPLE if is_lazy else _SAMPLE)
        return cls(
            name, shape[1], shape[2], classes, ImageSet(train, constants, has_flip), open_test
        )

    def test_set(self) -> ImageSet:
        """The test images, read now: for the one evaluation at the very end."""
        return ImageSet(self.open_test(), self.train.normalise, self.train.has_flip)

    def split(self, validation_share: float, seed: int) -> Split:
        """Training indices with `validation_share` of every class held out for validation.

        Raises:
            ConfigError: The share is not in (0, 1), or leaves a class without an image.
        """
        if not 0 < validation_share < 1:
            raise ConfigError(
                f"A validation share of {validation_share} was asked for; it lies between 0 and 1."
            )
        held: list[NDArray[np.int64]] = []
        for label in range(self.classes):
            members = np.flatnonzero(self.train.labels == label)
            count = max(1, round(validation_share * len(members)))
            if count >= len(members):
                raise ConfigError(
                    f"Class {label} of {self.name} has {len(members)} training images, too few "
                    f"to hold out a share of {validation_share}; ask for another share."
                )
            held.append(numpy_generator(seed, "split", label).permutation(members)[:count])
        validation = np.sort(np.concatenate(held))
        train = np.setdiff1d(np.arange(len(self.train)), validation)
        return Split(train.astype(np.int64), validation.astype(np.int64))
