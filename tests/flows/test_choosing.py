"""`measure_for` on a toy device with a clock of its own, and the exam that replays a table."""

from __future__ import annotations

import re
from collections import Counter
from dataclasses import replace

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from elat.core.errors import ConfigError, MissingOperatorError
from elat.devices.device import find_device
from elat.flows import choosing, choosing_work
from elat.flows.choosing import (
    BATCH,
    Known,
    appearances_of,
    measure_for,
    random_networks,
    searched,
    seconds_in,
)
from elat.flows.choosing_exam import (
    CHOSEN,
    KINDS_FIRST,
    ONCE,
    RANDOM,
    curves_of,
    examine_choosing,
)
from elat.flows.measuring import default_cache, known_entries, space_table
from elat.flows.searching import run_search
from elat.latency.choosing import Appearances, is_noisy
from elat.latency.store import open_store
from elat.reports.figures.choosing import draw
from elat.reports.style import WIDE, png_bytes
from elat.search.architecture import Architecture
from elat.search.spaces import find_space


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
    steps, generator = [], measure_for(campaign, space, seconds, now_s=Ticking(step_s))
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
    assert ended.failed == ended.repeated == 0
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
    assert {order for order, _ in points} == {CHOSEN, ONCE, RANDOM, KINDS_FIRST}
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


@pytest.fixture
def noisy(lab, empty, tmp_path):
    """A campaign on a device whose launches scatter by a tenth, and which gives up early."""
    card = (lab.home / "devices" / "toy.yaml").read_text()
    path = tmp_path / "noisy.yaml"
    path.write_text(
        card.replace("id: toy", "id: noisy").replace(
            "0.0, launch_noise: 0.001", "0.0, launch_noise: 0.1"
        )
    )
    protocol = replace(empty.protocol, min_launches=2, max_launches=2, looks=(2,))
    return replace(empty, device=find_device(str(path)), protocol=protocol)


def test_noisy_operators_are_measured_again_and_the_launches_joined(lab, noisy, monkeypatch):
    monkeypatch.setattr(choosing_work, "_MOST_TIMES", 2)
    _, ended = run(noisy, lab.space, 3600.0)
    assert ended.operators == ended.of
    assert 0 < ended.repeated <= ended.of
    counts = noisy.store.launch_counts(noisy.condition.of_models)
    assert ended.launches == sum(counts.values())
    known = known_entries(noisy, lab.space)
    assert {o: e.count for o, e in known.items()} == {o: counts[o] for o in known}
    again = [e for e in known.values() if e.count > 2]
    assert len(again) == ended.repeated
    # It ends by itself: where every mean is sure, or was asked for often enough.
    assert all(not is_noisy(e) or e.count >= 4 for e in known.values())
    assert any(is_noisy(replace(e, count=2)) for e in again)


def test_the_store_is_asked_once_a_batch(lab, empty, monkeypatch):
    asked: Counter[str] = Counter()
    for name in ("completed", "launch_counts"):
        known = getattr(empty.store, name)

        def counting(*given, name=name, known=known):
            asked[name] += 1
            return known(*given)

        monkeypatch.setattr(type(empty.store), name, staticmethod(counting))
    run(empty, lab.space, 3600.0)
    batches = -(-len(lab.table) // BATCH)
    # Once before the first batch and once after each; `measure` itself looks, too.
    assert asked["completed"] == batches + 1 + batches
    assert asked["launch_counts"] == batches + 1 + batches


def test_operators_count_as_often_as_a_search_takes_them(lab):
    operators = tuple(lab.table)
    found = [
        appearances_of(lab.space, operators, given, 0)
        for given in (None, one_hot(lab.space, choice=0))
    ]
    drawn = Appearances.of_networks(random_networks(lab.space, operators, 0))
    assert found[0].mean == pytest.approx(drawn.mean, abs=0.3)
    chosen = lab.space.operators(Architecture(lab.space.name, (0,) * len(lab.space.options)))
    assert found[1].mean.tolist() == [chosen.count(o) for o in operators]
    assert found[1].together == pytest.approx(np.outer(found[1].mean, found[1].mean))


def one_hot(space, choice):
    probabilities = np.zeros((len(space.options), max(space.options)))
    probabilities[:, choice] = 1.0
    return probabilities


def test_what_a_search_takes_is_measured_earlier(lab, empty, monkeypatch):
    """A search that is sure of one option a block, against all networks alike."""
    monkeypatch.setattr(choosing, "BATCH", 8)
    monkeypatch.setattr(choosing_work, "_MOST_TIMES", 1)
    hasty = replace(empty.protocol, min_launches=1, max_launches=1, looks=(1,))
    chosen = set(lab.space.operators(Architecture(lab.space.name, (4,) * len(lab.space.options))))
    ranks = []
    for name, chances in (("searched", one_hot(lab.space, 4)), ("any", None)):
        with open_store(lab.folder / f"{name}.db") as store:
            own = replace(empty, store=store, protocol=hasty)
            steps = measure_for(own, lab.space, 1e9, chances, Ticking(1e-6))
            order = list(dict.fromkeys(step.operator for step in steps if step.launch))
        ranks.append(np.mean([order.index(operator) for operator in chosen]))
    assert ranks[0] < ranks[1] - 2


def test_a_search_of_another_space_is_refused(lab, tmp_path):
    folder = tmp_path / "run"
    list(run_search(lab.order(lab.scaled(1.0), folder)).steps)
    found = searched(folder, lab.space)
    assert found.sum(axis=1) == pytest.approx(np.ones(len(found)))
    with pytest.raises(ConfigError, match="proxyless-tiny is to be measured"):
        searched(folder, find_space("proxyless-tiny"))
