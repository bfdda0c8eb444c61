"""Which machine this is, told without its machine id."""

from __future__ import annotations

import hmac
import platform
from pathlib import Path

from .files import ROOT, read_text

_HOST_KEY = b"elat host identity 1"


def host_hash(root: Path = ROOT) -> str | None:
    """A keyed hash of the machine id, from which neither can be found again; None without one."""
    machine_id = read_text(root / "etc/machine-id")
    if not machine_id:
        return None
    return hmac.new(machine_id.encode(), _HOST_KEY, "sha256").hexdigest()[:16]


def host_identity(root: Path = ROOT) -> str:
    """The machine's name and the hash of its id: copies of one image share the latter alone."""
    name = read_text(root / "proc/sys/kernel/hostname") or platform.node() or "nameless"
    known = host_hash(root)
    return name if known is None else f"{name} ({known})"
