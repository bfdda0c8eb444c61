"""What ssh is told, and what it says of a host."""

from __future__ import annotations

import tempfile
from pathlib import Path

import pytest

from elat.core.errors import (
    ConfigError,
    DeviceMissingError,
    DeviceOfflineError,
    DeviceUnauthorisedError,
    UnavailableError,
)
from elat.devices.transports import LinkState, Transport
from elat.devices.transports.ssh import SshLink


@pytest.fixture
def runtime_folder():
    """A folder with a short path, as sockets need."""
    with tempfile.TemporaryDirectory(prefix="run", dir="/tmp") as name:
        yield Path(name)


@pytest.fixture
def program(tmp_path, monkeypatch, runtime_folder):
    """Makes an `ssh` of the lines given."""

    def write(text):
        path = tmp_path / "ssh"
        path.write_text(f"#!/bin/sh\n{text}\n")
        path.chmod(0o755)

    monkeypatch.setenv("XDG_RUNTIME_DIR", str(runtime_folder))
    monkeypatch.setenv("PATH", f"{tmp_path}:/usr/bin:/bin")
    return write


@pytest.mark.parametrize(
    ("said", "state", "error", "repair"),
    [
        (
            "ssh: connect to host pi port 22: No route to host",
            LinkState.OFFLINE,
            DeviceOfflineError,
            "ssh pi true",
        ),
        (
            "pi: Permission denied (publickey,password).",
            LinkState.UNAUTHORISED,
            DeviceUnauthorisedError,
            "ssh-copy-id pi",
        ),
        (
            "Host key verification failed.",
            LinkState.UNAUTHORISED,
            DeviceUnauthorisedError,
            "by hand: ssh pi",
        ),
        (
            "ssh: Could not resolve hostname pi: Name or service not known",
            LinkState.MISSING,
            DeviceMissingError,
            "card's host",
        ),
    ],
)
def test_a_host_that_is_not_reached_is_told_with_the_repair(program, said, state, error, repair):
    program(f'echo "a banner" >&2; echo "{said}" >&2; exit 255')
    board = Transport(SshLink("pi"))
    assert board.state() is state
    with pytest.raises(error, match=repair):
        board.run(["true"], 5)


def test_words_are_one_argument_behind_the_host(program):
    program('for word; do last=$word; done; [ "$last" = true ] || printf "%s|" "$@"')
    words = SshLink("ssh://pi@board:2222").words_here(["echo", "two words", "$(x)"])
    assert words[-3:] == ["--", "ssh://pi@board:2222", "echo 'two words' '$(x)'"]
    assert "-oBatchMode=yes" in words


def test_a_missing_client_is_told(monkeypatch, tmp_path):
    monkeypatch.setenv("PATH", str(tmp_path))
    with pytest.raises(UnavailableError, match="apt install openssh-client"):
        Transport(SshLink("pi")).run(["true"], 5)


def test_a_folder_for_sockets_that_others_may_enter_is_refused(program, runtime_folder):
    program("exit 0")
    SshLink("pi").words_here(["true"])
    (folder,) = runtime_folder.iterdir()
    folder.chmod(0o755)
    with pytest.raises(UnavailableError, match="open to other users"):
        SshLink("pi").words_here(["true"])


def test_sockets_have_short_paths_whatever_the_runtime_folder(program, tmp_path, monkeypatch):
    program("exit 0")
    long = tmp_path / ("x" * 80)
    long.mkdir()
    monkeypatch.setenv("XDG_RUNTIME_DIR", str(long))
    monkeypatch.setattr(tempfile, "tempdir", str(long))
    SshLink("pi").words_here(["true"])
    assert not list(long.iterdir())


@pytest.mark.parametrize(
    "section",
    [
        {},
        {"host": "-oProxyCommand=touch CANARY"},
        {"host": "pi;x"},
        {"host": "pi x"},
        {"host": "pi\n"},
        {"host": "ssh://-x"},
        {"host": "pi", "reboot": []},
        {"host": "pi", "folder": ""},
        {"host": "pi", "more": 1},
    ],
)
def test_a_section_that_is_none_is_refused(section):
    with pytest.raises(ConfigError, match="card"):
        SshLink.of(section, "card")


def test_a_section_names_the_host():
    assert SshLink.of({"host": "pi@10.0.0.3"}, "card").prefix == "ssh pi@10.0.0.3"
