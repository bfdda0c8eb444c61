"""Measurements from launches that are in no store."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

from ..common_mode import corrected, slowness_by_worker
from ..condition import Condition
from ..launch import Launch
from ..measurement import Measurement
from ..operators import Operator
from ..protocol import Protocol


def assembled(
    launches: Sequence[tuple[Operator, Launch]],
    condition: Condition,
    protocol: Protocol,
    origin: str,
    state: Mapping[str, Any],
) -> dict[Operator, Measurement]:
    """The measurement of each operator, corrected by the sentinel and by what cases share.

    Args:
        launches: In the order in which they were taken; all with a sentinel.
        condition: Under which.
        protocol: Whose target decides whether they converged.
        origin: `measured` or `simulated`.
        state: Of the machine, the same at all launches.
    """
    slowness = slowness_by_worker([launch for _, launch in launches], condition.clock)
    by_operator: dict[Operator, list[Launch]] = {}
    for operator, launch in launches:
        by_operator.setdefault(operator, []).append(launch)
    measurements = [
        Measurement(
            operator,
            condition,
            tuple(found),
            state,
            state,
            origin,
            slowness=tuple(slowness[launch.worker] for launch in found),
            protocol=protocol,
        )
        for operator, found in by_operator.items()
    ]
    return {m.operator: m for m in corrected(measurements)}
