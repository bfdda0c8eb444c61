"""Waits for what happens by itself, some seconds at most."""

from __future__ import annotations

import time
from pathlib import Path

from elat.devices.transports import Job, JobStatus, Transport


def when_ended(transport: Transport, job: str) -> Job:
    """The job when it runs no more."""
    for _ in range(100):
        found = transport.poll(job)
        if found.status is not JobStatus.RUNNING:
            break
        time.sleep(0.05)
    return found


def appears(path: Path) -> bool:
    for _ in range(200):
        if path.is_file() and path.read_text():
            return True
        time.sleep(0.05)
    return False


def ends(pid: int) -> bool:
    """Whether the process is gone, or dead and not yet buried, within some seconds."""
    for _ in range(200):
        try:
            state = Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()[0]
        except FileNotFoundError:
            return True
        if state == "Z":
            return True
        time.sleep(0.05)
    return False
