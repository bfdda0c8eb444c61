"""Both databases that a store can be in."""

from __future__ import annotations

import pytest

from elat.latency.store import open_store

from .server import missing_reason, running_server


@pytest.fixture(scope="session")
def server():
    if reason := missing_reason():
        pytest.skip(reason)
    with running_server() as running:
        yield running


@pytest.fixture
def database_url(server):
    """The URL of a database that holds no store."""
    import psycopg

    with psycopg.connect(server.url(), autocommit=True) as connection:
        connection.execute("DROP SCHEMA IF EXISTS elat CASCADE")
    return server.url()


@pytest.fixture(params=["sqlite", "postgresql"])
def where(request, tmp_path):
    """Where a new store can be made: a file, then a database."""
    if request.param == "sqlite":
        return tmp_path / "folder" / "store.db"
    return request.getfixturevalue("database_url")


@pytest.fixture
def store(where):
    with open_store(where) as opened:
        yield opened
