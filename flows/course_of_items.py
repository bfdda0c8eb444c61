"""Items on the workers of a Dask cluster, so that a worker that dies costs only what it worked on.

An item is booked on one worker and runs there or nowhere. The scheduler knows a worker for a while
before it lets it run anything; an item that another worker might take meanwhile could kill that
one together with a result that still lies on it.
"""

from __future__ import annotations

import pickle
import reprlib
import uuid
from collections import Counter, deque
from collections.abc import Callable, Iterator, Sequence
from concurrent.futures import CancelledError
from queue import Empty, SimpleQueue
from typing import Any, Generic, TypeVar, cast

from ..core.errors import ElatError, UnavailableError
from ..search.executor import Outcome
from .parallel import portable

T = TypeVar("T")

RETRIES = 3
# Workers also go for reasons of their own, before an item starts or by the hour.
LOSSES = 10
_POLL_S = 1.0


class CourseOfItems(Generic[T]):
    """Hands items to idle workers and takes what comes back.

    A worker gets an item only when its last result is here: else a result that lies on the worker
    would go down with it, because of the next item.

    Args:
        client: A Dask client.
        function: Importable by its name.
        items: Arguments of `function`, which travel to the worker.

    Raises:
        ValueError: Workers cannot import `function` by its name.
    """

    def __init__(
        self, client: Any, function: Callable[..., T], items: Sequence[tuple[Any, ...]]
    ) -> None:
        _check_importable(function)
        self._client, self._function, self._items = client, function, items
        self._waiting = deque(range(len(items)))
        self._deaths: Counter[int] = Counter()
        self._losses: Counter[int] = Counter()
        # An item is here, once, from its booking until what became of the booking is decided.
        self._booked: dict[Any, tuple[int, str]] = {}
        self._done: SimpleQueue[Any] = SimpleQueue()

    def outcomes(self) -> Iterator[Outcome[T]]:
        """Yields what becomes of every item.

        Raises:
            UnavailableError: The scheduler went away.
        """
        while self._waiting or self._booked:
            yield from self._from_gone_workers()
            self._hand_out()
            try:
                future = self._done.get(timeout=_POLL_S)
            except Empty:
                # Workers may have come, or gone, meanwhile.
                continue
            # What was cancelled here is done, too, but decided already.
            if future in self._booked and (outcome := self._taken(future)):
                yield outcome

    def cancel(self) -> None:
        """Forget what is under way."""
        self._client.cancel(list(self._booked))

    def _hand_out(self) -> None:
        if not self._waiting:
            return
        free = Counter(running_threads(self._client))
        free.subtract(address for _, address in self._booked.values())
        for address in (+free).elements():
            if not self._waiting:
                return
            index = self._waiting.popleft()
            future = self._client.submit(
                _called, self._function, self._items[index],
                key=f"elat-{uuid.uuid4().hex}-{index}", pure=False,
                workers=[address], allow_other_workers=False,
            )  # fmt: skip
            self._booked[future] = (index, address)
            future.add_done_callback(self._done.put)

    def _from_gone_workers(self) -> Iterator[Outcome[T]]:
        """Takes back the items whose worker is gone; Dask would keep them for its return."""
        if not self._booked:
            return
        known = threads(self._client)
        for future, (_, address) in list(self._booked.items()):
            # An error is here already, and on its way to be taken.
            if address in known or future.status in ("error", "cancelled"):
                continue
            if outcome := self._taken_back(future):
                yield outcome

    def _taken(self, future: Any) -> Outcome[T] | None:
        """What the done `future` holds; None if its item waits again."""
        from distributed import KilledWorker

        index, address = self._booked[future]
        if future.status == "cancelled":
            raise _gone()
        if future.status != "error":
            answer = self._fetched(future, address)
            if answer is None:
                return self._taken_back(future)
            del self._booked[future]
            return Outcome(index, *answer)
        del self._booked[future]
        raised = future.exception()
        if isinstance(raised, KilledWorker):
            # The scheduler may have tried by itself, on a worker that came back to its address.
            return self._died(index, raised.allowed_failures + 1, raised)
        return self._failed(index, f"{type(raised).__name__}: {raised}", raised)

    def _fetched(self, future: Any, address: str) -> tuple[T | None, ElatError | None] | None:
        """What `future` holds at `address`; None if it went down with its worker."""
        from distributed import KilledWorker

        patience_s = _POLL_S
        while future.status != "lost":
            try:
                return cast(tuple[T | None, ElatError | None], future.result(timeout=patience_s))
            except TimeoutError:
                # Dask waits for a worker that is gone; a large result just takes its time.
                if address not in threads(self._client):
                    return None
                patience_s *= 2
            except KilledWorker:
                # It was lost, and done again by a worker that came back to its address.
                return None
            except (OSError, CancelledError) as error:
                raise _gone() from error
        return None

    def _taken_back(self, future: Any) -> Outcome[T] | None:
        """Cancels `future`, whose worker is gone; None if its item waits again."""
        index, address = self._booked.pop(future)
        deaths = _deaths(self._client, future.key, address)
        self._client.cancel([future])
        if deaths:
            return self._died(index, deaths)
        self._losses[index] += 1
        if self._losses[index] > LOSSES:
            return self._failed(index, f"its worker went away {self._losses[index]} times")
        self._waiting.append(index)
        return None

    def _died(
        self, index: int, deaths: int, raised: BaseException | None = None
    ) -> Outcome[T] | None:
        self._deaths[index] += deaths
        if self._deaths[index] > RETRIES:
            said = f"its worker died {self._deaths[index]} times, killed or out of memory"
            return self._failed(index, said, raised)
        self._waiting.append(index)
        return None

    def _failed(self, index: int, said: str, raised: BaseException | None = None) -> Outcome[T]:
        call = reprlib.repr(f"{_name(self._function)}{self._items[index]!r}")
        failure = ElatError(f"Item {index}, {call}, failed: {said}.")
        failure.__cause__ = raised
        return Outcome(index, None, failure)


def threads(client: Any) -> dict[str, int]:
    """How many threads each worker that the scheduler of `client` knows has, by address.

    Raises:
        UnavailableError: The scheduler went away.
    """
    return dict(_asked(client.nthreads))


def running_threads(client: Any) -> dict[str, int]:
    """The same for workers that may get items by now: no new ones, paused ones or leaving ones."""
    return dict(_asked(client.sync, client.scheduler.ncores_running))


def _deaths(client: Any, key: str, address: str) -> int:
    """How many times the worker at `address` died with the item `key`.

    Zero if the item never got there, if its result was there already, or if the worker was told
    to close.
    """
    events = (event for _, event in _asked(client.get_events, address))
    return sum(
        event["action"] == "remove-worker"
        and not event["expected"]
        and key in event["processing-tasks"]
        for event in events
        # Anyone may log anything.
        if isinstance(event, dict) and "action" in event
    )


def _asked(question: Callable[..., Any], *arguments: Any) -> Any:
    try:
        return question(*arguments)
    except OSError as error:
        raise _gone() from error


def _called(
    function: Callable[..., T], item: tuple[Any, ...]
) -> tuple[T | None, ElatError | None]:
    """On the worker: the value, or the error of this package that the item raised."""
    try:
        return function(*item), None
    except ElatError as error:
        return None, portable(error)


def _gone() -> UnavailableError:
    return UnavailableError(
        "The scheduler went away before the work was done; run the same command again to go on "
        "where it stopped."
    )


def _check_importable(function: Callable[..., Any]) -> None:
    try:
        pickle.dumps(function)
    except (pickle.PicklingError, AttributeError, TypeError) as error:
        raise ValueError(
            f"{_name(function)} cannot travel to a worker; define it at the top of a module."
        ) from error


def _name(function: Callable[..., Any]) -> str:
    return cast(str, getattr(function, "__qualname__", repr(function)))
