"""The noise ceiling against simulation, and weights that follow it."""

from __future__ import annotations

import numpy as np
import pytest

from elat.latency.condition import Condition, Method, Precision
from elat.latency.models.noise import (
    Ceiling,
    noise_ceiling,
    noise_weights,
    standard_errors,
)
from elat.latency.operators.linear import Linear
from elat.latency.table import Entry, LatencyTable

CONDITION = Condition("toy", "simulated", "1", Precision.FP32, 1, 1, Method.BLOCK, options=())


def table(entries: list[Entry]) -> LatencyTable:
    return LatencyTable(
        CONDITION, "simulated", {Linear(8, 10 + i): e for i, e in enumerate(entries)}
    )


def test_the_ceiling_is_what_simulated_measurements_show() -> None:
    random = np.random.default_rng(0)
    relative = random.uniform(0.01, 0.12, 40)
    found = noise_ceiling([Entry(4, 2.0, 2.0 * 2 * float(r)) for r in relative])
    assert found is not None and found.operators == 40
    first, second = (1 + relative * random.normal(size=(50_000, 40)) for _ in range(2))
    for share, errors in ((found.perfect, first - 1), (found.repeated, second - first)):
        assert share.within_5 == pytest.approx(np.mean(np.abs(errors) <= 0.05), abs=2e-3)
        assert share.within_10 == pytest.approx(np.mean(np.abs(errors) <= 0.10), abs=2e-3)
        assert share.mape == pytest.approx(np.mean(np.abs(errors)), abs=2e-4)
    assert Ceiling.from_json(found.to_json()) == found


def test_single_launches_know_no_noise() -> None:
    assert noise_ceiling([Entry(1, 1.0, 0.0)]) is None
    mixed = table([Entry(1, 1.0, 0.0), Entry(4, 1.0, 0.2), Entry(4, 2.0, 0.4)])
    np.testing.assert_allclose(standard_errors(mixed), [0.1, 0.1, 0.1])
    assert standard_errors(table([Entry(1, 1.0, 0.0)])).tolist() == [0.0]


def test_noisy_operators_weigh_as_their_variance_says() -> None:
    """Errors of deviation 3 % and noise of 0 or 4 %: variances 9 and 25, so weights 25 to 9."""
    random = np.random.default_rng(1)
    errors = np.where(np.arange(4001) % 3 == 0, 0.04, 0.0)
    residuals = random.normal(size=4001) * np.sqrt(0.03**2 + errors**2)
    weights = noise_weights(residuals, errors)
    assert weights.mean() == pytest.approx(1)
    assert weights[1] / weights[0] == pytest.approx(25 / 9, rel=0.3)
    np.testing.assert_allclose(noise_weights(residuals, np.zeros(4001)), 1, rtol=1e-12)
