"""The output of TFLite's benchmark_model, with its profile of operators if there is one."""

from __future__ import annotations

from collections.abc import Mapping, Sequence

from ...core.artefact import sha256_of
from ...core.errors import ArtefactError
from . import importers
from .base import Imported, Importer, Row
from .lines import lines_of
from .tflite_log import ANNOUNCEMENT, OPTIONS, SUMMARY, Benchmark, read_benchmarks, read_options
from .tflite_stats import RESOLUTION_MS, Stat
from .tflite_tables import OpTable, read_tables, table_notes, table_rows

NAME = "Inference"
_SIGNS = tuple(sign.encode() for sign in (ANNOUNCEMENT, SUMMARY, OPTIONS))


@importers.register("benchmark-model")
class BenchmarkModel(Importer):
    """The latency of a network, or one for each set of options, and of its operators if given."""

    def recognises(self, data: bytes) -> bool:
        return any(sign in data for sign in _SIGNS)

    def read(self, data: bytes) -> Imported:
        lines = lines_of(data)
        end = next((n for n, line in enumerate(lines) if OPTIONS in line), len(lines))
        options = read_options(lines[end + 1 :])
        has_runs = any(sign in line for line in lines[:end] for sign in (ANNOUNCEMENT, SUMMARY))
        benchmarks = read_benchmarks(lines[:end]) if has_runs or not options else []
        tables = read_tables(lines)
        is_single = not options and len(benchmarks) == 1
        rows = _option_rows(options, benchmarks) if options else _rows(benchmarks)
        return Imported(
            kind="benchmark-model",
            tool="TFLite benchmark_model",
            variant=_variant(rows[0], options, tables),
            unit="us",
            unit_source="benchmark_model prints statistics in us",
            resolution=RESOLUTION_MS,
            rows=tuple(rows + table_rows(tables) if is_single else rows),
            sha256=sha256_of(data),
            facts=benchmarks[0].facts if is_single else {},
            notes=tuple(_notes(options, tables, is_single, rows[0].count)),
        )


def _rows(benchmarks: Sequence[Benchmark]) -> list[Row]:
    """A row for each benchmark; several are numbered."""
    if len(benchmarks) == 1:
        return [benchmarks[0].row(NAME, {})]
    return [
        benchmark.row(f"{NAME} {number}", benchmark.facts)
        for number, benchmark in enumerate(benchmarks, 1)
    ]


def _option_rows(options: Mapping[str, Stat | None], benchmarks: Sequence[Benchmark]) -> list[Row]:
    """A row for each set of options that ran, with the facts of its benchmark where kept."""
    rows = []
    for name, stat in options.items():
        if stat is None:
            continue
        own = [benchmark for benchmark in benchmarks if benchmark.stat == stat]
        benchmark = own[0] if len(own) == 1 else Benchmark(stat, {}, {}, False)
        rows.append(benchmark.row(name, benchmark.facts))
    if not rows:
        raise ArtefactError("no set of performance options ran: all of them failed.")
    return rows


def _variant(row: Row, options: Mapping[str, Stat | None], tables: Sequence[OpTable]) -> str:
    parts = [f"a log whose best statistic is the {row.statistic.value}"]
    if options:
        parts.append("one for each set of performance options")
    if tables:
        parts.append("a profile of operators")
    return ", ".join(parts)


def _notes(
    options: Mapping[str, Stat | None],
    tables: Sequence[OpTable],
    is_single: bool,
    runs: int | None,
) -> list[str]:
    failed = [name for name, stat in options.items() if stat is None]
    notes = [f"Left out, for they failed: {', '.join(failed)}."] if failed else []
    if is_single:
        notes += table_notes(tables)
        if any(runs and table.runs and table.runs > runs for table in tables):
            notes.append("The means of operators are of more runs than the network's: of warm-up.")
    elif tables:
        notes.append("Profiles of operators were left out: the file is of several benchmarks.")
    return notes
