"""Which links were chosen, and how close they are to the exponential rule."""

from __future__ import annotations

import json
from itertools import product
from pathlib import Path
from statistics import fmean

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from matplotlib.figure import Figure

from elat.reports.figures import figures
from elat.reports.inputs import ReportInputs, read_inputs
from elat.reports.link_maps import shares, stage_maps
from elat.reports.rule_overlap import rule_overlap
from elat.reports.style import NARROW, WIDE
from elat.search.architecture import Architecture
from elat.search.spaces.wirings import dense, exponential, powers

from .wirings import link_space, made_up_study, write_search


def wired(*choices: int) -> Architecture:
    return Architecture("links-g4", choices)


def test_links_have_their_place_by_layer_and_offset() -> None:
    space = link_space(layers=3)
    first, second = stage_maps(space, 2)
    assert (first.title, second.title, first.size) == ("stage 1", "stage 2", 4)
    assert {(c.number, c.offset) for c in first.cells} == {
        (1, 1), (2, 1), (2, 2), (3, 1), (3, 2), (3, 3), (4, 1), (4, 2), (4, 3), (4, 4),
    }  # fmt: skip
    assert {c.offset for c in first.cells if c.choice is None} == {1}, "always read"
    assert {c.offset for c in first.cells if c.is_on_rule} == {1, 2, 4}
    choices = [c.choice for stage in (first, second) for c in stage.cells if c.choice is not None]
    assert sorted(choices) == list(range(len(space.options)))
    # A link that is opened is found again where it is drawn.
    cell = next(c for c in second.cells if (c.number, c.offset) == (4, 3))
    opened = Architecture(
        space.name, tuple(int(n == cell.choice) for n in range(len(space.options)))
    )
    assert space.sources(opened)[1][3] == (4 - 3, 3)


@pytest.mark.parametrize("layers", [1, 3, 10, 12, 40])
def test_few_aggregations_are_named_and_the_output_always(layers: int) -> None:
    ticks = stage_maps(link_space(layers=layers + 1), 2)[0].ticks
    assert ticks[layers + 2] == "out"
    assert ticks[1] == "1"
    assert len(ticks) <= 15


def test_shares_count_networks() -> None:
    assert shares([wired(0, 1, 1), wired(0, 0, 1)]) == (0.0, 0.5, 1.0)


def test_the_rule_itself_overlaps_fully_and_all_links_as_expected() -> None:
    space = link_space()
    rule, everything = exponential(space, 2), dense(space)
    own = rule_overlap(space, [rule], 2)
    assert own is not None
    assert (own.on_rule, own.jaccard) == (1.0, 1.0)
    assert own.expected_on_rule < 1
    assert own.chance < 0.01
    whole = rule_overlap(space, [everything], 2)
    assert whole is not None
    # Whoever opens all links hits all of the rule, by chance too.
    assert whole.on_rule == pytest.approx(whole.expected_on_rule, rel=1e-12)
    assert whole.jaccard == pytest.approx(whole.expected_jaccard, rel=1e-12)
    assert whole.chance == pytest.approx(1.0, rel=1e-12)


def test_who_chose_nothing_has_no_overlap() -> None:
    space = link_space()
    nothing = Architecture(space.name, (0,) * len(space.options))
    assert rule_overlap(space, [nothing], 2) is None
    both = rule_overlap(space, [nothing, dense(space)], 2)
    assert both is not None
    assert both.networks == 1
    assert rule_overlap(space, [], 2) is None


@settings(max_examples=15, deadline=None)
@given(st.data())
def test_expectations_equal_those_by_enumeration(data: st.DataObject) -> None:
    space = link_space(layers=3)
    base = data.draw(st.sampled_from([2, 3]))
    choice = st.lists(st.integers(0, 1), min_size=12, max_size=12).map(tuple)
    assert len(space.options) == 12
    chosen = [wired(*found) for found in data.draw(st.lists(choice, min_size=1, max_size=2))]
    chosen = [each for each in chosen if any(each.choices)]
    found = rule_overlap(space, chosen, base)
    if not chosen:
        assert found is None
        return
    assert found is not None
    rule = [
        source in powers(node.number, base) for node in space.nodes for source in node.free
    ]  # fmt: skip
    expected = []
    for each in chosen:
        degrees = space.row_choices(each.choices)
        alike = [c for c in product((0, 1), repeat=12) if space.row_choices(c) == degrees]
        hits = [sum(a and b for a, b in zip(c, rule, strict=True)) for c in alike]
        opened = sum(each.choices)
        expected.append(
            (
                fmean(h / opened for h in hits),
                fmean(h / (opened + sum(rule) - h) for h in hits),
                hits,
                sum(a and b for a, b in zip(each.choices, rule, strict=True)),
            )
        )
    assert found.expected_on_rule == pytest.approx(fmean(e[0] for e in expected), rel=1e-10)
    assert found.expected_jaccard == pytest.approx(fmean(e[1] for e in expected), rel=1e-10)
    total = sum(e[3] for e in expected)
    sums = [sum(one) for one in product(*(e[2] for e in expected))]
    assert found.chance == pytest.approx(fmean(s >= total for s in sums), rel=1e-10)


def test_the_learned_networks_of_a_study_are_one_map() -> None:
    figure = figures["wiring_offsets"]()
    rows = figure.collect(ReportInputs((), (), (), wirings=(made_up_study(),)))
    (row,) = rows
    assert (row.label, row.networks, row.base) == ("learned, made up on one", 6, 2)
    assert len(row.stages) == 2
    assert all(round(share * 6, 9) in range(7) for share in row.shares)
    assert row.overlap is not None
    assert row.overlap.networks == 6
    text = figure.describe(rows)
    assert "Learned, made up on one (6 networks), base 2: " in text
    assert "are expected of random links of the same in-degrees" in text
    for style in (WIDE, NARROW):
        drawn = figure.finished(rows, style, is_framed=True)
        assert isinstance(drawn, Figure)
        assert [axes.get_title(loc="left") for axes in drawn.axes] == ["stage 1", "stage 2"]


def test_a_searched_run_shows_its_own_links(tmp_path: Path) -> None:
    space = link_space()
    for name, architecture in (("a", exponential(space, 2)), ("b", dense(space))):
        write_search(tmp_path / name, space, architecture)
    figure = figures["wiring_offsets"]()
    (one,) = figure.collect(read_inputs([tmp_path / "a"]))
    assert (one.label, one.networks) == ("for one", 1)
    assert one.shares == tuple(map(float, exponential(space, 2).choices))
    assert one.sources[0].is_simulated
    (both,) = figure.collect(read_inputs([tmp_path]))
    assert both.networks == 2
    assert set(both.shares) == {0.5, 1.0}
    assert "always read" in legend_of(figure.draw((one,), NARROW))
    assert json.loads((tmp_path / "a" / "result.json").read_text())["space"]["name"] == space.name


def test_links_that_may_all_be_closed_are_never_marked_as_read() -> None:
    space = link_space(previous="free")
    rows = figures["wiring_offsets"]().collect(ReportInputs((), (), ()))
    assert rows == ()
    kept = [c.offset for c in stage_maps(space, 2)[0].cells if c.choice is None]
    assert kept == [1], "the first layer reads the stage's input, and nothing else is always there"


def legend_of(figure: Figure) -> list[str]:
    return [text.get_text() for text in figure.legends[0].get_texts()]
