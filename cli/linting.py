"""`elat table --lint`: what is wrong with a latency table, ours or a published one."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING

from .console import print_json, print_table, say

if TYPE_CHECKING:
    from collections.abc import Iterable

    from ..devices.device import Device
    from ..flows.linting import LintReport
    from ..latency.linting import Finding
    from ..latency.table import LatencyTable


def lint(
    file: Path, space: str | None, against: Path | None, unit: str | None, json: bool
) -> None:
    """Print what is wrong with `file`.

    Raises:
        CheckError: There are errors, not only warnings.
    """
    from ..core.errors import CheckError
    from ..flows.linting import LintOrder, lint_file

    report = lint_file(LintOrder(file, space, against, unit))
    if json:
        print_json(report.to_json())
    else:
        _show(report)
    if errors := report.counts["error"]:
        raise CheckError(f"{file} has {errors} error{'s' * (errors > 1)}; see the findings.")


def warn_of_errors(table: LatencyTable, device: Device) -> None:
    """Say on standard error what is wrong with a table that was just made."""
    from ..flows.linting import lint_table

    for finding in lint_table(table, device):
        say(f"warning: {finding.rule}: {finding.found}; {finding.repair}")


def _show(report: LintReport) -> None:
    numbers = {"row": report.rows, "table": report.tables, **report.counts}
    words = ", ".join(f"{count} {noun}{'s' * (count != 1)}" for noun, count in numbers.items())
    title = f"{report.order.file}: {report.kind}: {words}"
    if not report.findings:
        say(title)
        return
    heads = ("", "rule", "rows", "found", "repair")
    print_table(title, heads, list(_lines(report.findings)), right=(2,))


def _lines(findings: Iterable[Finding]) -> Iterable[tuple[str, str, int, str, str]]:
    for f in findings:
        where = f"{f.table}: " if f.table else ""
        yield f.severity.value, f.rule, len(f.names), f"{where}{f.found}", f.repair
