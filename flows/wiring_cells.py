"""What workers do for a study of wirings: one search, or one training."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import torch

from ..core.artefact import write_json
from ..core.config import parse
from ..core.seeding import spawn
from ..search.architecture import Architecture
from ..search.evaluate import accuracy
from ..search.spaces import space_from_description
from ..search.training import TrainingSettings, train_network
from .cell import Stage, held, metered
from .images import open_data, split_data
from .searching import THREADS, SearchOrder, run_search

TRAINED = "trained.json"
_TEST_BATCH = 256
_NAME = "network"


@dataclass(frozen=True)
class Training:
    """A network to train from scratch; it travels to the worker that does it.

    Attributes:
        space: The description of its space.
        seed: Of weights and of the order of the images; networks of one seed train alike.
        folder: Where checkpoint, weights and `trained.json` lie.
    """

    space: Mapping[str, Any]
    architecture: Architecture
    data: str
    settings: Mapping[str, Any]
    seed: int
    folder: Path


def search_links(order: SearchOrder) -> None:
    """Search, or go on with it; leaves `result.json`, and `effort.json`: what it took."""
    order.out.mkdir(parents=True, exist_ok=True)
    with held(order.out), metered(order.out, Stage.SEARCH) as save:
        for _ in run_search(order).steps:
            save()


def train_wiring(training: Training) -> float:
    """Test accuracy in [0, 1] after a training, or the rest of one; leaves `trained.json`."""
    training.folder.mkdir(parents=True, exist_ok=True)
    with held(training.folder):
        return _trained(training)


def _trained(training: Training) -> float:
    space = space_from_description(training.space)
    data = open_data(training.data, space)
    with torch.random.fork_rng(devices=[]):
        network = space.network(training.architecture).build()
    before = torch.get_num_threads()
    torch.set_num_threads(THREADS)
    try:
        validation = None
        for step in train_network(
            network,
            split_data(data, training.seed),
            parse(TrainingSettings, dict(training.settings), "train"),
            spawn(training.seed, "train"),
            folder=training.folder,
            name=_NAME,
        ):
            validation = step.validation_accuracy
        network.eval()
        found = accuracy(network, data.test_set().batches(batch_size=_TEST_BATCH, seed=0))
    finally:
        torch.set_num_threads(before)
    write_json(
        training.folder / TRAINED, {"test_accuracy": found, "validation_accuracy": validation}
    )
    return found
