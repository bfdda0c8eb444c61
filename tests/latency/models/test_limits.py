"""Limits cover what they promise: exactly for exchangeable scores, nearly for fitted models."""

from __future__ import annotations

import warnings
from math import inf

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from elat.core.errors import ConfigError, MissingLatencyError
from elat.latency.condition import Condition, Method, Precision
from elat.latency.models import latency_models
from elat.latency.models.base import Prediction
from elat.latency.models.limits import Conformal, StudentT
from elat.latency.operators import Operator
from elat.latency.operators.generate import generate, roofline_ms
from elat.latency.operators.zero import Zero
from elat.latency.table import Entry, LatencyTable

CONDITION = Condition("toy", "simulated", "1", Precision.FP32, 1, 1, Method.BLOCK, options=())
NOISE = 0.03


def conformal(scores: list[float]) -> Conformal:
    return Conformal.of(np.array(scores), np.ones(len(scores)))


@given(
    st.lists(st.floats(-5, 5), min_size=1, max_size=40, unique=True),
    st.floats(0.01, 0.99),
)
def test_leaving_each_score_out_covers_at_least_the_level(
    scores: list[float], level: float
) -> None:
    """The theorem itself: over all choices of the new one among n + 1, enumerated."""
    for kept, limit in (("absolute", "two_sided"), ("signed", "upper")):
        values = np.abs(scores) if kept == "absolute" else np.array(scores)
        covered = [
            values[left] <= getattr(conformal([*scores[:left], *scores[left + 1 :]]), limit)(level)
            for left in range(len(scores))
        ]
        assert np.mean(covered) >= level - 1e-9
        if len(np.unique(values)) == len(scores):
            assert np.mean(covered) <= level + 1 / len(scores) + 1e-9


def test_too_few_scores_give_an_infinite_limit() -> None:
    scores = conformal([0.1] * 18)
    assert scores.upper(0.95) == scores.two_sided(0.95) == inf
    assert conformal([0.1] * 19).upper(0.95) == pytest.approx(0.1)
    found = Prediction(np.array([2.0, 0.0]), np.array([0.0, 0.0]), scores)
    assert found.upper(0.95).tolist() == [inf, 0.0]
    low, high = found.interval(0.95)
    assert low.tolist() == [0.0, 0.0] and high.tolist() == [inf, 0.0]


def test_limits_are_multiples_of_the_relative_deviation() -> None:
    found = Prediction(np.array([1.0, 2.0]), np.array([0.1, 0.1]), conformal([-2.0, 1.0, 0.5]))
    low, high = found.interval(0.75)
    np.testing.assert_allclose(high, [np.exp(0.2), 2 * np.exp(0.1)], rtol=1e-12)
    np.testing.assert_allclose(low, [np.exp(-0.2), 2 * np.exp(-0.1)], rtol=1e-12)
    np.testing.assert_allclose(found.upper(0.25), [np.exp(-0.2), 2 * np.exp(-0.1)], rtol=1e-12)


@pytest.mark.parametrize("level", [0.0, 1.0, -0.1, 95.0, float("nan")])
def test_a_level_is_a_share(level: float) -> None:
    for limits in (conformal([0.1, 0.2]), StudentT(np.array([3]))):
        for ask in (limits.two_sided, limits.upper):
            with pytest.raises(ConfigError, match="above 0 and below 1"):
                ask(level)


def test_a_model_without_limits_says_so() -> None:
    with pytest.raises(MissingLatencyError, match="states no limits"):
        Prediction(np.array([1.0]), np.array([0.1])).upper(0.9)


def test_launches_tell_where_as_many_others_will_fall() -> None:
    """A second mean of as many launches, drawn many times, against Student's promise."""
    random = np.random.default_rng(0)
    launches, draws = 4, 20_000
    first, second = (random.normal(1, 0.01, (draws, launches)) for _ in range(2))
    found = Prediction(
        first.mean(axis=1), first.std(axis=1, ddof=1), StudentT(np.full(draws, launches))
    )
    low, high = found.interval(0.9)
    again = second.mean(axis=1)
    assert np.mean((low <= again) & (again <= high)) == pytest.approx(0.9, abs=0.01)
    assert np.mean(again <= found.upper(0.95)) == pytest.approx(0.95, abs=0.01)
    one = Prediction(np.array([1.0]), np.array([0.0]), StudentT(np.array([1])))
    assert one.upper(0.6).tolist() == [inf]


def test_what_nobody_can_tell_has_no_upper_limit_and_no_warning() -> None:
    scores = Conformal(np.array([-1.0, 0.0, 1.0]), np.array([0.5, 1.0, 2.0]))
    unsure = Prediction(np.array([1.0]), np.array([5000.0]), scores)
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        assert unsure.upper(0.75).tolist() == [inf]


SLOW = frozenset({"ensemble", "additive-process", "gnn"})


def noisy(operators: tuple[Operator, ...], seed: int) -> dict[Operator, float]:
    errors = np.exp(np.random.default_rng(seed).normal(0, NOISE, len(operators)))
    return {o: (roofline_ms(o) + 0.01) * float(e) for o, e in zip(operators, errors, strict=True)}


@pytest.mark.parametrize(
    "name",
    [
        pytest.param(name, marks=pytest.mark.slow if name in SLOW else ())
        for name in latency_models
        if name != "lookup"
    ],
)
def test_fitted_models_cover_unseen_operators(name: str) -> None:
    """Over 500 unseen operators; the tolerance is three deviations of 150 scores and of these."""
    operators = generate(650, 3, ("conv", "depth_conv", "mbconv", "linear"))
    measured = noisy(operators, 4)
    known, unseen = operators[:150], operators[150:]
    table = LatencyTable(
        CONDITION, "simulated", {o: Entry(5, measured[o], NOISE * measured[o]) for o in known}
    )
    found = latency_models[name].fit(table, seed=0).predict([*unseen, Zero(8, 8)])
    truth = np.array([measured[o] for o in unseen])
    low, high = (limit[:-1] for limit in found.interval(0.9))
    assert np.mean((low <= truth) & (truth <= high)) == pytest.approx(0.9, abs=0.085)
    assert np.mean(truth <= found.upper(0.9)[:-1]) == pytest.approx(0.9, abs=0.085)
    assert found.upper(0.9)[-1] == 0.0
