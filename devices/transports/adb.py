"""Android phones over the Android Debug Bridge."""

from __future__ import annotations

import os
import re
import shutil
import time
from collections.abc import Mapping, Sequence
from importlib.util import find_spec
from pathlib import Path
from typing import Any, Self

from pydantic import Field

from ...core.config import Settings, parse
from ...core.errors import (
    DeviceMissingError,
    DeviceOfflineError,
    DeviceUnauthorisedError,
    TransportError,
    UnavailableError,
)
from . import links
from .link import Link, LinkState, Seen
from .process import run_process
from .quoting import quoted

FOLDER = "/data/local/tmp/elat"
"""Below the only folder in which every phone lets adb's shell run programs."""

SERIAL = r"^[A-Za-z0-9][A-Za-z0-9._:-]*$"
_MISSING = (
    "adb is not installed; install it with: sudo apt install adb, or pip install 'elat[android]'"
)
_LOOK_S = 10.0
_PASSING = ("authorizing", "connecting")
_GLANCES, _GLANCE_S = 20, 0.1


class _Section(Settings):
    serial: str = Field(pattern=SERIAL)
    folder: str = Field(default=FOLDER, pattern="^/")


@links.register("adb")
class AdbLink(Link):
    """The phone that adb calls `serial`; an adb server in another place is adb's own affair."""

    def __init__(self, serial: str, folder: str = FOLDER) -> None:
        self._serial = serial
        self._folder = folder

    @classmethod
    def of(cls, section: Mapping[str, Any], where: str) -> Self:
        settings = parse(_Section, section, where)
        return cls(settings.serial, settings.folder)

    @property
    def prefix(self) -> str:
        return f"adb -s {self._serial} shell"

    @property
    def folder(self) -> str:
        return self._folder

    @property
    def name(self) -> str:
        return self._serial

    def unavailable_reason(self) -> str | None:
        return _MISSING if _adb() is None else None

    def words_here(self, words: Sequence[str]) -> list[str]:
        return self._adb("shell", quoted(words))

    def send_words(self, source: Path, target: str) -> list[str] | None:
        return self._adb("push", str(source), target)

    def receive_words(self, source: str, target: Path) -> list[str] | None:
        return self._adb("pull", source, str(target))

    def look(self) -> Seen:
        seen = self._glance()
        for _ in range(_GLANCES):
            if not seen.said.startswith(_PASSING):
                break
            time.sleep(_GLANCE_S)
            seen = self._glance()
        return seen

    def _glance(self) -> Seen:
        ended = run_process([_required_adb(), "devices"], _LOOK_S)
        if ended.is_late:
            return Seen(LinkState.OFFLINE, "adb itself is silent; end it with: adb kill-server")
        for line in ended.stdout.decode(errors="replace").splitlines():
            serial, _, said = line.partition("\t")
            if serial == self._serial:
                return Seen(_state(said), said)
        return Seen(LinkState.MISSING, "")

    def refusal(self, seen: Seen) -> TransportError:
        if seen.state is LinkState.MISSING:
            return DeviceMissingError(
                f"{self._serial} is not connected; plug it in, and list phones with: adb devices"
            )
        if seen.state is LinkState.UNAUTHORISED and "permission" in seen.said:
            return DeviceUnauthorisedError(
                f"This user may not use {self._serial} ({seen.said}); on Debian and Ubuntu: sudo "
                "apt install android-sdk-platform-tools-common"
            )
        if seen.state is LinkState.UNAUTHORISED:
            return DeviceUnauthorisedError(
                f"{self._serial} waits until you allow debugging on its screen; then: adb devices"
            )
        return DeviceOfflineError(
            f"{self._serial} does not answer ({seen.said}); plug it in anew, then: adb reconnect "
            "offline"
        )

    def reboot_words(self) -> list[str]:
        return self._adb("reboot")

    def close(self) -> None:
        return

    def _adb(self, *arguments: str) -> list[str]:
        return [_required_adb(), "-s", self._serial, *arguments]


def attached_phones() -> dict[str, LinkState]:
    """The phones that adb knows, by serial number, and how each stands.

    Raises:
        UnavailableError: There is no adb here, or it is silent.
    """
    ended = run_process([_required_adb(), "devices"], _LOOK_S)
    if ended.is_late:
        raise UnavailableError("adb is silent; end it with: adb kill-server")
    found = {}
    for line in ended.stdout.decode(errors="replace").splitlines():
        serial, tab, said = line.partition("\t")
        if tab and re.fullmatch(SERIAL, serial):
            found[serial] = _state(said)
    return found


def _state(said: str) -> LinkState:
    """The state that adb calls `said` in its list of devices."""
    if said == "device":
        return LinkState.DEVICE
    if said.startswith(("unauthorized", "authorizing", "no permissions")):
        return LinkState.UNAUTHORISED
    return LinkState.OFFLINE


def _required_adb() -> str:
    """The program adb.

    Raises:
        UnavailableError: There is none.
    """
    found = _adb()
    if found is None:
        raise UnavailableError(_MISSING)
    return found


def _adb() -> str | None:
    """The program adb on the path, or the one in the package adbutils; None where neither is."""
    found = shutil.which("adb")
    spec = find_spec("adbutils") if found is None else None
    for folder in (spec.submodule_search_locations or []) if spec else []:
        bundled = Path(folder) / "binaries" / "adb"
        if os.access(bundled, os.X_OK):
            return str(bundled)
    return found
