"""Message passing, against plain loops over nodes, and what must not change it."""

from __future__ import annotations

from dataclasses import replace

import numpy as np
import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st

from elat.core.errors import ConfigError
from elat.core.seeding import torch_generator
from elat.latency.graph_ensemble import GraphNetworks
from elat.latency.graph_network import Descent, Graphs, Shape, Wiring, answers, first_weights

FEATURES = 3


def random_graph(generator: np.random.Generator) -> Graphs:
    nodes = int(generator.integers(1, 6))
    is_edge = np.triu(generator.random((nodes, nodes)) < 0.5, 1)
    return Graphs(
        generator.normal(size=(nodes, FEATURES)),
        generator.uniform(0.1, 3, nodes),
        np.array(np.nonzero(is_edge)),
        np.zeros(nodes, np.intp),
    )


def random_graphs(seed: int, count: int = 7) -> Graphs:
    generator = np.random.default_rng(seed)
    return Graphs.joined([random_graph(generator) for _ in range(count)])


def weights(seed: int = 0, members: int = 2) -> dict[str, torch.Tensor]:
    generator = torch_generator(seed)
    found = first_weights(Shape(FEATURES, 4, 2), members, generator)
    with torch.no_grad():
        for name in ("linear", "level", "last"):
            found[name] += torch.randn(found[name].shape, generator=generator, dtype=torch.float64)
    return found


def asked(w: dict[str, torch.Tensor], graphs: Graphs) -> np.ndarray:
    with torch.no_grad():
        found = answers(w, torch.tensor(graphs.features)[None], Wiring.of(graphs))
    return np.asarray(found.numpy())


def silu(x: np.ndarray) -> np.ndarray:
    return np.asarray(x / (1 + np.exp(-x)))


def by_loops(w: dict[str, torch.Tensor], graph: Graphs, member: int) -> float:
    """One graph, node by node and edge by edge."""
    a = {name: tensor.detach().numpy()[member] for name, tensor in w.items()}
    state = [silu(x @ a["enter"] + a["enter_offset"]) for x in graph.features]
    for number in range(2):
        changed = []
        for node, own in enumerate(state):
            total = own @ a["own"][number] + a["offset"][number]
            for start, end in graph.edges.T:
                if end == node:
                    total = total + state[start] @ a["fed"][number]
                if start == node:
                    total = total + state[end] @ a["read"][number]
            changed.append(own + silu(total))
        state = changed
    times = [
        nominal * np.exp(x @ a["linear"] + s @ a["last"] + a["level"])
        for nominal, x, s in zip(graph.nominal, graph.features, state, strict=True)
    ]
    return float(np.log(sum(times)))


def test_it_is_what_loops_over_nodes_compute() -> None:
    w, graphs = weights(), random_graphs(1)
    wanted = [
        [by_loops(w, graphs.only(np.array([i])), member) for i in range(graphs.count)]
        for member in range(2)
    ]
    np.testing.assert_allclose(asked(w, graphs), wanted, rtol=1e-10)


@settings(max_examples=25, deadline=None)
@given(st.integers(0, 10_000))
def test_the_order_of_nodes_and_edges_does_not_matter(seed: int) -> None:
    generator = np.random.default_rng(seed)
    graph = random_graph(generator)
    order = generator.permutation(len(graph.nominal))
    moved = np.argsort(order)[graph.edges][:, generator.permutation(graph.edges.shape[1])]
    same = Graphs(graph.features[order], graph.nominal[order], moved, graph.owner)
    w = weights(seed)
    np.testing.assert_allclose(asked(w, same), asked(w, graph), rtol=1e-10, atol=1e-12)


def test_edges_and_their_direction_matter() -> None:
    path = Graphs(
        np.random.default_rng(0).normal(size=(3, FEATURES)),
        np.ones(3),
        np.array([[0, 1], [1, 2]]),
        np.zeros(3, np.intp),
    )
    w = weights()
    for edges in (path.edges[::-1], path.edges[:, :1]):
        other = replace(path, edges=edges)
        assert np.abs(asked(w, other) - asked(w, path)).max() > 1e-3


def test_gradients_are_right() -> None:
    graphs = random_graphs(3, 3)
    w = weights(members=1)
    wiring, names = Wiring.of(graphs), list(w)
    features = torch.tensor(graphs.features)[None].requires_grad_(True)

    def function(inputs: torch.Tensor, *tensors: torch.Tensor) -> torch.Tensor:
        return answers(dict(zip(names, tensors, strict=True)), inputs, wiring)

    assert torch.autograd.gradcheck(function, (features, *w.values()))


@settings(max_examples=25, deadline=None)
@given(st.lists(st.integers(0, 6), min_size=1, max_size=9), st.integers(0, 100))
def test_some_graphs_are_those_graphs(chosen: list[int], seed: int) -> None:
    graphs, w = random_graphs(seed), weights()
    found = asked(w, graphs.only(np.array(chosen)))
    np.testing.assert_allclose(found, asked(w, graphs)[:, chosen], rtol=1e-10, atol=1e-12)


@pytest.mark.parametrize(
    ("changed", "problem"),
    [
        ({"features": np.full((3, 1), np.nan)}, "not finite"),
        ({"nominal": np.array([1.0, 0.0, 1.0])}, "not above 0"),
        ({"edges": np.array([[0], [3]])}, "none of 3"),
        ({"edges": np.array([[0], [2]])}, "between graphs"),
        ({"owner": np.array([0, 0, 2])}, "without nodes"),
        ({"features": np.ones((2, 1))}, "2 rows of features for 3 nodes"),
    ],
)
def test_what_is_no_graph_is_refused(changed: dict[str, np.ndarray], problem: str) -> None:
    good = Graphs(np.ones((3, 1)), np.ones(3), np.array([[0], [1]]), np.array([0, 0, 1]))
    with pytest.raises(ConfigError, match=problem):
        replace(good, **changed)


def test_they_learn_costs_that_depend_on_what_runs_before() -> None:
    """A node of the second kind takes three times as long after one of the first."""
    generator = np.random.default_rng(0)
    parts, times = [], []
    for _ in range(120):
        kinds = generator.integers(0, 2, generator.integers(2, 6))
        places = np.arange(len(kinds))
        edges = np.stack([places[:-1], places[1:]])
        parts.append(
            Graphs(np.eye(2)[kinds], np.ones(len(kinds)), edges, np.zeros(len(kinds), np.intp))
        )
        after = np.concatenate([[False], kinds[:-1] == 0]) & (kinds == 1)
        times.append(np.where(after, 3.0, 1.0).sum())
    graphs, target = Graphs.joined(parts), np.log(times)[:, None]
    shown = np.arange(120) < 80
    found = GraphNetworks.trained(
        graphs,
        target,
        shown[:, None].astype(np.float64),
        0,
        Descent(120, 0.02, 0.01, 99),
        hidden=8,
        rounds=1,
    )
    errors = np.abs(found.votes(graphs)[~shown] - target[~shown])
    assert errors.mean() < 0.05 < np.abs(target - target.mean()).mean()


def test_targets_of_other_graphs_and_free_ones_are_refused() -> None:
    graphs = random_graphs(0, 2)
    for target in (np.zeros((3, 1)), np.array([[0.0], [-np.inf]])):
        with pytest.raises(ConfigError, match=r"of shape|above 0"):
            GraphNetworks.trained(
                graphs, target, np.ones_like(target), 0, Descent(1, 0.1, 0, 9), hidden=2, rounds=1
            )
