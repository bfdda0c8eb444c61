from __future__ import annotations

import itertools
import math
from fractions import Fraction

import numpy as np
import pytest
import torch

from elat.core.errors import ConfigError, MissingLatencyError
from elat.latency.calibration import Calibration
from elat.latency.models.base import LatencyModel, Prediction
from elat.latency.network import NetworkLatency
from elat.search.architecture import Architecture
from elat.search.block_supernet import BlockSupernet
from elat.search.expected_latency import ExpectedLatency


def every(space):
    ranges = [range(len(block.candidates)) for block in space.blocks]
    return [Architecture(space.name, choices) for choices in itertools.product(*ranges)]


def made_up(space, name="device"):
    """Costs without any structure."""

    def costs(operators):
        generator = torch.Generator().manual_seed(len(operators))
        return torch.rand(len(operators), generator=generator, dtype=torch.float64).tolist()

    return ExpectedLatency.from_costs(space, name, costs, network=0.25)


def rows(cost, seed=0):
    generator = torch.Generator().manual_seed(seed)
    logits = torch.randn(cost.cost.shape, generator=generator, dtype=torch.float64)
    return logits.masked_fill(~cost.mask, -torch.inf)


def test_expectation_equals_enumeration(toy):
    cost = made_up(toy)
    probs = rows(cost).softmax(dim=-1)
    total = math.fsum(
        math.prod(float(probs[b, c]) for b, c in enumerate(a.choices)) * cost.of(a)
        for a in every(toy)
    )
    assert float(cost(probs)) == pytest.approx(total, rel=1e-12)


def test_batches_of_probabilities_give_batches_of_expectations(toy):
    cost = made_up(toy)
    probs = torch.stack([rows(cost, seed).softmax(dim=-1) for seed in range(6)]).reshape(
        2, 3, *cost.cost.shape
    )
    expected = cost(probs)
    assert expected.shape == (2, 3)
    assert float(expected[1, 2]) == pytest.approx(float(cost(probs[1, 2])), rel=1e-12)


def test_padding_does_not_count(toy):
    cost = made_up(toy)
    probs = rows(cost).softmax(dim=-1)
    assert float(cost(probs + 1e6 * ~cost.mask)) == pytest.approx(float(cost(probs)), rel=1e-12)


def test_gradient_is_the_closed_form(toy):
    """dE/da_lj = p_lj (c_lj - <p_l, c_l>)."""
    cost = made_up(toy)
    logits = rows(cost).requires_grad_()
    probs = logits.softmax(dim=-1)
    cost(probs).backward()
    p = probs.detach()
    closed = p * (cost.cost - (p * cost.cost).sum(dim=-1, keepdim=True))
    torch.testing.assert_close(logits.grad, closed, rtol=1e-12, atol=1e-15)
    real = torch.randn(cost.cost.shape, dtype=torch.float64, generator=torch.Generator())
    assert torch.autograd.gradcheck(
        lambda a: cost(a.masked_fill(~cost.mask, -torch.inf).softmax(dim=-1)),
        real.requires_grad_(),
    )


def test_cost_of_an_architecture_is_the_correctly_rounded_sum(toy):
    cost = made_up(toy)
    for architecture in every(toy)[::7]:
        chosen = [Fraction(float(cost.cost[b, c])) for b, c in enumerate(architecture.choices)]
        assert cost.of(architecture) == float(sum(chosen) + Fraction(float(cost.fixed)))


def test_fastest_and_slowest_are_those_of_the_enumeration(toy):
    cost = made_up(toy)
    found = [cost.of(a) for a in every(toy)]
    assert cost.of(cost.fastest()) == min(found)
    assert cost.of(cost.slowest()) == max(found)


@pytest.mark.parametrize("q", [0.0, 0.35, 1.0])
def test_quantile_is_that_of_the_space(toy, q):
    cost = made_up(toy)
    found = cost.quantile(q, 40_000, torch.Generator().manual_seed(0))
    true = np.quantile([cost.of(a) for a in every(toy)], q)
    # 40,000 draws: the rank's deviation is 0.0024, a few of 100 equally likely values.
    assert found == pytest.approx(true, rel=0.02)


def test_free_candidates_cost_nothing_and_nobody_is_asked_for_them(toy):
    asked = []

    def costs(operators):
        asked.extend(operators)
        return [1.0] * len(operators)

    cost = ExpectedLatency.from_costs(toy, "device", costs)
    assert not any(operator.is_free for operator in asked)
    assert len(set(asked)) == len(asked)
    skips = [cost.cost[b, len(block.candidates) - 1] for b, block in enumerate(toy.blocks)]
    assert [float(s) for s in skips] == [0.0, 1.0, 0.0]
    assert float(cost.fixed) == len(toy.fixed)


def test_a_calibrated_model_gives_the_network_latency_of_every_architecture(toy):
    class MacsModel(LatencyModel):
        @classmethod
        def fit(cls, table, *, seed):
            return cls()

        def predict(self, operators):
            macs = np.array([operator.macs for operator in operators], dtype=np.float64)
            return Prediction(macs / 1e5, np.zeros(len(macs)))

    found = Calibration("affine+count", 1.1, 0.3, 0.05, 9, 0.1, 0.1, (0.1,), {})
    latency = NetworkLatency(MacsModel(), found)
    cost = ExpectedLatency.from_network_latency(toy, "device", latency)
    for architecture in every(toy)[::9]:
        predicted = latency.predict(toy.operators(architecture)).latency_ms
        assert cost.of(architecture) == pytest.approx(predicted, rel=1e-12)


def test_another_device_is_another_buffer(toy):
    probs = BlockSupernet(toy, torch.Generator()).uniform()
    assert float(ExpectedLatency.from_macs(toy)(probs)) != float(made_up(toy)(probs))


def test_costs_that_are_no_numbers_are_refused(toy):
    with pytest.raises(MissingLatencyError):
        ExpectedLatency.from_costs(toy, "device", lambda ops: [float("nan")] * len(ops))
    with pytest.raises(ConfigError):
        ExpectedLatency(toy, "device", 0.0, [[1.0]])
    with pytest.raises(ConfigError):
        made_up(toy).quantile(1.5, 10, torch.Generator())
