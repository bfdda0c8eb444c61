"""Cards of machines: what is written, that it reads back, and that nothing else is written."""

from __future__ import annotations

import tempfile
from pathlib import Path

import pytest
import yaml
from hypothesis import given, settings
from hypothesis import strategies as st

from elat.core.errors import ConfigError, UnknownNameError
from elat.devices.asking import Answers, Gpu, Python, answers_of
from elat.devices.card_file import card_text, new_card_path, write_card
from elat.devices.card_making import Way, card_for, id_of, is_there, lacks, section_of, usual_id
from elat.devices.catalogue import known_machines, known_sections
from elat.devices.device import device_of, read_card
from elat.devices.recognising import recognise

from .test_asking import PIXEL_8

MACHINES = known_machines()
PHONE = Way({"kind": "android_adb", "transport": {"serial": "0A1B2C"}}, "phone 0A1B2C")
BOARD = Way({"kind": "ssh", "ssh": {"host": "pi", "user": "ada", "port": 22}}, "pi")
HERE = Way({"kind": "local_cpu"}, "this machine")
MODULES = frozenset({"numpy", "pydantic", "yaml"})


def python(*modules: str, version: tuple[int, int] = (3, 12)) -> Python:
    return Python(version, MODULES | frozenset(modules))


def made(way: Way, answers: Answers, wanted: str | None = None):
    known = recognise(answers, MACHINES.values())
    name, section = section_of(way, known, answers, wanted)
    card = card_for(usual_id(way, known, answers, section), way, known, answers, section)
    return name, device_of(yaml.safe_load(card_text(card)), "card")


def test_a_phone_is_measured_by_its_program_on_its_fastest_cores():
    program = {"path": "/opt/benchmark_model", "sha256": "0" * 64}
    name, device = made(Way(PHONE.card, PHONE.name, program), answers_of(PIXEL_8))
    assert (device.id, name, device.serial) == ("pixel-8", "benchmark-model", "0A1B2C")
    assert device.runtime["options"] == {"delegate": "xnnpack"}
    assert device.affinity == (8,)
    assert device.program is not None
    assert device.program.sha256 == "0" * 64
    assert device.machine is not None
    assert device.machine.known == ("pixel-8",)
    assert device.machine.told["android"] == "14"
    facts = {fact.name: fact for fact in device.machine.facts}
    assert facts["released"].value == "2023-10"
    assert facts["released"].url.endswith("shiba.yml")


def test_a_board_is_measured_by_the_first_runtime_that_it_has():
    sections = {"board": "Raspberry Pi 5 Model B Rev 1.0", "machine": "aarch64"}
    name, device = made(BOARD, answers_of(sections, python("ai_edge_litert")))
    assert (name, device.id, device.affinity) == ("tflite", "raspberry-pi-5", None)
    assert device.ssh is not None
    assert device.ssh.address == "ssh://ada@pi:22"
    name, _ = made(BOARD, answers_of(sections, python()))
    assert name == "onnxruntime"
    name, _ = made(BOARD, answers_of(sections, python("onnxruntime")), "tflite")
    assert name == "tflite"


def test_a_gpu_is_measured_where_tensorrt_is_there():
    gpu = (Gpu("GeForce RTX 4090", 24564 << 20),)
    there = Answers({"machine": "x86_64"}, gpus=gpu, python=python("tensorrt", "onnxruntime"))
    name, device = made(BOARD, there)
    assert (name, device.id) == ("tensorrt", "rtx-4090")
    assert device.gpu is not None
    _, here = made(HERE, there)
    assert str(here.kind) == "local_gpu"
    server = Answers(
        {"machine": "x86_64"}, cpu="AMD EPYC 7763 64-Core Processor", gpus=gpu,
        python=python("tensorrt"),
    )  # fmt: skip
    name, device = made(BOARD, server)
    assert (name, device.id) == ("tensorrt", "rtx-4090")
    assert device.machine is not None
    assert device.machine.known == ("epyc-7763", "rtx-4090")
    assert made(BOARD, server, "tflite")[1].id == "epyc-7763"
    missing = Answers({"machine": "x86_64"}, gpus=gpu, python=python("onnxruntime"))
    name, device = made(BOARD, missing)
    assert (name, device.gpu) == ("onnxruntime", None)
    by_tool = Answers({}, gpus=gpu, tools=frozenset({"trtexec"}), python=python("onnxruntime"))
    assert made(BOARD, by_tool)[0] == "trtexec"


def test_a_board_without_python_is_measured_by_its_trtexec():
    bare = Way({"kind": "ssh", "ssh": {"host": "orin", "python": "none"}}, "orin")
    sections = {"board": "NVIDIA Jetson Orin Nano Developer Kit", "machine": "aarch64"}
    there = answers_of({**sections, "trtexec": "/usr/src/tensorrt/bin/trtexec"})
    name, device = made(bare, there)
    assert (name, device.runtime["name"]) == ("trtexec", "trtexec")
    assert device.ssh is not None
    assert not device.ssh.has_python
    assert sentences(bare, there, "trtexec") == ""
    assert "tflite needs a Python" in sentences(bare, there, "tflite")
    assert "trtexec, which orin has not" in sentences(bare, answers_of(sections), "trtexec")
    # With a Python of that name alone, the board lacks one.
    assert "no Python of that name" in sentences(BOARD, there, "trtexec")


def test_a_machine_that_nobody_knows_gets_a_card_without_facts():
    name, device = made(PHONE, answers_of({"ro.product.model": "Fairphone 5"}))
    assert (device.id, name) == ("fairphone-5", "benchmark-model")
    assert device.machine is not None
    assert (device.machine.known, device.machine.facts) == ((), ())
    _, device = made(BOARD, answers_of({}))
    assert device.id == "pi"


def test_a_program_that_is_named_measures_a_board_too():
    program = {"path": "/opt/benchmark_model", "sha256": "0" * 64}
    board = Way(BOARD.card, BOARD.name, program)
    name, device = made(board, answers_of({}, None))
    assert (name, device.runtime["name"]) == ("benchmark-model", "benchmark_model")
    assert sentences(board, answers_of({}), "benchmark-model") == ""


def test_an_unknown_runtime_is_refused():
    with pytest.raises(UnknownNameError, match="benchmark-model"):
        section_of(BOARD, [], answers_of({}), "onnx")


def sentences(way: Way, answers: Answers, name: str) -> str:
    return " | ".join(lacks(name, known_sections()[name], way, answers))


def test_what_keeps_a_machine_from_measuring_is_said():
    assert "no benchmark_model yet" in sentences(PHONE, answers_of({}), "benchmark-model")
    assert "3.11 or later: --python" in sentences(BOARD, answers_of({}), "tflite")
    old = Answers({}, python=python("onnxruntime", version=(3, 9)))
    assert sentences(BOARD, old, "onnxruntime").startswith("its Python is 3.9")
    assert not is_there(known_sections()["onnxruntime"], BOARD, old)
    bare = Answers({}, python=Python((3, 12), frozenset()))
    found = sentences(BOARD, bare, "tflite")
    assert "lacks numpy, pydantic, pyyaml" in found
    assert "tflite needs ai-edge-litert or tflite_runtime, which pi has not" in found
    whole = Answers({}, python=python("onnxruntime"))
    assert sentences(BOARD, whole, "onnxruntime") == ""


@pytest.fixture
def home(tmp_path, monkeypatch):
    monkeypatch.setenv("ELAT_HOME", str(tmp_path))
    return tmp_path


def test_a_card_of_the_same_name_is_kept_unless_it_is_to_be_replaced(home):
    path = new_card_path("mine", replaces=False)
    assert path == home / "devices" / "mine.yaml"
    write_card(path, {"schema": 1, "id": "mine", **HERE.card, "runtime": {}})
    with pytest.raises(ConfigError, match="or --replace to write it anew"):
        new_card_path("mine", replaces=False)
    assert new_card_path("mine", replaces=True) == path
    with pytest.raises(ConfigError, match="comes with elat"):
        new_card_path("local-ort", replaces=True)


def test_what_is_no_card_leaves_no_file(home):
    path = home / "devices" / "mine.yaml"
    with pytest.raises(ConfigError, match="surplus"):
        write_card(path, {"schema": 1, "id": "mine", **HERE.card, "runtime": {}, "surplus": 1})
    assert not path.parent.exists()


def test_every_part_has_a_comment():
    _, device = made(BOARD, answers_of(PIXEL_8, python("onnxruntime")))
    text = card_text({"schema": 1, "id": device.id, **BOARD.card, "runtime": {}})
    blocks = text.split("\n\n")
    assert len(blocks) == 5
    assert all(block.startswith("# ") for block in blocks)


HOSTILE = st.one_of(
    st.text(),
    st.sampled_from(
        [
            "../../etc/passwd", "a: b", "- x", "!!python/object/apply:os.system [id]", "'", '"',
            "x\ny: 1", "{a: 1}", "[1]", "&a", "*a", "# x", "yes", "null", "1e3", "0x10", "$(id)",
            "`id`", "%YAML 1.1", "---", "...", "\u2028x", "\x85", "\ufeff", "~", "!", "? a",
        ]
    ),
)  # fmt: skip
SECTIONS = [
    "ro.product.model", "ro.product.device", "ro.product.manufacturer", "ro.soc.model", "board",
    "ro.build.fingerprint", "ro.build.version.release", "machine", "kernel", "cpu", "brand",
]  # fmt: skip


CASES = {
    "sections": st.dictionaries(st.sampled_from(SECTIONS), HOSTILE),
    "gpus": st.lists(HOSTILE.map(lambda name: f"8192, {name}"), max_size=3),
    "way": st.sampled_from([PHONE, BOARD, HERE]),
}


def check_hostile(sections, gpus, way):
    answers = answers_of({**sections, "gpus": "\n".join(gpus)}, python("onnxruntime"))
    known = recognise(answers, MACHINES.values())
    _, section = section_of(way, known, answers, None)
    card = card_for(usual_id(way, known, answers, section), way, known, answers, section)
    with tempfile.TemporaryDirectory() as folder, pytest.MonkeyPatch.context() as patch:
        patch.setenv("ELAT_HOME", f"{folder}/home")
        path = new_card_path(card["id"], replaces=False)
        write_card(path, card)
        written = [found for found in Path(folder).rglob("*") if found.is_file()]
        assert written == [Path(folder, "home", "devices", f"{card['id']}.yaml")]
        assert path.read_bytes().isascii()
        assert yaml.safe_load(path.read_text()) == card
        assert read_card(path) == device_of(card, "card")
        assert card["machine"]["told"] == answers.told()


@given(**CASES)
def test_hostile_answers_read_back_and_nothing_else_is_written(sections, gpus, way):
    check_hostile(sections, gpus, way)


@pytest.mark.slow
@settings(max_examples=10_000, deadline=None)
@given(**CASES)
def test_ten_thousand_hostile_answers_read_back(sections, gpus, way):
    check_hostile(sections, gpus, way)


@given(HOSTILE)
def test_an_id_is_plain_whatever_the_name(name):
    found = id_of(name)
    assert (
        device_of({"schema": 1, "id": found, "kind": "local_cpu", "runtime": {}}, "x").id == found
    )
    assert len(found) <= 40


def test_ids_say_the_name():
    assert id_of("Galaxy S21+ 5G") == "galaxy-s21-plus-5g"
    assert id_of("Pokémon/../x") == "pokemon-x"
    assert id_of("漢字") == "device"
