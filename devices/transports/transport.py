"""What can be done on a device, whatever the way to it."""

from __future__ import annotations

import math
import re
import secrets
import time
from collections.abc import Callable, Sequence
from pathlib import Path

from ...core.artefact import replacing
from ...core.errors import (
    ConfigError,
    ConnectionLostError,
    DeviceHangError,
    TransportError,
    UnavailableError,
)
from . import scripts
from .finished import Finished, failed_to_run, read_end
from .jobs import Job, JobStatus
from .link import Link, LinkState
from .paths import check_folder, check_job_name, check_name
from .process import KEPT_BYTES, Ended, run_process
from .quoting import check_words

LONGEST_PULL_BYTES = 2**30
_FAR_GRACE_S = 1
_LOOK_EVERY_S = 0.25
_ASK_S = 20.0

# What adb says of a connection that broke while it copied.
_BROKEN = re.compile(
    r"closed|eof|protocol fault|connection reset|broken pipe|not found", re.IGNORECASE
)


class Transport:
    """Runs, pushes, pulls and restarts over a `Link`; all happens in the link's work folder.

    Every method raises `TransportError`, of the class that says what went wrong, where the device
    does not do what it is asked; `ConfigError` where it must not be asked; and `UnavailableError`
    where this machine lacks a program.
    """

    def __init__(self, link: Link) -> None:
        self._link = link
        self._folder = check_folder(link.folder)

    @property
    def name(self) -> str:
        """What the device is called in messages."""
        return self._link.name

    @property
    def prefix(self) -> str:
        """What people type ahead of a command for the device, for repairs; may be empty."""
        return self._link.prefix

    def state(self) -> LinkState:
        """What there is at the other end at this moment."""
        return self._link.look().state

    def run(
        self, command: Sequence[str], timeout_s: float, *, kept_bytes: int = KEPT_BYTES
    ) -> Finished:
        """The command `command` when it has ended, with whatever exit code.

        Args:
            command: The program, looked up on the device's path or from the work folder, and its
                arguments. No shell reads them.
            timeout_s: After so long it is given up, and ends on the device, too.
            kept_bytes: Limit of what is kept of each of its streams.

        Raises:
            DeviceHangError: It did not end in time.
        """
        return self._run(command, timeout_s, None, None, kept_bytes)

    def command_here(self, command: Sequence[str]) -> list[str]:
        """The command of this machine whose standard streams are those of `command` on the device.

        They carry bytes both ways, unchanged and unbuffered, for as long as it runs. The end of
        its input is the only sign it gets that nobody is there any more.
        """
        check_words(command)
        return self._link.words_here(["sh", "-c", scripts.STREAM, "elat", self._folder, *command])

    def push(
        self, source: Path, name: str, timeout_s: float, *, is_executable: bool = False
    ) -> None:
        """Copy the file `source` to `name` in the work folder, whole or not at all."""
        check_name(name)
        if not source.is_file():
            raise ConfigError(f"{source} is no file that could be pushed to {self.name}.")
        token = secrets.token_hex(8)
        new = self._ask(scripts.PREPARE, name, token)[:-1]
        try:
            self._send(source, new, timeout_s)
            size, mode = str(source.stat().st_size), "755" if is_executable else "644"
            self._ask(scripts.FINISH, new, name.rpartition("/")[2], size, mode)
        except TransportError:
            self._remove(new)
            raise

    def pull(
        self,
        name: str,
        target: Path,
        timeout_s: float,
        *,
        longest_bytes: int = LONGEST_PULL_BYTES,
    ) -> None:
        """Copy the file `name` of the work folder to `target`, whole or not at all.

        A file that still grows is copied as it was at some moment of the call.

        Raises:
            ConfigError: It is larger than `longest_bytes`.
        """
        size, _, path = self._ask(scripts.FIND, check_name(name))[:-1].partition(" ")
        if int(size) > longest_bytes:
            raise ConfigError(
                f"{name} on {self.name} has {size} bytes, and {longest_bytes} are pulled at most."
            )
        with replacing(target) as temporary:
            self._receive(path, temporary, timeout_s)
            found = temporary.stat().st_size
            if found < int(size):
                raise ConnectionLostError(
                    f"{name} came with {found} of {size} bytes from {self.name}; pull it again: "
                    "the device has it still"
                )

    def start(self, job: str, command: Sequence[str], timeout_s: float = 30.0) -> Job:
        """Start `command` as the job `job`, which goes on when the connection breaks.

        It reads nothing, and what it prints is kept in files of the work folder. Where this
        raises, `poll` says whether it runs nevertheless.

        Raises:
            CommandFailedError: There is a job of that name.
        """
        check_words(command)
        words = ["sh", "-c", scripts.START, "elat", check_job_name(job), scripts.JOB, *command]
        self.run(words, timeout_s).checked()
        return Job(job, JobStatus.RUNNING)

    def poll(self, job: str) -> Job:
        """How the job `job` stands."""
        answer = self._ask(scripts.POLL, check_job_name(job)).split()
        match answer:
            case ["finished", code] if code.isdecimal():
                return Job(job, JobStatus.FINISHED, int(code))
            case ["running" | "lost" | "unknown" as word]:
                return Job(job, JobStatus(word))
        raise ConnectionLostError(
            f"{self.name} answered {answer!r} when asked for the job {job}; ask it again: its "
            "files may be damaged"
        )

    def stop(self, job: str) -> None:
        """End the job `job` with all that it started; one that has ended stays as it is."""
        self._ask(scripts.STOP, check_job_name(job))

    def forget(self, job: str) -> None:
        """Delete the files of the job `job`, so that its name is free."""
        self._ask(scripts.FORGET, check_job_name(job))

    def reboot(
        self,
        timeout_s: float,
        *,
        sleep: Callable[[float], None] = time.sleep,
        clock_s: Callable[[], float] = time.monotonic,
    ) -> None:
        """Restart the device and wait until it answers again.

        Raises:
            DeviceHangError: It went on answering, or did not come back in time.
        """
        ended = run_process(self._link.reboot_words(), timeout_s)
        said = ended.stderr.decode(errors="replace")
        if ended.exit_code not in (0, 255) and not ended.is_late:
            raise failed_to_run("reboot", self.name, said, ended.exit_code)
        self._link.close()
        deadline_s = clock_s() + timeout_s
        was_gone = False
        while clock_s() < deadline_s:
            is_there = self.state() is LinkState.DEVICE
            if is_there and was_gone:
                return
            was_gone = was_gone or not is_there
            sleep(_LOOK_EVERY_S)
        found = "did not come back" if was_gone else "went on answering"
        raise DeviceHangError(
            f"{self.name} {found} for {timeout_s:g} s after it was told to restart; look at it, "
            "then ask: elat doctor"
        )

    def close(self) -> None:
        """Let go of a connection that is kept; the next call makes a new one."""
        self._link.close()

    def _ask(self, script: str, *arguments: str) -> str:
        """What the constant program `script` prints for `arguments`."""
        return self.run(["sh", "-c", script, "elat", *arguments], _ASK_S).checked().text

    def _run(
        self,
        command: Sequence[str],
        timeout_s: float,
        stdin: Path | None,
        stdout: Path | None,
        kept_bytes: int = KEPT_BYTES,
    ) -> Finished:
        check_words(command)
        token = secrets.token_hex(16)
        limit = str(math.ceil(timeout_s) + _FAR_GRACE_S)
        ends = "2" if stdout is None else "1"
        words = self._link.words_here(
            ["sh", "-c", scripts.RUN, "elat", self._folder, token, limit, ends, *command]
        )
        ended = _run_here(words, timeout_s, stdin, stdout, kept_bytes)
        found = read_end(ended.stdout, ended.stderr, token, ends_both=stdout is None)
        if found is None:
            raise self._lost(command[0], timeout_s, ended)
        end, out, err, is_merged = found
        finished = Finished(
            tuple(command),
            self.name,
            int(end) if end.isdecimal() else 1,
            out,
            err,
            ended.dropped_bytes,
            is_merged,
        )
        if not end.isdecimal():
            raise failed_to_run(f"mkdir {self._folder}", self.name, finished.complaint, 1)
        return finished

    def _send(self, source: Path, path: str, timeout_s: float) -> None:
        words = self._link.send_words(source.resolve(), path)
        if words is None:
            command = ["sh", "-c", scripts.WRITE, "elat", path]
            self._run(command, timeout_s, source, None).checked()
        else:
            self._copy("push", words, timeout_s)

    def _receive(self, path: str, target: Path, timeout_s: float) -> None:
        words = self._link.receive_words(path, target.resolve())
        if words is None:
            command = ["sh", "-c", scripts.READ, "elat", path]
            self._run(command, timeout_s, None, target).checked()
        else:
            self._copy("pull", words, timeout_s)

    def _copy(self, verb: str, words: Sequence[str], timeout_s: float) -> None:
        """Run the link's own program that copies a file."""
        ended = run_process(words, timeout_s)
        if ended.exit_code == 0:
            return
        said = (ended.stdout + ended.stderr).decode(errors="replace")
        if ended.is_late or self.state() is not LinkState.DEVICE or _BROKEN.search(said):
            raise self._lost(verb, timeout_s, ended)
        raise failed_to_run(verb, self.name, said, ended.exit_code)

    def _remove(self, path: str) -> None:
        """Delete what is left of a file on its way, if the device can still be asked."""
        try:
            self._ask(scripts.REMOVE, path)
        except UnavailableError:
            self._link.close()

    def _lost(self, what: str, timeout_s: float, ended: Ended) -> TransportError:
        """Why the device has not said how `what` ended."""
        self._link.close()
        seen = self._link.look()
        if seen.state is not LinkState.DEVICE:
            return self._link.refusal(seen)
        if ended.is_late:
            return DeviceHangError(
                f"{self.name} was silent for {timeout_s:g} s over {what[:80]!r}, which was given "
                "up; try it again, or restart the device: elat doctor says how it stands"
            )
        said = " ".join(ended.stderr.decode(errors="replace").split())[-200:]
        return ConnectionLostError(
            f"The connection to {self.name} was lost over {what[:80]!r}"
            f"{f' ({said})' if said else ''}; it is there again: try it again"
        )


def _run_here(
    words: Sequence[str],
    timeout_s: float,
    stdin: Path | None,
    stdout: Path | None,
    kept_bytes: int,
) -> Ended:
    """`run_process` with files for its streams where there are some."""
    if stdin is not None:
        with stdin.open("rb") as file:
            return run_process(words, timeout_s, stdin=file, kept_bytes=kept_bytes)
    if stdout is not None:
        with stdout.open("wb") as file:
            return run_process(words, timeout_s, stdout=file, kept_bytes=kept_bytes)
    return run_process(words, timeout_s, kept_bytes=kept_bytes)
