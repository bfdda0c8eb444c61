"""What is executed, against the graph with real weights, and features that tell it apart."""

from __future__ import annotations

from dataclasses import replace

import numpy as np
import pytest

from elat.latency.condition import Condition, Method, Precision
from elat.latency.models.executed import primitives
from elat.latency.models.executed_features import ExecutedSpace, nominal_operator_us
from elat.latency.models.layout_features import loop_of, net_row, net_us, node_us, signed_nodes
from elat.latency.models.starts import Rows
from elat.latency.operators import Operator
from elat.latency.operators.conv import Conv, Norm
from elat.latency.operators.generate import generate, generated_kinds
from elat.latency.operators.mbconv import MBConv
from elat.latency.operators.serial import kind_of
from elat.latency.operators.zero import Zero
from elat.latency.table import Entry, LatencyTable


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


CONDITION = Condition(
    "toy",
    "onnxruntime",
    "1",
    Precision.FP32,
    1,
    1,
    Method.IN_SITU,
    options=(("graph_level", "all"), ("spinning", False)),
)


@pytest.mark.parametrize(
    "other",
    [
        replace(CONDITION, runtime="tflite"),
        replace(CONDITION, precision=Precision.INT8),
        replace(CONDITION, method=Method.BLOCK),
        replace(CONDITION, options=(("graph_level", "basic"), ("spinning", False))),
    ],
)
def test_only_differences_of_blocked_models_have_net_features(other: Condition) -> None:
    operators = generate(40, 2)
    entries = {o: Entry(5, 1.0 + i, 0.1) for i, o in enumerate(operators)}
    plain, net = (Rows.of(LatencyTable(c, "simulated", entries)) for c in (other, CONDITION))
    bytes_each = plain.executed.element_bytes
    assert plain.executed == replace(net.executed, method=None, element_bytes=bytes_each)
    before = replace(net.executed, method=None).matrix(operators)
    after = net.executed.matrix(operators)
    assert np.array_equal(after[:, : before.shape[1]], before)
    assert after.shape[1] == before.shape[1] + len(net_row(operators[0], Method.IN_SITU))
    expected = [nominal_operator_us(o) for o in operators]
    assert plain.executed.nominal_us(operators).tolist() == expected


def test_a_pool_that_needs_plain_rows_is_taken_off() -> None:
    # The bare host of 24 channels changes the layout of its image for its pool; half of it is
    # taken off, and the host itself, whose output has 32, has none.
    nodes = signed_nodes(Conv(24, 32, 28, 1), Method.IN_SITU)
    images = {n.op: count for n, count in nodes if n.op == "ReorderOutput" and n.side == 28}
    assert images == {"ReorderOutput": -0.5}
    added = sum(count * node_us(node) for node, count in nodes if count > 0)
    taken = -sum(count * node_us(node) for node, count in nodes if count < 0)
    expected = max(added - taken, 0.3 * added)
    assert net_us(Conv(24, 32, 28, 1), Method.IN_SITU) == pytest.approx(expected, rel=1e-12)


def test_what_cancels_is_left_out() -> None:
    block = Conv(32, 32, 28, 3)
    nodes = signed_nodes(block, Method.IN_SITU)
    assert [(loop_of(node), count) for node, count in nodes] == [("blocked dense", 1.0)]


def test_net_features_are_finite_for_every_kind() -> None:
    for method in (Method.IN_SITU, Method.SLOPE):
        rows = np.array([net_row(o, method) for o in generate(60, 4)])
        assert np.all(np.isfinite(rows))
        assert np.all(np.ptp(rows, axis=0) > 0)
