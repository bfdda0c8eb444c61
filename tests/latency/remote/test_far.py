"""The far side by itself: what it answers, and that one worker runs at a time."""

from __future__ import annotations

import json
import os
import subprocess
import sys
from contextlib import ExitStack

import pytest

from elat.core.errors import UnavailableError
from elat.devices.energy import detect
from elat.latency.remote import far

CARD = {"schema": 1, "id": "pi", "kind": "local_cpu"}
HOLD = """
import sys
from pathlib import Path
from elat.devices.energy import detect
from elat.latency.remote import far
lock = far._LOCK.open("a+")
far._take(lock, sys.argv[1])
print("held", flush=True)
sys.stdin.read()
"""


@pytest.fixture
def work(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    monkeypatch.setattr(far, "_PATIENCE_S", 0.1)
    return tmp_path


@pytest.fixture
def held_by_ada(work):
    words = [sys.executable, "-P", "-c", HOLD, "ada on laptop"]
    with subprocess.Popen(words, stdin=subprocess.PIPE, stdout=subprocess.PIPE) as holder:
        assert holder.stdout is not None
        assert holder.stdout.readline() == b"held\n"
        yield holder
        holder.kill()


@pytest.mark.parametrize("owner", ["bob on desk", "ada on laptop"])
def test_what_is_held_by_anybody_who_is_no_idle_worker_is_refused(
    work, held_by_ada, capsys, owner
):
    with far._LOCK.open("a+") as lock, pytest.raises(SystemExit) as caught:
        far._take(lock, owner)
    assert caught.value.code == far.IN_USE
    assert capsys.readouterr().err == "ada on laptop measures on it\n"
    assert held_by_ada.poll() is None


def test_what_nobody_holds_is_taken_and_says_by_whom(work):
    for owner in ("ada on laptop, the first", "bob"):
        with far._LOCK.open("a+") as lock:
            far._take(lock, owner)
            assert (work / "worker.lock").read_text() == f"{os.getpid()} {owner}"


def test_a_worker_of_another_user_with_another_work_folder_is_told_of(work, capsys, monkeypatch):
    monkeypatch.setenv("ELAT_LOCKS", str(work / "locks"))
    with ExitStack() as held, ExitStack() as other:
        far._take_machine(held)
        with pytest.raises(SystemExit) as caught:
            far._take_machine(other)
    assert caught.value.code == far.IN_USE
    assert f"this machine is in use by the process {os.getpid()}" in capsys.readouterr().err


def test_a_condition_is_told_as_json(work, capsys):
    card = {**CARD, "runtime": {"name": "simulated"}}
    assert far.main(["condition", json.dumps(card)]) == 0
    assert json.loads(capsys.readouterr().out)["device"] == "pi"


def test_the_meter_is_named_or_there_is_none(work, capsys, monkeypatch):
    monkeypatch.setattr(detect, "find_domains", lambda _: [])
    card = {**CARD, "runtime": {"name": "simulated"}}
    assert far.main(["meter", json.dumps(card)]) == 0
    assert capsys.readouterr().out == "null\n"
    monkeypatch.setenv("PATH", str(work))
    jetson = {**card, "power": {"meter": "tegrastats", "rails": ["VDD_IN"]}}
    assert far.main(["meter", json.dumps(jetson)]) == 3
    assert "tegrastats is not installed" in capsys.readouterr().err


@pytest.mark.parametrize(
    ("arguments", "code", "said"),
    [
        ([], 2, "condition CARD"),
        (["missing"], 2, "condition CARD"),
        (["condition", "{"], 1, "Expecting"),
        (["condition", json.dumps({**CARD, "runtime": {"name": "nonsense"}})], 1, "nonsense"),
        (["unpack", "absent.zip"], 1, "absent.zip"),
    ],
)
def test_what_is_wrong_is_said_on_standard_error(work, capsys, arguments, code, said):
    assert far.main(arguments) == code
    assert said in capsys.readouterr().err


def test_a_missing_runtime_has_an_exit_code_of_its_own(work, capsys, monkeypatch):
    def missing(_: str) -> str:
        raise UnavailableError("onnxruntime is not installed")

    monkeypatch.setitem(far._VERBS, "condition", (missing, 1))
    assert far.main(["condition", "{}"]) == 3
    assert "not installed" in capsys.readouterr().err
