from __future__ import annotations

from dataclasses import replace

import pytest

from elat.core.errors import MeasurementError
from elat.latency.operators.add import Add
from elat.latency.operators.chain import Chain
from elat.latency.operators.conv import Conv
from elat.latency.operators.dag import Dag
from elat.latency.operators.zero import Zero
from elat.latency.profiling.parts import split
from elat.latency.profiling.profile import Profile, ProfiledNode

WIDE, NARROW = Conv(4, 8, 6, 1), Conv(8, 8, 6, 1)


def profile(*rows):
    nodes = tuple(
        ProfiledNode(f"n{i}", "Conv", tuple(fused), ms, ms, is_layout)
        for i, (fused, ms, is_layout) in enumerate(rows)
    )
    return Profile(nodes, 1, 1, 1.0, 1.0, 0.0, 0.0, 1.0, 1e-3, None)


def test_nodes_go_to_the_operator_whose_values_they_make():
    found = split(
        profile((["t1"], 1.0, False), (["t2.linear", "t2"], 2.0, False)), Chain((WIDE, NARROW))
    )
    assert found.part_ms == (1.0, 2.0)
    assert found.part_kernel_ms == (1.0, 2.0)


def test_a_node_of_several_operators_is_shared_by_multiply_adds():
    # The sum has none, so that it costs what it adds to its convolution: nothing of its own.
    network = Dag((WIDE, NARROW, Add(8, 6)), ((0,), (1,), (1, 2)))
    found = split(profile((["t1"], 1.0, False), (["t2", "t3"], 2.0, False)), network)
    assert found.part_ms == (1.0, 2.0, 0.0)
    both = split(profile((["t1", "t2"], 3.0, False)), Chain((WIDE, NARROW)))
    assert both.part_ms == pytest.approx((1.0, 2.0))


def test_a_change_of_layout_goes_to_the_operator_after_it():
    found = split(
        profile(
            ([], 0.25, True),
            (["t1"], 1.0, False),
            ([], 0.5, True),
            (["t2"], 2.0, False),
            ([], 0.125, True),
        ),
        Chain((WIDE, NARROW)),
    )
    assert found.part_ms == (1.25, 2.625)
    assert found.part_layout_ms == (0.25, 0.625)
    assert found.part_kernel_ms == (1.0, 2.0)


def test_free_operators_take_no_time():
    network = Chain((WIDE, Zero(8, 6), NARROW))
    found = split(profile((["t1"], 1.0, False), (["t2"], 2.0, False)), network)
    assert found.part_ms == (1.0, 0.0, 2.0)


def test_a_delegate_that_ran_several_operators_at_once_is_not_split():
    whole = profile((["t1", "t2"], 3.0, False))
    whole = replace(whole, nodes=(replace(whole.nodes[0], is_delegate=True),))
    with pytest.raises(MeasurementError, match="several operators at once"):
        split(whole, Chain((WIDE, NARROW)))
    # One operator alone is all its own.
    alone = profile((["t1"], 3.0, False))
    alone = replace(alone, nodes=(replace(alone.nodes[0], is_delegate=True),))
    assert split(alone, Chain((WIDE,))).part_ms == (3.0,)


def test_an_operator_that_no_node_is_known_to_execute_is_not_given_a_share():
    with pytest.raises(MeasurementError, match="which of its nodes execute 1 operators"):
        split(profile((["t1"], 1.0, False), ([], 2.0, False)), Chain((WIDE, NARROW)))
