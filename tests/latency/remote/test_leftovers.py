"""Old copies of elat on a board are deleted, and nothing else."""

from __future__ import annotations

import os
import time
from pathlib import Path

import pytest

from elat.latency.remote.leftovers import KEPT_S, in_use, kept, sweep

DAY_S = 86_400.0
OLD, OTHER, NEW = (f"elat-0.1.0-{digit * 16}" for digit in "abc")


def copy(work: Path, name: str, age_s: float, now_s: float) -> Path:
    folder = work / name
    (folder / "elat").mkdir(parents=True)
    (folder / "elat" / "module.py").write_text("x" * 100_000)
    os.utime(folder, (now_s - age_s,) * 2)
    return folder


@pytest.fixture
def now_s():
    return time.time()


def names(work: Path) -> set[str]:
    return {path.name for path in work.iterdir()}


def test_those_that_nobody_has_used_for_a_month_go_and_others_stay(tmp_path, now_s):
    copy(tmp_path, OLD, KEPT_S + DAY_S, now_s)
    copy(tmp_path, OTHER + ".new", KEPT_S + DAY_S, now_s)
    copy(tmp_path, NEW, KEPT_S - DAY_S, now_s)
    for foreign in ("artefacts", "elat-mine", f"{OLD}-notes", "jobs"):
        copy(tmp_path, foreign, 400 * DAY_S, now_s)
    assert sweep(tmp_path, now_s) == 2
    assert names(tmp_path) == {NEW, "artefacts", "elat-mine", f"{OLD}-notes", "jobs"}


def test_what_was_lent_and_never_given_back_goes_in_the_end(tmp_path, now_s):
    copy(tmp_path / "lent", "old", KEPT_S + DAY_S, now_s)
    copy(tmp_path / "lent", "new", DAY_S, now_s)
    assert sweep(tmp_path, now_s) == 1
    assert names(tmp_path / "lent") == {"new"}


def test_one_in_use_stays_and_one_that_was_used_is_young_again(tmp_path, now_s):
    old = copy(tmp_path, OLD, 400 * DAY_S, now_s)
    with in_use(old):
        os.utime(old, (0.0, 0.0))
        assert sweep(tmp_path) == 0
    with in_use(old):
        pass
    assert sweep(tmp_path) == 0
    os.utime(old, (0.0, 0.0))
    assert sweep(tmp_path) == 1


def test_a_link_is_not_followed(tmp_path, now_s):
    precious = copy(tmp_path / "elsewhere", "precious", 400 * DAY_S, now_s)
    (work := tmp_path / "work").mkdir()
    (work / OLD).symlink_to(precious)
    (work / OTHER).write_text("a file")
    assert sweep(work, now_s) == 0
    assert (precious / "elat" / "module.py").is_file()


@pytest.mark.skipif(os.getuid() != 0, reason="only root can give a folder to another user")
def test_those_of_other_users_stay(tmp_path, now_s):
    old = copy(tmp_path, OLD, 400 * DAY_S, now_s)
    os.chown(old, 65_534, 65_534)
    assert sweep(tmp_path, now_s) == 0


def test_how_much_there_is_is_told(tmp_path, now_s):
    for name in (OLD, NEW, "artefacts/key"):
        copy(tmp_path, name, DAY_S, now_s)
    check = kept(tmp_path)
    assert check.status == "pass"
    assert check.found.startswith("copies of elat: 2, 0.2 MB; artefacts: 1, 0.1 MB; in ")
