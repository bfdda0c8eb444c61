"""A PostgreSQL server that is absent, refuses or fails, and passwords that stay secret."""

from __future__ import annotations

import os
import sys
from urllib.parse import quote

import pytest

from elat.core.errors import ArtefactError, ConfigError, ElatError, UnavailableError
from elat.latency.store import open_store
from elat.latency.store.postgresql import without_password
from elat.latency.store.schema import MIGRATIONS

from .made import CONDITION, CONV, launch
from .server import PASSWORD

URL = "postgresql://me:secret@host:5433/lab?sslmode=require&password=secret&application_name=a%20b"


def record(store, worker="w"):
    store.record_launch(CONV, CONDITION, launch(worker), {}, "measured")


def run(server, statement, database=None):
    import psycopg

    with psycopg.connect(server.url(*filter(None, [database])), autocommit=True) as connection:
        connection.execute(statement)


def test_a_location_opens_the_store_again_and_has_no_password(server, database_url, monkeypatch):
    with open_store(server.network_url(quote(PASSWORD, safe=""))) as store:
        record(store)
        assert store.location == server.network_url()
        assert store.name == "elat"
    monkeypatch.setenv("PGPASSWORD", PASSWORD)
    with open_store(server.network_url(), create=False) as store:
        assert store.launch_counts(CONDITION) == {CONV: 1}


def test_passwords_are_left_out_wherever_they_stand():
    shown = "postgresql://me@host:5433/lab?sslmode=require&application_name=a%20b"
    assert without_password(URL) == shown
    assert without_password(shown) == shown


@pytest.mark.parametrize(
    "url",
    [
        "postgresql://me:sec/ret@host/lab",
        "postgresql://me:sec#ret@host/lab",
        "postgresql://me:sec%zzret@host/lab",
        "postgresql://me:secret@[host/lab",
        "postgresql://me:secret@host/lab?nonsense=secret",
        "postgresql://me:secret@host:port/lab",
        "postgresql://me:secret@host/lab?connect_timeout=soon",
    ],
)
def test_a_malformed_url_is_refused_and_not_repeated(server, url):
    with pytest.raises(ElatError) as caught, open_store(url):
        pass
    assert "secret" not in str(caught.value).replace("nonsense=secret", "")
    assert "ret@" not in str(caught.value)
    assert caught.value.__cause__ is None


def test_another_kind_of_url_is_refused():
    with pytest.raises(ConfigError, match=r"found mysql://\.$"), open_store("mysql://a:b@c/d"):
        pass


@pytest.mark.parametrize("password", ["wrong-one", None])
def test_a_wrong_password_is_said_and_not_shown(server, password, monkeypatch):
    monkeypatch.delenv("PGPASSWORD", raising=False)
    monkeypatch.setenv("PGPASSFILE", os.devnull)
    with (
        pytest.raises(UnavailableError, match=r"the password in PGPASSWORD or ~/\.pgpass\.$") as e,
        open_store(server.network_url(password)),
    ):
        pass
    assert "wrong-one" not in str(e.value)


def test_an_absent_server_database_or_user_is_named_with_the_repair(server):
    absent = "postgresql://elat@127.0.0.1:1/elat"
    for url, repair in (
        (absent, "pg_isready"),
        (server.url("absent"), "createdb"),
        (server.url().replace("elat@", "nobody-known@"), "check the user"),
    ):
        with pytest.raises(UnavailableError, match=repair), open_store(url):
            pass


def test_a_lost_connection_loses_nothing_that_was_recorded(server, database_url):
    with open_store(database_url) as store:
        record(store)
        (pid,) = store._db.rows("SELECT pg_backend_pid()")[0]
        run(server, f"SELECT pg_terminate_backend({pid}, 5000)")
        with pytest.raises(UnavailableError, match=r"was lost \(.*run the same command again"):
            record(store)
        with pytest.raises(UnavailableError, match="was lost"):
            store.measurements(CONDITION)
    with open_store(database_url, create=False) as store:
        assert store.launch_counts(CONDITION) == {CONV: 1}


def test_a_connection_lost_within_a_transaction_says_so(server, database_url):
    with open_store(database_url) as store, pytest.raises(UnavailableError, match="was lost"):
        (pid,) = store._db.rows("SELECT pg_backend_pid()")[0]
        with store._transaction():
            run(server, f"SELECT pg_terminate_backend({pid}, 5000)")
            store._db.rows("SELECT 1")


def test_a_server_that_crashed_keeps_what_was_recorded(server, database_url):
    with open_store(database_url) as store:
        record(store)
    run(server, "CHECKPOINT")  # the tests' server does not sync
    server.control("-m", "immediate", "restart")
    with open_store(database_url, create=False) as store:
        assert store.launch_counts(CONDITION) == {CONV: 1}


def test_a_user_without_rights_is_told(server, database_url):
    with open_store(database_url) as store:
        record(store)
    run(server, "DROP ROLE IF EXISTS reader")
    run(server, "CREATE ROLE reader LOGIN")
    try:
        as_reader = database_url.replace("elat@", "reader@")
        with (
            pytest.raises(ArtefactError, match="may not be used so by this user"),
            open_store(as_reader),
        ):
            pass
        run(server, "GRANT USAGE ON SCHEMA elat TO reader")
        run(server, "GRANT SELECT ON ALL TABLES IN SCHEMA elat TO reader")
        with open_store(as_reader) as store:
            assert store.launch_counts(CONDITION) == {CONV: 1}
            with pytest.raises(ArtefactError, match=r"permission denied.*GRANT"):
                record(store)
    finally:
        run(server, "DROP OWNED BY reader")
        run(server, "DROP ROLE reader")


def test_a_schema_of_something_else_is_left_alone(server, database_url):
    run(server, "CREATE SCHEMA elat CREATE TABLE things (x int)")
    with pytest.raises(ArtefactError, match="something else"), open_store(database_url):
        pass


def test_a_store_of_a_newer_elat_is_refused(server, database_url):
    with open_store(database_url):
        pass
    run(server, "UPDATE elat.schema_version SET version = version + 1")
    with pytest.raises(ArtefactError, match="upgrade"), open_store(database_url):
        pass


def test_an_older_store_is_brought_up_to_date(database_url, monkeypatch):
    with monkeypatch.context() as early:
        early.setattr("elat.latency.store.postgresql.MIGRATIONS", MIGRATIONS[:1])
        with open_store(database_url) as store:
            record(store)
    with open_store(database_url) as store:
        assert store.launch_counts(CONDITION) == {CONV: 1}
        assert store.imports() == []


def test_a_table_that_is_gone_is_corruption(server, database_url):
    with open_store(database_url) as store:
        run(server, "DROP TABLE elat.launches CASCADE")
        with pytest.raises(ArtefactError, match="no readable measurement store"):
            store.measurements(CONDITION)


def test_a_missing_driver_names_the_extra(monkeypatch):
    monkeypatch.setitem(sys.modules, "psycopg", None)
    with (
        pytest.raises(UnavailableError, match=r"pip install 'elat\[postgres\]'"),
        open_store("postgresql://me:secret@host/lab"),
    ):
        pass
