"""The exam of the meter: small, resumed, and on stores."""

from __future__ import annotations

import json
from dataclasses import replace

import pytest

from elat.core.errors import ConfigError, UnknownNameError
from elat.flows.measuring_exam import (
    EFFECTS,
    MeasuringExamRun,
    MeasuringOrder,
    recorded_outcomes,
)
from elat.latency import protocol
from elat.latency.launch import Launch
from elat.latency.operators.conv import Conv
from elat.latency.protocol import SCREEN
from elat.latency.sample import Sample
from elat.latency.simulation.campaign import simulated_condition
from elat.latency.store import open_store
from elat.reports.measuring_exam import read_measuring_exam

QUICK = replace(SCREEN, name="quick", passes=4, max_passes=4)


@pytest.fixture(autouse=True)
def quick(monkeypatch):
    monkeypatch.setitem(protocol.PROTOCOLS, "quick", QUICK)


def order(out, seeds=4, stores=(), scenarios=("quiet", "wild")):
    return MeasuringOrder(scenarios, ("quick",), seeds, 1, tuple(stores), out)


def test_it_is_made_once_goes_on_and_reads_back(tmp_path):
    first = MeasuringExamRun(order(tmp_path, seeds=2))
    assert [kept.done for kept in first.run()] == [1, 2, 3, 4]
    assert list(MeasuringExamRun(order(tmp_path, seeds=2)).run()) == []
    more = MeasuringExamRun(order(tmp_path, seeds=4))
    assert [kept.done for kept in more.run()] == [5, 6, 7, 8]
    exam = more.conclude()
    assert read_measuring_exam(tmp_path) == exam
    assert [(o.scenario, o.is_within_limits) for o in exam.outcomes] == [
        ("quiet", True),
        ("wild", False),
    ]
    quiet, wild = exam.outcomes
    assert quiet.covered is not None and quiet.covered.of == 4 * 2 * 12
    assert quiet.covered.value > 0.9
    assert quiet.half_width < wild.half_width
    assert quiet.together is not None and quiet.together.of == 2 * 12
    assert quiet.apart.value <= 0.05
    found = {slowdown.effect: slowdown.slower.value for slowdown in quiet.slowdowns}
    assert found[0.05] == 1.0 and found[0.05] >= found[0.01]


def test_the_same_seed_gives_the_same_rows(tmp_path):
    for name in ("a", "b"):
        run = MeasuringExamRun(order(tmp_path / name, seeds=2, scenarios=("quiet",)))
        list(run.run())
    rows = [(tmp_path / name / "rows.jsonl").read_bytes() for name in ("a", "b")]
    assert rows[0] == rows[1]


def test_what_is_unknown_is_refused(tmp_path):
    with pytest.raises(UnknownNameError, match="quiet"):
        MeasuringExamRun(order(tmp_path, scenarios=("quit",)))
    with pytest.raises(ConfigError, match="two seeds"):
        MeasuringExamRun(order(tmp_path, seeds=1))


def fill(path, factor, cases=8, launches=4):
    """A store in which every case took `factor` times as long."""
    with open_store(path) as store:
        for case in range(cases):
            for worker in range(launches):
                ns = round(1e6 * (1 + case) * factor * (1 + 0.001 * ((case + worker) % 3)))
                samples = (Sample(1, ns, ns, 0),) * 12
                beside = (Sample(1, 100_000, 100_000, 0),) * 12
                launch = Launch(
                    f"{path.stem} {worker}", 0, f"2026-01-01T00:0{worker}:00+00:00", 1.0, 1.0, 9,
                    True, 0.0, samples, beside,
                )  # fmt: skip
                store.record_launch(
                    Conv(3, 8 + case, resolution=8, kernel=3), simulated_condition(), launch, {},
                    "simulated", protocol=QUICK,
                )  # fmt: skip


def test_recorded_stores_are_compared_pairwise(tmp_path):
    for name, factor in (("a", 1.0), ("b", 1.0), ("c", 1.1)):
        fill(tmp_path / f"{name}.db", factor)
    (same,) = recorded_outcomes([tmp_path / "a.db", tmp_path / "b.db"])
    assert (same.differences.value, same.within_2, same.apart.value) == (1.0, 1.0, 0.0)
    assert same.covered is None and same.origin == "simulated"
    (mixed,) = recorded_outcomes([tmp_path / f"{name}.db" for name in "abc"])
    assert mixed.differences.value == pytest.approx(1 / 3)
    assert mixed.within_2 == pytest.approx(1 / 3)


def test_a_condition_in_one_store_only_cannot_be_compared(tmp_path):
    fill(tmp_path / "a.db", 1.0)
    with pytest.raises(ConfigError, match="one store only"):
        list(recorded_outcomes([tmp_path / "a.db"]))


def test_rows_name_what_was_measured(tmp_path):
    run = MeasuringExamRun(order(tmp_path, seeds=2, scenarios=("quiet",)))
    list(run.run())
    rows = [json.loads(line) for line in (tmp_path / "rows.jsonl").read_text().splitlines()]
    assert {(row["scenario"], row["protocol"]) for row in rows} == {("quiet", "quick")}
    assert all(len(row["covered"]) == 24 for row in rows)
    # Even seeds compare things with themselves, odd ones with slower twins.
    assert [sorted(set(row["effects"])) for row in rows] == [[0.0], sorted(EFFECTS)]
