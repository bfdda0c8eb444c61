"""Runs of a program on a device: whole, cut off, restarted, full, hung; nothing is lost."""

from __future__ import annotations

import os
import threading
import time
from dataclasses import dataclass
from pathlib import Path

import pytest

from elat.core.errors import DeviceSetAsideError, StorageFullError, TransportError
from elat.latency.benchmark_model import run as runs
from elat.latency.benchmark_model import scripts
from elat.latency.benchmark_model.run import Line, Runner
from elat.latency.remote import patience
from elat.latency.remote.patience import Patience

from .conftest import Reached
from .plugging import plug_in

KEY = "0" * 20
# Prints its flags; notes that it ran, and what it is told to.
PROGRAM = """#!/bin/sh
echo "$1" >>calls
for word; do
    case $word in
        --sleep=*) sleep "${word#--sleep=}" ;;
        --exit=*) exit "${word#--exit=}" ;;
        --wait=*) touch waiting; while [ ! -e "${word#--wait=}" ]; do sleep 0.05; done ;;
        --output_filepath=*) printf 'out of %s' "$1" >"${word#--output_filepath=}" ;;
    esac
done
printf 'ran with %s\\n' "$*"
"""


@dataclass(frozen=True)
class Bench:
    """A device with the program, and what carries runs out there."""

    reached: Reached
    runner: Runner

    @property
    def calls(self) -> list[str]:
        """The first flag of every invocation so far."""
        path = self.reached.folder / "calls"
        return path.read_text().splitlines() if path.exists() else []

    def wait_for_call(self) -> None:
        """Until an invocation waits for a file."""
        for _ in range(600):
            if (self.reached.folder / "waiting").exists():
                return
            time.sleep(0.05)
        raise AssertionError("no invocation came so far")


def bench_of(reached: Reached, source: Path, limit_s: int = 20) -> Bench:
    source.write_text(PROGRAM)
    reached.transport.push(source, "program", 20, is_executable=True)
    trust = Patience("loop", time.sleep)
    trust.persist(lambda: reached.transport.run(["true"], 20))
    return Bench(reached, Runner(reached.transport, trust, "./program", limit_s))


@pytest.fixture(params=["local", "ssh", "adb"])
def bench(request, tmp_path, monkeypatch):
    monkeypatch.setattr(runs, "_POLL_S", 0.05)
    return bench_of(request.getfixturevalue(request.param), tmp_path / "program")


@pytest.fixture
def phone_bench(adb, tmp_path, monkeypatch):
    monkeypatch.setattr(runs, "_POLL_S", 0.05)
    return bench_of(adb, tmp_path / "program")


@pytest.fixture
def impatient(monkeypatch):
    monkeypatch.setattr(patience, "PAUSES_S", (0.0, 0.0))


def lines(*flags: str, model: str = "m") -> list[Line]:
    return [Line(f"{model}{n}", f"models/{n}", False, (f"--n={n}", *flags)) for n in range(3)]


def ran(found: runs.Found) -> dict[int, str]:
    return {number: ended.log.decode().strip() for number, ended in sorted(found.ended.items())}


def said(number: int, *flags: str) -> str:
    return " ".join(("ran with", f"--graph=models/{number}/model.tflite", f"--n={number}", *flags))


def test_every_invocation_is_run_once_in_order(bench):
    found = bench.runner.carry_out(KEY, lines())
    assert ran(found) == {n: said(n) for n in range(3)}
    assert [ended.end for ended in found.ended.values()] == [0, 0, 0]
    assert bench.calls == [f"--graph=models/{n}/model.tflite" for n in range(3)]
    assert not found.condemned


def test_outputs_come_back_by_the_number_of_their_invocation(bench):
    asked = [Line("a", "models/0", n == 1, ()) for n in range(3)]
    found = bench.runner.carry_out(KEY, asked)
    assert found.outputs == {1: b"out of --graph=models/0/model.tflite"}


def test_a_failure_is_told_and_the_next_ones_run(bench):
    asked = lines()
    asked[1] = Line("m1", "models/1", False, ("--exit=7",))
    found = bench.runner.carry_out(KEY, asked)
    assert [found.ended[n].end for n in range(3)] == [0, 7, 0]


def test_metacharacters_in_flags_are_flags(bench, tmp_path):
    bad = ("--a=$(touch${IFS}owned)", "--b=`id`", "--c=*", "--d=;touch", "--e='\"")
    found = bench.runner.carry_out(KEY, [Line("m", "models/0", False, bad)])
    assert ran(found) == {0: f"ran with --graph=models/0/model.tflite {' '.join(bad)}"}
    assert not list(tmp_path.rglob("owned"))


@pytest.mark.slow
def test_an_invocation_that_takes_too_long_is_ended_there(request, adb, tmp_path, monkeypatch):
    monkeypatch.setattr(runs, "_POLL_S", 0.05)
    bench = bench_of(adb, tmp_path / "program", limit_s=1)
    asked = lines()
    asked[0] = Line("m0", "models/0", False, ("--sleep=30",))
    found = bench.runner.carry_out(KEY, asked)
    assert [found.ended[n].end for n in range(3)] == [137, 0, 0]


def test_a_run_that_was_cut_off_is_taken_up_by_the_next_call(bench):
    """The first call is gone with its process; what runs there does not notice."""
    asked = lines(f"--wait={bench.reached.folder}/go")

    def leave(_: float) -> None:
        bench.wait_for_call()
        raise InterruptedError

    first = Runner(bench.runner.transport, bench.runner.patience, "./program", 20, sleep=leave)
    with pytest.raises(InterruptedError):
        first.carry_out(KEY, asked)
    (bench.reached.folder / "go").touch()
    found = bench.runner.carry_out(KEY, asked)
    assert set(found.ended) == {0, 1, 2}
    assert len(bench.calls) == 3


def test_a_run_that_ended_while_nobody_was_there_is_not_run_again(bench):
    bench.runner.carry_out(KEY, lines())
    assert set(bench.runner.carry_out(KEY, lines()).ended) == {0, 1, 2}
    assert len(bench.calls) == 3
    bench.runner.forget(KEY)
    bench.runner.carry_out(KEY, lines())
    assert len(bench.calls) == 6


def test_another_run_waits_for_the_one_at_work(bench):
    def leave(_: float) -> None:
        raise InterruptedError

    first = Runner(bench.runner.transport, bench.runner.patience, "./program", 20, sleep=leave)
    with pytest.raises(InterruptedError):
        first.carry_out(KEY, lines("--sleep=0.3"))
    bench.runner.carry_out("1" * 20, lines("--other"))
    assert len(bench.calls) == 6
    assert bench.runner.transport.poll(f"job-{KEY}-0").exit_code == 0


def test_what_runs_left_is_cleared_after_a_week(bench):
    bench.runner.carry_out(KEY, lines())
    bench.runner.clear()
    left = [*bench.reached.folder.glob("job-*"), *bench.reached.folder.glob("runs/*")]
    assert len(left) == 2
    week_ago = time.time() - 9 * 24 * 3600
    for path in left:
        os.utime(path, (week_ago, week_ago))
    bench.runner.clear()
    assert not any(path.exists() for path in left)


def test_a_cable_pulled_for_a_while_costs_nothing(phone_bench, loop_phone, adb_server):
    asked = lines(f"--wait={phone_bench.reached.folder}/go")

    def pull() -> None:
        phone_bench.wait_for_call()
        loop_phone.pull()
        (phone_bench.reached.folder / "go").touch()
        time.sleep(1.0)
        plug_in(phone_bench.reached.link, loop_phone, adb_server)

    puller = threading.Thread(target=pull)
    puller.start()
    found = phone_bench.runner.carry_out(KEY, asked)
    puller.join()
    assert set(found.ended) == {0, 1, 2}
    assert len(phone_bench.calls) == 3


def test_a_phone_that_stays_away_is_set_aside_and_keeps_what_it_did(
    phone_bench, loop_phone, adb_server, impatient
):
    asked = lines(f"--wait={phone_bench.reached.folder}/go")

    def pull(_: float) -> None:
        phone_bench.wait_for_call()
        loop_phone.pull()

    runner = phone_bench.runner
    first = Runner(runner.transport, runner.patience, "./program", 20, sleep=pull)
    with pytest.raises(DeviceSetAsideError, match="after 3 failures in a row"):
        first.carry_out(KEY, asked)
    (phone_bench.reached.folder / "go").touch()
    plug_in(phone_bench.reached.link, loop_phone, adb_server)
    assert set(runner.carry_out(KEY, asked).ended) == {0, 1, 2}
    assert len(phone_bench.calls) == 3


@pytest.mark.parametrize("restarts", [1, 2])
def test_a_phone_that_restarts_goes_on_and_blames_what_it_was_at_twice(
    phone_bench, loop_phone, restarts
):
    folder = phone_bench.reached.folder
    asked = lines()
    asked[1] = Line("bad", "models/1", False, (f"--wait={folder}/go",))

    def restart() -> None:
        for part in range(restarts):
            phone_bench.wait_for_call()
            (folder / "waiting").unlink()
            # All that a job sees of a restart is that nothing of it is left.
            phone_bench.runner.transport.stop(f"job-{KEY}-{part}")
        (folder / "go").touch()

    restarter = threading.Thread(target=restart)
    restarter.start()
    found = phone_bench.runner.carry_out(KEY, asked)
    restarter.join()
    assert {0, 2} <= set(found.ended)
    assert found.parts == restarts + 1
    if restarts == 1:
        assert set(found.ended) == {0, 1, 2}
        assert not found.condemned
    else:
        assert 1 not in found.ended
        assert "restarted 2 times while it ran it" in found.condemned["bad"]
    assert sum("models/0" in call for call in phone_bench.calls) == 1


def test_a_full_device_ends_the_run_in_one_sentence(phone_bench, loop_phone):
    loop_phone.faults.is_full = True
    with pytest.raises(StorageFullError, match="no room left"):
        phone_bench.runner.carry_out(KEY, lines())


def test_a_plan_that_does_nothing_is_given_up(phone_bench):
    (phone_bench.reached.folder / "runs" / KEY).mkdir(parents=True)
    (phone_bench.reached.folder / "runs" / KEY / "out").touch()
    with pytest.raises(DeviceSetAsideError, match="end without doing anything"):
        phone_bench.runner.carry_out(KEY, lines())


@pytest.mark.parametrize("fault", ["is_hanging", "is_unauthorised"])
def test_other_faults_are_one_clear_sentence(
    phone_bench, loop_phone, adb_server, impatient, monkeypatch, fault
):
    setattr(loop_phone.faults, fault, True)
    if fault == "is_unauthorised":
        adb_server.connect(loop_phone)
    monkeypatch.setattr(runs, "_COPY_S", 0.5)
    with pytest.raises(TransportError) as caught:
        phone_bench.runner.carry_out(KEY, lines())
    assert "\n" not in str(caught.value)


def test_an_old_phone_gives_the_same(adb, loop_phone, adb_server, tmp_path, monkeypatch):
    monkeypatch.setattr(runs, "_POLL_S", 0.05)
    loop_phone.faults.is_old = True
    adb_server.connect(loop_phone)
    bench = bench_of(adb, tmp_path / "program")
    assert ran(bench.runner.carry_out(KEY, lines())) == {n: said(n) for n in range(3)}


def test_models_that_nobody_uses_any_more_are_deleted(bench):
    models = bench.reached.folder / "models"
    for name in ("used", "unused", "new"):
        (models / name).mkdir(parents=True)
        (models / name / "whole").touch()
    month_ago = time.time() - 32 * 24 * 3600
    for name in ("used", "unused"):
        os.utime(models / name, (month_ago, month_ago))
    words = ["sh", "-c", scripts.MISSING, "elat", "used", "absent"]
    assert bench.reached.transport.run(words, 20).text == "absent\n"
    bench.runner.clear()
    assert {path.name for path in models.iterdir()} == {"used", "new"}
