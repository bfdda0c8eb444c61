"""Figures of the report, a file each: `collect` computes rows, `draw` draws them."""

from __future__ import annotations

from typing import Any

from ...core.registry import Registry
from ..base import ReportFigure

figures: Registry[ReportFigure[Any]] = Registry("figure", __name__, "elat.figures")

__all__ = ["ReportFigure", "figures"]
