"""The SQLite file of a store: one at rest, migrated, and every way in which it can be wrong."""

from __future__ import annotations

import os
import sqlite3

import pytest

from elat.core.errors import ArtefactError
from elat.latency.store import open_store
from elat.latency.store.schema import MIGRATIONS

from .made import CONDITION, CONV, launch


@pytest.fixture
def path(tmp_path):
    return tmp_path / "folder" / "store.db"


def filled(path, rows=200):
    with open_store(path) as store:
        for index in range(rows):
            store.record_launch(CONV, CONDITION, launch(f"w{index}", count=50), {}, "measured")


def test_at_rest_the_store_is_one_file(path):
    filled(path, 3)
    assert [file.name for file in path.parent.iterdir()] == [path.name]


@pytest.mark.parametrize("share", [0.001, 0.3, 0.9])
def test_a_truncated_store_is_refused(path, share):
    filled(path)
    data = path.read_bytes()
    path.write_bytes(data[: int(len(data) * share)])
    with pytest.raises(ArtefactError, match="measure again with"), open_store(path) as store:
        store.measurements(CONDITION)


def test_an_overwritten_store_is_refused(path):
    filled(path)
    data = bytearray(path.read_bytes())
    middle = len(data) // 2 // 4096 * 4096
    data[middle : middle + 8192] = os.urandom(8192)
    path.write_bytes(bytes(data))
    with pytest.raises(ArtefactError, match="measure again with"), open_store(path) as store:
        store.measurements(CONDITION)


@pytest.mark.parametrize("content", [b"hello, world" * 500, b"{}"])
def test_a_file_of_another_kind_is_refused(path, content):
    path.parent.mkdir()
    path.write_bytes(content)
    with pytest.raises(ArtefactError, match="no readable measurement store"), open_store(path):
        pass


def test_a_database_of_something_else_is_left_alone(path):
    path.parent.mkdir()
    with sqlite3.connect(path) as other:
        other.execute("CREATE TABLE things (x)")
    other.close()
    before = path.read_bytes()
    with pytest.raises(ArtefactError, match="something else"), open_store(path):
        pass
    assert path.read_bytes() == before


def test_a_folder_is_no_store(tmp_path):
    with pytest.raises(ArtefactError), open_store(tmp_path):
        pass


def test_a_store_of_a_newer_elat_is_refused(path):
    filled(path, 1)
    with sqlite3.connect(path) as raw:
        raw.execute(f"PRAGMA user_version = {len(MIGRATIONS) + 1}")
    raw.close()
    with pytest.raises(ArtefactError, match="upgrade"), open_store(path):
        pass


def test_an_older_store_is_brought_up_to_date(path, monkeypatch):
    filled(path, 2)
    step = ("CREATE TABLE sentinels (x)",)
    monkeypatch.setattr("elat.latency.store.sqlite.MIGRATIONS", (*MIGRATIONS, step))
    with open_store(path) as store:
        assert store.launch_counts(CONDITION) == {CONV: 2}
        assert store._db.rows("SELECT * FROM sentinels") == []
    with open_store(path):
        pass


def test_a_store_of_the_first_schema_is_migrated(path, monkeypatch):
    with monkeypatch.context() as early:
        early.setattr("elat.latency.store.sqlite.MIGRATIONS", MIGRATIONS[:1])
        filled(path, 2)
    with open_store(path) as store:
        assert store.launch_counts(CONDITION) == {CONV: 2}
        assert store.imports() == []
        store.record_profile(CONV, CONDITION, {"a": 1}, {})
        assert store.profiles(CONDITION) == {CONV: [{"a": 1}]}
        assert store._db.rows("PRAGMA user_version") == [(len(MIGRATIONS),)]
