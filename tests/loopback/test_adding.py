"""Cards written by asking a board over a real sshd, and a phone over the real adb."""

from __future__ import annotations

import os
import sys

import pytest
from typer.testing import CliRunner

from elat.cli.app import app
from elat.devices.checks.check import Check
from elat.devices.device import find_device
from elat.flows.inventory import examine_device

from . import phone, sshd
from .stand_ins import install_stand_in, missing_reason

# What the real tool prints; everything else of the phone is this machine.
GETPROP = """#!/bin/sh
case $1 in
    ro.product.model) printf '%s\\n' {model} ;;
    ro.product.device) echo {device} ;;
    ro.build.version.release) echo 14 ;;
    ro.soc.model) echo 'Tensor G3' ;;
esac
"""


@pytest.fixture(autouse=True)
def home(tmp_path, monkeypatch):
    monkeypatch.setenv("ELAT_HOME", str(tmp_path / "home"))
    return tmp_path / "home"


def elat(*words: object) -> tuple[int, str]:
    result = CliRunner().invoke(app, [str(word) for word in words])
    said = result.output + (f"{result.exception}" if result.exception else "")
    return result.exit_code, said


def add_board(server, folder, *words: object) -> tuple[int, str]:
    server.cable.plug_in()
    return elat(
        "devices", "add", "--ssh", sshd.HOST, "--ssh-config", server.config,
        "--identity", server.folder / "user", "--folder", folder, "--python", sys.executable,
        *words,
    )  # fmt: skip


def test_a_board_is_asked_and_its_card_passes_the_doctor(ssh_server, tmp_path):
    code, said = add_board(ssh_server, tmp_path / "work", "--id", "loop")
    assert code == 0, said
    device = find_device("loop")
    assert device.ssh is not None
    assert device.ssh.python == sys.executable
    assert device.runtime["name"] == "onnxruntime"
    assert device.machine is not None
    assert device.machine.told["cpus"] == os.cpu_count()
    checks: dict[str, Check] = {check.name: check for check in examine_device(device)}
    assert checks["board"].status == "pass"
    assert checks["runtime onnxruntime"].status == "pass"


def test_a_board_without_such_a_python_gets_a_card_that_says_so(ssh_server, tmp_path):
    code, said = add_board(ssh_server, tmp_path / "work", "--python", "no-such-python")
    assert code == 0, said
    assert "has no Python of that name" in said


def test_a_board_that_lets_nobody_in_gets_no_card(ssh_server, tmp_path, home):
    words = ("devices", "add", "--ssh", sshd.STRANGER, "--ssh-config", ssh_server.config)
    code, said = elat(*words)
    assert code != 0
    assert "ssh-copy-id" in said
    assert not (home / "devices").exists()


def write_getprop(folder, model: str, device: str = "shiba") -> None:
    program = folder / "getprop"
    program.write_text(GETPROP.format(model=model, device=device))
    program.chmod(0o755)


def test_the_only_phone_is_asked_without_its_serial(loop_phone, tmp_path):
    write_getprop(loop_phone.programs, "'Pixel 8'")
    code, said = elat("devices", "add", "--folder", loop_phone.root / "work")
    assert code == 0, said
    device = find_device("pixel-8")
    assert (device.serial, device.runtime["name"]) == (loop_phone.serial, "benchmark_model")
    assert device.machine is not None
    assert device.machine.known == ("pixel-8",)
    assert device.machine.told["android"] == "14"
    assert "--program FILE" in said


@pytest.mark.slow
def test_a_phone_is_measured_by_the_card_that_was_written(loop_phone, tmp_path):
    if reason := missing_reason():
        pytest.skip(reason)
    write_getprop(loop_phone.programs, "'Pixel 8'")
    program = install_stand_in(tmp_path / "benchmark_model")
    folder = loop_phone.root / "work"
    code, said = elat("devices", "add", "--folder", folder, "--program", program)
    assert code == 0, said
    assert "before it can be measured" not in said
    words = ("--device", "pixel-8", "--generate", 1, "--kinds", "conv", "--protocol", "screen")
    code, said = elat("measure", *words)
    assert code == 0, said
    assert "are known on pixel-8" in said


def test_several_phones_are_listed(adb_server, loop_phone, tmp_path):
    with phone.connected_phone(adb_server, tmp_path / "second") as second:
        code, said = elat("devices", "add")
        assert code != 0
        assert "2 of the phones can be asked" in said
        assert loop_phone.serial in said
        assert second.serial in said


def test_a_phone_that_lets_nobody_in_is_no_choice(adb_server, loop_phone, home):
    loop_phone.faults.is_unauthorised = True
    adb_server.connect(loop_phone)
    code, said = elat("devices", "add")
    assert code != 0
    assert f"None of the phones can be asked, of these: {loop_phone.serial} (" in said
    assert not (home / "devices").exists()


@pytest.mark.parametrize(
    "model",
    ["'$(touch hacked)'", "'`touch hacked`'", "'../../x'", "'a: b\n- !!python/name:os.system'",
     "'\"; touch hacked; \"'"],
)  # fmt: skip
def test_a_hostile_phone_gets_a_plain_card_and_nothing_more(loop_phone, home, model):
    write_getprop(loop_phone.programs, model, "x")
    code, said = elat("devices", "add", "--adb", loop_phone.serial, "--folder",
                      loop_phone.root / "work")  # fmt: skip
    assert code == 0, said
    (card,) = (home / "devices").iterdir()
    device = find_device(card.stem)
    assert device.machine is not None
    assert device.machine.told["model"] in model
    assert not list(loop_phone.root.parent.rglob("hacked"))
