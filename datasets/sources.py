"""Where pixels come from: an array in memory, or files decoded when they are asked for."""

from __future__ import annotations

from abc import ABC, abstractmethod
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

import numpy as np
from numpy.typing import NDArray
from PIL import Image, UnidentifiedImageError

from ..core.errors import ArtefactError

Pixels = NDArray[np.uint8]
Labels = NDArray[np.int64]
Indices = NDArray[np.int64]

_CHUNK = 4096


class ImageSource(ABC):
    """Labelled uint8 images of one shape, channels first."""

    @property
    @abstractmethod
    def labels(self) -> Labels:
        """Class of each image, `(images,)`."""

    @abstractmethod
    def read(self, indices: Indices) -> Pixels:
        """The images at `indices` as they are judged, `(images, channels, height, width)`."""

    @abstractmethod
    def read_augmented(self, indices: Indices, generator: np.random.Generator) -> Pixels:
        """The same images, each varied by what `generator` draws, without the flip."""


@dataclass(frozen=True, eq=False)
class ArrayImages(ImageSource):
    """Images held in memory; they vary by a random crop of the zero-padded image.

    Args:
        pixels: `(images, channels, height, width)`.
        classes: Class of each image, `(images,)`.
    """

    pixels: Pixels
    classes: Labels

    @property
    def labels(self) -> Labels:
        return self.classes

    def read(self, indices: Indices) -> Pixels:
        return self.pixels[indices]

    def read_augmented(self, indices: Indices, generator: np.random.Generator) -> Pixels:
        """Pad by an eighth of the side (4 pixels at 32, as is usual for CIFAR-10) and crop."""
        side = self.pixels.shape[-1]
        margin = max(1, side // 8)
        padding = ((0, 0), (0, 0), (margin, margin), (margin, margin))
        padded = np.pad(self.pixels[indices], padding)
        top, left = generator.integers(0, 2 * margin + 1, size=(2, len(indices), 1, 1, 1))
        rows = top + np.arange(side).reshape(1, 1, side, 1)
        columns = left + np.arange(side).reshape(1, 1, 1, side)
        images = np.arange(len(indices)).reshape(-1, 1, 1, 1)
        channels = np.arange(padded.shape[1]).reshape(1, -1, 1, 1)
        return np.asarray(padded[images, channels, rows, columns])


@dataclass(frozen=True, eq=False)
class FileImages(ImageSource):
    """RGB image files of any size, decoded when read; they vary by a random resized crop.

    As usual on ImageNet: judged on the centre crop after the shorter side is scaled to 8/7 of the
    resolution (256 for 224); trained on a crop of 8-100 % of the area and an aspect ratio of 3/4
    to 4/3 (Szegedy et al. 2015, section 6), scaled to the resolution.
    """

    paths: Sequence[Path]
    classes: Labels
    resolution: int

    @property
    def labels(self) -> Labels:
        return self.classes

    def read(self, indices: Indices) -> Pixels:
        return self._stack([self._centre(self._open(i)) for i in indices])

    def read_augmented(self, indices: Indices, generator: np.random.Generator) -> Pixels:
        draws = generator.random((len(indices), 4))
        return self._stack(
            [self._varied(self._open(i), draw) for i, draw in zip(indices, draws, strict=True)]
        )

    def _open(self, index: np.int64) -> Image.Image:
        path = self.paths[int(index)]
        try:
            with Image.open(path) as image:
                return image.convert("RGB")
        except (OSError, UnidentifiedImageError) as error:
            raise ArtefactError(
                f"{path} is no readable image ({error}); remove it or fetch it again."
            ) from error

    def _centre(self, image: Image.Image) -> Image.Image:
        side = min(image.size) * 7 / 8
        left, top = ((length - side) / 2 for length in image.size)
        return self._scaled(image, (left, top, left + side, top + side))

    def _varied(self, image: Image.Image, draw: NDArray[np.float64]) -> Image.Image:
        width, height = image.size
        area = (0.08 + 0.92 * draw[0]) * width * height
        ratio = float(np.exp((2 * draw[1] - 1) * np.log(4 / 3)))
        crop_width = min(width, (area * ratio) ** 0.5)
        crop_height = min(height, (area / ratio) ** 0.5)
        left = float(draw[2] * (width - crop_width))
        top = float(draw[3] * (height - crop_height))
        return self._scaled(image, (left, top, left + crop_width, top + crop_height))

    def _scaled(self, image: Image.Image, box: tuple[float, float, float, float]) -> Image.Image:
        size = (self.resolution, self.resolution)
        return image.resize(size, Image.Resampling.BILINEAR, box=box)

    def _stack(self, images: list[Image.Image]) -> Pixels:
        shape = (0, self.resolution, self.resolution, 3)
        stacked = (
            np.stack([np.asarray(i) for i in images]) if images else np.empty(shape, np.uint8)
        )
        return np.ascontiguousarray(stacked.transpose(0, 3, 1, 2))


def resized(pixels: Pixels, resolution: int) -> Pixels:
    """`pixels` `(n, c, h, w)` scaled to `resolution` squared, bilinear, antialiased if smaller."""
    if pixels.shape[-2:] == (resolution, resolution):
        return pixels
    import torch

    size = (resolution, resolution)
    scaled = np.empty((*pixels.shape[:2], *size), np.uint8)
    for start in range(0, len(pixels), _CHUNK):
        part = torch.from_numpy(pixels[start : start + _CHUNK].astype(np.float32))
        found = torch.nn.functional.interpolate(part, size, mode="bilinear", antialias=True)
        scaled[start : start + _CHUNK] = found.round().clamp(0, 255).numpy()
    return scaled
