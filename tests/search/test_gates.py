"""The gate gradient against closed forms, autograd and enumeration, in float64."""

from __future__ import annotations

import itertools
from dataclasses import replace
from functools import partial

import pytest
import torch
from torch import nn

from elat.search.block_supernet import BlockSupernet
from elat.search.gates import GateMode, one_hot, sample_choices, sample_two, straight_through
from elat.search.spaces import space_from_description

from .conftest import TOY


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
    supernet = BlockSupernet(space, torch.Generator().manual_seed(seed), dtype=torch.float64)
    for part in supernet.modules():
        if isinstance(part, nn.BatchNorm2d):
            nn.init.uniform_(part.weight, 0.5, 1.5, generator=torch.Generator().manual_seed(4))
    return supernet


def some_probabilities(supernet, seed=3):
    logits = torch.randn(
        supernet.mask.shape, generator=torch.Generator().manual_seed(seed), dtype=torch.float64
    )
    return logits.masked_fill(~supernet.mask, -torch.inf).softmax(dim=-1)


def test_pairs_are_drawn_without_replacement():
    """P(pair) = p_i p_j / (1 - p_i) + p_j p_i / (1 - p_j); i is open with p_i / (p_i + p_j)."""
    generator = torch.Generator().manual_seed(4)
    p = torch.tensor([0.64, 0.2, 0.16], dtype=torch.float64)
    draws = 20_000
    choices, involved = sample_two(p.expand(draws, 3), generator)
    assert (involved.sum(dim=-1) == 2).all()
    assert involved.gather(1, choices[:, None]).all()
    for i, j in [(0, 1), (0, 2), (1, 2)]:
        pair = involved[:, i] & involved[:, j]
        wanted = p[i] * p[j] / (1 - p[i]) + p[j] * p[i] / (1 - p[j])
        # Four standard deviations of a share.
        assert float(pair.double().mean() - wanted) == pytest.approx(0, abs=2 / draws**0.5)
        opened = (choices[pair] == i).double().mean()
        assert float(opened - p[i] / (p[i] + p[j])) == pytest.approx(
            0, abs=2 / float(pair.sum()) ** 0.5
        )
    # Hence a candidate is not open with its own probability.
    marginal = sum(
        (p[0] * p[j] / (1 - p[0]) + p[j] * p[0] / (1 - p[j])) * p[0] / (p[0] + p[j])
        for j in (1, 2)
    )
    assert abs(float(marginal) - 0.64) > 0.01
    assert float((choices == 0).double().mean() - marginal) == pytest.approx(0, abs=2 / draws**0.5)


def test_a_single_candidate_is_a_pair_of_its_own():
    p = torch.tensor([[1.0, 0.0, 0.0], [0.5, 0.5, 0.0]], dtype=torch.float64)
    choices, involved = sample_two(p, torch.Generator())
    assert involved.tolist() == [[True, False, False], [True, True, False]]
    assert int(choices[0]) == 0


@pytest.mark.parametrize("mode", [GateMode.FULL, GateMode.RECOMPUTE])
@pytest.mark.parametrize("choices", [(0, 1, 2), (4, 0, 4), (2, 3, 4), (4, 2, 0)])
def test_gate_gradients_equal_autograd_over_all_paths(toy, all_paths, choices, mode):
    """Through `onehot - p.detach() + p`, to the parameters of the softmax.

    Also where `Zero`, the last candidate of blocks 0 and 2, is open, and where it is closed.
    """
    supernet = double(toy)
    images = torch.randn(6, 1, 8, 8, dtype=torch.float64, generator=torch.Generator())
    labels = torch.tensor([0, 1, 2, 3, 0, 1])
    p = some_probabilities(supernet)
    gates = one_hot(torch.tensor(choices), 5).requires_grad_()
    loss = nn.functional.cross_entropy(supernet(images, gates, mode), labels)
    (d,) = torch.autograd.grad(loss, gates)
    closed = p * (d - (p * d).sum(dim=-1, keepdim=True))
    logits = p.log().clamp(min=-1e3).requires_grad_()
    free = torch.softmax(logits, dim=-1)
    mixed = one_hot(torch.tensor(choices), 5) - free.detach() + free
    reference = nn.functional.cross_entropy(all_paths(supernet, images, mixed), labels)
    torch.testing.assert_close(loss, reference, rtol=1e-12, atol=0)
    (expected,) = torch.autograd.grad(reference, logits)
    torch.testing.assert_close(closed, expected, rtol=1e-9, atol=1e-12)


@pytest.mark.parametrize("mode", list(GateMode))
def test_weights_get_the_gradient_of_the_open_path_alone(toy, all_paths, mode):
    supernet = double(toy)
    images = torch.randn(6, 1, 8, 8, dtype=torch.float64, generator=torch.Generator())
    labels = torch.tensor([0, 1, 2, 3, 0, 1])
    found = []
    for forward in (partial(supernet, mode=mode), partial(all_paths, supernet)):
        for parameter in supernet.parameters():
            parameter.grad = None
        gates = one_hot(torch.tensor((0, 1, 2)), 5).requires_grad_()
        nn.functional.cross_entropy(forward(images, gates=gates), labels).backward()
        found.append(
            {
                name: value.grad.clone()
                for name, value in supernet.named_parameters()
                if value.grad is not None and value.grad.abs().max() > 0
            }
        )
    grads, expected = found
    assert grads.keys() == expected.keys()
    for name, value in grads.items():
        torch.testing.assert_close(value, expected[name], rtol=1e-10, atol=1e-10, msg=name)


def test_of_two_involved_only_they_get_a_gradient_and_it_is_the_same(toy):
    supernet = double(toy)
    images = torch.randn(6, 1, 8, 8, dtype=torch.float64, generator=torch.Generator())
    choices, involved = sample_two(some_probabilities(supernet), torch.Generator().manual_seed(2))
    gates = one_hot(choices, 5).requires_grad_()
    grads = [
        torch.autograd.grad(supernet(images, gates, mode, among).square().sum(), gates)[0]
        for mode, among in ((GateMode.RECOMPUTE, None), (GateMode.TWO, involved))
    ]
    torch.testing.assert_close(grads[1], grads[0] * involved, rtol=1e-10, atol=1e-12)
    assert (grads[1][involved & (grads[0] != 0)] != 0).all()


def test_an_open_zero_still_teaches_its_block(toy):
    supernet = double(toy)
    images = torch.randn(6, 1, 8, 8, dtype=torch.float64, generator=torch.Generator())
    gates = one_hot(torch.tensor([4, 0, 4]), 5).requires_grad_()
    (grad,) = torch.autograd.grad(supernet(images, gates).square().sum(), gates)
    assert (grad[0, :4] != 0).all()
    assert (grad[2, :4] != 0).all()
    assert (grad[[0, 2], 4] == 0).all()  # the output does not change with a branch of zeros
    assert grad[1, 4] == 0  # padding


@pytest.mark.parametrize("mode", [GateMode.FULL, GateMode.RECOMPUTE])
def test_in_a_block_without_skip_an_empty_place_passes_its_input(all_paths, mode):
    """Its gate gets <dL/dy, x>, as any other candidate's."""
    space = space_from_description({**TOY, "name": "plain"})
    supernet = double(space)
    supernet.space = _Plain(space)
    images = torch.randn(6, 1, 8, 8, dtype=torch.float64, generator=torch.Generator())
    found = []
    for forward in (partial(supernet, mode=mode), partial(all_paths, supernet)):
        gates = one_hot(torch.tensor([4, 0, 1]), 5).requires_grad_()
        found.append(torch.autograd.grad(forward(images, gates=gates).square().sum(), gates)[0])
    torch.testing.assert_close(found[0], found[1], rtol=1e-10, atol=1e-12)
    assert (found[0][[0, 2], 4] != 0).all()


class _Plain:
    """A space whose blocks are said to have no skip."""

    def __init__(self, space):
        self.program = space.program
        self.blocks = tuple(replace(block, is_residual=False) for block in space.blocks)


def test_sampled_gradient_agrees_with_enumeration(toy):
    """Mean of the estimator over gates drawn from p, against the sum over all 100 paths."""
    supernet = double(toy)
    images = torch.randn(4, 1, 8, 8, dtype=torch.float64, generator=torch.Generator())
    labels = torch.tensor([0, 1, 2, 3])
    p = some_probabilities(supernet)
    grads: dict[tuple[int, ...], torch.Tensor] = {}
    weights: dict[tuple[int, ...], float] = {}
    for choices in itertools.product(range(5), range(4), range(5)):
        gates = one_hot(torch.tensor(choices), 5).requires_grad_()
        loss = nn.functional.cross_entropy(supernet(images, gates), labels)
        (d,) = torch.autograd.grad(loss, [gates])
        grads[choices] = p * (d - (p * d).sum(dim=-1, keepdim=True))
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
