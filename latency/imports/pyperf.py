"""JSON of pyperf, the benchmarking library of the Python project."""

from __future__ import annotations

from typing import Any

from ...core.artefact import sha256_of
from ...core.errors import ArtefactError
from . import importers
from .base import Imported, Importer, Row
from .parsing import MS_PER, facts_of, json_of, json_or_none, latency, member, shown
from .rows import median_of

_VERSIONS = ("1.0", 6)
_UNIT = "second"


@importers.register("pyperf")
class Pyperf(Importer):
    """`benchmarks`, each of `runs` with `values` in seconds; `warmups` are left out.

    A value is one iteration: pyperf has divided by its loops already.
    """

    def recognises(self, data: bytes) -> bool:
        document = json_or_none(data, b'"benchmarks"', b'"version"')
        return isinstance(document, dict) and _has_runs(document.get("benchmarks"))

    def read(self, data: bytes) -> Imported:
        document = json_of(data)
        version = document.get("version")
        if isinstance(version, bool) or version not in _VERSIONS:
            raise ArtefactError(
                f"pyperf's formats '1.0' and 6 are known, this file is of {shown(version)}; write "
                "it anew with a current pyperf: python -m pyperf convert FILE -o NEW."
            )
        shared = _metadata(document, "the file")
        rows: list[Row] = []
        warmups = 0
        for number, benchmark in enumerate(document["benchmarks"], start=1):
            where = f"benchmark {number}"
            row, left_out = _row(benchmark, {**shared, **_metadata(benchmark, where)}, where)
            warmups += left_out
            rows.append(row)
        names = [row.name for row in rows]
        if len(set(names)) != len(names):
            raise ArtefactError("two benchmarks have the same name; which is which is not known.")
        release = shared.get("perf_version") or shared.get("pyperf_version")
        return Imported(
            kind="pyperf",
            tool=f"pyperf {release}" if isinstance(release, str) else "pyperf",
            variant=f"format {version}",
            unit="s",
            unit_source="definition of the format: values in seconds, metadata `unit` is second",
            resolution=None,
            rows=tuple(rows),
            sha256=sha256_of(data),
            facts=facts_of(shared, _CONDITION),
            notes=(f"{warmups} warm-up values were left out.",) if warmups else (),
        )


_LOOPS = ("loops", "inner_loops")
_CONDITION = ("cpu_model_name", "cpu_count", "hostname", "platform", "python_version")


def _has_runs(benchmarks: Any) -> bool:
    if not isinstance(benchmarks, list) or not benchmarks:
        return False
    return all(isinstance(b, dict) and isinstance(b.get("runs"), list) for b in benchmarks)


def _metadata(holder: Any, where: str) -> dict[str, Any]:
    if not isinstance(holder, dict):
        raise ArtefactError(f"{where} should be an object, found {shown(holder)}.")
    return member(holder, "metadata", dict, where) if "metadata" in holder else {}


def _row(benchmark: dict[str, Any], metadata: dict[str, Any], where: str) -> tuple[Row, int]:
    """One benchmark, and how many warm-up values it has."""
    samples: list[float] = []
    warmups = processes = 0
    name = _text(metadata, "name", where)
    for number, run in enumerate(benchmark["runs"], start=1):
        here = f"run {number} of {name}"
        own = _metadata(run, here)
        if _text(own, "name", name) != name:
            raise ArtefactError(f"{here} is of another benchmark.")
        if (unit := _text({**metadata, **own}, "unit", _UNIT)) != _UNIT:
            raise ArtefactError(f"{here} is in {shown(unit)}: it is no latency.")
        warmups += len(_values(run, "warmups", here))
        values = _values(run, "values", here)
        samples += [latency(value, f"a value of {here}") * MS_PER["s"] for value in values]
        processes += bool(values)
    if not samples:
        raise ArtefactError(f"{name} has no values: its runs only calibrate.")
    facts = {key: metadata[key] for key in _LOOPS if type(metadata.get(key)) is int}
    return median_of(name, samples, facts={**facts, "processes": processes}), warmups


def _values(run: Any, key: str, where: str) -> list[Any]:
    return member(run, key, list, where) if key in run else []


def _text(metadata: dict[str, Any], key: str, default: str) -> str:
    return member(metadata, key, str, "the metadata") if key in metadata else default
