"""`measure_for` on a toy device with a clock of its own, and the exam that replays a table."""

from __future__ import annotations

import re
from dataclasses import replace

import pytest
from hypothesis import given
from hypothesis import strategies as st

from elat.core.errors import ConfigError, MissingOperatorError
from elat.flows.choosing import Known, measure_for, seconds_in
from elat.flows.choosing_exam import CHOSEN, KINDS_FIRST, RANDOM, curves_of, examine_choosing
from elat.flows.measuring import default_cache, known_entries, space_table
from elat.latency.store import open_store
from elat.reports.figures.choosing import draw
from elat.reports.style import WIDE, png_bytes


@pytest.mark.parametrize(("text", "seconds"), [("90s", 90), ("20m", 1200), ("1.5h", 5400)])
def test_times_are_read(text, seconds):
    assert seconds_in(text) == seconds


@given(st.text(max_size=8))
def test_what_is_no_time_is_refused_with_what_is_one(text):
    if re.fullmatch(r"\s*\d+(\.\d+)?[smh]\s*", text) and float(text.strip()[:-1]) > 0:
        return
    with pytest.raises(ConfigError, match="20m"):
        seconds_in(text)


class Ticking:
    """A clock that moves on by so much with every look at it."""

    def __init__(self, step_s: float) -> None:
        self.now, self.step_s = 0.0, step_s

    def __call__(self) -> float:
        self.now += self.step_s
        return self.now


def run(campaign, space, seconds, step_s=1e-6):
    """All steps, and where it ended."""
    steps, generator = [], measure_for(campaign, space, seconds, Ticking(step_s))
    while True:
        try:
            steps.append(next(generator))
        except StopIteration as end:
            return steps, end.value


@pytest.fixture
def empty(lab, campaign, tmp_path):
    """A campaign with a store of its own, in which nothing is measured."""
    with open_store(tmp_path / "own.db") as store:
        yield replace(campaign, store=store, cache=default_cache())


def test_with_time_enough_everything_is_measured_as_without_a_limit(lab, empty):
    steps, ended = run(empty, lab.space, 3600.0)
    assert isinstance(ended, Known)
    assert ended.operators == ended.of == len(lab.table)
    assert ended.failed == 0
    assert ended.launches == sum(step.launch is not None for step in steps)
    assert set(space_table(empty.store, lab.device, lab.space)) == set(lab.table)
    again, ended = run(empty, lab.space, 3600.0)
    assert (again, ended.launches) == ([], 0)


def test_it_stops_when_the_time_is_over_and_goes_on_where_it_was(lab, empty):
    # Each look at the clock takes half a second of its time.
    steps, first = run(empty, lab.space, 20.0, step_s=0.5)
    assert 0 < first.operators < first.of
    assert first.elapsed_s <= 20.0 + 2.0
    assert len(known_entries(empty, lab.space)) == first.operators
    operators = {step.operator for step in steps if step.launch is not None}
    _, second = run(empty, lab.space, 1e9, step_s=0.5)
    assert second.operators == second.of
    assert second.network_error < first.network_error
    assert operators


def test_a_time_too_short_for_one_case_measures_nothing(lab, empty):
    steps, ended = run(empty, lab.space, 1e-3)
    assert (steps, ended.operators, ended.launches) == ([], 0, 0)
    assert ended.network_error > 0.3


def test_what_is_chosen_tells_more_than_what_is_drawn(lab, campaign):
    exam = examine_choosing(campaign.store, lab.device, lab.space, model="ridge", seeds=4)
    assert exam.operators == len(lab.table)
    assert exam.origin == "simulated"
    points = {(p.order, p.share): p for p in exam.points}
    assert {order for order, _ in points} == {CHOSEN, RANDOM, KINDS_FIRST}
    for (_, share), point in points.items():
        assert point.minutes <= share * exam.full_minutes + 1e-12
    # As soon as it can answer at all, and as often.
    assert points[CHOSEN, 0.5].answered >= points[RANDOM, 0.5].answered
    assert points[RANDOM, 0.3].answered < points[CHOSEN, 0.3].answered == 1.0
    shares = (0.3, 0.4, 0.5)
    errors = [
        [points[order, share].network_error or 0.0 for share in shares]
        for order in (CHOSEN, KINDS_FIRST)
    ]
    assert 0 < sum(errors[0]) < 0.8 * sum(errors[1])
    image = png_bytes(draw(curves_of(exam), WIDE))
    assert image.startswith(b"\x89PNG")


def test_a_space_that_is_not_measured_whole_cannot_be_replayed(lab, empty):
    with pytest.raises(MissingOperatorError, match="elat measure --device toy"):
        examine_choosing(empty.store, lab.device, lab.space, model="ridge", seeds=1)
