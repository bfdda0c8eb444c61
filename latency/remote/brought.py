"""This very elat on a board: brought where it is missing, and asked."""

from __future__ import annotations

import json
import tempfile
from collections.abc import Sequence
from pathlib import Path
from typing import Any, Literal

from ...core.config import Settings
from ...core.errors import CommandFailedError, MeasurementError, UnavailableError
from ...devices.device import Device, Ssh
from ...devices.transports import Transport
from .patience import Patience
from .wheel import build_wheel

ASK_S = 60.0
_EXAMINE_S = 120.0
_SLOWEST_BYTES_PER_S = 100_000

_PROBE = """
import json, os, sys
from importlib.util import find_spec
needed = {"numpy": "numpy", "pydantic": "pydantic", "yaml": "pyyaml"}
if os.path.isdir(sys.argv[1]):
    os.utime(sys.argv[1])
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


class _Probed(Settings):
    """What the board's Python says of itself.

    Attributes:
        missing: Packages that elat's worker needs.
        has: Whether this very elat is there.
    """

    python: tuple[int, int]
    missing: tuple[Literal["numpy", "pydantic", "pyyaml"], ...]
    has: bool


class Brought:
    """The elat that runs here, in a board's work folder, run by the card's Python there."""

    def __init__(
        self, device: Device, settings: Ssh, transport: Transport, patience: Patience
    ) -> None:
        self._device = device
        self._python = settings.python
        self._transport = transport
        self._patience = patience
        self._wheel = build_wheel()
        self._home = f"elat-{self._wheel.version}-{self._wheel.digest}"

    def bring(self) -> None:
        """Have it there.

        Raises:
            UnavailableError: Python or a package is missing there.
            TransportError: The board does not answer, or has no room.
        """
        probed = self._patience.persist(self._probe)
        self._check(probed)
        if not probed.has:
            self._patience.persist(self._install)
            self.ask("sweep")

    def words(self, verb: str, *arguments: str) -> list[str]:
        """The words that run `far.py` there."""
        path, module = f"PYTHONPATH={self._home}", f"{__package__}.far"
        return ["env", path, self._python, "-P", "-m", module, verb, *arguments]

    def ask(self, verb: str, *arguments: str) -> Any:
        """What `far.py` answers.

        Raises:
            UnavailableError: It says that something is missing there.
            TransportError: The board does not answer, or says that something else is wrong.
        """
        words = self.words(verb, *arguments)
        ended = self._patience.persist(lambda: self._transport.run(words, _EXAMINE_S))
        if ended.exit_code == UnavailableError.exit_code:
            pip = self._typed(f"{self._python} -m pip install")
            said = ended.complaint.replace("pip install", pip)
            raise UnavailableError(f"On {self._transport.name}, {said}")
        text = ended.checked().text.strip().rpartition("\n")[2]
        try:
            return json.loads(text)
        except ValueError as error:
            raise self.no_answer(verb, text) from error

    def no_answer(self, verb: str, said: object) -> MeasurementError:
        """The error that says that `said` is no answer to `verb`."""
        return MeasurementError(
            f"{self._transport.name} answered {str(said)[:80]!r} when asked for its {verb}; see "
            f"whether {self._python} is a Python: {self._typed(self._python)} --version"
        )

    def push(self, file: Path) -> None:
        """Copy `file` into the work folder, under its own name."""
        timeout_s = ASK_S + file.stat().st_size / _SLOWEST_BYTES_PER_S
        self._transport.push(file, file.name, timeout_s)

    def _probe(self) -> _Probed:
        """What there is, from the Python of the card.

        Raises:
            UnavailableError: There is no such Python.
        """
        name = self._transport.name
        ended = self._transport.run([self._python, "-c", _PROBE, self._home], ASK_S)
        try:
            return _Probed.model_validate_json(ended.checked().text)
        except CommandFailedError as error:
            raise UnavailableError(
                f"{name} has no Python called {self._python}: {error}; name one as ssh.python in "
                f"the card of {self._device.id}, or install with: "
                f"{self._typed('sudo apt install python3')}"
            ) from error
        except ValueError as error:
            raise UnavailableError(
                f"{self._python} on {name} answered {ended.text[:80]!r} and is no Python; repair "
                f"ssh.python in the card of {self._device.id}."
            ) from error

    def _check(self, probed: _Probed) -> None:
        """Refuse a Python that cannot run elat's worker.

        Raises:
            UnavailableError: It is too old, or lacks a package.
        """
        name, found = self._transport.name, probed.python
        if found < (3, 11):
            raise UnavailableError(
                f"{self._python} on {name} is Python {'.'.join(map(str, found))}, and elat needs "
                f"3.11; name a later one as ssh.python in the card of {self._device.id}."
            )
        if probed.missing:
            packages = " ".join(probed.missing)
            raise UnavailableError(
                f"{self._python} on {name} lacks {packages}; install with: "
                f"{self._typed(self._python)} -m pip install {packages}"
            )

    def _install(self) -> None:
        """Bring the wheel, and unpack it in the work folder, whole or not at all."""
        with tempfile.TemporaryDirectory() as name:
            wheel = Path(name) / self._wheel.name
            wheel.write_bytes(self._wheel.data)
            self.push(wheel)
            words: Sequence[str] = [self._python, "-c", _INSTALL, wheel.name, self._home]
            self._transport.run(words, _EXAMINE_S).checked()

    def _typed(self, command: str) -> str:
        """What people type to run `command` there."""
        return f"{self._transport.prefix} {command}"
