"""ONNX Runtime's session profiling."""

from __future__ import annotations

import tempfile
from collections import defaultdict, deque
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from functools import partial
from pathlib import Path
from typing import TYPE_CHECKING, Any

from ....core.errors import ArtefactError, MeasurementError, UnavailableError
from ...runtimes.base import Loop
from ...runtimes.onnxruntime import OnnxRuntime, load, session_options
from ...sample import Sample, timed
from ..ort_events import Event, read_runs
from ..raw import RawNode, RawProfile
from . import profilers
from .base import Profiler

if TYPE_CHECKING:
    from numpy.typing import NDArray
    from onnx import NodeProto

    from ...condition import Condition

_STEP_MS = 1e-3
_WARM_UP_RUNS = 10


@profilers.register("onnxruntime")
class OnnxRuntimeProfiler(Profiler):
    """Traces a session, and reads beside it the graph that the session made of the model.

    The profiler describes each node's tensors before it stops the clock, so that 2 to 3
    microseconds of its own work are in every node's time.
    """

    def unavailable_reason(self) -> str | None:
        return OnnxRuntime().unavailable_reason()

    @contextmanager
    def open(
        self, model: Path, inputs: Sequence[NDArray[Any]], condition: Condition
    ) -> Iterator[Loop]:
        ort, settings = self._settings(condition)
        session = load(ort, model, settings)
        yield _Run(_runner(session, inputs, model))

    def profile(
        self, model: Path, inputs: Sequence[NDArray[Any]], condition: Condition, runs: int
    ) -> RawProfile:
        ort, settings = self._settings(condition)
        with tempfile.TemporaryDirectory(prefix="elat-") as folder:
            optimised = Path(folder) / "optimised.onnx"
            settings.enable_profiling = True
            settings.profile_file_prefix = str(Path(folder) / "trace")
            settings.optimized_model_filepath = str(optimised)
            session = load(ort, model, settings)
            run = _runner(session, inputs, model)
            for _ in range(_WARM_UP_RUNS + runs):
                run()
            trace = Path(session.end_profiling()).read_bytes()
            nodes = _read_graph(optimised)
        try:
            found = read_runs(trace)[-runs:]
        except ArtefactError as error:
            raise MeasurementError(f"{model} was profiled in vain: {error}") from error
        if not found:
            raise MeasurementError(f"The trace of {model} was cut short; profile fewer runs.")
        # What runs inside a loop or a branch is part of that node's time.
        executed = [[event for event in run.nodes if event.parent is None] for run in found]
        return RawProfile(
            _raw_nodes(executed, nodes, model),
            tuple(run.duration_us / 1e3 for run in found),
            _STEP_MS,
            is_gapless=False,
            facts={"graph_level": str(dict(condition.options)["graph_level"])},
        )

    def _settings(self, condition: Condition) -> tuple[Any, Any]:
        if reason := self.unavailable_reason():
            raise UnavailableError(reason)
        import onnxruntime as ort

        options = OnnxRuntime().options(dict(condition.options))
        return ort, session_options(ort, options, condition.threads)


class _Run(Loop):
    def __init__(self, run: Callable[[], object]) -> None:
        self._run = run

    def time_loops(self, loops: int) -> Sample:
        return timed(self._run, loops)


def _runner(session: Any, inputs: Sequence[NDArray[Any]], model: Path) -> Callable[[], object]:
    """One run of `session`, everything bound beforehand."""
    places = session.get_inputs()
    if len(places) != len(inputs):
        raise MeasurementError(f"{model} takes {len(places)} inputs, got {len(inputs)}.")
    binding = session.io_binding()
    for place, array in zip(places, inputs, strict=True):
        binding.bind_cpu_input(place.name, array)
    for place in session.get_outputs():
        binding.bind_output(place.name, "cpu")
    run: Callable[[], object] = partial(session.run_with_iobinding, binding)
    from onnxruntime.capi import onnxruntime_pybind11_state as errors

    try:
        run()
    except (errors.Fail, errors.InvalidArgument, errors.RuntimeException, RuntimeError) as error:
        raise MeasurementError(f"ONNX Runtime cannot run {model}: {error}") from error
    return run


def _read_graph(path: Path) -> list[NodeProto]:
    import onnx

    return list(onnx.load(str(path), load_external_data=False).graph.node)


def _raw_nodes(
    runs: Sequence[Sequence[Event]], graph: list[NodeProto], model: Path
) -> tuple[RawNode, ...]:
    """The executed nodes with the tensors that the optimised `graph` says they read and write.

    The trace names nodes as the graph does. Nodes without a name there are taken in order, which
    is that of execution among nodes of one kind.
    """
    named: dict[str, NodeProto] = {}
    unnamed: dict[str, deque[NodeProto]] = defaultdict(deque)
    for node in graph:
        if node.name and node.name not in named:
            named[node.name] = node
        else:
            unnamed[node.op_type].append(node)
    raw = []
    for index, event in enumerate(runs[0]):
        found = named.get(event.name)
        if found is None and unnamed[event.kind]:
            found = unnamed[event.kind].popleft()
        if found is None:
            raise MeasurementError(
                f"ONNX Runtime executed {event.kind} {event.name!r}, which is not in the graph "
                "that it says to have made; profile with another version of onnxruntime."
            )
        raw.append(
            RawNode(
                event.name or f"{event.kind}_{index}",
                event.kind,
                tuple(run[index].duration_us / 1e3 for run in runs),
                tuple(name for name in found.input if name),
                tuple(name for name in found.output if name),
            )
        )
    return tuple(raw)
