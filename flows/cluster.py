"""Independent evaluations on a Dask cluster: one that is started here, or any by address.

Each worker is a process of its own with one thread, and gets an item when it has none. So a worker
that is killed takes one item with it; a worker takes that item up again, a few times, while
everything else goes on.
"""

from __future__ import annotations

import logging
import os
import sys
import tempfile
from collections.abc import Callable, Iterator, Sequence
from contextlib import ExitStack, contextmanager
from typing import Any, Self, TypeVar

from ..core.errors import ConfigError, UnavailableError
from ..search.executor import Executor, InTurn, Outcome, results
from .course_of_items import CourseOfItems, threads

T = TypeVar("T")

# Every worker has one core: the libraries below must not start threads of their own.
_THREADS = ("OMP_NUM_THREADS", "MKL_NUM_THREADS", "OPENBLAS_NUM_THREADS")
_ENVIRONMENT = dict.fromkeys(_THREADS, "1")
_SETTINGS = {
    # An item whose worker died is handed out again from here.
    "distributed.scheduler.allowed-failures": 0,
    "distributed.scheduler.work-stealing": False,
    "distributed.worker.multiprocessing-method": "spawn",
    "distributed.nanny.environ": _ENVIRONMENT,
    "distributed.nanny.pre-spawn-environ": _ENVIRONMENT,
}
_CONNECT_S = 15


def unavailable_reason() -> str | None:
    """Why there are no clusters here, with the command that changes it; None if there are."""
    from importlib.util import find_spec

    if find_spec("distributed") is None:
        return (
            "Work on several processes or machines needs the package distributed; install it "
            "with: pip install 'elat[distributed]' (a single worker needs nothing)"
        )
    return None


@contextmanager
def open_executor(workers: int, scheduler: str | None = None) -> Iterator[Executor]:
    """Where independent evaluations run, until the block ends.

    Args:
        workers: Processes to start; with 1 everything runs in turn in this process.
        scheduler: Address of a running scheduler whose workers are used instead.

    Raises:
        ConfigError: `workers` is less than 1.
        UnavailableError: The package is missing, or no scheduler answers.
    """
    if workers < 1:
        raise ConfigError(f"{workers} workers were asked for; give at least 1.")
    if workers == 1 and scheduler is None:
        yield InTurn()
        return
    with DaskExecutor(workers, scheduler) as executor:
        yield executor


def usable_cores() -> int:
    """How many cores this process may use."""
    return len(os.sched_getaffinity(0)) if sys.platform == "linux" else os.cpu_count() or 1


class DaskExecutor:
    """An `Executor` on Dask; a context manager, so that no worker outlives the block.

    Args:
        workers: Processes to start on this machine; of no account with `scheduler`.
        scheduler: Address of a running scheduler, `tcp://host:port`. Its workers need elat, and
            the same files under the same paths where items name files.
    """

    def __init__(self, workers: int, scheduler: str | None = None) -> None:
        self._workers, self._scheduler = workers, scheduler
        self._stack = ExitStack()
        self._client: Any = None

    def __enter__(self) -> Self:
        """Start the cluster, or connect to it.

        Raises:
            UnavailableError: The package is missing, or no scheduler or worker answers.
        """
        if reason := unavailable_reason():
            raise UnavailableError(reason)
        from distributed.utils import silence_logging_cmgr

        with ExitStack() as stack:
            # What goes wrong is raised; Dask would print it, too.
            stack.enter_context(silence_logging_cmgr(logging.CRITICAL, "distributed.client"))
            if self._scheduler is None:
                self._client = self._started(stack)
            else:
                self._client = self._connected(stack, self._scheduler)
            self._stack = stack.pop_all()
        return self

    def __exit__(self, *_: object) -> None:
        """Stop what was started here, and what it works on; a scheduler by address stays."""
        self._client = None
        self._stack.close()

    @property
    def width(self) -> int:
        """How many items run at a time; workers that died and come back count."""
        if self._scheduler is None:
            return self._workers
        return max(1, sum(threads(self._client).values()))

    def outcomes(
        self, function: Callable[..., T], items: Sequence[tuple[Any, ...]]
    ) -> Iterator[Outcome[T]]:
        """See `Executor`; a foreign exception arrives as an `ElatError` that it is the cause of.

        Raises:
            ValueError: Workers cannot import `function` by its name.
            UnavailableError: The scheduler went away.
        """
        course = CourseOfItems(self._client, function, items)
        try:
            yield from course.outcomes()
        finally:
            course.cancel()

    def map(
        self, function: Callable[..., T], items: Sequence[tuple[Any, ...]]
    ) -> Iterator[tuple[int, T]]:
        return results(self.outcomes(function, items))

    def _started(self, stack: ExitStack) -> Any:
        import dask
        from distributed import Client, LocalCluster

        folder = stack.enter_context(tempfile.TemporaryDirectory(prefix="elat-cluster-"))
        stack.enter_context(dask.config.set(_SETTINGS))
        cluster = LocalCluster(
            n_workers=self._workers,
            threads_per_worker=1,
            processes=True,
            host="127.0.0.1",
            dashboard_address=None,
            # Without this the web server without pages would still take Dask's usual port.
            scheduler_kwargs={"dashboard_address": "127.0.0.1:0"},
            local_directory=folder,
            # What an item needs is its own affair; Dask would kill workers over its guess.
            memory_limit=0,
            silence_logs=logging.CRITICAL,
        )
        stack.enter_context(cluster)
        return stack.enter_context(Client(cluster, set_as_default=False))

    def _connected(self, stack: ExitStack, address: str) -> Any:
        from distributed import Client

        try:
            client = stack.enter_context(Client(address, timeout=_CONNECT_S, set_as_default=False))
            client.wait_for_workers(1, timeout=_CONNECT_S)
        except ValueError as error:
            raise ConfigError(
                f"{address!r} is no address of a scheduler; give one like tcp://host:8786."
            ) from error
        except TimeoutError as error:
            raise UnavailableError(
                f"The scheduler at {address} has no workers; start one with: "
                f"dask worker {address} --nthreads 1"
            ) from error
        except OSError as error:
            raise UnavailableError(
                f"No scheduler answers at {address}; start one with: dask scheduler"
            ) from error
        return client
