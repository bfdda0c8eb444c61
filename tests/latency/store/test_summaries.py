"""Summaries and filtered measurements are those of the whole condition, to the last bit."""

from __future__ import annotations

import math
from dataclasses import replace
from itertools import count
from typing import NamedTuple
from uuid import uuid4

import numpy as np
import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from elat.core.errors import ArtefactError
from elat.latency.common_mode import corrected, slowness_by_worker
from elat.latency.measurement import Measurement
from elat.latency.operators import Operator
from elat.latency.protocol import SCREEN, STANDARD
from elat.latency.sample import Clock
from elat.latency.store import Record, open_store
from elat.latency.store.measurements import Reader
from elat.latency.store.summaries import statistics_version
from elat.latency.summary import Summary

from .made import CHAIN, CONDITION, CONV, convs, launch

POOLS = (convs(14)[:7], convs(14)[7:])


def fresh(records, numbers):
    """Summaries of `records`, which are of one condition, without a store."""
    found: dict[Operator, list[Summary]] = {}
    for origin in dict.fromkeys(record.origin for record in records):
        own = [(n, r) for n, r in zip(numbers, records, strict=True) if r.origin == origin]
        slowness = slowness_by_worker([r.launch for _, r in own], Clock.CPU)
        cases: dict[Operator, list[tuple[int, Record]]] = {}
        for number, record in own:
            cases.setdefault(record.operator, []).append((number, record))
        measurements = [
            Measurement(
                operator,
                record.condition,
                tuple(r.launch for _, r in group),
                group[0][1].state,
                group[-1][1].state,
                origin,
                slowness=tuple(slowness[r.launch.worker] for _, r in group)
                if all(r.launch.worker in slowness for _, r in group)
                else (),
                protocol=group[-1][1].protocol,
                environments=len({str(r.environment) for _, r in group}),
            )
            for operator, group in cases.items()
            for _, record in group[:1]
        ]
        for measurement in corrected(measurements):
            last = cases[measurement.operator][-1][0]
            found.setdefault(measurement.operator, []).append(Summary.of(measurement, last))
    return {operator: sorted(s, key=lambda each: each.origin) for operator, s in found.items()}


class Group(NamedTuple):
    """What one worker timed: most of one pool of cases, sometimes one of the other, too."""

    pool: int
    cases: list[int]
    stranger: int | None
    worker: int
    has_sentinel: bool
    origin: str
    seed: int

    def records(self, condition):
        cases = [POOLS[self.pool][index] for index in self.cases]
        if self.stranger is not None:
            cases.append(POOLS[1 - self.pool][self.stranger])
        random = np.random.default_rng(self.seed)
        return [
            Record(
                case,
                condition,
                launch(
                    f"w{self.worker}",
                    float(np.exp(random.normal())),
                    float(np.exp(random.normal())) if self.has_sentinel else None,
                ),
                {"steal_pct": float(random.uniform(0, 2))},
                self.origin,
                (SCREEN, STANDARD)[random.integers(2)],
                {"kernel": int(random.integers(2))},
            )
            for case in cases
        ]


groups = st.builds(
    Group,
    pool=st.integers(0, 1),
    cases=st.lists(st.integers(0, 6), min_size=5, max_size=7, unique=True),
    stranger=st.sampled_from([None, None, None, None, 0, 3]),
    worker=st.integers(0, 8),
    has_sentinel=st.sampled_from([True, True, True, False]),
    origin=st.sampled_from(["simulated", "simulated", "simulated", "imported"]),
    seed=st.integers(0, 2**32),
)


@given(
    steps=st.lists(groups | st.none(), min_size=4, max_size=16),
    few=st.lists(st.sampled_from(POOLS[0] + POOLS[1]), max_size=3),
)
@settings(
    deadline=None, max_examples=15, suppress_health_check=[HealthCheck.function_scoped_fixture]
)
def test_they_are_those_of_all_launches(store, steps, few):
    condition = replace(CONDITION, device=str(uuid4()))  # a new one in the same store
    records: list[Record] = []
    for step in [*steps, None]:
        if step is not None:
            new = step.records(condition)
            store.record_launches(new)
            records += new
            continue
        number = store._documents.condition(condition)
        numbers = [
            row[0]
            for row in store._db.rows(
                "SELECT id FROM launches WHERE condition = ? ORDER BY id", number
            )
        ]
        wanted = fresh(records, numbers)
        assert store.summaries(condition) == wanted
        assert store.summaries(condition, few) == {o: wanted[o] for o in few if o in wanted}
        whole = store.measurements(condition)
        assert store.measurements(condition, few) == [m for m in whole if m.operator in few]
        assert {m.operator for m in whole} == wanted.keys()
        for measurement in whole:
            last = {s.origin: s.last_launch for s in wanted[measurement.operator]}
            assert (
                Summary.of(measurement, last[measurement.origin]) in wanted[measurement.operator]
            )


def recorded(store, worker, operators, sentinel=1.0, value=1.0):
    store.record_launches(
        Record(each, CONDITION, launch(worker, value, sentinel), {}, "measured")
        for each in operators
    )


@pytest.fixture
def read(monkeypatch):
    """The operators whose launches were read since the last call."""
    seen: list[set[int]] = [set()]
    rows = Reader._rows

    def spy(self, parts):
        parts = list(parts)
        seen[0] |= {case.operator for part in parts for case in part.cases}
        return rows(self, parts)

    monkeypatch.setattr(Reader, "_rows", spy)

    def read():
        found, seen[0] = seen[0], set()
        return found

    return read


def test_nothing_is_read_again_that_no_launch_can_have_changed(store, read):
    first, second = POOLS
    for index in range(5):
        recorded(store, f"a{index}", first)
    recorded(store, "b", second)
    store.summaries(CONDITION)
    assert len(read()) == 14
    store.summaries(CONDITION)
    store.summaries(CONDITION, first)
    assert not read()
    recorded(store, "c", second[:2])
    store.summaries(CONDITION)
    assert read() == set(store._documents.numbers_of(second))
    recorded(store, "d", [CHAIN])
    store.summaries(CONDITION)
    assert read() == set(store._documents.numbers_of([CHAIN]))
    store.measurements(CONDITION, second[:1])
    assert read() == set(store._documents.numbers_of(second))


def test_everything_is_made_again_when_the_reference_speed_moves(store, read):
    for index in range(4):
        recorded(store, f"a{index}", POOLS[0])
    store.summaries(CONDITION)
    read()
    recorded(store, "b", [CHAIN], sentinel=3.0)  # the fifth worker
    store.summaries(CONDITION)
    assert len(read()) == 8
    recorded(store, "b", [CONV], sentinel=4.0)  # its own time moves the reference again
    store.summaries(CONDITION)
    assert len(read()) == 8


def test_other_statistics_make_everything_again(store, read, monkeypatch):
    recorded(store, "a", POOLS[0])
    store.summaries(CONDITION)
    read()
    monkeypatch.setattr("elat.latency.store.summaries.statistics_version", lambda: "changed")
    store.summaries(CONDITION)
    assert len(read()) == 7
    store.summaries(CONDITION)
    assert not read()


def test_the_version_of_statistics_is_that_of_the_code():
    assert statistics_version() == statistics_version()
    assert len(statistics_version()) == 64


def test_the_code_that_joins_launches_is_among_that_of_the_statistics(monkeypatch):
    read: list[str] = []

    def reading(path):
        read.append(path.name)
        return b""

    monkeypatch.setattr("pathlib.Path.read_bytes", reading)
    statistics_version.__wrapped__()
    assert {"measurement.py", "estimate.py", "common_mode.py", "measurements.py", "parts.py"} <= {
        *read
    }


def test_a_summary_made_meanwhile_by_another_process_is_not_overwritten(where, store, monkeypatch):
    recorded(store, "a", POOLS[0])
    make = Reader.measurements
    turn = count()

    def interrupted(self, links, parts):
        found = make(self, links, parts)
        if next(turn) == 0:
            with open_store(where) as other:
                recorded(other, "b", POOLS[0], value=3.0)
                other.summaries(CONDITION)
        return found

    monkeypatch.setattr(Reader, "measurements", interrupted)
    found = store.summaries(CONDITION)
    assert {summary.count for summaries in found.values() for summary in summaries} == {2}


def test_what_is_not_known_has_no_summary(store):
    assert store.summaries(CONDITION) == {}
    recorded(store, "a", [CONV])
    assert store.summaries(CONDITION, [CHAIN]) == {}
    assert store.summaries(replace(CONDITION, threads=2)) == {}
    (found,) = store.summaries(CONDITION)[CONV]
    assert (found.low_ms, found.high_ms, found.count) == (None, None, 1)


def test_a_figure_that_is_no_number_comes_back_as_none_or_nan():
    measurement = Measurement(CONV, CONDITION, (launch(),) * 3, {}, {}, "measured")
    odd = replace(Summary.of(measurement, 7), latency_ms=math.nan, low_ms=math.inf)
    back = Summary.from_json(odd.to_json(), CONV, CONDITION, "measured", 7)
    assert math.isnan(back.latency_ms)
    assert back.low_ms is None
    assert replace(back, latency_ms=1.0, low_ms=1.0) == replace(odd, latency_ms=1.0, low_ms=1.0)


@pytest.mark.parametrize("text", ["{", "{}", "[]", '{"grade": "Z"}'])
def test_a_damaged_summary_is_refused(store, text):
    recorded(store, "a", [CONV])
    store.summaries(CONDITION)
    with store._db.transaction():
        store._db.change("UPDATE summaries SET json = ?", text)
    with pytest.raises(ArtefactError, match="no readable measurement store"):
        store.summaries(CONDITION)
