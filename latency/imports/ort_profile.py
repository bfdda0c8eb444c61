"""Profiles of ONNX Runtime: every run of a model, and every node in it."""

from __future__ import annotations

import re
import statistics
from collections.abc import Mapping, Sequence

from ...core.artefact import sha256_of
from ..flags import Flag
from ..profiling.ort_events import Event, RunEvents, read_events
from . import importers
from .base import LEVEL, Fact, Imported, Importer, Level, Row
from .lines import head_of
from .rows import median_of

US_PER_MS = 1e3
RESOLUTION_MS = 1e-3
WARM_WITHIN = 1.1
# What ONNX Runtime puts in where neighbours want a tensor laid out differently.
LAYOUT_KINDS = frozenset({"ReorderInput", "ReorderOutput"})
# Providers that return once work is enqueued: a node's time is that of its launch.
_ENQUEUING = frozenset(
    f"{name}ExecutionProvider"
    for name in ("CUDA", "Tensorrt", "NvTensorRTRTX", "ROCM", "MIGraphX", "Dml", "WebGpu", "Js")
)
_HEAD = re.compile(rb'\[\s*\{\s*"cat"\s*:\s*"(?:Session|Node|Kernel|Api)"\s*,\s*"pid"\s*:')


@importers.register("onnxruntime-profile")
class OrtProfile(Importer):
    """The medians of a run, of its nodes and of its kernels, which are levels of their own."""

    def recognises(self, data: bytes) -> bool:
        return _HEAD.match(head_of(data)) is not None

    def read(self, data: bytes) -> Imported:
        events = read_events(data)
        cold = warm_up_runs([run.duration_us for run in events.runs])
        runs = events.runs[cold:]
        rows = [_run_row(runs)]
        rows += _rows([run.nodes for run in runs], Level.OPERATOR)
        rows += _rows([run.kernels for run in runs], Level.KERNEL)
        return Imported(
            kind="onnxruntime-profile",
            tool="ONNX Runtime",
            variant="events in the trace format of Chrome",
            unit="us",
            unit_source="the trace format's ts and dur are microseconds",
            resolution=RESOLUTION_MS,
            rows=tuple(rows),
            sha256=sha256_of(data),
            facts={"runs": len(events.runs), "warm_up_runs": cold},
            notes=tuple(_notes(cold, len(events.runs), events.incomplete, events.outside)),
        )


def warm_up_runs(durations_us: Sequence[int]) -> int:
    """How many of the first runs are warm-up: those over 1.1 medians of the second half.

    The first of several always is (it allocates memory and tunes kernels), and at most half are.
    """
    half = len(durations_us) // 2
    if half == 0:
        return 0
    usual = statistics.median(durations_us[half:])
    cold = 1
    while cold < half and durations_us[cold] > WARM_WITHIN * usual:
        cold += 1
    return cold


def _notes(cold: int, runs: int, incomplete: int, outside: int) -> list[str]:
    notes = []
    if cold:
        notes.append(f"The first {cold} of {runs} runs are warm-up and were left out.")
    else:
        notes.append("There is a single run, which allocates memory and tunes kernels.")
    if incomplete:
        notes.append(f"{incomplete} runs had other nodes than most and were left out.")
    if outside:
        notes.append(
            f"{outside} events belong to no whole run and were left out: the profiler stops at a "
            "million events, or was stopped during a run."
        )
    return notes


def _run_row(runs: Sequence[RunEvents]) -> Row:
    return median_of(
        "model_run",
        [run.duration_us / US_PER_MS for run in runs],
        resolution=RESOLUTION_MS,
        facts={LEVEL: Level.NETWORK.value},
    )


def _rows(runs: Sequence[Sequence[Event]], level: Level) -> list[Row]:
    """A row for each node or kernel, in the order of the first run: its time in every run.

    What runs several times in one run (in a loop) is summed over that run.
    """
    first: dict[tuple[str, str], Event] = {}
    totals: dict[tuple[str, str], list[int]] = {}
    parents: dict[tuple[str, str], str] = {}
    for number, events in enumerate(runs):
        for event in events:
            first.setdefault(event.key, event)
            total = totals.setdefault(event.key, [0] * len(runs))
            total[number] += event.duration_us
            if event.parent is not None:
                parents[event.key] = events[event.parent].name
    return [
        _row(event, [us / US_PER_MS for us in totals[key]], level, parents.get(key))
        for key, event in first.items()
    ]


def _row(event: Event, samples: Sequence[float], level: Level, parent: str | None) -> Row:
    kind, provider = event.kind, event.argument("provider")
    is_layout = kind in LAYOUT_KINDS
    if parent is not None:
        level = Level.SUBGRAPH
    facts: dict[str, Fact] = {LEVEL: level.value}
    said: Mapping[str, str | None] = {
        "type": kind,
        "provider": provider,
        "index": event.argument("node_index"),
        "inside": parent,
    }
    facts |= {name: value for name, value in said.items() if value}
    if is_layout:
        facts["layout"] = True
    is_launch = level is not Level.KERNEL and provider in _ENQUEUING
    return median_of(
        event.name or kind or "unnamed",
        samples,
        resolution=RESOLUTION_MS,
        facts=facts,
        flags=frozenset({Flag.HOST_TIMING}) if is_launch else frozenset(),
    )
