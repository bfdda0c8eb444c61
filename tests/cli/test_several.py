"""`elat measure` on several devices: what is printed, exit codes, and what is kept of it."""

from __future__ import annotations

import pytest

CARD = """schema: 1
id: NAME
kind: simulated
runtime: {name: simulated, method: block}
"""
BOARD = """schema: 1
id: pi
kind: ssh
runtime: {name: onnxruntime, method: block}
ssh: {host: nowhere.invalid}
"""


@pytest.fixture
def cards(empty_home):
    folder = empty_home / "devices"
    folder.mkdir(parents=True)
    for name in ("toy-a", "toy-b"):
        (folder / f"{name}.yaml").write_text(CARD.replace("NAME", name))
    (folder / "pi.yaml").write_text(BOARD)
    return folder


def test_one_that_is_set_aside_is_named_with_its_reason_and_the_exit_code_says_so(elat, cards):
    few = ("--generate", 2, "--kinds", "conv")
    said = elat("measure", "--device", "toy-a,pi", *few, "--json")
    assert said.code == 3
    assert "1 of 2 devices were set aside: pi" in said.error
    toy, pi = said.json["devices"]
    assert (toy["device"], toy["state"], toy["operators"]) == ("toy-a", "done", 2)
    assert toy["new_launches"] >= 2
    assert (pi["device"], pi["state"], pi["new_launches"]) == ("pi", "set aside", 0)
    assert pi["reason"]
    assert pi["repair"] == "elat doctor pi"
    listed = {d["id"]: d["set_aside"] for d in elat("devices", "--json").json}
    assert listed["pi"]["reason"] == pi["reason"]
    assert listed["toy-a"] is None
    assert "set aside since" in elat("devices").out
    checks = elat("doctor", "pi", "--json").json
    assert [c["status"] for c in checks if c["name"] == "set aside"] == ["warn"]


def test_one_that_is_set_aside_keeps_nobody_from_telling_energies(elat, cards):
    devices = ("--device", "toy-a,pi", "--energy")
    said = elat("measure", *devices, "--generate", 2, "--kinds", "conv", "--json")
    assert said.code == 3
    assert [(d["state"], d["energy"]) for d in said.json["devices"]] == [
        ("done", []),
        ("set aside", []),
    ]


def test_where_all_finish_a_table_says_what_each_did(elat, cards):
    few = ("--generate", 2, "--kinds", "conv")
    said = elat("measure", "--device", "toy-a", "--device", "toy-b", *few)
    assert said.code == 0
    assert [line.split()[:2] for line in said.out.splitlines()[1:]] == [
        ["toy-a", "2"],
        ["toy-b", "2"],
    ]


@pytest.mark.parametrize(
    ("options", "said"),
    [
        (("--space", "proxyless-tiny", "--for", "1m"), "--for works on one device at a time"),
        (("--generate", 2, "--tune"), "--tune works on one device"),
        (("--generate", 2, "--device", "nobody"), "Unknown device 'nobody'"),
        (("--space", "nowhere"), "nowhere"),
    ],
)
def test_what_cannot_be_done_on_several_is_refused_before_anything_is_measured(
    elat, cards, options, said
):
    found = elat("measure", "--device", "toy-a,toy-b", *options)
    assert found.code == 2
    assert said in found.error


def test_two_cards_of_one_id_are_refused(elat, cards, tmp_path):
    (tmp_path / "copy.yaml").write_text(CARD.replace("NAME", "toy-a"))
    found = elat("measure", "--device", f"toy-a,{tmp_path / 'copy.yaml'}", "--generate", 2)
    assert found.code == 2
    assert "one id" in found.error


def test_no_device_is_refused(elat, cards):
    assert "names no device" in elat("measure", "--device", ",", "--generate", 2).error
