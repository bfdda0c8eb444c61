"""TensorRT on an NVIDIA GPU through trtexec, where its Python package is not installed."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from contextlib import AbstractContextManager
from pathlib import Path
from typing import TYPE_CHECKING, Any, ClassVar

from ...core.config import parse
from ...core.errors import ConfigError, MeasurementError, UnavailableError
from ...devices.device import Gpu
from ..precision import Precision
from ..sample import Interval
from . import runtimes
from .base import Compiled, Options, Runtime, Session

if TYPE_CHECKING:
    from ...devices.device import Device
    from ..condition import Condition
    from ..graph.ir import Array, Graph
    from ..graph.quantise import Quantisation
    from ..tensorrt.trtexec.command import TrtexecOptions

_BUILD_S = 180.0


@runtimes.register("trtexec")
class Trtexec(Runtime):
    """ONNX files built into engines and timed by trtexec, one launch of it for each launch.

    Options: `path`, the program (by default looked up on PATH); `cuda_graph`, whether runs are
    recorded and launched as CUDA graphs; `transfers`, whether inputs and output travel inside the
    clock; `spin_wait`, whether the host waits by spinning; `tf32`, whether float32 is multiplied
    with 10 bits of mantissa; `optimisation_level` and `workspace_mib`, how the engine is built;
    `gpu`, from the card's section of that name.

    On a board with Python elat's worker runs trtexec there. Where the card says `ssh: {python:
    none}`, a process of this machine runs it through ssh.
    """

    precisions: ClassVar[frozenset[Precision]] = frozenset(Precision)
    launch: ClassVar[str] = "trtexec"
    worker: ClassVar[str] = "tensorrt.trtexec.worker"
    needs_gpu: ClassVar[bool] = True

    @classmethod
    def is_driven_on(cls, device: Device) -> bool:
        return device.ssh is not None and not device.ssh.has_python

    @property
    def suffix(self) -> str:
        return ".trt.onnx"

    def unavailable_reason(self) -> str | None:
        try:
            self.version()
        except UnavailableError as error:
            return str(error)
        return None

    def version(self, options: Mapping[str, Any] | None = None) -> str:
        from ..tensorrt.trtexec.tool import find_trtexec

        return str(find_trtexec(_parsed(options or {}).path))

    def options(self, given: Mapping[str, Any]) -> Options:
        options: Options = _parsed(given).model_dump()
        return options

    def options_on(self, device: Device) -> Mapping[str, Any]:
        gpu = device.gpu or Gpu()
        return {"gpu": gpu.index}

    def interval(self, options: Mapping[str, Any]) -> Interval:
        if options["transfers"]:
            return Interval.TRANSFERS_AND_COMPUTE
        return Interval.DEVICE_COMPUTE

    def environment(self, condition: Condition) -> dict[str, Any]:
        from ..tensorrt.trtexec.engines import identity_of
        from ..tensorrt.trtexec.tool import find_trtexec

        options = _parsed(dict(condition.options))
        tool = find_trtexec(options.path)
        return {
            "gpu": identity_of(options.gpu),
            "trtexec": {"path": str(tool.path), "version": str(tool.version)},
        }

    def state(self, condition: Condition) -> dict[str, Any]:
        from ..tensorrt.trtexec.engines import temperature_of

        celsius = temperature_of(_parsed(dict(condition.options)).gpu)
        return {} if celsius is None else {"temperatures_c": {"gpu": celsius}}

    def compile(self, artefact: Path, condition: Condition, target: str | None) -> Compiled:
        from ..tensorrt.trtexec.engines import Workshop, find_engine, identity_of
        from ..tensorrt.trtexec.tool import find_trtexec

        if target is not None:
            raise ConfigError(
                f"trtexec builds for the GPU of this machine alone, not for {target}; to build "
                "ahead of time, use the runtime tensorrt with the package tensorrt_rtx."
            )
        options = _parsed(dict(condition.options))
        tool = find_trtexec(options.path)
        gpu = str(identity_of(options.gpu).get("name") or "")
        workshop = Workshop(tool, options, condition.precision, gpu, _BUILD_S, lambda: None)
        engine = find_engine(artefact, workshop)
        return Compiled(
            engine.description["bytes"],
            engine.description["build_s"],
            {"engine": str(tool), "sha256": engine.sha256},
        )

    def write(
        self, graph: Graph, precision: Precision, quantisation: Quantisation | None = None
    ) -> bytes:
        from ..graph.tensorrt_onnx import write_tensorrt_onnx

        return write_tensorrt_onnx(graph, precision, quantisation)

    def open(
        self, artefact: Path, inputs: Sequence[Array], condition: Condition
    ) -> AbstractContextManager[Session]:
        raise MeasurementError(
            "trtexec is a program that loads, runs and times an engine in one go: there is no "
            "session to open. Its launches are taken by the worker "
            f"elat.latency.{self.worker}; for sessions use the runtime tensorrt."
        )


def _parsed(given: Mapping[str, Any]) -> TrtexecOptions:
    from ..tensorrt.trtexec.command import TrtexecOptions

    return parse(TrtexecOptions, dict(given), "trtexec options")
