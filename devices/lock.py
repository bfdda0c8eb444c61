"""One process of this machine at a time speaks to a device elsewhere."""

from __future__ import annotations

import fcntl
import os
import stat
import tempfile
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from ..core.artefact import sha256_of
from ..core.errors import DeviceInUseError, UnavailableError


@contextmanager
def device_lock(address: str, way: str = "") -> Iterator[None]:
    """Hold the device that is reached as `address`, whatever cards name it.

    Args:
        address: What it is called in messages.
        way: What else tells it from another device of that name, such as an ssh configuration.

    Raises:
        DeviceInUseError: Another process holds it.
        UnavailableError: Somebody else made the folder of the locks.
    """
    path = _folder() / sha256_of(f"{address}\n{way}")[:20]
    with path.open("a+") as file:
        try:
            fcntl.flock(file, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except BlockingIOError:
            file.seek(0)
            raise DeviceInUseError(
                f"{address} is in use by the process {file.read() or 'that has just begun'} of "
                "this machine; wait until it has ended, then give the command again."
            ) from None
        file.truncate(0)
        file.write(str(os.getpid()))
        file.flush()
        yield


def _folder() -> Path:
    """A folder for locks that only this user can enter."""
    folder = Path(tempfile.gettempdir()) / f"elat-locks-{os.getuid()}"
    folder.mkdir(mode=0o700, exist_ok=True)
    found = folder.lstat()
    is_ours = stat.S_ISDIR(found.st_mode) and found.st_uid == os.getuid()
    if not is_ours or stat.S_IMODE(found.st_mode) & 0o077:
        raise UnavailableError(
            f"{folder} is open to other users, who could hold devices; delete it: rm -r {folder}"
        )
    return folder
