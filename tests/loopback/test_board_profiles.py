"""Models profiled on a board over a real sshd on loopback."""

from __future__ import annotations

import json
from dataclasses import replace

import pytest
from typer.testing import CliRunner

from elat.cli.app import app
from elat.core.errors import DeviceInUseError, MeasurementError
from elat.devices.state import fingerprint
from elat.flows.measuring import Campaign, default_cache, measure_operators, profiles_of
from elat.latency.condition import Condition
from elat.latency.launcher import WorkerLostError
from elat.latency.methods import Subjects
from elat.latency.operators.mbconv import MBConv
from elat.latency.place import Loss
from elat.latency.profiling.bench import Effort
from elat.latency.profiling.passes import profile_file
from elat.latency.protocol import SCREEN
from elat.latency.remote.bench import open_board_bench
from elat.latency.remote.board import Board

from .claims import take_over

OPERATOR = MBConv(8, 8, resolution=16, kernel=3, stride=1, expand=3)
QUICK = Effort(runs=5, processes=1)


@pytest.fixture
def path(loop):
    device = loop.card()
    return default_cache().artefact(OPERATOR, Condition.of(device).of_models).model_path


def test_a_model_is_profiled_there_and_nothing_of_it_stays(loop, path):
    device = loop.card()
    with open_board_bench(device) as bench:
        condition = Condition.of(device).of_models
        _, profile = profile_file(path, condition, effort=QUICK, bench=bench)
        told = dict(bench.environment)
    assert told == {name: value for name, value in fingerprint().items() if name in told}
    assert {"system", "kernel"} <= told.keys()
    assert profile.condition == condition
    assert [node.kind for node in profile.nodes].count("Conv") == 3
    assert profile.kernel_ms > 0
    assert list((loop.folder / "lent").iterdir()) == []


def test_a_board_that_another_machine_took_over_is_profiled_no_more(loop, path):
    device = loop.card()
    with open_board_bench(device) as bench:
        take_over(device)
        condition = Condition.of(device).of_models
        with pytest.raises(DeviceInUseError, match="in use from laptop now"):
            profile_file(path, condition, effort=QUICK, bench=bench)


@pytest.mark.slow
def test_a_connection_that_is_cut_while_it_profiles_costs_that_process_alone(
    loop, path, monkeypatch
):
    device, losses, recover = loop.card(), [], Board.recover

    def noted(board: Board, error: WorkerLostError) -> Loss:
        losses.append(recover(board, error))
        return losses[-1]

    monkeypatch.setattr(Board, "recover", noted)
    with open_board_bench(device) as bench:
        loop.server.cable.cut_after = 6_000
        condition = Condition.of(device).of_models
        _, profile = profile_file(path, condition, effort=QUICK, bench=bench)
    assert losses == [Loss.CUT_OFF]
    assert profile.nodes


@pytest.mark.slow
def test_what_the_runtime_there_refuses_is_said(loop, path, tmp_path):
    device = loop.card()
    broken = tmp_path / "broken.onnx"
    broken.write_bytes(path.read_bytes().replace(b"Conv", b"Cowv"))
    with open_board_bench(device) as bench, pytest.raises(MeasurementError, match=r"broken\.onnx"):
        profile_file(broken, Condition.of(device).of_models, effort=QUICK, bench=bench)


@pytest.mark.slow
def test_a_method_that_profiles_measures_there_and_a_network_is_profiled_by_name(loop, store):
    device = replace(loop.card(), runtime={"name": "onnxruntime", "method": "kernel"})
    order = Campaign(device, SCREEN, store, default_cache(), seed=0)
    assert all(step.failure is None for step in measure_operators(order, Subjects((OPERATOR,))))
    (known,) = profiles_of(store, order.condition).items()
    assert known[0] == OPERATOR
    assert known[1].kernel_ms > 0
    ran = CliRunner().invoke(
        app, ["profile", "resnet20", "--device", "loop-ssh", "--runs", "3", "--json"]
    )
    assert ran.exit_code == 0, ran.output
    found = json.loads(ran.stdout)
    assert (found["condition"]["device"], bool(found["roofline"])) == ("loop-ssh", True)
    assert sum(part["latency_ms"] for part in found["parts"]) > 0
