"""A device on which benchmark_model profiles models, and times them in other processes.

All models that are handed over together are one run there (`latency/benchmark_model/run.py`):
invocations that profile and invocations that do not, in shuffled passes.
"""

from __future__ import annotations

import time
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from functools import partial
from math import ceil
from statistics import median
from typing import Any, ClassVar

from ...core.config import parse
from ...core.errors import ConfigError, MeasurementError, UnavailableError
from ...core.seeding import numpy_generator
from ...devices.device import Device
from ...devices.phone import identify, read_phone, wait_until_ready
from ..benchmark_model.carried import Carried, bring
from ..benchmark_model.options import BenchmarkModelOptions, Delegate, delegate_flags
from ..benchmark_model.order import shuffled
from ..benchmark_model.place import Held, flags_of, held
from ..benchmark_model.run import Found, Line, Runner
from ..benchmark_model.told import failure_of
from ..condition import Condition
from .bench import Bench, Effort, Seen, Subject, probes
from .combine import Pass, Probe, Unprofiled
from .model_file import ModelFile
from .op_table import raw_profile, unprofiled_ms
from .raw import RawProfile

_PROFILES = "enable_op_profiling"
_MODE, _BUFFER = "op_profiling_output_mode", "max_profiling_buffer_entries"
_KNOWN_BUFFER = 1024
_LONGEST_LOG = 65536
_PIECES, _TIMINGS = 8, 5
_FEWEST_RUNS = 3
_WARM_UP_S, _PROFILED_S, _TIMED_S = 0.03, 0.01, 0.1
_LIMIT_S = 120


@contextmanager
def open_program_bench(device: Device) -> Iterator[ProgramBench]:
    """The device, ready to profile with the program of its card, and held for this process alone.

    Raises:
        UnavailableError: The program is missing, is not the right one, or cannot profile.
        TransportError: The device does not answer, is used by another process, or has no room.
    """
    with held(device) as found:
        flags = flags_of(found.transport, found.patience, found.program)
        if _PROFILES not in flags:
            raise UnavailableError(
                f"The program of {device.id} cannot profile: it has no flag {_PROFILES}. Take a "
                "build with it for program.path of the card, such as those that TensorFlow "
                "publishes as benchmark_model; what needs no profile is elat measure with the "
                "method block, slope, isolated or in_situ."
            )
        who = found.patience.persist(partial(identify, found.transport))
        yield ProgramBench(device, found, flags, who)


@dataclass(frozen=True)
class ProgramBench(Bench):
    """A device that is held, with its program. Made by `open_program_bench`.

    Attributes:
        flags: That the program has.
        who: What the device is.
    """

    device: Device
    held: Held
    flags: frozenset[str]
    who: Mapping[str, Any]
    group: ClassVar[int] = 16

    @property
    def environment(self) -> Mapping[str, Any]:
        return {"device": self.who}

    def unavailable_reason(self, condition: Condition) -> str | None:
        if condition.runtime == "benchmark_model":
            return None
        return f"{self.device.id} is held for benchmark_model, not for {condition.runtime}."

    def see(
        self, subjects: Sequence[Subject], condition: Condition, effort: Effort
    ) -> Iterator[Seen | MeasurementError]:
        if not subjects:
            return
        chains = probes(condition)
        pieces = min(_PIECES, effort.runs)
        models = [*(subject.model for subject in subjects), *chains]
        options = _options(condition)
        plan = _Plan(
            models,
            [pieces] * len(subjects) + [1] * len(chains),
            effort.processes,
            # Chains may be left to the CPU where the model itself may not.
            [self._own(model, options.whole) for model in models[: len(subjects)]],
        )
        found = self._carry_out(plan, condition, ceil(effort.runs / pieces))
        for place in range(len(subjects)):
            yield _seen(plan, found, place, options.delegate)

    def times_ms(self, subjects: Sequence[Subject], condition: Condition) -> list[float]:
        plan = _Plan([subject.model for subject in subjects], [0] * len(subjects), _TIMINGS)
        found = self._carry_out(plan, condition, 1)
        asked = _options(condition).delegate
        return [
            median(plan.time_ms(found, place, number, asked) for number in range(_TIMINGS))
            for place in range(len(subjects))
        ]

    def _carry_out(self, plan: _Plan, condition: Condition, runs: int) -> Found:
        """What the invocations of `plan` print, profiling `runs` runs at least in each."""
        self.held.claim.check()
        transport, patience = self.held.transport, self.held.patience
        lines = plan.lines(self._flags(condition, None), self._flags(condition, runs))
        affinity = self.device.affinity
        mask = "" if affinity is None else f"{sum(1 << cpu for cpu in affinity):x}"
        runner = Runner(transport, patience, self.held.program, _LIMIT_S, mask)
        key = runner.key_of(lines, 0)
        bring(plan.carried, transport, patience, f"models-{key}.tar")
        wait_until_ready(
            lambda: patience.persist(partial(read_phone, transport)),
            self.device.gates,
            lambda: None,
            time.sleep,
            time.monotonic,
            name=self.device.id,
        )
        found = runner.carry_out(key, lines)
        runner.forget(key)
        return found

    def _flags(self, condition: Condition, profiled: int | None) -> list[str]:
        """The flags of an invocation that profiles so many runs at least, or that times."""
        options = _options(condition).model_copy(update={"whole": False})
        lasts_s = _TIMED_S if profiled is None else _PROFILED_S
        flags = [
            f"--num_threads={condition.threads}",
            "--warmup_runs=2",
            f"--warmup_min_secs={_WARM_UP_S:g}",
            f"--num_runs={_FEWEST_RUNS if profiled is None else profiled}",
            f"--min_secs={lasts_s:g}",
            f"--max_secs={_LIMIT_S // 2}",
            *delegate_flags(options, condition.precision),
        ]
        if profiled is None:
            return flags
        table = [f"--{_MODE}=csv"] if _MODE in self.flags else []
        return [*flags, f"--{_PROFILES}=true", *table]

    def _own(self, model: ModelFile, is_whole: bool) -> list[str]:
        """What invocations with `model` are told besides: room for all its nodes in a profile."""
        needed = 4 * len(model.nodes)
        is_needed = needed > _KNOWN_BUFFER and _BUFFER in self.flags
        return [
            *[f"--{_BUFFER}={needed}"] * is_needed,
            *["--require_full_delegation=true"] * is_whole,
        ]


class _Plan:
    """The invocations of one run: in each pass some profile a model and some time it.

    Args:
        models: Of all of them.
        profiles: How many invocations profile each in a pass.
        passes: How many there are.
        own: Flags of the first models, besides.
    """

    def __init__(
        self,
        models: Sequence[ModelFile],
        profiles: Sequence[int],
        passes: int,
        own: Sequence[Sequence[str]] = (),
    ) -> None:
        self.models, self.passes = models, passes
        self._own = own
        self.carried = [_carried(model) for model in models]
        slices = [*profiles, *[_TIMINGS] * len(models)]
        self._pass = sum(slices)
        self._order = shuffled(slices, passes, 0, numpy_generator(0, "profile", "passes"))

    def lines(self, timing: Sequence[str], profiling: Sequence[str]) -> list[Line]:
        """The plan as the device gets it, with the flags of both kinds of invocation."""
        lines = []
        for call in self._order:
            place = call.model % len(self.models)
            carried = self.carried[place]
            kind = profiling if call.model == place else timing
            own = self._own[place] if place < len(self._own) else ()
            flags = (*carried.flags, *kind, *own)
            lines.append(Line(carried.key, carried.folder, False, flags))
        return lines

    def raw(self, found: Found, place: int, number: int, asked: Delegate) -> RawProfile:
        """What pass `number` says of the nodes of the model at `place`."""
        return raw_profile(self.models[place], self._logs(found, place, number, place), asked)

    def time_ms(self, found: Found, place: int, number: int, asked: Delegate) -> float:
        """Time of one run of the model at `place` in pass `number`, without profiling, in ms."""
        logs = self._logs(found, place, number, place + len(self.models))
        return median(unprofiled_ms(log, asked) for log in logs)

    def _logs(self, found: Found, place: int, number: int, kind: int) -> list[bytes]:
        """What the invocations of a kind printed in pass `number`.

        Raises:
            MeasurementError: One of them failed, or printed more than is kept.
        """
        if reason := found.condemned.get(self.carried[place].key):
            raise MeasurementError(f"{reason}, and it was left out.")
        logs = []
        for call in self._order:
            if call.model != kind or call.number // self._pass != number:
                continue
            ended = found.ended[call.number]
            if len(ended.log) >= _LONGEST_LOG:
                raise MeasurementError(
                    f"benchmark_model printed more than {_LONGEST_LOG} bytes, of which no more "
                    "are kept: the model has too many nodes to be profiled through it."
                )
            if ended.end != 0:
                raise failure_of(ended, _LIMIT_S)
            logs.append(ended.log)
        return logs


def _options(condition: Condition) -> BenchmarkModelOptions:
    return parse(BenchmarkModelOptions, dict(condition.options), "benchmark_model options")


def _seen(plan: _Plan, found: Found, place: int, asked: Delegate) -> Seen | MeasurementError:
    """What was found of the model at `place`; the last four models are the chains."""
    places = (place, *range(len(plan.models) - 4, len(plan.models)))
    try:
        taken, timed = [], []
        for number in range(plan.passes):
            raw = [plan.raw(found, at, number, asked) for at in places]
            taken.append(Pass(raw[0], Probe(*raw[1:3]), Probe(*raw[3:5])))
            timed.append(Unprofiled(*(plan.time_ms(found, at, number, asked) for at in places)))
    except MeasurementError as error:
        return error
    return Seen(tuple(taken), tuple(timed))


def _carried(model: ModelFile) -> Carried:
    """`model` with made-up inputs, as the device gets it.

    Raises:
        ConfigError: The program cannot be given one of its inputs.
    """
    if scalar := next((given.name for given in model.inputs if not given.shape), None):
        raise ConfigError(
            f"Input {scalar!r} is a single number without a shape, which benchmark_model cannot "
            "be given; convert the model with an input of shape (1,)."
        )
    inputs = [array.tobytes() for array in model.seeded_inputs()]
    return Carried.of(model.data, inputs, [given.shape for given in model.inputs])
