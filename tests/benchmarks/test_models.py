"""How fast models answer for many architectures, and are fitted to many operators."""

from __future__ import annotations

import time
from collections.abc import Callable

import numpy as np
import pytest

from elat.core.seeding import torch_generator
from elat.latency.condition import Condition, Method, Precision
from elat.latency.models import latency_models
from elat.latency.models.evaluate import held_out
from elat.latency.models.features import FeatureSpace, log_targets
from elat.latency.network import NetworkLatency
from elat.latency.operators.generate import generate, roofline_ms
from elat.latency.table import Entry, LatencyTable
from elat.search.spaces import find_space

CONDITION = Condition("toy", "simulated", "1", Precision.FP32, 1, 1, Method.BLOCK, options=())
NETWORKS = 100_000
MANY = 10_000


def made_up(operators: tuple) -> LatencyTable:
    """Latencies by a roofline with 2 % of noise: what they are does not change the effort."""
    random = np.random.default_rng(0)
    entries = {}
    for operator in operators:
        ms = (roofline_ms(operator) + 4e-3) * float(np.exp(random.normal(0, 0.02)))
        entries[operator] = Entry(5, ms, 0.02 * ms)
    return LatencyTable(CONDITION, "simulated", entries)


def test_architectures_a_second(benchmark, figure: Callable[..., None]) -> None:
    """10^5 networks of proxyless-mobile by boosted trees, against scikit-learn called naively.

    Naively is: features of every operator of every network, one `predict` a network. It is timed
    on 200 networks.
    """
    from sklearn.ensemble import GradientBoostingRegressor

    space = find_space("proxyless-mobile")
    table = made_up(tuple(o for o in space.all_operators() if not o.is_free))
    generator = torch_generator(0, "bench", "networks")
    networks = [space.operators(space.sample(generator)) for _ in range(NETWORKS // 100)] * 100
    model = NetworkLatency(latency_models["xgboost"].fit(table, seed=0))

    started = time.perf_counter()
    found = benchmark.pedantic(model.predict_many, (networks,), rounds=1)
    ours = NETWORKS / (time.perf_counter() - started)
    assert len(found) == NETWORKS

    features = FeatureSpace.of(table)
    trees = GradientBoostingRegressor(n_estimators=100, random_state=0)
    trees.fit(features.matrix(list(table)), log_targets(table))
    few = networks[:200]
    started = time.perf_counter()
    for network in few:
        busy = [operator for operator in network if not operator.is_free]
        np.exp(trees.predict(features.matrix(busy))).sum()
    naive = len(few) / (time.perf_counter() - started)
    figure("networks predicted a second", ours, "/s")
    figure("networks a second, scikit-learn called for each", naive, "/s")
    figure("networks a second over scikit-learn", ours / naive, "x", least=10.0)


@pytest.mark.parametrize("name", ["ridge", "xgboost", "random-forest", "gaussian-process"])
def test_ten_thousand_operators_are_fitted(
    name: str, benchmark, figure: Callable[..., None]
) -> None:
    """What `elat fit` does but reading the store: five fits for held-out errors, and the model.

    The Gaussian process takes 1,000 of them.
    """
    table = made_up(generate(MANY, 0))
    kind = latency_models[name]

    def fit() -> None:
        held_out(table, kind, seed=0)
        kind.fit(table, seed=0)

    # By CPU time, all in one thread: others on the machine do not count.
    started = time.process_time()
    benchmark.pedantic(fit, rounds=1)
    figure(f"fit of 10^4 operators, {name}", time.process_time() - started, "s", most=60.0)
