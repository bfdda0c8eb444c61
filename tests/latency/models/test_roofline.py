"""The fitted roofline finds the rates of a machine that is one."""

from __future__ import annotations

import numpy as np
import pytest

from elat.latency.condition import Condition, Method, Precision
from elat.latency.models.roofline import Roofline
from elat.latency.operators import Operator
from elat.latency.operators.conv import Conv
from elat.latency.operators.generate import generate
from elat.latency.operators.global_pool import GlobalPool
from elat.latency.operators.linear import Linear
from elat.latency.table import Entry, LatencyTable

CONDITION = Condition("toy", "simulated", "1", Precision.FP32, 1, 1, Method.BLOCK, options=())
FIXED_MS, MACS_PER_MS, BYTES_PER_MS = 5e-3, 3e7, 8e6


def truth_ms(operator: Operator) -> float:
    moved = 4 * operator.traffic_elements
    return FIXED_MS + max(operator.macs / MACS_PER_MS, moved / BYTES_PER_MS)


def test_a_roofline_is_recovered() -> None:
    operators = generate(240, 0, ("conv", "linear"))
    table = LatencyTable(
        CONDITION, "simulated", {o: Entry(5, truth_ms(o), 0.0) for o in operators[:120]}
    )
    model = Roofline.fit(table, seed=0)
    fixed, macs, moved = model.rates(Conv)
    assert fixed == pytest.approx(FIXED_MS, rel=0.1)
    assert macs == pytest.approx(MACS_PER_MS, rel=0.05)
    assert moved == pytest.approx(BYTES_PER_MS, rel=0.05)
    found = model.predict(operators[120:]).latency_ms
    np.testing.assert_allclose(found, [truth_ms(o) for o in operators[120:]], rtol=0.05)


def test_a_rare_kind_borrows_from_the_others() -> None:
    operators = [*generate(60, 0, ("conv",)), GlobalPool(64, 28)]
    entries = {o: Entry(5, truth_ms(o), 0.0) for o in operators}
    model = Roofline.fit(LatencyTable(CONDITION, "simulated", entries), seed=0)
    wide = GlobalPool(256, 56)
    assert model.predict([wide]).latency_ms[0] == pytest.approx(truth_ms(wide), rel=0.2)
    with pytest.raises(KeyError):
        model.rates(Linear)
