"""An engine loaded on the GPU of this machine."""

from __future__ import annotations

import json
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

from ...core.errors import ArtefactError, MeasurementError
from ..imports.trtexec_layers import precisions_of
from .engine import log_of, reasons_in
from .engines import StoredEngine
from .package import Package
from .tensors import FORMATS, Tensor, TensorInfo


@dataclass(frozen=True, eq=False)
class LoadedEngine:
    """An engine with a context to run it in. Made by `load_engine`.

    Attributes:
        inputs: In the order of the file.
        output: The first one.
    """

    inputs: tuple[TensorInfo, ...]
    output: TensorInfo
    _stored: StoredEngine
    _context: Any
    # The context needs them alive, and Python does not know.
    _kept: tuple[Any, ...]

    def bind(self, tensors: Sequence[Tensor]) -> None:
        """Let the engine read and write the memory of `tensors`.

        Raises:
            MeasurementError: It refuses an address.
        """
        for tensor in tensors:
            if not self._context.set_tensor_address(tensor.info.name, tensor.address):
                raise MeasurementError(f"TensorRT refuses the memory of {tensor.info.name}.")

    def enqueue(self, stream: int) -> None:
        """Put one run on `stream`.

        Raises:
            MeasurementError: TensorRT does not take it.
        """
        if not self._context.execute_async_v3(stream):
            raise MeasurementError("TensorRT did not take a run; its log says why.")

    def precisions(self) -> list[str]:
        """The number formats of what the layers give, as TensorRT names them, if it tells."""
        return precisions_of(self._stored.layers())


def load_engine(package: Package, stored: StoredEngine) -> LoadedEngine:
    """Load the engine `stored`, and keep what it tells of its layers beside it.

    Raises:
        MeasurementError: It does not load on this GPU, or has a tensor of another format.
    """
    module = package.load()
    log = log_of(module)
    runtime = module.Runtime(log)
    engine = runtime.deserialize_cuda_engine(stored.plan())
    if engine is None:
        raise MeasurementError(
            f"{package} does not load the engine in {stored.folder}: {reasons_in(log.errors)}"
        )
    context = engine.create_execution_context()
    if context is None:
        raise MeasurementError(
            f"{package} makes no context for {stored.folder}: {reasons_in(log.errors)}"
        )
    _keep_layers(module, engine, stored)
    names = [*stored.description["inputs"], stored.description["output"]]
    scales = stored.description["scales"] or [[None]] * len(names)
    infos = [_info(engine, name, scale[0]) for name, scale in zip(names, scales, strict=True)]
    return LoadedEngine(tuple(infos[:-1]), infos[-1], stored, context, (log, runtime, engine))


def _info(engine: Any, name: str, scale: float | None) -> TensorInfo:
    kind = engine.get_tensor_dtype(name).name
    if kind not in FORMATS:
        raise MeasurementError(
            f"{name} holds {kind}; elat measures with {', '.join(FORMATS)} alone."
        )
    return TensorInfo(name, tuple(engine.get_tensor_shape(name)), kind, scale)


def _keep_layers(module: Any, engine: Any, stored: StoredEngine) -> None:
    """Keep what the inspector tells of the layers, if it is JSON."""
    inspector = engine.create_engine_inspector()
    told = inspector.get_engine_information(module.LayerInformationFormat.JSON)
    try:
        json.loads(told)
    except ValueError:
        return
    try:
        stored.keep_layers(told)
    except OSError as error:
        raise ArtefactError(f"{stored.folder} cannot be written: {error}.") from error
