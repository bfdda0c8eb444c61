"""The ways to this machine that tests go: directly, through a real sshd, and through adb."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path

import pytest

from elat.devices.transports import Link, Transport
from elat.devices.transports.adb import AdbLink
from elat.devices.transports.local import LocalLink
from elat.devices.transports.ssh import SshLink
from elat.latency.store import open_store

from . import phone, sshd
from .board import Loop


@dataclass(frozen=True)
class Reached:
    """A transport, and its work folder as it is on this machine."""

    transport: Transport
    folder: Path
    link: Link


@pytest.fixture(scope="module")
def ssh_server():
    if reason := sshd.missing_reason():
        pytest.skip(reason)
    with sshd.running_sshd() as server, pytest.MonkeyPatch.context() as patch:
        patch.setenv("XDG_RUNTIME_DIR", str(server.folder / "run"))
        yield server


@pytest.fixture
def adb_server(running_adb_server, monkeypatch):
    for name, value in running_adb_server.environment.items():
        monkeypatch.setenv(name, value)
    return running_adb_server


@pytest.fixture(scope="module")
def running_adb_server():
    if reason := phone.missing_reason():
        pytest.skip(reason)
    with phone.running_adb_server() as server:
        yield server


@pytest.fixture
def local(tmp_path):
    return reached(LocalLink(str(tmp_path / "work")))


@pytest.fixture
def ssh(ssh_server, tmp_path, monkeypatch):
    monkeypatch.setenv("XDG_RUNTIME_DIR", str(ssh_server.folder / "run"))
    ssh_server.cable.plug_in()
    return reached(
        SshLink(sshd.HOST, str(tmp_path / "work"), ssh_server.config, connect_timeout_s=5)
    )


@pytest.fixture
def loop_phone(adb_server, tmp_path):
    with phone.connected_phone(adb_server, tmp_path) as connected:
        yield connected


@pytest.fixture
def adb(loop_phone):
    return reached(AdbLink(loop_phone.serial, str(loop_phone.root / "work")))


@pytest.fixture
def way(request, registered):
    """The transport that is registered as `registered`, over loopback."""
    return request.getfixturevalue(registered)


def reached(link: Link) -> Reached:
    return Reached(Transport(link), Path(link.folder), link)


@pytest.fixture
def loop(ssh_server, tmp_path, monkeypatch):
    """The board `loop-ssh`, with a work folder and a home of its own."""
    monkeypatch.setenv("ELAT_HOME", str(tmp_path / "home"))
    monkeypatch.setenv("ELAT_LOCKS", str(tmp_path / "locks"))
    ssh_server.cable.plug_in()
    return Loop(ssh_server, tmp_path / "work")


@pytest.fixture
def store(tmp_path):
    with open_store(tmp_path / "store.db") as opened:
        yield opened
