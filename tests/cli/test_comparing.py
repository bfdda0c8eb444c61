"""`elat compare` and `elat measure --check-budget`: what they print, write and return."""

from __future__ import annotations

import shutil
from dataclasses import replace

import junitparser
import pytest

from elat.latency.protocol import PROTOCOLS, SCREEN

CARD = """
schema: 1
id: NAME
kind: simulated
runtime:
  name: simulated
  method: block
  options:
    {gmacs_per_s: SPEED, call_us: 0.0, node_us: 0.0, gbytes_per_s: 1000.0, launch_noise: 0.001}
"""
SPACE = """
family: mbconv-chain
resolution: 8
in_channels: 1
classes: 10
stem: {width: 4, stride: 1}
first: 4
stages:
  - {width: 4, blocks: 1, stride: 1}
kernels: [3]
expansions: [3]
head: 8
"""
HASTY = replace(
    SCREEN, min_launches=2, max_launches=2, looks=(2,), passes=4, max_passes=4,
    group_min_ms=1.0, warmup_min_ms=1.0,
)  # fmt: skip
BUDGET = """
schema: 1
entries:
  - {name: network, choices: [0], limit_ms: LIMIT}
"""


@pytest.fixture(scope="module")
def lab(tmp_path_factory):
    """A home with two devices of which `slow` takes 5 % longer."""
    folder = tmp_path_factory.mktemp("cli-comparing")
    (folder / "devices").mkdir()
    for name, speed in (("fast", "1.05"), ("slow", "1.0")):
        card = CARD.replace("NAME", name).replace("SPEED", speed)
        (folder / "devices" / f"{name}.yaml").write_text(card)
    (folder / "tiny.yaml").write_text(SPACE)
    return folder


@pytest.fixture(autouse=True)
def _home(lab, monkeypatch):
    monkeypatch.setenv("ELAT_HOME", str(lab))
    monkeypatch.setitem(PROTOCOLS, "screen", HASTY)


@pytest.fixture(scope="module")
def live(lab, elat):
    """The folder of a live comparison, and what it said."""
    with pytest.MonkeyPatch.context() as patch:
        patch.setenv("ELAT_HOME", str(lab))
        patch.setitem(PROTOCOLS, "screen", HASTY)
        said = elat(
            "compare", "fast", "slow", "--space", lab / "tiny.yaml", "--protocol", "screen",
            "--store", lab / "live", "--json",
        )  # fmt: skip
    return lab / "live", said


def test_two_devices_are_measured_and_compared(live):
    folder, said = live
    assert said.code == 0, said.err
    assert said.json["pairing"] == "rounds"
    assert said.json["a"]["store"] == str(folder / "a.db")
    assert said.json["counts"]["faster"] == 0
    network = max(said.json["cases"], key=lambda case: case["a_ms"])
    assert network["difference"] == pytest.approx(0.05, abs=0.01)


def test_two_stores_are_compared(live, elat, tmp_path):
    folder, before = live
    junit, markdown = tmp_path / "j.xml", tmp_path / "m.md"
    said = elat(
        "compare", folder / "a.db", folder / "b.db", "--json", "--junit", junit,
        "--markdown", markdown,
    )  # fmt: skip
    assert said.code == 0, said.err
    assert said.json["cases"] == before.json["cases"]
    assert (said.json["only_a"], said.json["only_b"]) == ([], [])
    (suite,) = junitparser.JUnitXml.fromfile(str(junit))
    counts = said.json["counts"]
    assert (suite.failures, suite.skipped) == (counts["slower"], counts["ambiguous"])
    assert [case.time for case in suite] == pytest.approx(
        [case["b_ms"] / 1e3 for case in said.json["cases"]], abs=1e-9
    )
    text = markdown.read_text()
    assert text.count("| SLOWER |") == counts["slower"]
    assert "SIMULATED" in text


def test_a_store_is_the_same_as_its_copy(live, elat, tmp_path):
    copy = shutil.copy(live[0] / "a.db", tmp_path / "copy.db")
    said = elat("compare", live[0] / "a.db", copy, "--fail-on", "slower")
    assert said.code == 0, said.err
    assert "SAME" in said.out
    assert "SLOWER" not in said.out


def test_the_exit_code_says_slower_where_it_is_asked_to(live, elat):
    a, b = live[0] / "a.db", live[0] / "b.db"
    assert elat("compare", b, a, "--fail-on", "slower").code == 0
    said = elat("compare", a, b, "--fail-on", "slower", "--json")
    assert said.code == (8 if said.json["counts"]["slower"] else 0)
    assert said.json["counts"]["slower"] > 0
    assert "are slower" in said.error
    assert elat("compare", a, b, "--fail-on", "slower", "--margin", "20%").code == 0


@pytest.mark.parametrize(
    ("option", "value", "said"),
    [
        ("--margin", "wide", "such as 1%"),
        ("--margin", "0", "above 0"),
        ("--fail-on", "faster", "slower"),
        ("--basis", "clock", "sentinel"),
    ],
)
def test_a_mistyped_option_is_refused(live, elat, option, value, said):
    found = elat("compare", live[0] / "a.db", live[0] / "b.db", option, value)
    assert found.code == 2
    assert said in found.error


def test_the_margin_is_at_least_twice_the_repeatability(live, elat):
    a, b = live[0] / "a.db", live[0] / "b.db"
    found = elat("compare", a, b, "--repeatability", "2%", "--json")
    assert found.json["margin"] == pytest.approx(0.04)


@pytest.fixture
def budget(tmp_path):
    def budget(limit_ms):
        path = tmp_path / "budget.yaml"
        path.write_text(BUDGET.replace("LIMIT", repr(limit_ms)))
        return path

    return budget


def test_a_budget_is_kept_broken_or_undecided(lab, elat, budget, tmp_path):
    where = ("measure", "--device", "fast", "--space", lab / "tiny.yaml", "--json")
    said = elat(*where, "--check-budget", budget(1000.0))
    assert said.code == 0, said.err
    assert said.json["new_launches"] > 0
    (line,) = said.json["budget"]["lines"]
    assert (line["held"], line["case"]) == ("ok", "network")
    low, high = line["interval_ms"]
    assert low < line["latency_ms"] < high

    junit = tmp_path / "j.xml"
    over = elat(*where, "--check-budget", budget(low / 2), "--junit", junit)
    assert (over.code, over.json["new_launches"]) == (8, 0)
    assert "1 of 1 limits are not held: network" in over.error
    (suite,) = junitparser.JUnitXml.fromfile(str(junit))
    assert suite.failures == 1

    inside = ("--check-budget", budget((low + high) / 2), "--junit", junit)
    assert elat(*where, *inside).code == 0
    (suite,) = junitparser.JUnitXml.fromfile(str(junit))
    assert (suite.failures, suite.skipped) == (0, 1)
    assert elat(*where, *inside, "--strict").code == 8
    (suite,) = junitparser.JUnitXml.fromfile(str(junit))
    assert (suite.failures, suite.skipped) == (1, 0)


def test_a_budget_may_stand_alone_and_is_printed(elat, tmp_path):
    path = tmp_path / "budget.yaml"
    path.write_text(
        "schema: 1\nentries:\n  - {name: stem, limit_ms: 10,\n     operator: {kind: conv, "
        "in_channels: 1, out_channels: 4, resolution: 8, kernel: 3}}\n"
    )
    markdown = tmp_path / "m.md"
    said = elat(
        "measure", "--device", "fast", "--check-budget", path, "--markdown", markdown,
        "--store", tmp_path / "s.db",
    )  # fmt: skip
    assert said.code == 0, said.err
    assert "stem" in said.out
    assert "| OK |" in markdown.read_text()


def test_what_is_about_a_budget_needs_one(elat, lab):
    said = elat("measure", "--device", "fast", "--space", lab / "tiny.yaml", "--strict")
    assert said.code == 2
    assert "--check-budget" in said.error


@pytest.mark.slow
def test_a_real_device_is_not_slower_than_itself(elat, lab, tmp_path):
    said = elat(
        "compare", "local-ort", "local-ort", "--space", lab / "tiny.yaml",
        "--protocol", "standard", "--store", tmp_path / "live", "--json",
    )  # fmt: skip
    assert said.code == 0, said.err
    assert said.json["pairing"] == "rounds"
    assert said.json["a"]["origin"] == "measured"
    cases = said.json["cases"]
    # Real noise: the rule promises at most one false verdict in twenty, and there are few cases.
    wrong = said.json["counts"]["faster"] + said.json["counts"]["slower"]
    assert wrong <= max(1, len(cases) // 10)
    again = elat("compare", tmp_path / "live" / "a.db", tmp_path / "live" / "b.db", "--json")
    assert again.json["cases"] == cases
