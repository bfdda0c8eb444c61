"""A table laid out for reading, before any format: heads with units, cells, notes, sources."""

from __future__ import annotations

import math
from collections.abc import Iterable
from dataclasses import dataclass

from .source import Source

Value = float | int | str | bool | None
ABSENT = "—"


@dataclass(frozen=True)
class Column:
    """A head: title and unit as read, and the names of the machine-readable fields below it.

    Attributes:
        group: Head spanning this column and its neighbours of the same group.
        fields: Names, in CSV, of each of the `values` of the cells of this column.
        is_number: Whether cells are aligned as numbers.
    """

    title: str
    fields: tuple[str, ...]
    unit: str = ""
    group: str = ""
    is_number: bool = True

    @property
    def head(self) -> str:
        """Title with its unit, as in `latency (ms)`."""
        return f"{self.title} ({self.unit})" if self.unit else self.title


@dataclass(frozen=True)
class Cell:
    """What is read (`text`, and a smaller `detail`), and the exact `values` behind it."""

    text: str
    values: tuple[Value, ...]
    detail: str = ""
    is_best: bool = False


@dataclass(frozen=True)
class Grid:
    """A laid-out table; every row has a cell a column, every cell a value a field.

    Raises:
        ValueError: A row or a cell does not fit the columns.
    """

    columns: tuple[Column, ...]
    rows: tuple[tuple[Cell, ...], ...]
    notes: tuple[str, ...] = ()
    sources: tuple[Source, ...] = ()

    def __post_init__(self) -> None:
        for row in self.rows:
            if len(row) != len(self.columns):
                raise ValueError(f"a row of {len(row)} cells under {len(self.columns)} columns")
            for column, cell in zip(self.columns, row, strict=True):
                if len(cell.values) != len(column.fields):
                    raise ValueError(
                        f"{len(cell.values)} values in column {column.title!r} "
                        f"of {len(column.fields)} fields"
                    )

    @property
    def groups(self) -> tuple[tuple[str, int], ...]:
        """Runs of neighbouring columns of one group, as (group, how many)."""
        runs: list[tuple[str, int]] = []
        for column in self.columns:
            if runs and runs[-1][0] == column.group:
                runs[-1] = (column.group, runs[-1][1] + 1)
            else:
                runs.append((column.group, 1))
        return tuple(runs)

    @property
    def has_groups(self) -> bool:
        return any(group for group, _ in self.groups)


def text_cell(text: str, detail: str = "") -> Cell:
    """A cell that holds one text, in CSV as it is read."""
    return Cell(text, (text,), detail)


def number_cell(value: float | None, decimals: int, *, is_best: bool = False) -> Cell:
    """A cell that holds one number with `decimals` places, or the sign for absent."""
    return Cell(number(value, decimals), (value,), is_best=is_best)


def number(value: float | None, decimals: int) -> str:
    """`value` with a fixed number of decimals; absent and undefined ones are a dash."""
    return ABSENT if value is None or not math.isfinite(value) else f"{value:.{decimals}f}"


def decimals_for(values: Iterable[float | None], significant: int = 3) -> int:
    """Decimals that give the smallest of `values` at least `significant` digits, at most 6.

    One number of decimals for a whole column, so that its digits line up.
    """
    sizes = [abs(v) for v in values if v is not None and math.isfinite(v) and v != 0]
    if not sizes:
        return significant
    return min(6, max(0, significant - 1 - math.floor(math.log10(min(sizes)))))


def best_index(values: Iterable[float | None], *, is_lower_better: bool = True) -> int | None:
    """Position of the best of `values`, or None where fewer than two are known."""
    known = [(v, i) for i, v in enumerate(values) if v is not None and math.isfinite(v)]
    if len(known) < 2:
        return None
    return (min(known) if is_lower_better else max(known))[1]
