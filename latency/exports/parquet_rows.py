"""One row an operator, for data frames."""

from __future__ import annotations

import io

from ...core.artefact import canonical_json
from . import exporters
from .base import Exported, Exporter, Source


@exporters.register("parquet")
class ParquetRows(Exporter):
    """The columns of the CSV, typed; the operator is JSON, the condition lies in the metadata."""

    def export(self, source: Source) -> Exported:
        import pyarrow as pa
        import pyarrow.parquet as pq

        rows = source.rows()
        texts = [{**row, "operator": canonical_json(row["operator"])} for row in rows]
        names = list(texts[0])
        table = pa.table({name: [row[name] for row in texts] for name in names})
        condition = canonical_json(source.condition.to_json())
        stream = io.BytesIO()
        pq.write_table(table.replace_schema_metadata({b"condition": condition}), stream)
        return Exported(stream.getvalue(), len(rows))
