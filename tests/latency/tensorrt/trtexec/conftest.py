"""A trtexec that is none, put on PATH."""

from __future__ import annotations

import json
import sys
from pathlib import Path

import pytest

FAKE = Path(__file__).with_name("fake_trtexec.py")


class Pretended:
    """The program on PATH, and what it is told to do."""

    def __init__(self, folder, monkeypatch):
        self.path = folder / "trtexec"
        self.log = folder / "log"
        self._monkeypatch = monkeypatch
        self._monkeypatch.setenv("FAKE_LOG", str(self.log))
        self.be("10.13.0")

    def be(self, version):
        """Become another version; the file changes, as that of a program that is replaced does."""
        self._monkeypatch.setenv("FAKE_VERSION", version)
        self.path.write_text(f'#!/bin/sh\n# {version}\nexec {sys.executable} -P {FAKE} "$@"\n')
        self.path.chmod(0o755)
        return self

    def trouble(self, kind):
        self._monkeypatch.setenv("FAKE_TROUBLE", kind)
        return self

    def hand_out(self, times):
        self._monkeypatch.setenv("FAKE_TIMES", str(times))

    def on(self, device):
        self._monkeypatch.setenv("FAKE_DEVICE", device)

    @property
    def commands(self):
        """What it was called with, calls for its version apart."""
        lines = self.log.read_text().splitlines() if self.log.exists() else []
        return [json.loads(line) for line in lines]


@pytest.fixture
def trtexec(tmp_path, monkeypatch):
    """A trtexec of version 10.13 at the front of PATH, with a home of its own."""
    folder = tmp_path / "bin"
    folder.mkdir()
    monkeypatch.setenv("PATH", f"{folder}:/usr/bin:/bin")
    monkeypatch.setenv("ELAT_HOME", str(tmp_path / "home"))
    monkeypatch.delenv("FAKE_TROUBLE", raising=False)
    return Pretended(folder, monkeypatch)
