import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from hypothesis.extra.numpy import arrays

from elat.latency.graph.ir import Activation, Conv, GraphBuilder, Pooling
from elat.latency.graph.quantise import Quantisation, Scale, calibrate

RANDOM = np.random.default_rng(0)


def _random(*shape: int) -> np.ndarray:
    return RANDOM.standard_normal(shape).astype(np.float32)


@given(
    arrays(np.float32, 16, elements=st.floats(-8, 8, width=32)),
)
@settings(deadline=None)
def test_values_within_the_range_come_back_within_half_a_step(x):
    builder = GraphBuilder()
    value = builder.input((16,))
    scale = calibrate(builder.finish(value), [(x,)]).scales[value.name]
    assert np.abs(scale.real(scale.quantised(x)) - x).max() <= 0.501 * scale.scale + 1e-6
    assert scale.real(scale.quantised(np.zeros(1, np.float32)))[0] == 0.0


def test_values_beyond_the_range_saturate():
    scale = Scale(0.5, -128)
    assert scale.quantised(np.array([-3, 0, 1000], np.float32)).tolist() == [-128, -128, 127]


def test_moved_values_share_one_scale_and_others_do_not():
    builder = GraphBuilder()
    a, b = builder.input((1, 2, 4, 4)), builder.input((1, 2, 4, 4))
    pooled = builder.pool(a, Pooling.AVERAGE, 3, 1, 1)
    joined = builder.concat((builder.identity(pooled), b))
    total = builder.add(joined, joined)
    graph = builder.finish(total)
    sample = (_random(1, 2, 4, 4), 5 * _random(1, 2, 4, 4))
    scales = calibrate(graph, [sample]).scales
    tied = {scales[v.name] for v in (a, b, pooled, joined)}
    assert len(tied) == 1
    assert scales[total.name] != tied.pop()
    assert set(scales) == {value.name for value in graph.values()}


def test_a_hard_sigmoid_has_the_range_of_its_definition():
    builder = GraphBuilder()
    gate = builder.activate(builder.input((1, 2, 1, 1)), Activation.HSIGMOID)
    scale = calibrate(builder.finish(gate), [(np.zeros((1, 2, 1, 1), np.float32),)]).scales
    assert scale[gate.name] == Scale(float(np.float32(1 / 255)), -128)


def _conv(weight: np.ndarray, bias: np.ndarray) -> tuple[Conv, Quantisation]:
    builder = GraphBuilder()
    x = builder.input((1, weight.shape[1], 4, 4))
    builder.conv(x, weight, bias)
    graph = builder.finish(builder.nodes[-1].output)
    node = builder.nodes[-1]
    assert isinstance(node, Conv)
    return node, calibrate(graph, [(_random(*x.shape),)])


def test_weights_are_symmetric_with_a_scale_for_each_channel():
    weight = _random(3, 2, 3, 3) * np.array([1, 100, 0.01], np.float32).reshape(3, 1, 1, 1)
    node, quantisation = _conv(weight, _random(3))
    q = quantisation.weights(node)
    assert q.weight.dtype == np.int8
    assert np.abs(q.weight).reshape(3, -1).max(axis=1).tolist() == [127, 127, 127]
    real = q.weight * q.weight_scale.reshape(3, 1, 1, 1)
    step = q.weight_scale.reshape(3, 1, 1, 1)
    assert (np.abs(real - weight) <= 0.501 * step).all()
    scale_in = np.float32(quantisation.scales[node.inputs[0].name].scale)
    np.testing.assert_array_equal(q.bias_scale, q.weight_scale * scale_in)
    np.testing.assert_allclose(q.bias * q.bias_scale, node.bias, atol=q.bias_scale.max())


@pytest.mark.parametrize("bias", [0.0, 1e4])
def test_a_dead_channel_keeps_its_bias_in_range(bias):
    weight = np.zeros((2, 2, 1, 1), np.float32)
    weight[0] = 1
    node, quantisation = _conv(weight, np.array([0.5, bias], np.float32))
    q = quantisation.weights(node)
    assert (q.weight_scale > 0).all()
    assert (np.abs(q.bias.astype(np.int64)) <= 2**30).all()
    error = np.abs(q.bias * q.bias_scale.astype(np.float64) - node.bias)
    assert (error <= 0.501 * q.bias_scale).all()
    multiplier = q.bias_scale / quantisation.scales[node.output.name].scale
    assert multiplier.min() >= 2.0**-25
