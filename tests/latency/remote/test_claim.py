"""A device driven from elsewhere: who holds it, for how long, and when it is free again."""

from __future__ import annotations

import os
import shutil
import subprocess
import time
from pathlib import Path

import pytest

from elat.core.errors import (
    DeviceInUseError,
    DeviceOfflineError,
    StorageFullError,
    UnavailableError,
)
from elat.devices.device import device_of
from elat.devices.transports import Transport
from elat.devices.transports.finished import Finished
from elat.devices.transports.local import LocalLink
from elat.latency.remote import claim
from elat.latency.remote.claim import VOID_S, Claimed, claimed
from elat.latency.remote.patience import Patience

from ..shells import ShellFolder

BOOT = Path("/proc/sys/kernel/random/boot_id").read_text().strip()
NAME = "$(touch owned) `id` ; 'a' \"b\" \\n *"


def uptime_s():
    return int(Path("/proc/uptime").read_text().partition(".")[0])


class Claims(ShellFolder):
    """The shell programs, asked in a work folder."""

    @property
    def file(self):
        return self.folder / "claim"

    def asks(self, script, owner, token="0", **options):
        """The exit code, and what is said of another owner."""
        done = self.ask(script, owner, token, str(VOID_S), **options)
        assert done.stderr == b""
        assert not (self.folder / "claim.busy").exists()
        return done.returncode, done.stdout.decode()

    def takes(self, owner, token="0"):
        return self.asks(claim.TAKE, owner, token)

    def write(self, owner, age=0, boot=BOOT, token="0"):
        """Let `owner` have it, as one that was renewed `age` seconds ago."""
        since = age if isinstance(age, str) else uptime_s() - age
        self.file.write_text(f"{boot} {since}\n{owner}\n{token}\n")

    @property
    def owner(self):
        return self.file.read_text().split("\n")[1]


@pytest.fixture
def claims(shell, tmp_path):
    return Claims(shell, tmp_path)


@pytest.fixture
def hurry(tmp_path_factory):
    """A path on which waiting takes no time; BusyBox waits all the same."""
    folder = tmp_path_factory.mktemp("hurry")
    (folder / "sleep").symlink_to(shutil.which("true"))
    return f"{folder}:{os.environ['PATH']}"


def test_one_owner_has_it_and_is_named_to_the_others(claims):
    before = uptime_s()
    assert claims.takes(NAME, "a") == (0, "")
    boot, since, *rest = claims.file.read_text().replace(" ", "\n", 1).split("\n")
    assert (boot, rest) == (BOOT, [NAME, "a", ""])
    assert before <= int(since) <= uptime_s()
    assert claims.takes("bob") == (75, NAME)
    assert claims.takes(NAME, "b") == (0, "")
    assert claims.file.read_text().endswith(f"\n{NAME}\nb\n")
    assert [path.name for path in claims.folder.iterdir()] == ["claim"]


def test_what_nobody_renews_is_void_after_a_while(claims):
    claims.write("ada", VOID_S - 60)
    assert claims.takes("bob") == (75, "ada")
    claims.write("ada", VOID_S + 5)
    assert claims.takes("bob") == (0, "")
    assert claims.takes("ada") == (75, "bob")


def test_a_restart_frees_it(claims):
    claims.write("ada", boot=BOOT[::-1])
    assert claims.takes("bob") == (0, "")


def test_one_who_goes_on_after_a_restart_has_it_again(claims):
    claims.write("ada", boot=BOOT[::-1])
    assert claims.asks(claim.RENEW, "ada") == (0, "")
    assert claims.takes("bob") == (75, "ada")


@pytest.mark.parametrize("since", ["", "x", "-5", "007", "1 2", "9" * 40, "$(id)", "99999999"])
def test_a_time_that_is_none_makes_no_claim(claims, since):
    claims.write("ada", since)
    assert claims.takes("bob") == (0, "")
    assert claims.owner == "bob"


def test_where_time_is_not_told_it_is_respected(claims):
    claims.write("ada", "-")
    assert claims.takes("bob") == (75, "ada")


def put(path, what, elsewhere):
    """Have `what` at `path`, which nobody of elat puts there."""
    if what == "folder":
        (path / "x").mkdir(parents=True)
    elif what == "link to a folder":
        path.symlink_to(elsewhere)
    elif what == "link to a file":
        path.symlink_to(elsewhere / "file")
    elif what == "pipe":
        os.mkfifo(path)
    else:
        path.touch()


@pytest.mark.parametrize("name", ["claim", "claim.new", "claim.busy"])
@pytest.mark.parametrize(
    "what", ["empty file", "folder", "link to a folder", "link to a file", "pipe"]
)
def test_what_is_no_claim_is_replaced_and_no_link_is_followed(tmp_path, hurry, name, what):
    elsewhere, work = tmp_path / "elsewhere", tmp_path / "work"
    elsewhere.mkdir()
    (elsewhere / "file").write_text(f"{BOOT} {uptime_s()}\nada\n0\n")
    work.mkdir()
    put(work / name, what, elsewhere)
    claims = Claims(["sh"], work)
    assert claims.asks(claim.TAKE, "bob", path=hurry) == (0, "")
    assert claims.owner == "bob"
    assert claims.asks(claim.GIVE_UP, "bob") == (0, "")
    assert list(work.iterdir()) == []
    assert [path.name for path in elsewhere.iterdir()] == ["file"]
    assert "ada" in (elsewhere / "file").read_text()


def test_renewing_gives_another_while(claims):
    claims.write("ada", VOID_S - 60)
    assert claims.asks(claim.RENEW, "bob") == (75, "ada")
    assert int(claims.file.read_text().split()[1]) < uptime_s() - 600
    assert claims.asks(claim.RENEW, "ada") == (0, "")
    assert int(claims.file.read_text().split()[1]) > uptime_s() - 100


def test_one_that_lost_it_has_it_again_or_is_told_who_has_it(claims):
    claims.write("ada", VOID_S + 5)
    assert claims.asks(claim.RENEW, "ada") == (0, "")
    claims.file.unlink()
    assert claims.asks(claim.RENEW, "ada") == (0, "")
    assert claims.owner == "ada"
    claims.write("bob")
    assert claims.asks(claim.RENEW, "ada") == (75, "bob")
    assert claims.owner == "bob"


def test_an_earlier_process_of_its_owner_neither_renews_it_nor_gives_it_up(claims):
    claims.takes("ada", "new")
    text = claims.file.read_text()
    assert claims.asks(claim.RENEW, "ada", "old") == (75, "ada")
    assert claims.asks(claim.GIVE_UP, "ada", "old") == (0, "")
    assert claims.file.read_text() == text


def test_only_its_owner_gives_it_up(claims):
    assert claims.asks(claim.GIVE_UP, "ada") == (0, "")
    claims.takes("ada")
    assert claims.asks(claim.GIVE_UP, "bob") == (75, "ada")
    assert claims.owner == "ada"
    assert claims.asks(claim.GIVE_UP, "ada") == (0, "")
    assert list(claims.folder.iterdir()) == []


def test_a_command_that_was_killed_at_it_blocks_nobody_for_long(claims, hurry):
    (claims.folder / "claim.busy").mkdir()
    assert claims.asks(claim.TAKE, "ada", path=hurry) == (0, "")


@pytest.mark.parametrize("name", ["mkdir", "mv"])
def test_a_full_disk_is_no_claim_of_another(claims, name):
    few = claims.folder / "few"
    few.mkdir()
    (few / name).write_text('#!/bin/sh\necho "claim: No space left on device" >&2\nexit 1\n')
    (few / name).chmod(0o755)
    claims.write("ada", VOID_S + 5)
    words = ("bob", "0", str(VOID_S))
    done = claims.ask(claim.TAKE, *words, path=f"{few}:{os.environ['PATH']}")
    if claims.shell[0] == "busybox":
        return  # It has programs of its own.
    assert (done.returncode, done.stdout) == (1, b"")
    assert b"No space left" in done.stderr
    assert claims.owner == "ada"
    assert {path.name for path in claims.folder.iterdir()} == {"claim", "few"}


@pytest.mark.parametrize("age", [None, VOID_S + 5])
def test_of_many_at_once_one_has_it(tmp_path, age):
    claims = Claims(["sh"], tmp_path)
    if age is not None:
        claims.write("ada", age)
    words = ["sh", "-c", claim.TAKE, "elat"]
    tries = [
        subprocess.Popen([*words, f"owner {n}", str(n), str(VOID_S)], cwd=tmp_path)
        for n in range(4)
    ]
    assert sorted(one.wait() for one in tries) == [0] + 3 * [75]


def eventually(is_so, limit_s=30):
    """Whether `is_so` says yes before the limit."""
    deadline = time.monotonic() + limit_s
    while time.monotonic() < deadline:
        if is_so():
            return True
        time.sleep(0.02)
    return False


class TestDevices:
    @pytest.fixture
    def device(self):
        return device_of(
            {
                "schema": 1,
                "id": "pi5",
                "kind": "ssh",
                "runtime": {"name": "tflite"},
                "ssh": {"host": "pi5.invalid"},
            },
            "the card",
        )

    @pytest.fixture
    def transport(self, tmp_path):
        return Transport(LocalLink(str(tmp_path / "work")))

    @pytest.fixture
    def hold(self, device, transport, monkeypatch):
        """Holds the device from the machine of a name."""

        def hold(name="desk", **options):
            monkeypatch.setattr(claim, "host_identity", lambda: name)
            patience = Patience(device.id, lambda _: None)
            return claimed(device, transport, patience, **options)

        return hold

    def test_another_machine_is_told_who_measures(self, hold, tmp_path):
        with hold("desk\x1b[31m"):
            said = r"^pi5 is in use from desk\[31m by pi5\.invalid:22; wait until that has ended"
            with pytest.raises(DeviceInUseError, match=said), hold("laptop"):
                pass
        with hold("laptop"):
            pass
        assert list((tmp_path / "work").iterdir()) == []

    def test_an_interrupt_gives_it_up(self, hold, tmp_path):
        with pytest.raises(KeyboardInterrupt), hold():
            raise KeyboardInterrupt
        assert list((tmp_path / "work").iterdir()) == []

    def test_whoever_was_killed_takes_it_over(self, hold, tmp_path):
        left = hold()
        left.__enter__()
        with hold():
            assert (tmp_path / "work" / "claim").exists()

    def test_it_is_renewed_for_as_long_as_it_is_held(self, hold, tmp_path):
        file = tmp_path / "work" / "claim"
        with hold(renew_s=0.05):
            for _ in range(2):
                file.write_text(file.read_text().replace(BOOT, BOOT[::-1]))
                assert eventually(lambda: BOOT in file.read_text())

    @pytest.mark.parametrize(
        "error", [DeviceOfflineError("off"), OSError("none"), ValueError("?")]
    )
    def test_whatever_is_in_the_way_once_it_is_renewed_later(
        self, hold, transport, monkeypatch, error
    ):
        asked, run = [], Transport.run

        def away_at_first(self, command, *limits, **options):
            if command[2] == claim.RENEW:
                asked.append(command)
                if len(asked) < 3:
                    raise error
            return run(self, command, *limits, **options)

        monkeypatch.setattr(Transport, "run", away_at_first)
        with hold(renew_s=0.01):
            assert eventually(lambda: len(asked) >= 3)

    def test_one_that_was_away_too_long_does_not_go_on(self, hold, tmp_path):
        file = tmp_path / "work" / "claim"
        with hold() as held:
            place = Claimed(("true",), held)
            place.ensure_held()
            file.write_text(f"{BOOT} {uptime_s()}\nlaptop\n1\n")
            with pytest.raises(DeviceInUseError, match=r"^pi5 was out of .* from laptop now\."):
                place.ensure_held()
        assert "laptop" in file.read_text()

    def test_one_that_is_away_is_left_to_whoever_asks_it_next(self, hold, monkeypatch):
        def away(*_: object, **__: object) -> Finished:
            raise DeviceOfflineError("off")

        with hold() as held:
            monkeypatch.setattr(Transport, "run", away)
            held.check()

    def test_a_device_that_is_gone_at_the_end_hides_nothing(self, hold, monkeypatch):
        run = Transport.run

        def gone(self, command, *limits, **options):
            if command[2] == claim.GIVE_UP:
                raise UnavailableError("no ssh")
            return run(self, command, *limits, **options)

        monkeypatch.setattr(Transport, "run", gone)
        with pytest.raises(KeyError, match="a"), hold():
            raise KeyError("a")

    def test_a_full_one_is_said_to_be_full(self, hold, monkeypatch):
        full = Finished(("sh",), "pi5", 1, b"", b"mkdir: claim: No space left on device\n")
        monkeypatch.setattr(Transport, "run", lambda *_, **__: full)
        with pytest.raises(StorageFullError), hold():
            pass

    def test_this_machine_needs_none(self, transport, tmp_path):
        here = device_of(
            {"schema": 1, "id": "here", "kind": "local_cpu", "runtime": {"name": "tflite"}},
            "the card",
        )
        with claimed(here, transport, Patience("here", lambda _: None)) as held:
            held.check()
            assert not (tmp_path / "work" / "claim").exists()
