"""What benchmark_model is told: which delegate runs the model, in which precision."""

from __future__ import annotations

from enum import StrEnum
from typing import Self

from pydantic import Field, model_validator

from ...core.config import Settings
from ...core.errors import ConfigError
from ..precision import Precision


class Delegate(StrEnum):
    """What runs the operators that it can; the rest is left to TFLite's own kernels."""

    NONE = "none"
    XNNPACK = "xnnpack"
    GPU = "gpu"
    NNAPI = "nnapi"


_PRECISIONS = {
    Delegate.NONE: frozenset({Precision.FP32, Precision.INT8}),
    Delegate.XNNPACK: frozenset({Precision.FP32, Precision.FP16, Precision.INT8}),
    Delegate.GPU: frozenset({Precision.FP32, Precision.FP16}),
    Delegate.NNAPI: frozenset({Precision.FP32, Precision.FP16, Precision.INT8}),
}


class BenchmarkModelOptions(Settings):
    """The options of the runtime section of a card.

    Attributes:
        accelerator: The driver that NNAPI is to use, by its name; empty for NNAPI's own choice.
        whole: Whether a model of which the delegate leaves a part to the CPU is a failure.
        check: Whether outputs are compared with torch's; builds before 2023 cannot write them.
    """

    delegate: Delegate = Delegate.XNNPACK
    accelerator: str = Field(default="", pattern=r"^[A-Za-z0-9._-]*$")
    whole: bool = False
    check: bool = True

    @model_validator(mode="after")
    def _names_an_accelerator_of_nnapi(self) -> Self:
        if self.accelerator and self.delegate is not Delegate.NNAPI:
            raise ValueError("accelerator is for delegate nnapi alone")
        return self

    @model_validator(mode="after")
    def _is_whole_by_a_delegate(self) -> Self:
        if self.whole and self.delegate is Delegate.NONE:
            raise ValueError("whole is for a delegate, and there is none")
        return self


def delegate_flags(options: BenchmarkModelOptions, precision: Precision) -> list[str]:
    """The flags that make `options` and `precision` so.

    A file in float32 runs in fp16 where the delegate is told that it may.

    Raises:
        ConfigError: The delegate does not run that precision.
    """
    known = _PRECISIONS[options.delegate]
    if precision not in known:
        raise ConfigError(
            f"Delegate {options.delegate} of benchmark_model does not run {precision}; it runs "
            f"{', '.join(sorted(known))}. Repair the runtime section of the device card."
        )
    is_half = precision is Precision.FP16
    flags = {
        Delegate.NONE: ["--use_xnnpack=false"],
        Delegate.XNNPACK: ["--use_xnnpack=true", *["--xnnpack_force_fp16=true"] * is_half],
        Delegate.GPU: ["--use_gpu=true", f"--gpu_precision_loss_allowed={_word(is_half)}"],
        Delegate.NNAPI: ["--use_nnapi=true", f"--nnapi_allow_fp16={_word(is_half)}"],
    }[options.delegate]
    if options.accelerator:
        flags.append(f"--nnapi_accelerator_name={options.accelerator}")
    if options.whole:
        flags.append("--require_full_delegation=true")
    return flags


def flags_needed(options: BenchmarkModelOptions, precision: Precision) -> frozenset[str]:
    """Names of the flags that a build must have: others are only warned about, and ignored.

    A build that ignores leave for fp16 would run in fp32, under the name of fp16.
    """
    is_half = precision is Precision.FP16
    needed = {
        Delegate.NONE: {"use_xnnpack"},
        Delegate.XNNPACK: {"use_xnnpack"},
        Delegate.GPU: {"use_gpu", "gpu_precision_loss_allowed"},
        Delegate.NNAPI: {"use_nnapi"},
    }[options.delegate]
    halves = {Delegate.XNNPACK: {"xnnpack_force_fp16"}, Delegate.NNAPI: {"nnapi_allow_fp16"}}
    needed |= halves.get(options.delegate, set()) if is_half else set()
    needed |= {"nnapi_accelerator_name"} if options.accelerator else set()
    needed |= {"require_full_delegation"} if options.whole else set()
    needed |= {"output_filepath", "input_layer_value_files"} if options.check else set()
    return frozenset(needed)


def _word(is_on: bool) -> str:
    return "true" if is_on else "false"
