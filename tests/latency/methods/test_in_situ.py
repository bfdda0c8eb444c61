"""The recipe of in-situ latencies, against a machine whose costs are known exactly."""

from __future__ import annotations

from dataclasses import dataclass

import pytest
import torch

from elat.core.errors import ConfigError
from elat.latency.condition import Condition, Interval, Method, Precision
from elat.latency.methods import Evidence, Subjects
from elat.latency.methods.in_situ import InSitu
from elat.latency.operators import Operator
from elat.latency.operators.add import Add
from elat.latency.operators.chain import Chain
from elat.latency.operators.concat import Concat
from elat.latency.operators.conv import Conv
from elat.latency.operators.dag import Dag
from elat.latency.operators.global_pool import GlobalPool
from elat.latency.operators.linear import Linear
from elat.latency.operators.mbconv import MBConv
from elat.latency.operators.zero import Zero
from elat.latency.table import LatencyTable
from elat.search.spaces import find_space

SPACE = find_space("proxyless-tiny")
CONDITION = Condition("toy", "simulated", "1", Precision.FP32, 1, 1, Method.IN_SITU, options=())
CALL_MS = 0.003
IN_SITU = InSitu()


@dataclass(frozen=True)
class Known:
    """Stands for a measurement: what a recipe reads of one."""

    latency_ms: float
    std_ms: float = 0.0
    count: int = 5
    origin: str = "simulated"


def cost_ms(operator: Operator) -> float:
    """An arbitrary cost that is no function of the shape alone."""
    return 1e-9 * operator.macs + 3e-8 * operator.traffic_elements + 1e-3


def whole_ms(chain: Operator) -> float:
    """Call overhead and a change of layout at both ends, which single operators pay too."""
    assert isinstance(chain, Chain | Dag)
    first, last = chain.operators[0], chain.operators[-1]
    ends = sum(1e-6 * sum(shape) for shape in (first.input_shapes[0], last.output_shape))
    return CALL_MS + ends + sum(map(cost_ms, chain.operators))


def pool_of(host: Operator) -> Operator:
    assert isinstance(host, Chain)
    return host.operators[-1]


def hosts(*operators: Operator) -> tuple[Operator, ...]:
    return IN_SITU.cases(Subjects(operators))


def derived(operators: tuple[Operator, ...], measured: dict[Operator, Known]) -> LatencyTable:
    evidence = Evidence(measured)  # type: ignore[arg-type]
    return LatencyTable.derived(CONDITION, Subjects(operators), evidence)


def table_of(operators: tuple[Operator, ...]) -> dict[Operator, float]:
    return dict(derived(operators, {chain: Known(whole_ms(chain)) for chain in hosts(*operators)}))


def test_sum_over_a_network_differs_from_it_only_at_its_two_ends() -> None:
    table = table_of(SPACE.all_operators())
    generator = torch.Generator().manual_seed(0)
    gaps = set()
    for _ in range(20):
        architecture = SPACE.sample(generator)
        network = SPACE.network(architecture)
        assert isinstance(network, Chain)
        total = sum(table[o] for o in SPACE.operators(architecture))
        gaps.add(round(whole_ms(network) - total, 9))
    assert len(gaps) == 1, "the rest must not depend on the architecture"
    assert abs(gaps.pop()) < 0.01


def test_operators_between_equal_shapes_cost_what_they_add_to_a_network() -> None:
    block = MBConv(16, 16, 14, kernel=3, expand=3)
    assert table_of((block,))[block] == pytest.approx(cost_ms(block), rel=1e-9)


def test_the_first_operator_takes_the_input_itself() -> None:
    stem = Conv(3, 16, 28, kernel=3, stride=2)
    (host, weight), *_ = IN_SITU.recipe(stem).terms
    assert isinstance(host, Chain)
    assert host.operators == (stem, GlobalPool(16, 14))
    assert weight == 1.0


def test_free_operators_need_no_host() -> None:
    assert hosts(Zero(16, 14)) == ()


def test_hosts_that_several_operators_share_are_emphasised() -> None:
    blocks = (MBConv(16, 24, 14, 3, expand=3), MBConv(16, 24, 14, 5, expand=3), Linear(24, 10))
    shared = IN_SITU.emphasised(Subjects(blocks))
    assert {pool_of(chain) for chain in shared} == {GlobalPool(16, 14), GlobalPool(24, 14)}


def test_unmeasured_and_unresolved_operators_are_left_out() -> None:
    block, other = MBConv(16, 24, 14, kernel=3, expand=3), MBConv(16, 24, 14, kernel=5, expand=3)
    measured = {chain: Known(whole_ms(chain)) for chain in hosts(block)}
    assert set(derived((block, other), measured)) == {block}
    noisy = {**{chain: Known(1e-6) for chain in hosts(other)}, **measured}
    table = derived((block, other), noisy)
    assert set(table) == {block}, "hosts of the other differ by less than nothing"
    found = IN_SITU.latencies(Subjects((block, other)), Evidence(noisy))  # type: ignore[arg-type]
    assert set(found.entries) == {block}
    assert found.below_ms[other] < 0.0 < found.entries[block].mean_ms


def test_a_table_of_nothing_is_refused() -> None:
    block = MBConv(16, 24, 14, kernel=3, expand=3)
    equal = dict.fromkeys(hosts(block), Known(0.01))
    for measured in ({}, equal):
        with pytest.raises(ConfigError, match="would be empty"):
            derived((block,), measured)


def test_a_sum_costs_what_it_adds_between_equal_shapes() -> None:
    block = Add(16, 14)
    (host, weight), *_ = IN_SITU.recipe(block).terms
    assert isinstance(host, Dag)
    assert (host.inputs, weight) == (((0,), (1, 1), (2,)), 1.0)
    assert table_of((block,))[block] == pytest.approx(cost_ms(block), rel=1e-9)


def test_each_distinct_shape_has_its_own_neighbour() -> None:
    (host, _), *rest = IN_SITU.recipe(Concat((6, 10, 6), 14)).terms
    assert isinstance(host, Dag)
    assert host.inputs == ((0,), (0,), (1, 2, 1), (3,))
    assert [pool_of(chain) for chain, _ in rest] == [
        GlobalPool(6, 14),
        GlobalPool(10, 14),
        GlobalPool(22, 14),
    ]
    assert [weight for _, weight in rest] == [-0.5, -0.5, -0.5]


def test_hosts_and_networks_are_measured_as_blocks() -> None:
    under = CONDITION.of_models
    assert (under.method, under.interval) == (Method.BLOCK, Interval.HOST_TO_HOST)


def test_a_half_taken_twice_is_one_measurement_subtracted() -> None:
    """Both halves have the same error, so that deviations must not be added up as if apart."""
    block = MBConv(16, 16, 14, kernel=3, expand=3)
    host, bare = hosts(block)
    measured = {host: Known(2.0, 0.3), bare: Known(1.0, 0.4)}
    assert derived((block,), measured).entry(block).std_ms == pytest.approx(0.5)
