"""Every rule over a table, in an order in which one defect is told once."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass, replace

from .computed import simulated, table_sums
from .context import Context
from .copies import copied_rows, copied_table
from .coverage import uncovered
from .finding import Finding
from .monotone import falling_series, flat_series
from .roofline import below_roofline
from .units import unit_slips
from .values import bad_values, coarse_step, missing_spread, mixed_conditions
from .view import Row, View


@dataclass(frozen=True)
class Rule:
    """One rule.

    Attributes:
        check: The findings in a view.
        takes_out: Whether the rows that it names are kept from the rules behind it: their values
            are known to be wrong, and would break other rules too.
    """

    check: Callable[[View, Context], list[Finding]]
    takes_out: bool


ABOUT_FILES = (uncovered, missing_spread)
ABOUT_TABLES = (
    Rule(mixed_conditions, True),
    Rule(bad_values, True),
    Rule(coarse_step, True),
    Rule(table_sums, True),
    Rule(simulated, True),
    Rule(copied_table, True),
    Rule(flat_series, True),
    Rule(copied_rows, True),
    Rule(unit_slips, True),
    Rule(below_roofline, True),
    Rule(falling_series, False),
)


def lint(views: Sequence[View], context: Context | None = None) -> list[Finding]:
    """What is wrong with the tables of one file, of which there is at least one; errors first.

    Coverage and spreads are looked at over the whole file, all else in each table.
    """
    asked = context or Context()
    whole = replace(views[0], title="", rows=tuple(row for view in views for row in view.rows))
    findings = [finding for check in ABOUT_FILES for finding in check(whole, asked)]
    for view in views:
        findings += _in_table(view, asked)
    return sorted(findings, key=lambda finding: finding.severity)


def _in_table(view: View, context: Context) -> list[Finding]:
    findings: list[Finding] = []
    suspects: set[Row] = set()
    for rule in ABOUT_TABLES:
        found = rule.check(view.without(suspects), context)
        findings += [replace(finding, table=view.title) for finding in found]
        if rule.takes_out:
            suspects.update(row for finding in found for row in finding.rows)
    return findings
