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
from .source import Source, distinct
from .statistics import welch_interval

WIRINGS = "wirings.json"
KIND = "wirings"
SCHEMA = 1
LEVEL = 0.95


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

    @property
    def title(self) -> str:
        """The images and the devices."""
        devices = dict.fromkeys(row.measured.device for row in self.rows)
        return f"{self.data} on {', '.join(devices)}"

    @property
    def sources(self) -> tuple[Source, ...]:
        """Where the latencies are from."""
        return distinct(row.source for row in self.rows)

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
    def latency_spread(self) -> float | None:
        """Sample standard deviation of the latencies over networks; None where all are one."""
        if len({(row.growth, row.architecture) for row in self.rows}) < 2:
            return None
        return stdev(row.measured.latency_ms for row in self.rows)

    @property
    def kept(self) -> int:
        """How many networks have their upper confidence limit within the bound."""
        return sum(row.measured.high_ms <= row.bound_ms for row in self.rows)

    @property
    def params(self) -> float:
        """Mean number of parameters."""
        return fmean(row.params for row in self.rows)

    @property
    def params_spread(self) -> float | None:
        """Sample standard deviation of the parameters over networks; None of a single one."""
        found = [row.params for row in self.rows]
        return stdev(found) if len(found) > 1 else None

    @property
    def links(self) -> float:
        """Mean number of links."""
        return fmean(row.links for row in self.rows)

    @property
    def macs(self) -> float:
        """Mean number of multiply-adds."""
        return fmean(row.macs for row in self.rows)

    @property
    def before_training(self) -> float | None:
        """Mean accuracy in [0, 1] with the supernet's weights, where there was a supernet."""
        found = [row.before_training for row in self.rows if row.before_training is not None]
        return fmean(found) if found else None

    @property
    def cpu_s(self) -> float | None:
        """Mean processor time of the search, where there was one."""
        found = [row.cpu_s for row in self.rows if row.cpu_s is not None]
        return fmean(found) if found else None


@dataclass(frozen=True)
class Contrast:
    """How much more accurate a group is than the sparse networks of its scale.

    Attributes:
        points: Difference of mean test accuracies, in percentage points.
        low: Of the 95 % interval of the difference; None where the seeds tell none.
    """

    points: float
    low: float | None
    high: float | None

    @property
    def is_clear(self) -> bool:
        """Whether the interval leaves out 0."""
        return self.low is not None and self.high is not None and self.low * self.high > 0

    def __str__(self) -> str:
        if self.low is None or self.high is None:
            return f"{self.points:+.2f} points; the seeds tell no interval"
        return f"{self.points:+.2f} points (95 % interval {self.low:+.2f} to {self.high:+.2f})"


def contrast_of(group: WiringGroup, study: Wirings) -> Contrast | None:
    """`group` against the sparse networks of its scale, by Welch's t test over seeds.

    None of the sparse ones themselves, and where there are none.
    """
    theirs = [
        row.test_accuracy
        for row in study.rows
        if row.wiring is Wiring.SPARSE and row.scale == group.scale
    ]
    if group.wiring is Wiring.SPARSE or not theirs:
        return None
    ours = [row.test_accuracy for row in group.rows]
    points = 100 * (fmean(ours) - fmean(theirs))
    found = welch_interval(ours, theirs, LEVEL)
    low, high = (None, None) if found is None else (100 * found[0], 100 * found[1])
    return Contrast(points, low, high)


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
