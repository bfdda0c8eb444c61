from __future__ import annotations

from collections.abc import Iterator

import pytest
import torch

from elat.search.data import TensorData
from elat.search.spaces import SearchSpace, space_from_description

TOY = {
    "family": "mbconv-chain",
    "name": "toy",
    "resolution": 8,
    "in_channels": 1,
    "classes": 4,
    "stem": {"width": 4, "stride": 1},
    "first": 4,
    "stages": [{"width": 4, "blocks": 1, "stride": 1}, {"width": 8, "blocks": 2, "stride": 2}],
    "kernels": [3, 5],
    "expansions": [1, 2],
    "head": 8,
}


@pytest.fixture(autouse=True)
def one_thread() -> Iterator[None]:
    before = torch.get_num_threads()
    torch.set_num_threads(1)
    yield
    torch.set_num_threads(before)


@pytest.fixture(scope="session")
def toy() -> SearchSpace:
    """Three blocks of 5, 4 and 5 candidates: 100 architectures."""
    return space_from_description(TOY)


@pytest.fixture(scope="session")
def toy_data() -> TensorData:
    """Images whose label is the brightest quadrant."""
    generator = torch.Generator().manual_seed(5)

    def part(count: int) -> tuple[torch.Tensor, torch.Tensor]:
        labels = torch.randint(4, (count,), generator=generator)
        images = torch.randn((count, 1, 8, 8), generator=generator)
        for image, label in zip(images, labels.tolist(), strict=True):
            row, column = divmod(label, 2)
            image[0, 4 * row : 4 * row + 4, 4 * column : 4 * column + 4] += 1.5
        return images, labels

    return TensorData("quadrants", 4, part(96), part(64), seed=3)
