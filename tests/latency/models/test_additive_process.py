"""The process over sums of nodes, against sampling, closed forms, and truths that are sums."""

from __future__ import annotations

import numpy as np
import pytest

from elat.latency.condition import Condition, Method, Precision
from elat.latency.models import latency_models
from elat.latency.models.additive_posterior import Posterior, Seen, mode, nominal_logs
from elat.latency.models.executed import Primitive, primitives
from elat.latency.models.executed_features import nominal_us
from elat.latency.models.executed_nodes import NodeRows, NodeSpace, nodes_of
from elat.latency.models.layout_features import loop_of, signed_nodes
from elat.latency.operators import Operator
from elat.latency.operators.generate import generate
from elat.latency.table import Entry, LatencyTable

CONDITION = Condition("toy", "simulated", "1", Precision.FP32, 1, 1, Method.BLOCK, options=())
RANDOM = np.random.default_rng(5)


def theta_of(columns: int, noise: float = 0.05) -> np.ndarray:
    first = np.log([0.3, 0.2, 0.1, 0.05, noise])
    return np.concatenate([first, np.full(2 * columns, np.log(2.0))])


def rows_of(times: np.ndarray, seed: int = 0) -> NodeRows:
    random = np.random.default_rng(seed)
    nodes = (times.shape[1],)
    return NodeRows(
        ("a", "b"),
        random.normal(size=(*nodes, 3)),
        random.integers(0, 2, nodes).astype(np.intp),
        random.normal(1.0, 0.5, size=nodes),
        times,
    )


def covariance_of(theta: np.ndarray, rows: NodeRows) -> np.ndarray:
    """The kernel written out, pair by pair."""
    a, b, c, d = np.exp(2 * theta[:4])
    lengths = np.exp(theta[5:]).reshape(2, -1)

    def matern(x: np.ndarray, y: np.ndarray, length: np.ndarray) -> float:
        r = np.sqrt(5 * (((x - y) / length) ** 2).sum())
        return float((1 + r + r**2 / 3) * np.exp(-r))

    count = len(rows.kind)
    found = np.empty((count, count))
    for i in range(count):
        for j in range(count):
            x, y = rows.points[i], rows.points[j]
            found[i, j] = a * matern(x, y, lengths[0])
            if rows.kind[i] == rows.kind[j]:
                found[i, j] += b * matern(x, y, lengths[1]) + c + d * float(x @ y) / len(x)
    return found


def seen_of(rows: NodeRows, theta: np.ndarray, seed: int) -> Seen:
    random = np.random.default_rng(seed)
    g = random.multivariate_normal(np.zeros(len(rows.kind)), covariance_of(theta, rows))
    logs = np.log((rows.times * np.exp(rows.log_us + g)).sum(axis=1))
    noise = random.normal(0, 0.02, len(logs))
    return Seen(rows, logs + noise, np.full(len(logs), 0.02**2))


def test_the_mode_is_the_largest_posterior_density() -> None:
    from scipy.optimize import minimize

    rows, theta = rows_of(RANDOM.integers(0, 3, (6, 8)).astype(float) + np.eye(6, 8)), theta_of(3)
    seen = seen_of(rows, theta, 1)
    covariance = covariance_of(theta, rows) + 1e-10 * np.eye(8)
    inverse = np.linalg.inv(covariance)

    def minus_log_density(g: np.ndarray) -> float:
        logs = np.log((rows.times * np.exp(rows.log_us + g)).sum(axis=1))
        noise = seen.variances + np.exp(2 * theta[4])
        return float(((seen.target - logs) ** 2 / noise).sum() + g @ inverse @ g) / 2

    found = mode(theta, seen)
    best = minimize(minus_log_density, found, method="BFGS", options={"gtol": 1e-8})
    # Gauss-Newton leaves out the curvature of the logarithm, so the mode is near, not equal.
    assert minus_log_density(found) == pytest.approx(best.fun, rel=0.01)
    assert np.abs(found - best.x).max() < 0.03


def test_with_one_node_an_operator_it_is_the_process_of_the_book() -> None:
    rows, theta = rows_of(np.eye(7)), theta_of(3)
    seen = seen_of(rows, theta, 2)
    posterior = Posterior(theta, mode(theta, seen), seen)
    new = rows_of(np.eye(4), seed=9)
    both = NodeRows(
        rows.kinds,
        np.vstack([rows.points, new.points]),
        np.concatenate([rows.kind, new.kind]),
        np.concatenate([rows.log_us, new.log_us]),
        np.eye(11),
    )
    covariance = covariance_of(theta, both)
    noise = np.exp(2 * theta[4]) + 1e-7
    known = covariance[:7, :7] + np.diag(seen.variances + noise)
    cross = covariance[7:, :7]
    mean = new.log_us + cross @ np.linalg.solve(known, seen.target - rows.log_us)
    variance = np.diag(covariance[7:, 7:] - cross @ np.linalg.solve(known, cross.T)) + noise
    means, deviations = posterior.predict(new)
    np.testing.assert_allclose(means, mean, rtol=1e-6)
    np.testing.assert_allclose(deviations, np.sqrt(variance), rtol=1e-6)


def test_an_error_without_an_operator_is_that_of_a_process_without_it() -> None:
    rows, theta = rows_of(np.eye(6)), theta_of(3)
    seen = seen_of(rows, theta, 3)
    errors, deviations = Posterior(theta, mode(theta, seen), seen).left_out
    for out in range(6):
        keep = np.delete(np.arange(6), out)
        others = NodeRows(
            rows.kinds, rows.points[keep], rows.kind[keep], rows.log_us[keep], np.eye(5)
        )
        part = Seen(others, seen.target[keep], seen.variances[keep])
        only = NodeRows(
            rows.kinds, rows.points[[out]], rows.kind[[out]], rows.log_us[[out]], np.eye(1)
        )
        mean, deviation = Posterior(theta, mode(theta, part), part).predict(only)
        assert errors[out] == pytest.approx(seen.target[out] - mean[0], abs=1e-6)
        own = deviation[0] ** 2 + seen.variances[out]
        assert deviations[out] ** 2 == pytest.approx(own, rel=1e-6)


def test_a_prediction_does_not_depend_on_what_else_is_asked() -> None:
    rows, theta = rows_of(RANDOM.integers(0, 2, (6, 9)).astype(float) + np.eye(6, 9)), theta_of(3)
    seen = seen_of(rows, theta, 4)
    posterior = Posterior(theta, mode(theta, seen), seen)
    together = posterior.predict(rows)
    for i in range(6):
        alone = NodeRows(rows.kinds, rows.points, rows.kind, rows.log_us, rows.times[[i]])
        assert tuple(v[0] for v in posterior.predict(alone)) == tuple(v[i] for v in together)


def test_nodes_are_what_is_executed_and_each_is_counted() -> None:
    operators = generate(40, seed=3)
    rows = NodeSpace.of(operators, 4).rows(operators)
    nominal = (rows.times * np.exp(rows.log_us)).sum(axis=1)
    np.testing.assert_allclose(nominal, [sum(map(nominal_us, primitives(o))) for o in operators])
    assert rows.times.sum() == sum(len(nodes_of(o, 4)) for o in operators)


def loop_ms(p: Primitive) -> float:
    """A machine of its own: rates by kind of loop that the nominal ones know nothing of."""
    rates = {"pointwise": 20e6, "depthwise": 3e6, "dense": 35e6, "grouped": 8e6}
    return 1e-3 + max(p.macs / rates.get(p.kind, 5e6), 4 * p.moved / 12e6)


def true_ms(operator: Operator) -> float:
    return sum(map(loop_ms, primitives(operator)))


def test_sums_of_loops_are_learnt_better_than_operators_as_wholes() -> None:
    operators = generate(160, seed=11, kinds=("conv", "depth_conv", "mbconv", "squeeze_excite"))
    entries = {o: Entry(5, true_ms(o), 0.005 * true_ms(o)) for o in operators}
    table = LatencyTable(CONDITION, "simulated", entries)
    known, unseen = operators[:80], operators[80:]

    def median_error(name: str) -> float:
        model = latency_models[name].fit(table.only(known), seed=0)
        answered = [o for o in unseen if _is_answered(model, o)]
        predicted = model.predict(answered).latency_ms
        return float(np.median(np.abs(predicted / [true_ms(o) for o in answered] - 1)))

    additive = median_error("additive-process")
    assert additive < 0.04
    assert additive < 0.7 * median_error("gaussian-process")


def _is_answered(model: object, operator: Operator) -> bool:
    from elat.core.errors import MissingOperatorError

    try:
        model.predict([operator])  # type: ignore[attr-defined]
    except MissingOperatorError:
        return False
    return True


def test_differences_of_models_count_what_runs_more_and_what_less() -> None:
    operators = [o for o in generate(60, seed=7) if len(o.output_shape) == 3][:20]
    rows = NodeSpace.of(operators, 4, Method.IN_SITU).rows(operators)
    for times, operator in zip(rows.times, operators, strict=True):
        signed = signed_nodes(operator, Method.IN_SITU)
        for index, loop in enumerate(rows.kinds):
            counted = sum(count for node, count in signed if loop_of(node) == loop)
            assert times[rows.kind == index].sum() == pytest.approx(counted, abs=1e-9)
    assert (rows.times < 0).any()


def test_what_is_taken_off_leaves_a_tenth_of_what_is_added() -> None:
    times = np.array([[1.0, 0.0, -0.5], [1.0, 1.0, -9.0]])
    rows = NodeRows(("a",), np.zeros((3, 1)), np.zeros(3, np.intp), np.zeros(3), times)
    np.testing.assert_allclose(np.exp(nominal_logs(rows)), [0.5, 0.2])
