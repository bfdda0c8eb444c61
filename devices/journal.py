"""What `--tune` changes on this machine, written down before it is changed.

Machines may share one `ELAT_HOME`, so that a journal says of which it is.
"""

from __future__ import annotations

import os
from collections.abc import Sequence
from dataclasses import asdict, dataclass, replace
from pathlib import Path
from typing import Any

from ..core.artefact import elat_home, read_json, write_json
from ..core.errors import ArtefactError, ConfigError, UnavailableError
from .files import ROOT, read_text
from .host import host_identity

_KIND, _SCHEMA = "tuning", 2
_UNKNOWN = "unknown"
_SAME_START_S = 60.0


@dataclass(frozen=True)
class Change:
    """One setting, and what it was and is to be; `place` is that of its knob."""

    place: str
    before: str
    after: str

    def __str__(self) -> str:
        return f"{self.place}: {self.before} -> {self.after}"


@dataclass(frozen=True)
class Journal:
    """The changes of one process.

    Attributes:
        device: The card that asked for them.
        pid: The process, and `started_s` when it began, which tells it from a later one.
        host: The machine (`host.py`).
        boot: The kernel's name for this start of the machine; another start undoes all changes.
        changes: In the order in which they are made.
    """

    device: str
    pid: int
    started_s: float
    host: str
    boot: str
    changes: tuple[Change, ...]

    @property
    def is_alive(self) -> bool:
        """Whether the process still runs, so that it will put everything back itself."""
        import psutil

        try:
            process = psutil.Process(self.pid)
            started_s = process.create_time()
            if process.status() == psutil.STATUS_ZOMBIE:  # nobody waited for it; it runs no more
                return False
        except psutil.Error:
            return False
        # The system derives it from the wall clock, which may have been set since.
        return abs(started_s - self.started_s) < _SAME_START_S

    def is_of_this_boot(self, root: Path = ROOT) -> bool:
        """Whether it is of this machine, which was not started anew since."""
        boot = _boot(root)
        # A container has a name of its own and the kernel's boot.
        return self.boot == boot and (boot != _UNKNOWN or self.host == host_identity(root))

    def is_of_this_machine(self, root: Path = ROOT) -> bool:
        """Whether the changes were made on this machine, now or before a new start."""
        return self.is_of_this_boot(root) or self.host == host_identity(root)


def journal_path() -> Path:
    """Where the journal of this machine is while something is tuned."""
    return elat_home() / "tuning.json"


def begin_journal(device: str, changes: Sequence[Change], root: Path) -> Journal:
    """Write down the changes that this process is about to make.

    Raises:
        UnavailableError: Another process has done so at the same time.
    """
    import psutil

    pid = os.getpid()
    started_s = psutil.Process(pid).create_time()
    journal = Journal(device, pid, started_s, host_identity(root), _boot(root), tuple(changes))
    path = journal_path()
    draft = path.with_name(f"tuning.{pid}.json")
    _write(journal, draft)
    try:
        os.link(draft, path)  # unlike a rename it replaces nothing
    except FileExistsError:
        raise UnavailableError(
            f"Another process has just begun to tune this machine ({path}); wait until it is done."
        ) from None
    finally:
        draft.unlink()
    return journal


def read_journal() -> Journal | None:
    """The journal of a run that tunes, or that was killed while it did; None without one.

    Raises:
        ArtefactError: It is not readable.
    """
    try:
        path = journal_path()
    except ConfigError:  # a worker without a home folder; nothing can be tuned from there
        return None
    if not path.exists():
        return None
    return _parsed(read_json(path), path)


def keep_in_journal(changes: Sequence[Change]) -> None:
    """Forget all but `changes`, which could not be put back yet."""
    journal = read_journal()
    if journal is not None:
        _write(replace(journal, changes=tuple(changes)), journal_path())


def end_journal() -> None:
    """Forget the changes: all of them were put back."""
    journal_path().unlink(missing_ok=True)


def tuned_settings(root: Path = ROOT) -> list[str]:
    """What is tuned on this machine at the moment, for the state that launches are stored with."""
    try:
        journal = read_journal()
    except ArtefactError:
        return []
    if journal is None or not journal.is_of_this_boot(root):
        return []
    return [f"{change.place} = {change.after}" for change in journal.changes]


def _parsed(data: Any, path: Path) -> Journal:
    try:
        if (data["kind"], data["schema"]) != (_KIND, _SCHEMA):
            raise ValueError(f"it is a {data['kind']} of schema {data['schema']}")
        changes = tuple(
            Change(str(c["place"]), str(c["before"]), str(c["after"])) for c in data["changes"]
        )
        return Journal(
            str(data["device"]), int(data["pid"]), float(data["started_s"]), str(data["host"]),
            str(data["boot"]), changes,
        )  # fmt: skip
    except (KeyError, TypeError, ValueError) as error:
        raise ArtefactError(
            f"{path} is no journal of --tune ({error}); look at the clocks yourself, then remove "
            "it."
        ) from error


def _write(journal: Journal, path: Path) -> None:
    write_json(path, {"kind": _KIND, "schema": _SCHEMA, **asdict(journal)})


def _boot(root: Path) -> str:
    return read_text(root / "proc/sys/kernel/random/boot_id") or _UNKNOWN
