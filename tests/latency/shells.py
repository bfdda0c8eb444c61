"""Shell programs for devices, run by every shell that is here; those of phones where they are."""

from __future__ import annotations

import os
import shutil
import subprocess
from pathlib import Path

SHELLS = {
    "sh": ["sh"], "bash": ["bash", "--posix"], "mksh": ["mksh"],
    "busybox": ["busybox", "sh"],
}  # fmt: skip


class ShellFolder:
    """A work folder in which a shell runs the programs."""

    def __init__(self, shell: list[str], folder: Path) -> None:
        self.shell = shell
        self.folder = folder

    def ask(
        self, script: str, *words: str, path: str | None = None
    ) -> subprocess.CompletedProcess[bytes]:
        environment = {**os.environ, **({} if path is None else {"PATH": path})}
        return subprocess.run(
            [str(shutil.which(self.shell[0])), *self.shell[1:], "-c", script, "elat", *words],
            cwd=self.folder, env=environment, stdin=subprocess.DEVNULL, capture_output=True,
            timeout=60, check=False,
        )  # fmt: skip
