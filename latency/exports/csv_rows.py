"""One row an operator, for spreadsheets."""

from __future__ import annotations

import csv
import io

from ...core.artefact import canonical_json
from . import exporters
from .base import Exported, Exporter, Source


@exporters.register("csv")
class CsvRows(Exporter):
    """A header and a row for each operator, which is JSON; numbers read back to the bit."""

    def export(self, source: Source) -> Exported:
        rows = source.rows()
        text = io.StringIO(newline="")
        writer = csv.DictWriter(text, list(rows[0]), lineterminator="\n")
        writer.writeheader()
        for row in rows:
            writer.writerow({**row, "operator": canonical_json(row["operator"])})
        return Exported(text.getvalue().encode(), len(rows))
