"""The folder of a study of wirings: what lies where, and which study it is of."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Self

import yaml

from ..core.artefact import (
    MANIFEST,
    canonical_json,
    manifest,
    read_manifest,
    write_json,
    write_text,
)
from ..core.errors import ConfigError
from ..latency.models.folder import model_folder
from ..reports.wirings import KIND
from ..search.spaces.aggregation import AggregationSpace

# Of these there may be more when the study goes on: what is there is of one of each.
_FREE = ("scales", "dense_growths", "seeds")


@dataclass(frozen=True)
class StudyFolder:
    """Where everything of a study lies.

    Attributes:
        named: The folder as it was asked for.
        path: The same, absolute: workers may run elsewhere.
    """

    named: Path
    path: Path

    @classmethod
    def at(cls, named: Path) -> Self:
        """The folder called `named`, be it there or not."""
        return cls(named, named.resolve())

    @property
    def search_file(self) -> Path:
        """The settings of every search."""
        return self.path / "settings" / "search.yaml"

    def space_file(self, space: AggregationSpace) -> Path:
        """The description of `space`."""
        return self.path / "spaces" / f"{space.name}.yaml"

    def model(self, device: str, space: AggregationSpace, name: str) -> Path:
        """The latency model `name` of `device`, for `space`."""
        return model_folder(self.path, device, space.name, name)

    def run(self, scale: int, seed: int) -> Path:
        """The run folder of one search."""
        return self.path / "searches" / f"g{scale}-seed{seed}"

    def training(self, name: str) -> Path:
        """The training of the network called `name`."""
        return self.path / "trainings" / name

    def claim(self, config: dict[str, Any]) -> None:
        """Write down what the study is of.

        Args:
            config: Its settings; scales, seeds and widths may differ from those that are there.

        Raises:
            ConfigError: The folder holds another study.
        """
        path = self.path / MANIFEST
        known = read_manifest(self.path, KIND)["config"] if path.exists() else config
        if canonical_json(_fixed(known)) != canonical_json(_fixed(config)):
            raise self._taken("other settings")
        if not path.exists() or known != config:
            write_json(path, manifest(KIND, config=config, seed=None, parents={}))

    def claim_space(self, space: AggregationSpace) -> None:
        """Write `space` down; the file that it comes from may have changed since.

        Raises:
            ConfigError: The folder holds another space of this name.
        """
        described = space.describe()
        del described["name"]
        path, text = self.space_file(space), yaml.safe_dump(described, sort_keys=False)
        if path.exists() and path.read_text() != text:
            raise self._taken("another space")
        write_text(path, text)

    def _taken(self, by: str) -> ConfigError:
        return ConfigError(
            f"{self.named} holds a study with {by}; choose another --out, or delete the "
            "folder to start again."
        )


def _fixed(config: Mapping[str, Any]) -> dict[str, Any]:
    """The settings that everything in the folder depends on."""
    return {key: value for key, value in config.items() if key not in _FREE}
