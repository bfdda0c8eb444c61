"""Several devices in one campaign: what each does, which wait, and what sets one aside."""

from __future__ import annotations

import os
import signal
import subprocess
import sys
import time
from collections import Counter
from collections.abc import Callable
from pathlib import Path
from threading import Semaphore

import pytest

from elat.core.artefact import elat_home
from elat.core.errors import ArtefactError, ConfigError, MissingLatencyError, UnavailableError
from elat.devices.device import Device, find_device
from elat.devices.set_aside import set_aside
from elat.flows import fleet
from elat.flows.fleet import Done, FleetOrder, Step, _measured, lanes, measure_fleet
from elat.flows.measuring import default_store
from elat.flows.wanted import Wanted
from elat.latency.condition import Condition
from elat.latency.measure import Stage
from elat.latency.store import open_store

from .conftest import CARD, QUICK

BOARD = """
schema: 1
id: NAME
kind: ssh
runtime: {name: onnxruntime, method: block}
ssh: {host: nowhere.invalid}
"""
PHONE = """
schema: 1
id: NAME
kind: android_adb
runtime: {name: tflite}
transport: {serial: emulator-1}
"""


def card(name: str, text: str) -> Device:
    path = elat_home() / "devices" / f"{name}.yaml"
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_text(text.replace("NAME", name).replace("id: toy", f"id: {name}"))
    return find_device(name)


@pytest.fixture
def home(tmp_path, monkeypatch):
    monkeypatch.setenv("ELAT_HOME", str(tmp_path / "home"))
    return tmp_path / "home"


@pytest.fixture
def toys(home):
    return card("toy-a", CARD), card("toy-b", CARD)


def order(*devices: Device, count: int = 3) -> FleetOrder:
    return FleetOrder(devices, Wanted(None, count, ("conv",)), QUICK, str(default_store()), 0)


def launches(device: Device) -> int:
    with open_store(default_store()) as store:
        return sum(store.launch_counts(Condition.of(device).of_models).values())


def test_devices_are_told_apart_by_the_machine_that_they_are(toys):
    boards = [card("pi-a", BOARD), card("pi-b", BOARD)]
    other = card("pi-c", BOARD.replace("nowhere", "elsewhere"))
    phones = [card("phone-a", PHONE), card("phone-b", PHONE)]
    local = find_device("local-ort")
    found = lanes([boards[0], toys[0], phones[0], other, boards[1], local, phones[1], toys[1]])
    assert list(found.values()) == [
        tuple(boards),
        (toys[0], local, toys[1]),
        tuple(phones),
        (other,),
    ]


def test_one_that_is_out_of_reach_is_set_aside_and_the_others_go_on_one_after_another(toys):
    away = card("pi", BOARD)
    found = list(measure_fleet(order(toys[0], away, toys[1])))
    done = {item.device: item for item in found if isinstance(item, Done)}
    assert (done["pi"].is_set_aside, done["pi"].launches) == (True, 0)
    assert isinstance(done["pi"].error, UnavailableError)
    for toy in toys:
        assert done[toy.id].error is None
        assert (done[toy.id].operators, done[toy.id].failures) == (3, 0)
        assert done[toy.id].launches == launches(toy) >= 3
    here = [item.device for item in found if isinstance(item, Step) and item.total]
    assert Counter(here).keys() == {toy.id for toy in toys}
    assert here == sorted(here)
    noted = set_aside("pi")
    assert noted is not None
    assert noted.reason == str(done["pi"].error)
    assert set_aside("toy-a") is None


@pytest.mark.parametrize("others", [None, 0])
def test_this_machine_waits_until_the_last_device_of_another_one_has_its_artefacts(
    toys, monkeypatch, others
):
    """Building them for a second card of a phone would disturb what is timed here meanwhile."""
    steps = (Stage.BUILD, Stage.BUILD, Stage.MEASURE)
    built = Semaphore(0)

    def measured(order, device):
        yield from (Step(device.id, stage, 1, 3) for stage in steps)
        yield Done(device.id, 0, 0, 0, "store", None)

    monkeypatch.setattr(fleet, "_measured", measured)
    monkeypatch.setattr(signal, "signal", lambda *_: None)
    released = []
    for found in fleet._lane(order(*toys), toys, built, others):
        is_first = built.acquire(blocking=False)
        released.append((found.device, getattr(found, "stage", "done")) if is_first else None)
    assert [one for one in released if one] == (
        [("toy-b", Stage.MEASURE)] if others is None else []
    )


def test_what_is_known_is_not_measured_again_and_clears_the_note(toys):
    note = elat_home() / "set-aside" / "toy-a.json"
    note.parent.mkdir()
    note.write_text('{"schema": 1, "since_utc": "then", "error": "E", "reason": "it was off"}')
    # In this process, as a lane does it in one of its own.
    first, again = (list(_measured(order(*toys), toys[0]))[-1] for _ in range(2))
    assert not note.exists()
    assert isinstance(first, Done)
    assert isinstance(again, Done)
    assert first.launches > again.launches == 0
    assert again.operators == 3


def test_a_store_that_cannot_be_used_ends_the_campaign_and_sets_nobody_aside(toys):
    default_store().write_text("no store")
    with pytest.raises(ArtefactError, match="no readable measurement store"):
        list(measure_fleet(order(*toys)))
    assert set_aside("toy-a") is None


def test_a_card_that_is_wrong_ends_nobody_elses_campaign(toys):
    wrong = card("toy-c", CARD.replace("call_us", "no_such"))
    found = list(measure_fleet(order(wrong, toys[0])))
    done = {item.device: item for item in found if isinstance(item, Done)}
    assert isinstance(done["toy-c"].error, ConfigError)
    assert done["toy-c"].is_set_aside
    assert done["toy-a"].error is None


def test_an_operator_that_no_latency_is_known_of_sets_nobody_aside():
    error = MissingLatencyError("one is missing")
    assert not Done("toy", 1, 1, 0, "store", error).is_set_aside


# What a shell starts in the background ignores interrupts, and so would all that tests start.
START = """import signal
from elat.cli import main
if __name__ == '__main__':
    signal.signal(signal.SIGINT, signal.default_int_handler)
    main()
"""


@pytest.mark.parametrize(
    "sent", [signal.SIGINT, pytest.param(signal.SIGKILL, marks=pytest.mark.slow)]
)
def test_an_interrupt_ends_all_of_them_and_loses_nothing_that_is_stored(toys, tmp_path, sent):
    """An interrupt at the keyboard reaches the whole group."""
    script = tmp_path / "main.py"
    script.write_text(START)
    words = [*("measure", "--device", "toy-a,toy-b", "--generate", "40", "--kinds", "conv")]
    elat = subprocess.Popen(
        [sys.executable, "-P", str(script), *words, "--protocol", "reference"],
        env={**os.environ, "OMP_NUM_THREADS": "1"},
        stderr=subprocess.PIPE,
        stdout=subprocess.DEVNULL,
        start_new_session=True,
    )
    wait_until(lambda: default_store().exists() and launches(toys[0]) > 0)
    children = children_of(elat.pid)
    assert children
    if sent == signal.SIGINT:
        os.killpg(elat.pid, sent)
    else:
        elat.send_signal(sent)
    assert b"Traceback" not in elat.communicate(timeout=60)[1]
    assert elat.returncode == (130 if sent == signal.SIGINT else -sent)
    wait_until(lambda: not any(Path(f"/proc/{pid}").exists() for pid in children))
    assert launches(toys[0]) > 0


def children_of(pid: int) -> list[int]:
    return [int(c) for c in Path(f"/proc/{pid}/task/{pid}/children").read_text().split()]


def wait_until(is_so: Callable[[], bool]) -> None:
    for _ in range(600):
        if is_so():
            return
        time.sleep(0.1)
    raise AssertionError("it never was so")
