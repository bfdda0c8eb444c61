"""What is wrong with a latency table: rules over its rows, whoever measured or published it."""

from __future__ import annotations

from .context import Context, Peaks
from .finding import Finding, Severity
from .lint import lint
from .view import Row, View, row_of

__all__ = ["Context", "Finding", "Peaks", "Row", "Severity", "View", "lint", "row_of"]
