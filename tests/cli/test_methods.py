"""`elat compare-methods` and `elat measure --generate`."""

from __future__ import annotations

import pytest

from elat.latency.condition import Method
from elat.latency.protocol import PROTOCOLS
from elat.reports.method_comparison import COMPARISON, read_method_comparison

from .conftest import HASTY, TINY

SMALL = """
family: mbconv-chain
resolution: 4
in_channels: 1
classes: 4
stem: {width: 8, stride: 1}
first: 8
stages:
  - {width: 8, blocks: 2, stride: 1}
kernels: [3, 5]
expansions: [1]
head: 8
"""

CARD = """
schema: 1
id: exact
kind: simulated
runtime: {name: simulated, method: METHOD, options: {launch_noise: 0.0, sample_noise: 0.0}}
"""


@pytest.fixture(autouse=True)
def hasty(empty_home, monkeypatch):
    monkeypatch.setitem(PROTOCOLS, "screen", HASTY)


def card(folder, method="block"):
    path = folder / "exact.yaml"
    path.write_text(CARD.replace("METHOD", method))
    return path


@pytest.fixture
def space(tmp_path):
    path = tmp_path / "tiny.yaml"
    path.write_text(TINY)
    return path


@pytest.mark.slow
@pytest.mark.parametrize("device", ["local-ort", "local-tflite"])
def test_all_methods_are_compared_on_a_real_engine_and_measured_once(
    elat, tmp_path, space, device
):
    out = tmp_path / "out"
    words = ("compare-methods", "--device", device, "--space", space, "--out", out)
    first = elat(*words, "--networks", 6, "--json")
    assert first.code == 0, first.err
    assert [found["method"] for found in first.json["methods"]] == list(Method)
    assert first.json["origin"] == "measured"
    assert len(first.json["networks"]) == 6
    for found in first.json["methods"]:
        assert found["operators"] + len(found["missing"]) == 11
    written, store = (out / COMPARISON).read_bytes(), (out / "measurements.db").read_bytes()
    again = elat(*words, "--networks", 6)
    assert again.code == 0, again.err
    assert "in_situ" in again.out
    assert (out / COMPARISON).read_bytes() == written
    assert (out / "measurements.db").read_bytes() == store
    report = elat("report", out, "--out", tmp_path / "report")
    assert report.code == 0, report.err
    assert (tmp_path / "report" / "figures" / "method_comparison.pdf").exists()


def test_files_are_written_and_methods_without_a_profiler_named(elat, tmp_path):
    space, out = tmp_path / "small.yaml", tmp_path / "out"
    space.write_text(SMALL)
    said = elat(
        "compare-methods", "--device", card(tmp_path), "--space", space, "--out", out,
        "--networks", 6,
    )  # fmt: skip
    assert said.code == 0, said.err
    assert "Methods that profile are left out: Runtime simulated has no profiler" in said.err
    assert "models to time and 0 to profile" in said.err
    for name in ("compare-methods.json", "manifest.json", "measurements.db"):
        assert (out / name).exists()
    for name in ("figures/method_comparison.pdf", "tables/methods.csv", "tables/methods.tex"):
        assert (out / name).exists()
    assert read_method_comparison(out).space == "small"
    assert "simulated" in said.out


def test_operators_of_random_configuration_are_measured_once(elat, tmp_path):
    words = (
        "measure",
        "--device",
        card(tmp_path, "slope"),
        "--generate",
        4,
        "--seed",
        5,
        "--json",
    )
    first = elat(*words)
    assert first.code == 0, first.err
    assert first.json["space"] is None
    assert first.json["operators"] == 4
    assert first.json["failures"] == 0
    assert first.json["new_launches"] > 0
    again = elat(*words)
    assert again.json == {**first.json, "new_launches": 0}


def test_networks_are_needed_to_look_into(elat, tmp_path):
    said = elat("measure", "--device", card(tmp_path, "sampled"), "--generate", 4)
    assert said.code == 2
    assert "--space" in said.error


def test_a_profiler_is_needed_to_take_off_what_is_no_kernel(elat, tmp_path):
    said = elat("measure", "--device", card(tmp_path, "kernel"), "--generate", 1)
    assert said.code == 3
    assert "no profiler" in said.error


@pytest.mark.parametrize("words", [(), ("--space", "proxyless-tiny", "--generate", 4)])
def test_one_of_space_and_generate_is_needed(elat, empty_home, words):
    said = elat("measure", "--device", "local-ort", *words)
    assert said.code == 2
    assert "exactly one" in said.error
    assert not empty_home.exists()


def test_a_card_with_an_unknown_method_is_refused(elat, tmp_path):
    said = elat("measure", "--device", card(tmp_path, "guess"), "--generate", 1)
    assert said.code == 2
    assert "method" in said.error
