"""One process at a time uses a device, whoever started it: all users of a machine see the locks.

Nothing that others wrote is read: a lock is an empty file, its name is a hash, and who holds it is
asked of the kernel.
"""

from __future__ import annotations

import fcntl
import os
import pwd
import secrets
import stat
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from pathlib import Path

from ..core.artefact import sha256_of
from ..core.errors import DeviceInUseError, UnavailableError
from .files import read_text

_FOLDER = "/tmp/elat-locks"
_FOLDER_MODE, _FILE_MODE = 0o1777, 0o444
_TRIES = 20


@contextmanager
def device_lock(address: str, way: str = "") -> Iterator[None]:
    """Hold the device that is reached as `address`, whatever cards and users name it.

    The locks are in `/tmp/elat-locks`, or in the folder that `ELAT_LOCKS` names.

    Args:
        address: What it is called in messages.
        way: What else tells it from another device of that name.

    Raises:
        DeviceInUseError: Another process holds it.
        UnavailableError: The folder of the locks, or the lock, is not what it should be.
    """
    held = _held(_folder(), address, sha256_of(f"{address}\n{way}")[:20])
    try:
        yield
    finally:
        os.close(held)


def _held(folder: Path, address: str, key: str) -> int:
    """An open file whose lock is ours."""
    for _ in range(_TRIES):
        file = _opened(folder / key)
        try:
            fcntl.flock(file, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except BlockingIOError:
            holder = _holder(file)
            os.close(file)
            raise DeviceInUseError(
                f"{address} is in use by {holder} of this machine; wait until it has ended, then "
                "give the command again."
            ) from None
        if _is_still(folder / key, file):
            return file
        os.close(file)
    raise UnavailableError(f"{folder / key} is deleted again and again; see: ls -l {folder}")


def _opened(path: Path) -> int:
    """The lock's file, made where there is none.

    It is not opened for writing: files in a shared folder belong to whoever came first.

    Raises:
        UnavailableError: It is no plain file, or is kept from this user.
    """
    flags = os.O_RDONLY | os.O_NOFOLLOW | os.O_NONBLOCK | os.O_CLOEXEC
    for _ in range(_TRIES):
        with suppress(FileExistsError):
            os.close(os.open(path, flags | os.O_CREAT | os.O_EXCL, _FILE_MODE))
        try:
            file = os.open(path, flags)
        except FileNotFoundError:
            continue
        except OSError as error:
            raise _strange(path) from error
        if stat.S_ISREG(os.fstat(file).st_mode):
            return file
        os.close(file)
        raise _strange(path)
    raise UnavailableError(f"{path} is deleted again and again; see: ls -l {path.parent}")


def _is_still(path: Path, file: int) -> bool:
    """Whether the open file is still the one that others find: old files are swept from /tmp."""
    with suppress(FileNotFoundError):
        return os.path.samestat(path.lstat(), os.fstat(file))
    return False


def _holder(file: int) -> str:
    """The process that holds the lock of `file`, and whose it is, as far as the kernel tells."""
    inode = str(os.fstat(file).st_ino)
    for line in (read_text(Path("/proc/locks")) or "").splitlines():
        match line.split():
            case [_, "FLOCK", _, "WRITE", pid, where, *_] if where.rpartition(":")[2] == inode:
                return _described(pid)
    return "another process"


def _described(pid: str) -> str:
    try:
        uid = Path("/proc", pid).stat().st_uid
    except OSError:
        return "another process"
    return f"the process {pid}" + ("" if uid == os.getuid() else f" of {_user(uid)}")


def _user(uid: int) -> str:
    try:
        return pwd.getpwuid(uid).pw_name
    except KeyError:
        return f"the user {uid}"


def _strange(path: Path) -> UnavailableError:
    with suppress(FileNotFoundError):
        owner = _user(path.lstat().st_uid)
        return UnavailableError(
            f"{path} is no lock that this user can take, and belongs to {owner}, who has to "
            f"delete it: rm -r {path}"
        )
    return UnavailableError(f"{path} cannot be opened; see: ls -l {path.parent}")


def _folder() -> Path:
    """The folder of the locks: all may add files, and none delete those of others.

    Raises:
        UnavailableError: It is something else.
    """
    folder = Path(os.environ.get("ELAT_LOCKS", _FOLDER))
    if not folder.is_symlink() and not folder.exists():
        _make(folder)
    found = folder.lstat()
    if stat.S_ISDIR(found.st_mode) and stat.S_IMODE(found.st_mode) == _FOLDER_MODE:
        return folder
    raise UnavailableError(
        f"{folder} is no folder that all users share safely, and belongs to "
        f"{_user(found.st_uid)}, who has to delete it: rm -r {folder}"
    )


def _make(folder: Path) -> None:
    """Make `folder` with its mode at once: nobody sees it with another one."""
    new = folder.with_name(f"{folder.name}-{secrets.token_hex(8)}")
    new.mkdir()
    new.chmod(_FOLDER_MODE)
    try:
        new.rename(folder)
    except OSError:
        # Another process was faster.
        new.rmdir()
