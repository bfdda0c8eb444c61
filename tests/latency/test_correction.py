"""Corrections of sums: against ridge regression written out, by enumeration, and for coverage."""

from __future__ import annotations

import itertools
import json
from collections.abc import Sequence

import numpy as np
import pytest

from elat.core.errors import ArtefactError, ConfigError, MissingLatencyError
from elat.latency.calibration import CORRECTED, Calibration
from elat.latency.correction import _DEVIATIONS, _FREE, Correction, _Design, fit_correction
from elat.latency.network import NetworkLatency, calibrate
from elat.latency.operators import Operator
from elat.latency.operators.mbconv import MBConv
from elat.latency.operators.zero import Zero

from .test_network import ByWork

BLOCKS: list[Operator] = [
    MBConv(16, 16, 14, k, expand=e) for k in (3, 5, 7) for e in (1, 3, 6)
] + [Zero(16, 14)]  # fmt: skip
ALONE = {o: o.macs * 1e-6 for o in BLOCKS if not o.is_free}


def networks(count: int, seed: int = 0) -> list[list[Operator]]:
    draws = np.random.default_rng(seed).integers(0, len(BLOCKS), (count, 8))
    draws[:, 0] = 0
    return [[BLOCKS[i] for i in row] for row in draws]


def truth(network: Sequence[Operator], noise: float = 0.0, seed: int = 0) -> float:
    """Wide kernels take a fifth less in a network than alone, and every block a call less."""
    total = sum(
        ALONE[o] * (0.8 if isinstance(o, MBConv) and o.kernel == 7 else 1.0) - 0.002
        for o in network
        if not o.is_free
    )
    return (0.3 + total) * float(np.exp(np.random.default_rng(seed).normal(0, noise)))


def measured(found: list[list[Operator]], noise: float, seed: int = 0) -> list[float]:
    return [truth(n, noise, seed * 10_000 + i) for i, n in enumerate(found)]


def test_what_goes_with_a_trait_is_learnt_and_holds_for_other_networks():
    known, new = networks(24), networks(200, seed=1)
    found = calibrate(ByWork(), known, measured(known, 0.003))
    assert found.form == CORRECTED
    assert found.loo_by_form[CORRECTED] < 0.5 * min(
        loo for form, loo in found.loo_by_form.items() if form != CORRECTED
    )
    predicted = NetworkLatency(ByWork(), found).predict_many(new)
    errors = [p.latency_ms / truth(n) - 1 for p, n in zip(predicted, new, strict=True)]
    assert np.mean(np.abs(errors)) < 0.006
    plain = Calibration.fit(
        [sum(ALONE.get(o, 0.0) for o in n) for n in known],
        [sum(not o.is_free for o in n) for n in known],
        measured(known, 0.003),
    )
    sums = np.array([sum(ALONE.get(o, 0.0) for o in n) for n in new])
    counts = np.array([sum(not o.is_free for o in n) for n in new])
    without = plain.intercept_ms + plain.slope * sums + plain.per_operator_ms * counts
    assert np.mean(np.abs(without / [truth(n) for n in new] - 1)) > 0.012


def test_what_is_a_plain_sum_is_left_one():
    known = networks(24)
    sums = [sum(ALONE.get(o, 0.0) for o in n) for n in known]
    noise = np.exp(np.random.default_rng(3).normal(0, 0.01, len(known)))
    found = calibrate(ByWork(), known, [1.2 * s * e for s, e in zip(sums, noise, strict=True)])
    assert found.form == "slope"
    assert found.correction is None
    assert CORRECTED in found.loo_by_form


def test_it_is_the_ridge_regression_with_free_slope_and_intercept():
    known = networks(15)
    y = np.array(measured(known, 0.01))
    found = fit_correction(known, ALONE, y)
    design = _Design.of(known, ALONE)
    columns = design.columns - design.columns.mean(axis=0)
    base = np.stack([design.sums, np.full_like(y, y.mean())], axis=1)

    def ridge(kept, deviation):
        x = np.hstack([base[kept], columns[kept]]) / y[kept][:, None]
        prior = np.concatenate([[_FREE] * 2, [deviation] * columns.shape[1]])
        return np.linalg.solve(x.T @ x + np.diag(1 / prior), x.T @ np.ones(len(x)))

    def left_out(index, deviation, among):
        kept = [i for i in among if i != index]
        row = np.concatenate([base[index], columns[index]])
        return float(row @ ridge(kept, deviation)) / y[index] - 1

    def best(among):
        errors = [np.mean([abs(left_out(i, d, among)) for i in among]) for d in _DEVIATIONS]
        return _DEVIATIONS[int(np.argmin(errors))]

    everything = list(range(len(known)))
    for index in (0, 7):
        among = [i for i in everything if i != index]
        assert found.errors[index] == pytest.approx(
            left_out(index, best(among), everything), abs=1e-6
        )
    weights = ridge(everything, best(everything))
    assert found.slope == pytest.approx(weights[0], rel=1e-6)
    expected = base @ weights[:2] + columns @ weights[2:]
    assert found.after == pytest.approx(expected / y - 1, abs=1e-7)


def test_a_corrected_latency_is_a_sum_over_operators_so_that_its_expectation_is_exact():
    known = networks(24)
    latency = NetworkLatency(ByWork(), calibrate(ByWork(), known, measured(known, 0.003)))
    assert latency.calibration is not None
    assert latency.calibration.form == CORRECTED
    options = [BLOCKS[:3], [*BLOCKS[4:6], BLOCKS[-1]], BLOCKS[2:5]]
    random = np.random.default_rng(5)
    probabilities = [random.dirichlet(np.ones(len(row))) for row in options]
    expected = latency.intercept_ms + sum(
        float(p @ latency.additive_costs(row))
        for p, row in zip(probabilities, options, strict=True)
    )
    by_enumeration = sum(
        float(np.prod([p[i] for p, i in zip(probabilities, chosen, strict=True)]))
        * latency.predict([row[i] for row, i in zip(options, chosen, strict=True)]).latency_ms
        for chosen in itertools.product(*(range(len(row)) for row in options))
    )
    assert expected == pytest.approx(by_enumeration, rel=1e-12)
    assert latency.additive_costs([BLOCKS[-1]]).tolist() == [0.0]


def test_json_keeps_every_bit_and_damage_is_refused():
    known = networks(24)
    found = calibrate(ByWork(), known, measured(known, 0.003))
    again = Calibration.from_json(json.loads(json.dumps(found.to_json())))
    assert again == found
    assert again.costs(BLOCKS, np.ones(len(BLOCKS))).tolist() == (
        found.costs(BLOCKS, np.ones(len(BLOCKS))).tolist()
    )
    assert isinstance(again.correction, Correction)
    damaged = found.to_json()
    del damaged["correction"]["own"]
    with pytest.raises(ArtefactError, match="elat calibrate"):
        Calibration.from_json(damaged)
    del damaged["correction"]
    with pytest.raises(ArtefactError, match="damaged"):
        Calibration.from_json(damaged)


def test_limits_of_networks_hold_as_often_as_they_say():
    held, within = [], []
    for seed in range(40):
        known, new = networks(39, seed), networks(20, seed + 1000)
        model = NetworkLatency(ByWork(), calibrate(ByWork(), known, measured(known, 0.02, seed)))
        for index, network in enumerate(new):
            value = truth(network, 0.02, 777_000 + 100 * seed + index)
            found = model.predict(network)
            low, high = found.interval(0.9)
            within.append(low <= value <= high)
            held.append(value <= found.upper(0.9))
    # 40 calibrations of 39 networks: the share itself is known to about 1.5 points.
    assert 0.86 <= np.mean(held) <= 0.95
    assert 0.86 <= np.mean(within) <= 0.95


def test_too_few_networks_for_a_level_are_refused_with_the_number_it_takes():
    known = networks(18)
    model = NetworkLatency(ByWork(), calibrate(ByWork(), known, measured(known, 0.01)))
    found = model.predict(known[0])
    assert found.upper(0.9) > found.latency_ms
    assert model.upper(known[0], 0.9) == found.upper(0.9)
    assert model.interval(known[0], 0.9) == found.interval(0.9)
    assert (found.tells(0.9), found.tells(0.95)) == (True, False)
    assert not NetworkLatency(ByWork()).predict(known[0]).tells(0.5)
    with pytest.raises(ConfigError, match=r"18 measured networks .*takes 19.*--networks 19"):
        found.upper(0.95)
    with pytest.raises(ConfigError, match="above 0 and below 1"):
        found.upper(1.0)
    with pytest.raises(MissingLatencyError, match="elat calibrate"):
        NetworkLatency(ByWork()).predict(known[0]).upper(0.9)
