"""The store: round trips, transactions, and every way in which its file can be wrong."""

from __future__ import annotations

import os
import shutil
import signal
import sqlite3
import subprocess
import sys
from dataclasses import replace
from math import log
from pathlib import Path
from statistics import median

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from elat.core.errors import ArtefactError, ConfigError
from elat.latency.common_mode import REFERENCE_WORKERS
from elat.latency.condition import Condition, Method, Precision
from elat.latency.launch import Launch
from elat.latency.measurement import Failure
from elat.latency.operators.chain import Chain
from elat.latency.operators.conv import Conv
from elat.latency.operators.global_pool import GlobalPool
from elat.latency.protocol import SCREEN, STANDARD
from elat.latency.sample import Sample
from elat.latency.store import open_store
from elat.latency.store.rows import COLUMNS, unpacked
from elat.latency.store.schema import MIGRATIONS

CONV = Conv(3, 8, resolution=8, kernel=3)
CHAIN = Chain((CONV, GlobalPool(8, 8)))
CONDITION = Condition("desk", "simulated", "1", Precision.FP32, 1, 1, Method.BLOCK, (("a", 1),))


def launch(worker="w", value=1.0, sentinel=None, count=3):
    ns = round(value * 1e6)
    beside: tuple[Sample, ...] = ()
    if sentinel is not None:
        sentinel_ns = round(sentinel * 1e6)
        beside = (Sample(1, sentinel_ns, sentinel_ns, 0),) * count
    return Launch(worker, 0, "t", 1.0, 1.0, 30, True, 0.0, (Sample(1, ns, ns, 0),) * count, beside)


@pytest.fixture
def path(tmp_path):
    return tmp_path / "folder" / "store.db"


@pytest.fixture
def store(path):
    with open_store(path) as opened:
        yield opened


numbers = st.integers(0, 2**62)
samples = st.builds(Sample, st.integers(1, 2**40), numbers, numbers, st.integers(0, 10**6))
launches = st.builds(
    Launch,
    worker=st.text(max_size=5),
    order=st.integers(0, 99),
    started_utc=st.text(max_size=5),
    init_ms=st.floats(0, 1e9),
    first_call_ms=st.floats(0, 1e9),
    warmup_calls=numbers,
    is_warm=st.booleans(),
    output_error=st.floats(0, 1e9),
    samples=st.lists(samples, min_size=1, max_size=5).map(tuple),
    sentinel=st.lists(samples, max_size=5).map(tuple),
)


@given(found=st.lists(launches, min_size=1, max_size=4), state=st.dictionaries(st.text(), numbers))
@settings(
    deadline=None, max_examples=30, suppress_health_check=[HealthCheck.function_scoped_fixture]
)
def test_launches_come_back_as_they_were(tmp_path, found, state):
    path = tmp_path / "round.db"
    path.unlink(missing_ok=True)
    with open_store(path) as store:
        for one in found:
            store.record_launch(CHAIN, CONDITION, one, state, "measured", protocol=STANDARD)
    with open_store(path, create=False) as store:
        rows = store._db.rows(f"SELECT {COLUMNS} FROM launches ORDER BY id")
        read = [unpacked(row, store._db, store._documents) for row in rows]
        assert [row.launch for row in read] == found
        assert all(row.state == state for row in read)


def test_a_measurement_gathers_what_was_recorded(store):
    for index in range(3):
        store.record_launch(
            CONV, CONDITION, launch(f"w{index}"), {"n": index}, "measured", protocol=STANDARD
        )
    found = store.measurement(CONV, CONDITION)
    assert (found.operator, found.condition, found.origin) == (CONV, CONDITION, "measured")
    assert [one.worker for one in found.launches] == ["w0", "w1", "w2"]
    assert (found.state_before, found.state_after) == ({"n": 0}, {"n": 2})
    assert found.protocol == STANDARD
    assert store.measurement(CHAIN, CONDITION) is None
    assert store.launch_counts(CONDITION) == {CONV: 3}


def test_conditions_never_mix(store):
    upgraded = replace(CONDITION, runtime_version="2")
    other = replace(CONDITION, device="other", options=(("a", True),))
    for condition in (CONDITION, upgraded, other):
        store.record_launch(CONV, condition, launch(), {}, "measured")
    assert store.conditions() == [CONDITION, upgraded, other]
    assert store.conditions("desk") == [CONDITION, upgraded]
    assert store.measurement(CONV, upgraded).count == 1
    assert store.measurements(replace(CONDITION, threads=2)) == []
    assert store.launch_counts(replace(CONDITION, threads=2)) == {}


def test_origins_never_mix(store):
    for origin in ("measured", "imported"):
        store.record_launch(CONV, CONDITION, launch(), {}, origin)
    assert sorted(m.origin for m in store.measurements(CONDITION)) == ["imported", "measured"]
    with pytest.raises(ConfigError, match="measured and imported"):
        store.measurement(CONV, CONDITION)
    with pytest.raises(ConfigError, match="guessed"):
        store.record_launch(CONV, CONDITION, launch(), {}, "guessed")


def test_an_environment_is_stored_once_and_its_change_is_noticed(store):
    first, second = {"kernel": "6.1", "cpus": 2}, {"cpus": 2, "kernel": "6.2"}
    for operator, environments in ((CONV, (first, first)), (CHAIN, (first, second))):
        for environment in environments:
            store.record_launch(
                operator, CONDITION, launch(), {}, "measured", environment=environment
            )
    assert store.environments(CONDITION) == [first, second]
    assert store.measurement(CONV, CONDITION).environments == 1
    assert store.measurement(CHAIN, CONDITION).environments == 2


def test_the_reference_speed_is_that_of_the_first_workers_and_then_stays(store):
    for index, sentinel in enumerate([0.10, 0.14, 0.11, 0.12, 0.13, 0.9, 0.9, 0.9, 0.9]):
        store.record_launch(CONV, CONDITION, launch(f"w{index}", 1.0, sentinel), {}, "measured")
        known = [0.10, 0.14, 0.11, 0.12, 0.13][: min(index + 1, REFERENCE_WORKERS)]
        reference = median(map(log, known))
        slowness = store.measurement(CONV, CONDITION).slowness
        assert len(slowness) == index + 1
        assert slowness[-1] == pytest.approx(log(sentinel) - reference)
        assert slowness[0] == pytest.approx(log(0.10) - reference)


def test_slowness_is_that_of_the_whole_group(store):
    for operator, sentinel in ((CONV, 0.1), (CHAIN, 0.4)):
        store.record_launch(operator, CONDITION, launch("w0", 1.0, sentinel), {}, "measured")
    store.record_launch(CONV, CONDITION, launch("w1", 1.0, 0.1), {}, "measured")
    found = store.measurement(CONV, CONDITION)
    assert found.slowness[0] - found.slowness[1] == pytest.approx(log(0.25 / 0.1))
    assert store.measurement(CHAIN, CONDITION).slowness == found.slowness[:1]


def test_without_a_sentinel_there_is_no_reference(store):
    store.record_launch(CONV, CONDITION, launch(), {}, "imported")
    assert store.measurement(CONV, CONDITION).slowness == ()


def test_failures_are_kept_until_a_launch_succeeds(store):
    store.record_failure(CONV, CONDITION, "CRASH", "one")
    store.record_failure(CONV, CONDITION, "RUN_TIMEOUT", "two")
    store.record_failure(CHAIN, CONDITION, "UNSUPPORTED", "no kernel")
    assert store.failures(CONDITION) == {
        CONV: (Failure("CRASH", "one"), Failure("RUN_TIMEOUT", "two")),
        CHAIN: (Failure("UNSUPPORTED", "no kernel"),),
    }
    assert str(store.failures(CONDITION)[CHAIN][0]) == "UNSUPPORTED: no kernel"
    store.record_launch(CONV, CONDITION, launch(), {}, "measured")
    assert store.failures(CONDITION).keys() == {CHAIN}
    assert store.failures(replace(CONDITION, batch=2)) == {}
    assert store.conditions() == [CONDITION]


def test_completions_belong_to_a_protocol(store):
    store.record_completion(CONV, CONDITION, SCREEN)
    store.record_completion(CONV, CONDITION, SCREEN)
    assert store.completed(CONDITION, SCREEN) == {CONV}
    assert store.completed(CONDITION, STANDARD) == frozenset()


def test_a_failed_transaction_leaves_nothing(store):
    with pytest.raises(ValueError, match="JSON"):
        store.record_launch(CONV, CONDITION, launch(), {"x": float("nan")}, "measured")
    assert store.launch_counts(CONDITION) == {}
    store.record_launch(CONV, CONDITION, launch(), {}, "measured")
    assert store.launch_counts(CONDITION) == {CONV: 1}


def test_two_open_stores_see_each_other(path, store):
    with open_store(path) as second:
        second.record_launch(CONV, CONDITION, launch("a"), {}, "measured")
        store.record_launch(CONV, CONDITION, launch("b"), {}, "measured")
        assert second.launch_counts(CONDITION) == store.launch_counts(CONDITION) == {CONV: 2}


WRITER = """
import sys
from pathlib import Path
sys.path.insert(0, {tests!r})
from test_store import CONDITION, CONV, launch
from elat.latency.store import open_store
with open_store(Path(sys.argv[1])) as store:
    for index in range(100000):
        store.record_launch(CONV, CONDITION, launch(f"w{{index}}", count=20), {{}}, "measured")
        print(index, flush=True)
"""


@pytest.mark.parametrize("after", [1, 7, 30])
def test_a_kill_loses_nothing_that_was_recorded(path, after):
    script = WRITER.format(tests=str(Path(__file__).parent))
    with subprocess.Popen(
        [sys.executable, "-P", "-c", script, str(path)], stdout=subprocess.PIPE, text=True
    ) as process:
        assert process.stdout is not None
        said = [process.stdout.readline() for _ in range(after)]
        process.send_signal(signal.SIGKILL)
        said += process.stdout.readlines()
    recorded = len([line for line in said if line.endswith("\n")])
    assert recorded >= after
    with open_store(path, create=False) as store:
        count = store.launch_counts(CONDITION)[CONV]
        assert recorded <= count <= recorded + 1
        found = store.measurement(CONV, CONDITION)
        assert found is not None
        assert found.count == count


def filled(path, rows=200):
    with open_store(path) as store:
        for index in range(rows):
            store.record_launch(CONV, CONDITION, launch(f"w{index}", count=50), {}, "measured")


def test_at_rest_the_store_is_one_file(path):
    filled(path, 3)
    assert [file.name for file in path.parent.iterdir()] == [path.name]


def test_a_missing_store_names_the_command_that_makes_it(path):
    with (
        pytest.raises(ArtefactError, match="elat measure --device"),
        open_store(path, create=False),
    ):
        pass
    assert not path.exists()


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


def test_rows_that_were_tampered_with_are_refused(path):
    filled(path, 1)
    for column, value in (("meta", "{}"), ("meta", "x"), ("samples", b"123"), ("state", "[")):
        copy = path.with_name(f"{column}{len(value)}.db")
        shutil.copy(path, copy)
        with sqlite3.connect(copy) as raw:
            raw.execute(f"UPDATE launches SET {column} = ?", (value,))
        raw.close()
        with pytest.raises(ArtefactError, match="no readable"), open_store(copy) as store:
            store.measurements(CONDITION)


def test_a_lock_that_is_not_given_up_is_explained(path, store, monkeypatch):
    monkeypatch.setattr("elat.latency.store.sqlite.BUSY_TIMEOUT_S", 0.05)
    with (
        open_store(path) as second,
        store._db.transaction(),
        pytest.raises(ArtefactError, match="locked by another process"),
    ):
        second.record_launch(CONV, CONDITION, launch(), {}, "measured")


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


def test_what_a_later_elat_notes_of_a_launch_is_left_out(path):
    filled(path, 1)
    with sqlite3.connect(path) as raw:
        raw.execute("UPDATE launches SET meta = json_set(meta, '$.later', json('[1]'))")
    raw.close()
    with open_store(path) as store:
        assert store.measurement(CONV, CONDITION).launches == (launch("w0", count=50),)
