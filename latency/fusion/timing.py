"""The test graphs of pairs timed in turns: all of a pair in one process, in shuffled passes."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path

from ...core.errors import UnsupportedOperatorError, WrongOutputError
from ...core.seeding import spawn
from ..artefacts import ArtefactCache
from ..condition import Condition
from ..launcher import default_command
from ..measurement import Failure
from ..operators.dag import Dag
from ..place import Here
from ..protocol import Protocol
from ..request import error_class
from ..rounds import Case, Plan, time_groups
from ..runtimes import runtimes
from ..sentinel import sentinel
from .graphs import ROLES, PairGraphs
from .pairs import Pair


def protocol_of(rounds: int) -> Protocol:
    """As many launches as `rounds`, each short: what counts is the difference within one."""
    return Protocol(
        "fusion", 1.0, rounds, rounds, (rounds,), passes=32, max_passes=32, slice_ms=1.0
    )


@dataclass(frozen=True)
class TimedPair:
    """Times of a pair's test graphs, a number a round each; or why there are none.

    Attributes:
        times_ms: By the role of the graph, in milliseconds.
    """

    pair: Pair
    times_ms: Mapping[str, tuple[float, ...]]
    failure: Failure | None = None


@dataclass(frozen=True)
class Step:
    """One round of one pair done, of `total`."""

    pair: Pair
    done: int
    total: int


class PairTimer:
    """Times pairs under one condition.

    Args:
        condition: Of models, as they stand.
        cache: Where the graphs are built.
        protocol: With the number of rounds as its launches.
        affinity: CPUs that the workers are pinned to; None leaves it to the scheduler.
    """

    def __init__(
        self,
        condition: Condition,
        cache: ArtefactCache,
        protocol: Protocol,
        affinity: Sequence[int] | None,
    ) -> None:
        self._condition = condition
        self._cache = cache
        self._plan = Plan(
            condition,
            protocol,
            cache.artefact(sentinel(), condition).folder.resolve(),
            None if affinity is None else tuple(affinity),
            Here(tuple(default_command(runtimes[condition.runtime].worker))),
        )
        self._times: dict[tuple[Pair, Dag], list[float]] = {}
        self._failures: dict[Pair, Failure] = {}

    def rounds(self, graphs: Mapping[Pair, PairGraphs], seed: int) -> Iterator[Step]:
        """Time all pairs round by round, a fresh worker each; yields each pair of each round.

        Raises:
            UnavailableError: The runtime is not installed.
            MeasurementError: No worker can be started, or it refuses the condition.
        """
        groups = self._built(graphs)
        rounds = self._plan.protocol.max_launches
        done = 0
        for number in range(rounds):
            owners = {case.name: pair for pair, cases in groups.items() for case in cases}
            left = {pair: len(cases) for pair, cases in groups.items()}
            for outcome in time_groups(groups.values(), self._plan, spawn(seed, "fusion", number)):
                pair = owners[outcome.case.name]
                if outcome.failure is not None:
                    self._failures.setdefault(pair, outcome.failure)
                elif outcome.launch is not None and isinstance(outcome.case.operator, Dag):
                    time_ms = outcome.launch.middle_ms(self._condition.clock)
                    self._times.setdefault((pair, outcome.case.operator), []).append(time_ms)
                left[pair] -= 1
                if not left[pair]:
                    done += 1
                    yield Step(pair, done, rounds * len(groups))
            groups = {pair: cases for pair, cases in groups.items() if pair not in self._failures}

    def timed(self, pair: Pair, graphs: PairGraphs) -> TimedPair:
        """What all rounds found of `pair`."""
        if failure := self._failures.get(pair):
            return TimedPair(pair, {}, failure)
        return TimedPair(
            pair, {role: tuple(self._times[pair, getattr(graphs, role)]) for role in ROLES}
        )

    def _built(self, graphs: Mapping[Pair, PairGraphs]) -> dict[Pair, list[Case]]:
        """The cases of each pair whose graphs can be built."""
        groups: dict[Pair, list[Case]] = {}
        for pair, found in graphs.items():
            try:
                groups[pair] = [
                    Case(f"{pair}/{index}", graph, self._folder(graph))
                    for index, graph in enumerate(found.operators)
                ]
            except (UnsupportedOperatorError, WrongOutputError) as error:
                self._failures[pair] = Failure(error_class(error), str(error))
        return groups

    def _folder(self, graph: Dag) -> Path:
        return self._cache.artefact(graph, self._condition).folder.resolve()
