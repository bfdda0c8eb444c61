"""Kernels against their definitions, robust ridge against refits, cells against planted laws."""

from __future__ import annotations

from math import inf

import numpy as np
import pytest

from elat.core.errors import ConfigError
from elat.latency.cells.cell import CellOp, all_cells
from elat.latency.cells.executed import executed_cells, operation_counts
from elat.latency.cells.features import one_hot
from elat.latency.cells.kernels import CELL_KERNELS, CellKernel
from elat.latency.cells.regression import CellRegression
from elat.latency.cells.robust import INTERCEPT, fit_robust, with_intercept


@pytest.fixture
def generator():
    return np.random.default_rng(3)


@pytest.fixture
def cells(generator):
    return generator.permutation(all_cells())


class TestKernels:
    def test_the_product_covers_every_set_of_edges(self, cells):
        """The product over edges of 1 + match is the sum over sets of edges that all match."""
        left, right = cells[0], cells[1]
        alike = {(0, 1): 0.7, (1, 0): 0.7}
        matches = [
            1.0 if a == b else alike.get((int(a), int(b)), 0.0)
            for a, b in zip(left, right, strict=True)
        ]
        subsets = sum(
            np.prod([m for bit, m in enumerate(matches) if chosen >> bit & 1])
            for chosen in range(2**6)
        )
        found = CellKernel(product=1).matrix(cells[:1], cells[1:2])
        assert found[0, 0] == pytest.approx(subsets / 2**6, rel=1e-12)

    def test_counts_are_scalar_products_of_counts(self, cells):
        some, others = cells[:5], cells[5:9]
        expected = operation_counts(some) @ operation_counts(others).T / 4 * 3
        np.testing.assert_allclose(CellKernel(counts=3).matrix(some, others), expected)

    @pytest.mark.parametrize("kernel", CELL_KERNELS)
    def test_covariances_are_positive_semidefinite_and_blind_to_order(self, kernel, cells):
        matrix = kernel.matrix(cells[:80], cells[:80])
        assert np.linalg.eigvalsh(matrix).min() > -1e-9
        np.testing.assert_allclose(kernel.matrix(cells[5:9], cells[2:4]), matrix[5:9, 2:4])


class TestRobust:
    def test_without_bending_it_is_ridge_with_relative_errors(self, generator):
        design, target = generator.normal(size=(20, 4)), generator.uniform(0.5, 2, 20)
        fit = fit_robust(design, target, np.array([0.1, 3.0]), inf)
        columns = np.hstack([np.full((20, 1), INTERCEPT), design])
        for penalty, coefficients, loo in zip((0.1, 3.0), fit.coefficients, fit.loo, strict=True):
            # The same minimum as least squares with rows for the penalty.
            rows = np.vstack([columns / target[:, None], np.sqrt(penalty) * np.eye(5)])
            goal = np.concatenate([np.ones(20), np.zeros(5)])
            weight = np.concatenate([np.full(20, np.sqrt(1 + 1e-4)), np.ones(5)])
            expected = np.linalg.lstsq(rows * weight[:, None], goal * weight, rcond=None)[0]
            np.testing.assert_allclose(coefficients, expected, rtol=1e-8)
            for left_out in range(20):
                kept = np.arange(25) != left_out
                refit = np.linalg.lstsq(
                    (rows * weight[:, None])[kept], (goal * weight)[kept], rcond=None
                )[0]
                error = columns[left_out] @ refit / target[left_out] - 1
                assert loo[left_out] == pytest.approx(error, rel=1e-6, abs=1e-10)

    def test_outliers_do_not_move_it(self, generator):
        design = generator.uniform(0, 1, (60, 3))
        target = with_intercept(design) @ np.array([0.1, 1.0, 2.0, 3.0])
        spoilt = target.copy()
        spoilt[::10] *= 3
        bent, straight = (
            fit_robust(design, spoilt, np.array([1e-4]), width).coefficients[0]
            for width in (0.05, inf)
        )
        errors = [np.abs(with_intercept(design) @ c / target - 1).max() for c in (bent, straight)]
        assert errors[0] < 0.01 < 0.05 < errors[1]


class TestRegression:
    def test_devices_that_add_up_are_learnt_from_50_cells(self, cells):
        """One runs every operation, one only those that count, one has costs by edge."""
        costs = np.array([0.1, 0.2, 1.0, 3.0, 0.5])
        by_edge = np.linspace(0.5, 1.5, 30)
        latency_ms = np.stack(
            [
                5 + operation_counts(cells) @ costs,
                40 * (1 + operation_counts(executed_cells(cells))[:, 1:] @ costs[1:]),
                3 + one_hot(cells) @ by_edge,
            ],
            axis=1,
        )
        fitted = CellRegression.fit(cells[:80], latency_ms[:80])
        errors = np.abs(fitted.predict(cells[80:]) / latency_ms[80:] - 1)
        assert (np.quantile(errors, 0.95, axis=0) < [0.005, 0.02, 0.02]).all()

    def test_the_unit_does_not_matter(self, cells, generator):
        latency_ms = 1 + operation_counts(cells[:30]) @ generator.uniform(0, 1, (5, 1))
        latency_ms *= np.exp(generator.normal(0, 0.1, latency_ms.shape))
        one, thousand = (
            CellRegression.fit(cells[:30], unit * latency_ms).predict(cells[30:90])
            for unit in (1, 1000)
        )
        np.testing.assert_allclose(thousand, 1000 * one, rtol=1e-9)

    def test_too_few_cells_and_no_latencies_are_refused(self, cells):
        with pytest.raises(ConfigError, match="needs three"):
            CellRegression.fit(cells[:2], np.ones((2, 1)))
        with pytest.raises(ConfigError, match="above 0"):
            CellRegression.fit(cells[:4], np.array([[1.0], [2.0], [0.0], [1.0]]))

    def test_skips_cost_nothing_where_they_are_not_executed(self, cells):
        """A latency of the executed graph is the same for all dead cells."""
        executed = executed_cells(cells)
        latency_ms = 2 + operation_counts(executed)[:, [CellOp.CONV_3X3]].astype(float)
        fitted = CellRegression.fit(cells[:100], latency_ms[:100])
        is_dead = (executed == CellOp.NONE).all(axis=1)
        np.testing.assert_allclose(fitted.predict(cells[is_dead]), 2, rtol=0.02)
