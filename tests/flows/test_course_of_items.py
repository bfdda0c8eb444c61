"""Items on a scripted scheduler: what is booked, done and counted when workers go."""

from __future__ import annotations

import operator
from collections.abc import Callable, Sequence
from types import SimpleNamespace
from typing import Any

import pytest

from elat.core.errors import ElatError, UnavailableError
from elat.flows import course_of_items
from elat.flows.course_of_items import LOSSES, RETRIES, CourseOfItems
from elat.search.executor import Outcome

distributed = pytest.importorskip(
    "distributed", reason="needs the package distributed (elat[distributed])"
)


class ScriptedFuture:
    """A booking as the client sees it."""

    def __init__(self, key: str, call: Callable[[], Any]) -> None:
        self.key, self.call = key, call
        self.status = "pending"
        self.raised: Exception | None = None
        self.slow = 0
        self.patience_s: list[float] = []
        self._tell: Callable[[ScriptedFuture], None] = lambda future: None

    def add_done_callback(self, tell: Callable[[ScriptedFuture], None]) -> None:
        self._tell = tell
        if self.status != "pending":
            tell(self)

    def becomes(self, status: str) -> None:
        self.status = status
        self._tell(self)

    def result(self, timeout: float) -> Any:
        self.patience_s.append(timeout)
        if self.status != "finished" or len(self.patience_s) <= self.slow:
            raise TimeoutError
        return self.call()

    def exception(self) -> Exception | None:
        return self.raised


class ScriptedClient:
    """Every submission takes the next step of the script; the last one is taken on and on.

    A worker that goes comes back with another address, as under a nanny.
    """

    def __init__(self, *script: Step, workers: int = 2) -> None:
        self._script = list(script)
        self._started = 0
        self._events: dict[str, list[Any]] = {}
        self.known: dict[str, int] = {}
        self.starting: set[str] = set()
        self.bookings: list[tuple[int, str]] = []
        self.futures: list[ScriptedFuture] = []
        self.scheduler = SimpleNamespace(ncores_running=self._running)
        self.started = [self.start() for _ in range(workers)]

    def start(self) -> str:
        self._started += 1
        address = f"tcp://worker:{self._started}"
        self.known[address] = 1
        self._events[address] = [(0.0, {"action": "add-worker"}), (0.0, "logged by someone")]
        return address

    def remove(self, address: str, *processing: str, expected: bool = False) -> None:
        del self.known[address]
        event = {
            "action": "remove-worker", "expected": expected, "processing-tasks": set(processing),
        }  # fmt: skip
        self._events[address].append((0.0, event))
        self.start()

    def nthreads(self) -> dict[str, int]:
        return dict(self.known)

    def _running(self) -> dict[str, int]:
        return {address: n for address, n in self.known.items() if address not in self.starting}

    def sync(self, question: Callable[[], Any]) -> Any:
        return question()

    def get_events(self, address: str) -> Sequence[Any]:
        return self._events.get(address, ())

    def submit(
        self, call: Callable[..., Any], *arguments: Any,
        key: str, pure: bool, workers: list[str], allow_other_workers: bool,
    ) -> ScriptedFuture:  # fmt: skip
        (address,) = workers
        assert not pure
        assert not allow_other_workers
        self.bookings.append((int(key.split("-")[-1]), address))
        future = ScriptedFuture(key, lambda: call(*arguments))
        self.futures.append(future)
        step = self._script.pop(0) if len(self._script) > 1 else self._script[0]
        step(self, future, address)
        return future

    def cancel(self, futures: list[ScriptedFuture]) -> None:
        for future in futures:
            future.becomes("cancelled")


Step = Callable[[ScriptedClient, ScriptedFuture, str], None]


def answers(client: ScriptedClient, future: ScriptedFuture, address: str) -> None:
    future.becomes("finished")


def answers_slowly(client: ScriptedClient, future: ScriptedFuture, address: str) -> None:
    future.slow = 2
    future.becomes("finished")


def answers_and_dies(client: ScriptedClient, future: ScriptedFuture, address: str) -> None:
    future.slow = 99
    future.becomes("finished")
    client.remove(address)


def loses(client: ScriptedClient, future: ScriptedFuture, address: str) -> None:
    future.becomes("lost")


def never_starts(client: ScriptedClient, future: ScriptedFuture, address: str) -> None:
    client.remove(address)


def is_told_to_close(client: ScriptedClient, future: ScriptedFuture, address: str) -> None:
    client.remove(address, future.key, expected=True)


def dies_silently(client: ScriptedClient, future: ScriptedFuture, address: str) -> None:
    client.remove(address, future.key)


def dies(client: ScriptedClient, future: ScriptedFuture, address: str) -> None:
    """The scheduler says so at once, and the worker is gone from its list, too."""
    client.remove(address, future.key)
    future.raised = distributed.KilledWorker(future.key, None, 0)
    future.becomes("error")


def dies_at_its_address(client: ScriptedClient, future: ScriptedFuture, address: str) -> None:
    """The worker came back where it was, and the scheduler tried again by itself."""
    future.raised = distributed.KilledWorker(future.key, None, RETRIES)
    future.becomes("error")


def fails_and_dies(client: ScriptedClient, future: ScriptedFuture, address: str) -> None:
    future.raised = ZeroDivisionError("no ElatError")
    future.becomes("error")
    client.remove(address)


def loses_the_scheduler(client: ScriptedClient, future: ScriptedFuture, address: str) -> None:
    future.becomes("cancelled")


@pytest.fixture(autouse=True)
def hasty(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(course_of_items, "_POLL_S", 0.01)


def course(client: ScriptedClient, number: int = 1) -> list[Outcome[int]]:
    found = list(CourseOfItems(client, operator.neg, [(i,) for i in range(number)]).outcomes())
    left = {future.status for future in client.futures}
    assert left <= {"finished", "error", "cancelled"}, "nothing waits for a worker's return"
    return found


def values(outcomes: list[Outcome[int]]) -> list[tuple[int, int]]:
    return sorted((outcome.index, outcome.result) for outcome in outcomes)


def test_items_go_where_a_worker_is_free() -> None:
    client = ScriptedClient(answers)
    assert values(course(client, 5)) == [(i, -i) for i in range(5)]
    assert sorted(index for index, _ in client.bookings) == list(range(5))
    assert {address for _, address in client.bookings} == set(client.started)


def test_a_worker_that_does_not_run_yet_gets_nothing() -> None:
    client = ScriptedClient(answers)
    first, second = client.started
    client.starting = {second}
    assert values(course(client, 3)) == [(i, -i) for i in range(3)]
    assert client.bookings == [(i, first) for i in range(3)]


@pytest.mark.parametrize("step", [never_starts, is_told_to_close, answers_and_dies, loses])
def test_an_item_whose_worker_went_is_done_on_another(step: Step) -> None:
    losses = [step] * (RETRIES + 1)
    client = ScriptedClient(*losses, answers, workers=1)
    assert values(course(client)) == [(0, 0)], "these are no deaths"
    assert len(client.bookings) == len(losses) + 1
    if step is not loses:
        assert len({address for _, address in client.bookings}) == len(losses) + 1


@pytest.mark.parametrize("step", [never_starts, is_told_to_close, answers_and_dies, loses])
def test_an_item_whose_workers_go_on_and_on_fails(step: Step) -> None:
    client = ScriptedClient(step)
    (outcome,) = course(client)
    assert len(client.bookings) == LOSSES + 1
    with pytest.raises(ElatError, match=rf"Item 0, .*neg.* went away {LOSSES + 1} times"):
        _ = outcome.result


def test_the_other_items_are_done_once() -> None:
    client = ScriptedClient(answers, never_starts, answers, dies, answers)
    assert values(course(client, 4)) == [(i, -i) for i in range(4)]
    times = [sum(index == i for index, _ in client.bookings) for i in range(4)]
    assert sorted(times) == [1, 1, 2, 2]


@pytest.mark.parametrize("step", [dies, dies_silently])
def test_a_death_counts_once_however_it_is_heard_of(step: Step) -> None:
    client = ScriptedClient(*[step] * RETRIES, answers)
    assert values(course(client)) == [(0, 0)]
    assert len(client.bookings) == RETRIES + 1
    client = ScriptedClient(step)
    (outcome,) = course(client)
    assert len(client.bookings) == RETRIES + 1
    with pytest.raises(ElatError, match=f"its worker died {RETRIES + 1} times"):
        _ = outcome.result


def test_deaths_that_the_scheduler_saw_by_itself_count() -> None:
    client = ScriptedClient(dies_at_its_address)
    (outcome,) = course(client)
    assert len(client.bookings) == 1
    with pytest.raises(ElatError, match=f"its worker died {RETRIES + 1} times") as caught:
        _ = outcome.result
    assert isinstance(caught.value.__cause__, distributed.KilledWorker)


def test_an_error_outlives_its_worker() -> None:
    client = ScriptedClient(fails_and_dies)
    found = course(client, 2)
    assert len(client.bookings) == 2
    assert all("no ElatError" in str(outcome.error) for outcome in found)


def test_a_result_that_takes_its_time_is_waited_for() -> None:
    client = ScriptedClient(answers_slowly)
    assert values(course(client)) == [(0, 0)]
    (future,) = client.futures
    assert future.patience_s == [0.01, 0.02, 0.04]


def test_a_scheduler_that_went_away_ends_the_course() -> None:
    with pytest.raises(UnavailableError, match="scheduler went away"):
        course(ScriptedClient(loses_the_scheduler))
