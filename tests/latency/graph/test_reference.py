"""The NumPy interpreter against torch.nn.functional."""

import numpy as np
import pytest
import torch
from torch.nn import functional as F

from elat.core.errors import UnsupportedOperatorError
from elat.latency.graph import reference
from elat.latency.graph.ir import Activation, GraphBuilder, Node, Pooling, Value

RANDOM = np.random.default_rng(0)


def _random(*shape: int) -> np.ndarray:
    return RANDOM.standard_normal(shape).astype(np.float32)


def _run(builder: GraphBuilder, output: Value, *inputs: np.ndarray) -> np.ndarray:
    graph = builder.finish(output)
    values = reference.run(graph, inputs)
    for value in graph.values():
        assert values[value.name].shape == value.shape
    return values[output.name]


@pytest.mark.parametrize("groups", [1, 2, 4])
@pytest.mark.parametrize(
    ("kernel", "stride", "padding"), [(1, 1, 0), (3, 2, 1), (5, 3, 2), (4, 2, 1)]
)
def test_conv(kernel, stride, padding, groups):
    x, w, b = _random(2, 4, 9, 9), _random(8, 4 // groups, kernel, kernel), _random(8)
    builder = GraphBuilder()
    y = builder.conv(builder.input(x.shape), w, b, stride=stride, padding=padding, groups=groups)
    given, weight, bias = (torch.from_numpy(a).double() for a in (x, w, b))
    expected = F.conv2d(given, weight, bias, stride, padding, 1, groups)
    np.testing.assert_allclose(_run(builder, y, x), expected.numpy(), rtol=1e-12, atol=1e-12)


@pytest.mark.parametrize("pooling", Pooling)
@pytest.mark.parametrize(("kernel", "stride", "padding"), [(2, 2, 0), (3, 2, 1), (3, 1, 1)])
def test_pool(pooling, kernel, stride, padding):
    x = _random(2, 3, 9, 9)
    builder = GraphBuilder()
    y = builder.pool(builder.input(x.shape), pooling, kernel, stride, padding)
    function = F.max_pool2d if pooling is Pooling.MAX else F.avg_pool2d
    expected = function(torch.from_numpy(x).double(), kernel, stride, padding)
    np.testing.assert_allclose(_run(builder, y, x), expected.numpy(), rtol=1e-12)


@pytest.mark.parametrize(
    ("activation", "function"),
    [
        (Activation.RELU, F.relu),
        (Activation.RELU6, F.relu6),
        (Activation.HSWISH, F.hardswish),
        (Activation.HSIGMOID, F.hardsigmoid),
    ],
)
def test_activations_alone_and_behind_a_sum(activation, function):
    a, b = 4 * _random(1, 3, 5, 5), 4 * _random(1, 3, 5, 5)
    builder = GraphBuilder()
    x = builder.input(a.shape)
    alone = builder.activate(x, activation)
    y = builder.add(alone, builder.input(b.shape), activation)
    expected = function(function(torch.from_numpy(a).double()) + torch.from_numpy(b).double())
    np.testing.assert_allclose(_run(builder, y, a, b), expected.numpy(), rtol=1e-12, atol=1e-15)


def test_what_cannot_be_fused_becomes_a_node_of_its_own():
    builder = GraphBuilder()
    x = builder.input((1, 3, 5, 5))
    builder.conv(x, _random(4, 3, 1, 1), _random(4), activation=Activation.HSWISH)
    builder.conv(x, _random(4, 3, 1, 1), _random(4), activation=Activation.RELU6)
    assert [type(node).__name__ for node in builder.nodes] == ["Conv", "Activate", "Conv"]
    names = [value.name for value in builder.finish(x).values()]
    assert len(names) == len(set(names))


def test_moving_operations():
    a, b = _random(1, 2, 4, 4), _random(1, 3, 4, 4)
    builder = GraphBuilder()
    y = builder.identity(builder.concat((builder.input(a.shape), builder.input(b.shape))))
    gate = builder.global_average_pool(y, keep_dims=True)
    z = builder.linear(
        builder.global_average_pool(builder.mul(y, gate), keep_dims=False),
        np.eye(5, dtype=np.float32),
        np.zeros(5, np.float32),
    )
    both = np.concatenate([a, b], axis=1).astype(np.float64)
    expected = (both * both.mean(axis=(2, 3), keepdims=True)).mean(axis=(2, 3))
    np.testing.assert_allclose(_run(builder, z, a, b), expected, rtol=1e-12)


def test_an_unknown_node_is_refused():
    class Stranger(Node):
        pass

    builder = GraphBuilder()
    x = builder.input((1, 2))
    builder.nodes.append(Stranger((x,), Value("y", (1, 2))))
    with pytest.raises(UnsupportedOperatorError, match="Stranger"):
        reference.run(builder.finish(builder.nodes[-1].output), (_random(1, 2),))
