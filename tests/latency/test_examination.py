"""What the doctor says of a runtime."""

from __future__ import annotations

from contextlib import contextmanager

import numpy as np
import pytest

from elat.core.errors import MeasurementError
from elat.devices.device import Device, DeviceKind
from elat.latency.examination import denormal_slowdown, runtime_checks
from elat.latency.runtimes import runtimes
from elat.latency.runtimes.onnxruntime import OnnxRuntime
from elat.latency.sample import Sample


def device(**section):
    runtime = {"name": "onnxruntime", **section}
    return Device("desk", DeviceKind.LOCAL_CPU, "", runtime)


def checks(found):
    return {check.name: check for check in runtime_checks(found)}


class PretendedSession:
    """Takes so long for a run as its inputs make it."""

    def __init__(self, run_ms):
        self.run_ms = run_ms

    def time_loops(self, loops):
        spent = round(1e6 * self.run_ms * loops)
        return Sample(loops, spent, spent, 0)


@pytest.fixture
def slowness(monkeypatch):
    """Makes runs on denormals so many times as long; None makes the runtime refuse."""

    def be(factor):
        @contextmanager
        def opened(self, artefact, inputs, condition):
            if factor is None:
                raise MeasurementError("refused")
            is_denormal = 0 < abs(inputs[0]).max() < np.finfo(np.float32).tiny
            yield PretendedSession(0.1 * factor if is_denormal else 0.1)

        monkeypatch.setattr(OnnxRuntime, "open", opened)

    return be


def test_slow_denormals_are_warned_of_and_flushed_ones_are_not(slowness):
    slowness(1.0)
    assert checks(device())["denormals"].status == "pass"
    slowness(30.0)
    found = checks(device())["denormals"]
    assert found.status == "warn"
    assert "30.0 times" in found.found and found.repair
    slowness(None)
    assert not checks(device())["denormals"].known


@pytest.mark.parametrize("name", ["onnxruntime", "tflite"])
def test_the_probe_runs_on_every_engine(name):
    if reason := runtimes[name]().unavailable_reason():
        pytest.skip(reason)
    from elat.latency.condition import Condition

    found = device(name=name)
    assert denormal_slowdown(runtimes[name](), Condition.of(found)) > 0


def test_spinning_is_warned_of_where_there_are_threads_to_spin(slowness):
    slowness(1.0)
    spinning = {"options": {"spinning": True}}
    assert checks(device(threads=2, **spinning))["runtime spinning"].status == "warn"
    assert checks(device(threads=1, **spinning))["runtime spinning"].status == "pass"
    assert checks(device(threads=2))["runtime spinning"].status == "pass"
    found = {c.name: c for c in runtime_checks(device(name="tflite"))}
    assert not found["runtime spinning"].known


def test_a_runtime_that_is_not_there_fails_with_its_installation(monkeypatch):
    monkeypatch.setattr(
        OnnxRuntime, "unavailable_reason", lambda self: "not here; install it with: pip install x"
    )
    (found,) = runtime_checks(device())
    assert (found.status, found.repair) == ("fail", "pip install x")


def test_a_simulated_runtime_is_not_probed():
    card = Device("pretend", DeviceKind.SIMULATED, "", {"name": "simulated"})
    assert [check.status for check in runtime_checks(card)] == ["pass"]
