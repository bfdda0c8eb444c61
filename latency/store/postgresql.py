"""The store in a PostgreSQL database, in a schema of its own, so that many machines share it."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Sequence
from contextlib import contextmanager
from typing import TYPE_CHECKING, Any
from urllib.parse import parse_qsl, quote, urlencode, urlsplit, urlunsplit

from ...core.errors import ArtefactError, ConfigError, UnavailableError
from .database import BUSY_TIMEOUT_S, Database, Row
from .schema import APPLICATION_ID, MIGRATIONS

if TYPE_CHECKING:
    from psycopg import Connection, Error

URL_STARTS = ("postgresql://", "postgres://")

_SCHEMA = "elat"
_CONNECT_TIMEOUT_S = 10
_SECRETS = ("password", "sslpassword")
_TYPES = (
    ("INTEGER PRIMARY KEY,", "BIGINT GENERATED ALWAYS AS IDENTITY PRIMARY KEY,"),
    ("INTEGER", "BIGINT"),
    ("BLOB", "BYTEA"),
)
# What the server or its library says of a connection that fails, in the order of looking, and
# what to do; the codes of SQL errors are not given for them.
_REPAIRS = (
    ("password", "check the user, and the password in PGPASSWORD or ~/.pgpass"),
    ('role "', "check the user"),
    ('database "', "make the database with: createdb NAME"),
    ("", "check that the server runs there, with: pg_isready"),
)


class PostgresqlDatabase(Database):
    """Tables in the schema `elat` of one database. Made by `open_postgresql`.

    A transaction takes a lock that all writers of the store share, because a launch must not get
    a number below those that others have seen already: the order of launches decides the
    reference speed, and the last one which summaries are up to date.
    """

    def __init__(self, location: str, connection: Connection[Row]) -> None:
        self._location = location
        self._connection = connection

    @property
    def location(self) -> str:
        return self._location

    def rows(self, query: str, *parameters: Any) -> list[Row]:
        with _translated(self._location), self._connection.cursor(binary=True) as cursor:
            return cursor.execute(_adapted(query), parameters).fetchall()

    def change(self, statement: str, *parameters: Any) -> int:
        with _translated(self._location):
            return self._connection.execute(_adapted(statement), parameters).rowcount

    def change_many(self, statement: str, rows: Iterable[Sequence[Any]]) -> None:
        with _translated(self._location), self._connection.cursor() as cursor:
            cursor.executemany(_adapted(statement), rows)

    @contextmanager
    def transaction(self) -> Iterator[None]:
        with _translated(self._location), self._connection.transaction():
            self._connection.execute("SELECT pg_advisory_xact_lock(%s)", (APPLICATION_ID,))
            yield

    @contextmanager
    def snapshot(self) -> Iterator[None]:
        with _translated(self._location), self._connection.transaction():
            self._connection.execute("SET TRANSACTION ISOLATION LEVEL REPEATABLE READ, READ ONLY")
            yield

    def corrupt(self, reason: str) -> ArtefactError:
        return _corrupt(self._location, reason)


@contextmanager
def open_postgresql(url: str, create: bool) -> Iterator[PostgresqlDatabase]:
    """The store at `url`, made in that database if it has none and `create` is set.

    Raises:
        ConfigError: `url` is not well formed.
        UnavailableError: The driver is not installed, or the server gives no connection.
        ArtefactError: The database holds no store, or one of a newer elat.
    """
    location = without_password(url)
    with _connected(url, location) as connection:
        database = PostgresqlDatabase(location, connection)
        _prepare(database, create)
        yield database


def without_password(url: str) -> str:
    """`url` as it may be shown.

    Raises:
        ConfigError: It is not well formed.
    """
    try:
        parts = urlsplit(url)
        login, at, host = parts.netloc.rpartition("@")
        asked = parse_qsl(parts.query, keep_blank_values=True)
    except ValueError:
        raise _no_url() from None
    if "@" in parts.path or parts.fragment:
        raise _no_url()
    user = login.partition(":")[0]
    shown = urlencode([pair for pair in asked if pair[0] not in _SECRETS], quote_via=quote)
    return urlunsplit((parts.scheme, user + at + host, parts.path, shown, ""))


def _no_url() -> ConfigError:
    return ConfigError(
        "The store's URL is not well formed; write postgresql://USER@HOST:PORT/DATABASE, with "
        "signs such as @, / and # in it spelled %40, %2F and %23, and the password in PGPASSWORD "
        "or ~/.pgpass."
    )


@contextmanager
def _connected(url: str, location: str) -> Iterator[Connection[Row]]:
    try:
        import psycopg
        from psycopg.conninfo import conninfo_to_dict
    except ImportError as error:
        raise UnavailableError(
            f"{location} needs psycopg ({error}); install it with: pip install 'elat[postgres]'"
        ) from error
    try:
        given = conninfo_to_dict(url)
        wanted = {"connect_timeout": _CONNECT_TIMEOUT_S, "application_name": "elat", **given}
        connection = psycopg.connect(**wanted, autocommit=True)  # type: ignore[arg-type]
    except psycopg.ProgrammingError:
        # Its message may quote the part with the password.
        raise _no_url() from None
    except psycopg.OperationalError as error:
        reason = _reason(error)
        repair = next(repair for word, repair in _REPAIRS if word in reason)
        raise UnavailableError(f"{location} gives no connection ({reason}); {repair}.") from None
    try:
        yield connection
    finally:
        connection.close()


def _prepare(database: PostgresqlDatabase, create: bool) -> None:
    """Check that the database holds a store, and bring its schema up to date."""
    database.change(f"SET search_path TO {_SCHEMA}")
    database.change(f"SET lock_timeout TO {round(1000 * BUSY_TIMEOUT_S)}")
    location = database.location
    version = _version(database)
    if version is None and not create:
        raise ArtefactError(f"{location} holds no store; make it with: {_command(location)}")
    if version is not None and version > len(MIGRATIONS):
        raise ArtefactError(
            f"{location} has schema {version}, this elat reads up to {len(MIGRATIONS)}; upgrade "
            "it with: pip install --upgrade elat"
        )
    if version != len(MIGRATIONS):
        _migrate(database)


def _version(database: PostgresqlDatabase) -> int | None:
    """The store's schema; None where there is none yet.

    Raises:
        ArtefactError: The schema is of something else.
    """
    tables = {
        name
        for (name,) in database.rows(
            "SELECT table_name::text FROM information_schema.tables WHERE table_schema = ?",
            _SCHEMA,
        )
    }
    if not tables:
        return None
    if "schema_version" not in tables:
        raise ArtefactError(
            f"Schema {_SCHEMA} of {database.location} holds something else, not a measurement "
            "store; give another database."
        )
    return int(database.rows("SELECT version FROM schema_version")[0][0])


def _migrate(database: PostgresqlDatabase) -> None:
    """Apply the missing migrations in one transaction; another process may have been faster."""
    with database.transaction():
        version = _version(database)
        if version is None:
            database.change(f"CREATE SCHEMA IF NOT EXISTS {_SCHEMA}")
            database.change("CREATE TABLE schema_version (version BIGINT NOT NULL)")
            database.change("INSERT INTO schema_version VALUES (0)")
        for script in MIGRATIONS[version or 0 :]:
            for statement in script:
                database.change(_typed(statement))
        database.change("UPDATE schema_version SET version = ?", len(MIGRATIONS))


def _adapted(query: str) -> bytes:
    return query.replace("?", "%s").encode()


def _typed(statement: str) -> str:
    for sqlite, postgresql in _TYPES:
        statement = statement.replace(sqlite, postgresql)
    return statement


@contextmanager
def _translated(location: str) -> Iterator[None]:
    """Turns PostgreSQL's errors into ones that say what to do."""
    import psycopg
    from psycopg import errors

    try:
        yield
    except errors.LockNotAvailable as error:
        raise ArtefactError(
            f"{location} was locked by another process for {BUSY_TIMEOUT_S:.0f} s; end that one, "
            "then run the same command again."
        ) from error
    except errors.DiskFull as error:
        raise ArtefactError(
            f"There is no space left for {location}; what was recorded is safe: make space on the "
            "server, then run the same command again."
        ) from error
    except (errors.InsufficientPrivilege, errors.ReadOnlySqlTransaction) as error:
        raise ArtefactError(
            f"{location} may not be used so by this user ({_reason(error)}); its owner allows it "
            "with: GRANT USAGE ON SCHEMA elat TO NAME; GRANT ALL ON ALL TABLES IN SCHEMA elat TO "
            "NAME"
        ) from error
    except (psycopg.OperationalError, psycopg.InterfaceError) as error:
        raise UnavailableError(
            f"The connection to {location} was lost ({_reason(error)}); what was recorded is "
            "safe: run the same command again once pg_isready finds the server."
        ) from error
    except psycopg.DatabaseError as error:
        raise _corrupt(location, _reason(error)) from error


def _reason(error: Error) -> str:
    """What the server said, or the first line of what its library did."""
    text = error.diag.message_primary or str(error) or type(error).__name__
    return text.strip().splitlines()[0].removeprefix("connection failed: ").rstrip(".")


def _corrupt(location: str, reason: str) -> ArtefactError:
    return ArtefactError(
        f"{location} holds no readable measurement store ({reason}); restore a copy, or give "
        f"another database and measure again with: {_command('URL')}"
    )


def _command(location: str) -> str:
    return f"elat measure --device DEVICE --space SPACE --store {location}"
