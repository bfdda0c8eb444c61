"""trtexec on a device that needs no Python: driven through its transport, engines kept there.

In the work folder there is a folder for each engine: the engine, how it came to be, its inputs by
their hash, and what the last run wrote.
"""

from __future__ import annotations

import json
import threading
import time
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import contextmanager, suppress
from functools import partial
from pathlib import Path
from typing import Any

from ....core.artefact import sha256_of
from ....core.errors import ArtefactError
from ....devices.device import Gates
from ....devices.phone import PhoneState, identify, read_phone, wait_until_ready
from ....devices.transports import Transport
from ...artefacts import Artefact
from ...condition import Condition
from ...remote.patience import Patience
from ..engines import DESCRIPTION, LAYERS, PLAN
from ..tensors import TensorInfo
from .command import build_command
from .engines import BUILD_PATIENCE, Workshop, describe, engine_name, no_engine
from .host import Host, LaidOut, encoded_inputs
from .process import Finished
from .tool import Tool
from .work_folder import Sums, WorkFolder, find_far_trtexec

FOLDER = "trtexec"
"""Below the work folder: an engine a folder, called by all that decides it."""

_MODEL = "model.onnx"
_NOTHING = sha256_of(b"")
_BEAT_S = 2.0


class FarHost(Host):
    """The device behind `transport`, which this process holds.

    Args:
        transport: The way to it.
        name: Of its card.
        gates: What has to hold before a case is timed.
        sleep: Waits for seconds.
    """

    def __init__(
        self,
        transport: Transport,
        name: str,
        gates: Gates,
        sleep: Callable[[float], None] = time.sleep,
    ) -> None:
        self._name = name
        self._gates = gates
        self._sleep = sleep
        self._work = WorkFolder(transport, Patience(name, self._wait), self._wait)
        self._beat: Callable[[], None] = lambda: None
        self._mask = ""
        self._before: PhoneState | None = None
        self._who: dict[str, Any] = {}
        self._is_clear = False

    def tool(self, name: str) -> Tool:
        return find_far_trtexec(self._work.transport, self._work.patience, name)

    def identity(self, gpu: int) -> dict[str, Any]:
        return {}

    def pin(self, affinity: tuple[int, ...] | None) -> None:
        self._mask = "" if affinity is None else f"{sum(1 << cpu for cpu in affinity):x}"

    @contextmanager
    def signs_of_life(self, beat: Callable[[], None]) -> Iterator[None]:
        is_over = threading.Event()

        def keep_beating() -> None:
            with suppress(BrokenPipeError, ValueError):
                while not is_over.wait(_BEAT_S):
                    beat()

        # All that the device is asked has limits, but they add up to more than the silence that
        # is taken for a hang.
        beating = threading.Thread(target=keep_beating, daemon=True)
        beating.start()
        self._beat = beat
        try:
            yield
        finally:
            is_over.set()
            beating.join()

    @contextmanager
    def lay_out(
        self, artefact: Artefact, ends: Sequence[TensorInfo], workshop: Workshop
    ) -> Iterator[LaidOut]:
        if not self._is_clear:
            self._work.end_jobs()
            self._is_clear = True
        model = artefact.model_path.read_bytes()
        identity = workshop.identity(model)
        folder = f"{FOLDER}/{engine_name(identity)}"
        given = encoded_inputs(artefact, ends)
        files = {name: f"input-{sha256_of(data)[:32]}.bin" for name, data in given.items()}
        wanted = (DESCRIPTION, PLAN, *files.values())
        found = self._work.sums(f"{folder}/{name}" for name in wanted)
        if f"{folder}/{DESCRIPTION}" in found:
            description = self._description(folder, identity, found)
        else:
            description, found = self._build(folder, model, ends, workshop, identity), {}
        for name, data in given.items():
            place = f"{folder}/{files[name]}"
            if found.get(place) != (sha256_of(data), len(data)):
                self._work.push(data, place)
        where = f"{folder} on {self._work.transport.name}"
        layers = self._layers(folder)
        self._before = self._ready()
        yield LaidOut(Path(folder), Path(PLAN), files, where, description, layers)

    def run(
        self, command: Sequence[str], folder: Path, limit_s: float, beat: Callable[[], None]
    ) -> Finished:
        return self._work.run(command, folder, limit_s, self._mask, beat)

    def content(self, path: Path) -> bytes:
        return self._work.content(path)

    def state(self, condition: Condition) -> dict[str, Any]:
        after = self._read()
        before = after if self._before is None else self._before
        return {
            **after.to_json(),
            "before": before.to_json(),
            "has_restarted": after.has_restarted_since(before),
        }

    def environment(self, condition: Condition) -> dict[str, Any]:
        if not self._who:
            ask = partial(identify, self._work.transport)
            self._who = self._work.patience.persist(ask)
        path = dict(condition.options)["path"]
        return {
            "device": self._who,
            "trtexec": {"path": path, "version": condition.runtime_version},
        }

    def _build(
        self,
        folder: str,
        model: bytes,
        ends: Sequence[TensorInfo],
        workshop: Workshop,
        identity: Mapping[str, Any],
    ) -> dict[str, Any]:
        """Build the engine into `folder`; how it came to be, which is put there last."""
        self._work.delete(folder)
        self._work.push(model, f"{folder}/{_MODEL}")
        # Beside the engines' folders: what the builder measured serves all of them.
        cache = f"timings-{workshop.tool.version}-gpu-{workshop.options.gpu}.bin"
        command = build_command(
            workshop.tool,
            workshop.options,
            workshop.precision,
            Path(_MODEL),
            ends,
            Path(PLAN),
            Path(LAYERS),
            Path("..", cache),
        )
        plan, measured = f"{folder}/{PLAN}", f"{FOLDER}/{cache}"
        before = self._work.sums([measured])
        limit_s = BUILD_PATIENCE * workshop.limit_s
        finished = self.run(command, Path(folder), limit_s, workshop.beat)
        after = self._work.sums([plan, measured])
        if after.get(plan, ("", 0))[1] == 0:
            raise no_engine(command)
        caches = [known.get(measured, (_NOTHING, 0))[0] for known in (before, after)]
        description = describe(identity, after[plan], finished, (caches[0], caches[1]))
        self._work.push(json.dumps(description).encode(), f"{folder}/{DESCRIPTION}")
        self._work.delete(f"{folder}/{_MODEL}")
        return description

    def _description(self, folder: str, identity: Mapping[str, Any], found: Sums) -> Any:
        """How the engine in `folder` came to be, held against `identity` and what is there.

        Raises:
            ArtefactError: The engine or its description was changed.
        """
        try:
            told = json.loads(self.content(Path(folder, DESCRIPTION)))
            is_whole = (
                {name: told[name] for name in identity} == dict(identity)
                and {"device", "command"} <= told.keys()
                and float(told["build_s"]) >= 0
                and found.get(f"{folder}/{PLAN}") == (told["sha256"], told["bytes"])
            )
        except (ValueError, TypeError, KeyError, AttributeError, RecursionError):
            is_whole = False
        if not is_whole:
            transport = self._work.transport
            raise ArtefactError(
                f"The engine {folder} in the work folder of {transport.name} was changed since "
                "it was built; delete that folder there."
            )
        return told

    def _layers(self, folder: str) -> Any | None:
        """What TensorRT told of the layers; None where it is no JSON: names are not escaped."""
        try:
            return json.loads(self.content(Path(folder, LAYERS)))
        except (FileNotFoundError, ValueError, RecursionError):
            return None

    def _ready(self) -> PhoneState:
        """The device's state, once its gates let a case be timed."""
        return wait_until_ready(
            self._read, self._gates, self._beat, self._sleep, time.monotonic, name=self._name
        )

    def _read(self) -> PhoneState:
        return self._work.patience.persist(partial(read_phone, self._work.transport))

    def _wait(self, pause_s: float) -> None:
        """Wait, and end where the parent is gone."""
        self._sleep(pause_s)
        self._beat()
