"""The linear oracle against SciPy's linear program, and Frank-Wolfe against enumeration."""

from __future__ import annotations

import itertools

import numpy as np
import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st
from scipy.optimize import linprog

from elat.core.errors import ConfigError, InfeasibleError
from elat.search.bound import Bound
from elat.search.expected_latency import ExpectedLatency
from elat.search.relaxations import FrankWolfe
from elat.search.relaxations.oracle import LinearOracle
from elat.search.spaces import block_space, space_from_description

from ..conftest import TOY

SPACE = block_space(space_from_description(TOY), "a test")
COUNTS = [len(block.candidates) for block in SPACE.blocks]


def drawn(rng, name, grid=False):
    """Random costs; on a grid many are equal."""
    rows = [rng.integers(0, 4, n) / 2 if grid else rng.uniform(0, 2, n) for n in COUNTS]
    return ExpectedLatency(SPACE, name, 0.3, [row.tolist() for row in rows])


def between(cost, share):
    low, high = cost.of(cost.fastest()), cost.of(cost.slowest())
    return Bound(cost.name, max(low + share * (high - low), 1e-3))


def by_scipy(gradient, costs, bounds):
    """The same linear program written out, and solved by another algorithm."""
    mask = costs[0].mask.numpy()
    block, _ = np.nonzero(mask)
    equal = np.array([(block == index).astype(float) for index in range(len(mask))])
    found = linprog(
        gradient[mask],
        A_ub=np.array([c.cost.numpy()[mask] for c in costs]),
        b_ub=[b.limit - float(c.fixed) for c, b in zip(costs, bounds, strict=True)],
        A_eq=equal,
        b_eq=np.ones(len(mask)),
        bounds=(0, 1),
        method="highs-ipm",
    )
    return found.fun


@settings(max_examples=60, deadline=None)
@given(st.integers(0, 10**6), st.floats(0.0, 1.1), st.booleans())
def test_one_bound_by_bisection_is_the_linear_programs_optimum(seed, share, grid):
    rng = np.random.default_rng(seed)
    cost = drawn(rng, "phone", grid)
    bound = between(cost, share)
    gradient = rng.integers(-3, 4, (3, 5)).astype(float) if grid else rng.normal(size=(3, 5))
    probs = LinearOracle([cost], [bound]).minimise(gradient)
    mask = cost.mask.numpy()
    assert (probs >= 0).all()
    assert (probs[~mask] == 0).all()
    np.testing.assert_allclose(probs.sum(-1), 1.0, rtol=1e-12)
    assert float(cost(torch.from_numpy(probs))) <= bound.limit * (1 + 1e-11)
    fractional = ((probs > 0) & (probs < 1)).any(-1).sum()
    assert fractional <= 1
    found = (gradient * probs)[mask].sum()
    assert found == pytest.approx(by_scipy(gradient, [cost], [bound]), rel=1e-7, abs=1e-7)


@settings(max_examples=30, deadline=None)
@given(st.integers(0, 10**6), st.floats(0.3, 0.9))
def test_several_bounds_hold_at_once(seed, share):
    rng = np.random.default_rng(seed)
    costs = [drawn(rng, name) for name in ("phone", "laptop", "macs")]
    bounds = [between(c, share) for c in costs]
    gradient = rng.normal(size=(3, 5))
    oracle = LinearOracle(costs, bounds)
    if by_scipy(gradient, costs, bounds) is None:
        with pytest.raises(InfeasibleError):
            oracle.start()
        with pytest.raises(InfeasibleError):
            oracle.minimise(gradient)
        return
    start = oracle.start()
    probs = oracle.minimise(gradient)
    for found in (start, probs):
        np.testing.assert_allclose(found.sum(-1), 1.0, rtol=1e-12)
        assert max(oracle.violations(found)) <= 1e-7
    assert (start[costs[0].mask.numpy()] > 0).all()
    assert ((probs > 1e-9) & (probs < 1 - 1e-9)).any(-1).sum() <= len(bounds)
    found = (gradient * probs)[costs[0].mask.numpy()].sum()
    assert found == pytest.approx(by_scipy(gradient, costs, bounds), rel=1e-6, abs=1e-6)


def test_a_slack_bound_starts_at_equal_probabilities():
    cost = drawn(np.random.default_rng(0), "phone")
    start = LinearOracle([cost], [between(cost, 1.5)]).start()
    np.testing.assert_allclose(start[0], 0.2)
    np.testing.assert_allclose(start[1], [0.25, 0.25, 0.25, 0.25, 0.0])


def test_what_cannot_be_met_is_refused():
    cost = drawn(np.random.default_rng(0), "phone")
    bound = Bound("phone", 0.5 * cost.of(cost.fastest()))
    oracle = LinearOracle([cost], [bound])
    with pytest.raises(InfeasibleError, match="phone"):
        oracle.minimise(np.zeros((3, 5)))
    with pytest.raises(InfeasibleError, match="raise a bound"):
        FrankWolfe([cost], [bound])


def test_frank_wolfe_never_leaves_the_bounds_and_finds_the_optimum():
    """A linear objective: its optimum is the linear program's; gradients carry noise."""
    rng = np.random.default_rng(1)
    costs = [drawn(rng, "phone"), drawn(rng, "laptop")]
    bounds = [between(c, 0.45) for c in costs]
    gradient = rng.normal(size=(3, 5))
    relaxation = FrankWolfe(costs, bounds)
    for _ in range(400):
        noise = rng.normal(size=gradient.shape)
        relaxation.step(1.0, torch.from_numpy(gradient + noise))
        probs = relaxation.probabilities()
        for cost, bound in zip(costs, bounds, strict=True):
            assert float(cost(probs)) <= bound.limit * (1 + 1e-7)
    mask = costs[0].mask.numpy()
    found = float((gradient * probs.numpy())[mask].sum())
    best = by_scipy(gradient, costs, bounds)
    uniform = (gradient * LinearOracle(costs, bounds).start())[mask].sum()
    assert best - 1e-9 <= found <= best + 0.1 * (uniform - best)
    assert relaxation.multipliers == (0.0, 0.0)


def test_frank_wolfe_needs_gradients_of_all_candidates():
    cost = drawn(np.random.default_rng(0), "phone")
    relaxation = FrankWolfe([cost], [between(cost, 0.5)])
    with pytest.raises(ConfigError, match="recompute"):
        relaxation.step(1.0, torch.zeros(3, 5).double(), torch.ones(3, 5, dtype=torch.bool))


def test_the_vertex_of_integer_costs_is_found_by_enumeration():
    """Where the bound is a sum that an architecture has exactly, the bound itself is reached."""
    rng = np.random.default_rng(4)
    cost = drawn(rng, "phone", grid=True)
    gradient = rng.normal(size=(3, 5))
    architectures = list(itertools.product(*map(range, COUNTS)))
    totals = np.array([cost.of_choices(a) for a in architectures])
    values = np.array([sum(gradient[i, c] for i, c in enumerate(a)) for a in architectures])
    for limit in np.unique(totals):
        probs = LinearOracle([cost], [Bound("phone", float(limit))]).minimise(gradient)
        found = (gradient * probs)[cost.mask.numpy()].sum()
        assert found <= values[totals <= limit].min() + 1e-9
