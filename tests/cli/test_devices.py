"""`elat devices`: the catalogue, cards by asking this machine, programs fetched."""

from __future__ import annotations

import hashlib

import pytest
import yaml

from elat.devices.catalogue import known_machines
from elat.devices.device import card_paths, find_device
from elat.devices.programs import program_file

from ..devices.program_server import BYTES, SHA256, running_server


@pytest.fixture
def no_phones(monkeypatch):
    monkeypatch.setattr("elat.flows.adding.attached_phones", dict)


def test_the_catalogue_is_listed_apart_from_the_devices(elat, empty_home):
    found = elat("devices", "known", "--json").json
    assert [machine["id"] for machine in found] == list(known_machines())
    assert not {machine["id"] for machine in found} & set(card_paths())
    table = elat("devices", "known")
    assert table.code == 0
    assert "raspberry-pi-5" in table.out


def test_one_machine_is_told_with_its_sources(elat):
    said = elat("devices", "known", "galaxy-s21-exynos")
    assert "Samsung Exynos 2100" in said.out
    assert "https://mobigyaan.com" in said.out
    assert "Snapdragon 888" in said.err
    assert elat("devices", "known", "pixel-88").error.startswith("Unknown machine 'pixel-88'.")


def test_this_machine_gets_a_card_that_works(elat, empty_home):
    said = elat("devices", "add", "--local", "--id", "mine", "--json")
    assert said.code == 0, said.err
    assert said.json["path"] == str(empty_home / "devices" / "mine.yaml")
    assert (said.json["runtime"], said.json["lacks"]) == ("onnxruntime", [])
    assert {row["id"]: row["reason"] for row in elat("devices", "--json").json}["mine"] is None
    device = find_device("mine")
    assert device.machine is not None
    assert device.machine.told["machine"]


def test_the_card_says_what_is_next(elat, empty_home):
    said = elat("devices", "add", "--local", "--id", "mine", "--runtime", "tflite")
    assert said.out == f"{empty_home / 'devices' / 'mine.yaml'}\n"
    assert "next: elat doctor mine" in said.err
    assert find_device("mine").runtime["name"] == "tflite"


def test_a_card_is_written_anew_only_where_that_is_asked(elat, empty_home):
    words = ("devices", "add", "--local", "--id", "mine")
    assert elat(*words).code == 0
    again = elat(*words)
    assert again.code == 2
    assert "--replace" in again.error
    assert elat(*words, "--replace", "--runtime", "tflite").code == 0
    assert find_device("mine").runtime["name"] == "tflite"


def test_what_the_user_knows_is_taken_where_the_machine_does_not_say(elat, empty_home):
    words = ("devices", "add", "--local", "--id", "mine", "--known", "epyc-7763")
    said = elat(*words, "--json")
    if said.code == 0:
        assert said.json["known"] == ["epyc-7763"]
    else:
        assert "the machine says that it is" in said.error


@pytest.mark.parametrize(
    ("words", "says"),
    [
        (("--local", "--adb", "x"), "Name one way to the machine"),
        (("--local", "--id", "../x"), "id: String should match"),
        (("--local", "--id", "local-ort"), "comes with elat"),
        (("--local", "--known", "pixel"), "Unknown machine 'pixel'"),
        (("--local", "--runtime", "onnx"), "Unknown runtime 'onnx'"),
        (("--local", "--program", "/nowhere/x"), "is no file of this machine"),
        (("--local", "--program", "https://example.org/x"), "needs --sha256"),
        (("--ssh", "a@b@c"), "is no address such as"),
        (("--ssh", "-oProxyCommand=x"), "ssh.host: String should match"),
        (("--ssh", "pi", "--python", "-c"), "ssh.python: String should match"),
        (("--adb", "a b"), "transport.serial: String should match"),
    ],
)
def test_what_cannot_be_added_leaves_no_card(elat, empty_home, words, says):
    said = elat("devices", "add", *words)
    assert said.code == 2
    assert says in said.error
    assert not (empty_home / "devices").exists()


def test_without_a_phone_the_ways_are_named(elat, empty_home, no_phones):
    said = elat("devices", "add")
    assert said.code == 3
    assert "--ssh USER@HOST, or --local" in said.error


def test_a_program_is_named_with_its_hash(elat, empty_home, tmp_path):
    program = tmp_path / "benchmark_model"
    program.write_bytes(BYTES)
    words = ("devices", "add", "--local", "--id", "mine", "--program", program)
    assert elat(*words, "--sha256", "0" * 64).code == 2
    assert elat(*words, "--runtime", "benchmark-model", "--program-version", "2.17").code == 0
    device = find_device("mine")
    assert device.program is not None
    assert (device.program.sha256, device.program.version) == (SHA256, "2.17")
    assert program_file(device) == program


def card(home, address: str, sha256: str) -> None:
    data = {
        "schema": 1,
        "id": "mine",
        "kind": "local_cpu",
        "runtime": {"name": "tflite"},
        "program": {"url": address, "sha256": sha256},
    }
    (home / "devices").mkdir(parents=True, exist_ok=True)
    (home / "devices" / "mine.yaml").write_text(yaml.safe_dump(data))


def test_a_program_is_fetched_where_its_hash_is_right(elat, empty_home, monkeypatch):
    monkeypatch.setenv("no_proxy", "*")
    with running_server() as address:
        card(empty_home, f"{address}/program", "0" * 64)
        wrong = elat("devices", "fetch", "mine")
        assert wrong.code == 7
        assert not list((empty_home / "programs").iterdir())
        card(empty_home, f"{address}/program", SHA256)
        said = elat("devices", "fetch", "mine")
    assert said.code == 0, said.err
    assert f"fetching {address}/program" in said.err
    assert said.out == f"{empty_home / 'programs' / SHA256}\n"
    fetched = program_file(find_device("mine"))
    assert hashlib.sha256(fetched.read_bytes()).hexdigest() == SHA256


def test_a_phone_is_listed_with_what_its_program_lacks(elat, empty_home, tmp_path):
    program = tmp_path / "benchmark_model"
    data = {
        "schema": 1,
        "id": "phone",
        "kind": "android_adb",
        "runtime": {"name": "benchmark_model"},
        "transport": {"serial": "0A1B2C"},
        "program": {"path": str(program)},
    }
    (empty_home / "devices").mkdir(parents=True)
    (empty_home / "devices" / "phone.yaml").write_text(yaml.safe_dump(data))
    found = {row["id"]: row["reason"] for row in elat("devices", "--json").json}
    assert "is no file of this machine" in found["phone"]
    program.write_bytes(BYTES)
    found = {row["id"]: row["reason"] for row in elat("devices", "--json").json}
    assert found["phone"] is None
    assert "over adb: ask elat doctor" in elat("devices").out


def test_a_card_without_an_address_has_nothing_to_fetch(elat, empty_home, tmp_path):
    assert "names no program" in elat("devices", "fetch", "local-ort").error
    program = tmp_path / "benchmark_model"
    program.write_bytes(BYTES)
    elat("devices", "add", "--local", "--id", "mine", "--program", program)
    assert "nothing to fetch" in elat("devices", "fetch", "mine").error
