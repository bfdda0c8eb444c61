"""Methods that rest on profiles, with profiles of the simulated device, whose nodes are known."""

from __future__ import annotations

from dataclasses import dataclass, replace

import pytest
import torch

from elat.core.errors import ConfigError
from elat.latency.condition import Method
from elat.latency.graph.ir import Graph
from elat.latency.methods import METHODS, Evidence, Subjects
from elat.latency.operators import Operator
from elat.latency.operators.chain import Chain
from elat.latency.operators.conv import Conv
from elat.latency.operators.global_pool import GlobalPool
from elat.latency.operators.mbconv import MBConv
from elat.latency.operators.zero import Zero
from elat.latency.profiling.profile import Profile, ProfiledNode
from elat.latency.runtimes.simulated import _Options, simulated_ms

CALL_MS, LAYOUT_MS = 0.007, 0.05
SPEEDS = _Options(call_us=0.0)
STEM, BLOCK, OTHER = Conv(3, 8, 14, 3), MBConv(8, 8, 14, 3), MBConv(8, 8, 14, 5)
POOL = GlobalPool(8, 14)


@dataclass(frozen=True)
class Known:
    """Stands for a measurement without noise."""

    latency_ms: float
    std_ms: float = 0.1
    count: int = 5
    origin: str = "simulated"


@pytest.fixture(autouse=True, scope="module")
def one_thread():
    before = torch.get_num_threads()
    torch.set_num_threads(1)
    yield
    torch.set_num_threads(before)


def nodes_ms(operator: Operator) -> float:
    return simulated_ms(operator.lower(operator.build().eval()), SPEEDS, 4, 1)


def profile_of(operator: Operator, slowness: float = 1.0) -> Profile:
    """A change of layout, every node of the graph, and another change, on a slower machine."""
    graph = operator.lower(operator.build().eval())
    layout = ProfiledNode("reorder", "Reorder", (), LAYOUT_MS, LAYOUT_MS * slowness, True)
    found = [layout]
    for node in graph.nodes:
        ms = slowness * simulated_ms(Graph(graph.inputs, (node,), node.output), SPEEDS, 4, 1)
        found.append(ProfiledNode(node.output.name, "Node", (node.output.name,), ms, ms, False))
    found.append(layout)
    run_ms = sum(node.latency_ms for node in found) + slowness * CALL_MS
    return Profile(
        tuple(found), 10, 1, 2 * run_ms, run_ms, slowness * CALL_MS, 0.0, 1.0, 0.001, None,
        origin="simulated",
    )  # fmt: skip


def run_ms(operator: Operator) -> float:
    return nodes_ms(operator) + 2 * LAYOUT_MS + CALL_MS


def evidence(*models: Operator) -> Evidence:
    """Profiles were taken while the machine was three times as slow."""
    measured = {model: Known(run_ms(model)) for model in models}
    return Evidence(measured, {model: profile_of(model, 3.0) for model in models})  # type: ignore[arg-type]


class TestKernel:
    method = METHODS[Method.KERNEL]

    def test_it_is_the_time_of_the_nodes_without_call_and_layout(self):
        entries, origins, _ = self.method.latencies(Subjects((STEM, BLOCK)), evidence(STEM, BLOCK))
        assert origins == {"simulated"}
        for operator in (STEM, BLOCK):
            assert entries[operator].mean_ms == pytest.approx(nodes_ms(operator), rel=1e-9)
            share = nodes_ms(operator) / run_ms(operator)
            assert entries[operator].std_ms == pytest.approx(0.1 * share)
            assert entries[operator].count == 5

    def test_operators_are_timed_and_profiled_as_they_stand(self):
        subjects = Subjects((STEM, Zero(8, 14), BLOCK))
        assert self.method.cases(subjects) == self.method.profiled(subjects) == (STEM, BLOCK)

    def test_what_gives_no_image_is_a_difference_and_needs_no_profile(self):
        subjects = Subjects((STEM, POOL))
        cases = self.method.cases(subjects)
        assert self.method.profiled(subjects) == (STEM,)
        found = evidence(STEM, *METHODS[Method.SLOPE].cases(Subjects((POOL,))))
        assert set(found.measured) == set(cases)
        entries = self.method.latencies(subjects, found).entries
        assert entries[POOL].mean_ms == pytest.approx(nodes_ms(POOL), rel=1e-9)

    @pytest.mark.parametrize("missing", ["measured", "profiles"])
    def test_an_operator_without_one_of_both_is_left_out(self, missing):
        found = replace(evidence(STEM), **{missing: {}})
        assert self.method.latencies(Subjects((STEM,)), found).entries == {}

    def test_a_profile_without_the_unprofiled_time_tells_no_share(self):
        found = evidence(STEM)
        profiles: dict[Operator, Profile] = {
            STEM: replace(found.profiles[STEM], unprofiled_run_ms=None)
        }
        assert (
            self.method.latencies(Subjects((STEM,)), replace(found, profiles=profiles)).entries
            == {}
        )


class TestSampled:
    method = METHODS[Method.SAMPLED]
    networks = (Chain((STEM, BLOCK, BLOCK, POOL)), Chain((STEM, BLOCK, POOL)))
    subjects = Subjects((STEM, BLOCK, OTHER, POOL), networks)

    def test_it_is_the_mean_over_all_occurrences(self):
        entries, origins, _ = self.method.latencies(self.subjects, evidence(*self.networks))
        assert origins == {"simulated"}
        assert {o: entry.count for o, entry in entries.items()} == {STEM: 2, BLOCK: 3, POOL: 2}
        assert entries[BLOCK].mean_ms == pytest.approx(nodes_ms(BLOCK), rel=1e-9)
        assert entries[BLOCK].std_ms == pytest.approx(0.0, abs=1e-9)

    def test_layout_changes_at_the_ends_are_those_of_the_first_and_last_operator(self):
        entries = self.method.latencies(self.subjects, evidence(*self.networks)).entries
        for end in (STEM, POOL):
            assert entries[end].mean_ms == pytest.approx(nodes_ms(end) + LAYOUT_MS, rel=1e-9)

    def test_sums_fall_short_of_a_network_by_its_call_alone(self):
        entries = self.method.latencies(self.subjects, evidence(*self.networks)).entries
        for network in self.networks:
            total = sum(entries[operator].mean_ms for operator in network.operators)
            assert run_ms(network) - total == pytest.approx(CALL_MS, rel=1e-6)

    def test_what_occurs_in_no_network_is_left_out(self):
        assert OTHER not in self.method.latencies(self.subjects, evidence(*self.networks)).entries

    def test_networks_that_were_not_timed_say_nothing(self):
        found = replace(evidence(*self.networks), measured={})
        assert self.method.latencies(self.subjects, found).entries == {}

    def test_the_networks_are_the_cases(self):
        assert self.method.cases(self.subjects) == self.networks
        assert self.method.profiled(self.subjects) == self.networks

    def test_without_networks_there_is_nothing_to_look_into(self):
        with pytest.raises(ConfigError, match="--space"):
            self.method.cases(Subjects((STEM,)))
