"""A search killed at random moments and started again, in processes of its own."""

from __future__ import annotations

import os
import random
import signal
import subprocess
import sys
import time
from pathlib import Path

import pytest

SCRIPT = """
import sys
from pathlib import Path
import torch
from elat.search.bound import Bound
from elat.search.data import TensorData
from elat.search.expected_latency import ExpectedLatency
from elat.search.journal import Journal
from elat.search.run import search
from elat.search.spaces import space_from_description
from elat.search.strategies import Problem

space = space_from_description({
    "family": "mbconv-chain", "name": "toy", "resolution": 8, "in_channels": 1, "classes": 3,
    "stem": {"width": 4, "stride": 2}, "first": 4, "kernels": [3, 5], "expansions": [1, 2],
    "stages": [{"width": 4, "blocks": 2, "stride": 1}], "head": 8,
})
generator = torch.Generator().manual_seed(9)
labels = torch.randint(3, (48,), generator=generator)
images = torch.randn((48, 1, 8, 8), generator=generator) + labels[:, None, None, None]
data = TensorData("shifted", 3, (images[:32], labels[:32]), (images[32:], labels[32:]), seed=0)
cost = ExpectedLatency.from_macs(space)
problem = Problem(space, (cost,), (Bound("macs", cost.of(cost.slowest()) / 2),), data, 0)
settings = {"warmup_steps": 60, "steps": 60, "score_batches": 4, "candidates": 4}
for step in search(problem, "proxyless-g", settings, folder=Path(sys.argv[1]),
                   origin="simulated", model={}, threads=1):
    print(step.step, flush=True)
"""


def start(folder: Path) -> subprocess.Popen[str]:
    return subprocess.Popen(
        [sys.executable, "-P", "-c", SCRIPT, str(folder)], stdout=subprocess.PIPE, text=True
    )


def finish(folder: Path) -> None:
    process = start(folder)
    process.communicate(timeout=300)
    assert process.returncode == 0


@pytest.mark.slow
def test_a_search_killed_at_random_moments_ends_in_the_same_bytes(tmp_path):
    finish(tmp_path / "whole")
    chance = random.Random(0)
    for _ in range(4):
        process = start(tmp_path / "killed")
        assert process.stdout is not None
        for _ in range(chance.randrange(1, 40)):
            process.stdout.readline()
        time.sleep(chance.random() * 0.05)
        os.kill(process.pid, signal.SIGKILL)
        process.communicate()
    finish(tmp_path / "killed")
    for name in ("result.json", "history.jsonl", "scores.json"):
        whole, killed = tmp_path / "whole" / name, tmp_path / "killed" / name
        assert whole.read_bytes() == killed.read_bytes()
