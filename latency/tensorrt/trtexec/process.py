"""Running trtexec as a program: how long it may take, how it ends, and what it says of failing."""

from __future__ import annotations

import os
import re
import signal
import subprocess
import sys
import time
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager, suppress
from dataclasses import dataclass
from pathlib import Path

from ....core.errors import MeasurementError, UnsupportedOperatorError

LOG = "trtexec.log"
"""What a run printed, in the folder where it ran."""

_BEAT_S = 0.5
_WORDS = 600
_ERRORS = 5

# In a process group of its own trtexec would outlive a worker that is killed, and hold the GPU. So
# it asks the kernel first to be killed with it (PR_SET_PDEATHSIG is 1), in a process that it takes
# over: a function that runs between fork and exec is not safe beside threads.
_LEASH = (
    "import ctypes, os, signal, sys;"
    "ctypes.CDLL(None).prctl(1, signal.SIGKILL);"
    "os.execv(sys.argv[1], sys.argv[1:])"
)

_STAMP = re.compile(r"^(?:\[[\d/]+-[\d:]+\] )?")
_PARSER_REFUSES = ("Failed to parse onnx file", "ModelImporter.cpp", "onnx2trt")
_NO_KERNEL = "Could not find any implementation for node"
# Which step failed, but not why.
_CONSEQUENCES = (
    "Failed to parse onnx file",
    "Parsing model failed",
    "Engine could not be created from network",
    "Building engine failed",
    "Failed to create engine from model",
    "Engine set up failed",
)


@dataclass(frozen=True)
class Finished:
    """A run of trtexec that went well.

    Attributes:
        log: What it printed.
        wall_ms: From its start to its end.
    """

    command: tuple[str, ...]
    log: str
    wall_ms: float

    def told(self, pattern: str) -> str | None:
        """What the group of `pattern` first stands for in the log, or None."""
        match = re.search(pattern, self.log)
        return None if match is None else match[1].strip()

    def warnings(self) -> list[str]:
        """Its warnings, without the time of day."""
        return [_STAMP.sub("", line).strip() for line in self.log.splitlines() if "[W]" in line]


def run_trtexec(
    command: Sequence[str], folder: Path, limit_s: float, beat: Callable[[], None]
) -> Finished:
    """Run `command` in `folder` until it ends.

    Args:
        command: The program and its arguments; no shell reads them.
        folder: Relative names of files are in it, and the log goes there.
        limit_s: Seconds after which it is taken for hung, and ended with what it started.
        beat: Called twice a second meanwhile.

    Raises:
        UnsupportedOperatorError: The parser refuses the model, or there is no kernel for a node.
        MeasurementError: It fails in another way, or hangs.
    """
    log = folder / LOG
    before = time.monotonic()
    with _started(command, folder, log) as process:
        while process.poll() is None:
            if time.monotonic() - before > limit_s:
                raise hung(limit_s, log.read_text(errors="replace"))
            beat()
            with suppress(subprocess.TimeoutExpired):
                process.wait(_BEAT_S)
    wall_ms = 1e3 * (time.monotonic() - before)
    return concluded(command, process.returncode, log.read_text(errors="replace"), wall_ms)


def concluded(command: Sequence[str], code: int, log: str, wall_ms: float) -> Finished:
    """A run of `command` that has ended, where it went well.

    Args:
        command: The program and its arguments.
        code: Its exit code; negative for the signal that ended it.
        log: What it printed.
        wall_ms: From its start to its end.

    Raises:
        UnsupportedOperatorError: The parser refuses the model, or there is no kernel for a node.
        MeasurementError: It failed in another way.
    """
    if code != 0 or "&&&& FAILED" in log:
        raise _failure(code, log)
    return Finished(tuple(command), log, wall_ms)


def hung(limit_s: float, log: str) -> MeasurementError:
    """The error that says that a run which printed `log` had to be ended after `limit_s`."""
    return MeasurementError(
        f"trtexec did not end within {limit_s:g} s and was ended. {_last_words(log)}"
    )


@contextmanager
def _started(command: Sequence[str], folder: Path, log: Path) -> Iterator[subprocess.Popen[bytes]]:
    """The program at work; its process group is gone when the block ends, however it ends."""
    with log.open("wb") as output:
        process = subprocess.Popen(
            [sys.executable, "-I", "-S", "-c", _LEASH, *command],
            cwd=folder,
            stdin=subprocess.DEVNULL,
            stdout=output,
            stderr=subprocess.STDOUT,
            process_group=0,
        )
    try:
        yield process
    finally:
        with suppress(ProcessLookupError):
            os.killpg(process.pid, signal.SIGKILL)
        process.wait()


def _failure(code: int, log: str) -> MeasurementError:
    errors = [line for line in log.splitlines() if "[E]" in line]
    said = f"{_ended(code)}. {_last_words(log)}"
    if any(sign in line for line in errors for sign in _PARSER_REFUSES):
        return UnsupportedOperatorError(f"The parser of trtexec refuses the model. {said}")
    # Where memory is short, kernels are missing for another reason than the node.
    if any(_NO_KERNEL in line for line in errors) and not any("emory" in line for line in errors):
        return UnsupportedOperatorError(f"TensorRT has no kernel for a node. {said}")
    return MeasurementError(said)


def _ended(code: int) -> str:
    if code >= 0:
        return f"trtexec failed with exit code {code}"
    try:
        return f"trtexec was ended by {signal.Signals(-code).name}"
    except ValueError:
        return f"trtexec was ended by signal {-code}"


def _last_words(log: str) -> str:
    """The errors of `log`, those that say why first of all; its last lines if it has none."""
    lines = [_STAMP.sub("", line).strip() for line in log.splitlines() if line.strip()]
    errors = [line for line in lines if "[E]" in line]
    causes = [line for line in errors if not any(step in line for step in _CONSEQUENCES)]
    words = " ".join((causes or errors or lines)[-_ERRORS:])
    return f"Its last words: {words[-_WORDS:]}" if words else "It printed nothing."
