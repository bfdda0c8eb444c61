"""A board over a real sshd on loopback: measured whole, cut off, misnamed, full, in use."""

from __future__ import annotations

import fcntl
import json
import os
import signal
import subprocess
import sys
import threading
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path

import pytest
import yaml
from typer.testing import CliRunner

from elat.cli.app import app
from elat.core.artefact import elat_home
from elat.core.errors import (
    DeviceInUseError,
    DeviceSetAsideError,
    MeasurementError,
    StorageFullError,
    UnavailableError,
)
from elat.devices.device import Device, Meter, Power, find_device
from elat.devices.set_aside import set_aside
from elat.flows.energy import find_metering, known_energies
from elat.flows.fleet import Done, FleetOrder, Step, measure_fleet
from elat.flows.measuring import Campaign, default_cache, measure_cases
from elat.flows.wanted import Wanted
from elat.latency.condition import Condition
from elat.latency.energy import EnergyReading
from elat.latency.launcher import WorkerLostError, start_worker
from elat.latency.measure import Stage
from elat.latency.operators.conv import Conv
from elat.latency.place import Loss
from elat.latency.remote import board, patience
from elat.latency.remote.board import Board, open_board
from elat.latency.remote.doctor import examine_board
from elat.latency.store import MeasurementStore, open_store

from .claims import check_that_losing_it_is_noticed, leave, take_over
from .quick import QUICK

OPERATORS = tuple(Conv(3, 4 + 4 * n, resolution=8, kernel=3) for n in range(4))
ALONE = replace(QUICK, group_size=1, group_min_ms=0.0)


@pytest.fixture
def impatient(monkeypatch):
    monkeypatch.setattr(patience, "PAUSES_S", (0.0, 0.0))


def campaign(device: Device, store: MeasurementStore) -> Campaign:
    return Campaign(device, ALONE, store, default_cache(), seed=0)


def measured(
    device: Device, store: MeasurementStore, then: Callable[[int], None] = lambda _: None
) -> int:
    """Measure the operators; `then` is called with how many launches there are, after each."""
    launches = 0
    for step in measure_cases(campaign(device, store), OPERATORS):
        assert step.failure is None
        if step.stage is Stage.MEASURE:
            launches += 1
            then(launches)
    return launches


def test_operators_are_measured_whole_by_the_elat_that_was_brought(loop, store):
    device = loop.card()
    old = loop.folder / f"elat-0.0.1-{16 * '0'}"
    old.mkdir(parents=True)
    os.utime(old, (0.0, 0.0))
    assert measured(device, store) == 4
    condition = Condition.of(device).of_models
    found = store.measurements(condition)
    assert {m.operator for m in found} == set(OPERATORS)
    assert all(0 <= launch.output_error < 1e-3 for m in found for launch in m.launches)
    assert all(m.latency_ms > 0 and m.origin == "measured" for m in found)
    (brought,) = loop.folder.glob("elat-*")
    assert (brought / "elat" / "latency" / "worker.py").is_file()
    # The sentinel's, too.
    assert len(list((loop.folder / "artefacts").iterdir())) == 5
    assert measured(device, store) == 0
    with loop.server.fault("full"), open_store(store.location + "-other") as other:
        assert measured(device, other) == 4


def test_a_connection_cut_in_the_middle_costs_the_running_launch_alone(loop, store):
    def cut(launches: int) -> None:
        if launches == 2:
            loop.server.cable.cut_after = 0

    assert measured(loop.card(), store, cut) == 4
    assert loop.server.cable.cut_after is None
    found = store.measurements(Condition.of(loop.card()).of_models)
    workers = {launch.worker.partition("/")[0] for m in found for launch in m.launches}
    assert (len(found), len(workers)) == (4, 2)


@pytest.mark.slow
def test_a_board_that_stays_away_is_set_aside_and_nothing_finished_is_lost(loop, store, impatient):
    def pull(launches: int) -> None:
        if launches == 2:
            loop.server.cable.pull()

    device = loop.card()
    with pytest.raises(DeviceSetAsideError, match=r"loop-ssh is set aside after 3 .*elat doctor"):
        measured(device, store, pull)
    condition = Condition.of(device).of_models
    assert len(store.measurements(condition)) == 2
    assert store.failures(condition) == {}
    loop.server.cable.plug_in()
    assert measured(device, store) == 2


@pytest.mark.slow
def test_a_board_that_restarted_is_told_from_one_that_was_cut_off(loop, store, monkeypatch):
    boot, losses = loop.folder.parent / "boot", []
    recover = Board.recover

    def noted(self: Board, error: WorkerLostError) -> Loss:
        losses.append(recover(self, error))
        return losses[-1]

    def restart(launches: int) -> None:
        if launches == 2:
            boot.write_text("second")
        if launches in (2, 3):
            loop.server.cable.cut_after = 0

    boot.write_text("first")
    monkeypatch.setattr(board, "BOOT_ID", str(boot))
    monkeypatch.setattr(Board, "recover", noted)
    assert measured(loop.card(), store, restart) == 4
    assert losses == [Loss.RESTARTED, Loss.CUT_OFF]


@pytest.mark.slow
def test_whoever_measures_there_from_elsewhere_is_named_and_sets_nothing_aside(loop, store):
    device = loop.card()
    loop.folder.mkdir()
    with (loop.folder / "worker.lock").open("w") as held:
        fcntl.flock(held, fcntl.LOCK_EX)
        held.write("1 bob on desk")
        held.flush()
        with pytest.raises(DeviceInUseError, match=r"loop is in use: bob on desk measures on it"):
            measured(device, store)
    assert set_aside("loop-ssh") is None
    assert measured(device, store) == 4


@pytest.mark.slow
def test_a_board_that_another_machine_holds_is_left_alone_also_between_groups(loop, store):
    device = loop.card()
    take_over(device)
    with pytest.raises(DeviceInUseError, match=r"^loop-ssh is in use from laptop; wait until"):
        measured(device, store)
    assert [path.name for path in loop.folder.iterdir()] == ["claim"]
    leave(device)
    with open_board(device) as board:
        check_that_losing_it_is_noticed(board, device)
    assert "laptop" in (loop.folder / "claim").read_text()


@pytest.mark.slow
def test_a_cable_that_carries_nothing_any_more_is_noticed(loop, store):
    def stall(launches: int) -> None:
        if launches == 2:
            loop.server.cable.is_stalled = True
            threading.Timer(20, lambda: setattr(loop.server.cable, "is_stalled", False)).start()

    assert measured(loop.card(), store, stall) == 4


def test_a_worker_that_is_killed_there_was_not_cut_off(loop):
    with open_board(loop.card()) as board, start_worker(board.command(), 60) as worker:
        pid, _, owner = (loop.folder / "worker.lock").read_text().partition(" ")
        assert owner
        os.kill(int(pid), signal.SIGKILL)
        with pytest.raises(WorkerLostError) as caught:
            worker.receive(20)
        assert board.recover(caught.value) is Loss.ENDED
        worker.kill()


def test_a_worker_that_nobody_speaks_to_any_more_makes_room(loop):
    with open_board(loop.card()) as board, start_worker(board.command(), 60) as first:
        with start_worker(board.command(), 60) as second:
            assert second.worker != first.worker
        with pytest.raises(WorkerLostError):
            first.receive(20)


def fake_python(folder: Path, probed: str, then: str) -> str:
    """A program that answers `probed` to the probe, and does `then` for all else."""
    path = folder / "fake-python"
    path.write_text(f"""#!/bin/sh\nif [ "$1" = -c ]; then echo '{probed}'; else {then}; fi\n""")
    path.chmod(0o755)
    return str(path)


@pytest.mark.parametrize(
    ("python", "said"),
    [
        ("/nowhere/python3", "no Python called /nowhere/python3"),
        ("true", "is no Python"),
    ],
)
def test_what_is_no_python_is_named_with_the_repair(loop, python, said):
    with pytest.raises(UnavailableError, match=said), open_board(loop.card(python=python)):
        pass


GOOD = """{"python": [3, 12], "missing": [], "has": true}"""
ABSENT = (
    "echo 'onnxruntime is not installed; install it with: pip install onnxruntime' >&2; exit 3"
)


@pytest.mark.parametrize(
    ("probed", "then", "said"),
    [
        (GOOD.replace("12", "8"), "", r"is Python 3\.8, and elat needs 3\.11"),
        (
            GOOD.replace("[]", """["numpy", "pydantic"]"""),
            "",
            r"lacks numpy pydantic; install with: ssh loop .*pip install numpy pydantic",
        ),
        (GOOD.replace("[]", """["; reboot"]"""), "", "is no Python"),
        (GOOD.replace("[3, 12]", "[null]"), "", "is no Python"),
        (GOOD, ABSENT, "On loop, onnxruntime is .*: ssh loop .*fake-python -m pip install onnx"),
        (GOOD, "echo nonsense", "answered 'nonsense' when asked for its condition"),
        (GOOD, "echo '[1, {}]'", "when asked for its condition"),
        (GOOD, "echo '{\"precision\": 1}'", "when asked for its condition"),
    ],
)
def test_a_wrong_python_is_named_with_the_repair(loop, tmp_path, probed, then, said):
    device = loop.card(python=fake_python(tmp_path, probed, then or "exit 9"))
    with pytest.raises((UnavailableError, MeasurementError), match=said), open_board(device):
        pass
    (check,) = examine_board(device)
    assert check.status == "fail"


def test_a_full_work_folder_is_said_in_one_sentence(loop, store):
    device = loop.card()
    with loop.server.fault("full"), pytest.raises(StorageFullError, match="no room left"):
        measured(device, store)
    assert list(loop.folder.glob("elat-*")) == []


def test_one_process_at_a_time_holds_a_board(loop):
    other = loop.card(folder=str(loop.folder / "other"))
    in_use = f"in use by the process {os.getpid()}"
    take = (
        "import sys; from elat.devices.lock import device_lock\n"
        "device_lock(sys.argv[1]).__enter__()"
    )
    with open_board(loop.card()):
        with pytest.raises(DeviceInUseError, match=in_use), open_board(other):
            pass
        ended = subprocess.run(
            [sys.executable, "-c", take, f"127.0.0.1:{loop.server.cable.port}"],
            capture_output=True,
            text=True,
        )
        assert in_use in ended.stderr
    with open_board(other):
        pass


def test_the_condition_is_known_while_the_board_is_off(loop):
    condition = Condition.of(loop.card())
    assert condition.device == "loop-ssh"
    loop.server.cable.pull()
    assert Condition.of(loop.card()) == condition
    card = elat_home() / "devices" / "loop-ssh.yaml"
    card.write_text(card.read_text().replace("block", "in_situ"))
    with pytest.raises(UnavailableError, match="does not answer"):
        Condition.of(find_device("loop-ssh"))


@pytest.mark.slow
def test_a_runtime_that_changed_there_ends_the_call_and_the_next_one_measures_it(loop, store):
    device = loop.card()
    kept = elat_home() / "boards" / "loop-ssh.json"
    now = Condition.of(device)
    kept.write_text(kept.read_text().replace(now.runtime_version, "onnxruntime 0.1"))
    assert Condition.of(device).runtime_version == "onnxruntime 0.1"
    with pytest.raises(MeasurementError, match=r"loop-ssh is .* now and was .*onnxruntime 0\.1"):
        measured(device, store)
    assert Condition.of(device) == now


@pytest.mark.slow
def test_the_doctor_examines_the_board_where_it_is(loop):
    checks = {check.name: check for check in examine_board(loop.card())}
    assert checks["board"].status == "pass"
    assert any("onnxruntime" in check.found for check in checks.values())
    assert checks["work folder"].found.startswith("copies of elat: 1, ")
    loop.server.cable.pull()
    (check,) = examine_board(loop.card())
    assert (check.status, bool(check.repair)) == ("fail", True)


TEGRASTATS = """#!/bin/sh
while :; do echo 'RAM 1/2MB VDD_IN 5000mW/5000mW'; sleep 0.005; done
"""


@pytest.mark.slow
def test_the_energy_of_a_board_is_read_on_the_board(loop, store):
    program = loop.server.folder / "bin" / "tegrastats"
    program.write_text(TEGRASTATS)
    program.chmod(0o755)
    device = replace(loop.card(), power=Power(meter=Meter.TEGRASTATS, rails=("VDD_IN",)))
    found = find_metering(device)
    assert found.meter == "tegrastats VDD_IN"
    order = replace(campaign(device, store), energy=found.order)
    launches = [step.launch for step in measure_cases(order, OPERATORS[:1]) if step.launch]
    assert launches[0].energy is not None
    reading = EnergyReading.from_json(launches[0].energy)
    (energy,) = known_energies(store, device).values()
    # The meter is looked at between slices, and knows what the last line of tegrastats said.
    watts = 5.0
    assert energy.gross_mj == pytest.approx(1e3 * watts * reading.seconds / reading.runs, rel=0.1)


TOY = """schema: 1
id: toy
kind: simulated
runtime: {name: simulated, method: block}
"""


@pytest.mark.slow
def test_a_board_and_this_machine_are_measured_in_one_campaign(loop, tmp_path):
    board = loop.card()
    (elat_home() / "devices" / "toy.yaml").write_text(TOY)
    order = FleetOrder(
        (find_device("toy"), board),
        Wanted(None, 4, ("conv",)),
        ALONE,
        str(tmp_path / "fleet.db"),
        seed=0,
    )
    found = list(measure_fleet(order))
    done = {item.device: item for item in found if isinstance(item, Done)}
    assert [(d.launches, d.operators, d.error) for d in done.values()] == [(4, 4, None)] * 2
    steps = [(item.device, item.stage) for item in found if isinstance(item, Step)]
    last_built = max(n for n, step in enumerate(steps) if step == ("loop-ssh", Stage.BUILD))
    assert all(step != ("toy", Stage.BUILD) for step in steps[:last_built])


@pytest.mark.slow
def test_a_space_is_measured_and_its_table_written_by_the_same_commands_as_here(loop, tmp_path):
    loop.card()
    order = ["--device", "loop-ssh", "--space", "proxyless-tiny"]
    ran = CliRunner().invoke(app, ["measure", *order, "--protocol", "screen", "--json"])
    assert ran.exit_code == 0, ran.output
    found = json.loads(ran.stdout)
    assert (found["operators"], found["failures"]) == (35, 0)
    path = tmp_path / "table.yaml"
    ran = CliRunner().invoke(app, ["table", *order, "--out", str(path)])
    assert ran.exit_code == 0, ran.output
    table = yaml.safe_load(path.read_text())
    assert (table["origin"], table["condition"]["device"]) == ("measured", "loop-ssh")
    assert table["operators"] == 35
