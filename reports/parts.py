"""Every registered figure and table, collected from the inputs, in the order of the page."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

from .base import ReportFigure, ReportTable
from .figures import figures
from .grid import Grid
from .inputs import ReportInputs
from .renderers import to_text
from .source import Source, distinct
from .tables import tables


@dataclass(frozen=True)
class TablePart:
    """A table of the report; `grid` is None where its inputs are missing."""

    name: str
    table: ReportTable[Any]
    grid: Grid | None


@dataclass(frozen=True)
class FigurePart:
    """A figure of the report; `rows` is empty where its inputs are missing."""

    name: str
    figure: ReportFigure[Any]
    rows: tuple[Any, ...]

    @property
    def sources(self) -> tuple[Source, ...]:
        return distinct(self.figure.sources(self.rows))


Part = TablePart | FigurePart


def table_text(inputs: ReportInputs, name: str) -> str:
    """The table `name` of the registry as plain text, or what it needs where nothing was given.

    Raises:
        UnknownNameError: There is no such table.
    """
    table = tables[name]()
    rows = table.collect(inputs)
    return to_text(table.lay_out(rows)) if rows else table.needs


def collect_parts(inputs: ReportInputs) -> tuple[Part, ...]:
    """Every part in the order of the page, also those that nothing was given for."""
    found: list[tuple[int, Part]] = []
    for name in tables:
        table = tables[name]()
        rows = table.collect(inputs)
        found.append((table.place, TablePart(name, table, table.lay_out(rows) if rows else None)))
    for name in figures:
        figure = figures[name]()
        found.append((figure.place, FigurePart(name, figure, figure.collect(inputs))))
    return tuple(part for _, part in sorted(found, key=lambda item: (item[0], item[1].name)))
