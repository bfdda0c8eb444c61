"""The lines of the tool and of TFLite's runtime, each written at once."""

from __future__ import annotations

import os
import resource


class ToolError(Exception):
    """The tool ends with exit code 1; what was wrong has been told."""


class Log:
    """The tool's lines (tflite/tools/logging.h).

    Args:
        is_old: Whether lines have no prefix, as in builds of 2021.
        newline: What a line ends in.
    """

    def __init__(self, is_old: bool = False, newline: str = "\n") -> None:
        self.is_old = is_old
        self._newline = newline

    def info(self, text: str) -> None:
        self._line(1, "INFO: ", text)

    def warn(self, text: str) -> None:
        self._line(1, "WARN: ", text)

    def error(self, text: str) -> None:
        self._line(2, "ERROR: ", text)

    def fatal(self, text: str) -> None:
        """Say it and abort, as the tool's checks do."""
        self._line(2, "FATAL: ", text)
        leave_no_core()
        os.abort()

    def runtime(self, text: str) -> None:
        """A line of the runtime, which comes with its severity."""
        write(2, f"{text}{self._newline}".encode(errors="surrogateescape"))

    def _line(self, stream: int, prefix: str, text: str) -> None:
        text = f"{'' if self.is_old else prefix}{text}\n".replace("\n", self._newline)
        write(stream, text.encode(errors="surrogateescape"))


def write(stream: int, data: bytes) -> None:
    """Write all of `data`."""
    rest = memoryview(data)
    while rest:
        rest = rest[os.write(stream, rest) :]


def leave_no_core() -> None:
    """Keep the crash that follows from filling the disk."""
    resource.setrlimit(resource.RLIMIT_CORE, (0, 0))
