"""Devices whose truth is known: measured in turns, read from stores, held to budgets."""

from __future__ import annotations

import sys
from collections.abc import Iterable, Iterator
from dataclasses import replace
from itertools import islice
from pathlib import Path

import pytest

from elat.core.errors import (
    ArtefactError,
    ConfigError,
    MissingLatencyError,
    UnavailableError,
)
from elat.devices.device import find_device
from elat.flows.budgets import check_budget, measure_budget, read_budget
from elat.flows.comparing import Compared, CompareOrder, compare
from elat.flows.measuring import Campaign, default_cache
from elat.latency.budget import Held
from elat.latency.comparison import Rule, Verdict
from elat.latency.condition import Condition, Method
from elat.latency.effects import Basis
from elat.latency.measure import Progress, Stage
from elat.latency.operators.conv import Conv
from elat.latency.pairing import Pairing
from elat.latency.protocol import PROTOCOLS, STANDARD
from elat.latency.store import open_store
from elat.search.spaces import find_space

SPACE = """
family: mbconv-chain
resolution: 8
in_channels: 1
classes: 10
stem: {width: 4, stride: 1}
first: 4
stages:
  - {width: 4, blocks: 2, stride: 1}
kernels: [3, 5]
expansions: [3]
head: 8
"""
CARD = """
schema: 1
id: NAME
kind: simulated
runtime:
  name: simulated
  precision: fp32
  method: block
  options: {OPTIONS, call_us: 0.0, launch_noise: 0.001, sample_noise: 0.001}
"""
CARDS = {
    "fast": "gmacs_per_s: 20.0, gbytes_per_s: 10.0, node_us: 1.0",
    # Every part of the time is 5 % longer.
    "slow": "gmacs_per_s: 19.047619, gbytes_per_s: 9.5238095, node_us: 1.05",
}
HASTY = replace(
    STANDARD, name="hasty", min_launches=2, max_launches=3, looks=(2, 3), passes=4, max_passes=4,
    group_min_ms=1.0, warmup_min_ms=1.0,
)  # fmt: skip
BRIEF = replace(HASTY, name="brief", max_launches=2, looks=(2,))


@pytest.fixture(scope="module")
def place(tmp_path_factory):
    """A home with two simulated devices, and a space."""
    folder = tmp_path_factory.mktemp("comparing")
    (folder / "devices").mkdir()
    for name, options in CARDS.items():
        card = CARD.replace("NAME", name).replace("OPTIONS", options)
        (folder / "devices" / f"{name}.yaml").write_text(card)
        other = card.replace("fp32", "int8").replace(name, f"{name}-int8", 1)
        (folder / "devices" / f"{name}-int8.yaml").write_text(other)
    (folder / "tiny.yaml").write_text(SPACE)
    return folder


@pytest.fixture(autouse=True)
def _home(place, monkeypatch):
    monkeypatch.setenv("ELAT_HOME", str(place))
    monkeypatch.setitem(PROTOCOLS, "hasty", HASTY)
    monkeypatch.setitem(PROTOCOLS, "brief", BRIEF)


def order(place, a, b, protocol="hasty", **changed):
    return CompareOrder(a, b, space=str(place / "tiny.yaml"), protocol=protocol, **changed)


def compared(asked: CompareOrder) -> Compared:
    """The result, without the steps before it."""
    *_, found = compare(asked)
    assert isinstance(found, Compared)
    return found


@pytest.fixture(scope="module")
def live(place) -> Compared:
    """`fast` and `slow`, measured in turns."""
    with pytest.MonkeyPatch.context() as patch:
        patch.setenv("ELAT_HOME", str(place))
        patch.setitem(PROTOCOLS, "hasty", HASTY)
        return compared(order(place, "fast", "slow", folder=place / "live"))


def stored(place, a="a.db", b="b.db", **changed) -> Compared:
    return compared(CompareOrder(str(place / "live" / a), str(place / "live" / b), **changed))


def test_a_slower_device_is_slower_by_as_much_as_it_is(live):
    assert live.comparison.pairing is Pairing.ROUNDS
    assert live.comparison.basis is Basis.TIME
    assert {case.verdict for case in live.comparison.cases} == {Verdict.SLOWER}
    for case in live.comparison.cases:
        assert case.launches == (3, 3)
        assert case.difference == pytest.approx(0.05, abs=0.004)
    assert any("SIMULATED" in note for note in live.notes)


def test_every_operator_of_the_space_is_a_case(live, place):
    operators = find_space(str(place / "tiny.yaml")).all_operators()
    assert {c.operator for c in live.comparison.cases} == {o for o in operators if not o.is_free}


def test_launches_of_the_two_sides_took_turns(live, place):
    """Of two neighbours in time one is of each side, whichever came first."""
    for operator, a in live.a.side.measurements.items():
        b = live.b.side.measurements[operator]
        order = sorted([(t, 0) for t in a.times_s] + [(t, 1) for t in b.times_s])
        sides = [side for _, side in order]
        assert all(sorted(sides[i : i + 2]) == [0, 1] for i in range(0, len(sides), 2))


def test_the_same_call_again_measures_nothing(live, place):
    *steps, found = compare(order(place, "fast", "slow", folder=place / "live"))
    assert isinstance(found, Compared)
    assert found.comparison.cases == live.comparison.cases
    assert {step.stage for step in measuring(steps)} == {Stage.BUILD}


def test_an_interrupted_comparison_goes_on_in_pairs(place, tmp_path):
    steps = compare(order(place, "fast", "slow", "brief", folder=tmp_path))
    done = sum(1 for _ in islice(launches(steps), 7))
    steps.close()
    *rest, found = compare(order(place, "fast", "slow", "brief", folder=tmp_path))
    assert isinstance(found, Compared)
    cases = len(found.comparison.cases)
    assert sum(1 for _ in launches(rest)) == 2 * 2 * cases - done
    assert found.comparison.pairing is Pairing.ROUNDS
    assert {case.launches for case in found.comparison.cases} == {(2, 2)}


def measuring(steps: Iterable[Progress | Compared]) -> Iterator[Progress]:
    return (step for step in steps if isinstance(step, Progress))


def launches(steps: Iterable[Progress | Compared]) -> Iterator[Progress]:
    return (step for step in measuring(steps) if step.stage is Stage.MEASURE)


def test_a_device_is_the_same_as_itself_also_in_another_python(place, tmp_path):
    """The other Python is a script, so that its path differs from that of this one."""
    python = tmp_path / "python"
    python.write_text(f'#!/bin/sh\nexec "{sys.executable}" "$@"\n')
    python.chmod(0o755)
    found = compared(order(place, "fast", f"fast@{python}", "brief", folder=tmp_path))
    assert found.a.side.condition == found.b.side.condition
    assert found.comparison.pairing is Pairing.ROUNDS
    assert not any(c.verdict in (Verdict.FASTER, Verdict.SLOWER) for c in found.comparison.cases)


def test_stores_are_compared_as_they_are(live, place):
    found = stored(place)
    assert found.comparison.cases == live.comparison.cases
    assert found.environment == {}
    same = stored(place, "a.db", "a.db@fast")
    assert {case.verdict for case in same.comparison.cases} == {Verdict.SAME}
    assert {case.difference for case in same.comparison.cases} == {0.0}


def test_only_what_both_stores_hold_is_compared(live, place, tmp_path):
    extra = Conv(1, 6, resolution=8, kernel=3)
    with open_store(tmp_path / "more.db") as store:
        a = live.a.side
        for m in [*list(a.measurements.values())[:2], replace_operator(a, extra)]:
            for launch in m.launches:
                store.record_launch(m.operator, a.condition, launch, {}, "simulated")
    found = compared(CompareOrder(str(tmp_path / "more.db"), str(place / "live" / "b.db")))
    assert len(found.comparison.cases) == 2
    assert found.comparison.only_a == (extra,)
    assert len(found.comparison.only_b) == len(live.comparison.cases) - 2
    assert any("are not compared" in note for note in found.notes)
    assert any("environments differ" in note for note in found.notes)


def replace_operator(side, operator):
    return replace(next(iter(side.measurements.values())), operator=operator)


def at(side, index):
    """`side` with its launches every 20 s, those of B 10 s after those of A."""
    return {
        operator: tuple(
            replace(one, started_utc=f"2026-01-01T00:00:{20 * i + 10 * index:02d}+00:00")
            for i, one in enumerate(m.launches)
        )
        for operator, m in side.measurements.items()
    }


@pytest.mark.parametrize("hosts", [("one", "one"), ("one", "another")])
def test_launches_of_two_machines_at_the_same_time_are_no_pairs(live, tmp_path, hosts):
    side, paths = live.a.side, [tmp_path / "first.db", tmp_path / "second.db"]
    for index, (path, host) in enumerate(zip(paths, hosts, strict=True)):
        with open_store(path) as store:
            for operator, found in at(side, index).items():
                for launch in found:
                    own = replace(launch, worker=f"{launch.worker} of {index}")
                    store.record_launch(
                        operator, side.condition, own, {}, "simulated", environment={"host": host}
                    )
    found = compared(CompareOrder(str(paths[0]), str(paths[1])))
    is_paired = hosts[0] == hosts[1]
    assert found.comparison.pairing is (Pairing.ROUNDS if is_paired else Pairing.NONE)
    assert any("different machines" in note for note in found.notes) is not is_paired


def test_the_space_and_networks_choose_among_stored_cases(live, place, tmp_path):
    assert stored(place, space=str(place / "tiny.yaml")).comparison.cases == live.comparison.cases
    with pytest.raises(MissingLatencyError, match="none of the cases"):
        stored(place, networks=("mobilenet_v2",))


def test_conditions_that_differ_in_more_are_named(live, place):
    with pytest.raises(ConfigError, match=r"precision \(fp32 and int8\).*--allow-different"):
        list(compare(order(place, "fast", "fast-int8")))


@pytest.mark.parametrize(
    ("a", "b", "error", "said"),
    [
        ("nowhere", "slow", ConfigError, "neither a store nor a device"),
        ("fast", "live/b.db", ConfigError, "Measure the device into a store"),
        ("live/a.db@other", "live/b.db", MissingLatencyError, "It holds: fast"),
        ("gone.db", "live/b.db", ArtefactError, "gone.db"),
        ("fast@no/python", "slow", ConfigError, "no Python interpreter"),
        ("fast@/bin/false", "slow", UnavailableError, "install there"),
    ],
)
def test_what_cannot_be_compared_is_refused(live, place, monkeypatch, a, b, error, said):
    monkeypatch.chdir(place)
    with pytest.raises(error, match=said):
        list(compare(order(place, a, b)))


def test_a_live_comparison_needs_cases(place):
    with pytest.raises(ConfigError, match="--space NAME"):
        list(compare(CompareOrder("fast", "slow")))


def test_several_conditions_in_a_store_are_told_apart(live, place, tmp_path):
    with open_store(tmp_path / "both.db") as store:
        for side in (live.a.side, live.b.side):
            for m in side.measurements.values():
                for launch in m.launches:
                    store.record_launch(m.operator, side.condition, launch, {}, "simulated")
    both = str(tmp_path / "both.db")
    with pytest.raises(ConfigError, match="several conditions"):
        list(compare(CompareOrder(both, both)))
    found = compared(CompareOrder(f"{both}@fast", f"{both}@slow", rule=Rule(margin=0.02)))
    assert {case.verdict for case in found.comparison.cases} == {Verdict.SLOWER}


BUDGET = """
schema: 1
entries:
  - {name: stem, operator: {kind: conv, in_channels: 1, out_channels: 4, resolution: 8, kernel: 3}, limit_ms: 1.0}
  - {name: tight, choices: [0, 0], limit_ms: 0.001}
  - {sum: table, limit_ms: 1.0}
"""  # noqa: E501


def test_a_budget_is_measured_and_held(place, tmp_path):
    path = tmp_path / "budget.yaml"
    path.write_text(BUDGET)
    space, device = find_space(str(place / "tiny.yaml")), find_device("fast")
    with open_store(tmp_path / "s.db") as store:
        run = Campaign(device, HASTY, store, default_cache(), 0)
        budget = read_budget(path, Method.BLOCK, space)
        assert all(step.failure is None for step in measure_budget(run, budget))
        report = check_budget(run, budget)
        known = {m.operator: m for m in store.measurements(Condition.of(device))}
    stem, tight, table = report.lines
    assert [line.held for line in report.lines] == [Held.OK, Held.OVER, Held.OK]
    assert tight.limit.terms[0][0].macs > stem.limit.terms[0][0].macs
    parts = [known[o].latency_ms for o in space.all_operators() if not o.is_free]
    assert table.latency_ms == pytest.approx(sum(parts))
    assert table.limit.name == "all operators of tiny"


@pytest.mark.parametrize(
    ("text", "said"),
    [
        ("schema: 1\nentries: []", "entries"),
        ("schema: 2\nentries: [{network: mobilenet_v2, limit_ms: 1}]", "schema"),
        ("schema: 1\nentries: [{limit_ms: 1}]", "found none"),
        ("schema: 1\nentries: [{network: mobilenet_v2, sum: table, limit_ms: 1}]", "exactly one"),
        ("schema: 1\nentries: [{network: mobilenet_v2, limit_ms: 0}]", "limit_ms"),
        ("schema: 1\nentries: [{network: mobilenet_v2, limit_ms: .inf}]", "limit_ms"),
        ("schema: 1\nentries: [{network: mobilenet_v2, limit_ms: 1, margin: .inf}]", "margin"),
        ("schema: 1\nentries: [{sum: table, limit_ms: 1}]", "--space"),
        ("schema: 1\nentries: [{network: nothing, limit_ms: 1}]", "nothing"),
        (
            "schema: 1\nentries: [{network: mobilenet_v2, limit_ms: 1},"
            " {network: mobilenet_v2, limit_ms: 2}]",
            "twice",
        ),
    ],
)
def test_a_budget_that_says_too_little_or_too_much_is_refused(tmp_path, text, said):
    path = tmp_path / "budget.yaml"
    path.write_text(text)
    with pytest.raises(ConfigError, match=said):
        read_budget(path, Method.BLOCK, None)


def test_an_operator_needs_a_method_that_sums_models(tmp_path):
    path = tmp_path / "budget.yaml"
    path.write_text(BUDGET.split("  - {name: tight")[0])
    with pytest.raises(ConfigError, match="networks"):
        read_budget(path, Method.SAMPLED, None)


def test_the_example_budget_is_read():
    path = Path(__file__).parents[2] / "configs" / "budget" / "mobile.yaml"
    budget = read_budget(path, Method.IN_SITU, None)
    assert [limit.name for limit in budget.limits] == ["classifier", "mobilenet_v2", "stem"]
    assert budget.limits[1].allowed_ms == pytest.approx(1.02 * budget.limits[1].limit_ms)
    assert len(budget.cases) == 4, "two networks, the stem in its host, and a bare host"
