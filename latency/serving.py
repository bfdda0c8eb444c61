"""What the processes that take launches have in common: JSON lines in, JSON lines out."""

from __future__ import annotations

import json
import os
import sys
import uuid
from abc import ABC, abstractmethod
from collections.abc import Callable, Iterator
from contextlib import suppress
from typing import Any, TextIO

from ..core.errors import ConfigError
from ..devices.state import fingerprint
from .request import BAD_REQUEST, CASE_ERRORS, Request, described


class Server(ABC):
    """Answers the requests of its parent; `latency/worker.py` says what the lines are."""

    def __init__(self, out: TextIO) -> None:
        self._out = out
        self._identity = uuid.uuid4().hex
        self._group = 0
        self._order = 0

    def serve(self, lines: Iterator[str]) -> None:
        """Answer every line of `lines` until they end."""
        self._say({"worker": self._identity, "environment": self._fingerprint()})
        for line in lines:
            if not line.strip():
                continue
            try:
                self._answer_request(Request.parse(line))
            except BrokenPipeError:
                raise
            except ConfigError as error:
                self._say({"error": {"class": BAD_REQUEST, "message": str(error)}})
            except CASE_ERRORS as error:
                self._say({"error": described(error)})

    def _fingerprint(self) -> dict[str, Any]:
        """What a latency depends on besides its condition, of the machine that is measured."""
        return fingerprint()

    @abstractmethod
    def _answer_request(self, request: Request) -> None:
        """Answer each case of `request`; what is raised is an answer to the request as a whole."""

    def _say(self, message: dict[str, Any]) -> None:
        say(self._out, message)


def say(out: TextIO, message: dict[str, Any]) -> None:
    """Write one JSON line, at once."""
    out.write(json.dumps(message) + "\n")
    out.flush()


def serve_standard_streams(serve: Callable[[TextIO, TextIO], None]) -> None:
    """Let `serve` answer standard input, whatever native libraries print in between.

    Replies go to a duplicate of standard output; what anything else writes to it goes to standard
    error, so that it cannot break a line.
    """
    with suppress(BrokenPipeError), os.fdopen(os.dup(1), "w") as replies:
        os.dup2(2, 1)
        serve(sys.stdin, replies)
