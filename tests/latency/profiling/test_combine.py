"""Processes with known truth: what is put in must come out."""

from __future__ import annotations

from dataclasses import replace

import pytest

from elat.core.errors import MeasurementError
from elat.devices.device import find_device
from elat.latency.condition import Condition
from elat.latency.flags import Flag
from elat.latency.profiling.combine import Pass, Probe, Unprofiled, combine

BASE_MS, TENSOR_MS, CALL_MS = 0.0015, 0.0002, 0.003
TRUTH_MS = {"a": 0.2, "b": 0.05, "c": 0.01}
TINY_MS, WIDE_MS = 0.0004, 0.0009


@pytest.fixture
def condition():
    return Condition.of(find_device("local-ort"))


@pytest.fixture
def network(model):
    return model(("Conv", ["x", "w1"], "a"), ("Conv", ["a", "w2"], "b"), ("Relu", ["b"], "c"))


@pytest.fixture
def found(ran, raw):
    """A pass whose profiler spends `BASE_MS` a node and `TENSOR_MS` a tensor inside each."""

    def node(name, kind, inputs, outputs, true_ms):
        cost_ms = BASE_MS + TENSOR_MS * (len(inputs) + len(outputs))
        return ran(name, kind, inputs, outputs, [true_ms + cost_ms] * 8)

    def found(order=("a", "b", "c")):
        nodes = {
            "a": node("elat.0.", "Conv", ["x", "w1"], ["a"], TRUTH_MS["a"]),
            "b": node("elat.1.", "Conv", ["a", "w2"], ["b"], TRUTH_MS["b"]),
            "c": node("elat.2.", "Relu", ["b"], ["c"], TRUTH_MS["c"]),
        }
        few = [node("n", "Sigmoid", ["i"], ["o"], TINY_MS) for _ in range(28)]
        many = [node("n", "Concat", ["i"] * 8, ["o"], WIDE_MS) for _ in range(28)]
        return Pass(
            raw(*(nodes[name] for name in order), gap_ms=0.01),
            Probe(raw(*few[:4]), raw(*few)),
            Probe(raw(*many[:4]), raw(*many)),
        )

    return found


def unprofiled(model_ms=sum(TRUTH_MS.values()) + CALL_MS):
    return Unprofiled(
        model_ms,
        CALL_MS + 4 * TINY_MS,
        CALL_MS + 28 * TINY_MS,
        CALL_MS + 4 * WIDE_MS,
        CALL_MS + 28 * WIDE_MS,
    )


def test_the_profilers_own_work_is_taken_off(network, found, condition):
    profile = combine(network, [found()], [unprofiled()], condition)
    assert [node.latency_ms for node in profile.nodes] == pytest.approx(list(TRUTH_MS.values()))
    assert profile.scale == pytest.approx(1.0)
    assert profile.call_ms == pytest.approx(CALL_MS)
    assert profile.node_cost_ms == pytest.approx(BASE_MS + TENSOR_MS * 8 / 3)
    assert profile.residual_ms == pytest.approx(CALL_MS)
    assert profile.notes[0].startswith("2 of 3 nodes are short")


def test_nodes_and_call_sum_to_the_unprofiled_run(network, found, condition):
    slow_ms = 2 * sum(TRUTH_MS.values()) + CALL_MS
    profile = combine(network, [found()], [unprofiled(slow_ms)], condition)
    assert profile.scale == pytest.approx(2.0)
    assert profile.nodes_ms + profile.call_ms == pytest.approx(slow_ms)
    assert sum(map(profile.share, profile.nodes)) == pytest.approx(1.0)
    assert "50% of the unprofiled run" in profile.notes[0]


def test_processes_may_order_independent_nodes_otherwise(network, found, condition):
    profile = combine(network, [found(), found(("b", "a", "c"))], [unprofiled()] * 2, condition)
    assert [node.latency_ms for node in profile.nodes] == pytest.approx(list(TRUTH_MS.values()))
    assert profile.processes == 2
    assert profile.runs == 16


def test_processes_that_execute_other_nodes_are_no_profile(network, found, condition):
    with pytest.raises(MeasurementError, match="executed 3 nodes for the model, another one 2"):
        combine(network, [found(), found(("a", "b"))], [unprofiled()] * 2, condition)


def test_a_disturbed_process_is_outvoted(network, found, condition):
    slow = found()
    disturbed = replace(
        slow,
        model=replace(
            slow.model,
            nodes=tuple(
                replace(n, times_ms=tuple(9.0 for _ in n.times_ms)) for n in slow.model.nodes
            ),
        ),
    )
    profile = combine(network, [found(), disturbed, found()], [unprofiled()] * 3, condition)
    assert [node.latency_ms for node in profile.nodes] == pytest.approx(list(TRUTH_MS.values()))


def test_what_a_gapless_clock_cut_off_is_given_back(network, ran, raw, condition):
    # 0.2004, 0.0504 and 0.0104 ms, cut to whole microseconds.
    nodes = [
        ran(str(i), "Convolution", times_ms=[ms] * 8) for i, ms in enumerate((0.2, 0.05, 0.01))
    ]
    tflite = replace(
        network,
        nodes=tuple(replace(node, kind="CONV_2D") for node in network.nodes),
    )
    probe = Probe(raw(*nodes[:1]), raw(*nodes[:2]))
    found = Pass(raw(*nodes, gap_ms=0.0012, is_gapless=True), probe, probe)
    timed = Unprofiled(0.2612, 0.0001, 0.0002, 0.0001, 0.0002)
    profile = combine(tflite, [found], [timed], condition)
    assert profile.node_cost_ms == pytest.approx(-0.0004)
    assert [n.latency_ms for n in profile.nodes] == pytest.approx([0.2004, 0.0504, 0.0104])


def test_a_gap_longer_than_the_clock_can_cut_off_is_no_nodes_time(network, ran, raw, condition):
    nodes = [ran(str(i), "Convolution", times_ms=[0.1] * 8) for i in range(3)]
    tflite = replace(network, nodes=tuple(replace(n, kind="CONV_2D") for n in network.nodes))
    probe = Probe(raw(*nodes[:1]), raw(*nodes[:2]))
    found = Pass(raw(*nodes, gap_ms=3.0, is_gapless=True), probe, probe)
    profile = combine(tflite, [found], [Unprofiled(0.3, 0.0, 0.0, 0.0, 0.0)], condition)
    assert profile.node_cost_ms == -0.001


def test_short_nodes_are_flagged_and_long_ones_not(network, found, condition):
    profile = combine(network, [found()], [unprofiled()], condition)
    coarse = [Flag.QUANTISED in node.flags for node in profile.nodes]
    # A step of 1 us is 0.5 % of 0.2 ms.
    assert coarse == [False, True, True]


def test_no_node_takes_less_than_one_that_does_next_to_nothing(network, found, condition):
    full = found()
    nodes = (*full.model.nodes[:2], replace(full.model.nodes[2], times_ms=(0.001,) * 8))
    passed = replace(full, model=replace(full.model, nodes=nodes))
    profile = combine(network, [passed], [unprofiled(0.25 + TINY_MS + CALL_MS)], condition)
    assert profile.scale == pytest.approx(1.0)
    assert profile.nodes[2].latency_ms == pytest.approx(TINY_MS)


def test_a_model_shorter_than_the_profilers_work_is_refused(network, found, condition):
    tiny = found()
    nodes = tuple(replace(node, times_ms=(0.001,)) for node in tiny.model.nodes)
    assert max(node.typical_ms for node in nodes) < BASE_MS
    shorter = replace(tiny, model=replace(tiny.model, nodes=nodes, run_ms=(0.01,)))
    with pytest.raises(MeasurementError, match="too small to be profiled"):
        combine(network, [shorter], [unprofiled()], condition)
