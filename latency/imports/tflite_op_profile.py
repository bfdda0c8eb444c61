"""Profiles of operators that TFLite writes to a file of its own, as text or as CSV."""

from __future__ import annotations

import re

from ...core.artefact import sha256_of
from ...core.errors import ArtefactError
from . import importers
from .base import Imported, Importer
from .benchmark_model import BenchmarkModel
from .lines import lines_of
from .tflite_tables import RESOLUTION_MS, RUN_ORDER, read_tables, table_notes, table_rows

_SIGN = re.compile(
    rb"(?<!=)={5,} (?:\S[^=\n]* )?Run Order ={5,}[^\S\n]*\n[^\n]*(?:\[node type\]|node type,)"
)


@importers.register("tflite-op-profile")
class TfliteOpProfile(Importer):
    """The mean of every operator; delegates and subgraphs are levels of their own."""

    def recognises(self, data: bytes) -> bool:
        return (
            RUN_ORDER.encode() in data
            and _SIGN.search(data) is not None
            and not BenchmarkModel().recognises(data)
        )

    def read(self, data: bytes) -> Imported:
        lines = lines_of(data)
        tables = read_tables(lines)
        rows = table_rows(tables)
        if not rows:
            raise ArtefactError(
                "the profile lists no operator of a run: it is of the initialisation alone, or "
                "was cut short."
            )
        is_csv = any(line.startswith("node type,") for line in lines)
        return Imported(
            kind="tflite-op-profile",
            tool="TFLite's profiler of operators",
            variant="CSV" if is_csv else "text",
            unit="ms",
            unit_source="the column avg_ms names it" if is_csv else "the column avg ms names it",
            resolution=RESOLUTION_MS,
            rows=tuple(rows),
            sha256=sha256_of(data),
            notes=tuple(table_notes(tables)),
        )
