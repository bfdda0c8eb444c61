"""Reports of OpenVINO's benchmark_app on a whole network, as JSON or CSV."""

from __future__ import annotations

import re
from collections.abc import Mapping, Sequence

from ...core.artefact import sha256_of
from ...core.errors import ArtefactError
from . import importers
from .base import Fact, Imported, Importer, Row, Statistic
from .lines import head_of, lines_of, whole_of
from .parsing import decimal, json_of, latency, member
from .rows import judged, of_runs

TOOL = "OpenVINO benchmark_app"
NAME = "Inference"
COUNTED_NOTE = (
    "Performance counters were on while it was timed: the latency includes the profiler's work."
)
STEP_MS = 0.01

_SECTIONS = {
    "cmd_options": "Command line parameters",
    "configuration_setup": "Configuration setup",
    "execution_results": "Execution results",
}
_MEDIAN = "latency (ms)"
_COUNT = "total number of iterations"
_TOTAL = "total execution time (ms)"
_PERCENTILE = re.compile(r"latency \((\d{1,2}) percentile\) \(ms\)", re.ASCII)
_STATISTICS = {"avg latency": "mean", "min latency": "min", "max latency": "max"}
_CONDITION = {
    "target device": "device",
    "topology": "topology",
    "API": "api",
    "precision": "precision",
    "batch size": "batch",
    "number of parallel infer requests": "requests",
}
_BEFORE = {
    "read model time (ms)": "read_ms",
    "compile model time (ms)": "compile_ms",
    "first inference time (ms)": "first_inference_ms",
}


@importers.register("openvino-report")
class OpenvinoReport(Importer):
    """The median in `benchmark_report.json` or `.csv`, in steps of 0.01 ms."""

    def recognises(self, data: bytes) -> bool:
        head = head_of(data)
        return head.startswith(b"Command line parameters") or (
            head.startswith(b"{") and b'"cmd_options"' in head and b'"configuration_setup"' in data
        )

    def read(self, data: bytes) -> Imported:
        is_json = head_of(data).startswith(b"{")
        sections = _of_json(json_of(data)) if is_json else _of_csv(lines_of(data))
        options, condition, results = (sections[key] for key in _SECTIONS)
        count = whole_of(member(results, _COUNT, str, "the results"), _COUNT)
        facts: dict[str, Fact] = {
            fact: condition[key] for key, fact in _CONDITION.items() if key in condition
        }
        facts |= {fact: _time(results, key) for key, fact in _BEFORE.items() if key in results}
        if "-infer_precision" in options:
            facts["infer_precision"] = options["-infer_precision"]
        if condition.get("API") == "sync" and _TOTAL in results:
            # Finer than the mean that it prints, which is rounded to 0.01 ms.
            facts["mean_of_total_ms"] = _time(results, _TOTAL) / count
        is_counted = "-report_type" in options or "-pc" in options
        return Imported(
            kind="openvino-report",
            tool=TOOL,
            variant="JSON" if is_json else "CSV",
            unit="ms",
            unit_source=f"{_MEDIAN!r} names it; the other latencies are in the same",
            resolution=STEP_MS,
            rows=(latency_row(_values(results), count, STEP_MS),),
            sha256=sha256_of(data),
            facts=facts,
            notes=(COUNTED_NOTE,) if is_counted else (),
        )


def latency_row(values_ms: Mapping[str, float], count: int, step_ms: float) -> Row:
    """The median, or the mean where the user asked for another percentile in its place.

    Raises:
        ArtefactError: There is neither, or it is not between the shortest and the longest run.
    """
    is_other = any(name.startswith("p") for name in values_ms)
    headline = "mean" if is_other and "median" not in values_ms else "median"
    if headline not in values_ms:
        raise ArtefactError(f"the results have no {headline}: the file is damaged or cut short.")
    value = values_ms[headline]
    if not values_ms.get("min", 0.0) <= value <= values_ms.get("max", value):
        raise ArtefactError(f"the {headline} is not between min and max: the file is damaged.")
    return judged(
        NAME,
        value,
        of_runs(count, Statistic(headline)),
        count=count,
        resolution=step_ms,
        reported={name: other for name, other in values_ms.items() if name != headline},
    )


def _values(results: Mapping[str, str]) -> dict[str, float]:
    """Statistics in ms by name."""
    values = {name: _time(results, key) for key, name in _STATISTICS.items() if key in results}
    for key in results:
        if key == _MEDIAN:
            values["median"] = _time(results, key)
        elif percentile := _PERCENTILE.fullmatch(key):
            values[f"p{percentile[1]}"] = _time(results, key)
    return values


def _time(results: Mapping[str, str], key: str) -> float:
    return latency(decimal(results[key], key), key)


def _of_json(document: object) -> dict[str, dict[str, str]]:
    """The sections of a JSON report; all that matters in them is text.

    Raises:
        ArtefactError: A section is missing, or a result is no text.
    """
    sections = {key: member(document, key, dict, "the report") for key in _SECTIONS}
    for name in sections["execution_results"]:
        member(sections["execution_results"], name, str, "the results")
    return {
        key: {name: value for name, value in section.items() if isinstance(value, str)}
        for key, section in sections.items()
    }


def _of_csv(lines: Sequence[str]) -> dict[str, dict[str, str]]:
    """The sections of a CSV report under the names of the JSON one.

    Raises:
        ArtefactError: A section is missing, or a line is no pair.
    """
    titles = {title: key for key, title in _SECTIONS.items()}
    sections: dict[str, dict[str, str]] = {}
    current: dict[str, str] = {}
    for number, line in enumerate(lines, 1):
        name, semicolon, value = line.strip().partition(";")
        if name in titles and not semicolon:
            current = sections.setdefault(titles[name], {})
        elif name and (not semicolon or name in current):
            raise ArtefactError(f"line {number} of the report is no new `name;value`: {line[:60]}")
        elif name:
            current[name] = value
    if missing := [title for title, key in titles.items() if key not in sections]:
        raise ArtefactError(f"the report has no section {missing[0]!r}: it was cut short.")
    return sections
