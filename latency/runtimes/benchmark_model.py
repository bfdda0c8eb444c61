"""TFLite on phones and boards through the vendor's program benchmark_model."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from contextlib import AbstractContextManager
from pathlib import Path
from typing import TYPE_CHECKING, Any, ClassVar

from ...core.config import parse
from ...core.errors import MeasurementError, UnavailableError
from ..precision import Precision
from . import runtimes
from .base import Options, Runtime, Session
from .tflite import TFLite

if TYPE_CHECKING:
    from ...devices.device import Device
    from ..benchmark_model.options import BenchmarkModelOptions
    from ..condition import Condition
    from ..graph.ir import Array, Graph
    from ..graph.quantise import Quantisation

_NO_CARD = (
    "benchmark_model is a program that a device card names (section program); see docs/phones.md, "
    "or write a card with: elat devices add"
)


@runtimes.register("benchmark_model")
class BenchmarkModel(Runtime):
    """TFLite files run by benchmark_model on the card's device: a phone, a board, or this machine.

    A process of this machine drives it through the device's transport. It tells wall time alone,
    in whole microseconds. Artefacts are those of the runtime `tflite`.

    Options: `delegate`, one of `none`, `xnnpack`, `gpu` and `nnapi`; `accelerator`, the driver
    that NNAPI uses; `whole`, whether a partly delegated model is a failure; `check`, whether
    outputs are compared with torch's.
    """

    precisions: ClassVar[frozenset[Precision]] = frozenset(
        {Precision.FP32, Precision.FP16, Precision.INT8}
    )
    launch: ClassVar[str] = "benchmark_model"
    worker: ClassVar[str] = "benchmark_model.worker"
    is_driven_from_here: ClassVar[bool] = True

    @property
    def suffix(self) -> str:
        return TFLite().suffix

    def unavailable_reason(self) -> str | None:
        return _NO_CARD

    def version(self, options: Mapping[str, Any] | None = None) -> str:
        raise UnavailableError(_NO_CARD)

    def version_on(self, device: Device, options: Options) -> str:
        from ...devices.programs import program_of, program_sha256

        content, named = program_sha256(device), program_of(device).version
        return " ".join(("benchmark_model", *([named] if named else []), content[:12]))

    def options(self, given: Mapping[str, Any]) -> Options:
        options: Options = _parsed(given).model_dump(mode="json")
        return options

    def check(self, options: Options, precision: Precision) -> None:
        from ..benchmark_model.options import delegate_flags

        delegate_flags(_parsed(options), precision)

    def write(
        self, graph: Graph, precision: Precision, quantisation: Quantisation | None = None
    ) -> bytes:
        return TFLite().write(graph, precision, quantisation)

    def open(
        self, artefact: Path, inputs: Sequence[Array], condition: Condition
    ) -> AbstractContextManager[Session]:
        raise MeasurementError(
            "benchmark_model is a program that loads, runs and times a model in one go: there is "
            "no session to open. Its launches are taken by the worker "
            f"elat.latency.{self.worker}; for sessions use the runtime tflite."
        )


def _parsed(given: Mapping[str, Any]) -> BenchmarkModelOptions:
    from ..benchmark_model.options import BenchmarkModelOptions

    return parse(BenchmarkModelOptions, dict(given), "benchmark_model options")
