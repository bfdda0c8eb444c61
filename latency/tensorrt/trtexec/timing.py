"""One case through trtexec: built, checked against torch, and timed in one launch."""

from __future__ import annotations

import statistics
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from datetime import UTC, datetime
from math import ceil
from pathlib import Path
from typing import Any

from ....core.errors import MeasurementError
from ...artefacts import Artefact, read_artefact
from ...condition import Condition
from ...imports.trtexec_layers import precisions_of
from ...imports.trtexec_times import WARM_UP_MS
from ...protocol import Protocol
from ...sample import Sample
from ..tensors import TensorInfo
from .command import (
    OUTPUTS,
    TIMES,
    Mode,
    TrtexecOptions,
    check_command,
    ensure_heeded,
    run_command,
)
from .engines import Workshop, ensure_built_here
from .host import Host, LaidOut
from .model_file import read_ends, read_output
from .process import Finished
from .times import median_ms, read_samples
from .tool import Tool

TRIAL = 20
"""Inferences of the run that checks the output; their median tells how many the launch gets."""

MOST = 10_000
"""Inferences of a launch at most."""

_LOADED_S = r"Engine deserialized in ([\d.eE+-]+) sec"
_WARM_UP_CALLS = r"Warmup completed (\d+) queries"
_FACTS = {
    "name": r"\[I\] Selected Device: (.+)",
    "capability": r"\[I\] Compute Capability: (.+)",
}


@dataclass(frozen=True)
class Bench:
    """What times cases under one condition.

    Attributes:
        host: Where `tool` runs.
        gpu: What the driver tells of the GPU; nothing where it cannot be asked.
        beat: Called twice a second while trtexec is at work.
    """

    host: Host
    tool: Tool
    options: TrtexecOptions
    condition: Condition
    protocol: Protocol
    gpu: Mapping[str, Any]
    beat: Callable[[], None]

    @property
    def workshop(self) -> Workshop:
        """What builds the engines."""
        return Workshop(
            self.tool,
            self.options,
            self.condition.precision,
            str(self.gpu.get("name") or ""),
            self.protocol.timeout_s,
            self.beat,
        )

    def run(self, command: Sequence[str], mode: Mode, folder: Path) -> Finished:
        """What `command` printed, its settings as `mode` says.

        Raises:
            MeasurementError: It fails or hangs, or its settings were others.
        """
        finished = self.host.run(command, folder, self.protocol.timeout_s, self.beat)
        ensure_heeded(finished.log, command, mode)
        return finished

    def content(self, path: Path) -> bytes:
        """What trtexec wrote to the file `path`, where it ran.

        Raises:
            MeasurementError: It wrote none.
        """
        try:
            return self.host.content(path)
        except FileNotFoundError:
            raise MeasurementError(f"trtexec ended well and wrote no {path.name}.") from None


@dataclass(frozen=True)
class Timed:
    """What one launch of trtexec found for one case; see `Launch` for what has the same name.

    Attributes:
        facts: What is to be noted of the engine and of the commands.
        gpu: The GPU as trtexec names it.
    """

    started_utc: str
    init_ms: float
    first_call_ms: float
    warmup_calls: int
    is_warm: bool
    output_error: float
    samples: tuple[Sample, ...]
    facts: dict[str, Any]
    gpu: dict[str, str]


def time_case(folder: Path, slices: int, bench: Bench) -> Timed:
    """Build the artefact in `folder` unless it is built, check its output, and time it.

    Args:
        folder: Of the artefact.
        slices: How many times the protocol's share of time it gets.
        bench: What times it.

    Raises:
        UnsupportedOperatorError: TensorRT refuses the model.
        WrongOutputError: The engine computes something else than torch.
        MeasurementError: trtexec fails, hangs, or writes nothing readable.
    """
    started = datetime.now(UTC).isoformat()
    artefact = read_artefact(folder)
    ends = read_ends(artefact.model_path)
    with bench.host.lay_out(artefact, ends, bench.workshop) as laid:
        checked, output_error, first = _check(artefact, ends[-1], laid, bench)
        iterations = iterations_for(median_ms(first[len(first) // 2 :]), slices, bench.protocol)
        launched, samples = _launch(laid, iterations, bench)
    return Timed(
        started_utc=started,
        init_ms=1e3 * float(checked.told(_LOADED_S) or 0.0) or checked.wall_ms,
        first_call_ms=first[0].wall_ms,
        warmup_calls=len(first) + int(launched.told(_WARM_UP_CALLS) or 0),
        is_warm=is_steady(samples, bench.protocol.agreement),
        output_error=output_error,
        samples=samples,
        facts=_facts(laid, checked, launched),
        gpu={key: told for key, form in _FACTS.items() if (told := launched.told(form))},
    )


def iterations_for(run_ms: float, slices: int, protocol: Protocol) -> int:
    """Inferences that last as long as the protocol's slices in all passes, within `MOST`."""
    wanted = ceil(protocol.passes * slices * protocol.slice_ms / run_ms)
    return min(max(wanted, protocol.passes), MOST)


def is_steady(samples: Sequence[Sample], agreement: float) -> bool:
    """Whether the medians of both halves of `samples` agree: nothing was warming up any more."""
    middle = len(samples) // 2
    if middle == 0:
        return False
    early = statistics.median(sample.wall_ms for sample in samples[:middle])
    late = statistics.median(sample.wall_ms for sample in samples[middle:])
    return abs(early - late) <= agreement * min(early, late)


def _check(
    artefact: Artefact, output: TensorInfo, laid: LaidOut, bench: Bench
) -> tuple[Finished, float, tuple[Sample, ...]]:
    """A first run, how far its output is from torch's, and its samples, the very first among them.

    Raises:
        WrongOutputError: It is too far.
        MeasurementError: trtexec fails, hangs, or writes nothing readable.
    """
    mode = Mode.of(bench.options).with_transfers()
    command = check_command(bench.tool, mode, bench.options.gpu, laid.plan, laid.inputs, TRIAL)
    finished = bench.run(command, mode, laid.folder)
    ensure_built_here(laid.description, laid.where, finished)
    error = artefact.check(read_output(bench.content(laid.folder / OUTPUTS), output))
    times = bench.content(laid.folder / TIMES)
    return finished, error, read_samples(times, bench.condition.interval, 0)


def _launch(laid: LaidOut, iterations: int, bench: Bench) -> tuple[Finished, tuple[Sample, ...]]:
    mode = Mode.of(bench.options)
    warm_up_ms = int(max(WARM_UP_MS, bench.protocol.warmup_min_ms))
    command = run_command(
        bench.tool, mode, bench.options.gpu, laid.plan, laid.inputs, iterations, warm_up_ms
    )
    finished = bench.run(command, mode, laid.folder)
    times = bench.content(laid.folder / TIMES)
    return finished, read_samples(times, bench.condition.interval, warm_up_ms)


def _facts(laid: LaidOut, *runs: Finished) -> dict[str, Any]:
    """What is to be noted of an engine and of the commands that ran it."""
    description = laid.description
    return {
        "engine": {
            "sha256": description["sha256"],
            "bytes": description["bytes"],
            "build_s": description["build_s"],
            "precisions": precisions_of(laid.layers),
        },
        "trtexec": {
            "commands": [description["command"], *(list(run.command) for run in runs)],
            "warnings": sorted({line for run in runs for line in run.warnings()}),
        },
    }
