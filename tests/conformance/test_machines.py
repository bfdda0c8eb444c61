"""Every machine of the catalogue: sourced, told from the others, and with ways to measure it."""

from __future__ import annotations

from pathlib import Path

import pytest
import yaml

from elat.core.errors import ConfigError
from elat.devices.catalogue import (
    MachineKind,
    known_machine,
    known_machines,
    known_sections,
    plain_cpu,
    read_family,
)
from elat.devices.device import card_paths
from elat.latency.condition import RuntimeSection
from elat.latency.runtimes import runtimes

MACHINES = known_machines()
# What people ask for: one of each has to be there.
ASKED_FOR = [
    "pixel-6",
    "pixel-6a",
    "pixel-7",
    "pixel-8",
    "pixel-9",
    "pixel-9-pro",
    "galaxy-s21-exynos",
    "galaxy-s21-snapdragon",
    "galaxy-s22-exynos",
    "galaxy-s22-snapdragon",
    "galaxy-s23",
    "galaxy-s24-exynos",
    "galaxy-s24-snapdragon",
    "raspberry-pi-4",
    "raspberry-pi-5",
    "jetson-orin-nano-8gb",
    "jetson-orin-nx-16gb",
    "jetson-agx-orin-64gb",
    "jetson-xavier-nx-8gb",
    "jetson-agx-xavier-32gb",
    "rtx-3060",
    "rtx-3070",
    "rtx-3080",
    "rtx-3090",
    "rtx-4060",
    "rtx-4070",
    "rtx-4080",
    "rtx-4090",
    "a100-sxm4-80gb",
    "h100-sxm5",
    "xeon-platinum-8380",
    "epyc-7763",
    "apple-m1",
    "apple-m2",
    "apple-m3",
    "apple-m4",
]
FAMILY = """
schema: 1
sources: {page: {title: A page, url: "https://example.org/"}}
machines:
  one:
    {name: One, kind: board, recognised: {board: [One]}, sections: [onnxruntime], verified: never,
     facts: {page: {memory_type: DDR5}}}
"""


@pytest.fixture(params=MACHINES.values(), ids=lambda machine: machine.id)
def machine(request):
    return request.param


def test_what_people_ask_for_is_there():
    assert not set(ASKED_FOR) - MACHINES.keys()


def test_a_machine_has_facts_and_each_has_a_source(machine):
    assert machine.facts
    assert len({(fact.of, fact.name) for fact in machine.facts}) == len(machine.facts)
    for fact in machine.facts:
        assert fact.of == machine.id
        assert fact.url.startswith("https://"), fact
        assert fact.source and fact.value not in ("", None)


def test_a_machine_says_what_it_is_measured_on(machine):
    wanted = {
        MachineKind.PHONE: ("cpu", "gpu"),
        MachineKind.BOARD: ("memory_type",),
        MachineKind.GPU: ("gpu_multiprocessors", "gpu_compute_capability", "gpu_memory_gb"),
        MachineKind.CPU: ("cpu", "memory_type"),
        MachineKind.MAC: ("cpu",),
    }[machine.kind]
    optional = {"gpu"} if machine.chip.endswith("(SM8650-AC)") else set()
    assert not {name for name in wanted if machine.fact(name) is None} - optional


def test_nobody_has_verified_a_machine_yet(machine):
    assert machine.verified == "never"


def test_a_machine_is_no_device(machine):
    assert machine.id not in card_paths()
    assert known_machine(machine.id) == machine


def test_a_machine_is_measured_by_sections_that_there_are(machine):
    assert set(machine.sections) <= known_sections().keys()
    is_phone = machine.kind is MachineKind.PHONE
    assert is_phone == (machine.sections == ("benchmark-model",))


@pytest.mark.parametrize("name", known_sections())
def test_a_section_is_one_that_cards_take(name):
    section = RuntimeSection.model_validate(known_sections()[name].runtime)
    runtime = runtimes[section.name]()
    assert section.precision in runtime.precisions
    assert runtime.options(section.options)


def test_names_by_which_machines_are_recognised_are_plain(machine):
    assert all(name == plain_cpu(name) for name in machine.recognised.cpu)
    assert not any(name.startswith("NVIDIA ") for name in machine.recognised.gpu)


def test_no_two_machines_are_recognised_by_the_same():
    assert len({machine.recognised for machine in MACHINES.values()}) == len(MACHINES)


@pytest.mark.parametrize(
    "change",
    [
        lambda d: d.update(surplus=1),
        lambda d: d["machines"]["one"].update(surplus=1),
        lambda d: d["machines"]["one"]["facts"]["page"].update(memory_kind="DDR5"),
        lambda d: d["machines"]["one"]["facts"].update(other={"memory_type": "DDR5"}),
        lambda d: d["machines"]["one"].update(facts={}),
        lambda d: d["machines"]["one"].update(chip="none"),
        lambda d: d["machines"]["one"].update(recognised={"memory_gb": 8}),
        lambda d: d["machines"]["one"].update(verified="yes"),
        lambda d: d["sources"]["page"].update(url="http://example.org/"),
        lambda d: d["machines"].update({"One!": d["machines"]["one"]}),
    ],
)
def test_a_family_that_is_not_said_clearly_is_refused(tmp_path, change):
    data = yaml.safe_load(FAMILY)
    path = tmp_path / "family.yaml"
    path.write_text(yaml.safe_dump(data))
    assert [machine.id for machine in read_family(path)] == ["one"]
    change(data)
    path.write_text(yaml.safe_dump(data))
    with pytest.raises(ConfigError, match=r"family\.yaml"):
        read_family(path)


def test_the_documents_count_the_machines():
    text = (Path(__file__).parents[2] / "docs" / "cards.md").read_text()
    assert f"lists {len(MACHINES)} machines" in text
