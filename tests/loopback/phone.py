"""An adb server of its own, so that a user's is never touched, and a phone behind it."""

from __future__ import annotations

import os
import shutil
import subprocess
import tempfile
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path

from elat.devices.transports.adb import AdbLink

from .adbd import Phone
from .listener import free_port


@dataclass(frozen=True)
class AdbServer:
    """A running server. Programs that get its `environment` speak to it alone."""

    environment: dict[str, str]

    def adb(self, *arguments: str) -> str:
        done = subprocess.run(
            ["adb", *arguments],
            env={**os.environ, **self.environment},
            stdin=subprocess.DEVNULL,
            capture_output=True,
            text=True,
            timeout=30,
            check=False,
        )
        return done.stdout + done.stderr

    def connect(self, phone: Phone) -> None:
        self.adb("disconnect", phone.serial)
        self.adb("connect", phone.serial)


def missing_reason() -> str | None:
    """Why no adb server can be started here."""
    return AdbLink("x").unavailable_reason()


@contextmanager
def running_adb_server() -> Iterator[AdbServer]:
    folder = Path(tempfile.mkdtemp(prefix="elat-adb-"))
    server = AdbServer(
        {
            "ANDROID_ADB_SERVER_PORT": str(free_port()),
            "ANDROID_SDK_HOME": str(folder),
            "ANDROID_USER_HOME": str(folder),
            "HOME": str(folder),
            "TMPDIR": str(folder),
        }
    )
    try:
        server.adb("start-server")
        yield server
    finally:
        server.adb("kill-server")
        shutil.rmtree(folder, ignore_errors=True)


@contextmanager
def connected_phone(server: AdbServer, folder: Path) -> Iterator[Phone]:
    """A phone with its files below `folder`; after a restart it is connected again."""
    root, programs = folder / "phone", folder / "programs"
    for path in (root, programs):
        path.mkdir(parents=True)
    with Phone(root, programs) as phone:
        phone.on_restarted = lambda: server.connect(phone)
        server.connect(phone)
        try:
            yield phone
        finally:
            server.adb("disconnect", phone.serial)
