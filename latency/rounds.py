"""Groups of cases sent to workers, whatever happens to the workers."""

from __future__ import annotations

from collections import Counter, deque
from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from ..core.errors import ElatError, MeasurementError, UnavailableError
from ..core.seeding import spawn
from .condition import Condition
from .energy import EnergyOrder
from .launch import Launch
from .launcher import CRASH, NoWorkerError, WorkerLostError, WorkerProcess, start_worker
from .measurement import Failure
from .operators import Operator
from .place import Loss, Place
from .protocol import Protocol
from .request import UNAVAILABLE

RESTART = "RESTART"
"""Class of the failure of a case whose every run makes its machine restart."""

_SUSPECT = 2


@dataclass(frozen=True)
class Case:
    """One operator with its artefact, under the name that the worker knows it by.

    Attributes:
        slices: How many slices it gets in each pass.
    """

    name: str
    operator: Operator
    folder: Path
    slices: int = 1


@dataclass(frozen=True)
class Outcome:
    """What became of a case: a launch with the machine's state and environment, or a failure."""

    case: Case
    launch: Launch | None
    failure: Failure | None
    state: dict[str, Any]
    environment: dict[str, Any]


@dataclass(frozen=True)
class Plan:
    """How groups are timed: what stays the same from request to request."""

    condition: Condition
    protocol: Protocol
    sentinel: Path | None
    affinity: tuple[int, ...] | None
    place: Place
    energy: EnergyOrder | None = None

    def request(self, group: Sequence[Case], seed: int) -> dict[str, Any]:
        """The JSON message that asks a worker to time `group`."""
        return {
            "group": [
                {
                    "case": case.name,
                    "artefact": self.place.folder(case.folder),
                    "slices": case.slices,
                }
                for case in group
            ],
            "sentinel": None if self.sentinel is None else self.place.folder(self.sentinel),
            "condition": self.condition.to_json(),
            "protocol": self.protocol.to_json(),
            "seed": spawn(seed, *(case.name for case in group)),
            "affinity": None if self.affinity is None else list(self.affinity),
            "energy": None if self.energy is None else self.energy.model_dump(mode="json"),
        }


def time_groups(groups: Iterable[Sequence[Case]], plan: Plan, seed: int) -> Iterator[Outcome]:
    """Time `groups` in one fresh worker; yields one outcome for every case.

    A worker that crashes or hangs is replaced. If it was loading a case, that case failed; if it
    was timing a group, the group is halved until the culprit is alone. Where it was only cut off,
    as by a pulled cable, nothing failed: what it had not answered is asked of the next one. That
    its machine restarted is taken for chance the first time, and for a crash from the second time
    on that the same cases were in flight.

    Raises:
        UnavailableError: The worker's runtime is not installed, or its device is out of reach, or
            was taken over by another machine.
        MeasurementError: A worker does not start, or refuses the request as a whole.
    """
    waiting = deque(list(group) for group in groups if group)
    restarts: Counter[str] = Counter()
    while waiting:
        try:
            with start_worker(plan.place.command(), plan.protocol.timeout_s) as worker:
                yield from _time_in(worker, waiting, plan, seed, restarts)
        except NoWorkerError as error:
            if plan.place.recover(error.lost) is Loss.ENDED:
                raise


def _time_in(
    worker: WorkerProcess,
    waiting: deque[list[Case]],
    plan: Plan,
    seed: int,
    restarts: Counter[str],
) -> Iterator[Outcome]:
    """Take groups from `waiting` until none is left or `worker` is lost.

    `restarts` counts for each case how often its machine restarted while it was in flight.
    """
    while waiting:
        plan.place.ensure_held()
        attempt = _Attempt(waiting.popleft(), worker)
        worker.send(plan.request(attempt.group, seed))
        try:
            for outcome in attempt.outcomes(plan.protocol.timeout_s):
                plan.place.has_answered()
                yield outcome
        except WorkerLostError as lost:
            worker.kill()
            loss = plan.place.recover(lost)
            error = lost if loss is Loss.ENDED else _restarted(loss, attempt.left, restarts)
            if error is None:
                waiting.appendleft(attempt.left)
                return
            culprit, rest = attempt.blame(error)
            waiting.extendleft(reversed(rest))
            if culprit is not None:
                failure = Failure(error.error_class, str(error))
                yield Outcome(culprit, None, failure, {}, worker.environment)
            return


def _restarted(loss: Loss, left: Sequence[Case], restarts: Counter[str]) -> WorkerLostError | None:
    """Count a restart; the error for which one of the cases `left` is to blame, if it is."""
    if loss is not Loss.RESTARTED:
        return None
    restarts.update(case.name for case in left)
    count = min(restarts[case.name] for case in left)
    if count < _SUSPECT:
        return None
    return WorkerLostError(RESTART, f"The device restarted {count} times while it ran this.")


class _Attempt:
    """One group given to one worker, and how far it got."""

    def __init__(self, group: list[Case], worker: WorkerProcess) -> None:
        self.group = group
        self._worker = worker
        self._unanswered = {case.name: case for case in group}
        self._loading: str | None = None
        self._is_begun = False

    def outcomes(self, timeout_s: float) -> Iterator[Outcome]:
        """The outcome of each case, as the worker answers.

        Raises:
            WorkerLostError: It answers no more.
        """
        while self._unanswered:
            message = self._worker.receive(timeout_s)
            if "case" in message:
                yield self._outcome(message)
            elif "error" in message:
                raise _refusal(message["error"])
            else:
                self._is_begun = True
                self._loading = message.get("at") if message.get("phase") == "load" else None

    @property
    def left(self) -> list[Case]:
        """The cases without an answer."""
        return list(self._unanswered.values())

    def blame(self, error: WorkerLostError) -> tuple[Case | None, list[list[Case]]]:
        """The case that the worker was lost on, if it is known, and the groups to try again.

        Raises:
            MeasurementError: The worker was lost before it came to a case.
        """
        if not self._is_begun and error.error_class != RESTART:
            raise MeasurementError(f"The worker was lost before its first case. {error}")
        left = self.left
        culprit = self._unanswered.get(self._loading or "")
        if culprit is None and len(left) == 1:
            culprit = left[0]
        if culprit is not None:
            rest = [case for case in left if case is not culprit]
            return culprit, [rest] if rest else []
        middle = len(left) // 2
        return None, [left[:middle], left[middle:]]

    def _outcome(self, message: dict[str, Any]) -> Outcome:
        case = self._unanswered.pop(str(message["case"]), None)
        if case is None:
            raise WorkerLostError(CRASH, f"The worker answered for {message['case']!r}, unasked.")
        environment = {**self._worker.environment, **message.get("environment", {})}
        if "error" in message:
            found = message["error"]
            if found["class"] == UNAVAILABLE:
                raise UnavailableError(found["message"])
            failure = Failure(found["class"], found["message"])
            return Outcome(case, None, failure, {}, environment)
        try:
            launch = Launch.from_json(message["launch"])
        except (KeyError, TypeError, ValueError) as error:
            raise MeasurementError(f"The worker's launch is not readable: {error!r}.") from error
        return Outcome(case, launch, None, dict(message.get("state", {})), environment)


def _refusal(found: dict[str, str]) -> ElatError:
    kind = UnavailableError if found["class"] == UNAVAILABLE else MeasurementError
    return kind(found["message"])
