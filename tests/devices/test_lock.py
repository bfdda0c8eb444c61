"""Locks of devices: between processes, between users, and against what others leave there."""

from __future__ import annotations

import os
import shutil
import stat
import subprocess
import sys
import tempfile
from collections.abc import Iterator
from contextlib import ExitStack, contextmanager
from pathlib import Path

import pytest

from elat.core.errors import DeviceInUseError, UnavailableError
from elat.devices import lock
from elat.devices.device import Device, device_of
from elat.devices.lock import device_lock
from elat.devices.reach import way_to

NOBODY = 65534
HOLD = """
import os, sys
from elat.devices.lock import device_lock
os.setuid(int(sys.argv[1]))
with device_lock(sys.argv[2]):
    print("held", flush=True)
    sys.stdin.read()
"""
needs_root = pytest.mark.skipif(os.getuid() != 0, reason="only root can be another user, too")


@pytest.fixture
def locks(monkeypatch):
    """A folder of locks to be, below one that every user can enter."""
    base = Path(tempfile.mkdtemp(prefix="elat-test-"))
    base.chmod(0o1777)
    monkeypatch.setenv("ELAT_LOCKS", str(base / "locks"))
    yield base / "locks"
    shutil.rmtree(base)


@contextmanager
def held_by(uid: int, name: str) -> Iterator[int]:
    """Another process of the user `uid` that holds `name`; its number."""
    words = [sys.executable, "-P", "-c", HOLD, str(uid), name]
    with subprocess.Popen(words, stdin=subprocess.PIPE, stdout=subprocess.PIPE) as holder:
        assert holder.stdin is not None
        assert holder.stdout is not None
        assert holder.stdout.readline() == b"held\n"
        yield holder.pid
        holder.stdin.close()
        assert holder.wait(20) == 0


def test_a_device_is_held_once_and_free_again_afterwards(locks):
    in_use = f"in use by the process {os.getpid()} of"
    for _ in range(2):
        with ExitStack() as held:
            for way in (("pi",), ("pi", "by another way"), ("other",)):
                held.enter_context(device_lock(*way))
            with pytest.raises(DeviceInUseError, match=in_use):
                device_lock("pi").__enter__()
    assert stat.S_IMODE(locks.stat().st_mode) == 0o1777


def test_another_process_is_named(locks):
    with (
        held_by(os.getuid(), "pi") as pid,
        pytest.raises(DeviceInUseError, match=f"process {pid}"),
    ):
        device_lock("pi").__enter__()
    with device_lock("pi"):
        pass


@needs_root
def test_another_user_is_named_and_either_one_can_take_what_the_other_one_left(locks):
    said = rf"pi is in use by the process \d+ of {lock._user(NOBODY)} of this machine"
    for first, second in ((NOBODY, 0), (0, NOBODY)):
        for uid in (first, second):
            with held_by(uid, f"pi {first}"):
                pass
    with held_by(NOBODY, "pi"), pytest.raises(DeviceInUseError, match=said):
        device_lock("pi").__enter__()
    with device_lock("pi"):
        ended = subprocess.run(
            [sys.executable, "-P", "-c", HOLD, str(NOBODY), "pi"], capture_output=True, text=True
        )
        assert f"in use by the process {os.getpid()} of {lock._user(0)}" in ended.stderr
    assert {path.stat().st_uid for path in locks.iterdir()} == {0, NOBODY}


@needs_root
def test_users_cannot_delete_the_locks_of_others(locks):
    with device_lock("pi"):
        (file,) = locks.iterdir()
        drop = "import os, sys; os.setuid(int(sys.argv[1])); os.unlink(sys.argv[2])"
        words = [sys.executable, "-c", drop, str(NOBODY), str(file)]
        assert "PermissionError" in subprocess.run(words, capture_output=True, text=True).stderr


@pytest.mark.parametrize("made", ["link", "folder", "pipe", "closed"])
def test_what_others_put_in_the_place_of_a_lock_is_refused_and_left_alone(locks, made, tmp_path):
    target = tmp_path / "target"
    target.write_text("precious")
    with device_lock("pi"):
        (file,) = locks.iterdir()
    file.unlink()
    {
        "link": lambda: file.symlink_to(target),
        "folder": file.mkdir,
        "pipe": lambda: os.mkfifo(file),
        "closed": lambda: file.touch(0),
    }[made]()
    if made == "closed" and os.getuid() == 0:
        with device_lock("pi"):
            return
    with pytest.raises(UnavailableError, match=f"{file.name} is no lock .* delete it: rm -r"):
        device_lock("pi").__enter__()
    assert target.read_text() == "precious"


def test_the_content_of_a_lock_is_never_read(locks):
    with device_lock("pi"):
        (file,) = locks.iterdir()
        file.chmod(0o644)
        file.write_text("1; the process of mallory\n" * 10)
        with pytest.raises(DeviceInUseError, match=f"in use by the process {os.getpid()} of"):
            device_lock("pi").__enter__()


@pytest.mark.parametrize("made", ["link", "file", "open to deletion", "closed"])
def test_a_folder_that_is_not_shared_safely_is_refused_with_its_owner(locks, made, tmp_path):
    tmp_path.chmod(0o1777)
    {
        "link": lambda: locks.symlink_to(tmp_path),
        "file": locks.touch,
        "open to deletion": lambda: (locks.mkdir(), locks.chmod(0o777)),
        "closed": lambda: locks.mkdir(0o700),
    }[made]()
    owner = lock._user(os.getuid())
    with pytest.raises(UnavailableError, match=rf"belongs to {owner}, who has to .* rm -r "):
        device_lock("pi").__enter__()
    assert list(tmp_path.iterdir()) == []


def test_a_lock_that_was_swept_away_meanwhile_is_taken_anew(locks, monkeypatch):
    real, count = lock._opened, 0

    def opened(path: Path) -> int:
        nonlocal count
        file, count = real(path), count + 1
        if count == 1:
            path.unlink()
        return file

    monkeypatch.setattr(lock, "_opened", opened)
    with device_lock("pi"):
        assert count == 2
        monkeypatch.setattr(lock, "_opened", real)
        with pytest.raises(DeviceInUseError):
            device_lock("pi").__enter__()


def test_where_the_kernel_does_not_tell_who_holds_it_is_another_process(locks, monkeypatch):
    monkeypatch.setattr(lock, "read_text", lambda _: None)
    with device_lock("pi"), pytest.raises(DeviceInUseError, match="in use by another process of"):
        device_lock("pi").__enter__()


def board(**ssh: object) -> Device:
    card = {"schema": 1, "id": "pi", "kind": "ssh", "runtime": {"name": "onnxruntime"}}
    return device_of({**card, "ssh": ssh}, "the card")


@pytest.mark.skipif(shutil.which("ssh") is None, reason="there is no ssh")
def test_a_board_is_one_device_whoever_logs_in_and_whatever_it_is_called(tmp_path):
    config = tmp_path / "config"
    config.write_text("Host ours\n  HostName pi.lab\n  User ada\nHost far\n  ProxyJump bob@gate")
    one = way_to(board(host="pi.lab", config=str(config)))
    for same in ({"host": "PI.lab", "user": "bob", "port": 22}, {"host": "ours"}):
        assert way_to(board(**same, config=str(config))) == one == "pi.lab:22"
    for other in ({"host": "pi.lab", "port": 2222}, {"host": "far"}):
        assert way_to(board(**other, config=str(config))) != one
    assert way_to(board(host="far", config=str(config))) == "far:22 by gate"
