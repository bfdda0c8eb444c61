"""The fresh process that profiles, or times without profiling; `elat.latency.profiling.worker`.

It speaks JSON lines, as the worker that measures does, and imports no torch. A crash of a
profiler's native code ends this process alone.

    out  {"worker": id, "environment": {...}}                        once, when it is ready
    in   {"task": "profile" | "time", "models": [folder, ...], "condition": {...}, "runs": 40,
          "affinity": [0] | null}
    out  {"profiles": [{...}, ...]}                                  one a model, or
    out  {"times_ms": [...]}                                         one a model, or
    out  {"error": {"class": ..., "message": ...}}

A folder holds `model` with the suffix of its format, and `inputs.npz`. The process ends when its
input ends.
"""

from __future__ import annotations

import json
import uuid
from collections.abc import Sequence
from contextlib import ExitStack
from dataclasses import replace
from pathlib import Path
from typing import Any, TextIO

import numpy as np
from numpy.typing import NDArray

from ...core.errors import ConfigError, ElatError
from ...core.seeding import numpy_generator
from ...devices.state import fingerprint
from ..condition import Condition
from ..protocol import SCREEN
from ..request import error_class
from ..sample import Clock
from ..serving import say, serve_standard_streams
from ..timing import Slot, interleave, make_slot, warm_up
from ..worker import pin
from .profilers import Profiler, profilers

INPUTS = "inputs.npz"
_TIMING = replace(SCREEN, name="unprofiled", passes=24, max_passes=64, group_min_ms=250.0)
_ERRORS = (ElatError, RuntimeError, ValueError, OSError, MemoryError)


def answer(request: dict[str, Any]) -> dict[str, Any]:
    """What the parent is told for `request`.

    Raises:
        ConfigError: It is no request.
    """
    try:
        condition = Condition.from_json(request["condition"])
        folders = [Path(folder) for folder in request["models"]]
        runs, task, affinity = int(request["runs"]), request["task"], request["affinity"]
    except (KeyError, TypeError, ValueError) as error:
        raise ConfigError(f"Not a request: {error!r}.") from error
    pin(affinity)
    profiler = profilers[condition.runtime]()
    if task == "profile":
        found = [
            profiler.profile(*model_in(folder), condition, runs).to_json() for folder in folders
        ]
        return {"profiles": found}
    return {"times_ms": time_models(profiler, folders, condition)}


def time_models(profiler: Profiler, folders: Sequence[Path], condition: Condition) -> list[float]:
    """Time of one run of each model, in milliseconds: slices in shuffled passes, no profiling."""
    clock = condition.clock
    with ExitStack() as stack:
        slots: list[Slot] = []
        for folder in folders:
            loop = stack.enter_context(profiler.open(*model_in(folder), condition))
            warm = warm_up(loop, _TIMING, clock)
            slots.append(make_slot(loop, warm, _TIMING.slice_ms, _TIMING))
        interleave(slots, None, _TIMING, numpy_generator(0, "passes"), (), lambda _: None)
    return [_run_ms(slot, clock) for slot in slots]


def _run_ms(slot: Slot, clock: Clock) -> float:
    clean = [s for s in slot.samples if clock is Clock.CPU or s.is_clean]
    return float(np.median([sample.run_ms(clock) for sample in clean or slot.samples]))


def model_in(folder: Path) -> tuple[Path, list[NDArray[Any]]]:
    """The model file in `folder`, and its inputs in order."""
    model = next(folder.glob("model.*"))
    with np.load(folder / INPUTS, allow_pickle=False) as arrays:
        return model, [arrays[f"input{index}"] for index in range(len(arrays.files))]


def serve(lines: TextIO, out: TextIO) -> None:
    """Answer every line of `lines` until they end."""
    say(out, {"worker": uuid.uuid4().hex, "environment": fingerprint()})
    for line in lines:
        try:
            say(out, answer(json.loads(line)))
        except BrokenPipeError:
            return
        except _ERRORS as error:
            message = {"class": error_class(error), "message": str(error) or repr(error)}
            say(out, {"error": message})


def main() -> None:
    """Serve standard input and output."""
    serve_standard_streams(serve)


if __name__ == "__main__":
    main()
