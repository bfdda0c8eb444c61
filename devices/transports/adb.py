"""Android phones over the Android Debug Bridge."""

from __future__ import annotations

import shlex
import shutil
import subprocess

from ...core.errors import UnavailableError
from .base import Transport

_MISSING = "adb is not installed; install it with: sudo apt install adb"


class AdbTransport(Transport):
    """The phone that adb calls `serial`."""

    def __init__(self, serial: str) -> None:
        self._serial = serial

    @property
    def prefix(self) -> str:
        return f"adb -s {self._serial}"

    def run(self, *command: str, timeout_s: float = 10.0) -> str:
        adb = shutil.which("adb")
        if adb is None:
            raise UnavailableError(_MISSING)
        try:
            done = subprocess.run(
                [adb, "-s", self._serial, "shell", shlex.join(command)],
                capture_output=True,
                timeout=timeout_s,
                check=False,
            )
        except subprocess.TimeoutExpired:
            raise UnavailableError(
                f"{self._serial} was silent for {timeout_s:g} s; start adb anew: adb kill-server"
            ) from None
        if done.returncode != 0:
            raise UnavailableError(self._refused(done.stderr.decode(errors="replace").strip()))
        return done.stdout.decode(errors="replace").replace("\r\n", "\n")

    def _refused(self, said: str) -> str:
        """What went wrong by what adb `said`, with the repair."""
        if "unauthorized" in said:
            return (
                f"{self._serial} waits until you allow debugging on its screen; then: adb devices"
            )
        if "not found" in said or "offline" in said:
            return f"{self._serial} is not connected ({said}); list phones with: adb devices"
        return f"{self._serial} refuses ({said}); look at it with: {self.prefix} shell"
