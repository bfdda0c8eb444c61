"""The process that times cases through benchmark_model on another device.

`python -m elat.latency.benchmark_model.worker CARD` speaks the JSON lines of
`elat.latency.worker` with its parent, and the transport of CARD with the device. A group is one
run there (`run.py`): shuffled passes in which each case is an invocation of the program, whose
runs are a sample.
"""

from __future__ import annotations

import json
import sys
import threading
import time
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager, suppress
from dataclasses import dataclass
from datetime import UTC, datetime
from functools import partial
from math import ceil, sqrt
from typing import Any, TextIO

from ...core.config import parse
from ...core.errors import ConfigError, DeviceHangError, MeasurementError, WrongOutputError
from ...core.seeding import numpy_generator
from ...devices.device import Device, device_of
from ...devices.phone import PhoneState, identify, read_phone, wait_until_ready
from ...devices.reach import transport_to
from ..condition import Cache, Condition
from ..launch import Launch
from ..launcher import RUN_TIMEOUT
from ..protocol import Protocol
from ..remote.patience import Patience
from ..request import CASE_ERRORS, Request, described
from ..sample import Sample
from ..serving import Server, serve_standard_streams
from .carried import bring
from .options import BenchmarkModelOptions, delegate_flags
from .order import Invocation, neighbours, shuffled
from .place import program_on
from .prepared import Prepared, prepare
from .results import Ended
from .run import Found, Line, Runner
from .told import Coverage, Told, failure_of, is_too_late, read_told

MOST_PASSES = 10
"""Invocations of each case in a launch at most: as many samples as tell their spread."""

_WARM_UP_S = RUNS_S = 0.03
_FEWEST_RUNS = 3
_BEAT_S = 2.0
_NO_ENERGY = "benchmark_model reads no meter."


@dataclass(frozen=True)
class _Timed:
    """The invocations of one case, in the order in which they ran."""

    told: tuple[Told, ...]
    sentinel: tuple[Sample, ...]
    output_error: float | None


class BenchmarkModelWorker(Server):
    """Takes a launch of each case of a group in one run on the device."""

    def __init__(self, out: TextIO, device: Device) -> None:
        super().__init__(out)
        self._device = device
        self._lock = threading.Lock()
        self._transport = transport_to(device)
        self._patience = Patience(device.id, self._sleep)
        self._is_alone = threading.Event()
        self._who: dict[str, Any] | None = None

    def _fingerprint(self) -> dict[str, Any]:
        """Nothing: what is measured is the device, which tells its own with every launch."""
        return {}

    def _answer_request(self, request: Request) -> None:
        """Time the group's cases, and answer each."""
        _refuse(request)
        options = parse(
            BenchmarkModelOptions, dict(request.condition.options), "benchmark_model options"
        )
        with self._signs_of_life(request):
            runner = self._runner(request)
            environment = self._environment()
            prepared = self._prepare(request)
            if not prepared:
                return
            sentinel = None if request.sentinel is None else prepare(request.sentinel)
            self._bring([*prepared.values(), *([] if sentinel is None else [sentinel])])
            group = _Group(request, list(prepared), list(prepared.values()), sentinel, options)
            asked_s = time.time()
            before = self._ready()
            key = runner.key_of(group.lines, request.seed)
            found = runner.carry_out(key, group.lines)
            after = self._patience.persist(partial(read_phone, self._transport))
            # Before it is answered: a run that is found again would be stored twice. Where nobody
            # is there to answer to, this ends the process, and the next one takes the run up.
            self._say({"at": group.cases[0], "phase": "run"})
            runner.forget(key)
        began_s = asked_s if found.began_s is None else found.began_s
        started = datetime.fromtimestamp(began_s, UTC).isoformat()
        for case in group.cases:
            self._answer(case, group, found, started, (before, after), environment)
        self._group += 1

    def _runner(self, request: Request) -> Runner:
        mask = "" if request.affinity is None else f"{sum(1 << cpu for cpu in request.affinity):x}"
        return Runner(
            self._transport,
            self._patience,
            program_on(self._device),
            limit_of(request.protocol),
            mask,
            self._sleep,
        )

    def _sleep(self, pause_s: float) -> None:
        """Wait, and end where the parent is gone: the next one takes the run up."""
        time.sleep(pause_s)
        if self._is_alone.is_set():
            raise BrokenPipeError

    def _environment(self) -> dict[str, Any]:
        """What the device is, asked once."""
        if self._who is None:
            self._who = self._patience.persist(partial(identify, self._transport))
        return {"device": self._who}

    def _prepare(self, request: Request) -> dict[str, Prepared]:
        """The cases that can be brought; the others are answered."""
        found: dict[str, Prepared] = {}
        for case, folder, _ in request.cases:
            self._say({"at": case, "phase": "load"})
            try:
                found[case] = prepare(folder)
            except CASE_ERRORS as error:
                self._say({"case": case, "error": described(error)})
        self._say({"at": "", "phase": "run"})
        return found

    def _bring(self, models: Sequence[Prepared]) -> None:
        """Have `models` on the device."""
        carried = [model.carried for model in models]
        bring(carried, self._transport, self._patience, f"models-{self._identity}.tar")

    def _ready(self) -> PhoneState:
        """The device's state, once its gates let a run begin."""
        return wait_until_ready(
            lambda: self._patience.persist(partial(read_phone, self._transport)),
            self._device.gates,
            lambda: None,
            self._sleep,
            time.monotonic,
            name=self._device.id,
        )

    def _answer(
        self,
        case: str,
        group: _Group,
        found: Found,
        started: str,
        states: tuple[PhoneState, PhoneState],
        environment: dict[str, Any],
    ) -> None:
        self._order += 1
        try:
            timed = group.timed(case, found)
        except DeviceHangError as error:
            self._say({"case": case, "error": {"class": RUN_TIMEOUT, "message": str(error)}})
            return
        except CASE_ERRORS as error:
            self._say({"case": case, "error": described(error)})
            return
        told = timed.told
        launch = Launch(
            worker=f"{self._identity}/{self._group}",
            order=self._order - 1,
            started_utc=started,
            init_ms=told[0].init_ms,
            first_call_ms=told[0].first_call_ms,
            warmup_calls=sum(one.warmup_calls for one in told),
            is_warm=2 * sum(one.is_steady for one in told) > len(told),
            output_error=timed.output_error,
            samples=tuple(one.sample for one in told),
            sentinel=timed.sentinel,
            energy=None if group.request.energy is None else {"error": _NO_ENERGY},
        )
        self._say(
            {
                "case": case,
                "launch": launch.to_json(),
                "state": _state(states, told) | {"parts": found.parts},
                "environment": environment,
            }
        )

    @contextmanager
    def _signs_of_life(self, request: Request) -> Iterator[None]:
        """Say every few seconds that this process is there: all that it waits for has limits."""
        is_over = threading.Event()
        first = request.cases[0][0] if request.cases else ""

        def beat() -> None:
            while not is_over.wait(_BEAT_S):
                try:
                    self._say({"at": first, "phase": "run"})
                except (BrokenPipeError, ValueError):
                    self._is_alone.set()
                    return

        beating = threading.Thread(target=beat, daemon=True)
        beating.start()
        try:
            yield
        finally:
            is_over.set()
            beating.join()

    def _say(self, message: dict[str, Any]) -> None:
        with self._lock:
            super()._say(message)


class _Group:
    """The cases of one request as a run: its lines, and what they found for each case."""

    def __init__(
        self,
        request: Request,
        cases: list[str],
        models: list[Prepared],
        sentinel: Prepared | None,
        options: BenchmarkModelOptions,
    ) -> None:
        self.request = request
        self.cases = cases
        # The fixed model is the last one, which its place of -1 means.
        self._models = [*models, *([] if sentinel is None else [sentinel])]
        self._checks, self._delegate = options.check, options.delegate
        self._limit_s = limit_of(request.protocol)
        known = {case: slices for case, _, slices in request.cases}
        self._order = shuffled(
            [known[case] for case in cases],
            passes_of(request.protocol),
            0 if sentinel is None else request.protocol.sentinel_every,
            numpy_generator(request.seed, "passes"),
        )
        flags = run_flags(request.condition, request.protocol, options)
        self.lines = [self._line(call, flags) for call in self._order]
        self._beside = neighbours(self._order)

    def timed(self, case: str, found: Found) -> _Timed:
        """What `found` says of `case`.

        Raises:
            MeasurementError: An invocation failed, or the output is wrong.
        """
        place = self.cases.index(case)
        model = self._models[place]
        if reason := found.condemned.get(model.carried.key):
            raise DeviceHangError(f"{reason}, and it was left out")
        calls = [call for call in self._order if call.model == place]
        told = tuple(self._told(found.ended[call.number]) for call in calls)
        return _Timed(told, self._speeds(calls, found), self._error(model, calls[0], found))

    def _told(self, ended: Ended) -> Told:
        if ended.end != 0:
            failure = failure_of(ended, self._limit_s)
            late = is_too_late(ended, self._limit_s)
            raise DeviceHangError(str(failure)) if late else failure
        return read_told(ended.log, self._delegate)

    def _error(self, model: Prepared, first: Invocation, found: Found) -> float | None:
        if not self._checks:
            return None
        raw = found.outputs.get(first.number)
        if raw is None:
            raise WrongOutputError(
                "benchmark_model wrote no output that could be compared with torch's, or one of "
                f"more than the model's {model.output_bytes} bytes."
            )
        return model.check(raw)

    def _speeds(self, calls: Sequence[Invocation], found: Found) -> tuple[Sample, ...]:
        """The fixed model beside each of `calls`; nothing where one of them is missing."""
        speeds = []
        for call in calls:
            beside = [found.ended.get(number) for number in self._beside.get(call.number, ())]
            try:
                before, after = (self._told(one).sample for one in beside if one is not None)
            except (MeasurementError, DeviceHangError, ValueError):
                return ()
            speeds.append(before + after)
        return tuple(speeds)

    def _line(self, call: Invocation, flags: Sequence[str]) -> Line:
        model = self._models[call.model]
        carried, saves = model.carried, call.saves_output and self._checks
        return Line(
            carried.key,
            carried.folder,
            saves,
            (*carried.flags, *flags),
            longest_output_bytes=model.output_bytes,
        )


def passes_of(protocol: Protocol) -> int:
    """How often a launch runs each case: a process more costs more than a slice more."""
    return min(MOST_PASSES, protocol.passes)


def limit_of(protocol: Protocol) -> int:
    """Seconds that an invocation may take."""
    return ceil(protocol.timeout_s)


def run_flags(
    condition: Condition, protocol: Protocol, options: BenchmarkModelOptions
) -> list[str]:
    """The flags of an invocation besides the model's own.

    An invocation is short and there are many, in shuffled passes: a fresh process pays its start
    each time, and the speed of the device at one moment is shared by all.
    """
    lasts_s = max(RUNS_S, protocol.passes * protocol.slice_ms / 1e3 / passes_of(protocol))
    return [
        f"--num_threads={condition.threads}",
        "--warmup_runs=2",
        f"--warmup_min_secs={_WARM_UP_S:g}",
        f"--num_runs={_FEWEST_RUNS}",
        f"--min_secs={lasts_s:g}",
        f"--max_secs={limit_of(protocol)}",
        *delegate_flags(options, condition.precision),
    ]


def _refuse(request: Request) -> None:
    """Refuse what the program cannot do.

    Raises:
        ConfigError: Cold caches are asked for.
    """
    if request.condition.cache is Cache.COLD:
        raise ConfigError(
            "benchmark_model cannot empty the caches between runs; set cache: hot in the device "
            "card."
        )


def _state(states: tuple[PhoneState, PhoneState], told: Sequence[Told]) -> dict[str, Any]:
    """What is to be noted of a launch: the device after the run, and what ran the model."""
    before, after = states
    # Of all invocations: a delegate may have failed in a later one alone.
    coverage: Mapping[Coverage, None] = dict.fromkeys(c for one in told for c in one.coverage)
    runs = sorted(one.sample.loops for one in told)[len(told) // 2]
    found: Mapping[str, Any] = {
        "before": before.to_json(),
        "has_restarted": after.has_restarted_since(before),
        "delegation": [one.to_json() for one in coverage],
        "statistic": "median" if all(one.has_median for one in told) else "mean",
        # Each run is off by a microsecond at most, either way: so much is their sum.
        "clock_resolution_ns": round(1e3 * sqrt(runs)),
    }
    return {**after.to_json(), **found}


def main() -> None:
    """Serve standard input and output, for the device whose card is the argument."""
    device = device_of(json.loads(sys.argv[1]), "the card")

    def serve(stdin: TextIO, stdout: TextIO) -> None:
        with suppress(BrokenPipeError):
            BenchmarkModelWorker(stdout, device).serve(iter(stdin))

    serve_standard_streams(serve)


if __name__ == "__main__":
    main()
