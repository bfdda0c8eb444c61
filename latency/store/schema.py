"""Tables of the measurement store, as the steps that bring a database of any version up to date.

Statements are those of SQLite; `postgresql.py` puts its own types in.
"""

from __future__ import annotations

APPLICATION_ID = 0x656C6174  # "elat"


def _content_table(name: str) -> str:
    """A table of JSON documents, each stored once."""
    return (
        f"CREATE TABLE {name} (id INTEGER PRIMARY KEY, sha256 TEXT NOT NULL UNIQUE,"
        " json TEXT NOT NULL)"
    )


_SCHEMA_1 = (
    _content_table("operators"),
    _content_table("conditions"),
    _content_table("protocols"),
    _content_table("environments"),
    """CREATE TABLE launches (
        id INTEGER PRIMARY KEY,
        operator INTEGER NOT NULL REFERENCES operators,
        condition INTEGER NOT NULL REFERENCES conditions,
        protocol INTEGER NOT NULL REFERENCES protocols,
        environment INTEGER NOT NULL REFERENCES environments,
        origin TEXT NOT NULL,
        worker TEXT NOT NULL,
        meta TEXT NOT NULL,
        samples BLOB NOT NULL,
        sentinel BLOB NOT NULL,
        state TEXT NOT NULL
    )""",
    "CREATE INDEX launches_by_case ON launches (condition, operator)",
    """CREATE TABLE failures (
        id INTEGER PRIMARY KEY,
        operator INTEGER NOT NULL REFERENCES operators,
        condition INTEGER NOT NULL REFERENCES conditions,
        launches INTEGER NOT NULL,
        class TEXT NOT NULL,
        message TEXT NOT NULL,
        recorded_utc TEXT NOT NULL
    )""",
    """CREATE TABLE completions (
        operator INTEGER NOT NULL REFERENCES operators,
        condition INTEGER NOT NULL REFERENCES conditions,
        protocol INTEGER NOT NULL REFERENCES protocols,
        UNIQUE (condition, protocol, operator)
    )""",
)

_SCHEMA_2 = (
    "CREATE INDEX launches_by_age ON launches (condition, id)",
    "CREATE INDEX failures_by_case ON failures (condition, operator)",
    """CREATE TABLE imports (
        id INTEGER PRIMARY KEY,
        sha256 TEXT NOT NULL UNIQUE,
        json TEXT NOT NULL,
        recorded_utc TEXT NOT NULL
    )""",
    """CREATE TABLE profiles (
        id INTEGER PRIMARY KEY,
        operator INTEGER NOT NULL REFERENCES operators,
        condition INTEGER NOT NULL REFERENCES conditions,
        environment INTEGER NOT NULL REFERENCES environments,
        json TEXT NOT NULL,
        recorded_utc TEXT NOT NULL
    )""",
    "CREATE INDEX profiles_by_case ON profiles (condition, operator)",
    """CREATE TABLE summaries (
        condition INTEGER NOT NULL REFERENCES conditions,
        operator INTEGER NOT NULL REFERENCES operators,
        origin TEXT NOT NULL,
        last_launch INTEGER NOT NULL REFERENCES launches,
        json TEXT NOT NULL,
        PRIMARY KEY (condition, operator, origin)
    )""",
    """CREATE TABLE summarised (
        condition INTEGER PRIMARY KEY REFERENCES conditions,
        last_launch INTEGER NOT NULL,
        statistics TEXT NOT NULL
    )""",
)

MIGRATIONS: tuple[tuple[str, ...], ...] = (_SCHEMA_1, _SCHEMA_2)
"""Step n takes a database of schema n to n + 1; a new schema appends a step and edits none."""
