"""trtexec driven through a transport: engines kept there, faults told, other runs ended."""

from __future__ import annotations

import json
import os
import threading
import time
from dataclasses import replace
from pathlib import Path

import pytest

from elat.core.errors import (
    ArtefactError,
    ConnectionLostError,
    DeviceOfflineError,
    DeviceSetAsideError,
    MeasurementError,
    UnavailableError,
    UnsupportedOperatorError,
    WrongArchitectureError,
    WrongOutputError,
)
from elat.devices.device import Device, DeviceKind, Gates, Ssh
from elat.devices.phone import PhoneState
from elat.devices.transports import JobStatus, Transport
from elat.devices.transports.local import LocalLink
from elat.latency.artefacts import ArtefactCache
from elat.latency.condition import Condition
from elat.latency.operators.conv import Conv
from elat.latency.operators.sum import Sum
from elat.latency.protocol import SCREEN
from elat.latency.remote.patience import PAUSES_S, Patience
from elat.latency.tensorrt.trtexec import far
from elat.latency.tensorrt.trtexec.command import TrtexecOptions
from elat.latency.tensorrt.trtexec.far import FarHost
from elat.latency.tensorrt.trtexec.timing import Bench, Timed, time_case
from elat.latency.tensorrt.trtexec.work_folder import WorkFolder, find_far_trtexec

from .fake_trtexec import COMPUTE_MS
from .installed import Installed

CONV = Conv(3, 4, resolution=8, kernel=3)
QUICK = replace(SCREEN, name="quick", passes=4, timeout_s=20.0)
BOARD = Device("far", DeviceKind.SSH, "", {"name": "trtexec"}, ssh=Ssh(host="far", python="none"))


@pytest.fixture(scope="module")
def cache(tmp_path_factory):
    return ArtefactCache(tmp_path_factory.mktemp("artefacts"))


@pytest.fixture(scope="module")
def outputs(tmp_path_factory):
    return tmp_path_factory.mktemp("outputs")


@pytest.fixture
def trtexec(tmp_path, outputs):
    folder = tmp_path / "bin"
    folder.mkdir()
    return Installed(folder / "trtexec", outputs)


@pytest.fixture
def work(tmp_path):
    return tmp_path / "work"


@pytest.fixture
def transport(work):
    return Transport(LocalLink(str(work)))


@pytest.fixture
def host(transport):
    return FarHost(transport, "far", Gates(), nap)


def nap(pause_s: float) -> None:
    time.sleep(min(pause_s, 0.02))


def condition_of(trtexec, version, **options):
    runtime = {"name": "trtexec", "options": {"path": str(trtexec.path), **options}}
    return Condition.of_version(replace(BOARD, runtime=runtime), version)


def timed(
    host, trtexec, cache, operator=CONV, protocol=QUICK, beat=lambda: None, **options
) -> Timed:
    tool = host.tool(str(trtexec.path))
    condition = condition_of(trtexec, str(tool), **options)
    given = TrtexecOptions(path=str(trtexec.path), **options)
    bench = Bench(host, tool, given, condition, protocol, {}, beat)
    return time_case(cache.artefact(operator, condition).folder, 1, bench)


def test_a_case_is_built_checked_and_timed_there(host, trtexec, cache, work):
    found = timed(host, trtexec, cache)
    assert {sample.wall_ms for sample in found.samples} == {COMPUTE_MS}
    assert len(found.samples) == QUICK.passes * QUICK.slice_ms / COMPUTE_MS
    assert found.output_error < 1e-4
    assert found.init_ms == 125.0
    assert found.gpu == {"name": "NVIDIA Pretend 4090", "capability": "8.9"}
    assert found.facts["engine"]["precisions"] == ["FP32"]
    assert found.facts["engine"]["build_s"] >= 0
    assert [command[1:] for command in found.facts["trtexec"]["commands"]] == trtexec.commands
    (engine,) = (work / "trtexec").glob("trtexec-*")
    kept = json.loads((engine / "engine.json").read_text())
    assert kept["device"] == "NVIDIA Pretend 4090"
    assert kept["bytes"] == (engine / "engine.plan").stat().st_size
    # Nothing but engines and what the builder measured is left.
    assert [path.name for path in work.iterdir()] == ["trtexec"]
    assert not (engine / "model.onnx").exists()


def test_an_engine_is_built_once_and_inputs_are_brought_once(host, trtexec, cache, work):
    timed(host, trtexec, cache, Sum(2, 4, 8))
    one, other = sorted(work.glob("trtexec/*/input-*.bin"))
    kept_ns = one.stat().st_mtime_ns
    other.write_bytes(b"cut")
    again = FarHost(host._work.transport, "far", Gates(), nap)
    assert timed(again, trtexec, cache, Sum(2, 4, 8)).output_error < 1e-4
    assert trtexec.builds == 1
    assert one.stat().st_mtime_ns == kept_ns
    assert other.stat().st_size == one.stat().st_size


def test_an_engine_that_was_changed_is_refused(host, trtexec, cache, work):
    timed(host, trtexec, cache)
    for name in ("engine.plan", "engine.json"):
        (path,) = work.glob(f"trtexec/*/{name}")
        whole = path.read_bytes()
        path.write_bytes(b"{}")
        with pytest.raises(ArtefactError, match=r"engine trtexec/trtexec-.* was changed since"):
            timed(host, trtexec, cache)
        path.write_bytes(whole)


@pytest.mark.slow
def test_an_engine_of_another_gpu_is_refused(host, trtexec, cache):
    timed(host, trtexec, cache)
    trtexec.be(device="NVIDIA Other 3090")
    with pytest.raises(MeasurementError, match=r"on this machine was built on NVIDIA Pretend"):
        timed(host, trtexec, cache)


@pytest.mark.parametrize(
    ("trouble", "kind", "words"),
    [
        ("parser", UnsupportedOperatorError, "no Tile like that"),
        ("crash", MeasurementError, "trtexec was ended by SIGSEGV"),
        ("no-engine", MeasurementError, "wrote no engine"),
        pytest.param(
            "no-times", MeasurementError, r"wrote no times\.json", marks=pytest.mark.slow
        ),
        pytest.param("cut-output", MeasurementError, "no readable values", marks=pytest.mark.slow),
        ("wrong-output", WrongOutputError, "differs from torch by 100"),
        pytest.param("deaf", MeasurementError, "not what was asked for", marks=pytest.mark.slow),
    ],
)
def test_what_goes_wrong_is_said(host, trtexec, cache, trouble, kind, words):
    trtexec.be(trouble=trouble)
    with pytest.raises(kind, match=words):
        timed(host, trtexec, cache)


def test_a_run_that_could_not_begin_printed_nothing(host):
    with pytest.raises(MeasurementError, match=r"failed with exit code 1\. It printed nothing"):
        host.run(["true"], Path("trtexec/nowhere"), 5, lambda: None)


@pytest.mark.slow
def test_a_build_that_failed_is_begun_anew(host, trtexec, cache):
    trtexec.be(trouble="crash")
    with pytest.raises(MeasurementError):
        timed(host, trtexec, cache)
    trtexec.be()
    assert timed(host, trtexec, cache).output_error < 1e-4


@pytest.mark.parametrize(
    "trouble", ["hang-build", pytest.param("hang-run", marks=pytest.mark.slow)]
)
def test_a_hung_program_is_ended_by_the_device_with_its_children(
    host, trtexec, cache, work, tmp_path, trouble, monkeypatch
):
    monkeypatch.setattr("elat.latency.tensorrt.trtexec.far.BUILD_PATIENCE", 1)
    if trouble == "hang-run":
        timed(host, trtexec, cache)
    trtexec.be(trouble=trouble)
    beats = []
    with pytest.raises(MeasurementError, match=r"did not end within 1 s and was ended"):
        timed(
            host,
            trtexec,
            cache,
            protocol=replace(QUICK, timeout_s=1.0),
            beat=lambda: beats.append(1),
        )
    assert beats
    assert not _at_work(tmp_path)
    assert not list(work.glob("trtexec-job-*"))


def test_what_another_process_left_at_work_is_ended(transport):
    name = f"trtexec-job-{'0123456789abcdef'}"
    transport.start(name, ["sleep", "100"])
    transport.start("trtexec-job-of-mine", ["sleep", "100"])
    WorkFolder(transport, Patience("far", nap), nap).end_jobs()
    assert transport.poll(name).status is JobStatus.UNKNOWN
    assert transport.poll("trtexec-job-of-mine").status is JobStatus.RUNNING
    transport.stop("trtexec-job-of-mine")


class Cut(Transport):
    """A transport whose connection breaks over every fifth thing that is asked."""

    def __init__(self, link):
        super().__init__(link)
        self.asked = self.cuts = 0

    def _run(self, *arguments, **named):
        self.asked += 1
        if self.asked % 5 == 0:
            self.cuts += 1
            # Some things are done and only the answer is lost.
            if self.cuts % 2:
                super()._run(*arguments, **named)
            raise ConnectionLostError("the connection was lost")
        return super()._run(*arguments, **named)


def test_a_connection_that_is_cut_again_and_again_costs_no_run(trtexec, cache, work):
    transport = Cut(LocalLink(str(work)))
    host = FarHost(transport, "far", Gates(), nap)
    assert timed(host, trtexec, cache).output_error < 1e-4
    assert transport.cuts > 10
    assert len(trtexec.commands) == 3


class Gone(Transport):
    """A transport to a device that is gone once it was asked `left` things."""

    left = 20

    def _run(self, *arguments, **named):
        self.left -= 1
        if self.left < 0:
            raise DeviceOfflineError("it does not answer")
        return super()._run(*arguments, **named)


def test_a_device_that_stays_away_is_set_aside(trtexec, cache, work):
    pauses_s: list[float] = []
    host = FarHost(Gone(LocalLink(str(work))), "far", Gates(), pauses_s.append)
    with pytest.raises(DeviceSetAsideError, match="far is set aside after 7 failures in a row"):
        timed(host, trtexec, cache)
    assert pauses_s[-len(PAUSES_S) :] == list(PAUSES_S)


@pytest.mark.slow
def test_a_run_that_is_lost_is_tried_again_once(host, trtexec, cache, tmp_path, work):
    timed(host, trtexec, cache)
    before = len(trtexec.commands)
    trtexec.be(trouble="hang-run")
    killer = threading.Thread(target=_kill_jobs, args=(work, 2))
    killer.start()
    with pytest.raises(MeasurementError, match=r"lost trtexec 2 times without a word"):
        timed(host, trtexec, cache)
    killer.join()
    assert len(trtexec.commands) == before + 2


def _kill_jobs(work: Path, count: int) -> None:
    """Kill so many jobs as a restart does: with all that they started, and without a word."""
    killed: set[int] = set()
    while len(killed) < count:
        for path in work.glob("trtexec-job-*/pid"):
            pid = int(path.read_text().split()[0])
            if pid not in killed:
                time.sleep(0.3)
                os.killpg(pid, 9)
                killed.add(pid)
        time.sleep(0.02)


@pytest.mark.slow
def test_a_parent_that_is_gone_ends_the_run(host, trtexec, cache, tmp_path):
    timed(host, trtexec, cache)
    trtexec.be(trouble="hang-run")

    def gone() -> None:
        raise BrokenPipeError

    with pytest.raises(BrokenPipeError):
        timed(host, trtexec, cache, beat=gone)
    assert not _at_work(tmp_path)


def test_a_device_that_is_too_hot_is_waited_for(transport, trtexec, cache, monkeypatch):
    heats = [90.0, 79.0, 77.0, 78.0]
    read = iter([PhoneState(temperatures_c={"GPU-therm": celsius}) for celsius in heats])
    monkeypatch.setattr(far, "read_phone", lambda _: next(read))
    monkeypatch.setattr("elat.devices.phone.readiness._READ_EVERY_S", 0.1)
    host = FarHost(transport, "far", Gates(temperature_max_c=80), time.sleep)
    timed(host, trtexec, cache)
    # It was cooler than 78 before, and that is said with what it is now.
    state = host.state(condition_of(trtexec, "TensorRT 10.13.0 (trtexec)"))
    assert state["before"]["temperatures_c"] == {"GPU-therm": 77.0}
    assert state["temperatures_c"] == {"GPU-therm": 78.0}


def test_cpus_of_the_card_bind_it(host, transport):
    host.pin((0,))
    transport.run(["mkdir", "trtexec"], 5)
    words = ["grep", "Cpus_allowed_list", "/proc/self/status"]
    found = host.run(words, Path("trtexec"), 10, lambda: None)
    assert found.log.split() == ["Cpus_allowed_list:", "0"]


def find(transport, name):
    return find_far_trtexec(transport, Patience("far", time.sleep), name)


def test_the_program_is_found_in_full_and_on_the_path(transport, trtexec, monkeypatch):
    assert str(find(transport, str(trtexec.path))) == "TensorRT 10.13.0 (trtexec)"
    monkeypatch.setenv("PATH", f"{trtexec.path.parent}:{os.environ['PATH']}")
    assert find(transport, "trtexec").path == trtexec.path


@pytest.mark.parametrize("name", ["/nowhere/trtexec", "bin/trtexec", "echo", "-v", "", "a\nb"])
def test_a_missing_program_is_said_with_its_repair(transport, name):
    with pytest.raises(UnavailableError, match=r"this machine has no program .*options: \{path"):
        find(transport, name)


@pytest.mark.parametrize("version", ["8.5.3", "12.0.0"])
def test_versions_that_are_not_known_are_refused(transport, trtexec, version):
    trtexec.be(version)
    with pytest.raises(UnavailableError, match=rf"on this machine is of TensorRT {version}; elat"):
        find(transport, str(trtexec.path))


def test_programs_that_do_not_run_are_refused(transport, trtexec):
    trtexec.be(trouble="silent")
    with pytest.raises(UnavailableError, match="does not say its version; it says 'nothing'"):
        find(transport, str(trtexec.path))
    trtexec.path.write_bytes(b"\x7fELF\x02\x01\x01" + bytes(64))
    with pytest.raises(WrongArchitectureError, match="built for another processor"):
        find(transport, str(trtexec.path))


def _at_work(folder: Path) -> list[bytes]:
    """Commands of processes that work on files in `folder`, once they had time to end."""
    deadline = time.monotonic() + 5
    while True:
        found = []
        for path in Path("/proc").glob("[0-9]*/cmdline"):
            try:
                words = path.read_bytes()
            except OSError:
                continue
            if str(folder).encode() in words:
                found.append(words)
        if not found or time.monotonic() > deadline:
            return found
        time.sleep(0.05)
