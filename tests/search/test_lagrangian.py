from __future__ import annotations

import json

import pytest
import torch

from elat.search.lagrangian import AugmentedLagrangian


def test_penalty_is_linear_below_the_bound_and_quadratic_above():
    multipliers = AugmentedLagrangian(10.0, 0.1, (0.5, 2.0))
    h = torch.tensor([-0.2, 0.3], dtype=torch.float64, requires_grad=True)
    penalty = multipliers.penalty(h)
    assert float(penalty.detach()) == pytest.approx(0.5 * -0.2 + 2.0 * 0.3 + 5.0 * 0.09)
    penalty.backward()
    assert h.grad is not None
    assert h.grad.tolist() == pytest.approx([0.5, 2.0 + 10.0 * 0.3])


def test_multipliers_ascend_while_the_bound_is_violated_and_never_fall_below_zero():
    multipliers = AugmentedLagrangian.fresh(10.0, 0.1, 2)
    for _ in range(20):
        multipliers = multipliers.updated([0.2, -0.2], loss=1.0)
    assert multipliers.lam[0] == pytest.approx(20 * 0.1 * 0.2)
    assert multipliers.lam[1] == 0.0


def test_multipliers_do_not_wind_up():
    multipliers = AugmentedLagrangian.fresh(10.0, 1.0, 1)
    for _ in range(1000):
        multipliers = multipliers.updated([0.5], loss=2.0)
    assert multipliers.lam == (10.0 * 2.0 / 0.5,)


def test_ascent_solves_a_constrained_problem():
    """min (x - 2)^2 subject to x <= 1 has the multiplier 2."""
    multipliers = AugmentedLagrangian.fresh(10.0, 0.05, 1)
    x = 2.0
    for _ in range(3000):
        at = torch.tensor([x], dtype=torch.float64, requires_grad=True)
        ((at - 2).square().sum() + multipliers.penalty(at - 1)).backward()
        assert at.grad is not None
        x -= 0.02 * float(at.grad)
        multipliers = multipliers.updated([x - 1], loss=1.0)
    assert x == pytest.approx(1.0, abs=1e-6)
    assert multipliers.lam[0] == pytest.approx(2.0, abs=1e-4)


def test_state_round_trips_through_json():
    multipliers = AugmentedLagrangian.fresh(1.0, 0.1, 1).updated([0.3], 1.0)
    fresh = AugmentedLagrangian.fresh(1.0, 0.1, 1)
    assert fresh.restored(json.loads(json.dumps(multipliers.to_json()))) == multipliers
