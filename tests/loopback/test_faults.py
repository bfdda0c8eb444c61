"""What goes wrong on devices: the right class, one sentence, and nothing lost or half there."""

from __future__ import annotations

import os
import subprocess
import threading
import time

import pytest

from elat.core.errors import (
    CommandFailedError,
    ConnectionLostError,
    DeviceHangError,
    DeviceMissingError,
    DeviceOfflineError,
    DeviceUnauthorisedError,
    Retry,
    StorageFullError,
    TransportError,
)
from elat.devices.transports import LinkState, Transport
from elat.devices.transports.adb import AdbLink
from elat.devices.transports.ssh import SshLink

from . import sshd
from .waiting import when_ended

MEGABYTE = ["head", "-c", "1000000", "/dev/zero"]


def refused(error: type[TransportError], work) -> TransportError:
    """What `work` raises, which is one sentence with a repair behind the last colon."""
    with pytest.raises(error) as caught:
        work()
    text = str(caught.value)
    assert "\n" not in text
    assert len(text) < 500
    assert caught.type is error
    return caught.value


@pytest.fixture
def source(tmp_path):
    path = tmp_path / "source"
    path.write_bytes(os.urandom(1_000_000))
    return path


# --- a phone behind adb


def test_a_phone_whose_cable_is_out_is_offline_and_comes_back(adb, loop_phone, adb_server):
    loop_phone.pull()
    error = refused(DeviceOfflineError, lambda: adb.transport.run(["true"], 5))
    assert error.retry is Retry.LATER
    assert adb.transport.state() is LinkState.OFFLINE
    loop_phone.plug_in()
    adb_server.connect(loop_phone)
    assert adb.transport.run(["true"], 20).exit_code == 0


def test_a_phone_that_was_never_connected_is_missing(adb_server):
    phone = Transport(AdbLink("127.0.0.1:1", "/data/local/tmp/elat"))
    assert phone.state() is LinkState.MISSING
    assert refused(DeviceMissingError, lambda: phone.run(["true"], 5)).retry is Retry.LATER


def test_a_phone_that_nobody_allowed_is_unauthorised(adb, loop_phone, adb_server, source):
    loop_phone.faults.is_unauthorised = True
    adb_server.connect(loop_phone)
    assert adb.transport.state() is LinkState.UNAUTHORISED
    for work in (
        lambda: adb.transport.run(["true"], 5),
        lambda: adb.transport.push(source, "name", 5),
    ):
        assert refused(DeviceUnauthorisedError, work).retry is Retry.NEVER


def test_a_phone_that_hangs_is_given_up(adb, loop_phone):
    loop_phone.faults.is_hanging = True
    error = refused(DeviceHangError, lambda: adb.transport.run(["true"], 0.5))
    assert error.retry is Retry.AT_ONCE
    assert adb.transport.state() is LinkState.DEVICE


@pytest.mark.parametrize("limit", [0, 1, 1000])
def test_an_output_that_breaks_off_is_no_answer(adb, loop_phone, limit):
    loop_phone.faults.truncated_after = limit
    error = refused(ConnectionLostError, lambda: adb.transport.run(["echo", "x" * 2000], 20))
    assert error.retry is Retry.AT_ONCE
    loop_phone.faults.truncated_after = None
    assert len(adb.transport.run(["echo", "x" * 2000], 20).text) == 2001


def test_an_old_phone_has_exit_codes_and_line_ends_too(
    adb, loop_phone, adb_server, source, tmp_path
):
    loop_phone.faults.is_old = True
    adb_server.connect(loop_phone)
    ended = adb.transport.run(["sh", "-c", r"printf 'a\r\nb\n'; echo err >&2; exit 7"], 20)
    assert (ended.exit_code, ended.is_merged) == (7, True)
    assert sorted(ended.stdout.split(b"\n")) == [b"", b"a\r", b"b", b"err"]
    assert "err" in str(ended.failure())
    adb.transport.push(source, "a/b", 20)
    adb.transport.pull("a/b", tmp_path / "back", 20)
    assert (tmp_path / "back").read_bytes() == source.read_bytes()
    adb.transport.start("job", ["sh", "-c", "exit 5"])
    assert when_ended(adb.transport, "job").exit_code == 5


def test_a_full_phone_keeps_what_it_has(adb, loop_phone, source):
    adb.transport.push(source, "name", 20)
    before = (adb.folder / "name").read_bytes()
    loop_phone.faults.is_full = True
    source.write_bytes(b"other")
    error = refused(StorageFullError, lambda: adb.transport.push(source, "name", 20))
    assert error.retry is Retry.NEVER
    assert [path.name for path in adb.folder.iterdir()] == ["name"]
    assert (adb.folder / "name").read_bytes() == before


@pytest.mark.parametrize("verb", ["push", "pull", "run"])
def test_a_cable_pulled_in_the_middle_leaves_nothing_half(
    adb, loop_phone, adb_server, source, tmp_path, verb
):
    adb.transport.push(source, "old", 20)
    (tmp_path / "back").write_text("old")
    loop_phone.faults.cable_after = 300_000
    adb_server.connect(loop_phone)
    work = {
        "push": lambda: adb.transport.push(source, "new", 20),
        "pull": lambda: adb.transport.pull("old", tmp_path / "back", 20),
        "run": lambda: adb.transport.run(MEGABYTE, 20),
    }[verb]
    with pytest.raises((ConnectionLostError, DeviceOfflineError)) as caught:
        work()
    assert caught.value.retry is not Retry.NEVER
    assert (tmp_path / "back").read_text() == "old"
    assert not (adb.folder / "new").exists()
    loop_phone.faults.cable_after = None
    adb_server.connect(loop_phone)
    work()


def test_a_restart_in_the_middle_is_told_and_waited_for(adb, loop_phone):
    loop_phone.faults.reboot_s = 0.3
    adb.transport.reboot(30)
    assert loop_phone.reboots == 1
    caught = []

    def run():
        with pytest.raises((ConnectionLostError, DeviceOfflineError)) as found:
            adb.transport.run(["sleep", "60"], 60)
        caught.append(found.value)

    thread = threading.Thread(target=run)
    thread.start()
    time.sleep(0.5)
    adb.transport.reboot(30)
    thread.join(30)
    assert caught[0].retry is not Retry.NEVER
    assert adb.transport.run(["true"], 20).exit_code == 0


# --- a machine behind ssh


def test_a_host_whose_cable_is_out_is_offline_and_comes_back(ssh, ssh_server):
    ssh.transport.run(["true"], 20)
    ssh_server.cable.pull()
    assert refused(DeviceOfflineError, lambda: ssh.transport.run(["true"], 5)).retry is Retry.LATER
    assert ssh.transport.state() is LinkState.OFFLINE
    ssh_server.cable.plug_in()
    assert ssh.transport.run(["true"], 20).exit_code == 0


@pytest.mark.slow
def test_a_network_that_swallows_everything_is_offline(ssh_server, tmp_path, ssh):
    host = SshLink(sshd.HOST, str(tmp_path / "work"), ssh_server.config, connect_timeout_s=1)
    ssh.transport.run(["true"], 20)
    ssh_server.cable.is_stalled = True
    try:
        refused(DeviceOfflineError, lambda: Transport(host).run(["true"], 0.5))
    finally:
        ssh_server.cable.is_stalled = False
    assert ssh.transport.run(["true"], 20).exit_code == 0


@pytest.mark.parametrize(
    ("host", "said"), [(sshd.STRANGER, "ssh-copy-id"), (sshd.UNKNOWN_KEY, "compare it")]
)
def test_a_host_that_lets_nobody_in_is_unauthorised(ssh, ssh_server, host, said):
    stranger = Transport(SshLink(host, str(ssh.folder), ssh_server.config))
    assert stranger.state() is LinkState.UNAUTHORISED
    error = refused(DeviceUnauthorisedError, lambda: stranger.run(["true"], 5))
    assert error.retry is Retry.NEVER
    assert said in str(error)


def test_a_command_that_hangs_on_a_host_is_given_up(ssh):
    ssh.transport.run(["true"], 20)
    refused(DeviceHangError, lambda: ssh.transport.run(["sleep", "100"], 0.5))
    assert ssh.transport.state() is LinkState.DEVICE


def test_a_process_goes_on_when_another_call_is_given_up(ssh):
    ssh.transport.run(["true"], 20)
    with subprocess.Popen(
        ssh.transport.command_here(["cat"]), stdin=subprocess.PIPE, stdout=subprocess.PIPE
    ) as process:
        assert process.stdin is not None
        assert process.stdout is not None
        refused(DeviceHangError, lambda: ssh.transport.run(["sleep", "100"], 0.5))
        process.stdin.write(b"still here")
        process.stdin.close()
        assert process.stdout.read() == b"still here"


@pytest.mark.slow
def test_a_host_on_which_everything_hangs_is_offline(ssh, ssh_server):
    ssh.transport.close()
    stuck = Transport(SshLink(sshd.HOST, str(ssh.folder), ssh_server.config, connect_timeout_s=1))
    with ssh_server.fault("hang"):
        error = refused(DeviceOfflineError, lambda: stuck.run(["true"], 0.5))
    assert "is silent" in str(error)


def test_an_output_of_a_host_that_breaks_off_is_no_answer(ssh, ssh_server, tmp_path, source):
    ssh.transport.push(source, "old", 20)
    for work in (
        lambda: ssh.transport.run(MEGABYTE, 20),
        lambda: ssh.transport.pull("old", tmp_path / "back", 20),
    ):
        ssh_server.cable.cut_after = 100_000
        assert refused(ConnectionLostError, work).retry is Retry.AT_ONCE
        assert not (tmp_path / "back").exists()
        work()
        (tmp_path / "back").unlink(missing_ok=True)


def test_a_terminal_in_between_changes_nothing(ssh, ssh_server):
    with ssh_server.fault("terminal"):
        ended = ssh.transport.run(["printf", r"a\r\nb\n"], 20)
    assert (ended.stdout, ended.is_merged) == (b"a\r\nb\n", True)


def test_a_full_host_keeps_what_it_has(ssh, ssh_server, source):
    ssh.transport.push(source, "name", 20)
    before = (ssh.folder / "name").read_bytes()
    source.write_bytes(b"other")
    with ssh_server.fault("full"):
        error = refused(StorageFullError, lambda: ssh.transport.push(source, "name", 20))
    assert error.retry is Retry.NEVER
    assert [path.name for path in ssh.folder.iterdir()] == ["name"]
    assert (ssh.folder / "name").read_bytes() == before


def test_a_host_is_restarted_by_its_card_and_waited_for(ssh_server, tmp_path, ssh):
    restart = tmp_path / "restart"
    link = SshLink(
        sshd.HOST, str(ssh.folder), ssh_server.config, ("touch", str(restart)), connect_timeout_s=5
    )

    def pull_and_plug_in():
        while not restart.exists():
            time.sleep(0.02)
        ssh_server.cable.pull()
        time.sleep(0.5)
        ssh_server.cable.plug_in()

    machine = threading.Thread(target=pull_and_plug_in)
    machine.start()
    Transport(link).reboot(30)
    machine.join(30)


def test_a_machine_that_may_not_be_restarted_or_does_not_is_told(ssh_server, ssh):
    def link(*words):
        return Transport(SshLink(sshd.HOST, str(ssh.folder), ssh_server.config, words))

    script = "echo sudo: a password is required >&2; exit 1"
    error = refused(CommandFailedError, lambda: link("sh", "-c", script).reboot(20))
    assert "password is required" in str(error)
    seconds = iter(range(100))
    with pytest.raises(DeviceHangError, match="went on answering"):
        link("true").reboot(3, sleep=lambda _: None, clock_s=lambda: next(seconds))


# --- both


@pytest.mark.parametrize("registered", ["adb", "ssh"])
def test_a_job_outlives_the_cable(way, registered, request, tmp_path):
    gate = tmp_path / "gate"
    script = 'while [ ! -e "$1" ]; do sleep 0.05; done; echo done; exit 3'
    way.transport.start("job", ["sh", "-c", script, "x", str(gate)])
    if registered == "adb":
        cable = request.getfixturevalue("loop_phone")
    else:
        cable = request.getfixturevalue("ssh_server").cable
    cable.pull()
    refused(DeviceOfflineError, lambda: way.transport.poll("job"))
    gate.touch()
    cable.plug_in()
    if registered == "adb":
        request.getfixturevalue("adb_server").connect(cable)
    assert when_ended(way.transport, "job").exit_code == 3
    way.transport.pull("job/stdout", tmp_path / "back", 20)
    assert (tmp_path / "back").read_text() == "done\n"
