"""What a gate for every link costs a search step, in memory and in time."""

from __future__ import annotations

import time
from functools import partial

import pytest
import torch

from elat.search.architecture import Architecture
from elat.search.bound import Bound
from elat.search.data import TensorData
from elat.search.expected_latency import ExpectedLatency
from elat.search.gates import GateMode, one_hot, sample_choices
from elat.search.path_training import PathSettings, PathTraining
from elat.search.relaxations import Mechanism, RelaxationOptions, relaxation_of
from elat.search.spaces import find_space
from elat.search.strategies import Problem
from elat.search.supernets import supernet_of

BATCH = 64
SPACES = ("aggregation-40", "aggregation-sum")


@pytest.fixture(scope="module", params=SPACES)
def links(request):
    return find_space(request.param)


def test_memory_of_links(benchmark, figure, links, kept_bytes):
    """Activations kept for the backward pass, against those of the same links alone."""
    supernet = supernet_of(links, torch.Generator().manual_seed(0))
    images = torch.randn(8, *links.input_shape, generator=torch.Generator().manual_seed(1))
    drawn = links.draw(1, torch.Generator().manual_seed(2))[0]
    gates = one_hot(drawn, 2)

    def kept():
        one = kept_bytes(supernet, partial(supernet, images, gates))
        steps = {
            mode: kept_bytes(
                supernet, partial(supernet, images, gates.clone().requires_grad_(), mode)
            )
            for mode in (GateMode.RECOMPUTE, GateMode.FULL)
        }
        return {mode: value / one for mode, value in steps.items()}

    for mode, ratio in benchmark.pedantic(kept, rounds=1, iterations=1).items():
        most = 1.02 if mode is GateMode.RECOMPUTE else None
        figure(f"{links.name}, kept for backward: {mode} / open links", ratio, "x", most=most)


def test_expected_latency_of_links(benchmark, figure, links):
    """E[LAT] by the Poisson-binomial, its gradient, the multipliers and Adam, every step."""
    cost = ExpectedLatency.from_macs(links)
    limit = cost.quantile(0.35, 1000, torch.Generator().manual_seed(0))
    relaxation = relaxation_of(
        Mechanism.AUGMENTED_LAGRANGIAN,
        [cost],
        [Bound("macs", limit)],
        RelaxationOptions(rate=0.03),
        torch.Generator().manual_seed(0),
    )
    gradient = torch.zeros(cost.mask.shape, dtype=torch.float64)
    benchmark(relaxation.step, 2.0, gradient)
    part = []
    for _ in range(50):
        started = time.thread_time()
        relaxation.step(2.0, gradient)
        part.append(time.thread_time() - started)
    figure(f"{links.name}, step of the relaxation", 1e3 * sorted(part)[25], "ms")


def test_step_time_of_links(benchmark, figure, links):
    """Weight and architecture steps against plain training of the same networks, interleaved."""
    generator = torch.Generator().manual_seed(3)
    images = torch.randn(BATCH, *links.input_shape, generator=generator)
    labels = torch.randint(links.classes, (BATCH,), generator=generator)
    data = TensorData("noise", links.classes, (images, labels), (images, labels), seed=0)
    cost = ExpectedLatency.from_macs(links)
    bounds = (Bound("macs", cost.of(cost.slowest())),)
    training = PathTraining(Problem(links, (cost,), bounds, data, 0), PathSettings())
    supernet = training.supernet
    modes = (GateMode.RECOMPUTE, GateMode.FULL)  # of two options both are sampled: two is full
    times = dict.fromkeys(("plain", "weights", *modes), 0.0)

    def timed(name, step):
        step()
        started = time.thread_time()
        step()
        times[name] += time.thread_time() - started

    def round_of_steps():
        gates = one_hot(sample_choices(supernet.uniform(), generator), 2)
        timed("plain", plain_training(supernet, links, gates, data))
        timed("weights", partial(training.step, 0, gates, 0.5))
        for mode in modes:
            timed(mode, partial(training.gate_gradient, images, labels, gates, mode, None))

    round_of_steps()
    times.update(dict.fromkeys(times, 0.0))
    rounds = 5
    benchmark.pedantic(round_of_steps, rounds=rounds, iterations=1)
    figure(f"{links.name}, plain training step, batch 64", 1e3 * times["plain"] / rounds, "ms")
    for name in ("weights", *modes):
        kind = "weight step" if name == "weights" else f"architecture step, {name}"
        figure(f"{links.name}, {kind} / plain training", times[name] / times["plain"], "x")


def plain_training(supernet, space, gates, data):
    """A step of training the network of the open links alone."""
    architecture = Architecture(space.name, tuple(gates.argmax(dim=-1).tolist()))
    network = supernet.derive(architecture)
    optimiser = torch.optim.SGD(
        network.parameters(), lr=0.1, momentum=0.9, nesterov=True, weight_decay=4e-5
    )

    def step():
        images, labels = data.train_batch(0, BATCH)
        optimiser.zero_grad(set_to_none=True)
        logits = network(images.contiguous(memory_format=torch.channels_last))
        loss = torch.nn.functional.cross_entropy(logits, labels, label_smoothing=0.1)
        loss.backward()
        optimiser.step()
        float(loss.detach())

    return step
