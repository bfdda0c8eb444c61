"""The ready settings under configs/ are accepted; written-out defaults are the defaults."""

from __future__ import annotations

from pathlib import Path

import pytest

from elat.core.config import parse, read_yaml
from elat.search.strategies import strategies
from elat.search.training import TrainingSettings

CONFIGS = Path(__file__).parents[2] / "configs"
SEARCHES = sorted((CONFIGS / "search").glob("*.yaml"))


@pytest.mark.parametrize("path", SEARCHES, ids=lambda path: path.stem)
def test_search_settings_are_accepted(path: Path) -> None:
    data = read_yaml(path)
    described = strategies["proxyless-g"].from_settings(data, str(path)).describe()
    assert data.items() <= described.items()


def test_written_out_defaults_of_the_search_are_the_defaults() -> None:
    data = read_yaml(CONFIGS / "search" / "proxyless-g.yaml")
    strategy = strategies["proxyless-g"]
    assert strategy.from_settings({}, "defaults").describe() == data


def test_written_out_defaults_of_the_training_are_the_defaults() -> None:
    path = CONFIGS / "train" / "default.yaml"
    assert parse(TrainingSettings, read_yaml(path), str(path)) == TrainingSettings()
