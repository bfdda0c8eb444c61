"""The pretended trtexec as a file that holds all it is told: no environment reaches a device."""

from __future__ import annotations

import json
import shlex
import sys
from pathlib import Path

FAKE = Path(__file__).with_name("fake_trtexec.py")


class Installed:
    """A trtexec at `path`, and what it was called with; `outputs` keeps what it computed."""

    def __init__(self, path: Path, outputs: Path) -> None:
        self.path = path
        self._outputs = outputs
        self._log = path.with_name("calls")
        self.be()

    def be(self, version: str = "10.13.0", trouble: str = "", device: str = "") -> Installed:
        """Become another one."""
        told = {
            "FAKE_LOG": str(self._log),
            "FAKE_OUTPUTS": str(self._outputs),
            "FAKE_VERSION": version,
            "FAKE_TROUBLE": trouble,
            "FAKE_DEVICE": device or "NVIDIA Pretend 4090",
        }
        words = " ".join(f"{name}={shlex.quote(value)}" for name, value in told.items())
        self.path.write_text(
            f'#!/bin/sh\nexec env {words} {sys.executable} -P {shlex.quote(str(FAKE))} "$@"\n'
        )
        self.path.chmod(0o755)
        return self

    @property
    def commands(self) -> list[list[str]]:
        """What it was called with, calls for its version apart."""
        lines = self._log.read_text().splitlines() if self._log.exists() else []
        return [json.loads(line) for line in lines]

    @property
    def builds(self) -> int:
        """How many engines it built, or began to."""
        return sum("--skipInference" in command for command in self.commands)
