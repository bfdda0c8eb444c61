"""A board that is this machine, behind a real sshd."""

from __future__ import annotations

import sys
from dataclasses import dataclass
from pathlib import Path

import yaml

from elat.core.artefact import elat_home
from elat.devices.device import Device, find_device

from . import sshd


@dataclass(frozen=True)
class Loop:
    """A board that is this machine, the sshd that reaches it, and its work folder."""

    server: sshd.SshServer
    folder: Path

    def card(self, **ssh: object) -> Device:
        """The card `loop-ssh` as a file among the user's cards, with changes to its section."""
        section = {
            "host": sshd.HOST,
            "config": str(self.server.config),
            "identity": str(self.server.folder / "user"),
            "folder": str(self.folder),
            "python": sys.executable,
        }
        card = {
            "schema": 1,
            "id": "loop-ssh",
            "kind": "ssh",
            "runtime": {"name": "onnxruntime", "method": "block"},
            "ssh": section | ssh,
        }
        path = elat_home() / "devices" / "loop-ssh.yaml"
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_text(yaml.safe_dump(card))
        return find_device("loop-ssh")
