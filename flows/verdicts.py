"""Comparisons and budgets as JSON, JUnit and Markdown."""

from __future__ import annotations

from collections.abc import Mapping
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

from ..core.artefact import write_bytes, write_text
from ..latency.budget import Held, Line
from ..latency.comparison import CaseComparison
from ..latency.operators.serial import to_json
from ..reports.grid import Grid
from ..reports.junit import Suite, to_junit
from ..reports.renderers import to_markdown
from ..reports.verdicts import (
    budget_checks,
    budget_grid,
    comparison_checks,
    comparison_grid,
)
from .budgets import BudgetReport
from .compared_sides import Found
from .comparing import Compared


def grid_of(compared: Compared) -> Grid:
    """The comparison as a table, with what must be known to read it below."""
    found = compared.comparison
    return comparison_grid(found, compared.name, (*_setting(compared), *compared.notes))


def write_comparison(compared: Compared, junit: Path | None, markdown: Path | None) -> None:
    """Write the comparison in the formats that have a path."""
    rule, found = compared.comparison.rule, compared.comparison
    title = f"{compared.b.text} against {compared.a.text}"
    if markdown is not None:
        write_text(markdown, to_markdown(grid_of(compared), title))
    if junit is not None:
        properties = {
            "a": str(compared.a.side.condition),
            "b": str(compared.b.side.condition),
            "origin": compared.a.side.origin,
            "basis": found.basis,
            "pairing": found.pairing,
            "margin": f"{rule.margin:g}",
            "alpha": f"{rule.alpha:g}",
        }
        checks = comparison_checks(found, compared.name)
        device = compared.b.side.condition.device
        _write(junit, Suite(f"elat compare: {title}", checks, properties, device))


def comparison_json(compared: Compared) -> dict[str, Any]:
    """The comparison for machines; differences are relative to A: 0.03 is 3 % slower."""
    found = compared.comparison
    return {
        "a": _side_json(compared.a),
        "b": _side_json(compared.b),
        "environment": {
            name: {"a": a, "b": b} for name, (a, b) in sorted(compared.environment.items())
        },
        "basis": found.basis.value,
        "pairing": found.pairing.value,
        "margin": found.rule.margin,
        "alpha": found.rule.alpha,
        "level": found.rule.level,
        "sentinel_log": found.sentinel_log,
        "shared_log": found.shared_log,
        "counts": {verdict.value: count for verdict, count in found.counts.items()},
        "notes": list(compared.notes),
        "cases": [_case_json(compared, case) for case in found.cases],
        "only_a": [compared.name(operator) for operator in found.only_a],
        "only_b": [compared.name(operator) for operator in found.only_b],
    }


def write_budget(
    report: BudgetReport, is_strict: bool, junit: Path | None, markdown: Path | None
) -> None:
    """Write the budget in the formats that have a path."""
    if markdown is not None:
        title = f"Latency budget on {report.condition.device}"
        write_text(markdown, to_markdown(budget_table(report), title))
    if junit is not None:
        properties = {"condition": str(report.condition), "origin": report.origin}
        properties |= {n: str(v) for n, v in report.condition.options}
        checks = budget_checks(report.lines, is_strict)
        name = f"elat budget on {report.condition.device}"
        _write(junit, Suite(name, checks, properties, report.condition.device))


def budget_table(report: BudgetReport) -> Grid:
    """The budget as a table."""
    return budget_grid(report.lines, (f"{report.origin} on {report.condition}",))


def budget_json(report: BudgetReport) -> dict[str, Any]:
    """The budget for machines."""
    return {
        "counts": {held.value: report.count(held) for held in Held},
        "lines": [_line_json(line) for line in report.lines],
    }


def _setting(compared: Compared) -> list[str]:
    found = compared.comparison
    return [
        f"A: {compared.a.side.origin} on {compared.a.side.condition}",
        f"B: {compared.b.side.origin} on {compared.b.side.condition}",
        f"Compared by {found.basis}, pairs: {found.pairing}, margin {found.rule.margin:.2%}, "
        f"{found.rule.level:.0%} intervals, q adjusted for {len(found.cases)} cases.",
    ]


def _write(path: Path, suite: Suite) -> None:
    write_bytes(path, to_junit(suite, datetime.now(UTC)))


def _side_json(found: Found) -> dict[str, Any]:
    return {
        "name": found.text,
        "store": found.store,
        "condition": found.side.condition.to_json(),
        "origin": found.side.origin,
        "environments": list(found.environment_sha256),
    }


def _case_json(compared: Compared, case: CaseComparison) -> Mapping[str, Any]:
    return {
        "case": compared.name(case.operator),
        "operator": to_json(case.operator),
        "verdict": case.verdict.value,
        "a_ms": case.a_ms,
        "b_ms": case.b_ms,
        "launches": list(case.launches),
        "difference": case.difference,
        "interval": None if case.interval is None else list(case.interval),
        "raw_difference": case.raw_difference,
        "p": case.p,
        "q": case.q,
    }


def _line_json(line: Line) -> Mapping[str, Any]:
    return {
        "case": line.limit.name,
        "held": line.held.value,
        "limit_ms": line.limit.limit_ms,
        "margin": line.limit.margin,
        "latency_ms": line.latency_ms,
        "interval_ms": None if line.low_ms is None else [line.low_ms, line.high_ms],
        "reason": line.reason,
    }
