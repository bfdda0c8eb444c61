"""Stacking finds the weights of the members that it was made of."""

from __future__ import annotations

import numpy as np
from scipy.optimize import minimize

from elat.latency.models.ensemble import _stacked


def test_weights_are_the_best_ones_of_a_simplex() -> None:
    random = np.random.default_rng(0)
    target = random.normal(size=200)
    logs = target[:, None] + random.normal(size=(200, 3)) * [0.01, 0.02, 0.3] + [0, 0, 0.5]
    counts = random.uniform(0.5, 2, 200)
    found = _stacked(logs, target, counts)
    assert np.all(found >= 0) and np.isclose(found.sum(), 1)
    assert found[2] < 1e-3

    def loss(weights: np.ndarray) -> float:
        errors = np.abs(logs @ weights - target)
        return float(counts @ np.where(errors < 0.05, errors**2 / 0.1 + 0.025, errors))

    best = minimize(
        loss,
        np.full(3, 1 / 3),
        bounds=[(0, 1)] * 3,
        constraints={"type": "eq", "fun": lambda w: w.sum() - 1},
        options={"ftol": 1e-12},
    )
    np.testing.assert_allclose(found, best.x, atol=5e-3)
