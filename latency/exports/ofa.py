"""The latency table of once-for-all."""

from __future__ import annotations

from ..entry import Entry
from ..imports.ofa_table import key_of_operator
from . import exporters
from .base import Exported, Exporter, Source
from .keyed_yaml import keyed


@exporters.register("ofa")
class Ofa(Exporter):
    """`key: {count, mean, std}`, in keys that say the width in the middle of a block."""

    def export(self, source: Source) -> Exported:
        return keyed(source, key_of_operator, _fields, "once-for-all")


def _fields(entry: Entry) -> dict[str, float]:
    return {"count": entry.count, "mean": entry.mean_ms, "std": entry.std_ms}
