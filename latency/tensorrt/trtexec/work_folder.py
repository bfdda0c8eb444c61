"""The work folder of a device that trtexec runs on: its files, and its runs as jobs there."""

from __future__ import annotations

import re
import secrets
import tempfile
import time
from collections.abc import Callable, Iterable, Mapping, Sequence
from contextlib import suppress
from dataclasses import dataclass
from functools import partial
from itertools import chain, repeat
from math import ceil
from pathlib import Path

from ....core.errors import CommandFailedError, MeasurementError, TransportError, UnavailableError
from ....devices.transports import Job, JobStatus, Transport
from ...remote.patience import Patience
from . import scripts
from .process import LOG, Finished, concluded, hung
from .tool import DEFAULT, ELSEWHERE, Tool, read_tool

_PAUSES_S = (0.1, 0.2, 0.5, 1.0, 2.0)
"""Between looks at a run; the last one goes on, for looks take a little of the device's time."""

_LATE = "late"
_JOB = "trtexec-job-"
_KNOWN_JOB = re.compile(rf"{_JOB}[0-9a-f]{{16}}", re.ASCII)
_TOOK = re.compile(r"\n([0-9]{1,12}\.[0-9]{1,9}) ([0-9]{1,12}\.[0-9]{1,9})\n\Z", re.ASCII)
_SUM = re.compile(r"([0-9a-f]{64}) ([0-9]{1,15}) (.+)", re.ASCII)
_ASK_S, _COPY_S = 60.0, 300.0
_GRACE_S = 30.0
_SLOWEST_BYTES_PER_S = 100_000
_LONGEST_BYTES = 256 * 2**20
_CANNOT_RUN, _SIGNALS_FROM = 126, 128
_MOST_LOSSES = 2

Sums = Mapping[str, tuple[str, int]]
"""Hash and bytes of files of the device, by name."""


@dataclass(frozen=True)
class WorkFolder:
    """The work folder behind `transport`; names of files are below it.

    Attributes:
        patience: Decides how often the device is asked again.
        wait: Waits for seconds.
    """

    transport: Transport
    patience: Patience
    wait: Callable[[float], None]

    def content(self, path: Path) -> bytes:
        """Content of the file `path`.

        Raises:
            FileNotFoundError: There is none.
            ConfigError: It is larger than 256 MiB.
            TransportError: The device stays away.
        """
        with tempfile.TemporaryDirectory() as folder:
            target = Path(folder) / "content"
            pull = partial(
                self.transport.pull, str(path), target, _COPY_S, longest_bytes=_LONGEST_BYTES
            )
            try:
                self.patience.persist(pull)
            except CommandFailedError as error:
                raise FileNotFoundError(str(error)) from error
            return target.read_bytes()

    def sums(self, names: Iterable[str]) -> Sums:
        """Hash and bytes of those of the files `names` that are there."""
        words = ["sh", "-c", scripts.SUMS, "elat", *names]
        ended = self.patience.persist(lambda: self.transport.run(words, _COPY_S).checked())
        lines = (_SUM.fullmatch(line) for line in ended.text.splitlines())
        return {match[3]: (match[1], int(match[2])) for match in lines if match}

    def push(self, data: bytes, name: str) -> None:
        """Write `data` to the file `name` there, whole or not at all."""
        with tempfile.TemporaryDirectory() as folder:
            source = Path(folder) / "content"
            source.write_bytes(data)
            limit_s = _ASK_S + len(data) / _SLOWEST_BYTES_PER_S
            self.patience.persist(lambda: self.transport.push(source, name, limit_s))

    def delete(self, folder: str) -> None:
        """Delete `folder`, if it is there."""
        self.patience.persist(lambda: self.transport.run(["rm", "-rf", folder], _ASK_S).checked())

    def typed(self, command: str) -> str:
        """What people type to do `command` on the device."""
        return f"{self.transport.prefix} {command}".strip()

    def end_jobs(self) -> None:
        """End what earlier processes have left at work on the device."""
        words = ["sh", "-c", scripts.JOBS, "elat"]
        named = self.patience.persist(lambda: self.transport.run(words, _ASK_S).checked()).text
        for name in named.split("\n"):
            if _KNOWN_JOB.fullmatch(name):
                self.patience.persist(partial(self._end, name))

    def run(
        self,
        command: Sequence[str],
        folder: Path,
        limit_s: float,
        mask: str,
        beat: Callable[[], None],
    ) -> Finished:
        """Run trtexec by `command` in `folder`; outputs of earlier runs there are deleted.

        Args:
            command: The program and its arguments.
            folder: Relative names of files are in it.
            limit_s: Seconds after which the device ends it.
            mask: CPUs that it is bound to, in hexadecimal; empty for any.
            beat: Called now and then meanwhile.

        Raises:
            UnsupportedOperatorError: The parser refuses the model, or there is no kernel.
            MeasurementError: It fails in another way, hangs, or is lost again and again.
            TransportError: The device stays away.
        """
        for _ in range(_MOST_LOSSES):
            started = time.monotonic()
            job = self._work_off(command, folder, limit_s, mask, beat)
            if job.status is JobStatus.FINISHED and job.exit_code is not None:
                log, took_ms = self._log(folder)
                code = job.exit_code
                ended = code if code <= _SIGNALS_FROM else _SIGNALS_FROM - code
                wall_ms = 1e3 * (time.monotonic() - started) if took_ms is None else took_ms
                return concluded(command, ended, log, wall_ms)
            if job.status is JobStatus.RUNNING or self.sums([f"{folder}/{_LATE}"]):
                raise hung(limit_s, self._log(folder)[0])
        raise MeasurementError(
            f"{self.transport.name} lost trtexec {_MOST_LOSSES} times without a word of how it "
            "ended, as where it restarts, or has no memory or room left."
        )

    def _work_off(
        self,
        command: Sequence[str],
        folder: Path,
        limit_s: float,
        mask: str,
        beat: Callable[[], None],
    ) -> Job:
        """The job of `command` when it runs no more; still running only where it is too late."""
        name = f"{_JOB}{secrets.token_hex(8)}"
        words = ["sh", "-c", scripts.RUN, "elat", str(ceil(limit_s)), mask, str(folder)]

        def begin() -> None:
            if self.transport.poll(name).status is JobStatus.UNKNOWN:
                # A start that was cut off may have left a folder without a process.
                self.transport.forget(name)
                self.transport.start(name, [*words, *command])

        try:
            self.patience.persist(begin)
            deadline_s = time.monotonic() + ceil(limit_s) + _GRACE_S
            pauses_s = chain(_PAUSES_S, repeat(_PAUSES_S[-1]))
            while True:
                job = self.patience.persist(lambda: self.transport.poll(name))
                if job.status is not JobStatus.RUNNING or time.monotonic() > deadline_s:
                    return job
                beat()
                self.wait(next(pauses_s))
        finally:
            with suppress(TransportError):
                self._end(name)

    def _end(self, job: str) -> None:
        if self.transport.poll(job).status is JobStatus.RUNNING:
            self.transport.stop(job)
        self.transport.forget(job)

    def _log(self, folder: Path) -> tuple[str, float | None]:
        """What the last run in `folder` printed, and the milliseconds that it took."""
        try:
            text = self.content(folder / LOG).decode(errors="replace")
        except FileNotFoundError:
            return "", None
        if (match := _TOOK.search(text)) is None:
            return text, None
        begun, ended = (float(second) for second in match.groups())
        return text[: match.start()], 1e3 * (ended - begun)


def find_far_trtexec(transport: Transport, patience: Patience, name: str) -> Tool:
    """The program `name` on the device behind `transport`, looked up on its PATH.

    Raises:
        UnavailableError: There is none, it does not run, or its version is not known.
        TransportError: The device does not answer.
    """
    elsewhere = str(ELSEWHERE[0]) if name == DEFAULT else ""
    words = ["sh", "-c", scripts.FIND, "elat", name, elsewhere]
    found = patience.persist(lambda: transport.run(words, _ASK_S))
    if found.exit_code != 0 or not found.text.endswith("/"):
        raise UnavailableError(
            f"{transport.name} has no program {name[:80]!r} on its PATH; name its place in full "
            f"with options: {{path: ...}} in the device card, such as {ELSEWHERE[0]}, where the "
            "package libnvinfer-bin puts it."
        )
    path = found.text[:-1]
    asked = patience.persist(lambda: transport.run([path, "--help"], _ASK_S))
    said = asked.text + asked.stderr.decode(errors="replace")
    try:
        return read_tool(Path(path), said, transport.name, transport.prefix)
    except UnavailableError as error:
        if asked.exit_code == _CANNOT_RUN:
            raise asked.failure() from error
        raise
