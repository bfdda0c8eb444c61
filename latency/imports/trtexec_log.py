"""The performance summary in the log of TensorRT's trtexec."""

from __future__ import annotations

import re
from collections.abc import Mapping, Sequence

from ...core.artefact import sha256_of
from ...core.errors import ArtefactError
from ..flags import Flag
from . import importers
from .base import Fact, Imported, Importer, Row, Statistic
from .lines import lines_of
from .parsing import decimal, latency, whole
from .rows import judged, of_runs, printed_step
from .trtexec_times import COMPUTE, ENQUEUE_SHARE, LATENCY

ENQUEUE = "Enqueue Time"
KNOWN_MAJORS = range(7, 12)
# From TensorRT 10 on a version is major * 10000 + minor * 100 + patch, before major * 1000 + ….
_LONG_VERSIONS_FROM = 100_000

_SIGNS = (
    b"&&&& RUNNING TensorRT.trtexec",
    b"[I] GPU Compute Time: min = ",
    b"[I] Latency: min = ",
)
_RUNNING = re.compile(
    r"&&&& RUNNING TensorRT\.trtexec \[TensorRT v(\d{4,6})\](?: \[b\d+\])? # (.*)", re.ASCII
)
_METRIC = re.compile(r"^(?:\[[\d/]+-[\d:]+\] )?\[I\] ([^:]+): (min = .*)$", re.ASCII)
_STATISTIC = re.compile(r"(min|max|mean|median|percentile\(([\d.]+)%\)) = ([^ ,]+) ms", re.ASCII)
_QUERIES = re.compile(r"\[I\] Timing trace has (\d{1,18}) queries over ", re.ASCII)
_DEVICE = re.compile(r"\[I\] Selected Device: (.+)")
_INTERVALS = {COMPUTE: "device compute", LATENCY: "transfers and compute"}


@importers.register("trtexec-log")
class TrtexecLog(Importer):
    """The medians that trtexec prints: the time on the GPU, and the latency with transfers."""

    def recognises(self, data: bytes) -> bool:
        return any(sign in data for sign in _SIGNS)

    def read(self, data: bytes) -> Imported:
        lines = lines_of(data)
        metrics = _metrics(lines)
        runs = _only(_QUERIES, lines, "numbers of queries")
        count = None if runs is None else whole(int(runs[1]), "the number of queries")
        return Imported(
            kind="trtexec-log",
            tool=_tool(lines),
            variant="a log with a performance summary",
            unit="ms",
            unit_source="the log writes ms behind every value",
            resolution=printed_step([v for name in _INTERVALS for v in metrics[name].values()]),
            rows=(
                _row(COMPUTE, metrics[COMPUTE], count, metrics.get(ENQUEUE)),
                _row(LATENCY, metrics[LATENCY], count),
            ),
            sha256=sha256_of(data),
            facts=_facts(lines),
            notes=tuple(_notes(lines, metrics)),
        )


def _only(pattern: re.Pattern[str], lines: Sequence[str], what: str) -> re.Match[str] | None:
    """The one line that `pattern` finds, if any.

    Raises:
        ArtefactError: Several are found, which differ.
    """
    found = [match for line in lines if (match := pattern.search(line))]
    if len({match[0] for match in found}) > 1:
        raise ArtefactError(
            f"the log holds {len(found)} {what}: it is of several runs of trtexec. Split it."
        )
    return found[0] if found else None


def _tool(lines: Sequence[str]) -> str:
    """The tool with its version, if the log says it.

    Raises:
        ArtefactError: The version is not known to write what is read here.
    """
    running = _only(_RUNNING, lines, "lines that begin a run")
    if running is None:
        return "trtexec"
    digits = int(running[1])
    step = 10_000 if digits >= _LONG_VERSIONS_FROM else 1_000
    major, minor, patch = digits // step, digits % step // 100, digits % 100
    if major not in KNOWN_MAJORS:
        raise ArtefactError(
            f"the log is of TensorRT {major}.{minor}.{patch}; known are the versions "
            f"{KNOWN_MAJORS.start} to {KNOWN_MAJORS.stop - 1}."
        )
    return f"trtexec (TensorRT {major}.{minor}.{patch})"


def _metrics(lines: Sequence[str]) -> dict[str, dict[str, float]]:
    """Statistics in ms by metric, the two latencies among them."""
    metrics: dict[str, dict[str, float]] = {}
    for line in lines:
        if not (match := _METRIC.match(line)):
            continue
        name, rest = match.groups()
        if name in metrics:
            raise ArtefactError(
                f"the log holds several summaries of {name}: it is of several runs. Split it."
            )
        metrics[name] = _statistics(name, rest)
    if missing := [name for name in _INTERVALS if name not in metrics]:
        raise ArtefactError(
            f"the log has no line for {' and '.join(missing)}: it was cut short before the "
            "performance summary, or is of a version that writes it differently."
        )
    return metrics


def _statistics(name: str, text: str) -> dict[str, float]:
    """`min = 1 ms, …, percentile(99%) = 2 ms` in ms, percentiles as p99."""
    found = {}
    for part in text.split(", "):
        if not (match := _STATISTIC.fullmatch(part.strip())):
            raise ArtefactError(f"{part!r} in the line of {name} is no statistic in ms.")
        statistic, percent, value = match.groups()
        what = f"{statistic} of {name}"
        found[f"p{percent}" if percent else statistic] = latency(decimal(value, what), what)
    if "median" not in found and "mean" not in found:
        raise ArtefactError(f"the line of {name} has neither a median nor a mean.")
    return found


def _row(
    name: str,
    values: Mapping[str, float],
    count: int | None,
    enqueue: Mapping[str, float] | None = None,
) -> Row:
    """The row of one metric; `enqueue` is what the host took for the same inferences."""
    statistic = Statistic.MEDIAN if "median" in values else Statistic.MEAN
    facts: dict[str, Fact] = {"interval": _INTERVALS[name]}
    flags: frozenset[Flag] = frozenset()
    if enqueue is not None and statistic.value in enqueue:
        facts["enqueue_ms"] = enqueue[statistic.value]
        if enqueue[statistic.value] > ENQUEUE_SHARE * values[statistic.value]:
            flags = frozenset({Flag.ENQUEUE_BOUND})
    return judged(
        name,
        values[statistic.value],
        of_runs(count or 0, statistic),
        count=count,
        resolution=printed_step(list(values.values())),
        reported={key: value for key, value in values.items() if key != statistic.value},
        facts=facts,
        flags=flags,
    )


def _facts(lines: Sequence[str]) -> dict[str, Fact]:
    facts: dict[str, Fact] = {}
    if device := _only(_DEVICE, lines, "devices"):
        facts["device"] = device[1].strip()
    if running := _only(_RUNNING, lines, "lines that begin a run"):
        facts["command"] = running[2].strip()
    return facts


def _notes(lines: Sequence[str], metrics: Mapping[str, object]) -> list[str]:
    """What was left out, and whether trtexec says that it passed.

    Raises:
        ArtefactError: It says that it failed.
    """
    if any("&&&& FAILED TensorRT.trtexec" in line for line in lines):
        raise ArtefactError("trtexec says FAILED at the end of the log: it holds no result.")
    notes = []
    if not any("&&&& PASSED TensorRT.trtexec" in line for line in lines):
        notes.append("The log does not hold trtexec's verdict (PASSED): it is a part of one.")
    if left_out := sorted(metrics.keys() - _INTERVALS.keys()):
        notes.append(
            f"Left out: {', '.join(left_out)}. They are parts of the latency, or count the wait "
            "behind the batch enqueued before."
        )
    return notes
