from __future__ import annotations

import copy
import weakref
from functools import partial

import pytest
import torch
from torch import nn

from elat.search.block_supernet import BlockSupernet
from elat.search.evaluate import accuracy, accuracy_and_loss, calibrate_batch_norm
from elat.search.gates import GateMode, one_hot
from elat.search.spaces import block_space, space_from_description


@pytest.fixture
def supernet(toy):
    supernet = BlockSupernet(toy, torch.Generator().manual_seed(0))
    for part in supernet.modules():
        if isinstance(part, nn.BatchNorm2d):  # residual branches begin at zero
            nn.init.ones_(part.weight)
    return supernet


def images(count=6):
    return torch.randn(count, 1, 8, 8, generator=torch.Generator().manual_seed(1))


def test_the_same_generator_gives_the_same_weights(toy):
    state = torch.random.get_rng_state()
    first, again = (BlockSupernet(toy, torch.Generator().manual_seed(0)) for _ in range(2))
    assert torch.equal(state, torch.random.get_rng_state())
    pairs = zip(first.parameters(), again.parameters(), strict=True)
    assert all(torch.equal(a, b) for a, b in pairs)


def test_residual_blocks_begin_as_identities(toy):
    fresh = BlockSupernet(toy, torch.Generator().manual_seed(0))
    outputs = [
        fresh(images(), one_hot(torch.tensor([first, 0, last]), 5))
        for first, last in [(0, 1), (4, 4), (3, 0)]
    ]
    torch.testing.assert_close(outputs[1], outputs[0])
    torch.testing.assert_close(outputs[2], outputs[0])


def test_equal_probabilities_leave_the_padding_out(supernet):
    probs = supernet.uniform()
    assert probs.dtype == torch.float64
    torch.testing.assert_close(probs.sum(dim=-1), torch.ones(3, dtype=torch.float64))
    assert probs[1, 4] == 0
    assert torch.equal(supernet.uniform()[1, :4], torch.full((4,), 0.25, dtype=torch.float64))


def test_derived_network_computes_the_open_path(toy, supernet):
    """In training mode both use the batch's statistics."""
    for architecture in [toy.sample(torch.Generator().manual_seed(s)) for s in range(6)]:
        network = supernet.derive(architecture)
        expected = supernet(images(), supernet.gates(architecture))
        torch.testing.assert_close(network(images()), expected, rtol=1e-5, atol=1e-6)
        plain = supernet.space.network(architecture)
        assert sum(p.numel() for p in network.parameters()) == plain.params


def test_derived_weights_are_a_copy(toy, supernet):
    architecture = toy.sample(torch.Generator().manual_seed(3))
    before = copy.deepcopy(supernet.state_dict())
    network = supernet.derive(architecture)
    with torch.no_grad():
        for parameter in network.parameters():
            parameter.add_(1)
    network.train()(images())
    assert all(torch.equal(before[k], v) for k, v in supernet.state_dict().items())


def test_the_supernet_keeps_no_running_statistics(supernet):
    assert not any("running" in name for name in supernet.state_dict())
    gates = one_hot(torch.tensor([0, 0, 0]), 5)
    trained = supernet.train()(images(), gates)
    assert torch.equal(supernet.eval()(images(), gates), trained)


def test_a_weight_step_leaves_closed_paths_alone(supernet):
    """Neither weight decay nor momentum moves them."""
    optimiser = torch.optim.SGD(
        supernet.weights(), lr=0.1, momentum=0.9, nesterov=True, weight_decay=0.1
    )

    def step(choices):
        optimiser.zero_grad(set_to_none=True)
        logits = supernet(images(), one_hot(torch.tensor(choices), 5))
        nn.functional.cross_entropy(logits, torch.tensor([0, 1, 2, 3, 0, 1])).backward()
        optimiser.step()

    step([0, 0, 0])
    before = {name: value.detach().clone() for name, value in supernet.named_parameters()}
    step([1, 2, 4])
    moved = {
        name for name, value in supernet.named_parameters() if not torch.equal(value, before[name])
    }
    opened = ("fixed.", "blocks.0.1.", "blocks.1.2.")
    assert moved == {name for name in before if name.startswith(opened)}


@pytest.mark.parametrize("mode", list(GateMode))
def test_an_architecture_step_gives_weights_no_gradient(supernet, mode):
    gates = one_hot(torch.tensor([0, 1, 2]), 5).requires_grad_()
    (grad,) = torch.autograd.grad(supernet(images(), gates, mode).sum(), [gates])
    assert grad.abs().sum() > 0
    assert all(parameter.grad is None for parameter in supernet.parameters())


@pytest.mark.parametrize("mode", list(GateMode))
def test_every_mode_gives_the_output_of_the_open_path(supernet, mode):
    gates = one_hot(torch.tensor([0, 1, 4]), 5)
    plain = supernet(images(), gates)
    assert torch.equal(supernet(images(), gates.clone().requires_grad_(), mode), plain)


def test_several_open_paths_are_averaged(toy, supernet):
    """Each block's output is the mean of its open candidates'; one of them leaves block 2 out."""
    gates = one_hot(torch.tensor([0, 1, 2]), 5)
    gates[0, 1] = gates[2, 4] = 1.0
    x, fixed = images(), iter(supernet.fixed)
    for step in toy.program:
        if step.block is None:
            x = next(fixed)(x)
        else:
            opened = gates[step.block].nonzero().flatten().tolist()
            x = sum(supernet.blocks[step.block][k](x) for k in opened) / len(opened)
    torch.testing.assert_close(supernet(images(), gates), x, rtol=1e-5, atol=1e-6)


def test_a_value_is_let_go_after_its_last_reader(toy, supernet):
    """Of the outputs of earlier steps only what a later step reads is alive while one runs."""
    outputs: list[weakref.ref[torch.Tensor]] = []
    alive: list[int] = []

    def hook(module, inputs, output):
        alive.append(sum(ref() is not None for ref in outputs))
        outputs.append(weakref.ref(output))

    parts = [*supernet.fixed, *(block[0] for block in supernet.blocks)]
    hooks = [part.register_forward_hook(hook) for part in parts]
    with torch.no_grad():
        supernet(images(), one_hot(torch.tensor([0, 0, 0]), 5))
    for handle in hooks:
        handle.remove()
    assert len(outputs) == len(toy.program)
    assert max(alive) <= 2  # what the step reads, and what the step before read


def test_under_autocast_the_backward_pass_recomputes_as_the_forward_pass_computed(supernet):
    gates = one_hot(torch.tensor([0, 1, 2]), 5).requires_grad_()
    found = []
    for mode in (GateMode.FULL, GateMode.RECOMPUTE):
        with torch.autocast("cpu", dtype=torch.bfloat16):
            logits = supernet(images(), gates, mode)
        assert logits.dtype == torch.bfloat16
        (grad,) = torch.autograd.grad(logits.float().square().sum(), gates)
        found.append(grad)
    # Equal but for where a candidate's output is rounded on its way into the product.
    torch.testing.assert_close(found[0], found[1], rtol=1e-6, atol=1e-6)
    logits = supernet(images(), gates)
    (exact,) = torch.autograd.grad(logits.square().sum(), gates)
    # bfloat16 keeps 8 bits, and batch norm over 6 images magnifies what is lost.
    assert (found[1] - exact).abs().max() < 0.3 * exact.abs().max()


def test_calibrated_batch_norm_has_the_average_statistics(toy, supernet):
    network = supernet.derive(toy.sample(torch.Generator().manual_seed(2)))
    norm = next(m for m in network.modules() if isinstance(m, nn.BatchNorm2d))
    seen = []
    hook = norm.register_forward_pre_hook(lambda _, inputs: seen.append(inputs[0]))
    calibrate_batch_norm(network, [(images(4), torch.zeros(4)), (images(8), torch.zeros(8))])
    hook.remove()
    means = torch.stack([x.mean(dim=(0, 2, 3)) for x in seen]).mean(dim=0)
    torch.testing.assert_close(norm.running_mean, means, rtol=1e-5, atol=1e-6)
    assert norm.momentum == 0.1
    assert not network.training


def test_accuracy_counts_every_image_once():
    network = nn.Sequential(nn.Flatten(), nn.Identity())
    logits = torch.eye(4).reshape(4, 4, 1, 1)
    batches = [(logits[:3], torch.tensor([0, 1, 3])), (logits[3:], torch.tensor([3]))]
    assert accuracy(network, batches) == 0.75
    share, loss = accuracy_and_loss(network, batches)
    labels = torch.tensor([0, 1, 3, 3])
    expected = float(nn.functional.cross_entropy(logits.reshape(4, 4), labels))
    assert (share, loss) == (0.75, pytest.approx(expected, rel=1e-6))


@pytest.mark.parametrize(
    ("kernels", "expansions"), [([3, 5], [3]), ([3, 5], [3, 6]), ([3, 5, 7], [3, 6])]
)
def test_an_architecture_step_keeps_the_activations_of_one_path(
    all_paths, kept_bytes, kernels, expansions
):
    """O(1) paths instead of O(N), as the paper claims (section 3.2), and of two little more."""
    widths = [16, 8, 16, 8, 16]
    space = block_space(
        space_from_description(
            {
                "family": "mbconv-chain",
                "name": "wide",
                "resolution": 16,
                "in_channels": 1,
                "classes": 4,
                "stem": {"width": 8, "stride": 1},
                "first": 8,
                "stages": [{"width": width, "blocks": 1, "stride": 1} for width in widths],
                "kernels": kernels,
                "expansions": expansions,
                "head": 8,
            }
        ),
        "a test",
    )
    supernet = BlockSupernet(space, torch.Generator().manual_seed(0))
    x = torch.randn(4, 1, 16, 16)
    count = supernet.mask.shape[1]
    kept: dict[GateMode, list[int]] = {mode: [] for mode in GateMode}
    single = []
    for index in range(count):
        choices = torch.full((len(widths),), index)
        gates = one_hot(choices, count)
        open_gates = gates.clone().requires_grad_()
        single.append(kept_bytes(supernet, partial(supernet, x, gates)))
        pair = gates.bool() | one_hot((choices + 1) % count, count).bool()
        for mode in GateMode:
            involved = pair if mode is GateMode.TWO else None
            forward = partial(supernet, x, open_gates, mode, involved)
            kept[mode].append(kept_bytes(supernet, forward))
    every = kept_bytes(supernet, partial(all_paths, supernet, x, open_gates))

    def worst(mode):
        return max(many / one for many, one in zip(kept[mode], single, strict=True))

    assert worst(GateMode.RECOMPUTE) <= 1.02
    assert worst(GateMode.TWO) <= 1.25
    assert worst(GateMode.RECOMPUTE) < worst(GateMode.TWO) <= worst(GateMode.FULL)
    assert 0.9 <= every / sum(single) <= 1.15
