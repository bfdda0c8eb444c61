"""Lines of another process, read ahead within bounds, whatever it writes."""

from __future__ import annotations

import threading
from collections import deque
from typing import IO

LONGEST_BYTES = 64 * 2**20
"""Of one line, and of all lines that wait: a launch of the longest protocol has about 1 MB."""


class EndlessLineError(Exception):
    """A line is longer than is read."""


class Lines:
    """The lines of `pipe`, read by a thread from `start` on.

    Where nobody takes them, the writer waits once `longest_bytes` of them wait.
    """

    def __init__(self, pipe: IO[bytes], longest_bytes: int = LONGEST_BYTES) -> None:
        self._pipe = pipe
        self._longest_bytes = longest_bytes
        self._waiting: deque[bytes] = deque()
        self._waiting_bytes = 0
        self._changed = threading.Condition()
        self._reader = threading.Thread(target=self._read, daemon=True)
        self._has_ended = self._is_endless = self._is_closed = False

    def start(self) -> None:
        """Begin to read."""
        self._reader.start()

    def next(self, timeout_s: float) -> bytes | None:
        """The next line with its end; None where the stream has ended.

        Raises:
            TimeoutError: None came in time.
            EndlessLineError: The next one is too long to be read; none follows.
        """
        with self._changed:
            if not self._changed.wait_for(lambda: self._waiting or self._has_ended, timeout_s):
                raise TimeoutError
            if self._waiting:
                line = self._waiting.popleft()
                self._waiting_bytes -= len(line)
                self._changed.notify_all()
                return line
            if self._is_endless:
                raise EndlessLineError
            return None

    def close(self, timeout_s: float) -> None:
        """Read no more; waits so long for the thread to see it, or the stream's end."""
        with self._changed:
            self._is_closed = True
            self._changed.notify_all()
        if self._reader.is_alive():
            self._reader.join(timeout_s)

    def _read(self) -> None:
        # A last line without its end was cut off: the writer did not say it.
        while (line := self._pipe.readline(self._longest_bytes + 1)).endswith(b"\n"):
            if not self._put(line):
                return
        with self._changed:
            self._is_endless = len(line) > self._longest_bytes
            self._has_ended = True
            self._changed.notify_all()

    def _put(self, line: bytes) -> bool:
        """Whether there was room for `line`, sooner or later, before the lines were closed."""
        with self._changed:
            self._changed.wait_for(lambda: self._is_closed or self._has_room(line))
            if self._is_closed:
                return False
            self._waiting.append(line)
            self._waiting_bytes += len(line)
            self._changed.notify_all()
            return True

    def _has_room(self, line: bytes) -> bool:
        return not self._waiting or self._waiting_bytes + len(line) <= self._longest_bytes
