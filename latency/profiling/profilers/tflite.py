"""LiteRT's profiler, which sees inside XNNPACK."""

from __future__ import annotations

import importlib
from collections import Counter
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path
from typing import TYPE_CHECKING, Any

from ....core.errors import MeasurementError, UnavailableError
from ...runtimes.base import Loop
from ...runtimes.tflite import TFLite, installed_package, load
from ...sample import Sample, timed
from ..litert import DELEGATE_EVENT, OPERATOR_EVENT, Event, open_profiled, unavailable_reason
from ..raw import RawNode, RawProfile
from . import profilers
from .base import Profiler

if TYPE_CHECKING:
    from numpy.typing import NDArray

    from ...condition import Condition

_STEP_MS = 1e-3
_WARM_UP_RUNS = 10
_INVOKE = "Invoke"


@profilers.register("tflite")
class TFLiteProfiler(Profiler):
    """The operators of XNNPACK, and those of the interpreter that XNNPACK leaves to it.

    An operator of XNNPACK ends with the reading of the clock that begins the next one, and its
    time is cut off to whole microseconds.
    """

    def unavailable_reason(self) -> str | None:
        return TFLite().unavailable_reason() or unavailable_reason()

    @contextmanager
    def open(
        self, model: Path, inputs: Sequence[NDArray[Any]], condition: Condition
    ) -> Iterator[Loop]:
        package = installed_package()
        if package is None:
            raise UnavailableError(str(TFLite().unavailable_reason()))
        library = importlib.import_module(f"{package}.interpreter")
        options = TFLite().options(dict(condition.options))
        interpreter = load(library, model, options, condition.threads)
        places = interpreter.get_input_details()
        if len(places) != len(inputs):
            raise MeasurementError(f"{model} takes {len(places)} inputs, got {len(inputs)}.")
        try:
            for place, array in zip(places, inputs, strict=True):
                interpreter.set_tensor(place["index"], array)
            interpreter.invoke()
        except (ValueError, RuntimeError) as error:
            raise MeasurementError(f"TFLite cannot run {model}: {error}") from error
        yield _Run(interpreter)

    def profile(
        self, model: Path, inputs: Sequence[NDArray[Any]], condition: Condition, runs: int
    ) -> RawProfile:
        if not TFLite().options(dict(condition.options))["xnnpack"]:
            raise UnavailableError(
                "LiteRT profiles with XNNPACK only; use a device card with xnnpack: true."
            )
        with open_profiled(model, inputs, condition.threads) as opened:
            for _ in range(_WARM_UP_RUNS):
                opened.run()
            found = [opened.profiled_run() for _ in range(runs)]
        return _raw_profile(found, model)


class _Run(Loop):
    def __init__(self, interpreter: Any) -> None:
        self._interpreter = interpreter

    def time_loops(self, loops: int) -> Sample:
        return timed(self._interpreter.invoke, loops)


def _raw_profile(runs: Sequence[Sequence[Event]], model: Path) -> RawProfile:
    executed = [[event for event in run if _is_operator(event)] for run in runs]
    spans = [next((e.duration_us for e in run if e.tag == _INVOKE), None) for run in runs]
    shapes = Counter(tuple(event.tag for event in run) for run in executed)
    common, count = shapes.most_common(1)[0]
    if not common or count < len(runs) / 2 or None in spans:
        raise MeasurementError(
            f"LiteRT's profiler told of {len(common)} operators of {model} in {count} of "
            f"{len(runs)} runs, and of something else in the others; profile again."
        )
    kept = [
        (events, span)
        for events, span in zip(executed, spans, strict=True)
        if tuple(event.tag for event in events) == common and span is not None
    ]
    nodes = tuple(
        RawNode(
            f"{tag}:{index}",
            tag,
            tuple(events[index].duration_us / 1e3 for events, _ in kept),
            original=_original(kept[0][0][index]),
        )
        for index, tag in enumerate(common)
    )
    return RawProfile(
        nodes,
        tuple(span / 1e3 for _, span in kept),
        _STEP_MS,
        is_gapless=True,
        facts={"delegate": "XNNPACK"},
    )


def _is_operator(event: Event) -> bool:
    """Whether it is work, and not the whole delegate around work told of one by one."""
    return event.kind in (OPERATOR_EVENT, DELEGATE_EVENT) and "Delegate" not in event.tag


def _original(event: Event) -> int | None:
    is_known = event.kind == OPERATOR_EVENT and event.subgraph == 0
    return event.number if is_known else None
