"""What a runtime's own profiler said of one process, before anything is made of it."""

from __future__ import annotations

import statistics
from collections.abc import Mapping
from dataclasses import asdict, dataclass, field
from typing import Any

Fact = str | int | float | bool


@dataclass(frozen=True)
class RawNode:
    """One thing that the runtime executed in every run.

    Attributes:
        name: As the runtime calls it.
        kind: Of operation, as the runtime calls it.
        times_ms: Its time in each profiled run, whole steps of the profiler's clock; or its mean
            in each stretch of runs, where that is all the profiler tells.
        inputs: Names of the tensors that it reads, constants apart; empty if not told.
        outputs: Names of the tensors that it writes; empty if not told.
        original: Number of the model's node that it is, where the runtime tells.
        delegated: Numbers of the model's nodes where it is all that a delegate runs at once; empty
            where these are not known, and None for anything else.
    """

    name: str
    kind: str
    times_ms: tuple[float, ...]
    inputs: tuple[str, ...] = ()
    outputs: tuple[str, ...] = ()
    original: int | None = None
    delegated: tuple[int, ...] | None = None

    @property
    def count(self) -> int:
        """How many of the model's nodes it is known to be; a runtime's own node is one, too."""
        return max(1, len(self.delegated or ()))

    @property
    def typical_ms(self) -> float:
        """Mean of the middle half of its times.

        As hard to disturb as the median; but where the clock counts whole microseconds, a median
        counts them too, and a mean of many runs sees fractions.
        """
        return middle(self.times_ms)


@dataclass(frozen=True)
class RawProfile:
    """The runs that one process profiled.

    Attributes:
        nodes: In order of execution.
        run_ms: Time of each profiled run as the profiler saw it; or the mean of each stretch.
        step_ms: Step of the profiler's clock. Both known profilers cut off what is below.
        is_gapless: Whether a node ends with the reading of the clock that begins the next, so that
            the profiler's own work is in no node, and nodes fill the run. Otherwise what
            the profiler does for a node counts as that node's time.
        facts: What else the runtime says, such as its options.
        run_count: How many runs were profiled, where a time is the mean of several; None where
            each run is told.
    """

    nodes: tuple[RawNode, ...]
    run_ms: tuple[float, ...]
    step_ms: float
    is_gapless: bool
    facts: Mapping[str, Fact] = field(default_factory=dict, hash=False)
    run_count: int | None = None

    @property
    def runs(self) -> int:
        """How many runs were profiled."""
        return len(self.run_ms) if self.run_count is None else self.run_count

    @property
    def count(self) -> int:
        """How many nodes ran, those inside of delegates among them."""
        return sum(node.count for node in self.nodes)

    @property
    def typical_ms(self) -> float:
        """Sum of the nodes."""
        return sum(node.typical_ms for node in self.nodes)

    @property
    def gap_ms(self) -> float:
        """Typical time of a run that is in no node.

        Of run by run: where the scheduler takes the CPU away, that is in the run and in a node.
        """
        spent = zip(*(node.times_ms for node in self.nodes), strict=True)
        gaps = [run - sum(times) for run, times in zip(self.run_ms, spent, strict=True)]
        return middle(tuple(gaps))

    def to_json(self) -> dict[str, Any]:
        """A JSON object that `from_json` reads back."""
        return asdict(self)

    @classmethod
    def from_json(cls, data: Mapping[str, Any]) -> RawProfile:
        """The profile that `to_json` wrote."""
        nodes = tuple(
            RawNode(
                node["name"],
                node["kind"],
                tuple(node["times_ms"]),
                tuple(node["inputs"]),
                tuple(node["outputs"]),
                node["original"],
                None if node["delegated"] is None else tuple(node["delegated"]),
            )
            for node in data["nodes"]
        )
        return cls(
            nodes,
            tuple(data["run_ms"]),
            data["step_ms"],
            data["is_gapless"],
            data["facts"],
            data["run_count"],
        )


def middle(values: tuple[float, ...]) -> float:
    """Mean of the middle half of `values`, of which there is at least one."""
    ordered = sorted(values)
    cut = len(ordered) // 4
    return statistics.fmean(ordered[cut : len(ordered) - cut])
