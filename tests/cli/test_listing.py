"""The lists: complete, readable, and valid JSON."""

from __future__ import annotations

import pytest

from elat.devices.device import card_paths
from elat.latency.models import latency_models
from elat.latency.runtimes import runtimes
from elat.search.spaces import space_names
from elat.search.strategies import strategies

LISTS = {
    "devices": ("id", lambda: sorted(card_paths())),
    "runtimes": ("name", lambda: sorted(runtimes)),
    "spaces": ("name", space_names),
    "models": ("name", lambda: sorted(latency_models)),
    "strategies": ("name", lambda: sorted(strategies)),
}


@pytest.mark.parametrize("verb", LISTS)
def test_lists_hold_every_name(elat, empty_home, verb):
    key, names = LISTS[verb]
    said = elat(verb, "--json")
    assert said.code == 0, said.err
    assert sorted(row[key] for row in said.json) == sorted(names())
    table = elat(verb)
    assert table.code == 0
    assert all(name in table.out for name in names())


def test_spaces_are_counted_exactly(elat):
    found = {row["name"]: row for row in elat("spaces", "--json").json}
    assert found["proxyless-mobile"]["architectures"] == 221_502_229_807_900_608
    assert found["proxyless-mobile"]["blocks"] == 21
    assert found["proxyless-cifar"]["architectures"] == 7**648
    assert found["proxyless-cifar"]["blocks"] == 648
    assert found["nas-bench-macro"]["architectures"] == 6561
    assert found["aggregation-tiny"]["architectures"] == 2**42
    assert found["aggregation-free"]["architectures"] == 569_739_186_024_100
    sums = found.pop("aggregation-sum")
    assert sums["macs"]["min"] == sums["macs"]["max"], "a sum is as wide as what it adds up"
    for row in found.values():
        assert 0 < row["macs"]["min"] < row["macs"]["max"]
        assert 0 < row["parameters"]["min"] < row["parameters"]["max"]


def test_one_space_may_be_named_also_by_its_file(elat, tmp_path):
    (row,) = elat("spaces", "tree-tiny", "--json").json
    assert row["name"] == "tree-tiny"
    path = tmp_path / "mine.yaml"
    path.write_text(
        "{family: path-tree, resolution: 8, in_channels: 1, classes: 2, stem: 8, "
        "stages: [{stride: 1, widths: [8]}], bottleneck: 2, groups: 1, parts: 1, branches: [2], "
        "candidates: [{kind: max}, {kind: identity}]}"
    )
    (row,) = elat("spaces", path, "--json").json
    assert (row["name"], row["architectures"], row["blocks"]) == ("mine", 4, 2)
    assert elat("spaces", "tree-tinny").code == 2


def test_latencies_stand_in_the_list_where_a_model_was_fitted(elat, finished, monkeypatch):
    monkeypatch.setenv("ELAT_HOME", str(finished.home))
    (row,) = elat("spaces", finished.space, "--json").json
    found = row["latency_ms"]["local-ort"]
    assert 0 < found["fastest"] < found["slowest"]
    assert found["origin"] == "measured"
    assert "local-ort: " in elat("spaces", finished.space).out


def test_a_runtime_says_its_version_or_why_not(elat):
    for row in elat("runtimes", "--json").json:
        assert (row["version"] is None) == (row["reason"] is not None)


def test_the_doctor_examines_this_machine(elat, empty_home):
    said = elat("doctor", "local-ort", "--json")
    failed = [check for check in said.json if check["status"] == "fail"]
    assert said.code == (3 if failed else 0)
    assert all(check["status"] in ("pass", "warn", "fail") for check in said.json)
    assert all(check["repair"] for check in said.json if check["status"] != "pass")


def test_cards_at_home_join_the_list(elat, empty_home):
    (empty_home / "devices").mkdir(parents=True)
    (empty_home / "devices" / "mine.yaml").write_text(
        "{schema: 1, id: mine, kind: local_cpu, runtime: {name: onnxruntime}}"
    )
    assert "mine" in [row["id"] for row in elat("devices", "--json").json]
