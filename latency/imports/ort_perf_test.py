"""What onnxruntime_perf_test prints, and the file of single runs that it appends to."""

from __future__ import annotations

import re
from collections.abc import Mapping, Sequence
from dataclasses import dataclass

from ...core.artefact import sha256_of
from ...core.errors import ArtefactError
from . import importers
from .base import Fact, Imported, Importer, Row, Statistic
from .lines import head_of, lines_of, whole_of
from .parsing import MS_PER, decimal, latency
from .rows import judged, median_of, of_runs, printed_step

NAME = "Inference"

_LATENCY = re.compile(r"(Min|Max|P\d{2,4}) Latency(?: is|:) ?(\S+?) ?s(?:ec)?", re.ASCII)
_SIGN = re.compile(
    rb"^(?:Average (?:inference )?time cost[^:\n]*: ?\S+ ms|"
    rb"(?:Min|Max|P\d{2,4}) Latency(?: is|:) ?\S+ ?s(?:ec)?) *\r?$",
    re.M,
)
_MEAN = re.compile(r"Average (?:inference )?time cost(?: total)?: ?(\S+) ms")
_COUNT = re.compile(r"(?:Total iterations|Total inference requests|Runs): ?(\d{1,18})", re.ASCII)
_BEFORE = {
    "session_creation_ms": re.compile(r"Session creation time cost: ?(\S+) (s)"),
    "first_inference_ms": re.compile(r"First inference time cost: ?(\S+) (ms)"),
}
_WHOLE = re.compile(r"\d{1,18}", re.ASCII)
_RUN = re.compile(rb"[^\n]*,[\d.eE+-]+,\d+,\d+,\d+\r?(?:\n|$)")


@importers.register("onnxruntime-perf-test")
class OrtPerfTest(Importer):
    """The median in the log, or the mean where the log holds no percentiles."""

    def recognises(self, data: bytes) -> bool:
        has_words = b" Latency" in data or b"time cost" in data
        return has_words and _SIGN.search(data) is not None and not _RUN.match(head_of(data))

    def read(self, data: bytes) -> Imported:
        lines = [line.strip() for line in lines_of(data)]
        counts = {
            whole_of(found[1], "the number of runs")
            for line in lines
            if (found := _COUNT.fullmatch(line))
        }
        if len(counts) > 1:
            raise ArtefactError(
                f"the log says {', '.join(map(str, sorted(counts)))} runs: it is of several "
                "launches of onnxruntime_perf_test. Split it."
            )
        count = counts.pop() if counts else None
        printed = _printed(lines)
        if "p50" not in printed and any(name.startswith("p") for name in printed):
            raise ArtefactError("the log has percentiles, but no P50: it is damaged.")
        values, left_out = _told(printed, count)
        return Imported(
            kind="onnxruntime-perf-test",
            tool="onnxruntime_perf_test",
            variant="the older wording" if any(" Latency is " in x for x in lines) else "a log",
            unit="s",
            unit_source="the log writes s or ms behind every value",
            resolution=printed_step(list(values.values())),
            rows=(_row(values, count),),
            sha256=sha256_of(data),
            facts=_facts(lines),
            notes=tuple(_left_out(left_out, count)),
        )


@importers.register("onnxruntime-perf-test-runs")
class OrtPerfTestRuns(Importer):
    """Raw samples of each model; a number of run that starts at 0 again begins a new launch."""

    def recognises(self, data: bytes) -> bool:
        return _RUN.match(head_of(data)) is not None

    def read(self, data: bytes) -> Imported:
        lines = [line.strip() for line in lines_of(data)]
        runs: dict[str, list[_Run]] = {}
        for number, line in enumerate(lines, 1):
            if line and not _LATENCY.fullmatch(line):
                run = _run_of(line, number)
                runs.setdefault(run.model, []).append(run)
        if not runs:
            raise ArtefactError("the file lists no run.")
        launches = {model: _launches(own) for model, own in runs.items()}
        reported: Mapping[str, float] = {}
        if sum(map(len, launches.values())) == 1:
            (own,) = runs.values()
            reported, _ = _told(_printed(lines), len(own))
        return Imported(
            kind="onnxruntime-perf-test-runs",
            tool="onnxruntime_perf_test",
            variant="a result file of model, seconds, peak memory, CPU load and run",
            unit="s",
            unit_source="the format's definition: its second column is in seconds",
            resolution=printed_step([run.value_ms for own in runs.values() for run in own]),
            rows=tuple(
                _raw_row(model, own, launches[model], reported) for model, own in runs.items()
            ),
            sha256=sha256_of(data),
        )


@dataclass(frozen=True)
class _Run:
    """A line of the result file; `number` is its place in its launch, from 0."""

    model: str
    value_ms: float
    peak_bytes: int
    number: int


def _run_of(line: str, number: int) -> _Run:
    model, *cells = line.rsplit(",", 4)
    if len(cells) != 4 or not all(_WHOLE.fullmatch(cell) for cell in cells[1:]):
        raise ArtefactError(
            f"line {number} is {line[:60]!r}; it should be a model, seconds, bytes, percent and "
            "the number of a run, between commas."
        )
    what = f"the time in line {number}"
    value_ms = latency(latency(decimal(cells[0], what), what) * MS_PER["s"], what)
    return _Run(model, value_ms, int(cells[1]), int(cells[3]))


def _launches(runs: Sequence[_Run]) -> list[int]:
    """How many runs each launch has, which together are `runs` of one model.

    Raises:
        ArtefactError: A run is missing.
    """
    sizes: list[int] = []
    for run in runs:
        if run.number == 0:
            sizes.append(0)
        if not sizes or run.number != sizes[-1]:
            raise ArtefactError(
                f"run {run.number} of {run.model!r} does not follow the one before it: the file "
                "was cut, or is out of order."
            )
        sizes[-1] += 1
    return sizes


def _raw_row(
    model: str, runs: Sequence[_Run], launches: Sequence[int], reported: Mapping[str, float]
) -> Row:
    samples = [run.value_ms for run in runs]
    facts: dict[str, Fact] = {
        "launches": len(launches),
        "peak_memory_bytes": max(run.peak_bytes for run in runs),
    }
    if len(launches) > 1:
        facts["runs_of_launches"] = tuple(map(str, launches))
    resolution = printed_step(samples)
    return median_of(model, samples, resolution=resolution, reported=reported, facts=facts)


def _printed(lines: Sequence[str]) -> dict[str, float]:
    """Statistics in ms by name: min, max, mean, p50, p99.9.

    Raises:
        ArtefactError: One is printed twice with different values, or is no time.
    """
    found: dict[str, float] = {}
    for line in lines:
        if match := _LATENCY.fullmatch(line):
            name, value, unit = _name(match[1]), match[2], "s"
        elif match := _MEAN.fullmatch(line):
            name, value, unit = "mean", match[1], "ms"
        else:
            continue
        what = f"{name} in the line {line[:60]!r}"
        value_ms = latency(latency(decimal(value, what), what) * MS_PER[unit], what)
        if found.setdefault(name, value_ms) != value_ms:
            raise ArtefactError(f"the log says {name} twice: it is of several launches. Split it.")
    return found


def _name(printed: str) -> str:
    """P999 as p99.9; the first two digits are whole percent."""
    if not printed.startswith("P"):
        return printed.lower()
    digits = printed[1:]
    return f"p{digits[:2]}.{digits[2:]}" if len(digits) > 2 else f"p{digits}"


def _told(values: Mapping[str, float], count: int | None) -> tuple[dict[str, float], list[str]]:
    """The statistics that so many runs can tell, and the names of those that they cannot.

    The tool takes the run at the place runs times p: with less than 1 / (1 - p) runs that is the
    longest, whatever p.
    """
    left_out = [
        name
        for name in values
        if name.startswith("p") and (count or 0) * (100 - float(name[1:])) < 100 - 1e-9
    ]
    return {name: value for name, value in values.items() if name not in left_out}, left_out


def _left_out(names: Sequence[str], count: int | None) -> list[str]:
    if not names:
        return []
    runs = "an unknown number of" if count is None else str(count)
    return [f"Left out, for {runs} runs do not tell them: {', '.join(names)}."]


def _row(values: Mapping[str, float], count: int | None) -> Row:
    headline = "p50" if "p50" in values else "mean"
    if headline not in values:
        raise ArtefactError(
            "the log has neither a mean nor a median that its number of runs can tell: it was cut "
            "short."
        )
    value = values[headline]
    if not values.get("min", 0.0) <= value <= values.get("max", value):
        raise ArtefactError(f"{headline} is not between min and max: the log is damaged.")
    statistic = Statistic.MEDIAN if headline == "p50" else Statistic.MEAN
    return judged(
        NAME,
        value,
        of_runs(count or 0, statistic),
        count=count,
        resolution=printed_step(list(values.values())),
        reported={name: value for name, value in values.items() if name != headline},
    )


def _facts(lines: Sequence[str]) -> dict[str, Fact]:
    facts: dict[str, Fact] = {}
    for line in lines:
        for name, pattern in _BEFORE.items():
            if found := pattern.fullmatch(line):
                facts[name] = latency(decimal(found[1], name), name) * MS_PER[found[2]]
    return facts
