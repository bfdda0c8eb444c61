"""Every registered latency model, held to the contract of `LatencyModel`."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest

from elat.core.errors import MissingLatencyError, MissingOperatorError
from elat.latency.condition import Condition, Method, Precision
from elat.latency.graph.ir import Activation
from elat.latency.models import LatencyModel, latency_models
from elat.latency.models.evaluate import held_out
from elat.latency.models.folder import read_model, write_model
from elat.latency.operators import Operator
from elat.latency.operators.conv import Conv
from elat.latency.operators.global_pool import GlobalPool
from elat.latency.operators.linear import Linear
from elat.latency.operators.mbconv import MBConv
from elat.latency.operators.pool import Pool
from elat.latency.operators.zero import Zero
from elat.latency.table import Entry, LatencyTable

CONDITION = Condition("toy", "simulated", "1", Precision.FP32, 1, 1, Method.BLOCK, options=())
FREE = Zero(24, 14)


def toy_ms(operator: Operator) -> float:
    """A small roofline: compute at 2 GMAC/s, memory at 8 GB/s, a call of 2 microseconds."""
    return max(operator.macs / 2e6, operator.traffic_elements * 4 / 8e6) + 2e-3


def toy_table() -> LatencyTable:
    operators: list[Operator] = [
        MBConv(channels, channels, side, kernel, expand=expand)
        for channels, side in ((16, 14), (24, 14), (40, 7))
        for kernel in (3, 5, 7)
        for expand in (1, 3, 6)
    ]
    operators += [Conv(3, 16, 28, 3, 2), Conv(40, 160, 7, 1), GlobalPool(160, 7), Linear(160, 10)]
    noise = np.random.default_rng(0).normal(1, 0.01, len(operators))
    return LatencyTable(
        CONDITION,
        "simulated",
        {
            o: Entry(5, toy_ms(o) * float(e), 0.01 * toy_ms(o))
            for o, e in zip(operators, noise, strict=True)
        },
    )


TABLE = toy_table()
KNOWN = list(TABLE)


# An ensemble fits all its members in every fold, an additive process four sets of lengths.
SLOW = frozenset({"ensemble", "additive-process"})


@pytest.fixture(
    scope="module",
    params=[
        pytest.param(name, marks=pytest.mark.slow if name in SLOW else ())
        for name in latency_models
    ],
)
def name(request: pytest.FixtureRequest) -> str:
    return str(request.param)


@pytest.fixture(scope="module")
def model(name: str) -> LatencyModel:
    return latency_models[name].fit(TABLE, seed=7)


def test_answers_are_finite_positive_and_in_order(model: LatencyModel) -> None:
    found = model.predict([*KNOWN, FREE])
    assert found.latency_ms.shape == found.std_ms.shape == (len(KNOWN) + 1,)
    assert found.latency_ms.dtype == found.std_ms.dtype == np.float64
    assert np.all(np.isfinite(found.latency_ms)) and np.all(np.isfinite(found.std_ms))
    assert np.all(found.latency_ms[:-1] > 0)
    assert np.all(found.std_ms[:-1] >= 0)
    measured = np.array([TABLE[o] for o in KNOWN])
    assert np.mean(np.abs(found.latency_ms[:-1] / measured - 1)) < 0.15


def test_limits_enclose_the_answer_and_widen_with_the_level(model: LatencyModel) -> None:
    found = model.predict([*KNOWN, FREE])
    (low, high), (lower, higher) = found.interval(0.5), found.interval(0.9)
    assert np.all(lower <= low) and np.all(low <= found.latency_ms)
    assert np.all(found.latency_ms <= high) and np.all(high <= higher)
    assert np.all(found.upper(0.5) <= found.upper(0.9))
    assert found.upper(0.9)[-1] == low[-1] == high[-1] == 0.0


def test_free_operators_cost_nothing(model: LatencyModel) -> None:
    found = model.predict([FREE])
    assert found.latency_ms.tolist() == found.std_ms.tolist() == [0.0]


def test_nothing_asked_nothing_answered(model: LatencyModel) -> None:
    assert model.predict([]).latency_ms.shape == (0,)
    assert model.predict([]).std_ms.shape == (0,)


def test_an_answer_does_not_depend_on_what_else_is_asked(model: LatencyModel) -> None:
    together = model.predict([FREE, *KNOWN])
    alone = [model.predict([o]) for o in [FREE, *KNOWN]]
    assert together.latency_ms.tolist() == [a.latency_ms[0] for a in alone]
    assert together.std_ms.tolist() == [a.std_ms[0] for a in alone]


def test_the_same_table_and_seed_give_the_same_bits(name: str, model: LatencyModel) -> None:
    shuffled = dict(reversed(list(TABLE.entries.items())))
    again = latency_models[name].fit(LatencyTable(CONDITION, "simulated", shuffled), seed=7)
    assert model.predict(KNOWN).latency_ms.tobytes() == again.predict(KNOWN).latency_ms.tobytes()
    assert model.predict(KNOWN).std_ms.tobytes() == again.predict(KNOWN).std_ms.tobytes()


def test_a_kind_that_was_not_seen_is_refused(model: LatencyModel) -> None:
    with pytest.raises(MissingOperatorError, match=r"mbconv.*elat measure --device toy"):
        model.predict([KNOWN[0], Pool(16, 14, 3, 2)])


def test_a_choice_that_was_not_seen_is_refused(model: LatencyModel) -> None:
    for odd in (
        MBConv(16, 16, 14, 3, expand=3, activation=Activation.HSWISH),
        MBConv(16, 16, 14, 3, expand=3, se=True),
    ):
        with pytest.raises(MissingLatencyError):
            model.predict([odd])


def test_a_folder_gives_the_same_bits_back(name: str, model: LatencyModel, tmp_path: Path) -> None:
    errors = held_out(TABLE, latency_models[name], folds=2, seed=7)
    write_model(tmp_path / "model", name, TABLE, 7, errors)
    found = read_model(tmp_path / "model")
    assert found.name == name
    assert found.table == TABLE
    assert found.held_out == errors
    assert found.model.predict(KNOWN).latency_ms.tobytes() == (
        model.predict(KNOWN).latency_ms.tobytes()
    )
    assert found.model.predict(KNOWN).std_ms.tobytes() == model.predict(KNOWN).std_ms.tobytes()
