"""`--tune`: hold a machine's clocks still while something is measured, then put them back.

Everything is written down before it is changed, so that also what a killed run left behind can be
put back: `elat doctor DEVICE --restore`.
"""

from __future__ import annotations

import logging
import signal
import threading
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import ExitStack, contextmanager
from pathlib import Path
from types import FrameType

from ..core.errors import ArtefactError, UnavailableError
from .device import Device, Gpu
from .files import ROOT
from .journal import (
    Change,
    Journal,
    begin_journal,
    end_journal,
    journal_path,
    keep_in_journal,
    read_journal,
)
from .knobs import ClockLockKnob, FileKnob, Knob, PersistenceKnob, policies, turbo_knob
from .nvml import open_gpu

logger = logging.getLogger(__name__)

_GOVERNOR = "performance"
_ENDING = tuple(getattr(signal, name) for name in ("SIGTERM", "SIGHUP") if hasattr(signal, name))


@contextmanager
def tuned(device: Device, root: Path = ROOT) -> Iterator[list[Change]]:
    """Hold the clocks that `device` is measured on still until the block ends.

    Governors of the CPUs of its affinity become `performance`; turbo becomes what the card asks;
    where the card has a GPU, its persistence and clock lock do, too. All is put back in reverse
    order when the block ends, also on an error, SIGINT, SIGTERM or SIGHUP, except what somebody
    else has set meanwhile, which is said and left alone.

    Args:
        device: Its card says what is wanted.
        root: Folder that holds `sys`; another one serves tests.

    Yields:
        The changes; settings that are as wanted already are not among them.

    Raises:
        UnavailableError: Another run tunes this machine or was killed while it did, or a setting
            cannot be written. Nothing is changed then.
    """
    _refuse_second(read_journal(), root)
    with ExitStack() as stack:
        wanted = _wanted(device, root, stack)
        changes = _plan(device, wanted)
        if not changes:
            yield []
            return
        stack.enter_context(_ended_politely())
        knobs = {knob.place: knob for knob, _ in wanted}
        begin_journal(device.id, changes, root)
        # What was never begun is left: a GPU's clock may be somebody else's, which cannot be told.
        begun: list[Change] = []
        try:
            for change in changes:
                begun.append(change)
                knobs[change.place].write(change.after)
            yield changes
        finally:
            _put_back(device.id, begun, knobs)


def restore(root: Path = ROOT) -> list[str]:
    """Put back what a killed run left changed; says what was done with each setting.

    Raises:
        UnavailableError: The run is still going on or was on another machine, or a setting cannot
            be put back; the others are all the same.
        ArtefactError: The journal is damaged or names something that is no clock.
    """
    journal = read_journal()
    if journal is None:
        return []
    if not journal.is_of_this_machine(root):
        raise _of_another_machine(journal)
    if journal.is_alive:
        raise UnavailableError(
            f"Process {journal.pid} still measures {journal.device} with --tune and puts all back "
            f"itself; end it with: kill {journal.pid}"
        )
    if not journal.is_of_this_boot(root):
        end_journal()
        return ["the machine was started anew since, which put everything back"]
    with ExitStack() as stack:
        places = [change.place for change in journal.changes]
        return _put_back(journal.device, journal.changes, _knobs_at(places, root, stack))


def _of_another_machine(journal: Journal) -> UnavailableError:
    return UnavailableError(
        f"{journal_path()} tells what --tune changed on another machine, {journal.host}, and is "
        f"left alone. Put it back there: elat doctor {journal.device} --restore; or give this "
        "machine an ELAT_HOME of its own. Remove the file if that machine is gone or was this one."
    )


def _refuse_second(journal: Journal | None, root: Path) -> None:
    if journal is None:
        return
    if not journal.is_of_this_machine(root):
        raise _of_another_machine(journal)
    if journal.is_alive:
        raise UnavailableError(
            f"Process {journal.pid} measures {journal.device} with --tune on this machine; wait "
            "until it is done."
        )
    raise UnavailableError(
        f"A run with --tune on {journal.device} was killed and left clocks changed; put them back "
        f"first with: elat doctor {journal.device} --restore"
    )


def _wanted(device: Device, root: Path, stack: ExitStack) -> list[tuple[Knob, str]]:
    """Every setting that `device` wants, whether it is so already or not."""
    if not device.is_here:
        raise UnavailableError(f"--tune sets clocks of this machine, and {device.id} is another.")
    wanted: list[tuple[Knob, str]] = []
    governed = (policy for policy in policies(root, device.affinity) if policy.governor)
    for policy in governed:
        file = (policy.folder / "scaling_governor").relative_to(root)
        wanted.append((FileKnob(root, file.as_posix()), _GOVERNOR))
    turbo = turbo_knob(root)
    if device.turbo is not None:
        if turbo is None:
            raise UnavailableError(
                f"The card of {device.id} asks for cpu.turbo, which this machine cannot switch; "
                "remove the key."
            )
        wanted.append((FileKnob(root, turbo.file), turbo.value(device.turbo)))
    if device.gpu is not None and (device.gpu.persistence or device.gpu.lock_clocks):
        opened = stack.enter_context(open_gpu(device.gpu))
        if device.gpu.persistence:
            wanted.append((PersistenceKnob(opened), "1"))
        if device.gpu.lock_clocks is not None:
            wanted.append((ClockLockKnob(opened), str(device.gpu.lock_clocks)))
    if not wanted:
        raise UnavailableError(
            f"--tune finds nothing to hold still on this machine for {device.id}: it shows no "
            "governor, and the card asks for no turbo and no GPU clocks. Measure without --tune."
        )
    return wanted


def _plan(device: Device, wanted: Sequence[tuple[Knob, str]]) -> list[Change]:
    """The changes that are needed; refuses all of them if one cannot be made."""
    changes = []
    for knob, after in wanted:
        before = knob.origin()
        if before == after:
            continue
        refusal = knob.refusal(after)
        if before is None:
            refusal = f"{knob.place} does not tell what it would have to be put back to."
        if refusal is not None:
            raise UnavailableError(f"{device.id} cannot be tuned: {refusal}")
        changes.append(Change(knob.place, str(before), after))
    return changes


def _knobs_at(
    places: Sequence[str], root: Path, stack: ExitStack
) -> dict[str, Knob | UnavailableError]:
    """The knobs that a journal names; what keeps a GPU from being reached in place of its own."""
    found: dict[str, Knob | UnavailableError] = {}
    for place in places:
        kind, _, rest = place.partition("/")
        number, _, setting = rest.partition("/")
        if kind != "gpu":
            found[place] = FileKnob(root, place)
        elif number.isdecimal() and setting in ("persistence", "clocks"):
            kind_of_knob = PersistenceKnob if setting == "persistence" else ClockLockKnob
            try:
                found[place] = kind_of_knob(stack.enter_context(open_gpu(Gpu(index=int(number)))))
            except UnavailableError as error:
                found[place] = error
        else:
            raise ArtefactError(f"{place} is no setting that --tune changes.")
    return found


def _put_back(
    device: str, changes: Sequence[Change], knobs: Mapping[str, Knob | UnavailableError]
) -> list[str]:
    """Put `changes` back, the last one first, and forget them; says what was done.

    A setting that cannot be put back stays in the journal and keeps no other one from it.

    Raises:
        UnavailableError: There is such a setting; says which, and what was done.
    """
    said: list[str] = []
    left: list[Change] = []
    reasons: list[str] = []
    with _undisturbed():
        for change in reversed(changes):
            try:
                said += _put_one_back(change, knobs[change.place])
            except UnavailableError as error:
                left.insert(0, change)
                reasons.append(f"{change.place} is not put back: {error}")
        if left:
            keep_in_journal(left)
            done = f" {'; '.join(said)}." if said else ""
            raise UnavailableError(
                f"{'. '.join(reasons)}. Then: elat doctor {device} --restore.{done}"
            )
        end_journal()
    return said


def _put_one_back(change: Change, knob: Knob | UnavailableError) -> list[str]:
    """Put `change` back unless somebody else has; says what was done, if anything was.

    Raises:
        UnavailableError: It cannot be put back.
    """
    if isinstance(knob, UnavailableError):
        raise knob
    now = knob.read()
    if now is None or now == change.after:
        knob.write(change.before)
        return [f"{change.place} put back to {change.before}"]
    if now == change.before:
        return []
    text = f"{change.place} was set to {now} by somebody else meanwhile: left so"
    logger.warning(text)
    return [text]


@contextmanager
def _ended_politely() -> Iterator[None]:
    """Makes signals that end a process run its `finally` blocks first."""
    with _handled(_ENDING, _end):
        yield


def _end(number: int, frame: FrameType | None) -> None:
    raise SystemExit(128 + number)


@contextmanager
def _undisturbed() -> Iterator[None]:
    """Holds signals back until the block ends, so that a second Ctrl-C stops nothing half-way."""
    held: list[int] = []
    with _handled((signal.SIGINT, *_ENDING), lambda number, frame: held.append(number)):
        yield
    if held:
        signal.raise_signal(held[0])


@contextmanager
def _handled(
    numbers: Sequence[signal.Signals], handler: Callable[[int, FrameType | None], None]
) -> Iterator[None]:
    """Handles signals by `handler` until the block ends, except those that are ignored (nohup).

    Python lets the main thread alone do so; from another one the journal is what helps.
    """
    if threading.current_thread() is not threading.main_thread():
        yield
        return
    # None is a handler that was not set from Python and could not be put back.
    heeded = [n for n in numbers if signal.getsignal(n) not in (signal.SIG_IGN, None)]
    before = {number: signal.signal(number, handler) for number in heeded}
    try:
        yield
    finally:
        for number, earlier in before.items():
            signal.signal(number, earlier)
