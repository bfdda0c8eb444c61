from __future__ import annotations

import json

import pytest

from elat.core.errors import ArtefactError
from elat.devices.device import find_device
from elat.latency.condition import Condition
from elat.latency.flags import Flag
from elat.latency.profiling.profile import Profile, ProfiledNode
from elat.latency.profiling.raw import RawProfile, middle


@pytest.fixture
def profile():
    nodes = (
        ProfiledNode("a", "Conv", ("a", "b"), 0.31, 0.3, False, macs=900, moved_bytes=100),
        ProfiledNode("r", "ReorderOutput", (), 0.11, 0.1, True),
        ProfiledNode("c", "If", ("c",), 0.11, 0.1, False, flags=frozenset({Flag.QUANTISED})),
    )
    condition = Condition.of(find_device("local-ort"))
    return Profile(nodes, 120, 3, 0.66, 0.51, 0.01, 0.002, 0.98, 1e-3, condition, {"level": "all"})


def test_sums(profile):
    assert profile.nodes_ms == pytest.approx(0.5)
    assert profile.kernel_ms == pytest.approx(0.4)
    assert profile.layout_ms == pytest.approx(0.1)
    assert profile.residual_ms == pytest.approx(0.01)
    assert profile.overhead_share == pytest.approx(0.66 / 0.51 - 1)
    assert [profile.share(node) for node in profile.nodes] == pytest.approx([0.6, 0.2, 0.2])


def test_json_round_trip(profile):
    bounded = profile.with_bounds((0.1, None, None))
    assert Profile.from_json(json.loads(json.dumps(bounded.to_json()))) == bounded


def test_what_is_no_whole_profile_is_refused(profile):
    data = profile.to_json()
    with pytest.raises(ArtefactError, match="schema 99"):
        Profile.from_json({**data, "schema": 99})
    with pytest.raises(ArtefactError, match="scale"):
        Profile.from_json({name: value for name, value in data.items() if name != "scale"})
    with pytest.raises(ArtefactError, match="Not a whole profile"):
        Profile.from_json({**data, "nodes": [{"name": "a"}]})


def test_a_bound_is_set_and_twice_as_fast_is_flagged(profile):
    bounded = profile.with_bounds((0.15, None, 0.2001))
    assert [node.bound_share for node in bounded.nodes] == [
        pytest.approx(0.5),
        None,
        pytest.approx(2.001),
    ]
    assert [Flag.BELOW_ROOFLINE in node.flags for node in bounded.nodes] == [False, False, True]
    assert Flag.QUANTISED in bounded.nodes[2].flags


def test_a_bound_that_is_not_beaten_twice_is_no_flag(profile):
    bounded = profile.with_bounds((0.6, None, None))
    assert Flag.BELOW_ROOFLINE not in bounded.nodes[0].flags


def test_the_middle_half_sees_fractions_and_no_outliers():
    assert middle((1.0, 2.0, 1.0, 2.0, 1.0, 2.0, 1.0, 500.0)) == pytest.approx(1.5)
    assert middle((3.0,)) == 3.0


def test_the_gap_of_a_preempted_run_is_that_of_the_others(ran, raw):
    found = raw(ran("a", "Conv", times_ms=(0.1, 0.1, 4.1, 0.1)), gap_ms=0.02)
    assert found.gap_ms == pytest.approx(0.02)
    assert RawProfile.from_json(json.loads(json.dumps(found.to_json()))) == found
