"""The gate gradient against closed forms, autograd and enumeration, in float64."""

from __future__ import annotations

import itertools

import pytest
import torch
from torch import nn

from elat.search.gates import one_hot, sample_choices, straight_through
from elat.search.supernet import Supernet


def candidates(count, generator):
    weights = torch.randn((count, 5, 5), generator=generator, dtype=torch.float64) * 0.6
    return [lambda x, w=w: torch.tanh(x @ w.T) for w in weights]


def probabilities(generator, blocks, choices):
    return torch.randn((blocks, choices), generator=generator, dtype=torch.float64)


def test_straight_through_gives_the_closed_form():
    """p * (d - <p, d>) for the gate gradient d (Cai et al. 2019, equation 4)."""
    generator = torch.Generator().manual_seed(0)
    alpha = probabilities(generator, 3, 4).requires_grad_()
    d = torch.randn((3, 4), generator=generator, dtype=torch.float64)
    choices = torch.tensor([1, 0, 3])
    gates = straight_through(alpha.softmax(dim=-1), choices)
    assert torch.equal(gates.detach(), one_hot(choices, 4))
    (gates * d).sum().backward()
    p = alpha.detach().softmax(dim=-1)
    closed = p * (d - (p * d).sum(dim=-1, keepdim=True))
    double_loop = torch.zeros_like(d)
    for b, i, j in itertools.product(range(3), range(4), range(4)):
        double_loop[b, i] += d[b, j] * p[b, j] * (float(i == j) - p[b, i])
    torch.testing.assert_close(alpha.grad, closed, rtol=1e-12, atol=1e-15)
    torch.testing.assert_close(closed, double_loop, rtol=1e-12, atol=1e-15)


def test_expected_gradient_is_exact_where_the_loss_is_linear():
    """E over gates of the estimator equals dJ/dalpha = p (L - J)."""
    generator = torch.Generator().manual_seed(1)
    ops = candidates(4, generator)
    x, c = (torch.randn(5, generator=generator, dtype=torch.float64) for _ in range(2))
    alpha = probabilities(generator, 1, 4)
    p = alpha.softmax(dim=-1)[0]
    losses = torch.stack([(c * op(x)).sum() for op in ops])
    exact = p * (losses - (p * losses).sum())
    total = torch.zeros(4, dtype=torch.float64)
    for k in range(4):
        a = alpha.clone().requires_grad_()
        gates = straight_through(a.softmax(dim=-1), torch.tensor([k]))[0]
        (c * sum(g * op(x) for g, op in zip(gates, ops, strict=True))).sum().backward()
        total += p[k] * a.grad[0]
    torch.testing.assert_close(total, exact, rtol=1e-10, atol=1e-14)


def test_sampling_follows_the_probabilities():
    generator = torch.Generator().manual_seed(2)
    p = torch.tensor([[0.1, 0.6, 0.3], [1.0, 0.0, 0.0]], dtype=torch.float64)
    counts = torch.zeros((2, 3))
    for _ in range(3000):
        counts += one_hot(sample_choices(p, generator), 3)
    # Three standard deviations of a share from 3,000 draws.
    torch.testing.assert_close(counts.double() / 3000, p, rtol=0, atol=3 * 0.5 / 3000**0.5)
    assert counts[1, 0] == 3000


def double(space, seed=0):
    """A supernet whose residual branches are no longer zero, as after some training."""
    supernet = Supernet(space, torch.Generator().manual_seed(seed), dtype=torch.float64)
    for part in supernet.modules():
        if isinstance(part, nn.BatchNorm2d):
            nn.init.uniform_(part.weight, 0.5, 1.5, generator=torch.Generator().manual_seed(4))
    return supernet


@pytest.mark.parametrize("choices", [(0, 1, 2), (4, 0, 4), (2, 3, 4), (4, 2, 0)])
def test_recomputing_equals_autograd_over_all_paths(toy, all_paths, choices):
    """Also where `Zero`, the last candidate of blocks 0 and 2, is open, and where it is closed."""
    supernet = double(toy)
    images = torch.randn(6, 1, 8, 8, dtype=torch.float64, generator=torch.Generator())
    labels = torch.tensor([0, 1, 2, 3, 0, 1])
    found = []
    for forward in (supernet, lambda x, g: all_paths(supernet, x, g)):
        for parameter in supernet.parameters():
            parameter.grad = None
        gates = straight_through(supernet.probabilities(), torch.tensor(choices))
        loss = nn.functional.cross_entropy(forward(images, gates), labels)
        loss.backward()
        weights = {
            name: value.grad.clone()
            for name, value in supernet.named_parameters()
            if value.grad is not None and value.grad.abs().max() > 0
        }
        found.append((loss.detach(), weights))
    (loss, grads), (reference, expected) = found
    torch.testing.assert_close(loss, reference, rtol=1e-12, atol=0)
    assert grads.keys() == expected.keys()
    for name, value in grads.items():
        torch.testing.assert_close(value, expected[name], rtol=1e-10, atol=1e-10, msg=name)


def test_an_open_zero_still_teaches_its_block(toy):
    supernet = double(toy)
    images = torch.randn(6, 1, 8, 8, dtype=torch.float64, generator=torch.Generator())
    gates = straight_through(supernet.probabilities(), torch.tensor([4, 0, 4]))
    supernet(images, gates).square().sum().backward()
    assert (supernet.logits.grad[0, :5] != 0).all()
    assert (supernet.logits.grad[2, :5] != 0).all()
    assert supernet.logits.grad[1, 4] == 0  # padding


def test_sampled_gradient_agrees_with_enumeration(toy):
    """Mean of the estimator over gates drawn from p, against the sum over all 100 paths."""
    supernet = double(toy)
    with torch.no_grad():
        supernet.logits.copy_(torch.randn(3, 5, generator=torch.Generator(), dtype=torch.float64))
    images = torch.randn(4, 1, 8, 8, dtype=torch.float64, generator=torch.Generator())
    labels = torch.tensor([0, 1, 2, 3])
    p = supernet.probabilities().detach()
    grads: dict[tuple[int, ...], torch.Tensor] = {}
    weights: dict[tuple[int, ...], float] = {}
    for choices in itertools.product(range(5), range(4), range(5)):
        gates = straight_through(supernet.probabilities(), torch.tensor(choices))
        loss = nn.functional.cross_entropy(supernet(images, gates), labels)
        (grads[choices],) = torch.autograd.grad(loss, [supernet.logits])
        weights[choices] = float(torch.stack([p[b, c] for b, c in enumerate(choices)]).prod())
    assert sum(weights.values()) == pytest.approx(1.0, rel=1e-12)
    share = torch.tensor(list(weights.values()), dtype=torch.float64)[:, None, None]
    every = torch.stack(list(grads.values()))
    exact = (share * every).sum(0)
    spread = (share * (every - exact).square()).sum(0).sqrt()
    generator = torch.Generator().manual_seed(7)
    draws = 20_000
    counted: dict[tuple[int, ...], int] = {}
    sampled = torch.multinomial(p.repeat(draws, 1), 1, generator=generator).reshape(draws, 3)
    for choices in map(tuple, sampled.tolist()):
        counted[choices] = counted.get(choices, 0) + 1
    mean = torch.stack([n * grads[c] for c, n in counted.items()]).sum(0) / draws
    # Four standard errors: 14 entries, all within with probability above 0.999.
    assert ((mean - exact).abs() <= 4 * spread / draws**0.5 + 1e-15).all()
