"""JSON of google/benchmark, the benchmarking library for C++."""

from __future__ import annotations

import statistics
from collections import defaultdict
from typing import Any

from ...core.artefact import sha256_of
from ...core.errors import ArtefactError
from . import importers
from .base import Fact, Imported, Importer, Row, Statistic
from .parsing import MS_PER, facts_of, json_of, json_or_none, latency, member, shown, whole
from .rows import judged

_HEADLINES = {"median": Statistic.MEDIAN, "mean": Statistic.MEAN}
_KEPT = ("min", "max", "mean", "median", "stddev")
_CONTEXT = ("host_name", "executable", "num_cpus", "mhz_per_cpu", "cpu_scaling_enabled")


@importers.register("google-benchmark")
class GoogleBenchmark(Importer):
    """`context` and `benchmarks`; the latency is `real_time`, the wall time of one iteration.

    Repetitions of one benchmark are its samples, each the mean of its iterations. Aggregates
    (mean, median) only count where the file holds no repetitions. Later than 1.5, which began to
    say of each row which of the two it is.
    """

    def recognises(self, data: bytes) -> bool:
        document = json_or_none(data, b'"benchmarks"', b'"context"')
        return (
            isinstance(document, dict)
            and isinstance(document.get("context"), dict)
            and isinstance(document.get("benchmarks"), list)
        )

    def read(self, data: bytes) -> Imported:
        document = json_of(data)
        context = document["context"]
        repetitions: dict[str, list[dict[str, Any]]] = defaultdict(list)
        aggregates: dict[str, dict[str, dict[str, Any]]] = defaultdict(dict)
        failed: list[str] = []
        for entry in document["benchmarks"]:
            name, run_type = _identity(entry)
            if entry.get("error_occurred"):
                failed.append(name)
            elif run_type == "iteration":
                repetitions[name].append(entry)
            elif entry.get("aggregate_unit", "time") == "time":
                statistic = member(entry, "aggregate_name", str, f"an aggregate of {name}")
                if statistic in aggregates[name]:
                    raise ArtefactError(f"{name} has the aggregate {shown(statistic)} twice.")
                aggregates[name][statistic] = entry
        rows = [_repeated(name, runs) for name, runs in repetitions.items()]
        rows += [_aggregated(n, a) for n, a in aggregates.items() if n not in repetitions]
        if not rows:
            raise ArtefactError("it holds no benchmark that ran to its end.")
        units = sorted({str(row.facts["time_unit"]) for row in rows})
        release = context.get("library_version")
        return Imported(
            kind="google-benchmark",
            tool=f"google/benchmark {release}" if isinstance(release, str) else "google/benchmark",
            variant="repetitions" if repetitions else "aggregates only",
            unit=" and ".join(units),
            unit_source="time_unit of each row",
            resolution=None,
            rows=tuple(rows),
            sha256=sha256_of(data),
            facts=facts_of(context, _CONTEXT),
            notes=tuple(f"{shown(name)} stopped with an error." for name in failed),
        )


def _identity(entry: Any) -> tuple[str, str]:
    """The name of a row's benchmark, and whether it is an iteration or an aggregate."""
    name = member(entry, "name", str, "a benchmark")
    run_type = entry.get("run_type")
    if run_type not in ("iteration", "aggregate"):
        raise ArtefactError(
            f"{name} should say in run_type that it is an iteration or an aggregate, found "
            f"{shown(run_type)}: versions of the library before 1.5 are not read."
        )
    return member(entry, "run_name", str, name) if "run_name" in entry else name, run_type


def _scale(entry: dict[str, Any], name: str) -> float:
    unit = member(entry, "time_unit", str, name)
    if unit not in MS_PER:
        raise ArtefactError(f"{name} is in the unknown unit {shown(unit)}.")
    return MS_PER[unit]


def _repeated(name: str, runs: list[dict[str, Any]]) -> Row:
    """A benchmark from its repetitions."""
    scale = _scale(runs[0], name)
    if any(_scale(run, name) != scale for run in runs):
        raise ArtefactError(f"the repetitions of {name} are in several units.")
    samples = [latency(run.get("real_time"), f"real_time of {name}") * scale for run in runs]
    cpu = [latency(run.get("cpu_time"), f"cpu_time of {name}") * scale for run in runs]
    iterations = sum(whole(run.get("iterations"), f"iterations of {name}") for run in runs)
    facts = {**_facts(runs[0]), "repetitions": len(runs)}
    is_one = len(runs) == 1
    return judged(
        name,
        statistics.median(samples),
        Statistic.MEAN if is_one else Statistic.MEDIAN,
        count=iterations,
        samples=() if is_one else samples,
        reported={"cpu_time": statistics.median(cpu)},
        facts=facts,
    )


def _aggregated(name: str, found: dict[str, dict[str, Any]]) -> Row:
    """A benchmark of which the file holds aggregates alone: its median, else its mean."""
    headline = next((statistic for statistic in _HEADLINES if statistic in found), None)
    if headline is None:
        raise ArtefactError(f"{name} has neither repetitions nor a median or a mean.")
    reported = {
        statistic: latency(entry.get("real_time"), f"{statistic} of {name}") * _scale(entry, name)
        for statistic, entry in found.items()
        if statistic in _KEPT
    }
    facts = _facts(found[headline])
    return judged(name, reported[headline], _HEADLINES[headline], reported=reported, facts=facts)


def _facts(entry: dict[str, Any]) -> dict[str, Fact]:
    kept = {key: entry[key] for key in ("threads", "label") if type(entry.get(key)) in (int, str)}
    return {**kept, "time_unit": entry["time_unit"]}
