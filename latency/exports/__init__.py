"""Latencies as files for other programs, a format a module."""

from __future__ import annotations

from ...core.registry import Registry
from .base import Exported, Exporter, Source

exporters: Registry[Exporter] = Registry("exporter", __name__, "elat.exporters")

__all__ = ["Exported", "Exporter", "Source", "exporters"]
