"""Built networks compute what their equations say, and are wired as asked."""

import pytest
import torch
from hypothesis import given, settings
from torch import nn

from elat.latency.export import seeded_module
from elat.latency.operators.add import Add
from elat.latency.operators.channel_slice import ChannelSlice
from elat.latency.operators.conv import Conv
from elat.latency.operators.dag_builder import DagBuilder
from elat.latency.operators.sum import Sum
from elat.search.aggregation import Topology
from elat.search.aggregation.joins import Aggregator, Join, Output
from elat.search.aggregation.layers import Layer, basic, bottleneck, narrowing, window
from elat.search.aggregation.network import (
    AggregationNetwork,
    Shortcut,
    Stage,
    Stem,
    Transition,
)
from elat.search.aggregation.reading import aggregated_layers

from .strategies import topologies

SIDE = 6


def _dag(shape, write):
    """What `write` makes of value 0, the image."""
    builder = DagBuilder(shape)
    write(builder)
    return builder.finish()


def _slices(builder, *widths):
    """The image in slices of `widths`."""
    channels, side, _ = builder.shape(0)
    begin, found = 0, []
    for width in widths:
        found.append(builder.add(ChannelSlice(channels, side, begin, begin + width), 0))
        begin += width
    return found


def _run(dag, image):
    with torch.no_grad():
        return dag.build()(image)


@pytest.mark.parametrize("runs", [True, False])
@pytest.mark.parametrize("sources", [(0,), (0, 1), (0, 1, 2), (1, 2), (0, 2), (2,)])
def test_sums(sources, runs):
    def write(builder):
        first, *others = (Output(inner=v) for v in _slices(builder, 2, 2, 2))
        aggregator = Aggregator(builder, first, runs=runs)
        for output in others:
            aggregator.append(output)
        value = aggregator.read(sources)
        builder.add(Add(2, SIDE), value, value)

    image = torch.randn(2, 6, SIDE, SIDE)
    parts = image.split(2, dim=1)
    expected = 2 * sum(parts[source] for source in sources)
    torch.testing.assert_close(_run(_dag((6, SIDE, SIDE), write), image), expected)


@pytest.mark.parametrize("sources", [(0,), (0, 1), (0, 1, 2), (1, 2), (0, 2)])
def test_dual_paths_add_in_front_and_concatenate_behind(sources):
    def write(builder):
        values = _slices(builder, 2, 3, 2, 1, 2, 1)
        first, *others = (Output(a, b) for a, b in zip(values[::2], values[1::2], strict=True))
        aggregator = Aggregator(builder, first)
        for output in others:
            aggregator.append(output)
        value = aggregator.read(sources)
        channels = builder.shape(value)[0]
        builder.add(ChannelSlice(channels, SIDE, 0, channels), value)

    image = torch.randn(2, 11, SIDE, SIDE)
    parts = image.split((2, 3, 2, 1, 2, 1), dim=1)
    inner, outer = parts[::2], parts[1::2]
    expected = torch.cat([sum(inner[s] for s in sources), *(outer[s] for s in sources)], dim=1)
    torch.testing.assert_close(_run(_dag((11, SIDE, SIDE), write), image), expected)


@pytest.mark.parametrize("sources", [(0,), (0, 1), (0, 1, 2), (1, 2), (0, 2)])
def test_mixed_links_add_onto_the_last_channels(sources):
    def write(builder):
        start, a, b, c, d = _slices(builder, 4, 2, 3, 2, 3)
        aggregator = Aggregator(builder, Output(outer=start), Join.MOVING)
        aggregator.append(Output(a, b))
        aggregator.append(Output(c, d))
        value = aggregator.read(sources)
        channels = builder.shape(value)[0]
        builder.add(ChannelSlice(channels, SIDE, 0, channels), value)

    image = torch.randn(2, 14, SIDE, SIDE)
    start, a, b, c, d = image.split((4, 2, 3, 2, 3), dim=1)
    outputs = [(None, start), (a, b), (c, d)]
    state = None
    for source in sources:
        inner, outer = outputs[source]
        if state is None:
            state = outer if inner is None else torch.cat([inner, outer], dim=1)
            continue
        state = state.clone()
        state[:, -inner.shape[1] :] += inner
        state = torch.cat([state, outer], dim=1)
    torch.testing.assert_close(_run(_dag((14, SIDE, SIDE), write), image), state)


def _network(topology, layer, **stage):
    return AggregationNetwork(Stem(4), (Stage(topology, layer, **stage),)).network(3, SIDE)


@settings(max_examples=30, deadline=None)
@given(topologies(least=2))
def test_what_is_read_from_the_network_is_what_was_asked_for(topology):
    for layer in (Layer(inner=window(4)), Layer(outer=window(4))):
        found = aggregated_layers(_network(topology, layer))
        # The classifier reads what the stage's output reads.
        assert found == topology
    found = aggregated_layers(_network(topology, Layer(outer=bottleneck(4))))
    # Two convolutions a layer: the first reads the second ones, whose numbers are 2, 4, ...
    assert [tuple(s // 2 for s in read) for read in found.sources[::2]] == list(topology.sources)


@pytest.mark.parametrize("layers", [1, 2, 5])
def test_a_running_sum_is_the_sum_of_all(layers):
    """The unrolled residual network computes what the residual network does."""
    topology = Topology.residual(layers + 1)
    running = _network(topology, Layer(inner=basic(4)))
    unrolled = _network(topology, Layer(inner=basic(4)), runs=False)
    assert aggregated_layers(running) == aggregated_layers(unrolled)
    module, other = seeded_module(running, 0), seeded_module(unrolled, 0)
    # Sums have no weights: both have the same ones, under other numbers.
    pairs = zip(other.state_dict(), module.state_dict().values(), strict=True)
    other.load_state_dict(dict(pairs))
    image = torch.randn(2, 3, SIDE, SIDE)
    with torch.no_grad():
        torch.testing.assert_close(module(image), other(image), rtol=1e-4, atol=1e-5)
    adds = [op for op in running.operators if isinstance(op, Add | Sum)]
    assert len(adds) == layers and all(isinstance(op, Add) for op in adds)


def test_a_residual_layer_adds_to_what_it_reads():
    """x + F(x) by hand, F in pre-activation order."""
    dag = _network(Topology.residual(2), Layer(inner=basic(4)))
    module = seeded_module(dag, 0)
    stem, norm, first, second, _, *tail = module.get_submodule("nodes").children()
    image = torch.randn(2, 3, SIDE, SIDE)
    with torch.no_grad():
        x = stem(image)
        y = x + second(first(norm(x)))
        for part in tail:
            y = part(y)
        torch.testing.assert_close(module(image), y)
    assert isinstance(first, nn.Sequential) and [type(m) for m in first] == [
        nn.Conv2d, nn.BatchNorm2d, nn.ReLU,
    ]  # fmt: skip
    assert len(list(second.children())) == 1


@pytest.mark.parametrize("shortcut", Shortcut)
def test_a_stage_may_be_entered_by_a_shortcut(shortcut):
    layer = Layer(inner=narrowing(8))
    stage = Stage(Topology.residual(3), layer, shortcut=(shortcut, 8), stride=2)
    network = AggregationNetwork(Stem(4), (stage,)).network(3, SIDE)
    strided = [op for op in network.operators if isinstance(op, Conv) and op.stride == 2]
    kernels = sorted(op.kernel for op in strided)
    assert kernels == ([3] if shortcut is Shortcut.ZEROS else [1, 3])
    assert network.output_shape == (3,)
    with torch.no_grad():
        assert seeded_module(network, 0)(torch.randn(1, 3, SIDE, SIDE)).shape == (1, 3)


def test_a_transition_narrows_and_halves():
    stage = Stage(Topology.dense(3), Layer(outer=window(4)))
    made = AggregationNetwork(Stem(4), (stage, stage), Transition(lambda width: width // 2))
    dag = made.network(3, SIDE)
    point = next(op for op in dag.operators if isinstance(op, Conv) and op.kernel == 1)
    assert (point.in_channels, point.out_channels) == (12, 6)
    assert dag.operators[-3].output_shape == (6 + 8, SIDE // 2, SIDE // 2)
    assert made.links == 2 * 6


def test_files_compute_what_torch_computes(tmp_path):
    """Sums, mixed links and dual paths in both formats."""
    from elat.latency.export import Format, export_checked

    dual = Layer(inner=window(4), outer=window(2), trunk=bottleneck(4))
    sparse = Topology.exponential(5, 2)
    networks = [
        _network(sparse, Layer(inner=window(4), outer=window(2)), join=Join.MOVING),
        _network(sparse, dual, shortcut=(Shortcut.OWN, 8), inner=4, stride=2),
        _network(sparse, Layer(inner=basic(4)), shortcut=(Shortcut.ZEROS, 4), stride=2),
    ]
    for number, network in enumerate(networks):
        for kind in Format:
            found = export_checked(
                network, seeded_module(network, 0), kind, tmp_path / f"{number}.{kind}"
            )
            assert found.max_error <= 1e-4 * max(1.0, found.scale)
