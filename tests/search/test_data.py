from __future__ import annotations

import pytest
import torch

from elat.core.errors import ConfigError
from elat.search.data import SplitData, TensorData, check_data
from elat.search.spaces import find_space


@pytest.fixture
def numbered():
    images = torch.arange(10.0).reshape(10, 1, 1, 1)
    labels = torch.arange(10) % 2
    return TensorData("numbers", 2, (images, labels), (images[:3], labels[:3]), seed=0)


def test_a_pass_holds_every_image_once_and_the_order_changes(numbered):
    passes = [
        torch.cat([numbered.train_batch(step, 2)[0] for step in range(5 * i, 5 * i + 5)]).flatten()
        for i in range(2)
    ]
    assert all(sorted(p.tolist()) == list(range(10)) for p in passes)
    assert passes[0].tolist() != passes[1].tolist()


def test_a_batch_depends_on_its_step_alone(numbered):
    later = numbered.train_batch(7, 4)
    again = numbered.train_batch(7, 4)
    assert torch.equal(later[0], again[0])


def test_a_small_validation_part_gives_small_batches(numbered):
    assert len(numbered.validation_batch(9, 64)[1]) == 3
    assert sum(len(labels) for _, labels in numbered.validation_set(2)) == 3


def test_split_data_reads_the_images_of_its_split():
    data_sets = pytest.importorskip("elat.datasets.images")
    data = data_sets.find_data("generated")
    split = data.split(0.25, 0)
    ours = SplitData(
        "generated",
        data.channels,
        data.resolution,
        data.classes,
        data.train,
        split.train,
        split.validation,
        seed=1,
    )
    assert ours.train_size == len(split.train)
    images, labels = ours.train_batch(1000, 8)
    assert images.shape == (8, data.channels, data.resolution, data.resolution)
    assert torch.equal(images, ours.train_batch(1000, 8)[0])
    counted = sum(len(labels) for _, labels in ours.validation_set(16))
    assert counted == len(split.validation)
    assert labels.dtype == torch.int64


def test_data_of_another_shape_is_refused(numbered):
    with pytest.raises(ConfigError, match="1-channel images of 28 pixels in 10 classes"):
        check_data(find_space("proxyless-tiny"), numbered)
