"""Whole networks: known calibrations are found again, and additivity holds to rounding."""

from __future__ import annotations

import json
import math
from collections.abc import Sequence
from typing import Self

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from elat.core.errors import ArtefactError, ConfigError
from elat.latency.additive_fit import best_additive_fit
from elat.latency.calibration import Calibration
from elat.latency.models.base import LatencyModel, Prediction
from elat.latency.network import NetworkLatency, calibrate
from elat.latency.operators import Operator
from elat.latency.operators.chain import Chain
from elat.latency.operators.mbconv import MBConv
from elat.latency.operators.zero import Zero
from elat.latency.table import LatencyTable


class ByWork(LatencyModel):
    """A microsecond for every thousand multiply-adds, known to 10 %."""

    @classmethod
    def fit(cls, table: LatencyTable, *, seed: int) -> Self:
        return cls()

    def predict(self, operators: Sequence[Operator]) -> Prediction:
        latency = np.array([o.macs * 1e-6 for o in operators])
        return Prediction(latency, 0.1 * latency)


BLOCKS = [
    MBConv(16, 16, 14, k, expand=e) for k in (3, 5, 7) for e in (1, 3, 6)
] + [Zero(16, 14)]  # fmt: skip


def networks(count: int, seed: int = 0, blocks: int = 8) -> list[list[Operator]]:
    draws = np.random.default_rng(seed).integers(0, len(BLOCKS), (count, blocks))
    draws[:, 0] = 0  # at least one block that is not free
    return [[BLOCKS[i] for i in row] for row in draws]


def sums_and_counts(found: list[list[Operator]]) -> tuple[list[float], list[int]]:
    sums = [float(ByWork().predict(n).latency_ms.sum()) for n in found]
    return sums, [sum(not o.is_free for o in n) for n in found]


@pytest.mark.parametrize(
    ("form", "slope", "intercept", "per_operator"),
    [("slope", 1.3, 0.0, 0.0), ("affine", 0.9, 0.5, 0.0), ("affine+count", 1.1, 0.3, -0.05)],
)
def test_a_known_calibration_is_found_again(
    form: str, slope: float, intercept: float, per_operator: float
) -> None:
    sums, counts = sums_and_counts(networks(20))
    measured = [
        slope * s + intercept + per_operator * c for s, c in zip(sums, counts, strict=True)
    ]
    found = Calibration.fit(sums, counts, measured)
    assert found.form == form
    assert found.slope == pytest.approx(slope, rel=1e-6)
    assert found.intercept_ms == pytest.approx(intercept, abs=1e-6)
    assert found.per_operator_ms == pytest.approx(per_operator, abs=1e-6)
    assert found.networks == 20
    assert found.mape_after < 1e-6 < found.mape_before


def test_before_is_the_plain_sum() -> None:
    found = Calibration.fit([1.0, 2.0, 3.0, 4.0], [1, 2, 3, 4], [1.25, 2.5, 3.75, 5.0])
    assert found.mape_before == pytest.approx(0.2, rel=1e-12)


def test_noise_is_reported_by_leaving_out() -> None:
    sums, counts = sums_and_counts(networks(40))
    noise = np.random.default_rng(1).normal(0, 0.03, 40)
    measured = [(1.2 * s + 0.4) * (1 + e) for s, e in zip(sums, noise, strict=True)]
    found = Calibration.fit(sums, counts, measured)
    assert found.slope == pytest.approx(1.2, rel=0.05)
    assert 0.01 < found.mape_after <= found.loo_mape < 0.04
    assert found.spread == pytest.approx(math.sqrt(np.mean(np.square(found.errors))))
    assert len(found.errors) == 40
    assert set(found.loo_by_form) == {"slope", "affine", "affine+count"}


def test_one_wild_measurement_moves_little() -> None:
    sums, counts = sums_and_counts(networks(20))
    measured = [1.2 * s + 0.4 for s in sums]
    measured[3] *= 5
    found = Calibration.fit(sums, counts, measured)
    assert found.slope == pytest.approx(1.2, rel=0.02)


def test_few_networks_allow_few_terms() -> None:
    found = Calibration.fit([1.0, 2.0, 3.0, 4.0], [1, 2, 3, 4], [1.1, 2.1, 3.1, 4.1])
    assert set(found.loo_by_form) == {"slope", "affine"}
    with pytest.raises(ConfigError, match="at least 4"):
        Calibration.fit([1.0], [1], [1.1])
    with pytest.raises(ConfigError, match="above 0"):
        Calibration.fit([1.0, 2.0, 3.0, 0.0], [1, 2, 3, 4], [1.1, 2.1, 3.1, 4.1])


def test_leave_one_out_is_what_refitting_gives() -> None:
    sums, counts = sums_and_counts(networks(8, seed=3))
    noise = np.random.default_rng(2).normal(0, 0.05, 8)
    measured = [1.2 * s * (1 + e) for s, e in zip(sums, noise, strict=True)]
    found = Calibration.fit(sums, counts, measured)
    assert found.form == "slope"
    kept = [i for i in range(8) if i != 5]
    without = Calibration.fit(
        [sums[i] for i in kept], [counts[i] for i in kept], [measured[i] for i in kept]
    )
    if without.form == "slope":
        assert found.errors[5] == pytest.approx(without.slope * sums[5] / measured[5] - 1)


def test_json_keeps_every_bit() -> None:
    sums, counts = sums_and_counts(networks(12))
    found = Calibration.fit(sums, counts, [1.2 * s + 0.1 * math.sin(s) + 0.2 for s in sums])
    assert Calibration.from_json(json.loads(json.dumps(found.to_json()))) == found
    for damage in ({"slope": -1.0}, {"form": "cubic"}, {"errors": None}):
        with pytest.raises(ArtefactError, match="elat calibrate"):
            Calibration.from_json({**found.to_json(), **damage})
    with pytest.raises(ArtefactError, match="elat calibrate"):
        Calibration.from_json({})


@given(
    slope=st.floats(0.1, 3),
    intercept=st.floats(-1, 1),
    per_operator=st.floats(-0.1, 0.1),
    seed=st.integers(0, 99),
)
@settings(deadline=None, max_examples=50)
def test_a_network_is_the_sum_of_its_additive_costs(
    slope: float, intercept: float, per_operator: float, seed: int
) -> None:
    calibration = Calibration(
        "affine+count", slope, intercept, per_operator, 9, 0.1, 0.1, (0.05, -0.05), {}
    )
    latency = NetworkLatency(ByWork(), calibration)
    (network,) = networks(1, seed)
    work = sum(o.macs * 1e-6 for o in network)
    busy = sum(not o.is_free for o in network)
    found = latency.predict(network)
    truth = intercept + slope * work + per_operator * busy
    assert found.latency_ms == pytest.approx(truth, rel=1e-9, abs=1e-12)
    costs = latency.additive_costs(network)
    assert latency.intercept_ms + costs.sum() == pytest.approx(found.latency_ms, rel=1e-12)
    assert all(c == 0.0 for o, c in zip(network, costs, strict=True) if o.is_free)
    assert found.std_ms == pytest.approx(0.05 * abs(found.latency_ms))


def test_expected_latency_over_independent_choices_is_exact() -> None:
    calibration = Calibration("affine+count", 1.1, 0.3, -0.02, 9, 0.1, 0.1, (0.0,), {})
    latency = NetworkLatency(ByWork(), calibration)
    rng = np.random.default_rng(0)
    probabilities = rng.dirichlet(np.ones(3), size=2)
    candidates = [[BLOCKS[0], BLOCKS[4], BLOCKS[9]], [BLOCKS[2], BLOCKS[8], BLOCKS[9]]]
    by_enumeration = sum(
        probabilities[0, i]
        * probabilities[1, j]
        * latency.predict([candidates[0][i], candidates[1][j]]).latency_ms
        for i in range(3)
        for j in range(3)
    )
    additive = latency.intercept_ms + sum(
        float(p @ latency.additive_costs(row))
        for p, row in zip(probabilities, candidates, strict=True)
    )
    assert additive == pytest.approx(by_enumeration, rel=1e-12)


def test_without_calibration_it_is_the_sum_of_independent_operators() -> None:
    latency = NetworkLatency(ByWork())
    network = [BLOCKS[0], BLOCKS[4], BLOCKS[9]]
    found = latency.predict(network)
    ms = [o.macs * 1e-6 for o in network]
    assert found.latency_ms == pytest.approx(sum(ms))
    assert found.std_ms == pytest.approx(0.1 * math.hypot(*ms))
    assert latency.predict(Chain(tuple(network))) == found
    assert latency.predict_many([network, network[:1]])[0] == found
    assert latency.intercept_ms == 0.0


def test_calibrate_sums_and_counts_for_itself() -> None:
    found = networks(12)
    sums, counts = sums_and_counts(found)
    measured = [1.1 * s + 0.3 - 0.05 * c for s, c in zip(sums, counts, strict=True)]
    made = calibrate(ByWork(), found, measured)
    expected = Calibration.fit(sums, counts, measured)
    assert made.form == expected.form == "affine+count"
    assert made.slope == pytest.approx(expected.slope)
    assert made.per_operator_ms == pytest.approx(-0.05)


def test_networks_that_get_faster_with_more_work_still_get_a_positive_slope() -> None:
    sums = [1.0, 2.0, 3.0, 4.0, 5.0]
    found = Calibration.fit(sums, [1, 2, 3, 4, 5], [5.0, 4.0, 3.0, 2.0, 1.0])
    assert found.form == "slope"
    assert found.slope > 0


def one_hot(count: int, blocks: int, choices: int, seed: int) -> np.ndarray:
    draws = np.random.default_rng(seed).integers(0, choices, (count, blocks))
    return np.eye(choices)[draws].reshape(count, -1)


def test_the_best_additive_fit_explains_what_is_additive() -> None:
    x = one_hot(200, 5, 3, 0)
    truth = x @ np.random.default_rng(1).uniform(0.1, 1.0, 15)
    assert best_additive_fit(x, truth.tolist()).loo_mape < 1e-3
    noisy = truth * (1 + np.random.default_rng(2).normal(0, 0.05, 200))
    found = best_additive_fit(x, noisy.tolist())
    assert 0.03 < found.mape < found.loo_mape < 0.06


def test_the_best_additive_fit_left_out_equals_refitting() -> None:
    x = one_hot(12, 4, 3, 0)
    y = x @ np.random.default_rng(1).uniform(0.1, 1.0, 12) + 0.1 * x[:, 0] * x[:, 4]
    found = best_additive_fit(x, y.tolist())
    centred = x - x.mean(axis=0)
    design = np.hstack([np.ones((12, 1)), centred]) / y[:, None]
    penalty = found.alpha * np.diag([0.0, *np.ones(12)])
    errors = []
    for left in range(12):
        kept = np.arange(12) != left
        a = design[kept]
        w = np.linalg.solve(a.T @ a + penalty, a.T @ np.ones(11))
        errors.append(abs(1 - design[left] @ w))
    assert found.loo_mape == pytest.approx(np.mean(errors), rel=1e-6)
