"""Two sides in turns: fixed numbers of launches, and what fails on one is dropped on both."""

from __future__ import annotations

import sys
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import replace
from pathlib import Path

import pytest

from elat.devices.device import Device, DeviceKind
from elat.latency.artefacts import ArtefactCache
from elat.latency.condition import Condition
from elat.latency.interleaved import Contender, measure_in_turns
from elat.latency.launcher import default_command
from elat.latency.measure import Stage
from elat.latency.operators.conv import Conv
from elat.latency.operators.zero import Zero
from elat.latency.protocol import SCREEN
from elat.latency.request import UNSUPPORTED
from elat.latency.store import open_store

CONDITION = Condition.of(Device("pretend", DeviceKind.SIMULATED, "", {"name": "simulated"}))
CASES = tuple(Conv(3, 4 + 4 * i, resolution=8, kernel=3) for i in range(3))
ONCE = replace(
    SCREEN, name="once", min_launches=1, max_launches=1, looks=(1,), passes=2, max_passes=2,
    group_min_ms=0.0, warmup_min_ms=1.0,
)  # fmt: skip


@pytest.fixture(scope="module")
def cache(tmp_path_factory) -> ArtefactCache:
    return ArtefactCache(tmp_path_factory.mktemp("artefacts"))


@contextmanager
def contenders(
    folder: Path, second: tuple[str, ...] = ()
) -> Iterator[tuple[Contender, Contender]]:
    ours = tuple(default_command())
    with open_store(folder / "a.db") as a, open_store(folder / "b.db") as b:
        yield Contender(CONDITION, a, None, ours), Contender(CONDITION, b, None, second or ours)


def test_every_case_gets_its_launches_on_both_sides(cache, tmp_path):
    with contenders(tmp_path) as sides:
        operators = (*CASES, CASES[0], Zero(3, 8))
        steps = list(measure_in_turns(operators, sides, ONCE, cache, seed=0))
        for side in sides:
            assert side.store.launch_counts(CONDITION) == dict.fromkeys(CASES, 1)
        again = list(measure_in_turns(operators, sides, ONCE, cache, seed=0))
    timed = [step for step in steps if step.stage is Stage.MEASURE]
    assert [step.done for step in timed] == [1, 2, 3, 4, 5, 6]
    assert {step.total for step in timed} == {6}
    assert {step.stage for step in again} == {Stage.BUILD}


def test_what_one_side_gave_up_is_measured_on_none(cache, tmp_path):
    with contenders(tmp_path) as sides:
        sides[1].store.record_failure(CASES[1], CONDITION, UNSUPPORTED, "no such kernel")
        list(measure_in_turns(CASES, sides, ONCE, cache, seed=0))
        for side in sides:
            assert set(side.store.launch_counts(CONDITION)) == {CASES[0], CASES[2]}


def test_a_case_that_crashes_on_one_side_is_stored_there_and_dropped(cache, tmp_path):
    """The second side's worker ends as soon as it is asked for a case of twelve channels."""
    code = (
        "import os, sys; from elat.latency.runtimes.simulated import Simulated as S\n"
        "opened = S.open\n"
        "def open(self, artefact, inputs, condition):\n"
        "    if artefact.parent.name == sys.argv[1]: os._exit(9)\n"
        "    return opened(self, artefact, inputs, condition)\n"
        "S.open = open\n"
        "from elat.latency.worker import main; main()\n"
    )
    doomed = cache.artefact(CASES[2], CONDITION).folder.name
    command = (sys.executable, "-P", "-c", code, doomed)
    with contenders(tmp_path, command) as sides:
        list(
            measure_in_turns(
                CASES, sides, replace(ONCE, max_launches=2, looks=(2,)), cache, seed=0
            )
        )
        first, second = (side.store.launch_counts(CONDITION) for side in sides)
        failures = sides[1].store.failures(CONDITION)
    assert second == dict.fromkeys(CASES[:2], 2)
    assert {o: n for o, n in first.items() if o != CASES[2]} == dict.fromkeys(CASES[:2], 2)
    assert first.get(CASES[2], 0) <= 1, "after the failure it is timed no more"
    assert [f.error_class for f in failures[CASES[2]]] == ["CRASH"]
