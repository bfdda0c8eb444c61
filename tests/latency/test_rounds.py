"""What is blamed where a place loses its workers: nothing, a crash, or what restarts a device."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Sequence
from contextlib import nullcontext
from pathlib import Path
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from elat.core.errors import DeviceInUseError, MeasurementError
from elat.devices.device import Device, DeviceKind
from elat.latency import rounds
from elat.latency.condition import Condition
from elat.latency.launcher import CRASH, WorkerLostError
from elat.latency.operators.conv import Conv
from elat.latency.place import Here, Loss, Place
from elat.latency.protocol import SCREEN
from elat.latency.rounds import RESTART, Case, Outcome, Plan, time_groups

CONDITION = Condition.of(Device("pretend", DeviceKind.SIMULATED, "", {"name": "simulated"}))


class Away(Place):
    """A place that loses each worker in the way that `losses` say, in turn."""

    def __init__(self, losses: Iterable[Loss]) -> None:
        self.losses = iter(losses)
        self.answers = 0

    def command(self) -> list[str]:
        return ["pretend"]

    def bring(self, folders: Sequence[Path]) -> None:
        return

    def folder(self, folder: Path) -> str:
        return str(folder)

    def recover(self, error: WorkerLostError) -> Loss:
        return next(self.losses)

    def has_answered(self) -> None:
        self.answers += 1


class Worker:
    """Answers every case of a group but the `culprits`, and is lost where one is in it.

    `says` is whether it says what it is about to load.
    """

    def __init__(self, culprits: frozenset[str], says: bool, asked: list[list[str]]) -> None:
        self.environment: dict[str, object] = {}
        self._culprits, self._says, self._asked = culprits, says, asked
        self._lines: list[dict[str, object]] = []

    def send(self, message: dict[str, Any]) -> None:
        names = [case["case"] for case in message["group"]]
        self._asked.append(names)
        found = next((name for name in names if name in self._culprits), None)
        self._lines = [{"at": found, "phase": "load"}] if self._says and found else []
        if found is None:
            self._lines = [{"case": n, "error": {"class": "FINE", "message": ""}} for n in names]

    def receive(self, timeout_s: float) -> dict[str, object]:
        if not self._lines:
            raise WorkerLostError(CRASH, "It is gone.")
        return self._lines.pop(0)

    def kill(self) -> None:
        return


@pytest.fixture
def timed(monkeypatch):
    """A function that times groups at a place, and says what was asked and what came of it."""
    return lambda *given, **more: time_at(monkeypatch, *given, **more)


def time_at(
    patch: pytest.MonkeyPatch,
    groups: Sequence[Iterable[str]],
    losses: Iterable[Loss],
    culprits: Iterable[str],
    says: bool = False,
) -> tuple[list[list[str]], list[Outcome]]:
    asked: list[list[str]] = []
    patch.setattr(
        rounds,
        "start_worker",
        lambda *_: nullcontext(Worker(frozenset(culprits), says, asked)),
    )
    plan = Plan(CONDITION, SCREEN, None, None, Away(losses))
    cases = [[Case(n, Conv(3, 4, resolution=8, kernel=3), Path(n)) for n in g] for g in groups]
    return asked, list(time_groups(cases, plan, 0))


def failures(outcomes: Sequence[Outcome]) -> dict[str, str]:
    found = {
        o.case.name: o.failure for o in outcomes if o.failure and o.failure.error_class != "FINE"
    }
    assert all(failure.error_class == RESTART for failure in found.values())
    return {name: failure.message for name, failure in found.items()}


def test_the_first_restart_blames_nobody_and_the_culprit_is_alone_in_the_end(timed):
    losses = [Loss.RESTARTED] * 9
    asked, outcomes = timed([list("abcdefgh")], losses, "f")
    assert asked[:4] == [list("abcdefgh"), list("abcdefgh"), list("abcd"), list("efgh")]
    assert asked[4:] == [list("ef"), ["e"], ["f"], list("gh")]
    assert failures(outcomes) == {"f": "The device restarted 5 times while it ran this."}
    assert {o.case.name for o in outcomes} == set("abcdefgh")


def test_what_was_being_loaded_each_time_is_blamed_at_once(timed):
    asked, outcomes = timed([list("abcdefgh")], [Loss.RESTARTED] * 2, "f", says=True)
    assert asked == [list("abcdefgh"), list("abcdefgh"), list("abcdegh")]
    assert failures(outcomes) == {"f": "The device restarted 2 times while it ran this."}


def test_a_connection_that_breaks_blames_nobody_however_often(timed):
    culprits = {"a"}

    def losses() -> Iterator[Loss]:
        yield from [*[Loss.CUT_OFF] * 3, Loss.RESTARTED, Loss.CUT_OFF]
        culprits.clear()
        yield Loss.CUT_OFF

    asked, outcomes = timed([["a", "b"]], losses(), culprits)
    assert asked == [["a", "b"]] * 7
    assert failures(outcomes) == {}
    assert len(outcomes) == 2


def test_a_restart_with_other_cases_in_flight_counts_for_those_alone(timed):
    _, outcomes = timed([["a"], ["b"]], [Loss.RESTARTED] * 4, "ab")
    assert failures(outcomes).keys() == {"a", "b"}
    assert len({message for message in failures(outcomes).values()}) == 1


def test_a_place_that_another_machine_took_over_is_asked_for_no_further_group(monkeypatch):
    checks = iter([None, None, DeviceInUseError("It is in use.")])

    def check(self: Place) -> None:
        if error := next(checks):
            raise error

    monkeypatch.setattr(Away, "ensure_held", check)
    asked: list[list[str]] = []
    worker = Worker(frozenset(), False, asked)
    monkeypatch.setattr(rounds, "start_worker", lambda *_: nullcontext(worker))
    plan = Plan(CONDITION, SCREEN, None, None, Away([]))
    cases = [[Case(n, Conv(3, 4, resolution=8, kernel=3), Path(n))] for n in "abcd"]
    found: list[str] = []
    with pytest.raises(DeviceInUseError):
        found.extend(o.case.name for o in time_groups(cases, plan, 0))
    assert asked == [["a"], ["b"]]


def test_here_a_worker_that_says_nothing_before_it_ends_is_no_fault_of_a_case(timed):
    with pytest.raises(MeasurementError, match="before its first case"):
        timed([["a"]], [Loss.ENDED], "a")
    assert Here(()).recover(WorkerLostError(CRASH, "")) is Loss.ENDED


@given(st.integers(1, 48), st.data())
@settings(max_examples=60, deadline=None)
def test_exactly_the_culprits_are_blamed_and_all_others_answered(count, data):
    names = [str(n) for n in range(count)]
    culprits = data.draw(st.sets(st.sampled_from(names), max_size=4))
    with pytest.MonkeyPatch.context() as patch:
        losses = (Loss.RESTARTED for _ in range(1000))
        _, outcomes = time_at(patch, [names], losses, culprits)
    assert failures(outcomes).keys() == culprits
    assert sorted(o.case.name for o in outcomes) == sorted(names)
