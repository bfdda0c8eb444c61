"""What a rule found, and how bad it is."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from enum import StrEnum
from typing import Any

from .view import Row

_NAMED = 3
_IN_JSON = 100


class Severity(StrEnum):
    """An error makes numbers of the table wrong or missing; a warning makes them less certain."""

    ERROR = "error"
    WARNING = "warning"


@dataclass(frozen=True)
class Finding:
    """One defect of a table.

    Attributes:
        rule: Name of the rule that found it.
        names: The rows and operators concerned, as the file or the operator spells them.
        found: What was found, in words and numbers.
        repair: What to do about it.
        rows: The rows concerned; empty where they are what is missing.
        table: Which table of the file, where it holds several.
    """

    rule: str
    severity: Severity
    names: tuple[str, ...]
    found: str
    repair: str
    rows: tuple[Row, ...] = ()
    table: str = ""

    @classmethod
    def of(
        cls, rule: str, severity: Severity, rows: Sequence[Row], found: str, repair: str
    ) -> Finding:
        """The finding about `rows`."""
        return cls(rule, severity, tuple(r.name for r in rows), found, repair, tuple(rows))

    def to_json(self) -> dict[str, Any]:
        """A JSON object of every field, `rows` by name: the first hundred of `row_count`."""
        return {
            "rule": self.rule,
            "severity": self.severity.value,
            "table": self.table,
            "row_count": len(self.names),
            "rows": list(self.names[:_IN_JSON]),
            "found": self.found,
            "repair": self.repair,
        }


def listed(words: Sequence[str]) -> str:
    """The first few of `words`, and how many more there are."""
    more = len(words) - _NAMED
    return "; ".join(words[:_NAMED]) + (f"; and {more} more" if more > 0 else "")
