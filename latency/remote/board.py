"""A board or server over ssh as a place for workers."""

from __future__ import annotations

import getpass
import json
import secrets
import tempfile
import time
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path
from typing import Any, TypeVar

from ...core.errors import (
    CommandFailedError,
    DeviceSetAsideError,
    MeasurementError,
    Retry,
    TransportError,
    UnavailableError,
)
from ...devices.device import Device, Ssh, card_there
from ...devices.host import host_identity
from ...devices.lock import device_lock
from ...devices.transports import Transport
from ...devices.transports.ssh import SshLink
from ..condition import Condition
from ..launcher import RUN_TIMEOUT, WorkerLostError
from ..place import Place
from ..runtimes import runtimes
from .bundle import FOLDER, content_key, pack
from .conditions import keep_condition
from .wheel import build_wheel

PAUSES_S = (2.0, 5.0, 10.0, 20.0, 30.0, 60.0)
"""How long to wait before each new try of a board that does not answer: two minutes in all."""

_LOSSES = 4
_ASK_S, _EXAMINE_S = 60.0, 120.0
_SLOWEST_BYTES_PER_S = 100_000
_KEYS_PER_QUESTION = 1000
_BUNDLE_BYTES = 32 * 2**20

_PROBE = """
import json, os, sys
from importlib.util import find_spec
needed = {"numpy": "numpy", "pydantic": "pydantic", "yaml": "pyyaml"}
print(json.dumps({
    "python": list(sys.version_info[:2]),
    "missing": [needed[name] for name in needed if find_spec(name) is None],
    "has": os.path.isdir(sys.argv[1]),
}))
"""
_INSTALL = """
import os, shutil, sys, zipfile
wheel, target = sys.argv[1:]
try:
    with zipfile.ZipFile(wheel) as archive:
        archive.extractall(target + ".new")
    if not os.path.isdir(target):
        os.rename(target + ".new", target)
except OSError as error:
    sys.exit(str(error))
finally:
    os.remove(wheel)
    shutil.rmtree(target + ".new", ignore_errors=True)
"""
# The shell says that the worker has ended, so that silence means a broken connection.
_WORK = '"$@"; printf "\\n%s %s\\n" "$0" "$?" >&2'

T = TypeVar("T")


class Board(Place):
    """A board for one campaign, made ready by `open_board`."""

    def __init__(
        self, device: Device, settings: Ssh, transport: Transport, sleep: Callable[[float], None]
    ) -> None:
        self._device = device
        self._python = settings.python
        self._transport = transport
        self._sleep = sleep
        self._wheel = build_wheel()
        self._keys: dict[Path, str] = {}
        self._token = ""
        self._losses = 0
        self._worker = "worker"

    def prepare(self) -> Condition:
        """Have this very elat there; the condition of the card, as the board tells it.

        Raises:
            UnavailableError: Python or a package is missing there.
            TransportError: It does not answer.
        """
        probed = self._persist(self._probe)
        self._check(probed)
        if not probed["has"]:
            self._persist(self._install)
        condition = Condition.from_json(
            self.ask("condition", json.dumps(card_there(self._device)))
        )
        self._worker = runtimes[condition.runtime].worker
        return condition

    def ask(self, verb: str, argument: str) -> Any:
        """What `far.py` answers.

        Raises:
            UnavailableError: It says that something is missing there.
            TransportError: The board does not answer, or says that something else is wrong.
        """
        try:
            words = self._far(verb, argument)
            ended = self._persist(lambda: self._transport.run(words, _EXAMINE_S).checked())
        except CommandFailedError as error:
            if error.command_exit_code == UnavailableError.exit_code:
                raise UnavailableError(f"On {self._transport.name}: {error}") from error
            raise
        return json.loads(ended.text.strip().rpartition("\n")[2])

    def command(self) -> list[str]:
        self._token = secrets.token_hex(16)
        owner = f"{getpass.getuser()} on {host_identity()}"
        words = ["sh", "-c", _WORK, self._token, *self._far("work", owner, self._worker)]
        return self._persist(lambda: self._transport.command_here(words))

    def bring(self, folders: Sequence[Path]) -> None:
        self._keys |= {folder: content_key(folder) for folder in folders}
        waiting = {self._keys[folder]: folder for folder in folders}
        keys = list(waiting)
        for start in range(0, len(keys), _KEYS_PER_QUESTION):
            part = keys[start : start + _KEYS_PER_QUESTION]
            absent = self.ask("missing", json.dumps(part))
            for bundle in _bundles({key: waiting[key] for key in absent}):
                self._send(bundle)

    def folder(self, folder: Path) -> str:
        return f"{FOLDER}/{self._keys[folder]}"

    def recover(self, error: WorkerLostError) -> bool:
        if not self._is_cut_off(error):
            return False
        self._losses += 1
        if self._losses >= _LOSSES:
            raise self._set_aside(self._losses, str(error))
        self._transport.close()
        self._persist(lambda: self._transport.run(["true"], _ASK_S))
        return True

    def has_answered(self) -> None:
        self._losses = 0

    def _is_cut_off(self, error: WorkerLostError) -> bool:
        """Whether nobody there has said that the worker ended, and it cannot be asked."""
        if error.last_words is not None:
            return self._token not in error.last_words
        if error.error_class != RUN_TIMEOUT:
            return False
        try:
            self._transport.run(["true"], _ASK_S)
        except TransportError:
            return True
        return False

    def _far(self, verb: str, *arguments: str) -> list[str]:
        """The words that run `far.py` of this very elat there."""
        path = f"PYTHONPATH={self._home}"
        module = f"{__package__}.far"
        return ["env", path, self._python, "-P", "-m", module, verb, *arguments]

    @property
    def _home(self) -> str:
        return f"elat-{self._wheel.version}-{self._wheel.digest}"

    def _probe(self) -> dict[str, Any]:
        """What there is, from the Python of the card.

        Raises:
            UnavailableError: There is no such Python.
        """
        name = self._transport.name
        ended = self._transport.run([self._python, "-c", _PROBE, self._home], _ASK_S)
        try:
            found = json.loads(ended.checked().text)
        except CommandFailedError as error:
            raise UnavailableError(
                f"{name} has no Python called {self._python}: {error}; name one as ssh.python in "
                f"the card of {self._device.id}, or install it: {self._transport.prefix} sudo apt "
                "install python3"
            ) from error
        except ValueError:
            found = None
        if not isinstance(found, dict) or not {"python", "missing", "has"} <= found.keys():
            raise UnavailableError(
                f"{self._python} on {name} answered {ended.text[:80]!r} and is no Python; repair "
                f"ssh.python in the card of {self._device.id}."
            )
        return found

    def _check(self, probed: dict[str, Any]) -> None:
        name, (major, minor) = self._transport.name, probed["python"]
        if (major, minor) < (3, 11):
            raise UnavailableError(
                f"{self._python} on {name} is Python {major}.{minor}, and elat needs 3.11; name a "
                f"later one as ssh.python in the card of {self._device.id}."
            )
        if probed["missing"]:
            packages = " ".join(probed["missing"])
            raise UnavailableError(
                f"{self._python} on {name} lacks {packages}; install with: "
                f"{self._transport.prefix} {self._python} -m pip install {packages}"
            )

    def _install(self) -> None:
        """Bring the wheel, and unpack it in the work folder, whole or not at all."""
        with tempfile.TemporaryDirectory() as name:
            wheel = Path(name) / self._wheel.name
            wheel.write_bytes(self._wheel.data)
            self._push(wheel)
            words = [self._python, "-c", _INSTALL, wheel.name, self._home]
            self._transport.run(words, _EXAMINE_S).checked()

    def _send(self, folders: dict[str, Path]) -> None:
        with tempfile.TemporaryDirectory() as name:
            bundle = Path(name) / f"incoming-{secrets.token_hex(8)}.zip"
            pack(folders, bundle)
            self._persist(lambda: self._push(bundle))
            self.ask("unpack", bundle.name)

    def _push(self, file: Path) -> None:
        self._transport.push(file, file.name, _ASK_S + file.stat().st_size / _SLOWEST_BYTES_PER_S)

    def _persist(self, act: Callable[[], T]) -> T:
        """What `act` returns, tried again for as long as its errors say that it is worth it."""
        for pause_s in PAUSES_S:
            try:
                return act()
            except TransportError as error:
                if error.retry is Retry.NEVER:
                    raise
                self._sleep(0.0 if error.retry is Retry.AT_ONCE else pause_s)
        try:
            return act()
        except TransportError as error:
            if error.retry is Retry.NEVER:
                raise
            raise self._set_aside(len(PAUSES_S) + 1, str(error)) from error

    def _set_aside(self, count: int, reason: str) -> DeviceSetAsideError:
        return DeviceSetAsideError(
            f"{self._device.id} is set aside after {count} failures in a row, the last one: "
            f"{reason} What was measured is stored; see how it stands with: elat doctor "
            f"{self._device.id}, then give the same command again."
        )


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
        TransportError: It does not answer, another process measures on it, or it has no room.
        UnavailableError: Python, a package or the runtime is missing there.
        MeasurementError: Its condition is another one.
    """
    settings = device.ssh
    if settings is None:
        raise UnavailableError(f"{device.id} is not reached by ssh: its card has no section ssh.")
    transport = Transport(_link(settings))
    with device_lock(settings.address, str(settings.config or "")):
        try:
            board = Board(device, settings, transport, sleep)
            found = board.prepare()
            keep_condition(device, found)
            if condition is not None and found.of_models != condition.of_models:
                raise MeasurementError(
                    f"{device.id} is {found} now and was {condition} when it was last asked: give "
                    "the same command again, and it measures what is there now."
                )
            yield board
        finally:
            transport.close()


def _link(settings: Ssh) -> SshLink:
    return SshLink(settings.address, settings.folder, settings.config, identity=settings.identity)
