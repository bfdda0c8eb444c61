"""The command lines of trtexec, as lists of arguments.

What a run measures is decided by defaults that changed with TensorRT 11: the CUDA graph was off
and is on, transfers were on and are off, waiting was by sleeping and is by spinning. Each is
therefore said in the words of the version, unless it has no word for it:

===================  ==========================  ==========================
what                 8.6 to 10                   11
===================  ==========================  ==========================
CUDA graph           --useCudaGraph, else none   none, else --noCudaGraph
transfers            none, else                  --includeDataTransfers,
                     --noDataTransfers           else none
spin-wait            --useSpinWait, else none    none, else --noSpinWait
profiling apart      --separateProfileRun        always
types of the file    --stronglyTyped from 9 on   always
===================  ==========================  ==========================

In 11 the words of 10 are still taken, and change nothing. All was read in the sources of these
versions (`sampleOptions.cpp`). What came of it trtexec prints, and `ensure_heeded` holds that
against what was meant.
"""

from __future__ import annotations

import re
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from pathlib import Path

from pydantic import Field

from ....core.config import Settings
from ....core.errors import ConfigError, MeasurementError
from ...precision import Precision
from ..tensors import TensorInfo
from .tool import DEFAULT, Tool

DEFAULTS_CHANGED_IN = 11
STRONG_TYPES_SINCE = 9

TIMES, OUTPUTS = "times.json", "outputs.json"

_IO_TYPES = {"FLOAT": "fp32", "HALF": "fp16", "INT8": "int8"}
_WEAK_FLAGS: Mapping[Precision, Sequence[str]] = {
    Precision.FP32: (),
    Precision.FP16: ("--fp16",),
    Precision.INT8: ("--int8",),
}
_NO_GRAPH = "CUDA graph capture on the stream has failed"


class TrtexecOptions(Settings):
    """Options of the runtime `trtexec`."""

    path: str = DEFAULT
    cuda_graph: bool = False
    transfers: bool = False
    spin_wait: bool = False
    tf32: bool = False
    optimisation_level: int = Field(default=3, ge=0, le=5)
    workspace_mib: int = Field(default=1024, ge=1)
    gpu: int = Field(default=0, ge=0)


@dataclass(frozen=True)
class Mode:
    """What is switched on while an engine runs."""

    cuda_graph: bool
    transfers: bool
    spin_wait: bool

    @classmethod
    def of(cls, options: TrtexecOptions) -> Mode:
        """What `options` ask for."""
        return cls(options.cuda_graph, options.transfers, options.spin_wait)

    def with_transfers(self) -> Mode:
        """The same with transfers on."""
        return replace(self, transfers=True)


def build_command(
    tool: Tool,
    options: TrtexecOptions,
    precision: Precision,
    model: Path,
    ends: Sequence[TensorInfo],
    engine: Path,
    layers: Path,
    timing_cache: Path,
) -> list[str]:
    """The command that builds the ONNX file `model` into `engine` without running it.

    Args:
        tool: Builds it.
        options: How.
        precision: Of the file.
        model: The ONNX file.
        ends: Its inputs and its output.
        engine: Where the engine goes.
        layers: Where what is told of its layers goes.
        timing_cache: What earlier builds measured; is read and written.

    Raises:
        ConfigError: The version has no engines of this precision.
    """
    return [
        str(tool.path),
        f"--onnx={model}",
        f"--saveEngine={engine}",
        "--skipInference",
        *_typing(tool, precision, ends),
        *([] if options.tf32 else ["--noTF32"]),
        f"--builderOptimizationLevel={options.optimisation_level}",
        f"--memPoolSize=workspace:{options.workspace_mib}",
        f"--timingCacheFile={timing_cache}",
        f"--exportLayerInfo={layers}",
        "--profilingVerbosity=detailed",
        f"--device={options.gpu}",
    ]


def run_command(
    tool: Tool,
    mode: Mode,
    gpu: int,
    engine: Path,
    inputs: Mapping[str, str],
    iterations: int,
    warm_up_ms: int,
) -> list[str]:
    """The command that runs `engine` and writes the times of its inferences to `TIMES`.

    Args:
        tool: Runs it.
        mode: What is switched on.
        gpu: Number of the GPU.
        engine: The engine.
        inputs: For the name of each input the file that it is read from.
        iterations: Inferences at least, the warm-up apart.
        warm_up_ms: Milliseconds before the first that counts.

    Raises:
        ConfigError: The name of an input cannot be written in a command of trtexec.
    """
    return [
        str(tool.path),
        f"--loadEngine={engine}",
        f"--loadInputs={','.join(_given(name, file) for name, file in inputs.items())}",
        f"--iterations={iterations}",
        "--duration=0",
        f"--warmUp={warm_up_ms}",
        *_switches(tool, mode),
        f"--exportTimes={TIMES}",
        f"--device={gpu}",
    ]


def check_command(
    tool: Tool,
    mode: Mode,
    gpu: int,
    engine: Path,
    inputs: Mapping[str, str],
    iterations: int,
) -> list[str]:
    """The command that also writes the output of the last inference to `OUTPUTS`.

    It has no warm-up: its first inference is the first of all. Transfers are on, so that the
    output is that of the last inference in every version.
    """
    run = run_command(tool, mode.with_transfers(), gpu, engine, inputs, iterations, 0)
    return [*run, f"--exportOutput={OUTPUTS}"]


def ensure_heeded(log: str, command: Sequence[str], mode: Mode) -> None:
    """Hold what trtexec printed of its settings against `mode`.

    Raises:
        MeasurementError: A setting was another one, or the engine cannot be recorded as a graph.
    """
    wanted = {
        "CUDA Graph": mode.cuda_graph,
        "Data transfers": mode.transfers,
        "Spin-wait": mode.spin_wait,
    }
    for name, is_wanted in wanted.items():
        for found in re.findall(rf"\b{name}: (Enabled|Disabled)\b", log):
            if (found == "Enabled") is not is_wanted:
                raise MeasurementError(
                    f"trtexec ran with {name}: {found}, which is not what was asked for with "
                    f"{' '.join(command)}: this version understands its flags in another way."
                )
    if mode.cuda_graph and _NO_GRAPH in log:
        raise MeasurementError(
            "The engine cannot be recorded as a CUDA graph, and trtexec ran it without; measure "
            "it with options: {cuda_graph: false}."
        )


def _switches(tool: Tool, mode: Mode) -> list[str]:
    """The flags by which `tool` runs in `mode`."""
    if tool.version.major >= DEFAULTS_CHANGED_IN:
        flags = {
            "--noCudaGraph": not mode.cuda_graph,
            "--includeDataTransfers": mode.transfers,
            "--noSpinWait": not mode.spin_wait,
        }
    else:
        flags = {
            "--useCudaGraph": mode.cuda_graph,
            "--noDataTransfers": not mode.transfers,
            "--useSpinWait": mode.spin_wait,
            "--separateProfileRun": True,
        }
    return [flag for flag, is_given in flags.items() if is_given]


def _typing(tool: Tool, precision: Precision, ends: Sequence[TensorInfo]) -> list[str]:
    """The flags by which the file's types are those of the engine, as far as the version can.

    Before strong typing a precision is only allowed, not demanded; inputs and outputs are float32
    unless told otherwise.
    """
    if tool.version.major >= DEFAULTS_CHANGED_IN:
        return []
    if tool.version.major >= STRONG_TYPES_SINCE:
        return ["--stronglyTyped"]
    if precision not in _WEAK_FLAGS:
        raise ConfigError(
            f"{tool} has no engines in {precision}; TensorRT has them from {STRONG_TYPES_SINCE} "
            "on. Install a newer one, or choose another precision in the device card."
        )
    *given, output = (f"{_IO_TYPES[info.format]}:chw" for info in ends)
    formats = [f"--inputIOFormats={','.join(given)}", f"--outputIOFormats={output}"]
    return [*_WEAK_FLAGS[precision], *formats]


def _given(name: str, file: str) -> str:
    if "'" in name or "," in name:
        raise ConfigError(
            f"The input {name!r} cannot be named in a command of trtexec: quotes and commas end "
            "names there. Rename it in the ONNX file."
        )
    return f"{name}:{file}"
