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

from elat.search.expected_latency import ExpectedLatency
from elat.search.gates import one_hot, sample_choices, straight_through
from elat.search.lagrangian import AugmentedLagrangian
from elat.search.supernet import Supernet

BATCH = 64


@pytest.fixture(scope="module")
def supernet(space):
    return Supernet(space, torch.Generator().manual_seed(0))


@pytest.fixture(scope="module")
def batch(space):
    generator = torch.Generator().manual_seed(1)
    images = torch.randn(BATCH, *space.input_shape, generator=generator)
    return images, torch.randint(10, (BATCH,), generator=generator)


def architecture_step(supernet, batch, choices):
    """The gradient of the architecture parameters, as `proxyless-g` takes it."""
    images, labels = batch
    probs = supernet.probabilities()
    loss = torch.nn.functional.cross_entropy(
        supernet(images, straight_through(probs, choices)), labels
    )
    return torch.autograd.grad(loss, [supernet.logits])


def test_expected_latency(benchmark, figure, space, supernet, batch):
    """E[LAT], the penalty, its gradient and the multipliers' update; a device's costs are a buffer
    of the same shape as these MACs."""
    cost = ExpectedLatency.from_macs(space)
    limit = cost.quantile(0.35, 1000, torch.Generator().manual_seed(0))
    lagrangian = AugmentedLagrangian(10.0, 0.05, (0.1,), (0.1,))

    def bound_part():
        probs = supernet.probabilities()
        violations = torch.stack([cost(probs) / limit - 1])
        torch.autograd.grad(lagrangian.penalty(violations), [supernet.logits])
        return lagrangian.updated(violations.detach().tolist(), 1.0)

    generator = torch.Generator().manual_seed(2)
    steps = []
    for _ in range(7):
        choices = sample_choices(supernet.probabilities(), generator)
        started = time.thread_time()
        architecture_step(supernet, batch, choices)
        steps.append(time.thread_time() - started)
    benchmark(bound_part)
    parts = []
    for _ in range(200):
        started = time.thread_time()
        bound_part()
        parts.append(time.thread_time() - started)
    step_ms, part_ms = (1e3 * statistics.median(times) for times in (steps, parts))
    figure("E[LAT] and bound", part_ms, "ms")
    figure("architecture step, batch 64", step_ms, "ms")
    figure("E[LAT] and bound in an architecture step", 100 * part_ms / step_ms, "%", most=1)


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
    """Activations of an architecture step against those of one plain path, and of all paths."""
    images, labels = batch
    width = supernet.mask.shape[1]
    choices = torch.zeros(len(supernet.space.blocks), dtype=torch.long)
    gates = straight_through(supernet.probabilities(), choices)

    def plain_step():
        x = images.clone().requires_grad_()
        loss = torch.nn.functional.cross_entropy(supernet(x, one_hot(choices, width)), labels)
        torch.autograd.grad(loss, [x])

    def all_paths_step():
        open_gates = straight_through(supernet.probabilities(), choices)
        loss = torch.nn.functional.cross_entropy(all_paths(supernet, images, open_gates), labels)
        torch.autograd.grad(loss, [supernet.logits])

    def kept():
        return (
            kept_bytes(supernet, partial(supernet, images, one_hot(choices, width))),
            kept_bytes(supernet, partial(supernet, images, gates)),
            kept_bytes(supernet, partial(all_paths, supernet, images, gates)),
        )

    one, ours, every = benchmark.pedantic(kept, rounds=1, iterations=1)
    figure("kept for the backward pass: architecture step / one path", ours / one, "x", most=1.1)
    figure("kept for the backward pass: all paths / one path", every / one, "x")
    plain, gated, full = (
        peak_bytes(step)
        for step in (
            plain_step,
            partial(architecture_step, supernet, batch, choices),
            all_paths_step,
        )
    )
    figure("peak alive: one path", plain / 2**20, "MiB")
    figure("peak alive: architecture step / one path", gated / plain, "x", most=1.1)
    figure("peak alive: all paths / one path", full / plain, "x")
