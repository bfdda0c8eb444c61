"""`--tune` on pretended machines: what is changed, and that it is put back, however it ends."""

from __future__ import annotations

import json
import os
import signal
import subprocess
import sys
import time

import pytest

from elat.core.errors import ArtefactError, UnavailableError
from elat.devices.device import Device, DeviceKind, Gpu
from elat.devices.doctor import examine
from elat.devices.journal import Change, begin_journal, journal_path, read_journal, tuned_settings
from elat.devices.state import state
from elat.devices.tuning import restore, tuned

from .conftest import snapshot, write_files

CPU = "sys/devices/system/cpu"
GOVERNOR = f"{CPU}/cpufreq/policy0/scaling_governor"
OTHER = f"{CPU}/cpufreq/policy2/scaling_governor"
TURBO = f"{CPU}/intel_pstate/no_turbo"
FILES = {
    GOVERNOR: "powersave",
    f"{CPU}/cpufreq/policy0/affected_cpus": "0 1",
    f"{CPU}/cpufreq/policy0/scaling_available_governors": "performance powersave",
    OTHER: "schedutil",
    f"{CPU}/cpufreq/policy2/affected_cpus": "2 3",
    TURBO: "0",
    "proc/sys/kernel/random/boot_id": "this-start",
}


def device(**changes):
    values = {"id": "desk", "kind": DeviceKind.LOCAL_CPU, "description": "", "runtime": {}}
    return Device(**{**values, **changes})


def refused(match, card, root):
    """Holds that `card` cannot be tuned, and that the error says `match`."""
    with pytest.raises(UnavailableError, match=match), tuned(card, root):
        raise AssertionError("entered")


@pytest.fixture
def root(tmp_path):
    return write_files(tmp_path / "root", FILES)


def test_governors_and_turbo_are_set_and_put_back_to_the_byte(root):
    before = snapshot(root)
    with tuned(device(turbo=False), root) as changes:
        assert (root / GOVERNOR).read_text() == "performance\n"
        assert (root / OTHER).read_text() == "performance\n"
        assert (root / TURBO).read_text() == "1\n"
        assert [change.place for change in changes] == [GOVERNOR, OTHER, TURBO]
        assert f"{TURBO} = 1" in state(root)["tuned"]
    assert snapshot(root) == before
    assert "tuned" not in state(root)
    assert not journal_path().exists()


def test_only_the_cpus_of_the_affinity_are_touched_and_turbo_only_if_the_card_asks(root):
    with tuned(device(affinity=(3,)), root) as changes:
        assert [(change.place, change.before) for change in changes] == [(OTHER, "schedutil")]
        assert (root / GOVERNOR).read_text() == "powersave\n"
        assert (root / TURBO).read_text() == "0\n"


def test_what_is_as_wanted_already_is_not_written(root):
    write_files(root, {OTHER: "performance"})
    with tuned(device(affinity=(2,)), root) as changes:
        assert changes == []
        assert read_journal() is None


def test_without_tuning_nothing_is_ever_written(root):
    before = snapshot(root)
    examine(device(turbo=False), root=root, interval_s=0.0)
    state(root)
    assert restore(root) == []
    assert snapshot(root) == before


def test_all_is_put_back_in_reverse_order_after_an_error(root, monkeypatch):
    from elat.devices.knobs import FileKnob

    written, write = [], FileKnob.write

    def recording(self, value):
        written.append((self.place, value))
        write(self, value)

    monkeypatch.setattr(FileKnob, "write", recording)
    before = snapshot(root)
    with pytest.raises(ZeroDivisionError), tuned(device(turbo=False), root):
        raise ZeroDivisionError
    assert snapshot(root) == before
    assert written == [
        (GOVERNOR, "performance"), (OTHER, "performance"), (TURBO, "1"),
        (TURBO, "0"), (OTHER, "schedutil"), (GOVERNOR, "powersave"),
    ]  # fmt: skip


def test_what_somebody_else_set_meanwhile_is_left_and_said(root, caplog):
    with tuned(device(), root):
        write_files(root, {GOVERNOR: "ondemand"})
    assert (root / GOVERNOR).read_text() == "ondemand\n"
    assert (root / OTHER).read_text() == "schedutil\n"
    assert "ondemand by somebody else" in caplog.text
    assert not journal_path().exists()


def test_without_permission_nothing_is_changed_and_the_command_is_named(root, monkeypatch):
    before, access = snapshot(root), os.access
    monkeypatch.setattr(os, "access", lambda path, mode: OTHER not in str(path))
    refused(r'sudo chown "\$USER" .*policy2', device(), root)
    monkeypatch.setattr(os, "access", access)
    assert snapshot(root) == before
    assert not journal_path().exists()


def test_a_write_that_fails_half_way_puts_back_what_was_written(root, monkeypatch):
    from elat.devices.knobs import FileKnob

    write = FileKnob.write

    def failing(self, value):
        if self.place == OTHER and value == "performance":
            raise UnavailableError("refused; do it as root: echo x | sudo tee y")
        write(self, value)

    monkeypatch.setattr(FileKnob, "write", failing)
    before = snapshot(root)
    refused("sudo tee", device(), root)
    assert snapshot(root) == before
    assert not journal_path().exists()


def test_a_governor_that_is_not_to_be_had_is_refused(root):
    write_files(root, {f"{CPU}/cpufreq/policy0/scaling_available_governors": "powersave"})
    refused("takes powersave", device(), root)


def test_a_machine_without_knobs_and_a_card_that_asks_too_much_are_refused(tmp_path):
    refused("finds nothing", device(), tmp_path)
    refused("cannot switch", device(turbo=False), tmp_path)
    refused("is another", device(kind=DeviceKind.SIMULATED), tmp_path)


def test_two_runs_do_not_tune_one_machine(root):
    with tuned(device(), root):
        refused(f"Process {os.getpid()} ", device(affinity=(0,)), root)
        with pytest.raises(UnavailableError, match=f"kill {os.getpid()}"):
            restore(root)
        assert (root / GOVERNOR).read_text() == "performance\n"
    assert (root / GOVERNOR).read_text() == "powersave\n"


def test_a_killed_run_that_nobody_waited_for_runs_no_more(root):
    write_files(root, {GOVERNOR: "performance"})
    pid = os.fork()
    if pid == 0:
        begin_journal("desk", [Change(GOVERNOR, "powersave", "performance")], root)
        os.kill(os.getpid(), signal.SIGKILL)
    try:
        os.waitid(os.P_PID, pid, os.WEXITED | os.WNOWAIT)
        journal = read_journal()
        assert journal is not None
        assert journal.pid == pid
        refused("was killed", device(), root)
        assert restore(root) == [f"{GOVERNOR} put back to powersave"]
    finally:
        os.waitpid(pid, 0)


def test_a_gpu_is_locked_and_let_go(tmp_path, nvml, monkeypatch):
    monkeypatch.setattr(os, "geteuid", lambda: 0)
    card = device(gpu=Gpu(lock_clocks=1410, persistence=True))
    with tuned(card, tmp_path) as changes:
        assert nvml.calls == [("persistence", 1), ("lock", 1410, 1410)]
        assert [change.before for change in changes] == ["0", "floating"]
    assert nvml.calls[2:] == [("unlock",), ("persistence", 0)]
    assert nvml.open == 0
    with tuned(device(gpu=Gpu(lock_clocks="base")), tmp_path):
        assert nvml.calls[4:] == [("lock", 0xFFFFFF01, 0xFFFFFF01)]


def test_a_lock_that_somebody_else_holds_stays_where_ours_was_never_begun(root, nvml, monkeypatch):
    def fail(self, value):
        raise UnavailableError("no")

    monkeypatch.setattr(os, "geteuid", lambda: 0)
    monkeypatch.setattr("elat.devices.knobs.FileKnob.write", fail)
    refused("no", device(gpu=Gpu(lock_clocks=1410)), root)
    assert nvml.calls == []
    assert not journal_path().exists()


def test_a_gpu_is_set_by_root_alone(tmp_path, nvml, monkeypatch):
    monkeypatch.setattr(os, "geteuid", lambda: 1000)
    refused("sudo nvidia-smi -i 0 -lgc 1410,1410", device(gpu=Gpu(lock_clocks=1410)), tmp_path)
    assert nvml.calls == []


def test_what_a_killed_run_left_of_a_gpu_is_put_back(tmp_path, nvml, monkeypatch):
    nvml.persistence = 1
    changes = [Change("gpu/0/persistence", "0", "1"), Change("gpu/0/clocks", "floating", "base")]
    begin_journal("desk", changes, tmp_path)
    monkeypatch.setattr("elat.devices.journal.Journal.is_alive", False)
    assert restore(tmp_path) == [
        "gpu/0/clocks put back to floating", "gpu/0/persistence put back to 0",
    ]  # fmt: skip
    assert nvml.calls == [("unlock",), ("persistence", 0)]


def test_another_start_of_the_machine_undid_it_all(root, monkeypatch):
    begin_journal("desk", [Change(GOVERNOR, "powersave", "performance")], root)
    monkeypatch.setattr("elat.devices.journal.Journal.is_alive", False)
    write_files(root, {"proc/sys/kernel/random/boot_id": "next-start"})
    before = snapshot(root)
    assert tuned_settings(root) == []
    assert "started anew" in restore(root)[0]
    assert snapshot(root) == before
    assert not journal_path().exists()


def machine(folder, name, boot, machine_id="image"):
    """A machine that was left tuned, or one like it; both may be copies of one image."""
    files = {
        **FILES,
        GOVERNOR: "performance",
        "etc/machine-id": machine_id,
        "proc/sys/kernel/hostname": name,
        "proc/sys/kernel/random/boot_id": boot,
    }
    return write_files(folder / f"{name}-{boot}", files)


def test_what_another_machine_left_is_let_alone(tmp_path, monkeypatch):
    here, there = machine(tmp_path, "desk", "one"), machine(tmp_path, "rack", "two")
    begin_journal("desk", [Change(GOVERNOR, "powersave", "performance")], here)
    monkeypatch.setattr("elat.devices.journal.Journal.is_alive", False)
    journal, before = journal_path().read_bytes(), snapshot(there)
    with pytest.raises(UnavailableError, match=r"another machine, desk .*left alone.*ELAT_HOME"):
        restore(there)
    refused("another machine, desk", device(), there)
    assert tuned_settings(there) == []
    assert (journal_path().read_bytes(), snapshot(there)) == (journal, before)
    assert restore(here) == [f"{GOVERNOR} put back to powersave"]


def test_a_container_has_another_name_on_the_same_machine(tmp_path, monkeypatch):
    begin_journal(
        "desk", [Change(GOVERNOR, "powersave", "performance")], machine(tmp_path, "a", "one")
    )
    monkeypatch.setattr("elat.devices.journal.Journal.is_alive", False)
    assert len(restore(machine(tmp_path, "b", "one", machine_id="other"))) == 1


def test_two_machines_that_tell_no_start_are_told_apart_by_name(tmp_path, monkeypatch):
    machines = machine(tmp_path, "desk", ""), machine(tmp_path, "rack", "")
    begin_journal("desk", [Change(GOVERNOR, "powersave", "performance")], machines[0])
    monkeypatch.setattr("elat.devices.journal.Journal.is_alive", False)
    with pytest.raises(UnavailableError, match="another machine"):
        restore(machines[1])
    assert len(restore(machines[0])) == 1


def test_a_cpu_that_is_offline_keeps_nothing_else_from_being_put_back(root, nvml, monkeypatch):
    monkeypatch.setattr(os, "geteuid", lambda: 0)
    nvml.persistence = 1
    write_files(root, {GOVERNOR: "performance", TURBO: "1"})
    (root / OTHER).unlink()
    places = {GOVERNOR: "powersave", OTHER: "schedutil"}
    changes = [Change(place, before, "performance") for place, before in places.items()]
    changes += [Change(TURBO, "0", "1"), Change("gpu/3/persistence", "0", "1")]
    begin_journal("desk", changes, root)
    monkeypatch.setattr("elat.devices.journal.Journal.is_alive", False)
    with pytest.raises(UnavailableError) as told:
        restore(root)
    assert f"echo 1 | sudo tee {root}/{CPU}/cpu2/online" in str(told.value)
    assert "There is no GPU 3" in str(told.value)
    assert f"{GOVERNOR} put back to powersave" in str(told.value)
    assert "elat doctor desk --restore" in str(told.value)
    assert (root / GOVERNOR).read_text() == "powersave\n"
    assert (root / TURBO).read_text() == "0\n"
    journal = read_journal()
    assert journal is not None
    assert journal.changes == (changes[1], changes[3])
    refused("elat doctor desk --restore", device(), root)


def test_what_was_left_is_put_back_once_its_cpu_is_there_again(root, monkeypatch):
    write_files(root, {GOVERNOR: "performance"})
    (root / OTHER).unlink()
    places = {GOVERNOR: "powersave", OTHER: "schedutil"}
    begin_journal("desk", [Change(p, b, "performance") for p, b in places.items()], root)
    monkeypatch.setattr("elat.devices.journal.Journal.is_alive", False)
    with pytest.raises(UnavailableError):
        restore(root)
    write_files(root, {GOVERNOR: "ondemand", OTHER: "performance"})
    assert restore(root) == [f"{OTHER} put back to schedutil"], (
        "the other one is nobody's any more"
    )
    assert (root / GOVERNOR).read_text() == "ondemand\n"
    assert not journal_path().exists()


@pytest.mark.parametrize(
    "place", ["etc/passwd", f"{CPU}/../../../etc/passwd", f"{GOVERNOR}/../x", "gpu/0/fan", "gpu/x"]
)
def test_an_edited_journal_leads_to_no_other_file(root, monkeypatch, place):
    begin_journal("desk", [Change(place, "a", "b")], root)
    monkeypatch.setattr("elat.devices.journal.Journal.is_alive", False)
    before = snapshot(root)
    with pytest.raises(ArtefactError):
        restore(root)
    assert snapshot(root) == before


@pytest.mark.parametrize("text", ["", "{}", "[]", '{"kind": "tuning", "schema": 9}'])
def test_a_damaged_journal_is_told_and_disturbs_no_launch(root, text):
    journal_path().parent.mkdir(parents=True, exist_ok=True)
    journal_path().write_text(text)
    with pytest.raises(ArtefactError):
        restore(root)
    assert "tuned" not in state(root)
    found = {check.name: check for check in examine(device(), root=root, interval_s=0.0)}
    assert found["left tuned"].status == "warn"


# A shell has its children in the background ignore some signals.
PROGRAM = """
import signal, sys, time
signal.signal(signal.SIGINT, signal.default_int_handler)
signal.signal(signal.SIGHUP, signal.SIG_DFL)
from pathlib import Path
from elat.devices.device import Device, DeviceKind
from elat.devices.tuning import tuned
with tuned(Device("desk", DeviceKind.LOCAL_CPU, "", {}, turbo=False), Path(sys.argv[1])):
    print("tuned", flush=True)
    time.sleep(60)
"""


def interrupted(root, number):
    """The exit code of a real process that was sent `number` while it had tuned `root`."""
    command = [sys.executable, "-P", "-c", PROGRAM, str(root)]
    with subprocess.Popen(
        command, stdout=subprocess.PIPE, stderr=subprocess.DEVNULL, text=True
    ) as process:
        assert process.stdout is not None
        assert process.stdout.readline() == "tuned\n"
        assert (root / GOVERNOR).read_text() == "performance\n"
        process.send_signal(number)
        return process.wait(timeout=30)


@pytest.mark.parametrize("name", ["SIGTERM", "SIGINT", "SIGHUP"])
def test_a_signal_that_ends_a_run_puts_all_back(root, name):
    before, number = snapshot(root), getattr(signal, name)
    assert interrupted(root, number) in (128 + number, -number)
    assert snapshot(root) == before
    assert not journal_path().exists()


def test_kill_9_leaves_a_journal_that_puts_all_back(root):
    before = snapshot(root)
    assert interrupted(root, signal.SIGKILL) == -signal.SIGKILL
    assert (root / TURBO).read_text() == "1\n"
    assert json.loads(journal_path().read_text())["device"] == "desk"
    refused("elat doctor desk --restore", device(), root)
    found = {check.name: check for check in examine(device(), root=root, interval_s=0.0)}
    assert found["left tuned"].repair == "elat doctor desk --restore"
    assert len(restore(root)) == 3
    assert snapshot(root) == before
    assert restore(root) == []


def test_a_signal_while_things_are_put_back_waits(root, monkeypatch):
    from elat.devices.knobs import FileKnob

    write = FileKnob.write

    def interrupting(self, value):
        if (self.place, value) == (OTHER, "schedutil"):
            signal.raise_signal(signal.SIGINT)
            time.sleep(0)
        write(self, value)

    monkeypatch.setattr(FileKnob, "write", interrupting)
    before = snapshot(root)
    handler = signal.signal(signal.SIGINT, signal.default_int_handler)
    try:
        with pytest.raises(KeyboardInterrupt), tuned(device(turbo=False), root):
            pass
    finally:
        signal.signal(signal.SIGINT, handler)
    assert snapshot(root) == before
    assert not journal_path().exists()


def test_an_ignored_hangup_stays_ignored(root):
    before = signal.signal(signal.SIGHUP, signal.SIG_IGN)
    try:
        with tuned(device(), root):
            signal.raise_signal(signal.SIGHUP)
            assert (root / GOVERNOR).read_text() == "performance\n"
    finally:
        signal.signal(signal.SIGHUP, before)
    assert (root / GOVERNOR).read_text() == "powersave\n"


def test_of_two_that_begin_at_once_one_gives_way(root, monkeypatch):
    before = snapshot(root)
    begin_journal("other", [Change(TURBO, "0", "1")], root)
    journal = read_journal()
    monkeypatch.setattr("elat.devices.tuning.read_journal", lambda: None)
    refused("just begun", device(), root)
    assert snapshot(root) == before
    assert read_journal() == journal
    assert [path.name for path in journal_path().parent.iterdir()] == ["tuning.json"]
