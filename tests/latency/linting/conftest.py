"""A clean table, made by a smooth cost model with noise and its spread."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace
from math import sqrt

import numpy as np
import pytest

from elat.latency.imports.base import Fact
from elat.latency.linting import Row, View, row_of
from elat.latency.operators import Operator
from elat.search.spaces import find_space

LAUNCHES = 5
SPREAD = 0.01
FACTS: dict[str, Fact] = {
    "device": "a-board",
    "runtime": "tflite",
    "precision": "fp32",
    "batch": 1,
    "threads": 1,
}


def cost_ms(operator: Operator) -> float:
    """A call, multiply-adds at 10 GMAC/s, and elements at 2 billion a second."""
    return 0.01 + operator.macs / 1e7 + operator.traffic_elements / 2e6


def clean_view(space: str = "proxyless-tiny", seed: int = 0, spread: float = SPREAD) -> View:
    """Every operator of `space` with noise of `spread` a launch, five launches each."""
    noise = np.random.default_rng(seed)
    rows = []
    for operator in find_space(space).all_operators():
        mean = cost_ms(operator) * float(np.exp(noise.normal(0, spread / sqrt(LAUNCHES))))
        rows.append(row_of(operator, mean, LAUNCHES, spread * mean))
    return View("", tuple(rows), "measured", facts=FACTS, is_own=True)


def with_rows(view: View, change: Callable[[int, Row], Row]) -> View:
    """`view` with `change` made to each of its numbered rows."""
    rows = tuple(change(index, row) for index, row in enumerate(view.rows))
    return replace(view, rows=rows)


@pytest.fixture(scope="session")
def clean() -> View:
    return clean_view()
