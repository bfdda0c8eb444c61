"""Recipes against the simulated device without noise, where every node's time is known."""

from __future__ import annotations

from dataclasses import dataclass

import pytest
import torch

from elat.core.errors import UnsupportedOperatorError
from elat.core.seeding import torch_generator
from elat.latency.condition import Method
from elat.latency.methods import METHODS, Evidence, Subjects
from elat.latency.methods.isolated import primitives
from elat.latency.operators import Operator
from elat.latency.operators.add import Add
from elat.latency.operators.aggregate import Aggregate, How
from elat.latency.operators.channel_shuffle import ChannelShuffle
from elat.latency.operators.concat import Concat
from elat.latency.operators.conv import Conv
from elat.latency.operators.depth_conv import DepthConv
from elat.latency.operators.global_pool import GlobalPool
from elat.latency.operators.linear import Linear
from elat.latency.operators.mbconv import MBConv
from elat.latency.operators.point_sum import PointSum
from elat.latency.operators.pool import Pool
from elat.latency.operators.squeeze_excite import SqueezeExcite
from elat.latency.operators.sum import Sum
from elat.latency.operators.zero import Zero
from elat.latency.runtimes.simulated import _Options, simulated_ms
from elat.search.spaces import find_space

SPEEDS = _Options(call_us=7.0)
OPERATORS = (
    Conv(3, 16, 28, kernel=3, stride=2),
    Conv(8, 12, 14, 1),
    MBConv(8, 8, 14, 3, expand=3),
    MBConv(8, 12, 14, 5, stride=2, expand=6, se=True),
    DepthConv(8, 8, 14, 3),
    SqueezeExcite(16, 7, 4),
    Pool(8, 14, 3, 2),
    ChannelShuffle(8, 14, 2),
    GlobalPool(24, 7),
    Linear(24, 10),
    Add(8, 14),
    Sum(3, 8, 14),
    Concat((6, 10, 6), 7),
    PointSum((6, 10), 8, 7),
    Aggregate(3, 6, 8, 7, 3, How.SUM),
    Aggregate(1, 6, 8, 7, 3),
)


@dataclass(frozen=True)
class Known:
    """Stands for a measurement without noise."""

    latency_ms: float
    std_ms: float = 0.0
    count: int = 5
    origin: str = "simulated"


@pytest.fixture(autouse=True, scope="module")
def one_thread():
    before = torch.get_num_threads()
    torch.set_num_threads(1)
    yield
    torch.set_num_threads(before)


def model_ms(operator: Operator) -> float:
    """Time of one call of the model of `operator`."""
    return simulated_ms(operator.lower(operator.build().eval()), SPEEDS, 4, 1)


def nodes_ms(operator: Operator) -> float:
    """Time of its nodes alone, without the call."""
    return model_ms(operator) - SPEEDS.call_us / 1e3


def by(method: Method, operators: tuple[Operator, ...]) -> dict[Operator, float]:
    subjects = Subjects(operators)
    found = METHODS[method]
    measured = {case: Known(model_ms(case)) for case in found.cases(subjects)}
    entries, origins, _ = found.latencies(subjects, Evidence(measured))  # type: ignore[arg-type]
    assert origins == {"simulated"}
    return {operator: entry.mean_ms for operator, entry in entries.items()}


def test_alone_an_operator_pays_the_call_once():
    found = by(Method.BLOCK, OPERATORS)
    for operator in OPERATORS:
        assert found[operator] == pytest.approx(nodes_ms(operator) + 0.007, rel=1e-12)


def test_isolated_primitives_pay_the_call_each():
    found = by(Method.ISOLATED, OPERATORS)
    for operator in OPERATORS:
        calls = 0.007 * len(tuple(primitives(operator)))
        assert found[operator] == pytest.approx(nodes_ms(operator) + calls, rel=1e-12)


def test_the_slope_is_the_time_of_the_nodes():
    found = by(Method.SLOPE, OPERATORS)
    for operator in OPERATORS:
        assert found[operator] == pytest.approx(nodes_ms(operator), rel=1e-9), str(operator)


def test_in_situ_sums_differ_from_a_network_by_its_call_alone():
    """The neighbours' halves cancel, and so does all but half a call at both ends together."""
    space = find_space("proxyless-tiny")
    generator = torch_generator(0, "networks")
    table = by(Method.IN_SITU, space.all_operators())
    gaps = set()
    for _ in range(3):
        architecture = space.sample(generator)
        total = sum(table[o] for o in space.operators(architecture) if not o.is_free)
        gaps.add(round(model_ms(space.network(architecture)) - total, 9))
    assert len(gaps) == 1, "the rest must not depend on the architecture"


def test_primitives_are_what_the_operator_executes():
    block = MBConv(8, 8, 14, 3, expand=3, se=True)
    assert tuple(primitives(block)) == (
        *list(block.convolutions.values())[:2],
        block.gate,
        block.convolutions["point_linear"],
        Add(8, 14),
    )
    assert tuple(primitives(Sum(3, 8, 14))) == (Add(8, 14), Add(8, 14))
    assert tuple(primitives(Zero(8, 14))) == ()


def test_copies_have_weights_of_their_own_on_one_input():
    """A runtime that runs equal nodes once must find none."""
    few = METHODS[Method.SLOPE].cases(Subjects((Conv(8, 12, 14, 1),)))[1]
    graph = few.lower(_initialised(few))
    first, second = graph.nodes[:2]
    assert first.inputs == second.inputs == graph.inputs
    assert (first.weights[0] != second.weights[0]).any()


def test_copies_without_weights_read_different_values():
    many = METHODS[Method.SLOPE].cases(Subjects((Pool(8, 14, 3, 2),)))[0]
    graph = many.lower(_initialised(many))
    pools = [node for node in graph.nodes if type(node).__name__ == "Pool"]
    assert len({node.inputs for node in pools}) == len(pools) == 6


def test_images_of_several_sizes_are_refused_with_the_repair():
    class Upscaled:
        """What a recipe asks of an operator that reads images of two sizes."""

        input_shapes = ((4, 8, 8), (4, 4, 4))
        output_shape = (4, 8, 8)
        is_free = False

    for method in (Method.SLOPE, Method.IN_SITU):
        with pytest.raises(UnsupportedOperatorError, match="method: block"):
            METHODS[method].cases(Subjects((Upscaled(),)))  # type: ignore[arg-type]


def _initialised(operator):
    from elat.latency.operators.weights import initialise

    module = operator.build().eval()
    initialise(module, torch_generator(0, "weights"))
    return module
