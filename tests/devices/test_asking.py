"""What machines answer, and what they are recognised as: real answers, and hostile ones."""

from __future__ import annotations

import json
import sys

import pytest
from hypothesis import given
from hypothesis import strategies as st

from elat.devices.asking import Answers, answers_of, ask_machine, python_of
from elat.devices.catalogue import known_machines
from elat.devices.recognising import recognise
from elat.devices.transports import Transport
from elat.devices.transports.local import LocalLink

MACHINES = known_machines()
PIXEL_8 = {
    "ro.product.model": "Pixel 8\n",
    "ro.product.manufacturer": "Google\n",
    "ro.product.device": "shiba\n",
    "ro.build.version.release": "14\n",
    "ro.soc.model": "Tensor G3\n",
    "machine": "aarch64\n",
    "cpus": "".join(
        f"{cpu} {khz}\n" for cpu, khz in enumerate([1704000] * 4 + [2367000] * 4 + [2914000])
    ),
    "memory": "MemTotal:        7650000 kB\n",
    "cpu": "processor\t: 0\nCPU part\t: 0xd46\n",
}


def told(**sections: str) -> dict[str, str]:
    return {name.replace("__", "."): text for name, text in sections.items()}


def memory(gib: float) -> str:
    return f"MemTotal:       {int(gib * 2**20)} kB\n"


def names(sections: dict[str, str]) -> list[str]:
    return [machine.id for machine in recognise(answers_of(sections), MACHINES.values())]


def test_a_phone_tells_its_clusters_and_the_fastest_is_measured_on():
    answers = answers_of(PIXEL_8)
    assert answers.fast_cpus() == (8,)
    assert answers.fast_cpus(threads=4) == (4, 5, 6, 7, 8)
    kept = answers.told()
    assert kept["model"] == "Pixel 8"
    assert kept["device"] == "shiba"
    assert kept["cluster_2"] == "2914 MHz: CPUs 8"
    assert kept["memory_bytes"] == 7_650_000 * 1024


def test_cores_that_are_alike_are_left_to_the_scheduler():
    alike = told(machine="aarch64\n", cpus="0 2400000\n1 2400000\n")
    assert answers_of(alike).fast_cpus() is None
    x86 = told(machine="x86_64\n", cpus="0 4900000\n1 5100000\n")
    assert answers_of(x86).fast_cpus() is None


@pytest.mark.parametrize(
    ("sections", "found"),
    [
        (PIXEL_8, ["pixel-8"]),
        ({**PIXEL_8, "ro.product.model": "Pixel 8 Pro"}, ["pixel-8-pro"]),
        (told(ro__product__model="SM-G991B", ro__product__device="o1s"), ["galaxy-s21-exynos"]),
        (
            told(ro__product__model="SM-G991U", ro__product__device="o1q"),
            ["galaxy-s21-snapdragon"],
        ),
        (told(ro__product__model="SM-S921B", ro__soc__model="s5e9945"), ["galaxy-s24-exynos"]),
        (told(ro__product__model="SM-S921U1", ro__soc__model="SM8650"), ["galaxy-s24-snapdragon"]),
        (told(ro__product__model="SM-S921X"), []),
        (told(board="Raspberry Pi 5 Model B Rev 1.0\0"), ["raspberry-pi-5"]),
        (told(board="Raspberry Pi 4 Model B Rev 1.4"), ["raspberry-pi-4"]),
        (
            told(board="NVIDIA Jetson Orin Nano Developer Kit", memory=memory(7.44)),
            ["jetson-orin-nano-8gb"],
        ),
        (
            told(board="NVIDIA Orin NX Developer Kit", memory=memory(15.3)),
            ["jetson-orin-nx-16gb"],
        ),
        (told(board="Jetson-AGX", memory=memory(31.0)), ["jetson-agx-xavier-32gb"]),
        (told(board="NVIDIA Jetson Orin Nano Developer Kit"), []),
        (
            told(cpu="model name\t: Intel(R) Xeon(R) Platinum 8380 CPU @ 2.30GHz\n"),
            ["xeon-platinum-8380"],
        ),
        (told(cpu="model name : Intel(R) Xeon(R) CPU E5-2690 v4 @ 2.60GHz"), ["xeon-e5-2690-v4"]),
        (told(cpu="model name\t: AMD EPYC 7763 64-Core Processor\n"), ["epyc-7763"]),
        (told(cpu="model name\t: Intel(R) Xeon(R) Processor\n"), []),
        (told(brand="Apple M1\n"), ["apple-m1"]),
        (told(brand="Apple M1 Pro\n"), []),
        (
            told(
                cpu="model name\t: AMD EPYC 9654 96-Core Processor\n",
                gpus="81559, NVIDIA H100 80GB HBM3\n81559, NVIDIA H100 80GB HBM3\n",
            ),
            ["epyc-9654", "h100-sxm5"],
        ),
        (told(gpus="12288, NVIDIA GeForce RTX 3060\n"), ["rtx-3060"]),
        (told(gpus="8192, NVIDIA GeForce RTX 3060\n"), ["rtx-3060-8gb"]),
        (told(gpus="10240, GeForce RTX 3080\n"), ["rtx-3080"]),
        (told(gpus="12288, NVIDIA GeForce RTX 3080\n"), ["rtx-3080-12gb"]),
        (told(gpus="NVIDIA-SMI has failed because it couldn't communicate\n"), []),
        ({}, []),
    ],
)
def test_machines_are_recognised_by_what_they_say(sections, found):
    assert names(sections) == found


def test_a_machine_that_fits_two_is_neither():
    answers = answers_of(PIXEL_8)
    twice = [MACHINES["pixel-8"], MACHINES["pixel-8"]]
    assert recognise(answers, twice) == []


@given(
    st.dictionaries(st.sampled_from([*PIXEL_8, "board", "gpus", "brand", "trtexec"]), st.text())
)
def test_any_answer_gives_plain_text_of_one_line(sections):
    answers = answers_of(sections)
    for value in answers.told().values():
        if isinstance(value, str):
            assert value.isprintable()
            assert len(value) < 10_000
    assert recognise(answers, MACHINES.values()) is not None


JSON = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats() | st.text(),
    lambda inner: st.lists(inner) | st.dictionaries(st.text(), inner),
)


@given(st.text() | JSON.map(json.dumps))
def test_a_python_that_answers_nonsense_is_none(text):
    found = python_of(text)
    assert found is None or all(isinstance(number, int) for number in found.version)


def test_a_python_tells_its_version_and_modules():
    found = python_of('[[3, 12], ["numpy", "onnxruntime", "os"]]')
    assert found is not None
    assert found.version == (3, 12)
    assert found.modules == {"numpy", "onnxruntime"}


def test_this_machine_is_asked_as_any_other(tmp_path):
    answers = ask_machine(Transport(LocalLink(str(tmp_path / "work"))), sys.executable)
    assert answers.identity["machine"]
    assert answers.python is not None
    assert answers.python.version == sys.version_info[:2]
    assert "numpy" in answers.python.modules


def test_a_python_that_is_not_there_is_none(tmp_path):
    answers = ask_machine(Transport(LocalLink(str(tmp_path / "work"))), "no-such-python")
    assert answers.python is None


def test_a_root_of_another_machine_is_read(tmp_path):
    (tmp_path / "proc/device-tree").mkdir(parents=True)
    (tmp_path / "proc/device-tree/model").write_bytes(b"Raspberry Pi 5 Model B Rev 1.0\0")
    (tmp_path / "proc/cpuinfo").write_text("processor : 0\nBogoMIPS : 108.00\n")
    transport = Transport(LocalLink(str(tmp_path / "work")))
    answers: Answers = ask_machine(transport, None, root=str(tmp_path))
    assert [m.id for m in recognise(answers, MACHINES.values())] == ["raspberry-pi-5"]
    assert answers.cpu == ""
