from __future__ import annotations

from dataclasses import replace

import pytest

from elat.core.errors import MeasurementError, UnavailableError
from elat.devices.device import find_device
from elat.latency.condition import Cache, Condition, Precision
from elat.latency.profiling import roofline
from elat.latency.profiling.profile import ProfiledNode
from elat.latency.profiling.roofline import Roofline, find_roofline, measure_roofline

UTC = "2026-01-01T00:00:00+00:00"


@pytest.fixture
def condition():
    return Condition.of(find_device("local-ort"))


@pytest.fixture
def scripted(monkeypatch):
    """Answers as a machine of 1e6 MACs and 1e5 bytes a ms would; counts how often it is asked."""
    asked = []

    def times_ms(paths, condition, *, bench=None):
        asked.append(paths)
        times = []
        for sizes in roofline._CONVOLUTIONS:
            work = roofline._Convolutions(*sizes).work
            times += [5.0 + length * work / 1e6 for length in (2, 6)]
        for channels in (*roofline._CACHED_CHANNELS, roofline._MEMORY_CHANNELS):
            rate = 1e4 if channels == roofline._MEMORY_CHANNELS else 1e5
            work = roofline._Sums(channels, 4).work
            times += [5.0 + length * work / rate for length in (2, 6)]
        return times

    monkeypatch.setattr(roofline, "ask_times_ms", times_ms)
    monkeypatch.setattr(roofline, "_written", lambda graph, condition: b"")
    return asked


def test_rates_are_those_of_the_longer_chains(condition, scripted):
    found = measure_roofline(condition)
    assert found.macs_per_ms == pytest.approx(1e6)
    assert found.cache_bytes_per_ms == pytest.approx(1e5)
    assert found.memory_bytes_per_ms == pytest.approx(1e4)


def test_a_roofline_is_measured_once_for_a_condition(tmp_path, condition, scripted):
    first = find_roofline(condition, tmp_path)
    assert find_roofline(replace(condition, batch=4), tmp_path) == first
    assert len(scripted) == 1
    find_roofline(replace(condition, threads=2), tmp_path)
    find_roofline(condition, tmp_path, affinity=(0,))
    assert len(scripted) == 3
    assert len(list(tmp_path.glob("*.json"))) == 3


def test_a_damaged_file_is_replaced(tmp_path, condition, scripted):
    find_roofline(condition, tmp_path)
    next(tmp_path.glob("*.json")).write_text("{}")
    find_roofline(condition, tmp_path)
    assert len(scripted) == 2


def test_a_longer_chain_that_takes_less_is_an_error(condition, monkeypatch):
    def backwards(paths, condition, *, bench=None):
        return [float(len(paths) - i) for i in range(len(paths))]

    monkeypatch.setattr(roofline, "ask_times_ms", backwards)
    monkeypatch.setattr(roofline, "_written", lambda graph, condition: b"")
    with pytest.raises(MeasurementError, match="too busy"):
        measure_roofline(condition)


def test_a_runtime_without_profiler_has_none(condition, monkeypatch):
    monkeypatch.setattr(roofline, "_CONVOLUTIONS", ((8, 4, 1),))
    with pytest.raises(UnavailableError, match="warm caches"):
        measure_roofline(replace(condition, cache=Cache.COLD))


def node(macs, moved_bytes, fused=("a",)):
    return ProfiledNode("a", "Conv", fused, 1.0, 1.0, False, macs=macs, moved_bytes=moved_bytes)


def test_the_bound_is_the_higher_roof():
    roof = Roofline(1e6, 1e5, 1e4, UTC)
    assert roof.bound_ms(node(2_000_000, 100_000)) == pytest.approx(2.0)
    assert roof.bound_ms(node(100, 300_000)) == pytest.approx(3.0)
    assert roof.bound_ms(node(None, 300_000)) == pytest.approx(3.0)
    assert roof.bound_ms(node(2_000_000, None)) == pytest.approx(2.0)
    assert roof.bound_ms(node(None, None)) is None
    assert roof.bound_ms(node(0, None, fused=())) is None


def test_the_fastest_of_two_is_a_bound_for_both():
    fast = Roofline(4e6, 1e4, 1e3, UTC).fastest(Roofline(1e6, 1e5, 1e4, "2026-02-01"))
    assert fast == Roofline(4e6, 1e5, 1e4, "2026-02-01")


def test_the_work_of_a_probe_is_what_its_graph_says():
    for sizes in roofline._CONVOLUTIONS:
        probe = roofline._Convolutions(*sizes)
        assert probe.graph(6).macs - probe.graph(2).macs == 4 * probe.work
    sums = roofline._Sums(8, 4)
    assert 4 * (sums.graph(6).traffic_elements - sums.graph(2).traffic_elements) == 4 * sums.work


@pytest.mark.slow
@pytest.mark.parametrize("device", ["local-ort", "local-tflite"])
def test_this_machine_multiplies_more_integers_than_reals(device):
    condition = Condition.of(find_device(device))
    real = measure_roofline(condition)
    integer = measure_roofline(replace(condition, precision=Precision.INT8))
    assert integer.macs_per_ms > real.macs_per_ms > 0
    assert real.cache_bytes_per_ms >= real.memory_bytes_per_ms > 0
