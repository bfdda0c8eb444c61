"""trtexec on this machine, with its engines beside the models."""

from __future__ import annotations

import tempfile
from collections.abc import Callable, Iterator, Sequence
from contextlib import AbstractContextManager, contextmanager, nullcontext
from pathlib import Path
from typing import Any, ClassVar

from ....devices.state import state
from ...artefacts import Artefact
from ...condition import Condition
from ...runtimes import runtimes
from ...worker import pin
from ..engines import PLAN
from ..tensors import TensorInfo
from .command import OUTPUTS, TIMES
from .engines import Workshop, find_engine, identity_of
from .host import Host, LaidOut, encoded_inputs
from .process import Finished, run_trtexec
from .tool import Tool, find_trtexec


class HereHost(Host):
    """This machine."""

    is_here: ClassVar[bool] = True

    def tool(self, name: str) -> Tool:
        return find_trtexec(name)

    def identity(self, gpu: int) -> dict[str, Any]:
        return identity_of(gpu)

    def pin(self, affinity: tuple[int, ...] | None) -> None:
        pin(affinity)

    def signs_of_life(self, beat: Callable[[], None]) -> AbstractContextManager[None]:
        return nullcontext()

    @contextmanager
    def lay_out(
        self, artefact: Artefact, ends: Sequence[TensorInfo], workshop: Workshop
    ) -> Iterator[LaidOut]:
        engine = find_engine(artefact.model_path, workshop)
        with tempfile.TemporaryDirectory(prefix="elat-trtexec-") as name:
            scratch, files = Path(name), {}
            for index, (key, data) in enumerate(encoded_inputs(artefact, ends).items()):
                files[key] = f"input{index}.bin"
                (scratch / files[key]).write_bytes(data)
            yield LaidOut(
                scratch,
                engine.folder.absolute() / PLAN,
                files,
                str(engine.folder),
                engine.description,
                engine.layers(),
            )

    def run(
        self, command: Sequence[str], folder: Path, limit_s: float, beat: Callable[[], None]
    ) -> Finished:
        for name in (TIMES, OUTPUTS):
            (folder / name).unlink(missing_ok=True)
        return run_trtexec(command, folder, limit_s, beat)

    def content(self, path: Path) -> bytes:
        return path.read_bytes()

    def state(self, condition: Condition) -> dict[str, Any]:
        return state() | runtimes[condition.runtime]().state(condition)

    def environment(self, condition: Condition) -> dict[str, Any]:
        return runtimes[condition.runtime]().environment(condition)
