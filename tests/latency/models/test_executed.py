"""What is executed, against the graph with real weights, and features that tell it apart."""

from __future__ import annotations

import numpy as np
import pytest

from elat.latency.models.executed import primitives
from elat.latency.models.executed_features import ExecutedSpace, nominal_operator_us
from elat.latency.operators import Operator
from elat.latency.operators.conv import Conv, Norm
from elat.latency.operators.generate import generate, generated_kinds
from elat.latency.operators.mbconv import MBConv
from elat.latency.operators.serial import kind_of
from elat.latency.operators.zero import Zero


@pytest.mark.parametrize("kind", generated_kinds())
def test_every_kind_executes_what_its_graph_says(kind: str) -> None:
    for operator in generate(3, 0, (kind,)):
        nodes = operator.lower(operator.build().eval()).nodes
        found = primitives(operator)
        assert [p.macs for p in found] == [node.macs for node in nodes]
        assert [p.moved for p in found] == [node.traffic_elements for node in nodes]
        assert sum(p.macs for p in found) == operator.macs
        assert sum(p.moved for p in found) == operator.traffic_elements


def test_fused_parts_are_one_primitive() -> None:
    block = MBConv(16, 16, 14, 3, expand=3)
    assert [p.kind for p in primitives(block)] == ["pointwise", "depthwise", "pointwise", "add"]
    assert primitives(Zero(16, 14)) == ()


def test_channels_that_fill_no_block_take_the_time_of_the_block() -> None:
    narrow, full = (Conv(16, c, 14, 1, norm=Norm.NONE) for c in (17, 32))
    work = [nominal_operator_us(o) for o in (narrow, full)]
    assert work[0] == pytest.approx(work[1], rel=0.05)


def test_features_are_finite_and_distinct() -> None:
    operators = generate(300, 2)
    space = ExecutedSpace.of(operators, 4)
    matrix = space.matrix(operators)
    assert np.all(np.isfinite(matrix))
    shared: dict[bytes, list[Operator]] = {}
    for operator, row in zip(operators, matrix, strict=True):
        shared.setdefault(row.tobytes(), []).append(operator)
    twins = [pair for pair in shared.values() if len(pair) > 1]
    # Only the activation that is fused may differ: it executes the same loop.
    for first, *others in twins:
        assert all(kind_of(other) == kind_of(first) for other in others)
        assert all(other.macs == first.macs for other in others)
