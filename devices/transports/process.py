"""Programs of this machine with a time limit and bounded memory, however much they print."""

from __future__ import annotations

import os
import signal
import subprocess
import threading
import time
from collections.abc import Sequence
from contextlib import suppress
from dataclasses import dataclass
from typing import IO

from ...core.errors import UnavailableError

KEPT_BYTES = 16 * 2**20
_CHUNK_BYTES = 2**16
_GRACE_S = 2.0


@dataclass(frozen=True)
class Ended:
    """A program that is gone.

    Attributes:
        exit_code: Its own; negative for the signal that ended it.
        dropped_bytes: What it printed beyond the limit, left out of the middle of both streams.
        is_late: It ran into the time limit and was killed.
    """

    exit_code: int
    stdout: bytes
    stderr: bytes
    dropped_bytes: int
    is_late: bool


class Kept:
    """The head and the tail of a stream, of half the limit each."""

    def __init__(self, limit_bytes: int) -> None:
        self._half = limit_bytes // 2
        self._head = bytearray()
        self._tail = bytearray()
        self.dropped_bytes = 0

    def add(self, chunk: bytes) -> None:
        """Take the next bytes of the stream."""
        room = self._half - len(self._head)
        self._head += chunk[:room]
        self._tail += chunk[room:]
        excess = len(self._tail) - self._half
        if excess > 0:
            del self._tail[:excess]
            self.dropped_bytes += excess

    def bytes(self) -> bytes:
        """What was kept, in order."""
        return bytes(self._head + self._tail)


def run_process(
    words: Sequence[str],
    timeout_s: float,
    *,
    stdin: IO[bytes] | None = None,
    stdout: IO[bytes] | None = None,
    stderr: IO[bytes] | None = None,
    kept_bytes: int = KEPT_BYTES,
) -> Ended:
    """Run `words` in a process group of its own, of which nothing is left.

    Args:
        words: A program and its arguments; no shell.
        timeout_s: After so long the group is killed.
        stdin: File to read; nothing by default.
        stdout: File to write; by default what is printed is kept.
        stderr: Likewise.
        kept_bytes: Limit of what is kept of each stream.

    Raises:
        UnavailableError: There is no such program, or the system cannot run it.
    """
    try:
        process = subprocess.Popen(
            list(words),
            stdin=subprocess.DEVNULL if stdin is None else stdin,
            stdout=subprocess.PIPE if stdout is None else stdout,
            stderr=subprocess.PIPE if stderr is None else stderr,
            start_new_session=True,
        )
    except OSError as error:
        raise UnavailableError(f"{words[0]} cannot be run here: {error}.") from error
    out, err = Kept(kept_bytes), Kept(kept_bytes)
    readers = [
        threading.Thread(target=_read, args=(pipe, kept), daemon=True)
        for pipe, kept in ((process.stdout, out), (process.stderr, err))
        if pipe is not None
    ]
    try:
        is_late = _wait(process, readers, timeout_s)
    finally:
        if process.poll() is None or any(reader.is_alive() for reader in readers):
            _kill_group(process)
        for reader in readers:
            reader.join(_GRACE_S)
    dropped_bytes = out.dropped_bytes + err.dropped_bytes
    return Ended(process.returncode, out.bytes(), err.bytes(), dropped_bytes, is_late)


def _wait(
    process: subprocess.Popen[bytes], readers: Sequence[threading.Thread], timeout_s: float
) -> bool:
    """Wait until the program has ended and its output, too; whether it had to be given up."""
    deadline = time.monotonic() + timeout_s
    for reader in readers:
        reader.start()
    try:
        process.wait(timeout_s)
    except subprocess.TimeoutExpired:
        return True
    for reader in readers:
        reader.join(max(0.0, deadline - time.monotonic()))
    return False


def _kill_group(process: subprocess.Popen[bytes]) -> None:
    """End the process and what it left in its group, such as a child that holds its output."""
    with suppress(ProcessLookupError, PermissionError):
        os.killpg(process.pid, signal.SIGKILL)
    process.wait()


def _read(pipe: IO[bytes], kept: Kept) -> None:
    with pipe:
        while chunk := os.read(pipe.fileno(), _CHUNK_BYTES):
            kept.add(chunk)
