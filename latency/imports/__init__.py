"""Files of other tools with latencies in them, a format a module: told by content, then read."""

from __future__ import annotations

from ...core.registry import Registry
from .base import LEVEL, Imported, Importer, Level, Quantity, Row, Statistic

importers: Registry[Importer] = Registry("importer", __name__, "elat.importers")

__all__ = [
    "LEVEL",
    "Imported",
    "Importer",
    "Level",
    "Quantity",
    "Row",
    "Statistic",
    "importers",
]
