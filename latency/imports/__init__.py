"""Files that other tools wrote about latencies, a format a file: detected by content, read, kept."""

from __future__ import annotations

from ...core.registry import Registry
from .base import Imported, Importer, Quantity, Row, Statistic

importers: Registry[Importer] = Registry("importer", __name__, "elat.importers")

__all__ = ["Imported", "Importer", "Quantity", "Row", "Statistic", "importers"]
