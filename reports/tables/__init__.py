"""Tables of the report, a file each: `collect` computes rows, `lay_out` makes a grid of them."""

from __future__ import annotations

from typing import Any

from ...core.registry import Registry
from ..base import ReportTable

tables: Registry[ReportTable[Any]] = Registry("table", __name__, "elat.tables")

__all__ = ["ReportTable", "tables"]
