"""The checkpoint and the history of one resumable computation, always consistent."""

from __future__ import annotations

import time
from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Any

from ..core.artefact import canonical_json
from ..core.errors import ArtefactError
from .checkpoint import Checkpoint, read_checkpoint, write_checkpoint

_BYTES = "history_bytes"


class Journal:
    """Lines of history, and checkpoints that know how many of them they cover.

    After a crash the history may be ahead of the checkpoint; resuming cuts it back, and since the
    computation repeats itself to the bit, so does the history.

    Args:
        folder: Where the files lie; made by the first write.
        checkpoint: File name of the checkpoint.
        history: File name of the history, JSON lines.
        every_s: Least time between two checkpoints that are not forced, in seconds.
        clock: Seconds, monotonic.
    """

    def __init__(
        self,
        folder: Path,
        checkpoint: str,
        history: str,
        every_s: float = 2.0,
        clock: Callable[[], float] = time.monotonic,
    ) -> None:
        self._checkpoint = folder / checkpoint
        self._history = folder / history
        self._every_s = every_s
        self._clock = clock
        self._written_s = clock()

    def resume(self) -> Checkpoint | None:
        """The last checkpoint with the history cut back to it, or None and an empty history.

        Raises:
            ArtefactError: The checkpoint is unreadable, or the history shorter than it says.
        """
        if not self._checkpoint.exists():
            self._history.unlink(missing_ok=True)
            return None
        checkpoint = read_checkpoint(self._checkpoint)
        wanted = checkpoint.state.get(_BYTES)
        found = self._history.stat().st_size if self._history.exists() else 0
        if not isinstance(wanted, int) or found < wanted:
            raise ArtefactError(
                f"{self._history} has {found} bytes, {self._checkpoint.name} covers {wanted}; "
                f"delete {self._checkpoint} to start again."
            )
        if found > wanted:
            with self._history.open("r+b") as file:
                file.truncate(wanted)
        return checkpoint

    def record(self, line: Mapping[str, Any]) -> None:
        """Append one JSON line to the history."""
        self._history.parent.mkdir(parents=True, exist_ok=True)
        with self._history.open("a") as file:
            file.write(canonical_json(dict(line)) + "\n")

    def save(self, take: Callable[[], Checkpoint], *, force: bool = False) -> None:
        """Write `take()` as the checkpoint, if the last one is old enough or `force` is set."""
        if not force and self._clock() - self._written_s < self._every_s:
            return
        checkpoint = take()
        size = self._history.stat().st_size if self._history.exists() else 0
        write_checkpoint(
            self._checkpoint,
            Checkpoint(checkpoint.tensors, {**checkpoint.state, _BYTES: size}),
        )
        self._written_s = self._clock()

    def close(self) -> None:
        """Remove the checkpoint: what it led to has been written."""
        self._checkpoint.unlink(missing_ok=True)
