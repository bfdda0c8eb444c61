"""A finished sweep as read: what became of every cell, and the cells of one strategy together."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import asdict, dataclass
from pathlib import Path
from statistics import fmean, stdev
from typing import Any

from ..core.artefact import read_json, write_json
from ..core.errors import ArtefactError
from ..search.result import Limit, MeasuredLatency
from .source import Source
from .statistics import welch_interval

SWEEP = "sweep.json"
KIND = "sweep"
SCHEMA = 1
BASELINE = "random"
LEVEL = 0.95


@dataclass(frozen=True)
class Effort:
    """What one stage of a cell took, in seconds: by the clock, and of the processor."""

    wall_s: float
    cpu_s: float


@dataclass(frozen=True)
class SweepRow:
    """One cell of a sweep; what a stage did not get to is None or empty.

    Attributes:
        cell: Name of its run folder.
        device: That it was bounded or measured on.
        bound: As the sweep's settings have it: `quantile 0.35`.
        method: The strategy's name, or the label that stands for its settings.
        limit: The bound as the search resolved it.
        predicted: Cost of the network by the model, in the limit's unit.
        supernet_accuracy: In [0, 1], with the supernet's weights.
        measured: On `device`.
        is_met: Whether the upper confidence limit on `device` is within the bound.
        test_accuracy: In [0, 1] after training from scratch, one for each training seed.
        weight_steps: Of the search.
        effort: Of each finished stage, by its name.
        failure: Why the cell was not finished.
    """

    cell: str
    space: str
    data: str
    device: str | None
    bound: str
    method: str
    strategy: str
    seed: int
    limit: Limit | None = None
    predicted: float | None = None
    supernet_accuracy: float | None = None
    macs: int | None = None
    params: int | None = None
    measured: MeasuredLatency | None = None
    is_met: bool | None = None
    test_accuracy: tuple[float, ...] = ()
    weight_steps: int | None = None
    effort: tuple[tuple[str, Effort], ...] = ()
    failure: str | None = None

    @property
    def mean_accuracy(self) -> float | None:
        """Mean test accuracy over the training seeds."""
        return fmean(self.test_accuracy) if self.test_accuracy else None

    def took(self, stage: str) -> Effort | None:
        """What `stage` took, if it was done."""
        return dict(self.effort).get(stage)

    def to_json(self) -> dict[str, Any]:
        """A JSON object that `from_json` reads back."""
        return {**asdict(self), "effort": {name: asdict(e) for name, e in self.effort}}

    @classmethod
    def from_json(cls, data: dict[str, Any]) -> SweepRow:
        """The row that `to_json` wrote."""
        limit, measured = data["limit"], data["measured"]
        flags = {} if measured is None else {"flags": tuple(measured["flags"])}
        return cls(
            **{
                **data,
                "limit": None if limit is None else Limit(**limit),
                "measured": None if measured is None else MeasuredLatency(**{**measured, **flags}),
                "test_accuracy": tuple(data["test_accuracy"]),
                "effort": tuple((name, Effort(**e)) for name, e in data["effort"].items()),
            }
        )


@dataclass(frozen=True)
class Sweep:
    """All cells of a sweep, in the order of its settings."""

    rows: tuple[SweepRow, ...]

    @property
    def failed(self) -> tuple[SweepRow, ...]:
        """The cells that were not finished."""
        return tuple(row for row in self.rows if row.failure is not None)

    def to_json(self) -> dict[str, Any]:
        """A JSON object that `read_sweep` reads back."""
        rows = [row.to_json() for row in self.rows]
        return {"kind": KIND, "schema": SCHEMA, "rows": rows}


def write_sweep(folder: Path, sweep: Sweep) -> None:
    """Write `sweep` into its folder, whole or not at all."""
    write_json(folder / SWEEP, sweep.to_json())


def read_sweep(folder: Path) -> Sweep:
    """The sweep in `folder`.

    Raises:
        ArtefactError: There is none, or it is damaged or of another schema.
    """
    path = folder / SWEEP
    data = read_json(path)
    if not isinstance(data, dict) or (data.get("kind"), data.get("schema")) != (KIND, SCHEMA):
        raise ArtefactError(
            f"{path} is no sweep of schema {SCHEMA}; write it again with: elat sweep"
        )
    try:
        return Sweep(tuple(SweepRow.from_json(row) for row in data["rows"]))
    except (KeyError, TypeError, ValueError, AttributeError) as error:
        raise ArtefactError(
            f"{path} is damaged ({error}); write it again with: elat sweep"
        ) from error


@dataclass(frozen=True)
class Spread:
    """Values of one quantity, one for each search seed."""

    values: tuple[float, ...]

    @property
    def mean(self) -> float | None:
        return fmean(self.values) if self.values else None

    @property
    def std(self) -> float | None:
        """Sample standard deviation; unknown for a single value."""
        return stdev(self.values) if len(self.values) > 1 else None


@dataclass(frozen=True)
class Setting:
    """What cells have in common that may be compared: everything but strategy and seed."""

    space: str
    data: str
    device: str
    bound: str


@dataclass(frozen=True)
class Group:
    """The cells of one strategy under one setting, which differ in the seed alone."""

    setting: Setting
    method: str
    rows: tuple[SweepRow, ...]

    @property
    def latency_ms(self) -> Spread:
        """As measured, of the verified networks."""
        return Spread(tuple(row.measured.latency_ms for row in self.rows if row.measured))

    @property
    def test_accuracy(self) -> Spread:
        """Of each network the mean over its trainings, in [0, 1]."""
        found = (row.mean_accuracy for row in self.rows)
        return Spread(tuple(accuracy for accuracy in found if accuracy is not None))

    @property
    def supernet_accuracy(self) -> Spread:
        """In [0, 1]."""
        found = (row.supernet_accuracy for row in self.rows)
        return Spread(tuple(accuracy for accuracy in found if accuracy is not None))

    @property
    def limit(self) -> Limit | None:
        """The bound, where all cells resolved it to the same number."""
        found = {row.limit for row in self.rows if row.limit is not None}
        return found.pop() if len(found) == 1 else None

    @property
    def kept(self) -> tuple[int, int]:
        """How many bounds held as measured, of how many."""
        known = [row.is_met for row in self.rows if row.is_met is not None]
        return sum(known), len(known)

    @property
    def sources(self) -> tuple[Source, ...]:
        found = (row.measured for row in self.rows)
        return tuple(Source.of(m.origin, m.condition) for m in found if m is not None)

    def effort(self, stage: str) -> tuple[Spread, Spread]:
        """Seconds by the clock and of the processor that `stage` took."""
        found = [e for row in self.rows if (e := row.took(stage)) is not None]
        return Spread(tuple(e.wall_s for e in found)), Spread(tuple(e.cpu_s for e in found))


def groups(sweeps: Sequence[Sweep]) -> tuple[Group, ...]:
    """The cells of `sweeps` by setting and strategy, each in the order of its first cell."""
    found: dict[Setting, dict[str, list[SweepRow]]] = {}
    for row in (row for sweep in sweeps for row in sweep.rows):
        setting = Setting(row.space, row.data, row.device or "", row.bound)
        found.setdefault(setting, {}).setdefault(row.method, []).append(row)
    return tuple(
        Group(setting, method, tuple(rows))
        for setting, methods in found.items()
        for method, rows in methods.items()
    )


@dataclass(frozen=True)
class Gain:
    """How much more accurate the networks of one strategy are than those of another.

    Attributes:
        points: Difference of mean test accuracies, in percentage points.
        low: Of the 95 % interval of the difference, in percentage points; None where a strategy
            has one seed, or no spread is to be seen.
    """

    group: Group
    rival: Group
    points: float
    low: float | None
    high: float | None

    def __str__(self) -> str:
        names = f"{self.group.method} less {self.rival.method} under {self.group.setting.bound}"
        if self.low is None or self.high is None:
            return f"{names}: {self.points:+.2f} points; the seeds tell no interval"
        verdict = "" if self.low > 0 or self.high < 0 else ", within the noise of the seeds"
        return (
            f"{names}: {self.points:+.2f} points "
            f"(95 % interval {self.low:+.2f} to {self.high:+.2f}{verdict})"
        )


def gains(found: Sequence[Group], baseline: str = BASELINE) -> tuple[Gain, ...]:
    """Each strategy against the one called `baseline` under the same setting.

    The interval is that of Welch's t test: variances over seeds are not taken to be equal.
    """
    rivals = {group.setting: group for group in found if group.method == baseline}
    return tuple(
        gain
        for group in found
        if group.method != baseline
        and (rival := rivals.get(group.setting)) is not None
        and (gain := _gain(group, rival)) is not None
    )


def _gain(group: Group, rival: Group) -> Gain | None:
    ours, theirs = group.test_accuracy, rival.test_accuracy
    if ours.mean is None or theirs.mean is None:
        return None
    points = 100 * (ours.mean - theirs.mean)
    found = welch_interval(ours.values, theirs.values, LEVEL)
    low, high = (None, None) if found is None else (100 * found[0], 100 * found[1])
    return Gain(group, rival, points, low, high)
