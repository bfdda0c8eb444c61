"""ONNX Runtime on the CPU."""

from __future__ import annotations

import json
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from functools import partial
from importlib.metadata import PackageNotFoundError, version
from importlib.util import find_spec
from pathlib import Path
from typing import TYPE_CHECKING, Any, Literal

import numpy as np

from ...core.config import Settings, parse
from ...core.errors import MeasurementError, UnavailableError, UnsupportedOperatorError
from ..precision import Precision
from ..sample import Sample, timed
from . import runtimes
from .base import Options, Runtime, Session

if TYPE_CHECKING:
    from ..condition import Condition
    from ..graph.ir import Array, Graph
    from ..graph.quantise import Quantisation

_MISSING = "onnxruntime is not installed; install it with: pip install onnxruntime"
_SILENT = 4


class _Options(Settings):
    graph_level: Literal["all", "extended", "basic", "disable"] = "all"
    spinning: bool = False


@runtimes.register("onnxruntime")
class OnnxRuntime(Runtime):
    """ONNX files on ONNX Runtime's CPU provider, one operation after another.

    Options: `graph_level`, how far the graph is optimised (`all` includes the blocked layout
    without which convolutions take 2.5 times as long); `spinning`, whether idle threads of the
    pool burn a core while they wait.

    An int8 artefact has uint8 inputs and output: real values are converted outside the clock.
    """

    @property
    def suffix(self) -> str:
        return ".onnx"

    def unavailable_reason(self) -> str | None:
        return None if find_spec("onnxruntime") else _MISSING

    def version(self, options: Mapping[str, Any] | None = None) -> str:
        try:
            return f"onnxruntime {version('onnxruntime')}"
        except PackageNotFoundError:
            raise UnavailableError(_MISSING) from None

    def options(self, given: Mapping[str, Any]) -> Options:
        options: Options = parse(_Options, dict(given), "onnxruntime options").model_dump()
        return options

    def write(
        self, graph: Graph, precision: Precision, quantisation: Quantisation | None = None
    ) -> bytes:
        from ..graph.onnx_file import write_onnx

        return write_onnx(graph, quantisation)

    @contextmanager
    def open(
        self, artefact: Path, inputs: Sequence[Array], condition: Condition
    ) -> Iterator[Session]:
        if reason := self.unavailable_reason():
            raise UnavailableError(reason)
        import onnxruntime as ort

        options = self.options(dict(condition.options))
        model = load(ort, artefact, session_options(ort, options, condition.threads))
        binding = model.io_binding()
        given = model.get_inputs()
        if len(given) != len(inputs):
            raise MeasurementError(f"{artefact} takes {len(given)} inputs, got {len(inputs)}.")
        scales = _scales(model, artefact)
        for place, array, scale in zip(given, inputs, scales, strict=False):
            binding.bind_cpu_input(place.name, _placed(array, scale))
        target = model.get_outputs()[0]
        kind = np.dtype(np.float32 if scales[-1] is None else np.uint8)
        output = ort.OrtValue.ortvalue_from_shape_and_type(target.shape, kind)
        binding.bind_ortvalue_output(target.name, output)
        yield _Session(
            # A partial costs each run less than a function written here would.
            partial(model.run_with_iobinding, binding),
            lambda: _real(output.numpy(), scales[-1]),
        )


class _Session(Session):
    def __init__(self, run: Callable[[], object], read: Callable[[], Array]) -> None:
        self._run = run
        self._read = read

    def time_loops(self, loops: int) -> Sample:
        return timed(self._run, loops)

    def output(self) -> Array:
        self._run()
        return self._read()


_Scale = tuple[np.float32, int] | None


def session_options(ort: Any, options: Options, threads: int) -> Any:
    """The `SessionOptions` of the library `ort` that the runtime's `options` stand for."""
    levels = ort.GraphOptimizationLevel
    settings = ort.SessionOptions()
    settings.graph_optimization_level = {
        "all": levels.ORT_ENABLE_ALL,
        "extended": levels.ORT_ENABLE_EXTENDED,
        "basic": levels.ORT_ENABLE_BASIC,
        "disable": levels.ORT_DISABLE_ALL,
    }[str(options["graph_level"])]
    settings.intra_op_num_threads = threads
    settings.inter_op_num_threads = 1
    settings.execution_mode = ort.ExecutionMode.ORT_SEQUENTIAL
    spinning = str(int(bool(options["spinning"])))
    settings.add_session_config_entry("session.intra_op.allow_spinning", spinning)
    settings.log_severity_level = _SILENT
    return settings


def load(ort: Any, artefact: Path, settings: Any) -> Any:
    """An `InferenceSession` on the CPU.

    Raises:
        UnsupportedOperatorError: ONNX Runtime has no kernel for a node.
        MeasurementError: It refuses the file.
    """
    from onnxruntime.capi import onnxruntime_pybind11_state as errors

    try:
        return ort.InferenceSession(str(artefact), settings, providers=["CPUExecutionProvider"])
    except errors.NotImplemented as error:
        raise UnsupportedOperatorError(
            f"ONNX Runtime has no kernel for {artefact}: {error}"
        ) from error
    except (
        errors.Fail,
        errors.InvalidArgument,
        errors.InvalidGraph,
        errors.InvalidProtobuf,
        errors.NoSuchFile,
        errors.RuntimeException,
    ) as error:
        raise MeasurementError(f"ONNX Runtime refuses {artefact}: {error}") from error


def _scales(model: Any, artefact: Path) -> list[_Scale]:
    """Scale and uint8 zero point of each input and of the output; None where it is float."""
    places = [*model.get_inputs(), model.get_outputs()[0]]
    if all(place.type == "tensor(float)" for place in places):
        return [None] * len(places)
    # Kept here as text so that a board that only runs models needs no onnx package.
    text = model.get_modelmeta().custom_metadata_map.get("elat.scales")
    if text is None:
        raise MeasurementError(
            f"{artefact} has integer inputs and does not say their scale; write it again."
        )
    return [(np.float32(scale), int(zero_point)) for scale, zero_point in json.loads(text)]


def _placed(array: Array, scale: _Scale) -> Any:
    if scale is None:
        return np.ascontiguousarray(array, np.float32)
    return np.clip(np.rint(array / scale[0]) + scale[1], 0, 255).astype(np.uint8)


def _real(array: Any, scale: _Scale) -> Array:
    if scale is None:
        return np.array(array, np.float32)
    return np.asarray((array.astype(np.float32) - np.float32(scale[1])) * scale[0])
