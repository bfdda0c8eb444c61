"""Held-out errors: honest folds, stated noise, readable files."""

from __future__ import annotations

import json
from collections.abc import Sequence
from typing import ClassVar, Self

import numpy as np
import pytest
from scipy.stats import spearmanr

from elat.core.errors import ArtefactError, ConfigError, MissingOperatorError
from elat.latency.condition import Condition, Method, Precision
from elat.latency.models.base import LatencyModel, Prediction
from elat.latency.models.evaluate import CROSS_VALIDATION, HeldOut, held_out
from elat.latency.models.lookup import Lookup
from elat.latency.models.ridge import Ridge
from elat.latency.operators import Operator
from elat.latency.operators.conv import Conv
from elat.latency.operators.mbconv import MBConv
from elat.latency.table import Entry, LatencyTable

CONDITION = Condition("toy", "simulated", "1", Precision.FP32, 1, 1, Method.BLOCK, options=())
BLOCKS: list[Operator] = [
    MBConv(c, c, s, k, expand=e)
    for c, s in ((16, 14), (40, 7))
    for k in (3, 5, 7)
    for e in (1, 3, 6)
]
ONLY = Conv(3, 16, 28, 3, 2)
TABLE = LatencyTable(
    CONDITION,
    "simulated",
    {o: Entry(5, o.macs * 1e-6 + 0.01, 0.02 * (o.macs * 1e-6 + 0.01)) for o in [*BLOCKS, ONLY]},
)


class Honest(LatencyModel):
    """Answers half of the truth, and only for operators that it was *not* fitted to."""

    fits: ClassVar[list[frozenset[Operator]]] = []

    def __init__(self, table: LatencyTable) -> None:
        self._table = table
        self.fits.append(frozenset(table))

    @classmethod
    def fit(cls, table: LatencyTable, *, seed: int) -> Self:
        return cls(table)

    def predict(self, operators: Sequence[Operator]) -> Prediction:
        kinds = {type(o) for o in self._table}
        for operator in operators:
            assert operator not in self._table
            if type(operator) not in kinds:
                raise MissingOperatorError(str(operator))
        latency = np.array([TABLE[o] / 2 for o in operators])
        return Prediction(latency, 0 * latency)


def test_every_operator_is_predicted_once_by_a_fit_without_it() -> None:
    Honest.fits.clear()
    found = held_out(TABLE, Honest, folds=3, seed=0)
    assert [row.operator for row in found.rows] == [o for o in TABLE if o != ONLY]
    assert found.unanswered == (ONLY,)
    assert len(Honest.fits) == 3
    left = [frozenset(TABLE) - fit for fit in Honest.fits]
    assert sum(map(len, left)) == len(TABLE)
    assert frozenset().union(*left) == frozenset(TABLE)
    assert all(6 <= sum(isinstance(o, MBConv) for o in part) <= 6 for part in left)
    assert found.method == CROSS_VALIDATION
    assert found.overall.mape == pytest.approx(0.5)
    assert found.overall.within_10 == 0.0
    assert found.overall.spearman == pytest.approx(1.0)
    assert found.by_kind.keys() == {"mbconv"}


def test_the_same_seed_gives_the_same_errors() -> None:
    first, second = (held_out(TABLE, Ridge, seed=3) for _ in range(2))
    assert first == second
    assert held_out(TABLE, Ridge, seed=4) != first


def test_the_summary_is_what_the_rows_say() -> None:
    found = held_out(TABLE, Ridge, seed=3)
    measured = np.array([row.measured_ms for row in found.rows])
    predicted = np.array([row.predicted_ms for row in found.rows])
    errors = np.abs(predicted / measured - 1)
    overall = found.overall
    assert overall.operators == len(found.rows)
    assert overall.mape == pytest.approx(errors.mean())
    assert overall.within_5 == np.mean(errors <= 0.05)
    assert overall.within_10 == np.mean(errors <= 0.10)
    assert overall.spearman == pytest.approx(spearmanr(measured, predicted).statistic)


def test_a_lookup_reports_its_noise_and_says_so() -> None:
    found = held_out(TABLE, Lookup, seed=0)
    assert "noise" in found.method
    assert len(found.rows) == len(TABLE)
    assert found.overall.mape == pytest.approx(0.02)
    assert found.overall.spearman is None
    assert all(row.predicted_ms == row.measured_ms for row in found.rows)


def test_json_keeps_everything() -> None:
    for kind in (Ridge, Lookup):
        found = held_out(TABLE, kind, seed=3)
        data = json.loads(json.dumps(found.to_json()))
        assert HeldOut.from_json(data) == found
        assert data["overall"]["operators"] == len(found.rows)
    with pytest.raises(ArtefactError, match="elat fit"):
        HeldOut.from_json({"rows": []})


def test_one_fold_is_refused() -> None:
    with pytest.raises(ConfigError, match="at least 2"):
        held_out(TABLE, Ridge, folds=1, seed=0)
