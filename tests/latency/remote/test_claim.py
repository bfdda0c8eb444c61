"""A device driven from elsewhere: who holds it, for how long, and when it is free again."""

from __future__ import annotations

import os
import subprocess
import time
from pathlib import Path

import pytest

from elat.core.errors import DeviceInUseError, DeviceOfflineError, StorageFullError
from elat.devices.device import device_of
from elat.devices.transports import Transport
from elat.devices.transports.finished import Finished
from elat.devices.transports.local import LocalLink
from elat.latency.remote import claim
from elat.latency.remote.claim import VOID_MIN, claimed
from elat.latency.remote.patience import Patience

from ..shells import ShellFolder

BOOT = Path("/proc/sys/kernel/random/boot_id").read_text().strip()
NAME = "$(touch owned) `id` ; 'a' \"b\" \\n *"


class Claims(ShellFolder):
    """The shell programs, asked in a work folder."""

    @property
    def by(self):
        return self.folder / "claim" / "by"

    def takes(self, owner):
        """The exit code, and what is said of another owner."""
        done = self.ask(claim.TAKE, owner, str(VOID_MIN))
        assert done.stderr == b""
        return done.returncode, done.stdout.decode()

    def age(self, minutes):
        """Let the claim be so old."""
        when = time.time() - 60 * minutes
        os.utime(self.folder / "claim", (when, when))

    def age_s(self):
        return time.time() - (self.folder / "claim").stat().st_mtime


@pytest.fixture
def claims(shell, tmp_path):
    return Claims(shell, tmp_path)


def test_one_owner_has_it_and_is_named_to_the_others(claims):
    assert claims.takes(NAME) == (0, "")
    assert claims.by.read_text() == f"{BOOT}\n{NAME}\n"
    assert claims.takes("bob") == (75, NAME)
    assert claims.takes(NAME) == (0, "")
    assert claims.by.read_text() == f"{BOOT}\n{NAME}\n"
    assert [path.name for path in claims.folder.iterdir()] == ["claim"]


def test_what_nobody_renews_is_void_after_a_while(claims):
    claims.takes("ada")
    claims.age(VOID_MIN - 2)
    assert claims.takes("bob") == (75, "ada")
    claims.age(VOID_MIN + 1)
    assert claims.takes("bob") == (0, "")
    assert claims.takes("ada") == (75, "bob")


def test_a_restart_frees_it(claims):
    claims.takes("ada")
    claims.by.write_text(claims.by.read_text().replace(BOOT, BOOT[::-1]))
    assert claims.takes("bob") == (0, "")


def test_one_that_is_just_being_made_is_respected_and_half_a_one_is_not(claims):
    (claims.folder / "claim").mkdir()
    assert claims.takes("bob") == (75, "another machine")
    claims.age(2)
    assert claims.takes("bob") == (0, "")


def test_only_its_owner_renews_it(claims):
    claims.ask(claim.RENEW, "ada")
    assert list(claims.folder.iterdir()) == []
    claims.takes("ada")
    claims.age(5)
    claims.ask(claim.RENEW, "bob")
    assert claims.age_s() > 200
    assert claims.ask(claim.RENEW, "ada").returncode == 0
    assert claims.age_s() < 100


def test_only_its_owner_gives_it_up(claims):
    assert claims.ask(claim.GIVE_UP, "ada").returncode == 0
    claims.takes("ada")
    claims.ask(claim.GIVE_UP, "bob")
    assert claims.takes("bob") == (75, "ada")
    claims.ask(claim.GIVE_UP, "ada")
    assert list(claims.folder.iterdir()) == []


def test_a_folder_that_cannot_be_made_is_no_claim_of_another(claims):
    (claims.folder / "few").mkdir()
    (claims.folder / "few" / "mkdir").write_text(
        '#!/bin/sh\necho "mkdir: claim: No space left on device" >&2\nexit 1\n'
    )
    (claims.folder / "few" / "mkdir").chmod(0o755)
    path = f"{claims.folder / 'few'}:{os.environ['PATH']}"
    done = claims.ask(claim.TAKE, "ada", "15", path=path)
    assert (done.returncode, done.stdout) == (1, b"")
    assert b"No space left" in done.stderr


def test_of_many_at_once_one_has_it(tmp_path):
    tries = [
        subprocess.Popen(["sh", "-c", claim.TAKE, "elat", f"owner {n}", "15"], cwd=tmp_path)
        for n in range(16)
    ]
    assert sorted(one.wait() for one in tries) == [0] + 15 * [75]


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
        folder = tmp_path / "work" / "claim"
        with hold(renew_s=0.05):
            for _ in range(2):
                os.utime(folder, (0, 0))
                deadline = time.monotonic() + 30
                while folder.stat().st_mtime == 0 and time.monotonic() < deadline:
                    time.sleep(0.02)
                assert time.time() - folder.stat().st_mtime < 60

    def test_a_device_that_is_away_meanwhile_is_asked_again(self, hold, transport, monkeypatch):
        asked, run = [], Transport.run

        def away_at_first(self, command, *limits, **options):
            if command[2] == claim.RENEW:
                asked.append(command)
                if len(asked) < 3:
                    raise DeviceOfflineError("off")
            return run(self, command, *limits, **options)

        monkeypatch.setattr(Transport, "run", away_at_first)
        with hold(renew_s=0.01):
            deadline = time.monotonic() + 30
            while len(asked) < 3 and time.monotonic() < deadline:
                time.sleep(0.01)
        assert len(asked) >= 3

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
        with claimed(here, transport, Patience("here", lambda _: None)):
            assert not (tmp_path / "work" / "claim").exists()
