"""Results of litert-benchmark, which comes with ai-edge-litert: its JSON and its output."""

from __future__ import annotations

import re
from collections.abc import Mapping, Sequence

from ...core.artefact import sha256_of
from ...core.errors import ArtefactError
from ..flags import Flag
from . import importers
from .base import Fact, Imported, Importer, Row, Statistic
from .lines import head_of, lines_of
from .parsing import MS_PER, decimal, json_of, latency, member, whole
from .rows import judged, of_runs

TOOL = "litert-benchmark"
NAME = "Inference"
STEP = 0.01

# What it writes of the runs, and of what came before them.
_RUNS = {"avg": "mean", "min": "min", "max": "max", "std": "std", "p5": "p5", "p95": "p95"}
_BEFORE = ("init_ms", "warmup_first_ms", "warmup_avg_ms", "num_warmup_runs")
_KEYS = {*(f"{key}_ms" for key in _RUNS), "median_ms", "num_runs", *_BEFORE}
_HEAD = re.compile(rb'\{\s*"model"\s*:[^{}]*"accelerators"\s*:')

_BANNER = re.compile(rb"^ *BENCHMARK RESULTS[ \r]*$", re.M)
_RESULT = re.compile(r"(Model initialization|Warmup \(\w+\)|Inference \(\w+\)): +(\S+) (\w+)(.*)")
_COUNT = re.compile(r" \((\d{1,9}) runs\)", re.ASCII)
_SETTING = re.compile(r"(Model|Accelerators|Num threads|Fully accelerated): +(\S.*)")


@importers.register("litert-benchmark")
class LitertBenchmark(Importer):
    """The median in the JSON, which is rounded to 0.01 ms."""

    def recognises(self, data: bytes) -> bool:
        head = head_of(data)
        return _HEAD.match(head) is not None and b'"latency"' in head

    def read(self, data: bytes) -> Imported:
        document = json_of(data)
        found = member(document, "latency", dict, "the file")
        if unknown := found.keys() - _KEYS:
            raise ArtefactError(
                f"latency has the keys {', '.join(sorted(unknown))}; no known version of {TOOL} "
                f"writes other keys than {', '.join(sorted(_KEYS))}."
            )
        values = {key.removesuffix("_ms"): latency(found[key], key) for key in found}
        facts: dict[str, Fact] = {key: found[key] for key in _BEFORE if key in found}
        facts |= {
            fact: document[key]
            for key, fact in (("model", "model"), ("num_threads", "threads"))
            if isinstance(document.get(key), str | int)
        }
        facts["accelerators"] = tuple(map(str, member(document, "accelerators", list, "the file")))
        return Imported(
            kind=TOOL,
            tool=TOOL,
            variant="JSON",
            unit="ms",
            unit_source="the names of its keys end in _ms",
            resolution=STEP,
            rows=(
                _row(
                    values,
                    whole(member(found, "num_runs", int, "latency"), "num_runs"),
                    STEP,
                    is_whole=member(document, "fully_accelerated", bool, "the file"),
                ),
            ),
            sha256=sha256_of(data),
            facts=facts,
            notes=("It is rounded to 0.01 ms.",),
        )


@importers.register("litert-benchmark-log")
class LitertBenchmarkLog(Importer):
    """The median that the tool prints, in the unit that it prints."""

    def recognises(self, data: bytes) -> bool:
        return b"Inference (avg):" in data and _BANNER.search(data) is not None

    def read(self, data: bytes) -> Imported:
        lines = lines_of(data)
        settings = _settings(lines)
        values, counts, units = _results(lines)
        if len(units) != 1 or not units <= MS_PER.keys():
            raise ArtefactError(
                f"the results are in {', '.join(sorted(units)) or 'no unit'}; all in one of "
                f"{', '.join(MS_PER)} were expected."
            )
        (unit,) = units
        facts: dict[str, Fact] = {}
        if "Model" in settings:
            facts["model"] = settings["Model"]
        if "Accelerators" in settings:
            facts["accelerators"] = tuple(settings["Accelerators"].split(", "))
        if settings.get("Num threads", "").isdecimal():
            facts["threads"] = int(settings["Num threads"][:9])
        if "warmup avg" in counts:
            facts["num_warmup_runs"] = counts["warmup avg"]
        if "avg" not in counts:
            raise ArtefactError("the line Inference (avg) does not say of how many runs it is.")
        step = STEP * MS_PER[unit]
        return Imported(
            kind="litert-benchmark-log",
            tool=TOOL,
            variant="standard output",
            unit=unit,
            unit_source="the log writes it behind every value",
            resolution=step,
            rows=(
                _row(
                    {key: value * MS_PER[unit] for key, value in values.items()},
                    whole(counts["avg"], "the number of runs"),
                    step,
                    is_whole=settings.get("Fully accelerated") == "True",
                ),
            ),
            sha256=sha256_of(data),
            facts=facts,
        )


def _row(values_ms: Mapping[str, float], runs: int, step_ms: float, *, is_whole: bool) -> Row:
    """The median; `is_whole` says that accelerators run the whole network."""
    if "median" not in values_ms:
        raise ArtefactError("there is no median of the inferences: the file was damaged.")
    return judged(
        NAME,
        values_ms["median"],
        of_runs(runs, Statistic.MEDIAN),
        count=runs,
        resolution=step_ms,
        reported={name: values_ms[key] for key, name in _RUNS.items() if key in values_ms},
        flags=frozenset() if is_whole else frozenset({Flag.PARTIAL_DELEGATION}),
    )


def _settings(lines: Sequence[str]) -> dict[str, str]:
    """What the log says of the condition, by its own names."""
    found = {}
    for line in lines:
        if setting := _SETTING.search(line):
            found[setting[1]] = setting[2].strip()
    return found


def _results(lines: Sequence[str]) -> tuple[dict[str, float], dict[str, int], set[str]]:
    """Values and numbers of runs by statistic, and the units that are printed.

    Raises:
        ArtefactError: There are results twice: the log is of several runs of the tool.
    """
    values: dict[str, float] = {}
    counts: dict[str, int] = {}
    units = set()
    for line in lines:
        if not (result := _RESULT.match(line)):
            continue
        name, value, unit, rest = result.groups()
        key = name.lower().removeprefix("inference (").replace("(", "").removesuffix(")")
        if key in values:
            raise ArtefactError(f"the log holds {name} twice: it is of several runs. Split it.")
        values[key] = latency(decimal(value, name), name)
        units.add(unit)
        if count := _COUNT.fullmatch(rest.rstrip()):
            counts[key] = int(count[1])
    return values, counts, units
