"""Command lines by version, and the settings that trtexec says it ran with."""

from __future__ import annotations

import itertools
from pathlib import Path

import pytest

from elat.core.errors import ConfigError, MeasurementError
from elat.latency.precision import Precision
from elat.latency.tensorrt.tensors import TensorInfo
from elat.latency.tensorrt.trtexec.command import (
    Mode,
    TrtexecOptions,
    build_command,
    check_command,
    ensure_heeded,
    run_command,
)
from elat.latency.tensorrt.trtexec.tool import Tool, Version

PLAIN = Mode(cuda_graph=False, transfers=False, spin_wait=False)
OLD, NINE, TEN, NEW = (
    Tool(Path("/opt/trtexec"), version)
    for version in (Version(8, 6, 1), Version(9, 3, 0), Version(10, 13, 0), Version(11, 0, 0))
)


def ends(kind, inputs=1):
    names = [f"x{index}" for index in range(inputs)]
    return tuple(TensorInfo(name, (1, 3, 8, 8), kind, None) for name in (*names, "y"))


def build(tool, precision=Precision.FP32, kind="FLOAT", inputs=1, **options):
    return build_command(
        tool,
        TrtexecOptions(**options),
        precision,
        Path("/m/model.trt.onnx"),
        ends(kind, inputs),
        Path("/e/engine.plan"),
        Path("/e/layers.json"),
        Path("/h/cache.bin"),
    )


def run(tool, mode=PLAIN, names=("x",)):
    inputs = {name: f"input{index}.bin" for index, name in enumerate(names)}
    return run_command(tool, mode, 2, Path("/e/engine.plan"), inputs, 640, 200)


def test_a_build():
    assert build(TEN, gpu=1, workspace_mib=512, optimisation_level=5) == [
        "/opt/trtexec",
        "--onnx=/m/model.trt.onnx",
        "--saveEngine=/e/engine.plan",
        "--skipInference",
        "--stronglyTyped",
        "--noTF32",
        "--builderOptimizationLevel=5",
        "--memPoolSize=workspace:512",
        "--timingCacheFile=/h/cache.bin",
        "--exportLayerInfo=/e/layers.json",
        "--profilingVerbosity=detailed",
        "--device=1",
    ]


def test_tf32_is_on_only_where_it_is_asked_for():
    assert "--noTF32" not in build(TEN, tf32=True)


@pytest.mark.parametrize(
    ("tool", "precision", "kind", "expected"),
    [
        (
            OLD,
            Precision.FP32,
            "FLOAT",
            ["--inputIOFormats=fp32:chw", "--outputIOFormats=fp32:chw"],
        ),
        (
            OLD,
            Precision.FP16,
            "HALF",
            ["--fp16", "--inputIOFormats=fp16:chw", "--outputIOFormats=fp16:chw"],
        ),
        (
            OLD,
            Precision.INT8,
            "INT8",
            ["--int8", "--inputIOFormats=int8:chw", "--outputIOFormats=int8:chw"],
        ),
        (NINE, Precision.FP16, "HALF", ["--stronglyTyped"]),
        (TEN, Precision.BF16, "BF16", ["--stronglyTyped"]),
        (NEW, Precision.INT8, "INT8", []),
    ],
)
def test_types_are_those_of_the_file(tool, precision, kind, expected):
    command = build(tool, precision, kind)
    assert command[4 : 4 + len(expected)] == expected
    assert len(command) == 11 + len(expected)


def test_each_input_has_its_format():
    assert "--inputIOFormats=fp16:chw,fp16:chw" in build(OLD, Precision.FP16, "HALF", 2)


def test_a_precision_that_a_version_lacks_is_refused():
    with pytest.raises(ConfigError, match=r"8\.6\.1 .* no engines in bf16"):
        build(OLD, Precision.BF16, "BF16")


def test_a_run():
    assert run(TEN, names=("x", "a:b")) == [
        "/opt/trtexec",
        "--loadEngine=/e/engine.plan",
        "--loadInputs=x:input0.bin,a:b:input1.bin",
        "--iterations=640",
        "--duration=0",
        "--warmUp=200",
        "--noDataTransfers",
        "--separateProfileRun",
        "--exportTimes=times.json",
        "--device=2",
    ]


@pytest.mark.parametrize("name", ["x,y", "'x'"])
def test_names_that_a_command_cannot_hold_are_refused(name):
    with pytest.raises(ConfigError, match="Rename it in the ONNX file"):
        run(TEN, names=(name,))


@pytest.mark.parametrize(
    ("tool", "mode", "expected"),
    [
        (TEN, Mode(True, True, True), {"--useCudaGraph", "--useSpinWait"}),
        (TEN, PLAIN, {"--noDataTransfers"}),
        (OLD, Mode(True, False, False), {"--useCudaGraph", "--noDataTransfers"}),
        (NEW, PLAIN, {"--noCudaGraph", "--noSpinWait"}),
        (NEW, Mode(True, True, True), {"--includeDataTransfers"}),
        (NEW, Mode(False, False, True), {"--noCudaGraph"}),
    ],
)
def test_modes_in_the_words_of_the_version(tool, mode, expected):
    words = ("Graph", "Spin", "Data")
    command = run(tool, mode)
    assert {flag for flag in command if any(word in flag for word in words)} == expected
    assert ("--separateProfileRun" in command) is (tool.version.major < 11)


def test_modes_differ_in_every_version():
    for tool in (OLD, NINE, TEN, NEW):
        modes = [Mode(*flags) for flags in itertools.product([False, True], repeat=3)]
        assert len({tuple(run(tool, mode)) for mode in modes}) == len(modes)


@pytest.mark.parametrize("tool", [OLD, TEN, NEW])
def test_outputs_are_exported_with_transfers_on(tool):
    command = check_command(tool, PLAIN, 0, Path("e"), {"x": "f"}, 20)
    assert "--exportOutput=outputs.json" in command
    assert "--warmUp=0" in command
    assert "--noDataTransfers" not in command
    assert ("--includeDataTransfers" in command) is (tool is NEW)


LOG = "[I] Data transfers: Disabled\n[I] Spin-wait: Disabled\n[I] CUDA Graph: Disabled\n"


def test_settings_that_were_heeded_pass():
    ensure_heeded(LOG, ["trtexec"], PLAIN)
    ensure_heeded("a version that prints nothing of it", ["trtexec"], PLAIN)


@pytest.mark.parametrize("name", ["Data transfers", "Spin-wait", "CUDA Graph"])
def test_settings_that_were_not_heeded_are_refused(name):
    log = LOG.replace(f"{name}: Disabled", f"{name}: Enabled")
    with pytest.raises(MeasurementError, match=f"with {name}: Enabled, which is not what"):
        ensure_heeded(log, ["trtexec", "--x"], PLAIN)
