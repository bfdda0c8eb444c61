from __future__ import annotations

import itertools
from dataclasses import dataclass

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from elat.core.errors import ConfigError, InfeasibleError
from elat.latency.operators.conv import Conv
from elat.search.bound import Bound
from elat.search.expected_latency import ExpectedLatency
from elat.search.projection import project, project_fastest
from elat.search.spaces import BlockSpace, ChoiceBlock
from elat.search.spaces.blocks import chain_of

from .aggregations import aggregations, networks


@dataclass(frozen=True)
class Bare(BlockSpace):
    """Any number of candidates in any number of blocks; what they are does not matter."""

    counts: tuple[int, ...]

    @classmethod
    def from_settings(cls, name, settings, source):
        return cls(tuple(settings["counts"]))

    def describe(self):
        return {"counts": list(self.counts)}

    @property
    def name(self):
        return "bare"

    @property
    def blocks(self):
        return tuple(
            ChoiceBlock(tuple(Conv(1, 1, 4, 2 * index + 1) for index in range(count)))
            for count in self.counts
        )

    @property
    def program(self):
        return chain_of([Conv(1, 1, 4, 1)], len(self.counts), [])

    def label(self, operator):
        return f"k{operator.kernel}"


def instance(counts, values, fixed, name="device"):
    """A cost over `Bare(counts)` whose candidates take the `values` in order."""
    stream = iter(values)
    rows = [[next(stream) for _ in range(count)] for count in counts]
    return ExpectedLatency(Bare(tuple(counts)), name, fixed, rows)


def brute(scores, costs, bounds):
    """Score of every architecture within the bounds, the best first."""
    counts = costs[0].space.counts
    return sorted(
        (
            sum(scores[b, c] for b, c in enumerate(choices))
            for choices in itertools.product(*map(range, counts))
            if all(k.of_choices(choices) <= b.limit for k, b in zip(costs, bounds, strict=True))
        ),
        reverse=True,
    )


nice = st.floats(0, 10, allow_subnormal=False) | st.integers(0, 5).map(float)


@st.composite
def problems(draw):
    counts = draw(st.lists(st.integers(1, 4), min_size=1, max_size=4))
    size = sum(counts)
    values = st.lists(nice, min_size=size, max_size=size)
    costs = [
        instance(counts, draw(values), draw(nice), f"d{i}") for i in range(draw(st.integers(1, 2)))
    ]
    bounds = []
    for cost in costs:
        low, high = cost.of(cost.fastest()), cost.of(cost.slowest())
        limit = low + draw(st.sampled_from([0.0, 0.2, 0.5, 1.0])) * (high - low)
        bounds.append(Bound(cost.name, max(limit, 1e-6)))
    scores = np.zeros((len(counts), max(counts)))
    for row, count in zip(scores, counts, strict=True):
        row[:count] = draw(
            st.lists(st.floats(-5, 5) | st.just(0.0), min_size=count, max_size=count)
        )
    return scores, costs, bounds


@settings(deadline=None, max_examples=150)
@given(problems(), st.integers(1, 5))
def test_projection_is_the_best_of_the_enumeration(problem, count):
    scores, costs, bounds = problem
    truth = brute(scores, costs, bounds)
    if not truth:
        with pytest.raises(InfeasibleError):
            project(scores, costs, bounds, count)
        return
    found = project(scores, costs, bounds, count)
    assert len(found) == min(count, len(truth))
    assert len({p.architecture for p in found}) == len(found)
    # HiGHS stops within 1e-9 of the span of the scores.
    assert [p.score for p in found] == pytest.approx(truth[: len(found)], abs=2e-8)
    for projected in found:
        assert all(
            k.of(projected.architecture) <= b.limit for k, b in zip(costs, bounds, strict=True)
        )


def test_the_bound_holds_to_the_last_bit_in_random_spaces():
    generator = np.random.default_rng(0)
    for _ in range(100):
        counts = generator.integers(2, 8, size=generator.integers(2, 22)).tolist()
        cost = instance(counts, generator.random(sum(counts)).tolist(), 0.5)
        scores = generator.normal(size=(len(counts), max(counts)))
        low, high = cost.of(cost.fastest()), cost.of(cost.slowest())
        bound = Bound("device", low + generator.random() * (high - low))
        (found,) = project(scores, [cost], [bound])
        assert cost.of(found.architecture) <= bound.limit


def test_a_bound_met_exactly_is_met():
    cost = instance([2, 2], [0.1, 0.2, 0.2, 0.4], 0.0)
    scores = np.array([[0.0, 1.0], [0.0, 1.0]])
    limit = cost.of_choices((1, 1))
    assert project(scores, [cost], [Bound("device", limit)])[0].architecture.choices == (1, 1)
    below = np.nextafter(limit, 0.0)
    assert project(scores, [cost], [Bound("device", below)])[0].architecture.choices != (1, 1)


def test_solutions_inside_the_tolerance_of_the_solver_are_refused():
    """Forty choices that exceed the bound by less than the solver can see."""
    cost = instance([2] * 6, [1.0, 1.0 + 1e-10] * 6, 0.0)
    found = project(np.tile([0.0, 1.0], (6, 1)), [cost], [Bound("device", 6.0)])
    assert found[0].architecture.choices == (0,) * 6


def test_bounds_that_cannot_be_met_together_are_refused():
    costs = [instance([2], [1.0, 2.0], 0.0, "a"), instance([2], [2.0, 1.0], 0.0, "b")]
    with pytest.raises(InfeasibleError, match="at once"):
        project(np.zeros((1, 2)), costs, [Bound("a", 1.5), Bound("b", 1.5)])


def test_scores_must_be_numbers():
    cost = instance([2], [1.0, 2.0], 0.0)
    with pytest.raises(ConfigError):
        project(np.array([[0.0, np.nan]]), [cost], [Bound("device", 3.0)])
    with pytest.raises(ConfigError):
        project(np.zeros((1, 2)), [], [])


@settings(deadline=None, max_examples=100)
@given(problems(), st.integers(1, 4), st.floats(0.01, 5))
def test_the_fastest_that_score_enough_are_those_of_the_enumeration(problem, count, tolerance):
    scores, costs, bounds = problem
    truth = brute(scores, costs, bounds)
    if not truth:
        with pytest.raises(InfeasibleError):
            project_fastest(scores, costs, bounds, 0.0, count)
        return
    floor = truth[0] - tolerance
    found = project_fastest(scores, costs, bounds, floor, count)
    allowed = sorted(
        costs[0].of_choices(choices)
        for choices in itertools.product(*map(range, costs[0].space.counts))
        if sum(scores[b, c] for b, c in enumerate(choices)) >= floor
        and all(k.of_choices(choices) <= b.limit for k, b in zip(costs, bounds, strict=True))
    )
    assert len({p.architecture for p in found}) == len(found)
    reached = [costs[0].of(p.architecture) for p in found]
    # A score within the solver's tolerance of the floor may come in on top.
    assert reached[0] <= allowed[0] + 1e-6 * (1 + abs(allowed[0]))
    assert all(p.score >= floor - 1e-4 for p in found)
    assert reached == sorted(reached) or max(np.diff(np.sort(reached) - reached)) < 1e-6


def test_nothing_is_printed(capfd):
    counts = [7] * 6
    cost = instance(counts, [float(v % 5) for v in range(42)], 1.0)
    project(np.arange(42.0).reshape(6, 7) % 3, [cost], [Bound("device", 9.0)], count=4)
    assert capfd.readouterr().out == ""


LINKS = {
    "concat": aggregations(3, 2),
    "sum": aggregations(4, how="sum"),
    "exponential": aggregations(5, candidates="exponential", extra=1),
    # The best links of given in-degrees often leave an output of these unread.
    "free": aggregations(3, previous="free"),
    "free sum": aggregations(4, how="sum", previous="free"),
    "free stages": aggregations(2, 1, previous="free"),
}
FREE = [name for name in LINKS if name.startswith("free")]


def of_degrees(space, rng, name):
    """Costs of in-degrees that are neither linear in them nor always rising."""
    steps = [np.cumsum(rng.exponential(1.0, len(row)) - 0.2) for row in space.rows]
    rows = [(2.0 + row).tolist() for row in steps]
    return ExpectedLatency(space, name, 0.3, rows)


def bounded(costs, rng):
    """A bound on each between its least and its greatest cost; the spread is drawn."""
    bounds = []
    for cost in costs:
        low, high = cost.of(cost.fastest()), cost.of(cost.slowest())
        bounds.append(Bound(cost.name, low + rng.choice([0.0, 0.2, 0.5, 1.0]) * (high - low)))
    return bounds


def within(costs, bounds, choices):
    return all(b.allows(c.of_choices(choices)) for c, b in zip(costs, bounds, strict=True))


def score_of(scores, choices):
    return sum(scores[link, choice] for link, choice in enumerate(choices))


@settings(deadline=None, max_examples=60)
@given(st.sampled_from(sorted(LINKS)), st.integers(0, 10**6), st.integers(1, 3), st.integers(1, 3))
def test_projected_links_are_the_best_of_the_enumeration(name, seed, limits, count):
    """Of several each has the best links for other in-degrees than the others have."""
    space, rng = LINKS[name], np.random.default_rng(seed)
    costs = [
        of_degrees(space, rng, "phone"),
        ExpectedLatency.from_params(space),
        ExpectedLatency.from_links(space),
    ][:limits]
    bounds = bounded(costs, rng)
    scores = rng.normal(size=(len(space.options), 2))
    best: dict[tuple[int, ...], float] = {}
    for choices in networks(space):
        if within(costs, bounds, choices):
            rows = space.row_choices(choices)
            best[rows] = max(best.get(rows, -np.inf), score_of(scores, choices))
    if not best:
        with pytest.raises(InfeasibleError, match="at once"):
            project(scores, costs, bounds, count)
        return
    found = project(scores, costs, bounds, count)
    reached = [p.score for p in found]
    assert reached == sorted(reached, reverse=True)
    truth = sorted(best.values(), reverse=True)[:count]
    # HiGHS stops within 1e-9 of the span of the scores.
    assert [p.score for p in found] == pytest.approx(truth, abs=2e-8)
    assert len({space.row_choices(p.architecture.choices) for p in found}) == len(found)
    for projected in found:
        space.check(projected.architecture)
        assert projected.score == score_of(scores, projected.architecture.choices)
        assert within(costs, bounds, projected.architecture.choices)


def test_a_bound_below_all_networks_of_links_names_the_fastest():
    cost = of_degrees(LINKS["concat"], np.random.default_rng(0), "phone")
    least = cost.of(cost.fastest())
    scores = np.zeros((len(cost.space.options), 2))
    with pytest.raises(InfeasibleError, match=f"the fastest takes {least:g} ms on phone"):
        project(scores, [cost], [Bound("phone", 0.99 * least)])


@settings(deadline=None, max_examples=50)
@given(
    st.sampled_from(sorted(LINKS)),
    st.integers(0, 10**6),
    st.floats(0.01, 3),
    st.integers(1, 2),
    st.integers(1, 3),
)
def test_the_fastest_links_that_score_enough_are_those_of_the_enumeration(
    name, seed, tolerance, limits, count
):
    """Each for other in-degrees than the others, and with the best links for them."""
    space, rng = LINKS[name], np.random.default_rng(seed)
    costs = [of_degrees(space, rng, "phone"), ExpectedLatency.from_links(space)][:limits]
    bounds = bounded(costs, rng)
    scores = rng.normal(size=(len(space.options), 2))
    totals = {c: score_of(scores, c) for c in networks(space) if within(costs, bounds, c)}
    if not totals:
        with pytest.raises(InfeasibleError, match="at once"):
            project_fastest(scores, costs, bounds, 0.0, count)
        return
    floor = max(totals.values()) - tolerance
    best: dict[tuple[int, ...], float] = {}
    for choices, total in totals.items():
        if total >= floor:
            rows = space.row_choices(choices)
            best[rows] = max(best.get(rows, -np.inf), total)
    least = sorted(sum_of_rows(costs[0], rows) for rows in best)
    found = project_fastest(scores, costs, bounds, floor, count)
    reached = [costs[0].of(p.architecture) for p in found]
    # A score within the solver's tolerance of the floor may come in on top where links are kept.
    for cost, truth in zip(reached, least, strict=False):
        assert cost <= truth + 1e-6 * (1 + abs(truth))
    assert all(p.score >= floor - (1e-12 if name in FREE else 1e-4) for p in found)
    assert all(within(costs, bounds, p.architecture.choices) for p in found)
    if name in FREE:
        assert reached == pytest.approx(least[:count], rel=1e-6, abs=1e-6)
        degrees = [space.row_choices(p.architecture.choices) for p in found]
        assert [p.score for p in found] == pytest.approx([best[d] for d in degrees], abs=2e-8)


def sum_of_rows(cost, rows):
    return cost.of_choices(cost.space.from_rows(rows))


@settings(deadline=None, max_examples=30)
@given(st.sampled_from(FREE), st.integers(0, 10**6))
def test_a_floor_that_only_the_best_wiring_reaches_is_reached(name, seed):
    """Whole numbers, so that many wirings score the same."""
    space, rng = LINKS[name], np.random.default_rng(seed)
    cost = of_degrees(space, rng, "phone")
    bounds = bounded([cost], rng)
    scores = rng.integers(-2, 3, size=(len(space.options), 2)) / 10
    (best,) = project(scores, [cost], bounds)
    totals = [score_of(scores, c) for c in networks(space) if within([cost], bounds, c)]
    assert best.score == pytest.approx(max(totals), abs=1e-12)
    (found,) = project_fastest(scores, [cost], bounds, best.score)
    assert found.score == pytest.approx(best.score, abs=1e-12)


def test_links_that_the_wiring_needs_are_opened_though_they_score_least():
    """Every layer would rather read the input; each output has to be read all the same."""
    space = LINKS["free"]
    cost = ExpectedLatency.from_links(space)
    wanted = [
        1.0 if node.free[k] == 0 else -1.0 for node in space.nodes for k in range(len(node.free))
    ]
    scores = np.stack([np.zeros(len(wanted)), wanted], axis=1)
    most = max(score_of(scores, choices) for choices in networks(space))
    (found,) = project(scores, [cost], [Bound("links", 100.0)])
    assert found.score == most
