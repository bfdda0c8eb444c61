"""Two conditions measured in turns, so that their launches can be compared in pairs.

In each round every group of cases is timed by two fresh workers, one a side, in random order. The
two launches of a case lie some seconds apart, and what the machine did in that round happened to
both.
"""

from __future__ import annotations

import time
from collections import Counter
from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass
from math import ceil
from pathlib import Path

import numpy as np

from ..core.errors import UnsupportedOperatorError, WrongOutputError
from ..core.seeding import numpy_generator, spawn
from .artefacts import ArtefactCache
from .condition import Condition
from .launch import Launch
from .measure import MAX_ATTEMPTS, PERMANENT, Progress, Stage
from .measurement import Failure
from .operators import Operator
from .place import Here
from .protocol import Protocol
from .request import error_class
from .rounds import Case, Outcome, Plan, time_groups
from .runtimes import runtimes
from .sentinel import sentinel
from .store import MeasurementStore


@dataclass(frozen=True)
class Contender:
    """One side of a comparison that is measured now.

    Attributes:
        store: Where its launches and failures go, a store of its own.
        affinity: CPUs that its workers are pinned to; None leaves it to the scheduler.
        command: How a worker of it is started.
    """

    condition: Condition
    store: MeasurementStore
    affinity: tuple[int, ...] | None
    command: tuple[str, ...]


def measure_in_turns(
    operators: Iterable[Operator],
    contenders: tuple[Contender, Contender],
    protocol: Protocol,
    cache: ArtefactCache,
    *,
    seed: int,
) -> Iterator[Progress]:
    """Give every case `max_launches` launches on both sides, in turns; yields every step.

    The number is fixed: stopping when a difference shows would find differences that are none.
    Launches in the stores count, so that the same call goes on where another one ended. A case
    that fails on one side is dropped on both. Free operators are skipped.

    Raises:
        UnavailableError: A runtime is not installed.
        MeasurementError: No worker can be started, or it refuses its condition.
    """
    turns = _Turns(contenders, protocol, cache, seed)
    distinct = [o for o in dict.fromkeys(operators) if not o.is_free]
    yield from turns.build(distinct)
    yield from turns.rounds()


class _Side:
    """One contender, what its store held before, and how its groups are timed."""

    def __init__(self, contender: Contender, protocol: Protocol, cache: ArtefactCache) -> None:
        self._contender = contender
        self._cache = cache
        self._origin = runtimes[contender.condition.runtime].origin
        self._failures = contender.store.failures(contender.condition)
        self._folders: dict[Operator, Path] = {}
        self.counts = Counter(contender.store.launch_counts(contender.condition))
        self._plan = Plan(
            contender.condition,
            protocol,
            cache.artefact(sentinel(), contender.condition).folder.resolve(),
            contender.affinity,
            Here(contender.command),
        )

    def is_hopeless(self, operator: Operator) -> bool:
        """Whether earlier calls gave `operator` up."""
        failures = self._failures.get(operator, ())
        is_permanent = any(failure.error_class in PERMANENT for failure in failures)
        return is_permanent or len(failures) >= MAX_ATTEMPTS

    def build(self, operator: Operator) -> Failure | None:
        """Build the artefact of `operator`; what is wrong with it, if anything is."""
        try:
            artefact = self._cache.artefact(operator, self._contender.condition)
        except (UnsupportedOperatorError, WrongOutputError) as error:
            failure = Failure(error_class(error), str(error))
            self._record_failure(operator, failure)
            return failure
        self._folders[operator] = artefact.folder.resolve()
        return None

    def time(self, group: Sequence[Operator], seed: int) -> Iterator[Outcome]:
        """A launch of each of `group` by a fresh worker, stored before it is yielded."""
        cases = [Case(str(i), o, self._folders[o]) for i, o in enumerate(group)]
        for outcome in time_groups([cases], self._plan, seed):
            if outcome.failure is not None:
                self._record_failure(outcome.case.operator, outcome.failure)
            elif outcome.launch is not None:
                self._record(outcome, outcome.launch)
            yield outcome

    def _record(self, outcome: Outcome, launch: Launch) -> None:
        operator = outcome.case.operator
        self._contender.store.record_launch(
            operator,
            self._contender.condition,
            launch,
            outcome.state,
            self._origin,
            protocol=self._plan.protocol,
            environment=outcome.environment,
        )
        self.counts[operator] += 1

    def _record_failure(self, operator: Operator, failure: Failure) -> None:
        store, condition = self._contender.store, self._contender.condition
        store.record_failure(operator, condition, failure.error_class, failure.message)


class _Turns:
    """One call of `measure_in_turns`: the cases that are left, and how far they are."""

    def __init__(
        self,
        contenders: tuple[Contender, Contender],
        protocol: Protocol,
        cache: ArtefactCache,
        seed: int,
    ) -> None:
        self._sides = [_Side(contender, protocol, cache) for contender in contenders]
        self._protocol = protocol
        self._seed = seed
        self._cases: list[Operator] = []
        self._started = time.monotonic()
        self._done = 0

    def build(self, operators: Sequence[Operator]) -> Iterator[Progress]:
        """Build what is to be measured for both sides; cases that fail on one are left out."""
        todo = [o for o in operators if not any(side.is_hopeless(o) for side in self._sides)]
        for index, operator in enumerate(todo):
            failures = [failure for s in self._sides if (failure := s.build(operator))]
            if not failures:
                self._cases.append(operator)
            failure = failures[0] if failures else None
            elapsed_s = time.monotonic() - self._started
            yield Progress(Stage.BUILD, index + 1, len(todo), operator, None, failure, elapsed_s)

    def rounds(self) -> Iterator[Progress]:
        """Round by round, each group in turns by both sides."""
        self._started = time.monotonic()
        everything = list(self._cases)
        for number in range(self._protocol.max_launches):
            random = numpy_generator(self._seed, "turns", number)
            count = ceil(len(everything) / self._protocol.group_size)
            order = random.permutation(len(everything))
            for part in np.array_split(order, count) if count else ():
                for side in random.permutation(len(self._sides)).tolist():
                    group = [everything[i] for i in part.tolist()]
                    yield from self._turn(self._sides[side], number, group)

    def _turn(self, side: _Side, number: int, group: list[Operator]) -> Iterator[Progress]:
        """One side's turn at those of `group` that lack their launch of this round."""
        due = [o for o in group if o in self._cases and side.counts[o] <= number]
        if not due:
            return
        for outcome in side.time(due, spawn(self._seed, "turns", number)):
            operator = outcome.case.operator
            if outcome.failure is not None:
                self._cases.remove(operator)
            else:
                self._done += 1
            yield Progress(
                Stage.MEASURE,
                self._done,
                self._done + self._left(),
                operator,
                outcome.launch,
                outcome.failure,
                time.monotonic() - self._started,
            )

    def _left(self) -> int:
        """Launches that are still to be taken."""
        wanted = self._protocol.max_launches
        return sum(
            max(0, wanted - side.counts[operator])
            for operator in self._cases
            for side in self._sides
        )
