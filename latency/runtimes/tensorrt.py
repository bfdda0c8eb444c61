"""TensorRT on an NVIDIA GPU, through the packages `tensorrt` or `tensorrt_rtx`."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import ExitStack, contextmanager
from functools import partial
from pathlib import Path
from typing import TYPE_CHECKING, Any, ClassVar, Literal

from pydantic import Field

from ...core.config import Settings, parse
from ...core.errors import MeasurementError, UnavailableError
from ...devices.device import Gpu
from ..precision import Precision
from ..sample import Interval, Sample
from . import runtimes
from .base import Compiled, Options, Runtime, Session

if TYPE_CHECKING:
    from ...devices.device import Device
    from ...devices.nvml import NvidiaGpu
    from ..condition import Condition
    from ..graph.ir import Array, Graph
    from ..graph.quantise import Quantisation
    from ..tensorrt.cuda import Cuda
    from ..tensorrt.engine import BuildSettings
    from ..tensorrt.engines import StoredEngine
    from ..tensorrt.package import Package
    from ..tensorrt.tensors import Tensor
    from ..tensorrt.timing import GpuLoop, Way

_FLOATING, _BASE = "floating", "base"


class _Options(Settings):
    package: Literal["auto", "tensorrt", "tensorrt_rtx"] = "auto"
    cuda_graph: bool = True
    transfers: bool = False
    tf32: bool = False
    optimisation_level: int = Field(default=3, ge=0, le=5)
    workspace_mib: int = Field(default=1024, ge=1)
    gpu: int = Field(default=0, ge=0)
    lock_clocks: str = Field(default=_FLOATING, pattern=rf"^({_FLOATING}|{_BASE}|[1-9]\d*)$")


@runtimes.register("tensorrt")
class TensorRt(Runtime):
    """ONNX files built into strongly typed engines, which run on a GPU, timed by its own events.

    Options: `package`, which Python package (`auto`: `tensorrt` if it is installed, else
    `tensorrt_rtx`); `cuda_graph`, whether runs are recorded and launched as CUDA graphs, without
    which small operators wait for the host; `transfers`, whether inputs and output travel between
    host and GPU inside the clock; `tf32`, whether float32 is multiplied with 10 bits of mantissa;
    `optimisation_level` and `workspace_mib`, how the engine is built; `gpu` and `lock_clocks`,
    from the card's section of that name.

    With `cache: cold` the GPU's own cache is swept before each run.
    """

    precisions: ClassVar[frozenset[Precision]] = frozenset(Precision)
    needs_gpu: ClassVar[bool] = True

    @property
    def suffix(self) -> str:
        return ".trt.onnx"

    @property
    def empties_caches(self) -> bool:
        return True

    def unavailable_reason(self) -> str | None:
        from ..tensorrt.cuda import load_api, missing_gpu_reason
        from ..tensorrt.package import find_package

        try:
            find_package()
            return missing_gpu_reason(load_api(), 0)
        except UnavailableError as error:
            return str(error)

    def version(self, options: Mapping[str, Any] | None = None) -> str:
        from ..tensorrt.package import find_package

        return str(find_package(_Options.model_validate(options or {}).package))

    def options(self, given: Mapping[str, Any]) -> Options:
        options: Options = parse(_Options, dict(given), "tensorrt options").model_dump()
        return options

    def options_on(self, device: Device) -> Mapping[str, Any]:
        gpu = device.gpu or Gpu()
        clocks = _FLOATING if gpu.lock_clocks is None else str(gpu.lock_clocks)
        return {"gpu": gpu.index, "lock_clocks": clocks}

    def interval(self, options: Mapping[str, Any]) -> Interval:
        if options["transfers"]:
            return Interval.TRANSFERS_AND_COMPUTE
        return Interval.DEVICE_COMPUTE

    def write(
        self, graph: Graph, precision: Precision, quantisation: Quantisation | None = None
    ) -> bytes:
        from ..graph.tensorrt_onnx import write_tensorrt_onnx

        return write_tensorrt_onnx(graph, precision, quantisation)

    def compile(self, artefact: Path, condition: Condition, target: str | None) -> Compiled:
        from ..tensorrt.engines import Place, find_engine

        options = _options_of(condition)
        package = _package_of(options)
        place = _place_of(_cuda(options)) if target is None else Place(target)
        engine = find_engine(artefact, package, _settings_of(options, condition), place)
        return Compiled(
            engine.description["bytes"],
            engine.description["build_s"],
            {
                "engine": str(package),
                "target": place.capability,
                "layers": engine.description["layers"],
                "sha256": engine.sha256,
            },
        )

    def environment(self, condition: Condition) -> dict[str, Any]:
        options = _options_of(condition)
        cuda = _cuda(options)
        with _watched(options.gpu, cuda) as gpu:
            told = {} if gpu is None else gpu.identity()
        return {"gpu": {**told, "capability": cuda.compute_capability(), "cuda": cuda.versions()}}

    def state(self, condition: Condition) -> dict[str, Any]:
        options = _options_of(condition)
        with _watched(options.gpu, _cuda(options)) as gpu:
            celsius = None if gpu is None else gpu.temperature_c()
        return {} if celsius is None else {"temperatures_c": {"gpu": celsius}}

    @contextmanager
    def open(
        self, artefact: Path, inputs: Sequence[Array], condition: Condition
    ) -> Iterator[Session]:
        from ..tensorrt.engines import find_engine

        options = _options_of(condition)
        package = _package_of(options)
        cuda = _cuda(options)
        settings = _settings_of(options, condition)
        stored = find_engine(artefact, package, settings, _place_of(cuda))
        with ExitStack() as stack:
            gpu = stack.enter_context(_watched(options.gpu, cuda))
            yield stack.enter_context(
                _opened(package, cuda, gpu, stored, inputs, condition, options)
            )


class _Session(Session):
    def __init__(
        self, loop: GpuLoop, run: Callable[[], None], output: Tensor, facts: dict[str, Any]
    ) -> None:
        self._loop = loop
        self._run = run
        self._output = output
        self._facts = facts

    def time_loops(self, loops: int) -> Sample:
        return self._loop.time_loops(loops)

    def output(self) -> Array:
        self._run()
        return self._output.read()

    def facts(self) -> dict[str, Any]:
        return self._facts


@contextmanager
def _opened(
    package: Package,
    cuda: Cuda,
    gpu: NvidiaGpu | None,
    stored: StoredEngine,
    inputs: Sequence[Array],
    condition: Condition,
    options: _Options,
) -> Iterator[_Session]:
    """A session of the engine `stored` with `inputs` on the GPU; all is freed however it ends."""
    from ..tensorrt.loaded import load_engine
    from ..tensorrt.timing import Gauge, GpuLoop

    loaded = load_engine(package, stored)
    if len(loaded.inputs) != len(inputs):
        raise MeasurementError(
            f"{stored.folder} takes {len(loaded.inputs)} inputs, got {len(inputs)}."
        )
    with ExitStack() as stack:
        stream = stack.enter_context(cuda.stream())
        given = [
            stack.enter_context(tensor.placed(cuda, stream, array))
            for tensor, array in zip(loaded.inputs, inputs, strict=True)
        ]
        output = stack.enter_context(loaded.output.placed(cuda, stream, None))
        # Nothing is freed while something on the stream may still use it.
        stack.callback(cuda.synchronise, stream)
        loaded.bind([*given, output])
        enqueue = partial(loaded.enqueue, int(stream))
        # The first run settles what is inside the context; only then may runs be recorded.
        enqueue()
        cuda.synchronise(stream)
        way = stack.enter_context(_way(cuda, stream, enqueue, given, output, condition, options))
        yield _Session(
            GpuLoop(way, Gauge(gpu, _target_mhz(gpu, options))),
            enqueue,
            output,
            {"engine": {"sha256": stored.sha256, "precisions": loaded.precisions()}},
        )


@contextmanager
def _way(
    cuda: Cuda,
    stream: Any,
    enqueue: Callable[[], None],
    given: Sequence[Tensor],
    output: Tensor,
    condition: Condition,
    options: _Options,
) -> Iterator[Way]:
    """How the condition wants runs to be timed."""
    from ..condition import Cache
    from ..tensorrt.timing import RoundTrip, cold_way, hot_way

    if options.transfers:
        yield RoundTrip(cuda, stream, lambda: _travel(given, enqueue, output))
        return
    make = cold_way if condition.cache is Cache.COLD else hot_way
    with make(cuda, stream, enqueue, as_graph=options.cuda_graph) as way:
        yield way


def _travel(given: Sequence[Tensor], enqueue: Callable[[], None], output: Tensor) -> None:
    for tensor in given:
        tensor.send()
    enqueue()
    output.fetch()


def _options_of(condition: Condition) -> _Options:
    return parse(_Options, dict(condition.options), "tensorrt options")


def _package_of(options: _Options) -> Package:
    from ..tensorrt.package import find_package

    return find_package(options.package)


def _settings_of(options: _Options, condition: Condition) -> BuildSettings:
    from ..tensorrt.engine import BuildSettings

    return BuildSettings(
        condition.batch, options.tf32, options.optimisation_level, options.workspace_mib
    )


def _cuda(options: _Options) -> Cuda:
    """The GPU of `options`.

    Raises:
        UnavailableError: The package, the driver or the GPU is not here.
    """
    from ..tensorrt.cuda import Cuda, load_api, missing_gpu_reason

    api = load_api()
    if reason := missing_gpu_reason(api, options.gpu):
        raise UnavailableError(reason)
    return Cuda(api, options.gpu)


def _place_of(cuda: Cuda) -> Any:
    from ..tensorrt.engines import Place

    return Place(cuda.compute_capability(), cuda.name())


@contextmanager
def _watched(index: int, cuda: Cuda) -> Iterator[NvidiaGpu | None]:
    """What NVML tells of the GPU; None where its package is missing, and nothing is told.

    Raises:
        MeasurementError: NVML's GPU of that number is another one than CUDA's.
    """
    from ...devices.nvml import MISSING, open_gpu

    with ExitStack() as stack:
        gpu: NvidiaGpu | None
        try:
            gpu = stack.enter_context(open_gpu(Gpu(index=index)))
        except UnavailableError as error:
            if str(error) != MISSING:
                raise
            gpu = None
        if gpu is not None and gpu.bus_id() not in (None, cuda.bus_id()):
            raise MeasurementError(
                f"GPU {index} is {cuda.bus_id()} for CUDA and {gpu.bus_id()} for the driver: "
                "CUDA_VISIBLE_DEVICES hides or reorders GPUs. Unset it, and choose by gpu: "
                "{index: ...} in the device card."
            )
        yield gpu


def _target_mhz(gpu: NvidiaGpu | None, options: _Options) -> int | None:
    """The clock that samples are held against: the locked one, or the most that the GPU has."""
    if gpu is None:
        return None
    if options.lock_clocks == _FLOATING:
        clocks = gpu.clocks()
        return None if clocks is None else clocks.most_mhz
    return gpu.base_clock_mhz() if options.lock_clocks == _BASE else int(options.lock_clocks)
