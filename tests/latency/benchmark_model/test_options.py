"""Delegates, precisions and programs of a card, as flags and as the condition's key."""

from __future__ import annotations

from dataclasses import replace

import pytest
from hypothesis import given
from hypothesis import strategies as st

from elat.core.errors import ArtefactError, ConfigError, MeasurementError, UnavailableError
from elat.devices.device import device_of
from elat.latency.benchmark_model.options import (
    BenchmarkModelOptions,
    Delegate,
    delegate_flags,
    flags_needed,
)
from elat.latency.benchmark_model.place import program_on
from elat.latency.benchmark_model.worker import MOST_PASSES, passes_of, run_flags
from elat.latency.condition import Condition, Method
from elat.latency.precision import Precision
from elat.latency.protocol import SCREEN
from elat.latency.runtimes import runtimes

FLAGS = {
    ("none", "fp32"): ["--use_xnnpack=false"],
    ("none", "int8"): ["--use_xnnpack=false"],
    ("xnnpack", "fp32"): ["--use_xnnpack=true"],
    ("xnnpack", "fp16"): ["--use_xnnpack=true", "--xnnpack_force_fp16=true"],
    ("xnnpack", "int8"): ["--use_xnnpack=true"],
    ("gpu", "fp32"): ["--use_gpu=true", "--gpu_precision_loss_allowed=false"],
    ("gpu", "fp16"): ["--use_gpu=true", "--gpu_precision_loss_allowed=true"],
    ("nnapi", "fp32"): ["--use_nnapi=true", "--nnapi_allow_fp16=false"],
    ("nnapi", "fp16"): ["--use_nnapi=true", "--nnapi_allow_fp16=true"],
    ("nnapi", "int8"): ["--use_nnapi=true", "--nnapi_allow_fp16=false"],
}
PAIRS = [(delegate, precision) for delegate in Delegate for precision in Precision]


@pytest.fixture
def program(tmp_path):
    path = tmp_path / "benchmark_model"
    path.write_bytes(b"one build")
    return path


def card(program, kind="local_cpu", version="", **runtime):
    section = {"name": "benchmark_model", **runtime}
    data = {"schema": 1, "id": "loop", "kind": kind, "runtime": section}
    if program is not None:
        data["program"] = {"path": str(program), "version": version}
    if kind == "android_adb":
        data["transport"] = {"serial": "x"}
    return device_of(data, "the card")


@pytest.mark.parametrize(("delegate", "precision"), PAIRS)
def test_each_pair_has_its_flags_or_is_refused(delegate, precision):
    options = BenchmarkModelOptions(delegate=delegate)
    wanted = FLAGS.get((str(delegate), str(precision)))
    if wanted is not None:
        assert delegate_flags(options, precision) == wanted
        return
    with pytest.raises(ConfigError, match=f"Delegate {delegate} .* does not run {precision}"):
        delegate_flags(options, precision)


@pytest.mark.parametrize(("delegate", "precision"), PAIRS)
def test_a_card_is_refused_where_its_pair_is(program, delegate, precision):
    device = card(program, precision=str(precision), options={"delegate": str(delegate)})
    if (str(delegate), str(precision)) in FLAGS:
        found = Condition.of(device)
        assert (found.precision, dict(found.options)["delegate"]) == (precision, str(delegate))
    else:
        with pytest.raises(ConfigError, match="does not run"):
            Condition.of(device)


def test_a_driver_and_the_whole_model_are_asked_for():
    options = BenchmarkModelOptions(
        delegate=Delegate.NNAPI, accelerator="google-edgetpu", whole=True
    )
    assert delegate_flags(options, Precision.INT8)[-2:] == [
        "--nnapi_accelerator_name=google-edgetpu",
        "--require_full_delegation=true",
    ]


@pytest.mark.parametrize(
    "options",
    [
        {"delegate": "cpu"},
        {"delegate": "gpu", "accelerator": "x"},
        {"delegate": "nnapi", "accelerator": "a b"},
        {"delegate": "nnapi", "accelerator": "a\n"},
        {"delegate": "nnapi", "accelerator": "a;b"},
        {"delegate": "none", "whole": True},
        {"whole": "perhaps"},
        {"threads": 4},
    ],
)
def test_options_that_mean_nothing_are_refused(program, options):
    with pytest.raises(ConfigError):
        Condition.of(card(program, options=options))


def test_defaults_are_in_the_key(program):
    found = Condition.of(card(program))
    assert dict(found.options) == {
        "accelerator": "", "check": True, "delegate": "xnnpack", "whole": False,
    }  # fmt: skip
    assert found == Condition.from_json(found.to_json())
    assert found.launch == "benchmark_model"


def test_another_program_is_another_version(program):
    first = Condition.of(card(program))
    assert first == Condition.of(card(program))
    program.write_bytes(b"another build")
    second = Condition.of(card(program))
    assert first.runtime_version != second.runtime_version
    assert first == replace(second, runtime_version=first.runtime_version)


def test_what_the_user_calls_the_program_is_in_the_version(program):
    found = Condition.of(card(program, version="2.16.1")).runtime_version
    name, version, digits = found.split()
    assert (name, version, len(digits)) == ("benchmark_model", "2.16.1", 12)


def test_a_card_without_its_program_is_refused(program):
    with pytest.raises(ConfigError, match="names no program; add a section"):
        Condition.of(card(None))
    program.unlink()
    with pytest.raises(ConfigError, match="which is no file of this machine"):
        Condition.of(card(program))


def test_a_program_of_another_hash_is_refused(program):
    device = card(program)
    data = device.program.model_copy(update={"sha256": "0" * 64})
    with pytest.raises(ArtefactError, match="and the card wants 0000"):
        Condition.of(replace(device, program=data))


def test_a_program_that_cannot_be_read_is_said(program, monkeypatch):
    def refuse(self, *_):
        raise PermissionError(13, "Permission denied")

    monkeypatch.setattr(type(program), "open", refuse)
    with pytest.raises(UnavailableError, match="cannot be read"):
        Condition.of(card(program))
    with pytest.raises(UnavailableError, match="cannot be read"):
        program_on(card(program))


@pytest.mark.parametrize(
    ("delegate", "flag"),
    [
        ("xnnpack", "xnnpack_force_fp16"),
        ("gpu", "gpu_precision_loss_allowed"),
        ("nnapi", "nnapi_allow_fp16"),
    ],
)
def test_a_build_has_to_have_the_flag_that_makes_it_run_in_fp16(delegate, flag):
    options = BenchmarkModelOptions(delegate=delegate)
    assert f"--{flag}=true" in delegate_flags(options, Precision.FP16)
    assert flag in flags_needed(options, Precision.FP16)


def test_a_phone_is_measured_by_this_runtime_alone(program):
    """What the card says else is refused with its repair, before anything is asked of it."""
    device = card(None, "android_adb", name="tflite")
    assert "repair the runtime section of the card" in str(device.elsewhere_reason)
    assert card(program, "android_adb").elsewhere_reason is None


def test_the_runtime_says_what_it_needs_and_opens_no_session(tmp_path, program):
    runtime = runtimes["benchmark_model"]()
    assert "elat devices add" in str(runtime.unavailable_reason())
    with pytest.raises(UnavailableError, match="section program"):
        runtime.version()
    with (
        pytest.raises(MeasurementError, match="for sessions use the runtime tflite"),
        runtime.open(tmp_path, [], Condition.of(card(program))),
    ):
        pass


@given(st.integers(1, 256), st.floats(0.01, 1e4))
def test_runs_last_as_long_as_the_protocol_asks(passes, slice_ms):
    protocol = replace(SCREEN, passes=passes, slice_ms=slice_ms)
    count = passes_of(protocol)
    assert 1 <= count <= MOST_PASSES
    condition = Condition("x", "benchmark_model", "", Precision.FP32, 1, 3, Method.BLOCK, ())
    flags = run_flags(condition, protocol, BenchmarkModelOptions())
    lasts_s = float(next(f for f in flags if f.startswith("--min_secs=")).partition("=")[2])
    assert count * lasts_s >= passes * slice_ms / 1e3 * (1 - 1e-5)
    assert "--num_threads=3" in flags
    assert not any(character.isspace() for flag in flags for character in flag)
