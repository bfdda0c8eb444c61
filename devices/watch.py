"""Counters of which only the growth tells something, read before and after a short wait."""

from __future__ import annotations

import os
import time
from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path

from .cgroup import throttled_periods
from .files import ROOT, read_text
from .state import cpu_ticks, throttle_count

ThreadId = tuple[int, int]


@dataclass(frozen=True)
class Thread:
    """CPU time of one thread so far.

    Attributes:
        process: Name of the process.
        cpu_s: Seconds in which it ran; of all threads of the process where threads are not told.
        cpu: The CPU that it ran on last, or None where that is not told.
    """

    process: str
    cpu_s: float
    cpu: int | None


@dataclass(frozen=True)
class Moment:
    """Counters of one moment; None where the machine does not tell."""

    at_s: float
    ticks: tuple[int, int] | None = None
    throttles: int | None = None
    stops: int | None = None
    threads: Mapping[ThreadId, Thread] = field(default_factory=dict)


@dataclass(frozen=True)
class Busy:
    """A thread of another process and its share of one CPU during the watch."""

    pid: int
    process: str
    share: float
    cpu: int | None

    def __str__(self) -> str:
        return f"{self.process} (pid {self.pid}, {self.share:.0%})"


@dataclass(frozen=True)
class Watch:
    """Two moments with the wait between them."""

    before: Moment
    after: Moment

    @property
    def seconds(self) -> float:
        """How long it took."""
        return self.after.at_s - self.before.at_s

    @property
    def has_threads(self) -> bool:
        """Whether other processes can be seen at all."""
        return bool(self.after.threads)

    def busy(self, least_share: float) -> list[Busy]:
        """Threads of other processes that used at least this share of a CPU, the busiest first."""
        if self.seconds <= 0:
            return []
        found = []
        for (pid, tid), thread in self.after.threads.items():
            earlier = self.before.threads.get((pid, tid))
            if earlier is not None and pid != os.getpid():
                share = (thread.cpu_s - earlier.cpu_s) / self.seconds
                if share >= least_share:
                    found.append(Busy(pid, thread.process, share, thread.cpu))
        return sorted(found, key=lambda busy: -busy.share)


def watch(root: Path = ROOT, interval_s: float = 0.5) -> Watch:
    """Look at the counters, wait, look again."""
    before = moment(root)
    time.sleep(interval_s)
    return Watch(before, moment(root))


def moment(root: Path = ROOT) -> Moment:
    """The counters of now."""
    return Moment(
        time.monotonic(), cpu_ticks(root), throttle_count(root), throttled_periods(root),
        read_threads(root),
    )  # fmt: skip


def read_threads(root: Path = ROOT) -> dict[ThreadId, Thread]:
    """Every thread that this user can see; processes where the system tells no threads."""
    folders = [p for p in (root / "proc").glob("[0-9]*") if p.name.isdecimal()]
    found: dict[ThreadId, Thread] = {}
    for folder in folders:
        name = read_text(folder / "comm") or ""
        for task in (folder / "task").glob("[0-9]*"):
            thread = _parse(name, read_text(task / "stat") or "")
            if thread is not None and task.name.isdecimal():
                found[int(folder.name), int(task.name)] = thread
    if not folders and root == ROOT:
        return _processes()
    return found


def _parse(process: str, stat: str) -> Thread | None:
    """A thread from its `stat` line (proc_pid_stat(5)); the name may hold spaces and brackets."""
    fields = stat.rpartition(")")[2].split()
    # Counted from the state, the third field of the line: utime, stime, and the CPU.
    if len(fields) < 37 or not all(fields[i].isdecimal() for i in (11, 12, 36)):
        return None
    ticks_per_s = os.sysconf("SC_CLK_TCK")
    seconds = (int(fields[11]) + int(fields[12])) / ticks_per_s
    return Thread(process, seconds, int(fields[36]))


def _processes() -> dict[ThreadId, Thread]:
    """Whole processes, as psutil sees them on systems without `/proc`."""
    import psutil

    found: dict[ThreadId, Thread] = {}
    for process in psutil.process_iter(["name", "cpu_times"]):
        times = process.info["cpu_times"]
        if times is not None:
            name = process.info["name"] or ""
            found[process.pid, 0] = Thread(name, times.user + times.system, None)
    return found
