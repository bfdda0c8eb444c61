"""TFLite (LiteRT) on the CPU."""

from __future__ import annotations

import importlib
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from importlib.metadata import version
from importlib.util import find_spec
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np

from ...core.config import Settings, parse
from ...core.errors import MeasurementError, UnavailableError
from ..precision import Precision
from ..sample import Sample, timed
from . import runtimes
from .base import Options, Runtime, Session

if TYPE_CHECKING:
    from ..condition import Condition
    from ..graph.ir import Array, Graph
    from ..graph.quantise import Quantisation

# Module with the interpreter, and the package that brings it; the first one found is used.
_PACKAGES = {"ai_edge_litert": "ai-edge-litert", "tflite_runtime": "tflite-runtime"}
_MISSING = "No TFLite interpreter is installed; install one with: pip install ai-edge-litert"


class _Options(Settings):
    xnnpack: bool = True


@runtimes.register("tflite")
class TFLite(Runtime):
    """TFLite files on the interpreter of `ai-edge-litert`, or of `tflite-runtime` on boards.

    Option `xnnpack`: whether the XNNPACK delegate runs what it can (the default of both
    packages); without it TFLite's built-in kernels run, several times slower.

    Artefacts are NHWC and, if int8, have int8 inputs and output: layout changes and conversions
    happen outside the clock.
    """

    @property
    def suffix(self) -> str:
        return ".tflite"

    def unavailable_reason(self) -> str | None:
        return None if installed_package() else _MISSING

    def version(self, options: Mapping[str, Any] | None = None) -> str:
        package = installed_package()
        if package is None:
            raise UnavailableError(_MISSING)
        return f"{_PACKAGES[package]} {version(_PACKAGES[package])}"

    def options(self, given: Mapping[str, Any]) -> Options:
        options: Options = parse(_Options, dict(given), "tflite options").model_dump()
        return options

    def write(
        self, graph: Graph, precision: Precision, quantisation: Quantisation | None = None
    ) -> bytes:
        if find_spec("ai_edge_litert") is None:
            raise UnavailableError(
                "Writing TFLite files needs: pip install ai-edge-litert (running them does not)."
            )
        from ..graph.tflite_file import write_tflite

        return write_tflite(graph, quantisation)

    @contextmanager
    def open(
        self, artefact: Path, inputs: Sequence[Array], condition: Condition
    ) -> Iterator[Session]:
        package = installed_package()
        if package is None:
            raise UnavailableError(_MISSING)
        library = importlib.import_module(f"{package}.interpreter")
        options = self.options(dict(condition.options))
        interpreter = load(library, artefact, options, condition.threads)
        places = interpreter.get_input_details()
        if len(places) != len(inputs):
            raise MeasurementError(f"{artefact} takes {len(places)} inputs, got {len(inputs)}.")
        for place, array in zip(places, inputs, strict=True):
            try:
                interpreter.set_tensor(place["index"], placed(array, place))
            except ValueError as error:
                raise MeasurementError(f"{artefact} refuses its input: {error}") from error
        yield _Session(interpreter)


class _Session(Session):
    def __init__(self, interpreter: Any) -> None:
        self._interpreter = interpreter
        self._target = interpreter.get_output_details()[0]

    def time_loops(self, loops: int) -> Sample:
        return timed(self._interpreter.invoke, loops)

    def output(self) -> Array:
        self._interpreter.invoke()
        return real(self._interpreter.get_tensor(self._target["index"]), self._target)


def installed_package() -> str | None:
    """The module that has the interpreter, or None if none is installed."""
    return next((name for name in _PACKAGES if find_spec(name) is not None), None)


def load(library: Any, artefact: Path, options: Options, threads: int) -> Any:
    """An interpreter of `library` on `artefact`, its tensors allocated.

    Raises:
        MeasurementError: TFLite refuses the file.
    """
    resolvers = library.OpResolverType
    resolver = (
        resolvers.AUTO if options["xnnpack"] else resolvers.BUILTIN_WITHOUT_DEFAULT_DELEGATES
    )
    try:
        interpreter = library.Interpreter(
            model_path=str(artefact),
            num_threads=threads,
            experimental_op_resolver_type=resolver,
        )
        interpreter.allocate_tensors()
    except (ValueError, RuntimeError) as error:
        raise MeasurementError(f"TFLite refuses {artefact}: {error}") from error
    return interpreter


def placed(array: Array, place: Mapping[str, Any]) -> Any:
    """The float32 `array`, NCHW or NC, as the input that the interpreter describes by `place`."""
    nhwc = array.transpose(0, 2, 3, 1) if array.ndim == 4 else array
    if place["dtype"] == np.float32:
        return np.ascontiguousarray(nhwc, np.float32)
    scale, zero_point = place["quantization"]
    limits = np.iinfo(place["dtype"])
    q = np.rint(nhwc / np.float32(scale)) + zero_point
    return np.ascontiguousarray(np.clip(q, limits.min, limits.max), place["dtype"])


def real(output: Any, place: Mapping[str, Any]) -> Array:
    """The `output` that the interpreter describes by `place`, in float32, NCHW or NC."""
    numbers = output.astype(np.float32)
    if output.dtype != np.float32:
        scale, zero_point = place["quantization"]
        numbers = (numbers - np.float32(zero_point)) * np.float32(scale)
    nchw = numbers.transpose(0, 3, 1, 2) if numbers.ndim == 4 else numbers
    return np.ascontiguousarray(nchw, np.float32)
