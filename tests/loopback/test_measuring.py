"""Spaces measured on phones and boards through the stand-in for benchmark_model."""

from __future__ import annotations

import json
import os
import re
import signal
import subprocess
import sys
import time
from collections.abc import Callable
from contextlib import suppress
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

import pytest
import yaml
from typer.testing import CliRunner

from elat.cli.app import app
from elat.core.artefact import elat_home
from elat.core.errors import (
    ConfigError,
    DeviceInUseError,
    DeviceSetAsideError,
    UnavailableError,
)
from elat.devices.device import Device, find_device
from elat.devices.transports.adb import AdbLink
from elat.flows.inventory import examine_device
from elat.flows.measuring import Campaign, default_cache, measure_cases
from elat.latency.benchmark_model import place
from elat.latency.condition import Condition
from elat.latency.flags import Flag
from elat.latency.operators import Operator
from elat.latency.operators.concat import Concat
from elat.latency.operators.conv import Conv
from elat.latency.operators.mbconv import MBConv
from elat.latency.remote import patience
from elat.latency.sample import Clock
from elat.latency.store import MeasurementStore, open_store
from elat.latency.table import read_table

from ..devices.phone.texts import write_cool_programs
from . import sshd
from .claims import check_that_losing_it_is_noticed, leave, take_over
from .plugging import plug_in
from .quick import QUICK
from .stand_ins import install_stand_in, missing_reason

pytestmark = pytest.mark.skipif(missing_reason() is not None, reason=str(missing_reason()))

OPERATORS: tuple[Operator, ...] = (
    Conv(3, 8, 16, 3),
    MBConv(8, 8, 10, 3),
    Concat((8, 4), 5),
)


@dataclass
class Loop:
    """A device that is this machine, reached in one of the ways, and its work folder."""

    section: dict[str, Any]
    folder: Path
    program: Path

    def card(self, words: str = "", **changes: object) -> Device:
        """The card `loop` among the user's, with `changes`; `words` say what ails the program."""
        install_stand_in(self.program, words)
        card = {
            "schema": 1,
            "id": "loop",
            "runtime": {"name": "benchmark_model", "method": "block"},
            "program": {"path": str(self.program)},
            **self.section,
            **changes,
        }
        path = elat_home() / "devices" / "loop.yaml"
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_text(yaml.safe_dump(card))
        return find_device("loop")


@pytest.fixture
def home(tmp_path, monkeypatch):
    monkeypatch.setenv("ELAT_HOME", str(tmp_path / "home"))
    # All tests share this machine, and none of them its locks.
    monkeypatch.setenv("ELAT_LOCKS", str(tmp_path / "locks"))
    return tmp_path


@pytest.fixture
def loop_local(home):
    return Loop({"kind": "local_cpu"}, home / "home" / "programs" / "work", home / "bm")


@pytest.fixture
def loop_ssh(home, ssh_server):
    ssh_server.cable.plug_in()
    section = {
        "host": sshd.HOST,
        "config": str(ssh_server.config),
        "identity": str(ssh_server.folder / "user"),
        "folder": str(home / "work"),
    }
    return Loop({"kind": "ssh", "ssh": section}, home / "work", home / "bm")


@pytest.fixture
def loop_adb(home, loop_phone):
    write_cool_programs(loop_phone.programs)
    folder = loop_phone.root / "work"
    section = {"serial": loop_phone.serial, "folder": str(folder)}
    return Loop({"kind": "android_adb", "transport": section}, folder, home / "bm")


@pytest.fixture(params=["loop_local", "loop_ssh", "loop_adb"])
def loop(request):
    return request.getfixturevalue(request.param)


@pytest.fixture
def store(tmp_path):
    with open_store(tmp_path / "store.db") as opened:
        yield opened


def campaign(device: Device, store: MeasurementStore) -> Campaign:
    return Campaign(device, QUICK, store, default_cache(), seed=0)


def failures(device: Device, store: MeasurementStore) -> list[str]:
    """Measure the operators; what failed."""
    steps = measure_cases(campaign(device, store), OPERATORS)
    return [str(step.failure) for step in steps if step.failure is not None]


def test_operators_are_measured_and_their_outputs_compared(loop, store):
    device = loop.card()
    assert failures(device, store) == []
    found = store.measurements(Condition.of(device))
    assert {m.operator for m in found} == set(OPERATORS)
    for m in found:
        (launch,) = m.launches
        assert m.clock is Clock.WALL
        assert launch.output_error is not None and launch.output_error < 1e-3
        assert len(launch.samples) == len(launch.sentinel) == 2
        assert all(sample.loops >= 3 for sample in launch.samples)
        assert m.state_before["delegation"][-1]["share"] == "complete"
        assert Flag.PARTIAL_DELEGATION not in m.flags
        assert m.origin == "measured"
    # All was answered: nothing but models and programs is left.
    left = {path.name for path in loop.folder.iterdir()}
    assert left == {"models", "programs"}


@pytest.mark.parametrize("way", ["loop_ssh", "loop_adb"])
def test_a_device_on_which_another_machine_measures_is_left_alone(request, way, store):
    loop = request.getfixturevalue(way)
    device = loop.card()
    take_over(device)
    with pytest.raises(DeviceInUseError, match=r"^loop is in use from laptop; wait until"):
        failures(device, store)
    assert [path.name for path in loop.folder.iterdir()] == ["claim"]
    leave(device)
    with place.open_program(device) as held:
        check_that_losing_it_is_noticed(held, device)
    leave(device)
    assert failures(device, store) == []
    assert not (loop.folder / "claim").exists()


def test_a_phone_says_what_it_is_and_how_it_was(loop_adb, store):
    device = loop_adb.card()
    assert failures(device, store) == []
    found = store.measurements(Condition.of(device))[0]
    assert found.state_before["battery_pct"] == 64.0
    assert found.state_before["is_screen_on"] is False
    assert found.state_before["before"]["temperatures_c"] == {"battery": 31.2}
    assert found.state_before["thermal_status"] == 0
    assert Flag.THROTTLED not in found.flags


@pytest.mark.slow
def test_int8_models_are_given_int8_inputs(loop_local, store):
    runtime = {"name": "benchmark_model", "method": "block", "precision": "int8"}
    assert failures(loop_local.card(runtime=runtime), store) == []


@pytest.mark.parametrize("precision", ["fp32", "fp16"])
def test_a_delegate_that_takes_a_part_is_flagged(loop_local, store, precision):
    runtime = {
        "name": "benchmark_model",
        "method": "block",
        "precision": precision,
        "options": {"delegate": "gpu"},
    }
    device = loop_local.card("gpu=partial", runtime=runtime)
    assert failures(device, store) == []
    found = {m.operator: m for m in store.measurements(Condition.of(device))}
    assert Flag.PARTIAL_DELEGATION in found[OPERATORS[1]].flags


@pytest.mark.slow
def test_a_delegate_that_must_take_all_and_does_not_is_a_failure(loop_local, store):
    options = {"delegate": "gpu", "whole": True}
    runtime = {"name": "benchmark_model", "method": "block", "options": options}
    found = failures(loop_local.card("gpu=partial", runtime=runtime), store)
    assert [text[:39] for text in found] == ["UNSUPPORTED: The delegate leaves a part"]


@pytest.mark.slow
@pytest.mark.parametrize(
    ("words", "said"),
    [
        ("crash", r"ended by signal 11"),
        ("hang", r"ended after 5 s"),
        ("truncate", r"no readable times"),
        ("clip", r"cut short|no readable times"),
        ("garbage", r"no readable times"),
        ("huge", r"printed too much"),
    ],
)
def test_one_model_that_goes_wrong_costs_no_other(loop_adb, store, words, said, monkeypatch):
    device = loop_adb.card()
    assert failures(device, store) == []
    condition = Condition.of(device)
    (key,) = _keys_of(loop_adb, OPERATORS[1])
    slow = replace(QUICK, name="other", timeout_s=5.0)
    device = loop_adb.card(f"{words}@{key}")
    other = Campaign(device, slow, store, default_cache(), seed=0)
    steps = list(measure_cases(other, OPERATORS))
    failed = {step.operator: str(step.failure) for step in steps if step.failure is not None}
    assert failed.keys() == {OPERATORS[1]}
    assert re.search(said, failed[OPERATORS[1]]), failed
    assert Condition.of(device) != condition
    assert {m.operator for m in store.measurements(Condition.of(device))} == {
        OPERATORS[0],
        OPERATORS[2],
    }


def _keys_of(loop: Loop, operator: Operator) -> list[str]:
    """The folders of the models on the device that are those of `operator`."""
    artefact = default_cache().artefact(operator, Condition.of(find_device("loop")))
    content = artefact.model_path.read_bytes()
    return [
        path.parent.name
        for path in loop.folder.glob("models/*/model.tflite")
        if path.read_bytes() == content
    ]


@pytest.mark.slow
def test_lines_that_end_as_on_windows_are_read(loop_adb, store):
    assert failures(loop_adb.card("crlf"), store) == []


@pytest.mark.slow
def test_an_old_build_is_told_apart_and_can_be_used_without_outputs(loop_adb, store):
    device = loop_adb.card("version=old")
    with pytest.raises(UnavailableError, match=r"no flag output_filepath.*check: false"):
        failures(device, store)
    runtime = {"name": "benchmark_model", "method": "block", "options": {"check": False}}
    device = loop_adb.card("version=old", runtime=runtime)
    assert failures(device, store) == []
    for m in store.measurements(Condition.of(device)):
        assert m.launches[0].output_error is None
        assert Flag.MEAN_ONLY in m.flags


@pytest.mark.parametrize(
    ("content", "said"),
    [
        (b"\x7fELF\x02\x01\x01" + bytes(64), r"built for another processor"),
        (b"#!/bin/sh\necho hello\n", r"no benchmark_model|ended with exit code"),
        (b"#!/bin/sh\necho '  --graph=x'\n", r"is no benchmark_model.*it has no flag"),
        (b"#!/no/such/shell\n", r"ended with exit code 12[67]"),
    ],
)
def test_a_wrong_program_is_said_in_one_sentence(loop_adb, store, content, said):
    device = loop_adb.card()
    loop_adb.program.write_bytes(content)
    with pytest.raises(UnavailableError, match=said) as caught:
        failures(device, store)
    assert "\n" not in str(caught.value)


def test_a_missing_program_is_said_before_the_phone_is_asked(loop_adb, store):
    device = loop_adb.card()
    loop_adb.program.unlink()
    with pytest.raises(Exception, match=r"names the program .*bm, which is no file"):
        failures(device, store)


def test_a_low_battery_sets_the_phone_aside_with_its_repair(loop_adb, store, loop_phone):
    device = loop_adb.card(gates={"battery_min_pct": 90})
    with pytest.raises(UnavailableError, match=r"loop is set aside: .*64 %"):
        failures(device, store)


@pytest.mark.slow
def test_a_killed_measure_goes_on_where_the_phone_is(loop_adb, tmp_path):
    """The run ends without anybody, and the next call takes its results."""
    loop_adb.card()
    store = str(tmp_path / "killed.db")
    asked = ["measure", "--device", "loop", "--generate", "3", "--kinds", "conv", "--store", store]
    words = [sys.executable, "-c", "from elat.cli import main; main()", *asked]
    environment = {**os.environ, "PYTHONSAFEPATH": "1"}
    first = subprocess.Popen(words, env=environment)
    job = _job_begun(loop_adb)
    os.kill(first.pid, signal.SIGKILL)
    first.wait()
    born = (job / "pid").read_text()
    _wait_for(lambda: (job / "exit").exists())
    second = subprocess.Popen(words, env=environment)
    seen = set()
    while second.poll() is None:
        with suppress(OSError):
            seen.add((job / "pid").read_text())
        time.sleep(0.02)
    assert second.returncode == 0
    assert seen == {born}
    with open_store(store) as opened:
        counts = opened.launch_counts(Condition.of(find_device("loop")))
    assert len(counts) == 3
    assert min(counts.values()) >= 3


def _job_begun(loop: Loop) -> Path:
    """The folder of the job that has begun on the device."""
    _wait_for(lambda: any(loop.folder.glob("job-*/pid")))
    (job,) = loop.folder.glob("job-*")
    return job


def _wait_for(is_so: Callable[[], bool]) -> None:
    for _ in range(1200):
        if is_so():
            return
        time.sleep(0.05)
    raise AssertionError("what was waited for did not come")


@pytest.mark.slow
def test_a_space_is_measured_by_the_commands_that_are_used_here(loop_adb, tmp_path):
    loop_adb.card()
    store = str(tmp_path / "cli.db")
    asked = ["--device", "loop", "--generate", "2", "--kinds", "conv", "--store", store, "--json"]
    done = CliRunner().invoke(app, ["measure", *asked])
    assert done.exit_code == 0, done.output
    assert json.loads(done.stdout)


@pytest.mark.slow
def test_one_process_at_a_time_holds_a_phone(loop_adb, store, tmp_path):
    device = loop_adb.card()
    steps = measure_cases(campaign(device, store), OPERATORS)
    for step in steps:
        if step.launch is not None:
            break
    with (
        open_store(tmp_path / "other.db") as other,
        pytest.raises(UnavailableError, match="in use by"),
    ):
        list(measure_cases(campaign(device, other), OPERATORS))
    del step, steps
    with open_store(tmp_path / "other.db") as other:
        assert failures(device, other) == []


def test_a_phone_that_is_unplugged_is_set_aside_and_found_again(loop_adb, store, loop_phone):
    device = loop_adb.card()
    assert failures(device, store) == []
    loop_phone.pull()
    with pytest.raises((DeviceSetAsideError, UnavailableError)):
        list(measure_cases(campaign(device, store), (Conv(3, 4, 8, 3),)))


def test_the_doctor_tries_the_program_where_it_runs(loop):
    found = {check.name: check for check in examine_device(loop.card())}
    assert found["program"].status == "pass"
    assert found["program"].found.startswith("benchmark_model ")
    assert all(check.status != "fail" for check in found.values())


def test_the_doctor_says_what_is_wrong_with_the_program(loop_adb):
    device = loop_adb.card()
    loop_adb.program.write_bytes(b"\x7fELF\x02\x01\x01" + bytes(64))
    (found,) = examine_device(device)
    assert (found.name, found.status) == ("program", "fail")
    assert "built for another processor" in found.found


NASTY = "we ird/$(touch owned)/`touch owned`;touch owned&|'\"*?[x]#~!-rf é"


@pytest.mark.slow
@pytest.mark.parametrize("way", ["loop_ssh", "loop_adb"])
def test_metacharacters_in_cards_are_names(request, way, store, tmp_path):
    loop = request.getfixturevalue(way)
    folder, program = loop.folder.parent / NASTY, tmp_path / "here" / NASTY
    program.parent.mkdir(parents=True)
    loop.program = program
    section = "ssh" if way == "loop_ssh" else "transport"
    changed = {**loop.section[section], "folder": str(folder)}
    device = loop.card(**{section: changed})
    assert failures(device, store) == []
    assert {path.name for path in folder.iterdir()} == {"models", "programs"}
    assert not list(tmp_path.rglob("owned"))


@pytest.mark.parametrize(
    "changes",
    [
        {"id": "../loop"},
        {"id": "loop\nx"},
        {"transport": {"serial": "-s x"}},
        {"transport": {"serial": "a;b"}},
        {"transport": {"serial": "a", "folder": "relative"}},
        {"transport": {"serial": "a", "folder": "/a\nb"}},
        {"program": {"path": "a", "surplus": 1}},
        {"runtime": {"name": "benchmark_model", "options": {"delegate": "gpu --help"}}},
        {"runtime": {"name": "benchmark_model", "options": {"accelerator": "a b"}}},
        {"runtime": {"name": "benchmark_model", "options": {"flags": "--x"}}},
        {"runtime": {"name": "benchmark_model", "precision": "bf16"}},
    ],
    ids=str,
)
def test_cards_that_say_what_no_card_may_are_refused(loop_adb, store, changes):
    with pytest.raises(ConfigError):
        failures(loop_adb.card(**changes), store)


@pytest.mark.parametrize("folder", ["/", "/a/../b", "/a//b", "/a/./b"])
def test_work_folders_that_lead_elsewhere_are_refused(loop_adb, store, folder):
    section = {**loop_adb.section["transport"], "folder": folder}
    with pytest.raises(ConfigError, match="work folder"):
        failures(loop_adb.card(transport=section), store)


@pytest.mark.slow
def test_a_whole_space_is_measured_over_adb(loop_adb, tmp_path):
    loop_adb.card()
    store, table = str(tmp_path / "cli.db"), tmp_path / "table.yaml"
    asked = ["--device", "loop", "--space", "proxyless-tiny", "--store", store]
    done = CliRunner().invoke(app, ["measure", *asked, "--protocol", "screen"])
    assert done.exit_code == 0, done.output
    done = CliRunner().invoke(app, ["table", *asked, "--out", str(table)])
    assert done.exit_code == 0, done.output
    assert len(read_table(table)) == 35


@pytest.mark.slow
@pytest.mark.parametrize(
    ("fault", "said"),
    [
        ("offline", r"does not answer|is not connected"),
        ("unauthorised", r"waits until you allow debugging"),
        ("truncated", r"connection to .* was lost"),
        ("hang", r"was silent for"),
        ("full", r"no room left"),
    ],
)
def test_what_ails_a_phone_is_one_sentence_and_passes(
    loop_adb, store, loop_phone, adb_server, monkeypatch, fault, said
):
    monkeypatch.setattr(place, "_ASK_S", 0.5 if fault == "hang" else 20.0)
    monkeypatch.setattr(patience, "PAUSES_S", (0.0, 0.0))
    device = loop_adb.card()
    if fault == "offline":
        loop_phone.pull()
    healthy = replace(loop_phone.faults)
    loop_phone.faults.is_unauthorised = fault == "unauthorised"
    loop_phone.faults.truncated_after = 0 if fault == "truncated" else None
    loop_phone.faults.is_hanging = fault == "hang"
    loop_phone.faults.is_full = fault == "full"
    if fault == "unauthorised":
        adb_server.connect(loop_phone)
    with pytest.raises(UnavailableError, match=said) as caught:
        failures(device, store)
    assert "\n" not in str(caught.value)
    loop_phone.faults = healthy
    monkeypatch.setattr(place, "_ASK_S", 20.0)
    plug_in(AdbLink(loop_phone.serial), loop_phone, adb_server)
    assert failures(device, store) == []
    assert len(store.measurements(Condition.of(device))) == 3


@pytest.mark.slow
@pytest.mark.parametrize(
    ("fault", "said"),
    [("offline", r"does not answer"), ("full", r"no room left")],
)
def test_what_ails_a_board_is_one_sentence_and_passes(loop_ssh, store, ssh_server, fault, said):
    device = loop_ssh.card()
    if fault == "offline":
        ssh_server.cable.pull()
        with pytest.raises(UnavailableError, match=said):
            failures(device, store)
        ssh_server.cable.plug_in()
    else:
        with ssh_server.fault("full"), pytest.raises(UnavailableError, match=said):
            failures(device, store)
    assert failures(device, store) == []


@pytest.mark.slow
def test_a_phone_of_long_ago_measures_the_same(loop_adb, store, loop_phone, adb_server):
    loop_phone.faults.is_old = True
    adb_server.connect(loop_phone)
    assert failures(loop_adb.card(), store) == []


@pytest.mark.slow
def test_a_phone_that_is_away_keeps_no_other_waiting(loop_adb, tmp_path):
    loop_adb.card()
    away = elat_home() / "devices" / "away.yaml"
    card = yaml.safe_load((elat_home() / "devices" / "loop.yaml").read_text())
    away.write_text(yaml.safe_dump({**card, "id": "away", "transport": {"serial": "0A1B2C"}}))
    asked = ["--device", "away,loop", "--generate", "1", "--kinds", "conv"]
    store = str(tmp_path / "fleet.db")
    done = CliRunner().invoke(app, ["measure", *asked, "--store", store, "--json"])
    assert isinstance(done.exception, UnavailableError), done.output
    assert "1 of 2 devices were set aside: away" in str(done.exception)
    found = {row["device"]: row for row in json.loads(done.stdout)["devices"]}
    assert (found["loop"]["operators"], found["loop"]["state"]) == (1, "done")
    assert found["away"]["state"] == "set aside"
    assert "not connected" in found["away"]["reason"]
    with open_store(store) as opened:
        assert len(opened.measurements(Condition.of(find_device("loop")))) == 1
