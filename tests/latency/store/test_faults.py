"""A disk that is full and writers that are killed: nothing recorded is lost."""

from __future__ import annotations

import os
import random
import signal
import subprocess
import time

import pytest

from elat.core.errors import ArtefactError
from elat.latency.store import open_store

from .made import CONDITION, CONV, launch
from .writing import writer


@pytest.fixture
def small_disk(tmp_path):
    """A file system of 1 MiB."""
    if os.getuid() != 0:
        pytest.skip("only root can mount a small file system")
    folder = tmp_path / "small"
    folder.mkdir()
    made = subprocess.run(
        ["mount", "-t", "tmpfs", "-o", "size=1m", "elat-test", str(folder)],
        capture_output=True,
        text=True,
    )
    if made.returncode:
        pytest.skip(f"no small file system can be mounted here: {made.stderr.strip()}")
    yield folder
    subprocess.run(["umount", str(folder)], check=True)


def record(store, worker):
    store.record_launch(CONV, CONDITION, launch(worker, 1.0, 1.0, count=50), {}, "measured")


def test_a_full_disk_is_said_and_takes_nothing(small_disk):
    filler = small_disk / "filler"
    filler.write_bytes(bytes(400 * 1024))
    path = small_disk / "store.db"
    recorded = []
    with open_store(path) as store:
        with pytest.raises(ArtefactError, match=r"no space left .* make space"):
            for index in range(1000):
                record(store, str(index))
                recorded.append(str(index))
        assert 0 < len(recorded) < 1000
        assert store.launch_counts(CONDITION) == {CONV: len(recorded)}
        filler.unlink()
        record(store, "after")
    with open_store(path, create=False) as store:
        (found,) = store.measurements(CONDITION)
        assert [one.worker for one in found.launches] == [*recorded, "after"]


def test_a_disk_that_is_full_from_the_start_is_said(small_disk):
    filler = small_disk / "filler"
    filler.write_bytes(bytes(1024 * 1024))
    with pytest.raises(ArtefactError, match="store"), open_store(small_disk / "store.db"):
        pass
    filler.unlink()
    with open_store(small_disk / "store.db") as store:
        record(store, "after")
        assert store.launch_counts(CONDITION) == {CONV: 1}


@pytest.mark.slow
def test_twenty_kills_in_a_row_lose_nothing(where):
    moments = random.Random(0)
    least = 0
    for kill in range(20):
        with writer(where, f"{kill}-") as process:
            assert process.stdout is not None
            process.stdout.readline()
            time.sleep(moments.uniform(0.0, 0.05))
            process.send_signal(signal.SIGKILL)
            said = process.stdout.readlines()
        least += 1 + sum(line.endswith("\n") for line in said)
        with open_store(where, create=False) as store:
            (found,) = store.measurements(CONDITION)
        assert least <= found.count <= least + 1, "what was said to be recorded is, and one more"
        least = found.count
        own = [one.worker for one in found.launches if one.worker.startswith(f"{kill}-")]
        assert own == [f"{kill}-{index}" for index in range(len(own))]
