"""Whether a store of many measurements answers at once: a table from 10^6 of them in 100 ms."""

from __future__ import annotations

import random
import time
from contextlib import ExitStack
from dataclasses import dataclass, replace
from itertools import cycle
from statistics import median

import pytest

from elat.latency.condition import Condition, Method, Precision
from elat.latency.launch import Launch
from elat.latency.operators.conv import Conv
from elat.latency.sample import Sample
from elat.latency.store import MeasurementStore, Record, open_store
from elat.latency.table import LatencyTable

from ..latency.store.server import missing_reason, running_server

TARGET_MS = 100.0
QUERIES = 40
CASES = 1000
GROUP = 40
CONDITION = Condition("made-up", "simulated", "1", Precision.FP32, 1, 1, Method.BLOCK, ())
OPERATORS = [Conv(3 + index // 50, 8 + index % 50, 16, 3) for index in range(CASES)]


@dataclass(frozen=True)
class Filled:
    """A store with one launch for each case under each condition."""

    store: MeasurementStore
    conditions: list[Condition]


def records(conditions):
    """Launches of two samples each, with a sentinel."""
    sentinel = (Sample(10, 1_000_000, 1_000_000, 0),) * 2
    for condition in conditions:
        for index, operator in enumerate(OPERATORS):
            ns = 1_000_000 + 1000 * index
            samples = (Sample(10, ns, ns, 0), Sample(10, ns + 100, ns + 100, 0))
            launch = Launch(
                f"{condition.device}/{index // GROUP}",
                *(index % GROUP, "2026-01-01T00:00:00+00:00", 1.0, 1.0, 30, True, 0.0),
                samples,
                sentinel,
            )
            yield Record(operator, condition, launch, {}, "simulated")


def filled(store, measurements):
    """`store` with so many `measurements`."""
    conditions = [
        replace(CONDITION, device=f"made-up-{number}") for number in range(measurements // CASES)
    ]
    store.record_launches(records(conditions))
    return Filled(store, conditions)


def table(store, condition, operators):
    """The latency table of `operators`, read as `elat table` reads it."""
    found = store.summaries(condition, operators)
    return LatencyTable.from_measurements(s for each in found.values() for s in each)


@pytest.fixture(scope="module", params=["sqlite", "postgresql"])
def opened(request, tmp_path_factory):
    with ExitStack() as stack:
        where = tmp_path_factory.mktemp("store") / "store.db"
        if request.param == "postgresql":
            if reason := missing_reason():
                pytest.skip(reason)
            where = stack.enter_context(running_server()).url()
        yield request.param, stack.enter_context(open_store(where))


@pytest.fixture(scope="module")
def large(opened):
    """The name of a database, its store with 10^6 measurements, and how long they took, in s."""
    name, store = opened
    started = time.perf_counter()
    return name, filled(store, 1_000_000), time.perf_counter() - started


def timed_ms(query, inputs):
    """How long `query` takes for each of `inputs`, in ms."""
    times = []
    for one in inputs:
        started = time.perf_counter()
        query(one)
        times.append(1e3 * (time.perf_counter() - started))
    return times


def test_queries(benchmark, figure, large):
    name, (store, conditions), built_s = large[0], (large[1].store, large[1].conditions), large[2]
    figure(f"{name}: recording 10^6 measurements", built_s, "s")
    chosen = random.Random(0).sample(conditions, QUERIES)
    stale_ms = timed_ms(store.summaries, chosen)
    figure(f"{name}: summaries of 1,000 cases made", median(stale_ms), "ms")
    draws = random.Random(1)
    some = [(condition, draws.sample(OPERATORS, 100)) for condition in chosen]
    every = [(condition, OPERATORS) for condition in chosen]
    queries = {
        "table of 100 operators": (lambda pair: table(store, *pair), some),
        "table of 1,000 operators": (lambda pair: table(store, *pair), every),
        "summaries of a condition": (store.summaries, chosen),
        "launch counts of a condition": (store.launch_counts, chosen),
        "conditions": (lambda _: store.conditions(), chosen),
    }
    for title, (query, inputs) in queries.items():
        times_ms = timed_ms(query, inputs)
        figure(f"{name}: {title}, p50", median(times_ms), "ms", most=TARGET_MS)
        figure(f"{name}: {title}, max", max(times_ms), "ms", most=TARGET_MS)
    pairs = cycle(every)
    benchmark.pedantic(lambda: table(store, *next(pairs)), rounds=QUERIES)
