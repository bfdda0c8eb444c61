"""The figure of topologies: its rows are counts of built networks, its lines the closed forms."""

from itertools import pairwise

import pytest

from elat.core.errors import ConfigError
from elat.reports.figures.topology import collect, draw
from elat.reports.style import NARROW, WIDE
from elat.search.aggregation import closed_forms


@pytest.fixture(scope="module")
def growth():
    return collect(32, width=4, resolution=8)


def test_every_family_is_counted_at_powers_of_two(growth):
    assert [line.label for line in growth.lines] == [
        "plain", "residual", "dense (concat)", "sparse (sum)", "sparse (concat)",
    ]  # fmt: skip
    for line in growth.lines:
        assert [count.depth for count in line.counts] == [4, 8, 16, 32]


def test_counts_lie_on_the_closed_forms(growth):
    for line in growth.lines:
        expected = {each.depth: each for each in line.expected}
        assert min(expected) == 4 and max(expected) == 32
        for count in line.counts:
            assert count[:4] == expected[count.depth]


def test_counts_grow_as_the_lecture_says(growth):
    """Its table of parameters, gradient path and aggregated features, at 32 layers."""
    last = {line.label: line.counts[-1] for line in growth.lines}
    plain, sparse = last["plain"], last["sparse (concat)"]
    assert (plain.path, plain.aggregated) == (32, 1)
    assert (last["dense (concat)"].path, last["dense (concat)"].aggregated) == (1, 32)
    assert (sparse.path, sparse.aggregated) == (5, 6)
    assert plain.parameters == last["residual"].parameters == last["sparse (sum)"].parameters
    each = 9 * 4**2 + 2 * 4
    assert sparse.parameters - 108 == each * closed_forms.exponential_links(32, 2)
    assert last["dense (concat)"].parameters - 108 == each * 528
    assert plain.traffic_mb < sparse.traffic_mb < last["dense (concat)"].traffic_mb


@pytest.mark.parametrize("style", [WIDE, NARROW])
def test_names_stand_apart_and_below_the_title(growth, style):
    with style.applied():
        figure = draw(growth, style)
        figure.draw_without_rendering()
    assert len(figure.axes) == 4
    for axes in figure.axes:
        places = sorted(text.get_position()[1] for text in axes.texts)
        assert len(places) == 5
        assert all(b - a > 0.07 for a, b in pairwise(places))
        assert places[-1] < 1


def test_a_depth_is_no_growth():
    with pytest.raises(ConfigError, match="8 layers at least, found 7"):
        collect(7)
