"""Few samples of a new device, against SciPy's normal density and refits without each sample."""

from __future__ import annotations

from itertools import product

import numpy as np
import pytest
from scipy.stats import multivariate_normal

from elat.core.errors import ConfigError
from elat.latency.cells import few_shot
from elat.latency.cells.cell import all_cells
from elat.latency.cells.executed import executed_cells, operation_counts
from elat.latency.cells.few_shot import COUNTS, DIFFERENCES, NOISES, DevicePool

SOURCE_COSTS = np.array(
    [[0.1, 0.1, 1, 3, 0.5], [0.2, 0.1, 2, 3, 2], [0.0, 0.3, 1, 8, 0.2], [0.1, 0.1, 1, 1, 1]]
)


@pytest.fixture(scope="module")
def cells():
    return np.random.default_rng(1).permutation(all_cells())[:400]


@pytest.fixture(scope="module")
def pool(cells):
    latency = 2 + operation_counts(cells) @ SOURCE_COSTS.T
    return DevicePool.of(cells, latency / np.median(latency, axis=0))


def test_evidence_and_left_out_errors_are_those_of_the_process(pool):
    rows = np.arange(7)
    target = np.random.default_rng(2).uniform(0.5, 2, 7)
    designs = pool._designs(rows)
    found = few_shot._hypotheses(designs, target, np.ones(7))
    hypotheses = [*product(DIFFERENCES, COUNTS, NOISES)]
    for number in (0, 40, 97, len(hypotheses) - 1):
        differences, counts, noise = hypotheses[number]
        covariance = sum(
            v * d @ d.T for v, d in zip((10.0, differences, counts), designs, strict=True)
        ) + noise * np.diag(target**2)
        # Latencies are divided by themselves, whose density differs by one constant.
        expected = multivariate_normal(np.zeros(7), covariance).logpdf(target)
        constant = -3.5 * np.log(2 * np.pi) - np.log(target).sum()
        assert found.log_evidence[number] == pytest.approx(expected - constant, rel=1e-6)
        for left_out in range(7):
            kept = rows != left_out
            weights = np.linalg.solve(covariance[np.ix_(kept, kept)], covariance[kept, left_out])
            error = target[left_out] - weights @ target[kept]
            assert found.errors[number, left_out] == pytest.approx(error, rel=1e-5, abs=1e-8)


@pytest.mark.parametrize("mixture", [(1, 0, 0, 0), (0.25, 0.25, 0.25, 0.25), (0, 2, 0, 1)])
def test_a_device_like_known_ones_is_known_from_ten(pool, cells, mixture):
    """To a few per cent: no hypothesis has less noise than 1 %."""
    truth = (2 + operation_counts(cells) @ SOURCE_COSTS.T) @ np.array(mixture)
    samples = np.random.default_rng(5).choice(len(cells), 10, replace=False)
    errors = np.abs(pool.predict(samples, 7 * truth[samples]) / (7 * truth) - 1)
    assert np.quantile(errors, 0.95) < 0.04


def test_one_wild_sample_does_not_spoil_the_others(pool, cells):
    truth = 2 + operation_counts(cells) @ SOURCE_COSTS[1]
    samples = np.random.default_rng(5).choice(len(cells), 10, replace=False)
    measured = truth[samples].copy()
    measured[3] *= 2
    errors = np.abs(pool.predict(samples, measured) / truth - 1)
    assert np.median(errors) < 0.03


def test_noise_is_not_explained(pool, cells):
    """On a device whose noise is 30 %, agreement is worth more than ten samples."""
    generator = np.random.default_rng(8)
    truth = pool.agreement[:, 0]
    correlations = []
    for _ in range(20):
        samples = generator.choice(len(cells), 10, replace=False)
        measured = truth[samples] * np.exp(generator.normal(0, 0.3, 10))
        correlations.append(np.corrcoef(pool.predict(samples, measured), truth)[0, 1])
    assert np.mean(correlations) > 0.95


def test_diverse_samples_have_most_left_to_tell(pool):
    candidates = np.arange(40, 100)
    found = pool.diverse(candidates, 6, 50)
    assert found[0] == 50 and len(set(found.tolist())) == 6 and set(found) <= set(candidates)
    designs = pool._designs(np.arange(400))
    prior = (10.0, DIFFERENCES[2], COUNTS[2])
    covariance = sum(v * d @ d.T for v, d in zip(prior, designs, strict=True))
    noisy = covariance + NOISES[0] * np.eye(400)
    for number in range(1, 6):
        known = found[:number]
        gain = np.linalg.solve(noisy[np.ix_(known, known)], noisy[np.ix_(known, candidates)])
        left = np.diag(noisy)[candidates] - (noisy[np.ix_(known, candidates)] * gain).sum(axis=0)
        left[np.isin(candidates, known)] = -np.inf
        assert candidates[left.argmax()] == found[number]


def test_too_few_samples_and_no_latencies_are_refused(pool):
    with pytest.raises(ConfigError, match="needs two"):
        pool.predict(np.array([3]), np.array([1.0]))
    with pytest.raises(ConfigError, match="above 0"):
        pool.predict(np.array([3, 4]), np.array([1.0, 0.0]))


def test_executed_and_standing_operations_differ(cells):
    """The fixture's cells tell an eager runtime from a compiling one."""
    assert (operation_counts(cells) != operation_counts(executed_cells(cells))).any()
