"""Independent jobs of one thread each, side by side in processes of their own.

A job is iterated in a fresh process; what it yields comes back as it is made. When the parent
dies, however it dies, its jobs stop at their next step, so that nobody else writes their folders.
"""

from __future__ import annotations

import multiprocessing
import os
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from multiprocessing.queues import Queue
from typing import Any

from ..core.errors import ElatError, MeasurementError

_POLL_S, _END_S = 1.0, 20.0


@dataclass(frozen=True)
class Job:
    """`make(*arguments)`, to be iterated to its end; it and what it yields must be picklable."""

    name: str
    make: Callable[..., Iterator[Any]]
    arguments: tuple[Any, ...]


def run_parallel(jobs: Sequence[Job], workers: int) -> Iterator[tuple[str, Any]]:
    """Run `jobs`, at most `workers` at once; yields the job's name with each thing it yields.

    Raises:
        ElatError: What the first failing job raised; the others are stopped.
        MeasurementError: A job's process died.
    """
    context = multiprocessing.get_context("spawn")
    results: Queue[tuple[str, Any]] = context.Queue()
    waiting = list(jobs)
    running: dict[str, Any] = {}
    try:
        while waiting or running:
            while waiting and len(running) < workers:
                job = waiting.pop(0)
                process = context.Process(
                    target=_run, args=(job, results, os.getpid()), daemon=True
                )
                process.start()
                running[job.name] = process
            yield from _collect(results, running)
    finally:
        for process in running.values():
            process.terminate()
        for process in running.values():
            process.join(_END_S)
            if process.is_alive():
                process.kill()
                process.join()


def _collect(
    results: Queue[tuple[str, Any]], running: dict[str, Any]
) -> Iterator[tuple[str, Any]]:
    """What arrives until a job ends or `_POLL_S` passes."""
    from queue import Empty

    try:
        name, item = results.get(timeout=_POLL_S)
    except Empty:
        for name, process in running.items():
            if not process.is_alive() and results.empty():
                raise MeasurementError(
                    f"The process of {name} ended with code {process.exitcode} before its work "
                    "was done; run the same command again to go on."
                ) from None
        return
    if isinstance(item, _Ended):
        running.pop(name).join()
        if item.error is not None:
            raise item.error
        return
    yield name, item


@dataclass(frozen=True)
class _Ended:
    error: ElatError | None


def _run(job: Job, results: Queue[tuple[str, Any]], parent: int) -> None:
    error: ElatError | None = None
    try:
        for item in job.make(*job.arguments):
            results.put((job.name, item))
            if os.getppid() != parent:
                return
    except ElatError as raised:
        error = portable(raised)
    results.put((job.name, _Ended(error)))


def portable(error: ElatError) -> ElatError:
    """`error` as one that survives pickling: of the class that carries a sentence alone."""
    kind = next(k for k in type(error).__mro__ if k.__init__ is ElatError.__init__)  # type: ignore[misc]
    found: ElatError = kind(str(error))
    return found
