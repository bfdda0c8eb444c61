"""Ten thousand measurements: what is asked of one condition reads no other's."""

from __future__ import annotations

from dataclasses import replace

import pytest

from elat.latency.store import Record
from elat.latency.table import LatencyTable

from .made import CONDITION, convs, launch

CONDITIONS = [replace(CONDITION, device=f"device-{number}") for number in range(40)]
OPERATORS = convs(250)


@pytest.fixture
def filled(store):
    """A store of a launch for each operator under each condition, of a time of its own."""
    store.record_launches(
        Record(
            operator,
            condition,
            launch(f"w{index // 40}", 1.0 + number + index / 1000, 1.0, count=2),
            {},
            "simulated",
        )
        for number, condition in enumerate(CONDITIONS)
        for index, operator in enumerate(OPERATORS)
    )
    return store


def test_ten_thousand_measurements(filled, monkeypatch):
    assert filled.conditions() == CONDITIONS
    assert filled.launch_counts(CONDITIONS[7]) == dict.fromkeys(OPERATORS, 1)
    chosen = OPERATORS[::5]
    found = filled.summaries(CONDITIONS[7], chosen)
    assert found.keys() == set(chosen)
    table = LatencyTable.from_measurements(s for each in found.values() for s in each)
    assert table.condition == CONDITIONS[7]
    assert table.origin == "simulated"
    assert [table[o] for o in chosen] == [
        pytest.approx(8.0 + index / 1000) for index in range(0, 250, 5)
    ]
    assert len(filled._db.rows("SELECT 1 FROM summaries")) == len(OPERATORS)

    def no_samples(*_):
        raise AssertionError("a launch was read for a table that is up to date")

    monkeypatch.setattr("elat.latency.store.measurements.unpacked", no_samples)
    assert filled.summaries(CONDITIONS[7], chosen) == found
    assert len(filled.summaries(CONDITIONS[7])) == len(OPERATORS)


@pytest.mark.parametrize(
    "query",
    [
        "SELECT id FROM launches WHERE condition = 7 ORDER BY id DESC LIMIT 1",
        "SELECT operator, count(*) FROM launches WHERE condition = 7 GROUP BY operator",
        "SELECT operator, json FROM summaries WHERE condition = 7 AND operator IN (1, 2, 3)",
        "SELECT operator, json FROM summaries WHERE condition = 7",
        "SELECT id FROM operators WHERE sha256 IN ('a', 'b')",
        "SELECT id FROM conditions c WHERE EXISTS"
        " (SELECT 1 FROM launches l WHERE l.condition = c.id)",
    ],
)
@pytest.mark.parametrize("where", ["sqlite"], indirect=True)
def test_queries_search_an_index(store, query):
    plan = [row[3] for row in store._db.rows(f"EXPLAIN QUERY PLAN {query}")]
    assert all("SCAN" not in step or step.startswith("SCAN c ") for step in plan), plan
    assert any("SEARCH" in step for step in plan), plan
