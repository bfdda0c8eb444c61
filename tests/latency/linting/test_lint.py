"""A clean table has no finding, and one planted defect is found by its rule alone."""

from __future__ import annotations

import json
from collections.abc import Callable, Mapping
from dataclasses import replace
from math import ceil, inf, nan
from random import Random

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from elat.latency.imports.base import Fact
from elat.latency.linting import Context, Finding, Severity, View, lint
from elat.latency.linting.series import all_series

from .conftest import clean_view, with_rows

Plant = Callable[[View, Random], View]


def rules(findings: list[Finding]) -> set[str]:
    return {finding.rule for finding in findings}


def _valued(view: View, values: Mapping[int, float]) -> View:
    return with_rows(view, lambda i, row: replace(row, value=values.get(i, row.value)))


def bad_value(view: View, random: Random) -> View:
    place = random.randrange(len(view.rows))
    return _valued(view, {place: random.choice([nan, inf, -inf, 0.0, -view.rows[place].value])})


def slipped_unit(view: View, random: Random) -> View:
    factor = random.choice([1e3, 1e-3, 1e6, 1e-6])
    places = random.sample(range(len(view.rows)), random.randint(1, len(view.rows) // 4))
    return _valued(view, {place: view.rows[place].value * factor for place in places})


def copied_row(view: View, random: Random) -> View:
    while True:
        source, target = random.sample(range(len(view.rows)), 2)
        a, b = view.rows[source], view.rows[target]
        together = any(a in s.rows and b in s.rows for s in all_series(view.rows))
        if not together and a.macs != b.macs and a.traffic != b.traffic:
            return _valued(view, {target: a.value})


def flat_series(view: View, random: Random) -> View:
    kernels = [s for s in all_series(view.rows) if s.axis == "kernel" and len(s.rows) == 3]
    series = random.choice(kernels)
    places = [view.rows.index(row) for row in series.rows]
    return _valued(view, dict.fromkeys(places, series.rows[0].value))


def falling_series(view: View, random: Random) -> View:
    series = random.choice([s for s in all_series(view.rows) if s.axis in ("kernel", "expand")])
    low = view.rows.index(series.rows[-1])
    return _valued(view, {low: 0.85 * series.rows[0].value})


def too_fast(view: View, random: Random) -> View:
    rates = [(row.macs or 0.0) / row.value for row in view.rows]
    place = random.choice([i for i, rate in enumerate(rates) if rate > max(rates) / 4])
    return _valued(view, {place: (view.rows[place].macs or 0.0) / (10 * max(rates))})


def no_spread(view: View, random: Random) -> View:
    place = random.randrange(len(view.rows))
    row = view.rows[place]
    bare = random.choice(
        [
            replace(row, std=None),
            replace(row, std=0.0),
            replace(row, count=1),
            replace(row, count=None),
        ]
    )
    return with_rows(view, lambda i, row: bare if i == place else row)


def few_launches(view: View, random: Random) -> View:
    place = random.randrange(len(view.rows))
    return with_rows(view, lambda i, row: replace(row, count=2) if i == place else row)


def mixed_conditions(view: View, random: Random) -> View:
    kinds: list[tuple[str, Fact, Fact]] = [
        ("device", "a-phone", "a-board"),
        ("threads", 1, 4),
        ("batch", 1, 8),
        ("unit", "ms", "us"),
    ]
    name, most, other = random.choice(kinds)
    place = random.randrange(len(view.rows))
    return with_rows(
        view, lambda i, row: replace(row, facts={name: other if i == place else most})
    )


def coarse_step(view: View, random: Random) -> View:
    return with_rows(view, lambda _, row: replace(row, value=ceil(10 * row.value) / 10))


PLANTS: Mapping[Plant, str] = {
    bad_value: "value",
    slipped_unit: "units",
    copied_row: "copies",
    flat_series: "flat",
    falling_series: "monotone",
    too_fast: "roofline",
    no_spread: "spread",
    few_launches: "spread",
    mixed_conditions: "conditions",
    coarse_step: "quantised",
}


@given(st.integers(0, 10**6), st.floats(1e-4, 0.03), st.sampled_from(["tiny", "mobile"]))
@settings(max_examples=20, deadline=None)
def test_a_clean_table_has_no_finding(seed: int, spread: float, space: str) -> None:
    assert lint([clean_view(f"proxyless-{space}", seed, spread)]) == []


@pytest.mark.parametrize(
    ("plant", "rule"), [pytest.param(p, rule, id=p.__name__) for p, rule in PLANTS.items()]
)
@given(seed=st.integers(0, 10**6))
@settings(max_examples=12, deadline=None)
def test_one_defect_is_found_by_one_rule(plant: Plant, rule: str, seed: int) -> None:
    planted = plant(clean_view(seed=seed), Random(seed))
    findings = lint([planted])
    assert rules(findings) == {rule}, [finding.found for finding in findings]
    assert all(finding.names and finding.repair for finding in findings)


def test_a_missing_operator_is_named(clean: View) -> None:
    gone, *kept = clean.rows
    needed = Context(required=tuple(row.operators[0] for row in clean.rows), required_by="tiny")
    (finding,) = lint([replace(clean, rows=tuple(kept))], needed)
    assert (finding.rule, finding.names) == ("coverage", (gone.name,))
    assert f"1 of {len(clean.rows)} operators of tiny" in finding.found
    assert lint([clean], needed) == []


def test_errors_come_first(clean: View) -> None:
    planted = no_spread(bad_value(clean, Random(0)), Random(1))
    found = [finding.severity for finding in lint([planted])]
    assert found == [Severity.ERROR, Severity.WARNING]


def test_a_table_without_rows_of_its_kind_gives_no_finding(clean: View) -> None:
    assert lint([replace(clean, rows=clean.rows[:1])]) == []


def test_a_finding_is_json(clean: View) -> None:
    (finding,) = lint([bad_value(clean, Random(3))])
    data = json.loads(json.dumps(finding.to_json()))
    assert (data["rule"], data["severity"], data["row_count"]) == ("value", "error", 1)
    assert data["rows"] == list(finding.names)
