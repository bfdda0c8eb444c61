"""A PostgreSQL server of its own in a temporary folder."""

from __future__ import annotations

import os
import shutil
import socket
import subprocess
import tempfile
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path

USER, PASSWORD = "elat", "s3cr@t/#%?&"
_UNPRIVILEGED = "nobody"
_SETTINGS = {"fsync": "off", "full_page_writes": "off", "max_connections": "20"}


@dataclass(frozen=True)
class Server:
    """A running server: over the socket it trusts everybody, over the port it wants a password."""

    folder: Path
    port: int
    _programs: Path

    def url(self, database: str = USER) -> str:
        return f"postgresql://{USER}@/{database}?host={self.folder}&port={self.port}"

    def network_url(self, password: str | None = None, database: str = USER) -> str:
        login = USER if password is None else f"{USER}:{password}"
        return f"postgresql://{login}@127.0.0.1:{self.port}/{database}"

    def control(self, *arguments: str) -> None:
        data, log = str(self.folder / "data"), str(self.folder / "log")
        _run([str(self._programs / "pg_ctl"), "-D", data, "-l", log, "-w", *arguments])


def missing_reason() -> str | None:
    """Why no server can be started here."""
    if _programs() is None:
        return "there is no PostgreSQL server; install it with: apt-get install postgresql"
    try:
        import psycopg  # noqa: F401
    except ImportError as error:
        return f"psycopg cannot be imported ({error}); pip install 'elat[postgres]'"
    return None


@contextmanager
def running_server() -> Iterator[Server]:
    programs = _programs()
    if programs is None:
        raise RuntimeError(missing_reason())
    # Not below pytest's own folder, which only its owner may enter, and whose path may be too
    # long for a socket.
    folder = Path(tempfile.mkdtemp(prefix="elat-pg-"))
    server = Server(folder, _free_port(), programs)
    try:
        secret = folder / "password"
        secret.write_text(PASSWORD)
        if os.getuid() == 0:
            shutil.chown(folder, _UNPRIVILEGED)
            shutil.chown(secret, _UNPRIVILEGED)
        _run(
            [
                str(programs / "initdb"),
                *("-D", str(folder / "data"), "-U", USER, "--pwfile", str(secret)),
                *("--auth-local=trust", "--auth-host=scram-sha-256"),
                *("--encoding=UTF8", "--no-locale", "--no-sync"),
            ]
        )
        given = {
            "port": str(server.port),
            "listen_addresses": "127.0.0.1",
            "unix_socket_directories": str(folder),
            **_SETTINGS,
        }
        options = " ".join(f"-c {name}={value}" for name, value in given.items())
        server.control("-o", options, "start")
        try:
            _run(
                [
                    str(programs / "createdb"),
                    "-h",
                    str(folder),
                    "-p",
                    given["port"],
                    "-U",
                    USER,
                    USER,
                ]
            )
            yield server
        finally:
            server.control("-m", "immediate", "stop")
    finally:
        shutil.rmtree(folder)


def _programs() -> Path | None:
    found = sorted(Path("/usr/lib/postgresql").glob("*/bin/initdb"))
    on_path = shutil.which("initdb")
    if on_path is not None:
        found.append(Path(on_path).resolve())
    return found[-1].parent if found else None


def _free_port() -> int:
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        return int(probe.getsockname()[1])


def _run(command: list[str]) -> None:
    """Run `command`, as an unprivileged user where this one is root: the server refuses root."""
    user = _UNPRIVILEGED if os.getuid() == 0 else None
    done = subprocess.run(
        command, user=user, cwd="/", stdin=subprocess.DEVNULL, capture_output=True, text=True
    )
    if done.returncode:
        raise RuntimeError(f"{' '.join(command)} failed: {done.stderr}{done.stdout}")
