"""Device cards: the bundled ones, one's own, and everything that can be wrong with them."""

from __future__ import annotations

import json

import pytest

from elat.core.errors import ArtefactError, ConfigError, UnknownNameError
from elat.devices.device import (
    DeviceKind,
    Gpu,
    Meter,
    Power,
    card_of,
    card_paths,
    card_there,
    device_of,
    find_device,
    read_card,
)

CARD = """schema: 1
id: board
kind: local_cpu
runtime: {name: onnxruntime}
cpu: {affinity: [1, 2]}
gates: {temperature_max_c: 60}
"""


@pytest.fixture
def home(tmp_path, monkeypatch):
    monkeypatch.setenv("ELAT_HOME", str(tmp_path))
    return tmp_path


def write(folder, text, name="board.yaml"):
    folder.mkdir(exist_ok=True)
    path = folder / name
    path.write_text(text)
    return path


def test_every_bundled_card_is_read_and_named_as_its_file(home):
    bundled = {"local-ort", "local-tflite", "local-ort-int8", "local-tflite-int8"}
    assert bundled <= card_paths().keys()
    for name in card_paths():
        assert find_device(name).id == name


def test_a_card_is_read_from_its_file(tmp_path):
    device = find_device(str(write(tmp_path, CARD)))
    assert (device.id, device.kind, device.affinity) == ("board", DeviceKind.LOCAL_CPU, (1, 2))
    assert device.gates.temperature_max_c == 60
    assert device.gates.load_per_core_max is None
    assert hash(device) == hash(read_card(tmp_path / "board.yaml"))


def test_a_card_in_the_home_folder_is_known_by_name(home):
    write(home / "devices", CARD)
    assert find_device("board").id == "board"


def test_an_unknown_device_names_the_nearest(home):
    with pytest.raises(UnknownNameError, match="'local-ort'"):
        find_device("local-orr")


@pytest.mark.parametrize(
    "text",
    [
        CARD + "colour: red\n",
        CARD.replace("local_cpu", "toaster"),
        CARD.replace("id: board\n", ""),
        CARD.replace("id: board", "id: My Board"),
        CARD.replace("60", "hot"),
        "",
    ],
)
def test_a_wrong_card_is_refused_by_name(tmp_path, text):
    path = write(tmp_path, text)
    with pytest.raises(ConfigError, match=r"board\.yaml"):
        read_card(path)


def test_a_truncated_card_is_refused(tmp_path):
    with pytest.raises(ArtefactError, match="cut short"):
        read_card(write(tmp_path, CARD[: CARD.index("}")]))
    with pytest.raises(ArtefactError, match="does not exist"):
        read_card(tmp_path / "nowhere.yaml")


def test_a_card_may_name_a_gpu_a_meter_and_turbo(tmp_path):
    text = CARD + (
        "gpu: {index: 1, lock_clocks: base, persistence: true}\n"
        "power: {meter: hwmon, rails: [VDD_CPU]}\n"
    )
    device = read_card(write(tmp_path, text.replace("affinity: [1, 2]", "turbo: off")))
    assert device.gpu == Gpu(index=1, lock_clocks="base", persistence=True)
    assert device.power == Power(meter=Meter.HWMON, rails=("VDD_CPU",))
    assert device.turbo is False
    assert hash(device)


@pytest.mark.parametrize(
    "text",
    [
        CARD + "gpu: {lock_clocks: fast}\n",
        CARD + "gpu: {lock_clocks: 0}\n",
        CARD + "power: {meter: hwmon}\n",
        CARD + "power: {meter: rapl, rails: [VDD_CPU]}\n",
        CARD + "transport: {serial: emulator-5554}\n",
        CARD.replace("local_cpu", "android_adb"),
        CARD.replace("local_cpu", "android_adb") + "transport: {serial: --help}\n",
    ],
)
def test_sections_that_contradict_each_other_are_refused(tmp_path, text):
    with pytest.raises(ConfigError, match=r"board\.yaml"):
        read_card(write(tmp_path, text))


def test_a_phone_has_a_serial(tmp_path):
    text = CARD.replace("local_cpu", "android_adb") + "transport: {serial: emulator-5554}\n"
    assert read_card(write(tmp_path, text)).serial == "emulator-5554"


def test_a_board_says_how_ssh_reaches_it(tmp_path):
    text = CARD.replace("local_cpu", "ssh") + "ssh: {host: pi, user: ada, port: 2222}\n"
    board = read_card(write(tmp_path, text))
    assert board.ssh is not None
    assert board.ssh.address == "ssh://ada@pi:2222"
    assert (board.ssh.folder, board.ssh.python) == (".cache/elat", "python3")
    assert not board.is_here
    assert board.elsewhere_reason is None


@pytest.mark.parametrize(
    "section",
    [
        "",
        "ssh: {}\n",
        "ssh: {host: -oProxyCommand=x}\n",
        "ssh: {host: 'a b'}\n",
        'ssh: {host: "pi\\n"}\n',
        "ssh: {host: pi, user: -l}\n",
        "ssh: {host: pi, port: 0}\n",
        "ssh: {host: pi, identity: '%d/key'}\n",
        "ssh: {host: pi, identity: -x}\n",
        "ssh: {host: pi, python: ~/bin/python}\n",
        "ssh: {host: pi, python: -c}\n",
        "ssh: {host: pi, surplus: 1}\n",
    ],
)
def test_a_board_that_ssh_cannot_be_given_is_refused(tmp_path, section):
    with pytest.raises(ConfigError, match=r"board\.yaml"):
        read_card(write(tmp_path, CARD.replace("local_cpu", "ssh") + section))


def test_a_machine_elsewhere_knows_itself_by_the_same_card(tmp_path):
    text = CARD.replace("local_cpu", "ssh").replace("[1, 2]", "[1, 2], turbo: off")
    text += "ssh: {host: pi}\npower: {meter: hwmon, rails: [VDD_CPU]}\n"
    board = read_card(write(tmp_path, text))
    there = device_of(json.loads(json.dumps(card_there(board))), "there")
    assert there.kind is DeviceKind.LOCAL_CPU
    assert (there.id, there.runtime, there.gates) == (board.id, board.runtime, board.gates)
    assert (there.affinity, there.turbo, there.power) == ((1, 2), False, board.power)


def test_a_card_reads_back_as_it_was(tmp_path):
    phone = CARD.replace("local_cpu", "android_adb") + (
        "transport: {serial: 0A1B2C, folder: /data/local/tmp/x}\n"
        "program: {path: /opt/benchmark_model, version: '2.17'}\n"
    )
    board = CARD.replace("local_cpu", "ssh") + "ssh: {host: pi, user: ada}\n"
    for text in (CARD, phone, board):
        device = read_card(write(tmp_path, text))
        assert device_of(json.loads(json.dumps(card_of(device))), "again") == device


@pytest.mark.parametrize(
    "program",
    [
        "{}",
        "{path: a, url: 'https://example.org/a', sha256: " + "0" * 64 + "}",
        "{url: 'https://example.org/a'}",
        "{url: 'file:///etc/passwd', sha256: " + "0" * 64 + "}",
        "{path: a, sha256: abc}",
        "{path: a, version: 'a b'}",
    ],
)
def test_a_program_that_is_not_said_clearly_is_refused(tmp_path, program):
    with pytest.raises(ConfigError, match="program"):
        read_card(write(tmp_path, CARD + f"program: {program}\n"))
