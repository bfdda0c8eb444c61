"""`elat measure` and `elat search` killed at random moments lose nothing and repeat nothing."""

from __future__ import annotations

import os
import random
import signal
import subprocess
import sys
import time
from collections import Counter
from pathlib import Path

import pytest

from elat.devices.device import find_device
from elat.latency.condition import Condition
from elat.latency.methods import METHODS, Subjects
from elat.latency.operators import Operator
from elat.latency.protocol import SCREEN
from elat.latency.store import open_store
from elat.search.spaces import find_space

KILLS = 20
EARLY = 0.25
SPACE = """
family: mbconv-chain
resolution: 16
in_channels: 1
classes: 10
stem: {width: 8, stride: 2}
first: 8
stages:
  - {width: 8, blocks: 1, stride: 1}
  - {width: 16, blocks: 1, stride: 2}
kernels: [3, 5]
expansions: [3]
head: 16
"""
START = "from elat.cli import main; main()"


@pytest.fixture
def space(tmp_path: Path) -> Path:
    path = tmp_path / "tiny.yaml"
    path.write_text(SPACE)
    return path


def started(home: Path, *words: object) -> subprocess.Popen[bytes]:
    """`elat words...` in a process group of its own."""
    return subprocess.Popen(
        [sys.executable, "-P", "-c", START, *map(str, words)],
        env={**os.environ, "ELAT_HOME": str(home), "OMP_NUM_THREADS": "1"},
        stdout=subprocess.DEVNULL,
        stderr=subprocess.PIPE,
        start_new_session=True,
    )


def written(path: Path | None) -> int | None:
    """When `path` was last written, in nanoseconds; None if it does not exist."""
    try:
        return path.stat().st_mtime_ns if path else None
    except FileNotFoundError:
        return None


def killed(
    process: subprocess.Popen[bytes],
    chance: random.Random,
    longest_s: float,
    behind: Path | None = None,
) -> None:
    """Kill the whole group at a random moment; it may have finished before.

    Most moments lie behind a change of the file `behind`, which says that work was done.
    """
    is_early = behind is None or chance.random() < EARLY
    seconds = chance.uniform(0.0, longest_s)
    before = written(behind)
    with process:
        while not is_early and written(behind) == before and process.poll() is None:
            time.sleep(0.02)
        time.sleep(seconds)
        if process.poll() is None:
            os.killpg(process.pid, signal.SIGKILL)


def finish(process: subprocess.Popen[bytes]) -> None:
    _, said = process.communicate(timeout=180)
    assert process.returncode == 0, said.decode()


def launch_counts(store: Path) -> Counter[Operator]:
    condition = Condition.of(find_device("local-ort")).of_models
    if not store.exists():
        return Counter()
    with open_store(store) as opened:
        found = {m.operator: m for m in opened.measurements(condition)}
        for measurement in found.values():
            workers = [launch.worker for launch in measurement.launches]
            assert len(set(workers)) == len(workers), "a worker's launch is stored once"
        counts = Counter(opened.launch_counts(condition))
    assert counts == {operator: m.count for operator, m in found.items()}
    return counts


@pytest.mark.slow
def test_measuring_that_is_killed_loses_nothing_and_repeats_nothing(
    space: Path, tmp_path: Path
) -> None:
    home = tmp_path / "home"
    store = home / "measurements.db"
    command = ("measure", "--device", "local-ort", "--space", space, "--protocol", "screen")
    chance = random.Random(20)
    before: Counter[Operator] = Counter()
    for _ in range(KILLS):
        killed(started(home, *command), chance, 6.0)
        after = launch_counts(store)
        assert after >= before, "a launch that was stored is gone"
        before = after
    finish(started(home, *command))
    counts = launch_counts(store)
    assert counts >= before
    priced = [o for o in find_space(str(space)).all_operators() if not o.is_free]
    method = Condition.of(find_device("local-ort")).method
    assert counts.keys() == set(METHODS[method].cases(Subjects(tuple(priced))))
    # A case ends at a look, so one launch too many would show.
    assert set(counts.values()) <= set(SCREEN.looks)
    finish(started(home, *command))
    assert launch_counts(store) == counts


@pytest.mark.slow
def test_a_search_that_is_killed_ends_in_the_same_bytes(space: Path, tmp_path: Path) -> None:
    def command(name: str) -> tuple[object, ...]:
        settings = ("warmup_steps=150", "steps=300", "score_batches=2", "candidates=3")
        return (
            "search", "--space", space, "--bound-macs", 100_000, "--out", tmp_path / name,
            *(word for setting in settings for word in ("--set", setting)),
        )  # fmt: skip

    home = tmp_path / "home"
    finish(started(home, *command("whole")))
    chance = random.Random(21)
    for _ in range(KILLS):
        process = started(home, *command("killed"))
        killed(process, chance, 3.0, tmp_path / "killed" / "checkpoint.safetensors")
    finish(started(home, *command("killed")))
    for name in ("result.json", "history.jsonl", "scores.json"):
        whole, resumed = tmp_path / "whole" / name, tmp_path / "killed" / name
        assert whole.read_bytes() == resumed.read_bytes(), name
