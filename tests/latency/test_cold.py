"""Sweeping caches before every run."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest

from elat.core.errors import UnavailableError
from elat.latency.cold import ColdSession, cache_sweep, last_level_bytes
from elat.latency.runtimes.base import Session
from elat.latency.sample import Sample


class Noted(Session):
    """Notes its runs; each takes 5 ns."""

    def __init__(self, notes: list[str]) -> None:
        self._notes = notes

    def time_loops(self, loops: int) -> Sample:
        self._notes.append(f"run {loops}")
        return Sample(loops, 5 * loops, 4 * loops, 1)

    def output(self):
        return np.ones(2, np.float32)


def test_a_sweep_precedes_every_run_and_is_not_timed():
    notes: list[str] = []
    session = ColdSession(Noted(notes), lambda: notes.append("sweep"))
    assert session.time_loops(3) == Sample(3, 15, 12, 3)
    assert notes == ["sweep", "run 1"] * 3
    assert session.output().tolist() == [1.0, 1.0]


def test_no_runs_sweep_nothing():
    notes: list[str] = []
    assert ColdSession(Noted(notes), lambda: notes.append("sweep")).time_loops(0).loops == 0
    assert notes == []


def caches(folder: Path, **sizes: str) -> Path:
    for name, size in sizes.items():
        (folder / name).mkdir()
        (folder / name / "size").write_text(f"{size}\n")
    return folder


def test_the_largest_cache_counts(tmp_path):
    assert (
        last_level_bytes(caches(tmp_path, index0="48K", index2="2048K", index3="33M")) == 33 << 20
    )


@pytest.mark.parametrize("sizes", [{}, {"index0": "?"}])
def test_an_unknown_size_is_refused_with_the_repair(tmp_path, sizes):
    with pytest.raises(UnavailableError, match="cache: hot"):
        last_level_bytes(caches(tmp_path, **sizes))


def test_a_sweep_goes_over_twice_the_cache(tmp_path, monkeypatch):
    buffer = np.ones(1, np.int64)

    def zeros(count, kind):
        nonlocal buffer
        buffer = np.ones(count, kind)
        return buffer

    monkeypatch.setattr(np, "zeros", zeros)
    sweep = cache_sweep(caches(tmp_path, index3="64K"))
    monkeypatch.undo()
    sweep()
    sweep()
    assert buffer.nbytes == 128 << 10
    assert (buffer == 3).all(), "every byte is read and written each time"
