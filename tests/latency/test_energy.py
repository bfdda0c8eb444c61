"""Energy by a pretended counter of constant power: what follows is known in closed form."""

from __future__ import annotations

from dataclasses import replace
from math import ceil

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from elat.core.errors import MeasurementError, UnavailableError
from elat.devices.device import Meter, Power
from elat.latency.energy import (
    MIN_S,
    MIN_STEPS,
    EnergyFlag,
    EnergyOrder,
    EnergyReading,
    Surroundings,
    energy_of,
    read_energies,
)
from elat.latency.launch import Launch

FOLDER = "sys/class/powercap/intel-rapl:0"


class Machine:
    """Takes `idle_w` when it waits and `run_w` when it runs; its counter moves every `tick_s`."""

    def __init__(
        self, root, idle_w=4.0, run_w=20.0, run_s=0.002, tick_s=0.001, start_uj=0, range_uj=10**12
    ):
        self.root, self.range_uj = root, range_uj
        self.idle_w, self.run_w, self.run_s, self.tick_s = idle_w, run_w, run_s, tick_s
        self.at_s, self.energy_uj = 0.0, float(start_uj)
        self.others: float | None = 0.0
        self.shown_uj, self.shown_at = start_uj, 0.0
        (root / FOLDER).mkdir(parents=True, exist_ok=True)
        (root / FOLDER / "name").write_text("package-0\n")
        (root / FOLDER / "max_energy_range_uj").write_text(f"{range_uj}\n")
        self._show()

    def _show(self):
        (self.root / FOLDER / "energy_uj").write_text(f"{int(self.shown_uj) % self.range_uj}\n")

    def _pass(self, seconds, power_w):
        self.at_s += seconds
        self.energy_uj += 1e6 * power_w * seconds
        if self.at_s - self.shown_at >= self.tick_s:
            self.shown_uj, self.shown_at = self.energy_uj, self.at_s
            self._show()

    def wait(self, seconds):
        self._pass(seconds, self.idle_w)

    def run(self):
        runs = ceil(0.01 / self.run_s)
        self._pass(runs * self.run_s, self.run_w)
        return runs

    @property
    def around(self):
        return Surroundings(
            lambda: self.at_s, self.wait, lambda: None if self.others is None
            else self.others * self.at_s,
        )  # fmt: skip


def reading(machine, order=EnergyOrder()):
    found = read_energies(
        order, {"a": machine.run}, (MeasurementError, UnavailableError), lambda case: None,
        machine.around, machine.root,
    )["a"]  # fmt: skip
    return EnergyReading.from_json(found)


@given(
    idle_w=st.floats(0.5, 50), more_w=st.floats(0.5, 200), run_ms=st.floats(0.05, 5),
    start_uj=st.integers(0, 10**12 - 1),
)  # fmt: skip
@settings(max_examples=5, deadline=None)
def test_constant_power_gives_what_multiplication_gives(
    tmp_path_factory, idle_w, more_w, run_ms, start_uj
):
    root = tmp_path_factory.mktemp("root")
    machine = Machine(root, idle_w, idle_w + more_w, run_ms / 1e3, start_uj=start_uj)
    found = reading(machine)
    # The counter shows whole microjoules, at both ends of at least a second of at least a watt.
    assert found.gross_mj == pytest.approx((idle_w + more_w) * run_ms, rel=1e-5)
    assert found.net_mj == pytest.approx(more_w * run_ms, rel=1e-3)
    assert found.seconds >= MIN_S and found.steps >= MIN_STEPS
    assert EnergyFlag.ENERGY_SHORT not in found.flags
    assert EnergyFlag.ENERGY_UNSTABLE not in found.flags
    assert found == EnergyReading.from_json(found.to_json())


def test_a_coarse_counter_is_read_until_it_moved_often_enough(tmp_path):
    found = reading(Machine(tmp_path, tick_s=0.1))
    assert found.steps == MIN_STEPS
    assert found.seconds == pytest.approx(0.1 * MIN_STEPS, rel=0.11)
    assert found.gross_mj == pytest.approx(20.0 * 2.0, rel=1e-5)
    assert found.flags == frozenset()


def test_a_counter_that_hardly_moves_is_flagged_and_one_that_never_does_gives_nothing(tmp_path):
    found = reading(Machine(tmp_path / "a", tick_s=1.0))
    assert EnergyFlag.ENERGY_SHORT in found.flags
    assert found.gross_mj == pytest.approx(20.0 * 2.0, rel=1e-5)
    found = reading(Machine(tmp_path / "b", tick_s=1e9))
    assert (found.gross_mj, found.net_mj) == (None, None)
    assert {EnergyFlag.ENERGY_SHORT, EnergyFlag.ENERGY_UNSTABLE} <= found.flags


def test_a_counter_that_wraps_is_made_up_for_and_flagged(tmp_path):
    quiet = reading(Machine(tmp_path / "a", run_w=2.0, range_uj=10**7))
    assert EnergyFlag.ENERGY_WRAPPED not in quiet.flags
    wrapped = reading(Machine(tmp_path / "b", run_w=9.0, range_uj=10**7))
    assert EnergyFlag.ENERGY_WRAPPED in wrapped.flags
    assert wrapped.gross_mj == pytest.approx(9.0 * 2.0, rel=1e-5)


@pytest.mark.parametrize(("others", "is_shared"), [(0.0, False), (0.04, False), (0.06, True)])
def test_a_machine_that_others_use_is_flagged(tmp_path, others, is_shared):
    machine = Machine(tmp_path)
    machine.others = others
    assert (EnergyFlag.ENERGY_SHARED in reading(machine).flags) == is_shared


def test_where_nothing_tells_of_others_the_energy_may_be_theirs(tmp_path):
    machine = Machine(tmp_path)
    machine.others = None
    assert EnergyFlag.ENERGY_SHARED in reading(machine).flags


@pytest.mark.parametrize(("later_w", "is_unstable"), [(4.0, False), (4.3, False), (4.6, True)])
def test_idling_that_changed_meanwhile_is_flagged(tmp_path, later_w, is_unstable):
    machine = Machine(tmp_path)

    def run():
        machine.idle_w = later_w
        return machine.run()

    found = read_energies(
        EnergyOrder(), {"a": run}, (), lambda case: None, machine.around, tmp_path
    )
    flags = EnergyReading.from_json(found["a"]).flags
    assert (EnergyFlag.ENERGY_UNSTABLE in flags) == is_unstable


def test_a_meter_that_fails_costs_no_latency(tmp_path):
    errors = (MeasurementError, UnavailableError)
    cases = {"a": lambda: 1, "b": lambda: 1}
    order = EnergyOrder(power=Power(meter=Meter.HWMON, rails=("VDD_CPU",)))
    found = read_energies(order, cases, errors, lambda case: None, root=tmp_path)
    assert set(found) == {"a", "b"}
    assert "VDD_CPU" in found["a"]["error"]
    found = read_energies(EnergyOrder(), cases, errors, lambda case: None, root=tmp_path)
    assert found["b"] == {"error": "This machine exposes no energy."}
    with pytest.raises(MeasurementError, match="exposes no energy"):
        EnergyReading.from_json(found["b"])


def test_each_case_is_named_before_it_runs(tmp_path):
    machine = Machine(tmp_path)
    named: list[str] = []
    cases = {"a": machine.run, "b": machine.run}
    found = read_energies(EnergyOrder(), cases, (), named.append, machine.around, tmp_path)
    assert named == list(found) == ["a", "b"]


def launch(energy):
    return Launch("w/0", 0, "", 1.0, 1.0, 1, True, 0.0, (), (), energy)


def test_launches_are_summed_up_by_their_median(tmp_path):
    one = reading(Machine(tmp_path))
    readings = [replace(one, energy_uj=one.energy_uj * factor) for factor in (1, 2, 9)]
    noisy = replace(one, others=0.5)
    launches = [launch(r.to_json()) for r in (*readings, noisy)]
    launches += [launch(None), launch({"error": "no"})]
    found = energy_of(launches)
    assert found is not None and one.gross_mj is not None
    assert found.gross_mj == pytest.approx(1.5 * one.gross_mj)
    assert (found.launches, found.flags) == (4, {EnergyFlag.ENERGY_SHARED})
    assert energy_of([launch(None)]) is None


def test_a_launch_without_energy_reads_as_before():
    old = launch(None).to_json()
    del old["energy"]
    assert Launch.from_json(old) == launch(None)
    assert Launch.from_json(launch({"a": 1}).to_json()) == launch({"a": 1})
    assert hash(launch({"a": 1})) == hash(launch(None))
