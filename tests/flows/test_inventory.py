"""What is said of a space: exact counts, and latencies where a model is at hand."""

from __future__ import annotations

import json
from itertools import product
from pathlib import Path

import pytest

from elat.flows.inventory import describe_space
from elat.latency.condition import Condition, Method, Precision
from elat.latency.entry import Entry
from elat.latency.models.evaluate import noise
from elat.latency.models.folder import model_folder, write_model
from elat.latency.operators import Operator
from elat.latency.table import LatencyTable
from elat.search.architecture import Architecture
from elat.search.spaces import SearchSpace, block_space, find_space

SMALL = ("nas-bench-macro", "tree-tiny")


def cost_ms(operator: Operator, speed: float) -> float:
    """An arbitrary positive cost."""
    return (1e-9 * operator.macs + 3e-8 * operator.traffic_elements + 1e-3) / speed


def install(home: Path, space: SearchSpace, device: str, speed: float = 1.0) -> Path:
    """A lookup model of made-up latencies in `home`."""
    condition = Condition(device, "simulated", "1", Precision.FP32, 1, 1, Method.BLOCK, options=())
    entries = {o: Entry(3, cost_ms(o, speed), 0.0) for o in space.all_operators()}
    table = LatencyTable(condition, "simulated", entries)
    folder = model_folder(home, device, space.name, "lookup")
    write_model(folder, "lookup", table, 0, noise(table), space.name)
    return folder


@pytest.fixture
def home(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    monkeypatch.setenv("ELAT_HOME", str(tmp_path))
    return tmp_path


def test_ranges_are_those_of_all_architectures(home: Path) -> None:
    space = find_space("nas-bench-macro")
    networks = [
        space.operators(Architecture(space.name, choices))
        for choices in product(range(3), repeat=8)
    ]
    found = describe_space("nas-bench-macro")
    assert found["architectures"] == len(networks) == 6561
    for name, counts in (
        ("macs", [sum(o.macs for o in network) for network in networks]),
        ("parameters", [sum(o.params for o in network) for network in networks]),
    ):
        assert found[name] == {"min": min(counts), "max": max(counts)}
    assert "latency_ms" not in found, "there is no model"


def test_counts_are_exact_however_large(home: Path) -> None:
    found = json.loads(json.dumps(describe_space("proxyless-cifar")))
    assert found["architectures"] == 7**648
    assert found["blocks"] == 648


@pytest.mark.parametrize("name", [*SMALL, "proxyless-cifar"])
def test_latencies_are_those_of_the_models_at_home(home: Path, name: str) -> None:
    space = block_space(find_space(name), "a test")
    install(home, space, "slow", speed=1.0)
    install(home, space, "fast", speed=4.0)
    found = describe_space(name)["latency_ms"]
    assert list(found) == ["fast", "slow"]
    for device, speed in (("slow", 1.0), ("fast", 4.0)):
        fixed = sum(cost_ms(operator, speed) for operator in space.fixed)
        costs = [
            [0.0 if c.is_free else cost_ms(c, speed) for c in block.candidates]
            for block in space.blocks
        ]
        assert found[device]["fastest"] == pytest.approx(fixed + sum(map(min, costs)), rel=1e-12)
        assert found[device]["slowest"] == pytest.approx(fixed + sum(map(max, costs)), rel=1e-12)
        assert (found[device]["model"], found[device]["origin"]) == ("lookup", "simulated")


def test_a_model_of_another_space_says_nothing(home: Path) -> None:
    install(home, find_space("tree-tiny"), "toy")
    assert "latency_ms" not in describe_space("nas-bench-macro")
    assert "latency_ms" in describe_space("tree-tiny")


def test_a_damaged_model_is_named_and_spoils_nothing_else(home: Path) -> None:
    space = find_space("tree-tiny")
    install(home, space, "good")
    (install(home, space, "bad") / "table.yaml").write_text("")
    found = describe_space("tree-tiny")["latency_ms"]
    assert "table.yaml" in found["bad"]["reason"]
    assert found["good"]["fastest"] > 0
