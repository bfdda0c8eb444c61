"""Commands that go on when nobody is connected."""

from __future__ import annotations

from dataclasses import dataclass
from enum import StrEnum


class JobStatus(StrEnum):
    """How a job stands.

    `LOST` is one that ended without saying how: it was killed, or the device was restarted.
    `UNKNOWN` is one that was never started on the device.
    """

    RUNNING = "running"
    FINISHED = "finished"
    LOST = "lost"
    UNKNOWN = "unknown"


@dataclass(frozen=True)
class Job:
    """A job as it stood when it was polled.

    Attributes:
        name: As it was started.
        exit_code: Of its command; None unless it is finished.
    """

    name: str
    status: JobStatus
    exit_code: int | None = None

    @property
    def stdout(self) -> str:
        """The name of the file that holds what it printed so far."""
        return f"{self.name}/stdout"

    @property
    def stderr(self) -> str:
        """The name of the file that holds what it printed to standard error so far."""
        return f"{self.name}/stderr"
