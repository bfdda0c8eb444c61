"""Ridge regression against scikit-learn, and leave-one-out against refitting."""

from __future__ import annotations

import numpy as np
import pytest
from sklearn.linear_model import Ridge as SklearnRidge

from elat.latency.models.log_ridge import fit_ridge


def problem(rows: int = 30, columns: int = 8) -> tuple[np.ndarray, np.ndarray]:
    rng = np.random.default_rng(0)
    design = rng.normal(size=(rows, columns))
    return design, design @ rng.normal(size=columns) + 3 + 0.1 * rng.normal(size=rows)


@pytest.mark.parametrize("columns", [8, 60])
@pytest.mark.parametrize("alpha", [0.01, 1.0, 100.0])
def test_coefficients_are_those_of_scikit_learn(alpha: float, columns: int) -> None:
    design, target = problem(columns=columns)
    found = fit_ridge(design, target, np.array([alpha]))
    truth = SklearnRidge(alpha=alpha).fit(design, target)
    np.testing.assert_allclose(found.coefficients, truth.coef_, rtol=1e-8, atol=1e-10)
    assert found.intercept == pytest.approx(truth.intercept_, rel=1e-10)


@pytest.mark.parametrize("columns", [8, 60])
def test_leave_one_out_is_what_refitting_gives(columns: int) -> None:
    # The penalised centred fit without a row centres on the others: the shortcut is exact.
    design, target = problem(columns=columns)
    found = fit_ridge(design, target, np.array([0.5]))
    for left in (0, 11, 29):
        kept = np.arange(len(target)) != left
        truth = SklearnRidge(alpha=0.5).fit(design[kept], target[kept])
        error = target[left] - truth.predict(design[[left]])[0]
        assert found.loo_residuals[left] == pytest.approx(error, rel=1e-7)


def test_the_penalty_is_the_one_with_the_smallest_left_out_error() -> None:
    design, target = problem()
    alphas = np.logspace(-3, 3, 7)
    errors = [np.mean(fit_ridge(design, target, np.array([a])).loo_residuals ** 2) for a in alphas]
    assert fit_ridge(design, target, alphas).alpha == alphas[int(np.argmin(errors))]


@pytest.mark.parametrize("columns", [8, 60])
def test_weights_are_those_of_scikit_learn(columns: int) -> None:
    design, target = problem(columns=columns)
    weights = np.random.default_rng(1).uniform(0.2, 3, len(target))
    found = fit_ridge(design, target, np.array([0.5]), weights)
    truth = SklearnRidge(alpha=0.5).fit(design, target, weights)
    np.testing.assert_allclose(found.coefficients, truth.coef_, rtol=1e-7, atol=1e-9)
    assert found.intercept == pytest.approx(truth.intercept_, rel=1e-8)
    for left in (0, 11, 29):
        kept = np.arange(len(target)) != left
        again = SklearnRidge(alpha=0.5).fit(design[kept], target[kept], weights[kept])
        error = target[left] - again.predict(design[[left]])[0]
        assert found.loo_residuals[left] == pytest.approx(error, rel=1e-6)


def test_a_tall_design_gives_the_same_by_its_gram_matrix() -> None:
    design, target = problem(rows=2500, columns=40)
    found = fit_ridge(design, target, np.array([0.5]))
    truth = SklearnRidge(alpha=0.5).fit(design, target)
    np.testing.assert_allclose(found.coefficients, truth.coef_, rtol=1e-8, atol=1e-10)
