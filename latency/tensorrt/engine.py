"""From an ONNX file to an engine: what TensorRT runs, with the kernels that it chose."""

from __future__ import annotations

import time
from dataclasses import dataclass
from typing import Any

from ...core.errors import ConfigError, MeasurementError, UnsupportedOperatorError
from .package import Package, aim_at, capabilities_of

_WORST = 3
_LOGS: dict[Any, Any] = {}


@dataclass(frozen=True)
class BuildSettings:
    """What decides an engine besides the network and the package.

    Attributes:
        batch: Of inputs whose first axis the file leaves open.
        tf32: Whether float32 may be multiplied with 10 bits of mantissa.
        optimisation_level: 0 to 5; how long TensorRT looks for kernels.
        workspace_mib: Memory that kernels may use besides their tensors.
    """

    batch: int = 1
    tf32: bool = False
    optimisation_level: int = 3
    workspace_mib: int = 1024


@dataclass(frozen=True)
class BuiltEngine:
    """An engine as bytes.

    Attributes:
        seconds: What building took, parsing included.
        layers: Of the network as parsed, before fusion.
        inputs: Names in the order of the file, and `output` of its first output.
        timing_cache: What the builder measured, for the next build; None if it measures nothing.
        warnings: What it warned of.
    """

    plan: bytes
    seconds: float
    layers: int
    inputs: tuple[str, ...]
    output: str
    timing_cache: bytes | None
    warnings: tuple[str, ...]


def log_of(module: Any) -> Any:
    """The one logger of `module` in this process, emptied: it keeps `errors` and `warnings`.

    TensorRT takes the first logger that it is given for good, and tells later ones nothing.
    """
    if module not in _LOGS:
        _LOGS[module] = _make_log(module)
    log = _LOGS[module]
    log.errors.clear()
    log.warnings.clear()
    return log


def _make_log(module: Any) -> Any:
    class Log(module.ILogger):  # type: ignore[misc]
        def __init__(self) -> None:
            super().__init__()
            self.errors: list[str] = []
            self.warnings: list[str] = []

        def log(self, severity: Any, message: str) -> None:
            if severity in (module.ILogger.ERROR, module.ILogger.INTERNAL_ERROR):
                self.errors.append(message)
            elif severity == module.ILogger.WARNING:
                self.warnings.append(message)

    return Log()


def build_engine(
    package: Package,
    model: bytes,
    settings: BuildSettings,
    *,
    source: str,
    capability: str | None = None,
    timing_cache: bytes = b"",
) -> BuiltEngine:
    """The engine of the ONNX file `model`, strongly typed: its types decide the precision.

    Args:
        package: Builds it.
        model: The file's content.
        settings: How.
        source: What the file is called in errors.
        capability: Compute capability that it is for, such as `sm86`; None for the GPU that is
            here.
        timing_cache: What an earlier build measured; empty for nothing.

    Raises:
        UnavailableError: The package cannot be loaded.
        UnsupportedOperatorError: The parser refuses a node, or there is no kernel for it.
        ConfigError: The package does not build for `capability`, or an axis besides the batch is
            open in the file.
        MeasurementError: No engine comes out, for another reason.
    """
    module = package.load()
    started = time.perf_counter()
    log = log_of(module)
    builder = module.Builder(log)
    network = builder.create_network(_strongly_typed(module))
    parser = module.OnnxParser(network, log)
    if not parser.parse(model):
        raise UnsupportedOperatorError(
            f"The parser of {package} refuses {source}: {_refusals(parser)}"
        )
    config = builder.create_builder_config()
    config.profiling_verbosity = module.ProfilingVerbosity.DETAILED
    config.builder_optimization_level = settings.optimisation_level
    config.set_memory_pool_limit(module.MemoryPoolType.WORKSPACE, settings.workspace_mib << 20)
    if not settings.tf32:
        config.clear_flag(module.BuilderFlag.TF32)
    aim_at(package, module, config, capabilities_of(package, module), capability)
    _close_axes(builder, network, config, settings.batch)
    cache = config.create_timing_cache(timing_cache) if package.is_classic else None
    if cache is not None and not config.set_timing_cache(cache, False):
        raise MeasurementError(
            f"The timing cache is of another GPU or version than {package} here; delete it."
        )
    plan = builder.build_serialized_network(network, config)
    if plan is None:
        raise _no_engine(package, source, log.errors)
    measured = config.get_timing_cache() if cache is not None else None
    return BuiltEngine(
        bytes(plan),
        time.perf_counter() - started,
        int(network.num_layers),
        tuple(network.get_input(index).name for index in range(network.num_inputs)),
        network.get_output(0).name,
        None if measured is None else bytes(measured.serialize()),
        tuple(log.warnings),
    )


def _strongly_typed(module: Any) -> int:
    """The flag that lets the types of the file decide; versions without it know nothing else."""
    flag = getattr(module.NetworkDefinitionCreationFlag, "STRONGLY_TYPED", None)
    return 0 if flag is None else 1 << int(flag)


def _refusals(parser: Any) -> str:
    """What the parser says of the nodes that it refuses."""
    found = [parser.get_error(index) for index in range(min(_WORST, parser.num_errors))]
    if not found:
        return "it gives no reason."
    return " ".join(_refusal(error) for error in found)


def _refusal(error: Any) -> str:
    described = " ".join(str(error.desc()).split())
    kind = _told(error, "node_operator")
    if not kind:
        return described
    return f"{kind} (node {_told(error, 'node_name') or error.node()}): {described}"


def _told(error: Any, name: str) -> str:
    return str(getattr(error, name)()) if hasattr(error, name) else ""


def _close_axes(builder: Any, network: Any, config: Any, batch: int) -> None:
    """Give inputs whose first axis is open the batch that is measured.

    Raises:
        ConfigError: Another axis is open.
    """
    profile = None
    for index in range(network.num_inputs):
        given = network.get_input(index)
        shape = tuple(given.shape)
        if -1 not in shape:
            continue
        if -1 in shape[1:]:
            raise ConfigError(
                f"Input {given.name} of the file has the shape {shape}: axes besides the batch "
                "are open. Export it with fixed sizes."
            )
        closed = (batch, *shape[1:])
        profile = profile or builder.create_optimization_profile()
        profile.set_shape(given.name, closed, closed, closed)
    if profile is not None:
        config.add_optimization_profile(profile)


def reasons_in(errors: list[str]) -> str:
    """The first of `errors` as one line, or that there is none."""
    return " ".join(" ".join(errors[:_WORST]).split()) or "it does not say why."


def _no_engine(package: Package, source: str, errors: list[str]) -> MeasurementError:
    told = reasons_in(errors)
    is_refused = any("implementation" in error or "nsupported" in error for error in errors)
    kind = UnsupportedOperatorError if is_refused else MeasurementError
    return kind(f"{package} builds no engine of {source}: {told}")
