"""Operators measured through trtexec on a board without Python, behind a real sshd."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace

import pytest
import yaml
from typer.testing import CliRunner

from elat.cli.app import app
from elat.core.artefact import elat_home
from elat.core.errors import (
    DeviceInUseError,
    DeviceOfflineError,
    MeasurementError,
    UnavailableError,
)
from elat.devices.device import Device, find_device
from elat.devices.lock import device_lock
from elat.devices.reach import transport_to, way_to
from elat.devices.transports import JobStatus
from elat.flows.energy import Metering, find_metering
from elat.flows.inventory import examine_device
from elat.flows.measuring import Campaign, default_cache, measure_cases
from elat.latency.condition import Condition
from elat.latency.measure import Stage
from elat.latency.operators import Operator
from elat.latency.operators.conv import Conv
from elat.latency.operators.sum import Sum
from elat.latency.sample import Clock, Interval
from elat.latency.store import MeasurementStore, open_store
from elat.latency.tensorrt.trtexec.place import open_trtexec

from ..latency.tensorrt.trtexec.fake_trtexec import COMPUTE_MS
from ..latency.tensorrt.trtexec.installed import Installed
from .claims import check_that_losing_it_is_noticed, leave, take_over
from .quick import QUICK

OPERATORS: tuple[Operator, ...] = (
    Conv(3, 4, resolution=8, kernel=3),
    Sum(2, 4, 8),
    Conv(4, 4, resolution=6, kernel=1),
)


@pytest.fixture(scope="module")
def outputs(tmp_path_factory):
    return tmp_path_factory.mktemp("outputs")


@pytest.fixture
def trtexec(tmp_path, outputs):
    folder = tmp_path / "opt"
    folder.mkdir()
    return Installed(folder / "trtexec", outputs)


@pytest.fixture
def board(loop, trtexec) -> Callable[..., Device]:
    """Writes the card `loop-ssh` of a board without Python, with other options."""

    def write(**options: object) -> Device:
        loop.card(python="none")
        path = elat_home() / "devices" / "loop-ssh.yaml"
        card = yaml.safe_load(path.read_text())
        given = {"path": str(trtexec.path), **options}
        card["runtime"] = {"name": "trtexec", "method": "block", "options": given}
        path.write_text(yaml.safe_dump(card))
        return find_device("loop-ssh")

    return write


@pytest.fixture
def store(tmp_path):
    with open_store(tmp_path / "store.db") as opened:
        yield opened


def measured(
    device: Device,
    store: MeasurementStore,
    then: Callable[[int], None] = lambda _: None,
    operators: tuple[Operator, ...] = OPERATORS,
    protocol=QUICK,
) -> list[str]:
    """Measure `operators`; what failed. `then` is called with each launch's number."""
    campaign = Campaign(device, protocol, store, default_cache(), seed=0)
    failures, launches = [], 0
    for step in measure_cases(campaign, operators):
        if step.failure is not None:
            failures.append(str(step.failure))
        elif step.stage is Stage.MEASURE:
            launches += 1
            then(launches)
    return failures


@pytest.mark.slow
def test_operators_are_measured_whole_though_the_connection_is_cut(board, store, trtexec, loop):
    device = board()
    condition = Condition.of(device)
    assert condition.runtime_version == "TensorRT 10.13.0 (trtexec)"
    assert find_metering(device) == Metering(None, None)

    def cut(launches: int) -> None:
        if launches == 1:
            loop.server.cable.cut_after = 0

    assert measured(device, store, cut, OPERATORS[:2]) == []
    assert loop.server.cable.cut_after is None
    found = store.measurements(condition)
    assert {m.operator for m in found} == set(OPERATORS[:2])
    for m in found:
        assert (m.origin, m.clock, m.condition.launch) == ("measured", Clock.WALL, "trtexec")
        assert m.condition.interval is Interval.DEVICE_COMPUTE
        (launch,) = m.launches
        assert {sample.wall_ms for sample in launch.samples} == {COMPUTE_MS}
        assert launch.output_error is not None and launch.output_error < 1e-4
        assert m.state_before["boot_id"] == m.state_before["before"]["boot_id"]
    (environment,) = store.environments(condition)
    assert environment["trtexec"]["version"] == condition.runtime_version
    assert environment["gpu"]["name"] == "NVIDIA Pretend 4090"
    assert environment["device"]["kernel"]
    # Of each operator a build, a check and a launch, in one worker; nothing of elat is there.
    assert len(trtexec.commands) == 6
    assert len({launch.worker.partition("/")[0] for m in found for launch in m.launches}) == 1
    assert [path.name for path in loop.folder.iterdir()] == ["trtexec"]


@pytest.mark.slow
def test_what_one_worker_built_serves_the_next(board, store, trtexec, loop):
    device = board()
    twice = replace(QUICK, min_launches=2, max_launches=2, looks=(2,))
    assert measured(device, store, protocol=twice) == []
    found = store.measurements(Condition.of(device))
    assert [len(m.launches) for m in found] == [2, 2, 2]
    assert len({launch.worker.partition("/")[0] for m in found for launch in m.launches}) == 2
    assert len(list(loop.folder.glob("trtexec/trtexec-*"))) == trtexec.builds == 3


def test_a_board_that_is_off_is_said_at_once_and_blames_no_operator(board, store, loop):
    device = board()
    condition = Condition.of(device)
    loop.server.cable.pull()
    with pytest.raises(DeviceOfflineError, match="loop does not answer"):
        measured(device, store)
    # What was told of it serves tables and models meanwhile.
    assert Condition.of(device) == condition
    assert store.failures(condition) == {}


@pytest.mark.slow
def test_one_operator_that_goes_wrong_costs_no_other(board, store, trtexec):
    device = board()
    trtexec.be(trouble="wrong-output")
    (failure,) = measured(device, store, operators=OPERATORS[:1])
    assert failure.startswith("WRONG_OUTPUT: ")
    trtexec.be()
    assert measured(device, store, operators=OPERATORS[:2]) == []
    assert [m.operator for m in store.measurements(Condition.of(device))] == [OPERATORS[1]]


@pytest.mark.slow
def test_a_full_board_ends_the_campaign_and_blames_no_operator(board, store, loop):
    device = board()
    condition = Condition.of(device)
    with loop.server.fault("full"), pytest.raises(UnavailableError, match="has no room left"):
        measured(device, store)
    assert store.failures(condition) == {}
    assert measured(device, store, operators=OPERATORS[:1]) == []


def test_a_missing_program_is_said_in_one_sentence(board, store, trtexec):
    device = board()
    trtexec.path.unlink()
    with pytest.raises(UnavailableError, match=r"loop has no program '/.*' .*options: "):
        Condition.of(device)
    (check,) = examine_device(device)
    assert (check.name, str(check.status)) == ("trtexec", "fail")


def test_another_version_than_it_was_is_noticed_before_anything_is_measured(board, store, trtexec):
    device = board()
    before = Condition.of(device)
    trtexec.be("10.14.0")
    with pytest.raises(MeasurementError, match=r"10\.14\.0 .* now and was .*10\.13\.0"):
        measured(device, store)
    after = Condition.of(device)
    assert (before.runtime_version, after.runtime_version) == (
        "TensorRT 10.13.0 (trtexec)",
        "TensorRT 10.14.0 (trtexec)",
    )
    trtexec.be("7.1.3")
    with pytest.raises(UnavailableError, match=r"on loop is of TensorRT 7\.1\.3; elat knows"):
        measured(device, store)


def test_a_board_in_use_is_said(board, store):
    device = board()
    with device_lock(way_to(device)), pytest.raises(DeviceInUseError):
        measured(device, store)


def test_a_board_on_which_another_machine_measures_is_left_alone(board, store, trtexec):
    device = board()
    transport = transport_to(device)
    # The run of the other machine, which must not be ended as if it were a leftover.
    transport.start("trtexec-job-0123456789abcdef", ["sleep", "300"])
    take_over(device)
    with pytest.raises(DeviceInUseError, match=r"^loop-ssh is in use from laptop; wait until"):
        measured(device, store)
    assert trtexec.commands == []
    assert transport.poll("trtexec-job-0123456789abcdef").status is JobStatus.RUNNING
    transport.stop("trtexec-job-0123456789abcdef")
    leave(device)
    with open_trtexec(device) as place:
        check_that_losing_it_is_noticed(place, device)


def test_the_doctor_tries_the_program_where_it_is(board, trtexec):
    device = board()
    found = {check.name: check for check in examine_device(device)}
    assert found["trtexec"].found == "TensorRT 10.13.0 (trtexec) runs"
    assert found["board"].found
    assert trtexec.commands == []


def test_a_runtime_that_needs_python_says_so(loop):
    device = loop.card(python="none")
    with pytest.raises(
        UnavailableError, match=r"has no Python called none: .*name one as ssh\.python"
    ):
        Condition.of(device)


@pytest.mark.slow
def test_the_command_line_measures_and_makes_a_table(board, tmp_path):
    board()
    store = ["--store", str(tmp_path / "other.db")]
    asked = ["--device", "loop-ssh", "--generate", "2", "--kinds", "conv", *store]
    result = CliRunner().invoke(app, ["measure", *asked, "--protocol", "screen"])
    assert result.exit_code == 0, result.output
    assert "known on loop-ssh" in result.output
