"""A command that ended on a device: what it printed, its exit code, and what its failure means."""

from __future__ import annotations

import re
from collections.abc import Sequence
from dataclasses import dataclass

from ...core.errors import (
    CommandFailedError,
    StorageFullError,
    TransportError,
    WrongArchitectureError,
)

_CANNOT_EXECUTE = 126
_TOLD_CHARACTERS = 300

# How dash, bash, BusyBox and toybox, then mksh, then bash alone say ENOEXEC.
_FOREIGN = re.compile(
    r"exec format error|not executable: .*ELF|cannot execute binary file", re.IGNORECASE
)
_FULL = re.compile(r"no space left on device|disk quota exceeded", re.IGNORECASE)


@dataclass(frozen=True)
class Finished:
    """A command that has ended on a device.

    Attributes:
        command: Its words.
        device: What the device is called in messages.
        exit_code: Its own, 128 and the signal's number where a signal ended it.
        stdout: What it printed, without what a terminal in between made of line ends.
        stderr: Likewise; empty where `is_merged`.
        dropped_bytes: What it printed beyond the limit, left out of the middle of both streams.
        is_merged: Its two streams came as one, in `stdout`: phones before Android 7 do that.
    """

    command: tuple[str, ...]
    device: str
    exit_code: int
    stdout: bytes
    stderr: bytes
    dropped_bytes: int = 0
    is_merged: bool = False

    @property
    def text(self) -> str:
        """What it printed to standard output; bytes that are no UTF-8 are replaced."""
        return self.stdout.decode(errors="replace")

    @property
    def complaint(self) -> str:
        """The end of what it said of its failure, in one line."""
        said = self.stdout if self.is_merged else self.stderr
        text = " ".join(said[-4 * _TOLD_CHARACTERS :].decode(errors="replace").split())
        return text[-_TOLD_CHARACTERS:]

    def checked(self) -> Finished:
        """This, where the exit code is 0.

        Raises:
            StorageFullError, WrongArchitectureError, CommandFailedError: It is another one.
        """
        if self.exit_code != 0:
            raise self.failure()
        return self

    def failure(self) -> TransportError:
        """What its failure means."""
        program = self.command[0]
        if full := _FULL.search(self.complaint):
            return StorageFullError(
                f"{self.device} has no room left ({full[0]}); delete something there; what is "
                "free says: df"
            )
        if self.exit_code == _CANNOT_EXECUTE and _FOREIGN.search(self.complaint):
            return WrongArchitectureError(
                f"{self.device} cannot run {program[:80]!r}, which is built for another "
                "processor; push one for what the device says to: uname -m"
            )
        said = f" ({self.complaint})" if self.complaint else ""
        return CommandFailedError(
            f"{program[:80]!r} ended with exit code {self.exit_code} on {self.device}{said}",
            self.exit_code,
        )


def failed_to_run(words: str, device: str, said: str, exit_code: int) -> TransportError:
    """What it means that a program here that works on `device` said `said` and failed."""
    ended = Finished((words,), device, exit_code, b"", said.encode(errors="replace"))
    return ended.failure()


def read_end(
    stdout: bytes, stderr: bytes, token: str, *, ends_both: bool = True
) -> tuple[str, bytes, bytes, bool] | None:
    r"""What stands behind `token`, both streams without that, and whether they came as one.

    The far side ends each stream with a line `token word`, which only it knows: either can break
    off without the other. A terminal in between, as old phones have, turns each `\n` into `\r\n`,
    which is undone exactly.

    Args:
        stdout: What came of standard output, or of both where they come as one.
        stderr: What came of standard error.
        token: The secret of this call.
        ends_both: Whether standard output has the line, too, and not standard error alone.

    Returns:
        None where a line is missing: the connection broke before the end.
    """
    pattern = re.compile(rb"\n" + token.encode() + rb" (\w+)(\r?)\n")
    in_out, in_err = list(pattern.finditer(stdout)), list(pattern.finditer(stderr))
    is_merged = not in_err
    if len(in_out) < ends_both + is_merged or not (in_out or in_err):
        return None
    end = (in_err or in_out)[-1]
    out = _without(stdout, in_out if ends_both or is_merged else [])
    err = _without(stderr, in_err)
    if end[2]:
        out, err = out.replace(b"\r\n", b"\n"), err.replace(b"\r\n", b"\n")
    return end[1].decode(), out, err, is_merged


def _without(stream: bytes, lines: Sequence[re.Match[bytes]]) -> bytes:
    """`stream` without `lines`, and the line end in front of each."""
    for found in reversed(lines):
        stream = stream[: found.start() - len(found[2])] + stream[found.end() :]
    return stream
