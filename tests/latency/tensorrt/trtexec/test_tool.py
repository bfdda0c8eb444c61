"""Finding trtexec, and telling its version."""

from __future__ import annotations

import subprocess

import pytest

from elat.core.errors import ConfigError, MeasurementError, UnavailableError, UnknownNameError
from elat.devices.device import Device, DeviceKind, Gpu
from elat.latency.artefacts import ArtefactCache
from elat.latency.condition import Condition
from elat.latency.operators.conv import Conv
from elat.latency.precision import Precision
from elat.latency.runtimes import runtimes
from elat.latency.runtimes.trtexec import Trtexec
from elat.latency.sample import Interval
from elat.latency.tensorrt.trtexec import tool
from elat.latency.tensorrt.trtexec.tool import Version, find_trtexec, read_version


def condition(**options):
    runtime = {"name": "trtexec", "options": options}
    return Condition.of(Device("card", DeviceKind.LOCAL_GPU, "", runtime, gpu=Gpu(index=3)))


@pytest.mark.parametrize(
    ("digits", "version"),
    [
        ("7103", Version(7, 1, 3)),
        ("8601", Version(8, 6, 1)),
        ("101300", Version(10, 13, 0)),
        ("110201", Version(11, 2, 1)),
        ("11.1.0.106", Version(11, 1, 0)),
    ],
)
def test_versions_in_the_banner(digits, version):
    banner = f"&&&& RUNNING TensorRT.trtexec [TensorRT v{digits}] [b26] # trtexec --help\n"
    assert read_version(banner) == version


@pytest.mark.parametrize("log", ["", "trtexec: error while loading shared libraries", "v8601"])
def test_no_version(log):
    assert read_version(log) is None


def test_it_is_found_on_the_path(trtexec):
    found = find_trtexec()
    assert (found.path, str(found)) == (trtexec.path, "TensorRT 10.13.0 (trtexec)")
    assert runtimes["trtexec"]().unavailable_reason() is None


def test_its_version_is_asked_once_and_again_where_it_is_replaced(trtexec, monkeypatch):
    asked = []
    run = subprocess.run

    def counted(*args, **kwargs):
        asked.append(args)
        return run(*args, **kwargs)

    monkeypatch.setattr(subprocess, "run", counted)
    assert find_trtexec().version == find_trtexec().version
    assert len(asked) == 1
    trtexec.be("8.6.1")
    assert find_trtexec().version == Version(8, 6, 1)
    assert len(asked) == 2


@pytest.mark.parametrize("version", ["7.1.3", "8.5.3", "12.0.0"])
def test_versions_whose_flags_are_not_known_are_refused(trtexec, version):
    trtexec.be(version)
    with pytest.raises(UnavailableError, match=rf"TensorRT {version}; elat knows .* 8\.6 to 11"):
        find_trtexec()
    reason = runtimes["trtexec"]().unavailable_reason()
    assert reason is not None
    assert "options: {path: ...}" in reason


def test_a_program_that_says_no_version_is_refused(trtexec):
    trtexec.trouble("silent")
    with pytest.raises(UnavailableError, match="does not say its version; it says 'nothing'"):
        find_trtexec()


def test_a_file_that_is_no_program_is_refused(trtexec):
    trtexec.path.write_bytes(b"\0\0")
    with pytest.raises(UnavailableError, match=r"does not say its version; .*Exec format"):
        find_trtexec()


def test_no_program_at_all(tmp_path, monkeypatch):
    monkeypatch.setenv("PATH", str(tmp_path))
    monkeypatch.setattr(tool, "ELSEWHERE", ())
    assert "trtexec is not on PATH" in str(runtimes["trtexec"]().unavailable_reason())
    with pytest.raises(UnavailableError, match="/nowhere/trtexec is not on PATH"):
        condition(path="/nowhere/trtexec")


def test_nvidias_packages_put_it_beside_the_path(trtexec, tmp_path, monkeypatch):
    monkeypatch.setattr(tool, "ELSEWHERE", (trtexec.path,))
    monkeypatch.setenv("PATH", "/usr/bin:/bin")
    assert find_trtexec().path == trtexec.path
    with pytest.raises(UnavailableError):
        find_trtexec("trtexec-of-mine")


def test_a_program_that_is_not_on_the_path(trtexec, monkeypatch):
    monkeypatch.setenv("PATH", "/usr/bin:/bin")
    monkeypatch.setattr(tool, "ELSEWHERE", ())
    found = condition(path=str(trtexec.path))
    assert found.runtime_version == "TensorRT 10.13.0 (trtexec)"
    assert dict(found.options)["path"] == str(trtexec.path)


def test_options_of_the_card(trtexec):
    assert dict(condition().options) == {
        "path": "trtexec",
        "cuda_graph": False,
        "transfers": False,
        "spin_wait": False,
        "tf32": False,
        "optimisation_level": 3,
        "workspace_mib": 1024,
        "gpu": 3,
    }
    assert condition(transfers=True).interval is Interval.TRANSFERS_AND_COMPUTE
    assert condition().launch == "trtexec"
    for wrong in ({"optimisation_level": 6}, {"graph": True}, {"workspace_mib": 0}):
        with pytest.raises((ConfigError, UnknownNameError)):
            condition(**wrong)


def test_it_has_no_sessions(trtexec, tmp_path):
    with pytest.raises(MeasurementError, match="no session to open"):
        Trtexec().open(tmp_path / "model.trt.onnx", [], condition())


def test_it_compiles_for_the_gpu_that_is_here_alone(trtexec, tmp_path):
    wanted = condition()
    model = ArtefactCache(tmp_path).artefact(Conv(3, 4, 8, 3), wanted).model_path
    compiled = Trtexec().compile(model, wanted, None)
    assert compiled.size > 0
    assert compiled.facts["engine"] == "TensorRT 10.13.0 (trtexec)"
    with pytest.raises(ConfigError, match="not for sm86"):
        Trtexec().compile(model, wanted, "sm86")


def test_it_shares_artefacts_with_the_runtime_tensorrt(trtexec):
    assert Trtexec().suffix == runtimes["tensorrt"]().suffix
    assert Trtexec().precisions == frozenset(Precision)
