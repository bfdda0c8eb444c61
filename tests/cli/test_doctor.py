"""`elat doctor`, `--tune` and `--energy` on the command line."""

from __future__ import annotations

from functools import partial
from pathlib import Path

import pytest

from elat.devices import tuning
from elat.devices.journal import Change, begin_journal, journal_path
from elat.devices.tuning import restore, tuned
from elat.latency.protocol import PROTOCOLS

from .conftest import HASTY

GOVERNOR = "sys/devices/system/cpu/cpufreq/policy0/scaling_governor"
PRETEND = "{schema: 1, id: pretend, kind: KIND, runtime: {name: simulated, method: block}}"


@pytest.fixture
def root(tmp_path, monkeypatch):
    """A pretended machine with a governor, in place of this one for all that tunes."""
    path = tmp_path / "root" / GOVERNOR
    path.parent.mkdir(parents=True)
    path.write_text("powersave\n")
    # Workers look at this machine, and heed a journal of this start of it alone.
    if (real := Path("/proc/sys/kernel/random/boot_id")).exists():
        copy = tmp_path / "root/proc/sys/kernel/random/boot_id"
        copy.parent.mkdir(parents=True)
        copy.write_text(real.read_text())
    monkeypatch.setattr(tuning, "tuned", partial(tuned, root=tmp_path / "root"))
    monkeypatch.setattr(tuning, "restore", partial(restore, root=tmp_path / "root"))
    return tmp_path / "root"


@pytest.fixture
def card(tmp_path, empty_home, monkeypatch):
    """A device that is this machine's CPU, timed by a runtime that takes no time."""
    monkeypatch.setitem(PROTOCOLS, "screen", HASTY)
    path = tmp_path / "pretend.yaml"
    path.write_text(PRETEND.replace("KIND", "local_cpu"))
    return path


def test_every_check_says_whether_it_knows(elat, empty_home):
    said = elat("doctor", "local-ort", "--json")
    assert {frozenset(check) for check in said.json} == {
        frozenset(("name", "status", "found", "repair", "known"))
    }
    names = {check["name"] for check in said.json}
    assert {"denormals", "runtime spinning", "turbo", "energy", "left tuned"} <= names
    assert all(check["status"] == "pass" for check in said.json if not check["known"])


def test_what_a_killed_run_left_is_put_back_on_request(elat, empty_home, root, monkeypatch):
    assert "no run left anything" in elat("doctor", "local-ort", "--restore").err
    (root / GOVERNOR).write_text("performance\n")
    begin_journal("local-ort", [Change(GOVERNOR, "powersave", "performance")], root)
    monkeypatch.setattr("elat.devices.journal.Journal.is_alive", False)
    assert "put back to powersave" in elat("doctor", "local-ort", "--restore").err
    assert (root / GOVERNOR).read_text() == "powersave\n"


def test_clocks_are_tuned_while_measuring_and_launches_say_so(elat, card, root):
    from elat.latency.store import open_store

    where = ("measure", "--device", card, "--generate", 2, "--store", card.parent / "m.db")
    said = elat(*where, "--tune", "--json")
    assert said.code == 0, said.err
    assert f"tuned: {GOVERNOR}: powersave -> performance" in said.err
    assert (root / GOVERNOR).read_text() == "powersave\n"
    assert not journal_path().exists()
    with open_store(str(card.parent / "m.db")) as store:
        (condition,) = store.conditions()
        found = store.measurements(condition)
    assert found
    assert all(m.state_before.get("tuned") == [f"{GOVERNOR} = performance"] for m in found)


def test_a_machine_that_cannot_be_tuned_is_not_measured(elat, card, root):
    (root / GOVERNOR).unlink()
    said = elat("measure", "--device", card, "--generate", 2, "--tune")
    assert said.code == 3
    assert "Measure without --tune" in said.error


def test_no_meter_is_said_once_and_nothing_is_guessed(elat, card, empty_home):
    card.write_text(PRETEND.replace("KIND", "simulated"))
    said = elat("measure", "--device", card, "--generate", 2, "--energy", "--json")
    assert said.code == 0, said.err
    assert said.err.count("exposes no energy") == 1
    assert said.json["energy"] == []


def test_a_meter_that_the_card_names_and_that_is_not_here_is_refused(elat, card):
    text = card.read_text().rstrip("}") + "}, power: {meter: hwmon, rails: [VDD_NOWHERE]}}"
    card.write_text(text)
    said = elat("measure", "--device", card, "--generate", 2, "--energy")
    assert said.code == 3
    assert "VDD_NOWHERE" in said.error


def test_a_phone_is_examined_and_not_measured(elat, card, monkeypatch):
    phone = PRETEND.replace("KIND", "android_adb").rstrip("}") + "}, transport: {serial: x}}"
    card.write_text(phone)
    said = elat("measure", "--device", card, "--generate", 2)
    assert said.code == 3
    assert "is a phone" in said.error
    home = card.parent / "home/devices"
    home.mkdir(parents=True)
    (home / "pretend.yaml").write_text(phone)
    reasons = {row["id"]: row["reason"] for row in elat("devices", "--json").json}
    assert "is a phone" in reasons["pretend"]
    monkeypatch.setenv("PATH", str(card.parent / "nothing"))
    said = elat("doctor", card)
    assert said.code == 3
    assert "adb is not installed" in said.out
