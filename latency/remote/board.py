"""A board or server over ssh as a place for workers."""

from __future__ import annotations

import getpass
import json
import secrets
import tempfile
import time
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager, suppress
from pathlib import Path
from typing import Any

from ...core.errors import DeviceInUseError, MeasurementError, TransportError, UnavailableError
from ...devices.device import Device, Ssh, card_there
from ...devices.host import host_identity
from ..condition import Condition
from ..launcher import RUN_TIMEOUT, WorkerLostError
from ..place import Loss, Place
from ..runtimes import runtimes
from . import lent
from .brought import ASK_S, Brought
from .bundle import FOLDER, content_key, pack
from .claim import Hold, hold
from .conditions import note_condition
from .far import IN_USE

BOOT_ID = "/proc/sys/kernel/random/boot_id"
"""A file of the board that says something else after each start (random(4))."""

_LOSSES, _RESTARTS = 4, 10
_SAID = 200
_KEYS_PER_QUESTION = 1000
_BUNDLE_BYTES = 32 * 2**20

# The shell outlives the worker and says how it ended; without that the connection broke.
_ENDED = "the worker there ended:"
_WORK = '"$@"; end=$?; printf "\\n%s %s\\n" "$0" "$end" >&2; exit "$end"'


class Board(Place):
    """A board for one campaign, made ready by `open_board`.

    Args:
        device: Its card.
        settings: The section `ssh` of it.
        held: The board, held for this process.
    """

    def __init__(self, device: Device, settings: Ssh, held: Hold) -> None:
        self._device = device
        self._transport = held.transport
        self._patience = held.patience
        self._claim = held.claim
        self._elat = Brought(device, settings, held.transport, held.patience)
        self._keys: dict[Path, str] = {}
        self._losses = self._restarts = 0
        self._worker = self._boot = ""

    def prepare(self) -> Condition:
        """Have this very elat there; the condition of the card, as the board tells it.

        Raises:
            UnavailableError: Python, a package or the runtime is missing there.
            TransportError: It does not answer.
        """
        self._elat.bring()
        self._boot = self._patience.persist(self._boot_id)
        told = self.ask("condition", json.dumps(card_there(self._device)))
        try:
            condition = Condition.from_json(told)
        except (KeyError, TypeError, ValueError, AttributeError) as error:
            raise self.no_answer("condition", told) from error
        self._worker = runtimes[condition.runtime].worker
        return condition

    def ask(self, verb: str, *arguments: str) -> Any:
        """What `far.py` answers there, as `Brought.ask`."""
        return self._elat.ask(verb, *arguments)

    def no_answer(self, verb: str, said: object) -> MeasurementError:
        """The error that says that `said` is no answer to `verb`."""
        return self._elat.no_answer(verb, said)

    def command(self) -> list[str]:
        return self.command_of(self._worker)

    def command_of(self, module: str) -> list[str]:
        """The command of this machine that starts the worker `module` of `elat.latency` there.

        Raises:
            TransportError: The board is out of reach.
        """
        owner = f"{getpass.getuser()} on {host_identity()}"
        words = ["sh", "-c", _WORK, _ENDED, *self._elat.words("work", owner, module)]
        return self._patience.persist(lambda: self._transport.command_here(words))

    @contextmanager
    def lent(self, folders: Sequence[Path]) -> Iterator[list[str]]:
        """Where workers find `folders` of this machine there, for as long as the block lasts.

        Raises:
            TransportError: The board is out of reach, or is full.
        """
        token = secrets.token_hex(8)
        with tempfile.TemporaryDirectory() as name:
            bundle = Path(name) / lent.bundle_name(token)
            lent.pack(folders, bundle)
            self._deliver(bundle, "lend")
        try:
            yield [f"{lent.FOLDER}/{token}/{number}" for number in range(len(folders))]
        finally:
            # What a board keeps that is gone meanwhile is swept there later.
            with suppress(TransportError):
                self._transport.run(self._elat.words("drop", bundle.name), ASK_S)

    def ensure_held(self) -> None:
        self._claim.check()

    def bring(self, folders: Sequence[Path]) -> None:
        self._keys |= {folder: content_key(folder) for folder in folders}
        waiting = {self._keys[folder]: folder for folder in folders}
        keys = list(waiting)
        for start in range(0, len(keys), _KEYS_PER_QUESTION):
            part = keys[start : start + _KEYS_PER_QUESTION]
            absent = self.ask("missing", json.dumps(part))
            if not isinstance(absent, list):
                raise self.no_answer("missing", absent)
            for bundle in _bundles({key: waiting[key] for key in part if key in absent}):
                self._send(bundle)

    def folder(self, folder: Path) -> str:
        return f"{FOLDER}/{self._keys[folder]}"

    def recover(self, error: WorkerLostError) -> Loss:
        said, _, end = (error.last_words or "").rpartition(_ENDED)
        if end.split()[:1] == [str(IN_USE)]:
            raise DeviceInUseError(
                f"{self._transport.name} is in use: {said.strip()[-_SAID:]}; wait until that has "
                "ended, then give the command again."
            )
        if not self._is_cut_off(error):
            return Loss.ENDED
        self._transport.close()
        boot = self._patience.persist(self._boot_id)
        if boot == self._boot:
            self._losses += 1
            if self._losses >= _LOSSES:
                raise self._patience.set_aside(self._losses, str(error))
            return Loss.CUT_OFF
        self._boot = boot
        self._restarts += 1
        if self._restarts >= _RESTARTS:
            raise self._patience.set_aside(self._restarts, "it restarted whatever it ran")
        return Loss.RESTARTED

    def has_answered(self) -> None:
        self._losses = self._restarts = 0

    def _boot_id(self) -> str:
        """What tells this start of the board from others; nothing where it does not say."""
        return self._transport.run(["cat", BOOT_ID], ASK_S).text.strip()

    def _is_cut_off(self, error: WorkerLostError) -> bool:
        """Whether nobody there has said that the worker ended, and it cannot be asked."""
        if error.last_words is not None:
            return _ENDED not in error.last_words
        if error.error_class != RUN_TIMEOUT:
            return False
        try:
            self._transport.run(["true"], ASK_S)
        except TransportError:
            return True
        return False

    def _send(self, folders: dict[str, Path]) -> None:
        with tempfile.TemporaryDirectory() as name:
            bundle = Path(name) / f"incoming-{secrets.token_hex(8)}.zip"
            pack(folders, bundle)
            self._deliver(bundle, "unpack")

    def _deliver(self, bundle: Path, verb: str) -> None:
        """Push `bundle`, and have `far.py` take it in."""
        self._patience.persist(lambda: self._elat.push(bundle))
        self.ask(verb, bundle.name)


def _bundles(folders: dict[str, Path]) -> Iterator[dict[str, Path]]:
    """`folders` in parts of limited size, or of one artefact."""
    part: dict[str, Path] = {}
    size = 0
    for key, folder in folders.items():
        own = sum(file.stat().st_size for file in folder.iterdir() if file.is_file())
        if part and size + own > _BUNDLE_BYTES:
            yield part
            part, size = {}, 0
        part[key] = folder
        size += own
    if part:
        yield part


@contextmanager
def open_board(
    device: Device,
    condition: Condition | None = None,
    *,
    sleep: Callable[[float], None] = time.sleep,
) -> Iterator[Board]:
    """The board of `device`, ready for workers and held for this process alone.

    Args:
        device: Its card has a section `ssh`.
        condition: What a campaign took for the board's condition; checked if it is given.
        sleep: Waits for seconds; tests give another one.

    Raises:
        TransportError: It does not answer, another process or machine measures on it, or it has
            no room.
        UnavailableError: Python, a package or the runtime is missing there.
        MeasurementError: Its condition is another one.
    """
    settings = device.ssh
    if settings is None:
        raise UnavailableError(f"{device.id} is not reached by ssh: its card has no section ssh.")
    with hold(device, sleep) as held:
        board = Board(device, settings, held)
        found = board.prepare()
        note_condition(device, found, condition)
        yield board
