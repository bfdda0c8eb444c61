"""A worker process as its parent sees it: started, spoken to in JSON lines, and ended."""

from __future__ import annotations

import json
import os
import signal
import subprocess
import sys
import tempfile
from collections.abc import Iterator, Sequence
from contextlib import contextmanager, suppress
from typing import IO, Any

from ..core.errors import MeasurementError
from .lines import LONGEST_BYTES, EndlessLineError, Lines

CRASH, RUN_TIMEOUT = "CRASH", "RUN_TIMEOUT"
_STDERR_TAIL, _STDERR_BYTES = 500, 2**16
_END_S = 5.0


class WorkerLostError(MeasurementError):
    """The worker ended, hung or answered nonsense; `error_class` says which.

    Attributes:
        last_words: The end of its standard error where its output ended; None where it goes on.
    """

    def __init__(self, error_class: str, message: str, last_words: str | None = None) -> None:
        self.error_class = error_class
        self.last_words = last_words
        super().__init__(message)


class NoWorkerError(MeasurementError):
    """A worker did not start; `lost` says how it was lost before its first words."""

    def __init__(self, message: str, lost: WorkerLostError) -> None:
        self.lost = lost
        super().__init__(message)


def default_command(worker: str = "worker") -> list[str]:
    """The command of a worker in this Python; `-P` keeps the current folder off its path."""
    return [sys.executable, "-P", "-m", f"{__package__}.{worker}"]


class WorkerProcess:
    """A running worker. Made by `start_worker`.

    Attributes:
        worker: The identity that the worker gave itself.
        environment: The fingerprint of the machine that it runs on.
    """

    def __init__(
        self,
        process: subprocess.Popen[bytes],
        stdin: IO[bytes],
        stdout: IO[bytes],
        stderr: IO[bytes],
    ) -> None:
        self._process = process
        self._stdin = stdin
        self._stdout = stdout
        self._stderr = stderr
        self._lines = Lines(stdout)
        self.worker = ""
        self.environment: dict[str, Any] = {}

    def send(self, message: dict[str, Any]) -> None:
        """Send one JSON line; a worker that ended already is noticed at the next `receive`."""
        with suppress(BrokenPipeError, ConnectionResetError):
            self._stdin.write(json.dumps(message).encode() + b"\n")
            self._stdin.flush()

    def receive(self, timeout_s: float) -> dict[str, Any]:
        """The worker's next JSON line.

        Raises:
            WorkerLostError: It ended, or was silent for `timeout_s`, or answered something else.
        """
        try:
            line = self._lines.next(timeout_s)
        except EndlessLineError:
            raise WorkerLostError(
                CRASH, f"The worker's line was longer than {LONGEST_BYTES} bytes, and given up."
            ) from None
        except TimeoutError:
            raise WorkerLostError(
                RUN_TIMEOUT, f"The worker was silent for {timeout_s:g} s and was ended."
            ) from None
        if line is None:
            how, said = self._how_it_ended(), self._last_words()
            tail = f" Its last words: {said[-_STDERR_TAIL:]}" if said else ""
            raise WorkerLostError(CRASH, f"The worker {how}.{tail}", said)
        try:
            message = json.loads(line)
        except ValueError:
            message = None
        if not isinstance(message, dict):
            raise WorkerLostError(
                CRASH, f"The worker answered {line[:80]!r}, which is no message."
            )
        return message

    def greet(self, timeout_s: float) -> None:
        """Wait until the worker says that it is ready.

        Raises:
            MeasurementError: It never does.
        """
        self._lines.start()
        try:
            hello = self.receive(timeout_s)
        except WorkerLostError as error:
            raise NoWorkerError(f"No worker could be started. {error}", error) from error
        if not isinstance(hello.get("worker"), str):
            raise MeasurementError(f"The worker's first line was {hello}, not its identity.")
        self.worker = hello["worker"]
        self.environment = dict(hello.get("environment", {}))

    def end(self) -> None:
        """Close its input, so that it ends by itself if it is idle; kill it otherwise."""
        with suppress(BrokenPipeError):
            self._stdin.close()
        try:
            self._process.wait(timeout=_END_S)
        except subprocess.TimeoutExpired:
            self.kill()

    def kill(self) -> None:
        """End it at once, whatever it does, with everything that it started."""
        if self._process.poll() is None:
            with suppress(ProcessLookupError):
                os.killpg(self._process.pid, signal.SIGKILL)
        self._process.wait()

    def close(self) -> None:
        """Free the pipes of a process that has ended."""
        self._lines.close(_END_S)
        for pipe in (self._stdin, self._stdout):
            with suppress(BrokenPipeError):
                pipe.close()

    def _how_it_ended(self) -> str:
        try:
            code = self._process.wait(timeout=_END_S)
        except subprocess.TimeoutExpired:
            return "closed its output"
        if code >= 0:
            return f"ended with exit code {code}"
        try:
            return f"was ended by {signal.Signals(-code).name}"
        except ValueError:
            return f"was ended by signal {-code}"

    def _last_words(self) -> str:
        size = self._stderr.seek(0, os.SEEK_END)
        self._stderr.seek(max(0, size - _STDERR_BYTES))
        return self._stderr.read().decode(errors="replace").strip()


@contextmanager
def start_worker(command: Sequence[str], timeout_s: float) -> Iterator[WorkerProcess]:
    """A worker that has said that it is ready; it is gone when the block ends, however it ends.

    It gets its own process group, so that an interrupt at the keyboard reaches this process alone
    and is no crash of the case being timed.

    Raises:
        MeasurementError: It does not start.
    """
    with tempfile.TemporaryFile() as stderr:
        try:
            process = subprocess.Popen(
                list(command),
                stdin=subprocess.PIPE,
                stdout=subprocess.PIPE,
                stderr=stderr,
                env={**os.environ, "PYTHONSAFEPATH": "1"},
                start_new_session=True,
            )
        except OSError as error:
            raise MeasurementError(f"No worker could be started: {error}.") from error
        if process.stdin is None or process.stdout is None:
            raise MeasurementError("The worker was started without pipes.")
        worker = WorkerProcess(process, process.stdin, process.stdout, stderr)
        is_finished = False
        try:
            worker.greet(timeout_s)
            yield worker
            is_finished = True
        finally:
            if is_finished:
                worker.end()
            else:
                worker.kill()
            worker.close()
