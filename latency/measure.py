"""Rounds of launches until every case is known well enough."""

from __future__ import annotations

import time
from collections import Counter
from collections.abc import Callable, Generator, Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from enum import StrEnum
from math import ceil

import numpy as np

from ..core.errors import UnsupportedOperatorError, WrongOutputError
from ..core.seeding import numpy_generator, spawn
from .artefacts import ArtefactCache
from .condition import Condition
from .energy import EnergyOrder
from .estimate import is_at_floor
from .launch import Launch
from .launcher import default_command
from .measurement import Failure, Measurement
from .operators import Operator
from .place import Here, Place
from .protocol import Protocol
from .request import UNSUPPORTED, WRONG_OUTPUT, error_class
from .rounds import Case, Outcome, Plan, time_groups
from .runtimes import runtimes
from .store import MeasurementStore

# What another attempt cannot change: a result of its own, which search needs to know.
PERMANENT = frozenset({UNSUPPORTED, WRONG_OUTPUT})
MAX_ATTEMPTS = 3


class Stage(StrEnum):
    """What is going on: artefacts are built first, then cases are measured in rounds.

    Between two stretches of a protocol that wants them apart in time nothing happens: a wait.
    Where the method wants it, models are profiled at the end.
    """

    BUILD = "build"
    MEASURE = "measure"
    WAIT = "wait"
    PROFILE = "profile"


@dataclass(frozen=True)
class WaitingClock:
    """The time of day, in seconds, and waiting; tests give another one."""

    now_s: Callable[[], float] = time.time
    wait_s: Callable[[float], None] = time.sleep


@dataclass(frozen=True)
class Progress:
    """One step done.

    Attributes:
        done: Steps of this stage done by this call, and `total` those known to be needed. A case
            that turns out to need more launches raises the total.
        operator: What the step was about.
        launch: What was found, already stored; or `failure`, already stored.
        elapsed_s: Seconds since the stage began.
    """

    stage: Stage
    done: int
    total: int
    operator: Operator
    launch: Launch | None
    failure: Failure | None
    elapsed_s: float

    @property
    def remaining_s(self) -> float | None:
        """Seconds to go if the rest goes as the part that is done; None before anything is."""
        return self.elapsed_s / self.done * (self.total - self.done) if self.done else None


def measure(
    operators: Iterable[Operator],
    condition: Condition,
    protocol: Protocol,
    store: MeasurementStore,
    cache: ArtefactCache,
    *,
    seed: int,
    emphasis: Mapping[Operator, int] | None = None,
    affinity: Sequence[int] | None = None,
    worker_command: Sequence[str] | None = None,
    place: Place | None = None,
    temperature_limit_c: float | None = None,
    energy: EnergyOrder | None = None,
    clock: WaitingClock = WaitingClock(),
) -> Generator[Progress, None, None]:
    """Measure `operators` under `condition` until each satisfies `protocol`; yields every step.

    Each round is one fresh worker process that times all unfinished cases, in groups and in an
    order shuffled by `seed`. Every launch is stored before it is yielded, launches already in the
    store count, and finished cases are not measured again, so that the same call goes on where
    another one ended. Free operators and repeated ones are skipped. A case whose output is wrong,
    or that the runtime refuses, is stored as a failure and never tried again; one whose worker
    crashed or hung is tried by `MAX_ATTEMPTS` calls.

    Args:
        operators: Single operators, or whole networks as chains.
        condition: Under which; its runtime must be installed here.
        protocol: When a case is finished.
        store: Where launches and failures go.
        cache: Where artefacts are built.
        seed: Decides orders, nothing else.
        emphasis: Slices in each pass for cases that need a smaller error than others; 1 if absent.
        affinity: CPUs that the worker is pinned to; None leaves it to the scheduler.
        worker_command: How to start a worker here; by default one in this Python.
        place: Where workers run in place of this machine.
        temperature_limit_c: Above which a launch is flagged as taken on a hot machine.
        energy: The meter that new launches are to read in a pass of its own; None for none.
        clock: Tells the time and waits, between the stretches of a protocol that has several.

    Raises:
        UnavailableError: The runtime is not installed.
        MeasurementError: No worker can be started, or it refuses the condition.
    """
    campaign = _Campaign(condition, protocol, store, clock, temperature_limit_c)
    todo = {
        operator: str(index)
        for index, operator in enumerate(dict.fromkeys(operators))
        if not operator.is_free and not campaign.is_settled(operator)
    }
    yield from campaign.build(todo, cache, emphasis or {})
    if not campaign.cases:
        return
    from .sentinel import sentinel

    command = worker_command or default_command(runtimes[condition.runtime].worker)
    there = place or Here(tuple(command))
    pulse = cache.artefact(sentinel(), condition).folder.resolve()
    there.bring([pulse, *(case.folder for case in campaign.cases)])
    plan = Plan(
        condition,
        protocol,
        pulse,
        None if affinity is None else tuple(affinity),
        there,
        energy,
    )
    yield from campaign.rounds(plan, seed)


class _Campaign:
    """One call of `measure`: what the store knew before, and which cases are left."""

    def __init__(
        self,
        condition: Condition,
        protocol: Protocol,
        store: MeasurementStore,
        clock: WaitingClock,
        temperature_limit_c: float | None,
    ) -> None:
        self.cases: list[Case] = []
        self._condition = condition
        self._protocol = protocol
        self._store = store
        self._origin = runtimes[condition.runtime].origin
        self._completed = store.completed(condition, protocol)
        self._failures = store.failures(condition)
        self._counts = Counter(store.launch_counts(condition))
        self._started = time.monotonic()
        self._targets: dict[Operator, int] = {}
        self._done = 0
        self._left = 0
        self._clock = clock
        self._known_state = (
            {} if temperature_limit_c is None else {"temperature_limit_c": temperature_limit_c}
        )
        self._last_s: dict[Operator, float] = {}
        if protocol.block_launches:
            self._last_s = {m.operator: max(m.times_s) for m in store.measurements(condition)}

    def is_settled(self, operator: Operator) -> bool:
        """Whether earlier calls finished `operator` or gave it up."""
        failures = self._failures.get(operator, ())
        is_hopeless = any(failure.error_class in PERMANENT for failure in failures)
        return operator in self._completed or is_hopeless or len(failures) >= MAX_ATTEMPTS

    def build(
        self,
        operators: Mapping[Operator, str],
        cache: ArtefactCache,
        emphasis: Mapping[Operator, int],
    ) -> Iterator[Progress]:
        """Build the artefacts of `operators`; those that can be built are the cases.

        Their names are those of `operators`, the same in each call: a device that was cut off
        knows by them what it was asked.
        """
        for index, (operator, name) in enumerate(operators.items()):
            failure = None
            try:
                folder = cache.artefact(operator, self._condition).folder.resolve()
            except (UnsupportedOperatorError, WrongOutputError) as error:
                failure = Failure(error_class(error), str(error))
                self._record_failure(operator, failure)
            else:
                slices = emphasis.get(operator, 1)
                self.cases.append(Case(name, operator, folder, slices))
            elapsed_s = time.monotonic() - self._started
            total = len(operators)
            yield Progress(Stage.BUILD, index + 1, total, operator, None, failure, elapsed_s)

    def rounds(self, plan: Plan, seed: int) -> Iterator[Progress]:
        """Add a launch to every case, a fresh worker each round, until none is left."""
        self._started = time.monotonic()
        self._drop_finished()
        while self.cases:
            number = min(self._counts[case.operator] for case in self.cases)
            random = numpy_generator(seed, "round", number)
            count = ceil(len(self.cases) / self._protocol.group_size)
            groups = [
                [self.cases[i] for i in part.tolist()]
                for part in np.array_split(random.permutation(len(self.cases)), count)
            ]
            yield from self._pause()
            for outcome in time_groups(groups, plan, spawn(seed, "round", number)):
                self._record(outcome)
                yield self._progress(outcome)
            self._drop_finished()

    def _pause(self) -> Iterator[Progress]:
        """Wait until a new stretch of time may begin for every case, a step for each second."""
        pause_s = max(
            self._protocol.pause_s(
                self._counts[case.operator],
                self._clock.now_s() - self._last_s.get(case.operator, 0.0),
            )
            for case in self.cases
        )
        waited_s = 0.0
        while waited_s < pause_s:
            yield Progress(
                Stage.WAIT,
                round(waited_s),
                round(pause_s),
                self.cases[0].operator,
                None,
                None,
                time.monotonic() - self._started,
            )
            step_s = min(1.0, pause_s - waited_s)
            self._clock.wait_s(step_s)
            waited_s += step_s

    def _record(self, outcome: Outcome) -> None:
        operator = outcome.case.operator
        if outcome.failure is not None:
            self._record_failure(operator, outcome.failure)
            self.cases.remove(outcome.case)
            self._left -= self._targets[operator] - self._counts[operator]
        elif outcome.launch is not None:
            self._store.record_launch(
                operator,
                self._condition,
                outcome.launch,
                {**outcome.state, **self._known_state},
                self._origin,
                protocol=self._protocol,
                environment=outcome.environment,
            )
            self._counts[operator] += 1
            self._last_s[operator] = self._clock.now_s()
            self._done += 1
            self._left -= 1

    def _record_failure(self, operator: Operator, failure: Failure) -> None:
        self._store.record_failure(operator, self._condition, failure.error_class, failure.message)

    def _progress(self, outcome: Outcome) -> Progress:
        return Progress(
            Stage.MEASURE,
            self._done,
            self._done + self._left,
            outcome.case.operator,
            outcome.launch,
            outcome.failure,
            time.monotonic() - self._started,
        )

    def _drop_finished(self) -> None:
        """Drop the cases that need no further launch; set for the others when to look next."""
        looked_at = [
            case.operator
            for case in self.cases
            if self._protocol.is_look(self._counts[case.operator])
        ]
        if looked_at:
            known = {
                m.operator: m
                for m in self._store.measurements(self._condition, looked_at)
                if m.origin == self._origin
            }
            self.cases = [case for case in self.cases if not self._is_finished(case, known)]
        self._left = 0
        for case in self.cases:
            count = self._counts[case.operator]
            target = self._protocol.next_look(count) or count
            self._targets[case.operator] = target
            self._left += target - count

    def _is_finished(self, case: Case, known: Mapping[Operator, Measurement]) -> bool:
        if not self._protocol.is_look(self._counts[case.operator]):
            return False
        found = known[case.operator]
        floor = is_at_floor(*found.half_widths)
        if not self._protocol.is_finished(
            found.count, found.relative_half_width, is_at_floor=floor
        ):
            return False
        self._store.record_completion(case.operator, self._condition, self._protocol)
        return True
