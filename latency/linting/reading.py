"""Files as tables to lint: our own and those that importers read, also with values they refuse."""

from __future__ import annotations

import re
import statistics
from collections.abc import Mapping
from dataclasses import dataclass
from math import inf
from pathlib import Path
from typing import Any

from ...core.errors import ArtefactError, ElatError
from ..imports import LEVEL, Imported, Importer
from ..imports import Row as ImportedRow
from ..imports.base import Fact, UnitlessImporter
from ..imports.detect import detect
from ..measurement import IMPORTED
from ..operators import Operator
from ..operators.chain import Chain
from ..operators.serial import from_json
from ..table import KIND, UNIT, read_table
from ..table_file import operator_of, read_document
from .finding import Finding, Severity
from .lenient import LENIENT
from .names import attributes_of, choices_of
from .view import Row, View, operator_attributes, row_of

_OWN = re.compile(rb'^kind: latency-table$|"kind":"latency-table"', re.M)
_PARQUET = b"PAR1"
_APART = ("device", LEVEL)


@dataclass(frozen=True)
class LintedFile:
    """A file to lint.

    Attributes:
        kind: `latency-table`, or the importer that read it.
        views: Its tables, at least one.
        findings: What was wrong with the file as such.
    """

    kind: str
    views: tuple[View, ...]
    findings: tuple[Finding, ...] = ()


def read_file(path: Path, unit: str | None = None) -> LintedFile:
    """The tables in the file `path`.

    A file that its reader refuses for a value is read all the same where its format allows it.
    Numbers without a unit are read as milliseconds, which is a finding.

    Args:
        path: The file; what it is called does not matter.
        unit: Of the numbers of a file that does not say it: ns, us, ms or s.

    Raises:
        ArtefactError: It is missing, of no known kind, or too damaged to read.
    """
    try:
        data = path.read_bytes()
    except FileNotFoundError:
        raise ArtefactError(f"{path} does not exist.") from None
    except OSError as error:
        raise ArtefactError(f"{path} is not readable ({error.strerror or error}).") from error
    if _OWN.search(data):
        return _own(path)
    try:
        kind, importer = detect(data)
        return _foreign(kind, importer, data, unit)
    except ArtefactError as error:
        raise ArtefactError(f"{path}: {error}") from error


def _own(path: Path) -> LintedFile:
    try:
        return LintedFile(KIND, (View.of(read_table(path)),))
    except ArtefactError as refused:
        header, entries = read_document(path)
        if header.get("kind") != KIND or header.get("unit") != UNIT:
            raise
        try:
            rows = [_own_row(entry) for entry in entries]
        except (ElatError, KeyError, TypeError, ValueError, OverflowError):
            raise refused from None
        condition = header.get("condition")
        facts = condition if isinstance(condition, dict) else {}
        plain = {n: v for n, v in facts.items() if isinstance(v, str | int | float)}
        view = View("", tuple(rows), str(header.get("origin", IMPORTED)), facts=plain, is_own=True)
        return LintedFile(KIND, (view,), (_refusal(refused),))


def _own_row(entry: Mapping[str, Any]) -> Row:
    operator = from_json(operator_of(entry))
    return row_of(operator, float(entry["mean"]), int(entry["count"]), float(entry["std"]))


def _foreign(kind: str, importer: Importer, data: bytes, unit: str | None) -> LintedFile:
    findings: tuple[Finding, ...] = ()
    try:
        if isinstance(importer, UnitlessImporter):
            findings = () if unit else (_no_unit(),)
            imported = importer.read_as(data, unit or UNIT)
        else:
            imported = importer.read(data)
    except ArtefactError as refused:
        if kind not in LENIENT:
            raise
        rows = tuple(LENIENT[kind](data))
        if not rows:
            raise
        findings = () if any(not 0 < row.value < inf for row in rows) else (_refusal(refused),)
        return LintedFile(kind, (View("", rows),), findings)
    return LintedFile(kind, views_of(imported), findings)


def _refusal(error: ArtefactError) -> Finding:
    return Finding(
        "file", Severity.ERROR, (), str(error), "take the file again from where it was made"
    )


def _no_unit() -> Finding:
    return Finding(
        "file",
        Severity.WARNING,
        (),
        "the file does not say in which unit its numbers are; they were read as milliseconds",
        "look the unit up where the file comes from, and name it: --unit ms (ns, us, ms or s)",
    )


def views_of(imported: Imported) -> tuple[View, ...]:
    """The tables in `imported`: one for each device and level that its rows are of."""
    groups: dict[tuple[Fact | None, ...], list[ImportedRow]] = {}
    for row in imported.rows:
        groups.setdefault(tuple(row.facts.get(name) for name in _APART), []).append(row)
    read = _Reader()
    return tuple(
        View(
            " ".join(str(part) for part in apart if part is not None),
            tuple(map(read.row, rows)),
            imported.origin,
            imported.quantity,
            imported.facts,
        )
        for apart, rows in groups.items()
    )


class _Reader:
    """Turns imported rows into rows; what their names say is parsed once a name."""

    def __init__(self) -> None:
        self._choices: dict[str, tuple[str, ...]] = {}

    def row(self, row: ImportedRow) -> Row:
        attributes = _attributes(row)
        return Row(
            row.name,
            row.value,
            row.count,
            _std(row),
            parts_of(row.operator),
            attributes,
            () if attributes else self._chosen(row),
            row.facts,
        )

    def _chosen(self, row: ImportedRow) -> tuple[str, ...]:
        name = row.name.removesuffix(f" on {row.facts.get('device')}")
        if name not in self._choices:
            self._choices[name] = choices_of(name)
        return self._choices[name]


def parts_of(operator: Operator | None) -> tuple[Operator, ...]:
    """The operators that a row of `operator` stands for."""
    if operator is None:
        return ()
    return operator.operators if isinstance(operator, Chain) else (operator,)


def _attributes(row: ImportedRow) -> Mapping[str, Fact]:
    if row.operator is not None and not isinstance(row.operator, Chain):
        return operator_attributes(row.operator)
    if found := attributes_of(row.name):
        return found
    # Places in an array, such as layer and bits; facts of a log are of many types.
    return row.facts if all(type(value) is int for value in row.facts.values()) else {}


def _std(row: ImportedRow) -> float | None:
    if len(row.samples) > 1:
        return statistics.stdev(row.samples)
    return row.reported.get("std")
