"""What elat keeps in a board's work folder, and what of it nobody has used for a month."""

from __future__ import annotations

import fcntl
import os
import re
import shutil
import stat
import time
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from pathlib import Path

from ...devices.checks.check import Check, passed
from . import lent
from .bundle import FOLDER

KEPT_S = 30 * 86_400.0
"""How long a copy of elat is kept that nobody uses."""

_COPY = re.compile(r"elat-[0-9A-Za-z.+!]+-[0-9a-f]{16}(\.new)?")
_OPEN = os.O_RDONLY | os.O_DIRECTORY | os.O_NOFOLLOW | os.O_CLOEXEC


@contextmanager
def in_use(copy: Path) -> Iterator[None]:
    """Marks the copy of elat in the folder `copy` as used: now, and for as long as this lasts."""
    folder = os.open(copy, _OPEN)
    try:
        fcntl.flock(folder, fcntl.LOCK_SH)
        if _COPY.fullmatch(copy.name):
            os.utime(folder)
        yield
    finally:
        os.close(folder)


def sweep(work: Path, now_s: float | None = None) -> int:
    """Delete what nobody has used in `work` for `KEPT_S`; returns how many things that were.

    Copies of elat and loans; only this user's, and none that is in use however long ago it began.

    Args:
        work: The work folder.
        now_s: The time, in seconds since 1970; by default that of now.
    """
    before_s = (time.time() if now_s is None else now_s) - KEPT_S
    loans = work / lent.FOLDER
    found = [*_copies(work), *(sorted(loans.iterdir()) if loans.is_dir() else ())]
    return sum(_is_deleted(folder, before_s) for folder in found)


def kept(work: Path) -> Check:
    """How much there is in `work`."""
    copies, artefacts = _copies(work), work / FOLDER
    count = sum(1 for _ in artefacts.iterdir()) if artefacts.is_dir() else 0
    return passed(
        "work folder",
        f"copies of elat: {len(copies)}, {_megabytes(*copies)}; artefacts: {count}, "
        f"{_megabytes(artefacts)}; in {work.resolve()}",
    )


def _copies(work: Path) -> list[Path]:
    return sorted(path for path in work.iterdir() if _COPY.fullmatch(path.name))


def _is_deleted(copy: Path, before_s: float) -> bool:
    """Delete `copy` unless somebody has used it since `before_s`; whether it is gone."""
    with suppress(OSError):
        folder = os.open(copy, _OPEN)
        try:
            fcntl.flock(folder, fcntl.LOCK_EX | fcntl.LOCK_NB)
            found = os.fstat(folder)
            if found.st_uid == os.getuid() and found.st_mtime < before_s:
                shutil.rmtree(copy)
                return True
        finally:
            os.close(folder)
    return False


def _megabytes(*folders: Path) -> str:
    return f"{sum(map(_bytes, folders)) / 1e6:.1f} MB"


def _bytes(folder: Path) -> int:
    """What the files in `folder` take; those that vanish meanwhile count nothing."""
    total = 0
    for where, _, names in os.walk(folder):
        for name in names:
            with suppress(OSError):
                found = Path(where, name).lstat()
                total += found.st_size if stat.S_ISREG(found.st_mode) else 0
    return total
