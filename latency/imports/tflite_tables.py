"""The tables of operators that TFLite's profiler prints, as text or as CSV."""

from __future__ import annotations

import re
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field, replace
from math import fsum

from ...core.errors import ArtefactError
from .base import LEVEL, Fact, Level, Row, Statistic
from .parsing import decimal, latency, shown
from .rows import judged

RESOLUTION_MS = 1e-3
RUN_ORDER = "Run Order"
INITIALISATION = "Profiling Info for Benchmark Initialization"
REGULAR = "Operator-wise Profiling Info for Regular Benchmark Runs"

_COLUMNS = ("node type", "first", "avg ms", "%", "cdf%", "mem kb", "times called", "name")
_COLUMNS_WITH_START = ("node type", "start", *_COLUMNS[1:])

_HEADING = re.compile(r"(?<!=)={5,} (.+?) ={5,}")
_SUBGRAPH = re.compile(r"(?:Primary graph|(Subgraph \(index: \d+[^)]*\))).*:\s*$", re.ASCII)
_OBSERVED = re.compile(r"(\d{1,9}) nodes observed", re.ASCII)
_EXECUTED = re.compile(r"Number of nodes executed: (\d{1,9})", re.ASCII)
_RUNS = re.compile(r"Timings \(microseconds\): count=(\d{1,18})", re.ASCII)
_COLUMN = re.compile(r"\[([^\]]+)\]")
# Where spaces alone separate, at least two follow the type, which may hold single ones.
_SPACED = re.compile(r"\s*(\S+(?: \S+)*)\s{2,}(\S.*)")
_NAME = re.compile(r"\[(.*)\](?::(\w+))?|(.*?)(?::(\d+))?", re.ASCII | re.DOTALL)


@dataclass(frozen=True)
class TableRow:
    """One operator.

    Attributes:
        kind: TFLite's type of operator.
        name: Of the tensor that it writes.
        index: Its number, if that is told; else empty.
        mean_ms: Mean of one call.
        calls: Times called in a run; 0 for what runs once, at initialisation.
        reported_ms: Other statistics of one call, by name.
    """

    kind: str
    name: str
    index: str
    mean_ms: float
    calls: float
    reported_ms: Mapping[str, float] = field(hash=False)

    @property
    def run_ms(self) -> float:
        """Mean of all its calls in a run."""
        return self.mean_ms * max(self.calls, 1.0)


@dataclass(frozen=True)
class OpTable:
    """A table of operators in order of execution.

    Attributes:
        is_initialisation: Of what happens once, before the first run.
        is_delegate: Of what a delegate runs in place of operators of the graph.
        subgraph: Which, for the body of a loop or a branch; empty for the graph itself.
        runs: How many runs its means are of; None if not told.
        is_counted: Whether the file says how many rows there are; that was checked.
    """

    rows: tuple[TableRow, ...] = ()
    is_initialisation: bool = False
    is_delegate: bool = False
    subgraph: str = ""
    runs: int | None = None
    is_counted: bool = False

    @property
    def level(self) -> Level:
        """Of its rows."""
        if self.is_delegate:
            return Level.DELEGATE
        return Level.SUBGRAPH if self.subgraph else Level.OPERATOR


def read_tables(lines: Sequence[str]) -> list[OpTable]:
    """The tables headed `Run Order` in `lines`; other headings repeat what is in these.

    Raises:
        ArtefactError: A table has a header or a row that no known version writes, or other
            numbers of rows than the file says: it was cut short.
    """
    tables: list[OpTable] = []
    place = OpTable()
    number = 0
    while number < len(lines):
        line = lines[number]
        number += 1
        if INITIALISATION in line or REGULAR in line:
            place = OpTable(is_initialisation=INITIALISATION in line)
        elif "Delegate internal:" in line:
            place = replace(place, is_delegate=True, subgraph="")
        elif subgraph := _SUBGRAPH.search(line):
            place = replace(place, subgraph=subgraph[1] or "")
        elif runs := _RUNS.search(line):
            if tables:
                tables[-1] = replace(tables[-1], runs=int(runs[1]))
        elif (heading := _HEADING.search(line)) and heading[1].endswith(RUN_ORDER):
            rows = _rows(lines, number)
            is_delegate = place.is_delegate or heading[1] != RUN_ORDER
            tables.append(replace(place, rows=tuple(rows), is_delegate=is_delegate))
            number += 1 + len(rows)
    return _counted(tables, lines)


def _rows(lines: Sequence[str], start: int) -> list[TableRow]:
    """The rows below the header in line `start`, up to an empty line or another heading."""
    columns = _columns(lines[start] if start < len(lines) else "", start)
    rows = []
    for number in range(start + 1, len(lines)):
        line = lines[number]
        if not line.strip() or _HEADING.search(line) or _EXECUTED.search(line):
            break
        rows.append(_row(line, columns, number))
    return rows


def _columns(header: str, number: int) -> Sequence[str]:
    found = _COLUMN.findall(header) or header.split(",")
    names = tuple(name.strip().lower().replace("_", " ") for name in found)
    for known in (_COLUMNS, _COLUMNS_WITH_START):
        if names == known:
            return known
    raise ArtefactError(
        f"line {number + 1} should name the columns of a table, {', '.join(_COLUMNS)}, with or "
        f"without start; found {shown(header.strip())}. It is of an unknown version, or cut short."
    )


def _row(line: str, columns: Sequence[str], number: int) -> TableRow:
    cells = _cells(line, len(columns))
    if cells is None:
        raise ArtefactError(
            f"line {number + 1} should have {len(columns)} columns: {shown(line.strip())}. The "
            "table was damaged or cut short."
        )
    row = dict(zip(columns, cells, strict=True))
    kind = row["node type"]
    name, index = split_name(row["name"])

    # A row that lost or doubled a cell would give one column's value for another's.
    numbers = {column: cell for column, cell in row.items() if column not in ("node type", "name")}
    if any(cell.endswith("%") != ("%" in column) for column, cell in numbers.items()):
        raise ArtefactError(
            f"line {number + 1} has shares of time where other columns should be: "
            f"{shown(line.strip())}. The table was damaged."
        )

    def value(column: str) -> float:
        what = f"{column} of {name or kind!r} in line {number + 1}"
        return latency(decimal(row[column], what), what)

    values = {column: value(column) for column in numbers if "%" not in column}
    return TableRow(
        kind,
        name or kind,
        index,
        values["avg ms"],
        values["times called"],
        {"first": values["first"]},
    )


def split_name(printed: str) -> tuple[str, str]:
    """The name of a tensor and its operator's number, printed as `[name]:7` or `name:7`."""
    found = _NAME.fullmatch(printed)
    if found is None:
        return printed, ""
    bracketed, place, plain, plain_place = found.groups()
    return (plain if bracketed is None else bracketed), place or plain_place or ""


def _cells(line: str, count: int) -> list[str] | None:
    """The cells of a row, or None if there are not `count` of them.

    In CSV the type may hold commas and is not quoted, and those of the name are written as tabs:
    so it is split from the right. In text, tabs or spaces separate.
    """
    if ", " in line and "%," in line:
        cells = line.rsplit(", ", count - 1)
        cells[-1] = cells[-1].replace("\t", ",")
    elif "\t" in line:
        cells = line.split("\t")[1:]
    elif spaced := _SPACED.fullmatch(line):
        cells = [spaced[1], *spaced[2].split(maxsplit=count - 2)]
        if "  " in cells[-1].strip():  # more columns than there are, and no name
            return None
    else:
        return None
    return [cell.strip() for cell in cells] if len(cells) == count else None


def _counted(tables: Sequence[OpTable], lines: Sequence[str]) -> list[OpTable]:
    """`tables`, held against the numbers of rows that the file says."""
    for pattern in (_OBSERVED, _EXECUTED):
        said = [int(found[1]) for line in lines if (found := pattern.search(line))]
        if said:
            break
    listed = [len(table.rows) for table in tables]
    if said and said != listed:
        raise ArtefactError(
            f"the profile announces {said} operators and lists {listed}: it was cut short."
        )
    return [replace(table, is_counted=bool(said)) for table in tables]


def table_rows(tables: Sequence[OpTable]) -> list[Row]:
    """The operators of `tables` as rows; what happens at initialisation is no latency of a run.

    A row is all calls of an operator in one run, so that rows add up to it. Shares are of the
    table's own sum; those that the profiler prints can be of another total.
    """
    rows = []
    for table in tables:
        kept = _of_runs(table)
        total_ms = fsum(row.run_ms for row in kept)
        rows += [_as_row(row, table, total_ms) for row in kept]
    return rows


def _of_runs(table: OpTable) -> list[TableRow]:
    """The rows of what happens in every run.

    Times called are divided by runs: 0 is of something that happened once, unless all are 0, as
    the oldest versions print.
    """
    if table.is_initialisation:
        return []
    is_told = any(row.calls > 0 for row in table.rows)
    return [row for row in table.rows if row.calls > 0 or not is_told]


def _as_row(row: TableRow, table: OpTable, total_ms: float) -> Row:
    facts: dict[str, Fact] = {LEVEL: table.level.value, "type": row.kind, "calls": row.calls}
    if total_ms > 0:
        facts["share"] = row.run_ms / total_ms
    if row.index:
        facts["index"] = row.index
    if table.subgraph:
        facts["inside"] = table.subgraph
    return judged(
        row.name,
        row.run_ms,
        Statistic.MEAN,
        count=table.runs or None,
        resolution=RESOLUTION_MS,
        reported=row.reported_ms,
        facts=facts,
    )


def table_notes(tables: Sequence[OpTable]) -> list[str]:
    """What was left out of `tables`, and what could not be checked."""
    notes = []
    if once := sum(len(table.rows) - len(_of_runs(table)) for table in tables):
        notes.append(f"{once} operators that ran once, at initialisation, were left out.")
    if any(not table.is_counted for table in tables):
        notes.append(
            "The file does not say how many operators there are: it may have been cut short."
        )
    if any(table.is_delegate for table in tables):
        notes.append("Rows of delegates tell what is inside of operators; do not add the two.")
    return notes
