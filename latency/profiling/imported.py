"""Profiles that other tools took: TensorRT's layers, and every other import of one row a node."""

from __future__ import annotations

from ...core.errors import ConfigError
from ..imports.base import LEVEL, Imported, Level, Quantity, Row
from .profile import Profile, ProfiledNode


def profile_of(imported: Imported, unprofiled_run_ms: float | None = None) -> Profile:
    """The nodes of a profile that another tool wrote, as one of ours.

    Its times are scaled to `unprofiled_run_ms` if that is given, and left alone otherwise. Rows of
    other levels than operators (kernels, parts of a delegate) are left out: the same time would
    count twice.

    Args:
        imported: What its importer read, such as `trtexec-profile`.
        unprofiled_run_ms: What a run takes without profiling, where that was measured.

    Raises:
        ConfigError: It holds no latencies of nodes, or they sum to nothing.
    """
    rows = [row for row in imported.rows if _level(row) is Level.OPERATOR]
    total_ms = sum(row.value for row in rows)
    if imported.quantity is not Quantity.LATENCY_MS or total_ms <= 0.0:
        raise ConfigError(
            f"{imported.kind} of {imported.tool} is no profile: it holds {len(rows)} nodes with "
            f"{imported.quantity} of {total_ms:g} together."
        )
    runs = [row.value for row in imported.rows if _level(row) is Level.NETWORK]
    scale = 1.0 if unprofiled_run_ms is None else unprofiled_run_ms / total_ms
    return Profile(
        nodes=tuple(_node(row, scale) for row in rows),
        runs=min(row.count or 1 for row in rows),
        processes=1,
        profiled_run_ms=runs[0] if runs else total_ms,
        unprofiled_run_ms=unprofiled_run_ms,
        call_ms=0.0,
        node_cost_ms=0.0,
        scale=scale,
        step_ms=imported.resolution,
        condition=None,
        facts={
            "tool": imported.tool,
            **{
                name: value
                for name, value in imported.facts.items()
                if not isinstance(value, tuple)
            },
        },
        notes=imported.notes,
        origin=imported.origin,
    )


def _level(row: Row) -> Level:
    return Level(str(row.facts.get(LEVEL, Level.OPERATOR)))


def _node(row: Row, scale: float) -> ProfiledNode:
    fused = row.facts.get("fused", ())
    return ProfiledNode(
        name=row.name,
        kind=str(row.facts.get("type", "")),
        fused=tuple(map(str, fused)) if isinstance(fused, tuple) else (),
        raw_ms=row.value,
        latency_ms=scale * row.value,
        is_layout=bool(row.facts.get("layout", False)),
        flags=row.flags,
    )
