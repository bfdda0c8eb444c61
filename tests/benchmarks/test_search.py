"""What a latency bound and binary gates cost a search step."""

from __future__ import annotations

import statistics
import time
from functools import partial

import pytest
import torch
from torch.multiprocessing.reductions import StorageWeakRef
from torch.utils._python_dispatch import TorchDispatchMode
from torch.utils._pytree import tree_leaves

from elat.search.architecture import Architecture
from elat.search.block_supernet import BlockSupernet
from elat.search.bound import Bound
from elat.search.data import TensorData
from elat.search.depthwise import speed_up_depthwise
from elat.search.expected_latency import ExpectedLatency
from elat.search.gates import GateMode, one_hot, sample_choices, sample_two
from elat.search.path_training import PathSettings, PathTraining
from elat.search.relaxations import Mechanism, RelaxationOptions, relaxation_of
from elat.search.strategies import Problem

BATCH = 64


@pytest.fixture(scope="module")
def supernet(space):
    return BlockSupernet(space, torch.Generator().manual_seed(0))


@pytest.fixture(scope="module")
def batch(space):
    generator = torch.Generator().manual_seed(1)
    images = torch.randn(BATCH, *space.input_shape, generator=generator)
    return images, torch.randint(10, (BATCH,), generator=generator)


def architecture_step(supernet, batch, choices, mode=GateMode.RECOMPUTE, involved=None):
    """The gradient of the gates, as `proxyless-g` takes it."""
    images, labels = batch
    gates = one_hot(choices, supernet.mask.shape[1]).requires_grad_()
    logits = supernet(images, gates, mode, involved)
    return torch.autograd.grad(torch.nn.functional.cross_entropy(logits, labels), [gates])


def test_expected_latency(benchmark, figure, space, supernet, batch):
    """E[LAT], its part of the gradient, the multipliers' update and Adam's step; a device's costs
    are a buffer of the same shape as these MACs."""
    cost = ExpectedLatency.from_macs(space)
    limit = cost.quantile(0.35, 1000, torch.Generator().manual_seed(0))
    relaxation = relaxation_of(
        Mechanism.AUGMENTED_LAGRANGIAN,
        [cost],
        [Bound("macs", limit)],
        RelaxationOptions(rate=0.03),
        torch.Generator().manual_seed(0),
    )
    gradient = torch.zeros_like(supernet.uniform())
    generator = torch.Generator().manual_seed(2)
    steps = []
    for _ in range(7):
        choices = sample_choices(supernet.uniform(), generator)
        started = time.thread_time()
        architecture_step(supernet, batch, choices)
        steps.append(time.thread_time() - started)
    benchmark(relaxation.step, 2.0, gradient)
    parts = []
    for _ in range(200):
        started = time.thread_time()
        relaxation.step(2.0, gradient)
        parts.append(time.thread_time() - started)
    step_ms, part_ms = (1e3 * statistics.median(times) for times in (steps, parts))
    figure("step of the relaxation: E[LAT], bound and Adam", part_ms, "ms")
    figure("gate gradients, batch 64", step_ms, "ms")
    figure("the first in the second", 100 * part_ms / step_ms, "%", most=1)


class Peak(TorchDispatchMode):
    """Greatest number of bytes that were alive at once of what was allocated under it."""

    def __init__(self):
        super().__init__()
        self.bytes = 0
        self._live = {}

    def __torch_dispatch__(self, function, types, args=(), kwargs=None):
        before = {
            tensor.untyped_storage().data_ptr()
            for tensor in tree_leaves((args, kwargs or {}))
            if isinstance(tensor, torch.Tensor)
        }
        result = function(*args, **(kwargs or {}))
        self._live = {k: v for k, v in self._live.items() if not v[0].expired()}
        for tensor in tree_leaves(result):
            if isinstance(tensor, torch.Tensor):
                storage = tensor.untyped_storage()
                if storage.data_ptr() not in before:
                    self._live[storage.data_ptr()] = (StorageWeakRef(storage), storage.nbytes())
        self.bytes = max(self.bytes, sum(size for _, size in self._live.values()))
        return result


def peak_bytes(step):
    with Peak() as peak:
        step()
    return peak.bytes


def test_memory(benchmark, figure, supernet, batch, all_paths, kept_bytes):
    """Activations of an architecture step at 7 candidates against those of one plain path.

    The open path is the first candidate in every block, and the second of two is the last: where
    the last leaves the block out, its output is its input and takes nothing.
    """
    images, labels = batch
    count = supernet.mask.shape[1]
    choices = torch.zeros(len(supernet.space.blocks), dtype=torch.long)
    gates = one_hot(choices, count)
    open_gates = gates.clone().requires_grad_()
    pair = gates.bool() | one_hot(choices + 3, count).bool()
    modes = ((GateMode.RECOMPUTE, None), (GateMode.TWO, pair), (GateMode.FULL, None))

    def plain_step():
        x = images.clone().requires_grad_()
        loss = torch.nn.functional.cross_entropy(supernet(x, gates), labels)
        torch.autograd.grad(loss, [x])

    def all_paths_step():
        loss = torch.nn.functional.cross_entropy(all_paths(supernet, images, open_gates), labels)
        torch.autograd.grad(loss, [open_gates])

    def kept():
        one = kept_bytes(supernet, partial(supernet, images, gates))
        every = kept_bytes(supernet, partial(all_paths, supernet, images, open_gates))
        found = [
            kept_bytes(supernet, partial(supernet, images, open_gates, mode, involved))
            for mode, involved in modes
        ]
        return [value / one for value in (*found, every)]

    targets = (1.02, 1.15, None)
    *found, every = benchmark.pedantic(kept, rounds=1, iterations=1)
    for (mode, _), ratio, most in zip(modes, found, targets, strict=True):
        figure(f"kept for the backward pass: {mode} / one path", ratio, "x", most=most)
    figure("kept for the backward pass: all paths / one path", every, "x")
    plain = peak_bytes(plain_step)
    figure("peak alive: one path", plain / 2**20, "MiB")
    for mode, involved in modes:
        step = partial(architecture_step, supernet, batch, choices, mode, involved)
        most = 1.1 if mode is GateMode.RECOMPUTE else None
        figure(f"peak alive: {mode} / one path", peak_bytes(step) / plain, "x", most=most)
    figure("peak alive: all paths / one path", peak_bytes(all_paths_step) / plain, "x")


def test_step_time(benchmark, figure, space):
    """Weight and architecture steps against plain training of the same paths, interleaved.

    All compute depthwise gradients in the same way; `plain torch` is the network without it.
    """
    generator = torch.Generator().manual_seed(3)
    images = torch.randn(BATCH, *space.input_shape, generator=generator)
    labels = torch.randint(space.classes, (BATCH,), generator=generator)
    data = TensorData("noise", space.classes, (images, labels), (images, labels), seed=0)
    cost = ExpectedLatency.from_macs(space)
    bounds = (Bound("macs", cost.of(cost.slowest())),)
    training = PathTraining(Problem(space, (cost,), bounds, data, 0), PathSettings())
    supernet = training.supernet
    count = supernet.mask.shape[1]
    times = dict.fromkeys(("plain", "plain torch", "weights", *GateMode), 0.0)

    def timed(name, step):
        step()  # so that each finds the path's weights, momenta and free memory as the others do
        started = time.thread_time()
        step()
        times[name] += time.thread_time() - started

    def round_of_steps():
        choices = sample_choices(supernet.uniform(), generator)
        _, involved = sample_two(supernet.uniform(), generator)
        involved |= one_hot(choices, count).bool()
        gates = one_hot(choices, count)
        for name, is_fast in (("plain", True), ("plain torch", False)):
            timed(name, plain_training(supernet, space, choices, data, is_fast))
        timed("weights", partial(training.step, 0, gates, 0.5))
        for mode in GateMode:
            among = involved if mode is GateMode.TWO else None
            step = partial(training.gate_gradient, images, labels, gates, mode, among)
            timed(mode, step)

    round_of_steps()
    times.update(dict.fromkeys(times, 0.0))
    benchmark.pedantic(round_of_steps, rounds=9, iterations=1)
    targets = {"weights": 1.1, GateMode.RECOMPUTE: 2.5}
    figure("plain training step of a sampled path, batch 64", 1e3 * times["plain"] / 9, "ms")
    kinds = {"plain torch": "plain training, torch's own gradients", "weights": "weight step"}
    for name, spent in times.items():
        if name != "plain":
            kind = kinds.get(name, f"architecture step, {name}")
            ratio = spent / times["plain"]
            figure(f"{kind} / plain training", ratio, "x", most=targets.get(name))


def plain_training(supernet, space, choices, data, is_fast):
    """A step of training the path alone, with everything ready."""
    architecture = Architecture(space.name, tuple(choices.tolist()))
    network = supernet.derive(architecture)
    if is_fast:
        speed_up_depthwise(network)
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
