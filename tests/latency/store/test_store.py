"""What a store keeps and answers, in both databases."""

from __future__ import annotations

import signal
import sqlite3
from contextlib import closing
from dataclasses import dataclass, fields, replace
from math import log
from statistics import median

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from elat.core.errors import ArtefactError, ConfigError
from elat.latency.common_mode import REFERENCE_WORKERS
from elat.latency.launch import Launch
from elat.latency.measurement import Failure
from elat.latency.protocol import SCREEN, STANDARD
from elat.latency.sample import Clock, GpuReading, Sample
from elat.latency.store import Record, open_store
from elat.latency.store.rows import COLUMNS, unpacked

from .made import CHAIN, CONDITION, CONV, convs, launch
from .writing import writer

numbers = st.integers(0, 2**62)
samples = st.builds(Sample, st.integers(1, 2**40), numbers, numbers, st.integers(0, 10**6))
launches = st.builds(
    Launch,
    worker=st.text(st.characters(exclude_characters="\0", exclude_categories=["Cs"]), max_size=5),
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
def test_launches_come_back_as_they_were(store, found, state):
    known = len(store._db.rows("SELECT id FROM launches"))
    for one in found:
        store.record_launch(CHAIN, CONDITION, one, state, "measured", protocol=STANDARD)
    rows = store._db.rows(f"SELECT {COLUMNS} FROM launches ORDER BY id")[known:]
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


def test_what_a_gpu_told_beside_samples_and_sentinel_comes_back(store):
    told = [GpuReading(1000, 5000, 0, is_slow) for is_slow in (False, True, True)]
    samples = tuple(Sample(1, 10**6, 10**6, 0, gpu) for gpu in (*told[:2], None))
    sentinel = tuple(
        Sample(1, ns, ns, 0, gpu) for ns, gpu in zip((1000, 9000, 9000), told, strict=True)
    )
    kept = replace(launch(), samples=samples, sentinel=sentinel)
    store.record_launch(CONV, CONDITION, kept, {}, "measured")
    (found,) = store.measurements(CONDITION)[0].launches
    assert found == kept
    assert found.sentinel_ms(Clock.WALL) == pytest.approx(1e-3)


@pytest.mark.parametrize(
    ("column", "value"),
    [("samples", b""), ("samples", bytes(96)), ("state", "[]")],
    ids=["none", "zeros", "state"],
)
def test_a_launch_that_cannot_be_one_is_corruption(tmp_path, column, value):
    path = tmp_path / "store.db"
    with open_store(path) as store:
        store.record_launch(CONV, CONDITION, launch(), {}, "measured")
    with closing(sqlite3.connect(path)) as damaged, damaged:
        damaged.execute(f"UPDATE launches SET {column} = ?", (value,))
    with (
        open_store(path, create=False) as store,
        pytest.raises(ArtefactError, match="launch is not readable"),
    ):
        store.measurements(CONDITION)


@pytest.mark.parametrize(
    ("table", "ask"),
    [
        ("operators", lambda store: store.measurements(CONDITION)),
        ("operators", lambda store: store.summaries(CONDITION)),
        ("operators", lambda store: store.launch_counts(CONDITION)),
        ("operators", lambda store: store.completed(CONDITION, STANDARD)),
        ("operators", lambda store: list(store.records(CONDITION))),
        ("protocols", lambda store: store.measurements(CONDITION)),
        ("protocols", lambda store: list(store.records(CONDITION))),
        ("environments", lambda store: store.environments(CONDITION)),
        ("environments", lambda store: list(store.records(CONDITION))),
    ],
)
def test_what_launches_refer_to_and_somebody_deleted_is_named(tmp_path, table, ask):
    path = tmp_path / "store.db"
    with open_store(path) as store:
        store.record_launch(CONV, CONDITION, launch(), {}, "measured", protocol=STANDARD)
        store.record_completion(CONV, CONDITION, STANDARD)
    with closing(sqlite3.connect(path)) as damaged, damaged:
        damaged.execute(f"DELETE FROM {table} WHERE id = 1")
    said = rf"{path} .*table {table} lacks the row with id 1\b.*restore a copy"
    with open_store(path, create=False) as store, pytest.raises(ArtefactError, match=said):
        ask(store)


def test_two_open_stores_see_each_other(where, store):
    with open_store(where) as second:
        second.record_launch(CONV, CONDITION, launch("a"), {}, "measured")
        store.record_launch(CONV, CONDITION, launch("b"), {}, "measured")
        assert second.launch_counts(CONDITION) == store.launch_counts(CONDITION) == {CONV: 2}


@pytest.mark.parametrize("after", [1, 7, 30])
def test_a_kill_loses_nothing_that_was_recorded(where, after):
    with writer(where) as process:
        assert process.stdout is not None
        said = [process.stdout.readline() for _ in range(after)]
        process.send_signal(signal.SIGKILL)
        said += process.stdout.readlines()
    recorded = len([line for line in said if line.endswith("\n")])
    assert recorded >= after
    with open_store(where, create=False) as store:
        count = store.launch_counts(CONDITION)[CONV]
        assert recorded <= count <= recorded + 1
        found = store.measurement(CONV, CONDITION)
        assert found is not None
        assert found.count == count


def test_two_processes_record_into_one_store(where, store):
    with writer(where, "a", 30) as first, writer(where, "b", 30) as second:
        first.communicate()
        second.communicate()
    found = store.measurement(CONV, CONDITION)
    for worker in "ab":
        own = [one.worker for one in found.launches if one.worker[0] == worker]
        assert own == [f"{worker}{index}" for index in range(30)]


def test_launches_recorded_together_are_kept_all_or_none(store):
    records = [
        Record(o, CONDITION, launch(str(i)), {}, "measured") for i, o in enumerate(convs(4))
    ]

    def failing():
        yield from records
        raise ValueError("in the midst")

    with pytest.raises(ValueError, match="midst"):
        store.record_launches(failing())
    assert store.launch_counts(CONDITION) == {}
    store.record_launches(records)
    assert store.launch_counts(CONDITION) == dict.fromkeys(convs(4), 1)


def test_a_snapshot_does_not_see_what_others_write(where, store):
    store.record_launch(CONV, CONDITION, launch("a"), {}, "measured")
    with open_store(where) as second:
        with store._db.snapshot():
            before = store._db.rows("SELECT count(*) FROM launches")
            second.record_launch(CONV, CONDITION, launch("b"), {}, "measured")
            assert store._db.rows("SELECT count(*) FROM launches") == before == [(1,)]
        assert store.launch_counts(CONDITION) == {CONV: 2}


def test_a_failure_message_may_hold_any_sign(store):
    store.record_failure(CONV, CONDITION, "CRASH", "a\0b \u20ac \udcff")
    assert store.failures(CONDITION) == {CONV: (Failure("CRASH", "a\ufffdb \u20ac ?"),)}


def test_more_operators_than_are_remembered_are_found(store, monkeypatch):
    monkeypatch.setattr("elat.latency.store.documents._REMEMBERED", 5)
    for operator in convs(8):
        store.record_launch(operator, CONDITION, launch(), {}, "measured")
    for wanted in (convs(8), convs(3), convs(8)):
        assert [m.operator for m in store.measurements(CONDITION, wanted)] == wanted


def test_a_store_that_is_missing_names_the_command_that_makes_it(where):
    with (
        pytest.raises(ArtefactError, match="make it with: elat measure --device"),
        open_store(where, create=False),
    ):
        pass


@pytest.mark.parametrize(
    ("column", "value"), [("meta", "{}"), ("meta", "x"), ("samples", b"123"), ("state", "[")]
)
def test_rows_that_were_tampered_with_are_refused(store, column, value):
    store.record_launch(CONV, CONDITION, launch(), {}, "measured")
    with store._db.transaction():
        store._db.change(f"UPDATE launches SET {column} = ?", value)
    with pytest.raises(ArtefactError, match="no readable measurement store"):
        store.measurements(CONDITION)


def test_what_a_later_elat_notes_of_a_launch_is_left_out(store):
    store.record_launch(CONV, CONDITION, launch("w0"), {}, "measured")
    (meta,) = store._db.rows("SELECT meta FROM launches")[0]
    with store._db.transaction():
        store._db.change("UPDATE launches SET meta = ?", meta[:-1] + ',"later":[1]}')
    assert store.measurement(CONV, CONDITION).launches == (launch("w0"),)


@dataclass(frozen=True)
class LaterLaunch(Launch):
    """A launch as a later elat may note it."""

    later: tuple[int, ...] = ()


def test_what_an_earlier_elat_did_not_note_has_its_default(store, monkeypatch):
    store.record_launch(CONV, CONDITION, launch("w0"), {}, "measured")
    monkeypatch.setattr("elat.latency.store.rows.Launch", LaterLaunch)
    monkeypatch.setattr(
        "elat.latency.store.rows._META",
        {field.name for field in fields(LaterLaunch)} - {"samples", "sentinel"},
    )
    plain = {field.name: getattr(launch("w1"), field.name) for field in fields(Launch)}
    store.record_launch(CONV, CONDITION, LaterLaunch(**plain, later=(1, 2)), {}, "measured")
    found = store.measurement(CONV, CONDITION).launches
    assert [one.later for one in found] == [(), (1, 2)]


def test_a_lock_that_is_not_given_up_is_explained(where, store, monkeypatch):
    for module in ("sqlite", "postgresql"):
        monkeypatch.setattr(f"elat.latency.store.{module}.BUSY_TIMEOUT_S", 0.05)
    with (
        open_store(where) as second,
        store._db.transaction(),
        pytest.raises(ArtefactError, match="locked by another process"),
    ):
        second.record_launch(CONV, CONDITION, launch(), {}, "measured")
