"""A finished study of wirings as read: what networks of one latency, wired by rules, can do."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import asdict, dataclass
from enum import StrEnum
from pathlib import Path
from statistics import fmean, stdev
from typing import Any

from ..core.artefact import read_json, write_json
from ..core.errors import ArtefactError
from ..search.architecture import Architecture
from ..search.result import MeasuredLatency
from .source import Source

WIRINGS = "wirings.json"
KIND = "wirings"
SCHEMA = 1


class Wiring(StrEnum):
    """Who decides which earlier outputs a layer reads.

    `SPARSE`: the exponential rule of SparseNet. `SHUFFLED`: as many a layer as with the rule, the
    one before it and the others at random. `LEARNED`: a search within the latency and parameters
    of the rule. `DENSE_LATENCY`, `DENSE_PARAMS`: all of them, at the greatest width with which the
    network is as fast, or has as few parameters, as the sparse one.
    """

    SPARSE = "sparse"
    SHUFFLED = "shuffled"
    LEARNED = "learned"
    DENSE_LATENCY = "dense, same latency"
    DENSE_PARAMS = "dense, same parameters"


@dataclass(frozen=True)
class WiringRow:
    """One trained network.

    Attributes:
        scale: Growth of the sparse network that it is compared with.
        growth: Its own.
        space: The description of its space; its own growth is in there.
        bound_ms: Upper confidence limit of the sparse network of `scale`, which it had to keep.
        bound_params: Parameters of that network; 0 where they were not bounded.
        before_training: Accuracy in [0, 1] on validation images with the supernet's weights.
        test_accuracy: In [0, 1], trained from scratch.
        cpu_s: Processor time of its search, where there was one.
    """

    wiring: Wiring
    scale: int
    growth: int
    seed: int
    space: Mapping[str, Any]
    architecture: Architecture
    links: int
    params: int
    macs: int
    measured: MeasuredLatency
    bound_ms: float
    bound_params: int
    test_accuracy: float
    before_training: float | None = None
    cpu_s: float | None = None

    @property
    def source(self) -> Source:
        """Where its latency is from."""
        return Source.of(self.measured.origin, self.measured.condition)

    @classmethod
    def from_json(cls, data: dict[str, Any]) -> WiringRow:
        """The row that `Wirings.to_json` wrote."""
        measured = data["measured"]
        return cls(
            **{
                **data,
                "wiring": Wiring(data["wiring"]),
                "architecture": Architecture.from_json(data["architecture"]),
                "measured": MeasuredLatency(**{**measured, "flags": tuple(measured["flags"])}),
            }
        )


@dataclass(frozen=True)
class Wirings:
    """All networks of a study.

    Attributes:
        data: Name of the images.
        base: Of the exponential rule.
        steps: Weight steps of every training.
    """

    data: str
    base: int
    steps: int
    rows: tuple[WiringRow, ...]

    def to_json(self) -> dict[str, Any]:
        """A JSON object that `read_wirings` reads back."""
        rows = [
            {**asdict(row), "space": dict(row.space), "wiring": str(row.wiring)}
            for row in self.rows
        ]
        about = {"data": self.data, "base": self.base, "steps": self.steps}
        return {"kind": KIND, "schema": SCHEMA, **about, "rows": rows}


@dataclass(frozen=True)
class WiringGroup:
    """The networks of one wiring at one scale, one for each seed."""

    wiring: Wiring
    scale: int
    rows: tuple[WiringRow, ...]

    @property
    def accuracy(self) -> float:
        """Mean test accuracy in [0, 1]."""
        return fmean(row.test_accuracy for row in self.rows)

    @property
    def accuracy_spread(self) -> float | None:
        """Sample standard deviation of the test accuracy; None of a single network."""
        found = [row.test_accuracy for row in self.rows]
        return stdev(found) if len(found) > 1 else None

    @property
    def latency_ms(self) -> float:
        """Mean of the measured latencies."""
        return fmean(row.measured.latency_ms for row in self.rows)

    @property
    def params(self) -> float:
        """Mean number of parameters."""
        return fmean(row.params for row in self.rows)

    @property
    def links(self) -> float:
        """Mean number of links."""
        return fmean(row.links for row in self.rows)


def groups_of(study: Wirings) -> tuple[WiringGroup, ...]:
    """The networks by wiring and scale, in the order of `Wiring` and by rising scale."""
    keys = sorted({(list(Wiring).index(row.wiring), row.scale) for row in study.rows})
    return tuple(
        WiringGroup(
            list(Wiring)[wiring],
            scale,
            tuple(
                row
                for row in study.rows
                if row.wiring is list(Wiring)[wiring] and row.scale == scale
            ),
        )
        for wiring, scale in keys
    )


def write_wirings(folder: Path, study: Wirings) -> None:
    """Write `study` into its folder, whole or not at all."""
    write_json(folder / WIRINGS, study.to_json())


def read_wirings(folder: Path) -> Wirings:
    """The study in `folder`.

    Raises:
        ArtefactError: There is none, or it is damaged or of another schema.
    """
    path = folder / WIRINGS
    data = read_json(path)
    if not isinstance(data, dict) or (data.get("kind"), data.get("schema")) != (KIND, SCHEMA):
        raise ArtefactError(
            f"{path} is no study of wirings of schema {SCHEMA}; write it again with: elat study"
        )
    try:
        rows = tuple(WiringRow.from_json(row) for row in data["rows"])
        return Wirings(str(data["data"]), int(data["base"]), int(data["steps"]), rows)
    except (KeyError, TypeError, ValueError, AttributeError) as error:
        raise ArtefactError(
            f"{path} is damaged ({error}); write it again with: elat study"
        ) from error
