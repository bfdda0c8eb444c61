"""Rule: every operator that is asked for has an entry."""

from __future__ import annotations

from ..nearest import nearest
from .context import Context
from .finding import Finding, Severity, listed
from .view import View


def uncovered(view: View, context: Context) -> list[Finding]:
    """Operators that the space or network needs and the table lacks."""
    known = {operator for row in view.rows for operator in row.operators}
    needed = [operator for operator in context.required if not operator.is_free]
    missing = [operator for operator in needed if operator not in known]
    if not missing:
        return []
    words = []
    for operator in missing:
        close = nearest(operator, known, 1)
        words.append(f"{operator}" + (f" (nearest: {close[0]})" if close else ""))
    return [
        Finding(
            "coverage",
            Severity.ERROR,
            tuple(map(str, missing)),
            f"{len(missing)} of {len(needed)} operators of {context.required_by} have no entry: "
            f"{listed(words)}",
            "measure them: elat measure --device DEVICE --space SPACE (a space that has them)",
        )
    ]
