"""The fresh process that times groups of cases; `python -m elat.latency.worker`.

It speaks JSON lines, so that it runs here or behind a remote shell, and imports no torch.

    out  {"worker": id, "environment": {...}}                          once, when it is ready
    in   {"group": [{"case": id, "artefact": folder, "slices": 1}, ...], "sentinel": folder | null,
          "condition": {...}, "protocol": {...}, "seed": 0, "affinity": [0] | null,
          "energy": {"power": ..., "gpu": ...} | null}                 of the card; may be missing
    out  {"at": id, "phase": "load" | "run"}                           sign of life
    out  {"case": id, "launch": {...}, "state": {...},
          "environment": {...}}                                        of the runtime, if any; or
    out  {"case": id, "error": {"class": ..., "message": ...}}         one a case
    out  {"error": {"class": ..., "message": ...}}                     the request itself was wrong

It ends when its input ends.
"""

from __future__ import annotations

import gc
import os
import time
from collections.abc import Callable, Iterator
from contextlib import ExitStack, contextmanager
from dataclasses import dataclass
from datetime import UTC, datetime
from pathlib import Path
from typing import Any, TextIO

from ..core.errors import ConfigError
from ..core.seeding import numpy_generator
from ..devices.state import cpu_ticks, state, steal_pct
from .artefacts import read_artefact
from .cold import ColdSession, cache_sweep
from .condition import Cache, Condition
from .energy import EnergyOrder, read_energies
from .launch import Launch
from .request import CASE_ERRORS, Request, described
from .runtimes import Runtime, Session, runtimes
from .serving import Server, serve_standard_streams
from .timing import Slot, WarmUp, interleave, make_slot, warm_up

_SIGN_OF_LIFE_S = 0.5
_COLD_LOOPS = 8


@dataclass(frozen=True)
class _Loaded:
    """A case whose output was right, warm and ready to be timed."""

    case: str
    order: int
    started_utc: str
    init_ms: float
    first_call_ms: float
    output_error: float
    warm: WarmUp
    slot: Slot
    facts: dict[str, Any]


class Worker(Server):
    """Times a group in shuffled passes; keeps the sentinel's session open from group to group."""

    def __init__(self, out: TextIO) -> None:
        super().__init__(out)
        self._kept = ExitStack()
        self._sentinel: tuple[Path, Condition, Slot] | None = None
        self._runtimes: dict[str, Runtime] = {}
        self._sweep: Callable[[], None] | None = None
        self._said_at = 0.0

    def serve(self, lines: Iterator[str]) -> None:
        """Answer every line of `lines` until they end."""
        with self._kept:
            super().serve(lines)

    def _answer_request(self, request: Request) -> None:
        pin(request.affinity)
        runtime = self._runtime(request.condition.runtime)
        self._open_sentinel(request, runtime)
        self._time_group(request, runtime)

    def _runtime(self, name: str) -> Runtime:
        """The runtime called `name`, the same object for every request."""
        if name not in self._runtimes:
            self._runtimes[name] = runtimes[name]()
        return self._runtimes[name]

    def _cache_sweep(self) -> Callable[[], None]:
        """What empties the caches, the same for every request: it holds much memory."""
        if self._sweep is None:
            self._sweep = cache_sweep()
        return self._sweep

    def _time_group(self, request: Request, runtime: Runtime) -> None:
        """Load, check and warm the group's cases, time those that are right, answer each."""
        ticks = cpu_ticks()
        with ExitStack() as stack:
            loaded: list[_Loaded] = []
            for case, folder, repeats in request.cases:
                self._say({"at": case, "phase": "load"})
                try:
                    loaded.append(self._load(case, folder, repeats, request, runtime, stack))
                except CASE_ERRORS as error:
                    self._say({"case": case, "error": described(error)})
            slots = [item.slot for item in loaded]
            with _no_garbage_collection():
                interleave(
                    slots,
                    self._sentinel[2] if self._sentinel else None,
                    request.protocol,
                    numpy_generator(request.seed, "passes"),
                    CASE_ERRORS,
                    lambda index: self._sign_of_life(loaded[index].case),
                )
            found = state() | runtime.state(request.condition)
            if (steal := steal_pct(ticks, cpu_ticks())) is not None:
                found["steal_pct"] = steal
            energies = {} if request.energy is None else self._energies(loaded, request.energy)
            environment = runtime.environment(request.condition)
            for item in loaded:
                self._answer(item, found, energies.get(item.case), environment)
        self._group += 1

    def _energies(self, loaded: list[_Loaded], order: EnergyOrder) -> dict[str, dict[str, Any]]:
        """The energy of every case that was timed, or why there is none."""
        timed = {i.case: i.slot.run_slice for i in loaded if i.slot.error is None}
        return read_energies(
            order, timed, CASE_ERRORS, lambda case: self._say({"at": case, "phase": "run"})
        )

    def _load(
        self,
        case: str,
        folder: Path,
        repeats: int,
        request: Request,
        runtime: Runtime,
        stack: ExitStack,
    ) -> _Loaded:
        started = datetime.now(UTC).isoformat()
        artefact = read_artefact(folder)
        before = time.perf_counter_ns()
        session: Session = stack.enter_context(
            runtime.open(artefact.model_path, artefact.inputs, request.condition)
        )
        init_ms = (time.perf_counter_ns() - before) / 1e6
        first_call_ms = session.time_loops(1).wall_ms
        output_error = artefact.check(session.output())
        protocol = request.protocol
        warm = warm_up(session, protocol, request.condition.clock)
        if request.condition.cache is Cache.COLD and runtime.empties_caches:
            slot = Slot(session, _COLD_LOOPS, settle=0, repeats=repeats)
        elif request.condition.cache is Cache.COLD:
            slot = Slot(
                ColdSession(session, self._cache_sweep()), loops=1, settle=0, repeats=repeats
            )
        else:
            slot = make_slot(session, warm, protocol.slice_ms, protocol, repeats)
        self._order += 1
        return _Loaded(
            case,
            self._order - 1,
            started,
            init_ms,
            first_call_ms,
            output_error,
            warm,
            slot,
            session.facts(),
        )

    def _open_sentinel(self, request: Request, runtime: Runtime) -> None:
        """Open the sentinel that the request names, unless it is the one already open."""
        folder = request.sentinel
        if folder is None:
            self._sentinel = None
            return
        if self._sentinel is not None and self._sentinel[:2] == (folder, request.condition):
            return
        artefact = read_artefact(folder)
        session = self._kept.enter_context(
            runtime.open(artefact.model_path, artefact.inputs, request.condition)
        )
        artefact.check(session.output())
        warm = warm_up(session, request.protocol, request.condition.clock)
        slot = make_slot(session, warm, request.protocol.sentinel_ms, request.protocol)
        self._sentinel = (folder, request.condition, slot)

    def _answer(
        self,
        item: _Loaded,
        found: dict[str, Any],
        energy: dict[str, Any] | None,
        environment: dict[str, Any],
    ) -> None:
        if item.slot.error is not None:
            self._say({"case": item.case, "error": described(item.slot.error)})
            return
        launch = Launch(
            worker=f"{self._identity}/{self._group}",
            order=item.order,
            started_utc=item.started_utc,
            init_ms=item.init_ms,
            first_call_ms=item.first_call_ms,
            warmup_calls=item.warm.calls,
            is_warm=item.warm.is_warm,
            output_error=item.output_error,
            samples=tuple(item.slot.samples),
            sentinel=tuple(item.slot.sentinel),
            energy=energy,
        )
        answer = {"case": item.case, "launch": launch.to_json(), "state": found | item.facts}
        self._say({**answer, "environment": environment} if environment else answer)

    def _sign_of_life(self, case: str) -> None:
        """Name the case about to run, now and then: a write for each slice would disturb it."""
        if time.monotonic() - self._said_at > _SIGN_OF_LIFE_S:
            self._say({"at": case, "phase": "run"})

    def _say(self, message: dict[str, Any]) -> None:
        self._said_at = time.monotonic()
        super()._say(message)


def pin(affinity: tuple[int, ...] | None) -> None:
    """Keep this process on the CPUs `affinity`; None leaves it to the scheduler.

    Raises:
        ConfigError: There are no such CPUs.
    """
    if affinity is None:
        return
    try:
        os.sched_setaffinity(0, affinity)
    except (OSError, ValueError) as error:
        allowed = sorted(os.sched_getaffinity(0))
        raise ConfigError(
            f"Cannot run on CPUs {list(affinity)} ({error}); allowed are {allowed}. Repair "
            "cpu.affinity in the device card."
        ) from error


@contextmanager
def _no_garbage_collection() -> Iterator[None]:
    """Keeps the garbage collector out of what is timed."""
    gc.collect()
    gc.disable()
    try:
        yield
    finally:
        gc.enable()


def serve(stdin: TextIO, stdout: TextIO) -> None:
    """Answer the requests on `stdin` until it ends; a parent that is gone ends it, too."""
    try:
        Worker(stdout).serve(iter(stdin))
    except BrokenPipeError:
        return


def main() -> None:
    """Serve standard input and output."""
    gc.freeze()
    serve_standard_streams(serve)


if __name__ == "__main__":
    main()
