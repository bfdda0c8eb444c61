"""A run: many invocations in one round trip, carried out by the device alone.

The plan of a run is a file on the device, and a shell program there works it off in a session of
its own. Nobody has to be connected meanwhile: a cable that is pulled costs nothing, and a call
with the same key finds the run where it stands, also after this machine was restarted. A device
that restarts has lost the invocation that it was at; the others go on in a further part.
"""

from __future__ import annotations

import re
import secrets
import tempfile
import time
from collections import Counter
from collections.abc import Callable, Mapping, Sequence
from contextlib import suppress
from dataclasses import dataclass, field
from pathlib import Path

from ...core.artefact import canonical_json, sha256_of
from ...core.errors import (
    ConnectionLostError,
    DeviceSetAsideError,
    MeasurementError,
    StorageFullError,
)
from ...devices.transports import Transport
from ...devices.transports.jobs import Job, JobStatus
from ..remote.patience import Patience
from . import scripts
from .results import Ended, began_s, read_log, read_outputs

_FULL = 74
_MOST_LOSSES = 2
_MOST_BARREN = 3
_POLL_S = 1.0
_LOOK_EVERY = 15
_GRACE_S = 30.0
_COPY_S = 120.0
_LONGEST_LOG_BYTES = 256 * 2**20
_TAR_BYTES_EACH = 2048
_TAR_BYTES = 2**16
_OTHER_S = 900.0
_JOB = re.compile(r"job-([0-9a-f]{20})-\d{1,4}", re.ASCII)


@dataclass(frozen=True)
class Line:
    """One invocation of a plan.

    Attributes:
        model: Key of the model, by which the invocations that a device is lost on are counted.
        folder: Of the model on the device.
        saves_output: Whether the output of its last run is kept.
        flags: Of the program; no flag holds white space.
        longest_output_bytes: An output that has more is not read.
    """

    model: str
    folder: str
    saves_output: bool
    flags: tuple[str, ...]
    longest_output_bytes: int = 64 * 2**20

    def text(self, number: int) -> str:
        """The line of the plan."""
        return " ".join((str(number), self.folder, str(int(self.saves_output)), *self.flags))


@dataclass(frozen=True)
class _Part:
    """A job that has ended.

    Attributes:
        is_hung: Whether it had to be ended.
        is_old: Whether it had ended before this call: what was wrong then may be repaired.
    """

    job: Job
    is_hung: bool
    is_old: bool


@dataclass
class Found:
    """What a run has found so far.

    Attributes:
        ended: Invocations by their number.
        condemned: For the keys of models that are not run any more, why.
        outputs: What was kept of outputs, by the number of the invocation.
        began_s: When its first part began by the clock of this machine, in seconds since 1970;
            None where nothing has. A run that is taken up may have begun long ago.
        parts: In how many jobs it was done: more than one where it was cut off on the device, as
            by a restart.
    """

    ended: dict[int, Ended] = field(default_factory=dict)
    condemned: dict[str, str] = field(default_factory=dict)
    outputs: dict[int, bytes] = field(default_factory=dict)
    began_s: float | None = None
    parts: int = 0


@dataclass(frozen=True)
class Runner:
    """What carries runs out on one device.

    Attributes:
        patience: Decides how often the device is asked again.
        program: The program, below the work folder.
        limit_s: Seconds that an invocation may take.
        mask: CPUs that it is bound to, in hexadecimal; empty for any.
        sleep: Waits for seconds.
    """

    transport: Transport
    patience: Patience
    program: str
    limit_s: int
    mask: str = ""
    sleep: Callable[[float], None] = time.sleep

    def key_of(self, lines: Sequence[Line], seed: int) -> str:
        """20 hexadecimal digits that follow from all that decides the run of `lines`."""
        plan = [line.text(number) for number, line in enumerate(lines)]
        return sha256_of(canonical_json([self.program, self.limit_s, self.mask, plan, seed]))[:20]

    def carry_out(self, key: str, lines: Sequence[Line]) -> Found:
        """What `lines` give on the device; goes on where a call with the same `key` was cut off.

        Args:
            key: By `key_of`.
            lines: Its invocations.

        Raises:
            DeviceSetAsideError: The device stays away, or does nothing any more.
            TransportError: It has no room, or something else that trying again does not help.
        """
        found = Found()
        losses: Counter[str] = Counter()
        barren = 0
        self._await_others(key)
        while todo := {
            number: line
            for number, line in enumerate(lines)
            if number not in found.ended and line.model not in found.condemned
        }:
            done = self._finish_part(key, found.parts, todo)
            before = len(found.ended)
            lost = self._collect(done.job, todo, found)
            if done.job.exit_code == _FULL and not done.is_old:
                raise StorageFullError(
                    f"{self.transport.name} has no room left; delete something there; what is "
                    "free says: df"
                )
            if lost is not None:
                model = todo[lost].model
                losses[model] += 1
                if done.is_hung or losses[model] >= _MOST_LOSSES:
                    found.condemned[model] = self._why(done.is_hung, losses[model])
            is_barren = len(found.ended) == before and lost is None
            barren = barren + (not done.is_old) if is_barren else 0
            if barren >= _MOST_BARREN:
                raise self._nothing_done(done.job)
            found.parts += 1
        if any(lines[number].saves_output for number in found.ended):
            found.outputs |= self._outputs(key, lines, found)
        return found

    def forget(self, key: str) -> None:
        """Delete what the run `key` has left on the device."""
        self._ask(scripts.FORGET, key)

    def clear(self) -> None:
        """Delete what runs have left on the device that nobody took up for long."""
        self._ask(scripts.CLEAR)

    def _finish_part(self, key: str, part: int, todo: Mapping[int, Line]) -> _Part:
        """This part when it runs no more."""
        name = f"job-{key}-{part}"
        job = self.patience.persist(lambda: self.transport.poll(name))
        if job.status in (JobStatus.FINISHED, JobStatus.LOST):
            return _Part(job, is_hung=False, is_old=True)
        self.patience.persist(lambda: self._begin(name, key, part, todo))
        heard = self._size(name)
        heard_at, looks = time.monotonic(), 0
        while True:
            job = self.patience.persist(lambda: self.transport.poll(name))
            if job.status is not JobStatus.RUNNING:
                return _Part(job, is_hung=False, is_old=False)
            self.sleep(_POLL_S)
            looks += 1
            if looks % _LOOK_EVERY:
                continue
            if (size := self._size(name)) != heard:
                heard, heard_at = size, time.monotonic()
            elif time.monotonic() - heard_at > self.limit_s + _GRACE_S:
                self.patience.persist(lambda: self.transport.stop(name))
                job = self.patience.persist(lambda: self.transport.poll(name))
                return _Part(job, is_hung=True, is_old=False)

    def _begin(self, name: str, key: str, part: int, todo: Mapping[int, Line]) -> None:
        """Start the job `name`, unless it was started before."""
        if self.transport.poll(name).status is not JobStatus.UNKNOWN:
            return
        # A start that was cut off may have left a folder without a process.
        self.transport.forget(name)
        plan = f"runs/{key}/plan-{part}"
        with tempfile.TemporaryDirectory() as folder:
            file = Path(folder) / "plan"
            file.write_text("".join(f"{line.text(number)}\n" for number, line in todo.items()))
            self.transport.push(file, plan, _COPY_S)
        token = _token(time.time())
        words = [token, plan, f"runs/{key}/out", str(self.limit_s), self.mask, self.program]
        self.transport.start(name, ["sh", "-c", scripts.RUN, "elat", *words])

    def _size(self, name: str) -> str:
        """How much the job `name` has printed, in the device's own words."""
        words = ["wc", "-c", f"{name}/stdout"]
        return self.patience.persist(lambda: self.transport.run(words, _COPY_S)).text

    def _collect(self, job: Job, todo: Mapping[int, Line], found: Found) -> int | None:
        """Add what `job` has done of `todo` to `found`; the one that it was lost on, if any."""
        with tempfile.TemporaryDirectory() as folder:
            file = Path(folder) / "log"
            self.patience.persist(
                lambda: self.transport.pull(
                    job.stdout, file, _COPY_S, longest_bytes=_LONGEST_LOG_BYTES
                )
            )
            log = file.read_bytes()
        ended, begun = read_log(log)
        if found.began_s is None:
            found.began_s = began_s(log)
        found.ended |= {number: one for number, one in ended.items() if number in todo}
        is_cut_off = job.status is not JobStatus.FINISHED
        return begun if is_cut_off and begun in todo else None

    def _outputs(self, key: str, lines: Sequence[Line], found: Found) -> dict[int, bytes]:
        """The outputs that the run has kept."""
        wanted = {
            number: line.longest_output_bytes
            for number, line in enumerate(lines)
            if line.saves_output and number in found.ended
        }
        self._ask(scripts.COLLECT, f"runs/{key}/out", str(max(wanted.values())))
        each_bytes = max(wanted.values()) + _TAR_BYTES_EACH
        longest_bytes = each_bytes * len(wanted) + _TAR_BYTES
        with tempfile.TemporaryDirectory() as folder:
            file = Path(folder) / "outputs.tar"
            self.patience.persist(
                lambda: self.transport.pull(
                    f"runs/{key}/collected.tar", file, 5 * _COPY_S, longest_bytes=longest_bytes
                )
            )
            return read_outputs(file, wanted)

    def _await_others(self, key: str) -> None:
        """Wait until no run of an earlier call, which was cut off, is at work on the device."""
        names = self._ask(scripts.JOBS).split("\n")
        deadline = time.monotonic() + _OTHER_S
        for name in names:
            known = _JOB.fullmatch(name)
            if known is None or known[1] == key:
                continue
            while self._is_running(name):
                if time.monotonic() > deadline:
                    raise DeviceSetAsideError(
                        f"{self.transport.name} is busy with the run {name} of an earlier call; "
                        f"end it by restarting the device, then give the command again"
                    )
                self.sleep(_POLL_S)

    def _is_running(self, name: str) -> bool:
        found = self.patience.persist(lambda: self.transport.poll(name))
        return found.status is JobStatus.RUNNING

    def _ask(self, script: str, *arguments: str) -> str:
        words = ["sh", "-c", script, "elat", *arguments]
        return self.patience.persist(lambda: self.transport.run(words, _COPY_S).checked()).text

    def _why(self, is_hung: bool, count: int) -> str:
        if is_hung:
            return f"{self.transport.name} was silent for {self.limit_s + _GRACE_S:g} s over it"
        return f"{self.transport.name} restarted {count} times while it ran it"

    def _nothing_done(self, job: Job) -> DeviceSetAsideError:
        said = f" ({job.status}, exit code {job.exit_code})"
        with suppress(MeasurementError, ConnectionLostError):
            complaint = self.transport.run(["tail", "-c", "200", job.stderr], _COPY_S).text
            said += f": {' '.join(complaint.split())}"
        return DeviceSetAsideError(
            f"{self.transport.name} is set aside: its runs end without doing anything{said}; see "
            "how it stands with: elat doctor"
        )


def _token(now_s: float) -> str:
    """96 bits that nobody can guess, behind 8 digits for the time, in seconds since 1970."""
    return f"{int(now_s):08x}{secrets.token_hex(12)}"
