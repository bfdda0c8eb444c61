"""The supernet of links against plain networks and an explicit dense implementation, float64."""

from __future__ import annotations

import copy
from functools import partial

import pytest
import torch
from torch import nn

from elat.search.architecture import Architecture
from elat.search.evaluate import calibrate_batch_norm
from elat.search.gates import GateMode, one_hot, straight_through
from elat.search.link_supernet import LinkSupernet
from elat.search.spaces import find_space
from elat.search.supernets import supernet_of

from .aggregations import aggregations, networks

SPACES = {
    "concat": aggregations(3, 2),
    "sum": aggregations(3, 2, how="sum"),
    "free": aggregations(2, 1, previous="free"),
    "free sum": aggregations(2, 1, previous="free", how="sum"),
    "exponential": aggregations(5, candidates="exponential", extra=1),
}
PARTS = ("weights", "scales", "shifts")
LABELS = torch.tensor([0, 1, 2, 0, 1, 2])


@pytest.fixture(params=SPACES)
def space(request):
    return SPACES[request.param]


@pytest.fixture
def supernet(space):
    return trained(space)


def trained(space, dtype=torch.float64, seed=0):
    """A supernet whose batch norms are no longer fresh."""
    supernet = supernet_of(space, torch.Generator().manual_seed(seed), dtype=dtype)
    assert isinstance(supernet, LinkSupernet)
    generator = torch.Generator().manual_seed(4)
    for name, value in supernet.named_parameters():
        if "scales" in name or "bn.weight" in name:
            nn.init.uniform_(value, 0.5, 1.5, generator=generator)
        if "shifts" in name or "bn.bias" in name:
            nn.init.normal_(value, 0.0, 0.5, generator=generator)
    return supernet


def images(count=6, dtype=torch.float64):
    return torch.randn(count, 1, 8, 8, generator=torch.Generator().manual_seed(1), dtype=dtype)


def some_networks(space, count=6):
    """Sampled, and those with the fewest and the most links."""
    valid = sorted(networks(space), key=sum)
    drawn = space.draw(count, torch.Generator().manual_seed(2)).tolist()
    return [Architecture(space.name, tuple(c)) for c in (valid[0], valid[-1], *drawn)]


def some_states(space, count=6):
    """States of all links that are open with probability 1/2; with `free` some are no networks."""
    generator = torch.Generator().manual_seed(3)
    drawn = torch.randint(2, (count, len(space.options)), generator=generator)
    ends = torch.tensor([[0], [1]]).expand(2, len(space.options))
    return torch.cat([ends, drawn])


def normed(x, scale, shift):
    """Batch norm by the definition, with the variance over all of the batch."""
    mean = x.mean(dim=(0, 2, 3), keepdim=True)
    variance = (x - mean).square().mean(dim=(0, 2, 3), keepdim=True)
    return (x - mean) / (variance + 1e-3).sqrt() * scale[:, None, None] + shift[:, None, None]


def dense(supernet, x, gates):
    """Every link computed by ordinary autograd, and its contribution multiplied by its gate."""
    space = supernet.space
    x = nn.functional.conv2d(x, supernet.stem.conv.weight, padding=1)
    values = [x]
    for node, slices in zip(space.nodes, supernet.joins, strict=True):
        factors = dict.fromkeys(node.kept, 1.0)
        for place, source in enumerate(node.free):
            factors[source] = gates[node.first + place, 1]
        sources, padding = sorted(factors), (0 if node.is_output else 1)
        parts = list(zip(slices.scales, slices.shifts, slices.weights, strict=True))
        if space.settings.how == "sum":
            ((scale, shift, weight),) = parts
            total = sum(factors[source] * values[source] for source in sources)
            y = nn.functional.conv2d(normed(total, scale, shift).relu(), weight, padding=padding)
        else:
            added = [
                factors[source]
                * nn.functional.conv2d(
                    normed(values[source], scale, shift).relu(), weight, padding=padding
                )
                for source, (scale, shift, weight) in zip(sources, parts, strict=True)
            ]
            y = torch.stack(added).sum(dim=0)
        values.append(y)
        if node.is_output:
            is_last = node.stage + 1 == len(space.sides)
            values = [y if is_last else nn.functional.avg_pool2d(y, 2)]
    for part in supernet.tail:
        values.append(part(values[-1]))
    return values[-1]


def loss_of(logits):
    return nn.functional.cross_entropy(logits, LABELS)


def test_the_same_generator_gives_the_same_weights(space):
    state = torch.random.get_rng_state()
    first, again = (supernet_of(space, torch.Generator().manual_seed(0)) for _ in range(2))
    assert torch.equal(state, torch.random.get_rng_state())
    pairs = zip(first.parameters(), again.parameters(), strict=True)
    assert all(torch.equal(a, b) for a, b in pairs)


def test_there_is_a_slice_for_every_link_of_a_concatenation_and_one_for_a_sum():
    for name, shared in (("concat", False), ("sum", True)):
        supernet, space = trained(SPACES[name]), SPACES[name]
        dense_network = space.network(Architecture(space.name, (1,) * len(space.options)))
        assert sum(p.numel() for p in supernet.parameters()) == dense_network.params
        counts = [len(slices.weights) for slices in supernet.joins]
        assert counts == [1 if shared else len(node.candidates) for node in space.nodes]


def test_derived_network_computes_the_open_links(space, supernet):
    """In training mode both use the batch's statistics."""
    for architecture in some_networks(space):
        network = supernet.derive(architecture)
        found = supernet(images(), supernet.gates(architecture))
        torch.testing.assert_close(network(images()), found, rtol=1e-10, atol=1e-12)
        assert sum(p.numel() for p in network.parameters()) == space.network(architecture).params


def test_derived_network_evaluates_with_the_weights_of_the_supernet(space, supernet):
    """Calibrated on one batch with its statistics, up to Bessel's correction of the variance."""
    architecture = some_networks(space)[-1]
    network = supernet.derive(architecture)
    batch = images(64)
    calibrate_batch_norm(network, [(batch, torch.zeros(64))])
    found = supernet(batch, supernet.gates(architecture))
    with torch.no_grad():
        # In a layer of 8 x 8 pixels n / (n - 1) is 1.0002, at 4 x 4 pixels 1.001.
        torch.testing.assert_close(network(batch), found, rtol=0.01, atol=0.01)


def test_derived_weights_are_an_exact_copy(space, supernet):
    before = copy.deepcopy(supernet.state_dict())
    for architecture in some_networks(space, 2):
        network = supernet.derive(architecture)
        kept = {value.flatten()[0].item() for value in supernet.parameters()}
        assert all(value.flatten()[0].item() in kept for value in network.parameters())
        again = supernet.derive(architecture)
        assert all(
            torch.equal(a, b)
            for a, b in zip(
                network.state_dict().values(), again.state_dict().values(), strict=True
            )
        )
        with torch.no_grad():
            for parameter in network.parameters():
                parameter.add_(1)
    assert all(torch.equal(before[k], v) for k, v in supernet.state_dict().items())


def test_slices_are_copied_in_the_order_of_the_sources():
    space = SPACES["concat"]
    supernet = trained(space)
    architecture = space.of_sources([[[0], [1], [0, 2], [1, 3]], [[0], [0, 1], [0, 2]]])
    network = supernet.derive(architecture)
    layer = network.nodes[3]  # behind the stem, the third
    slices = supernet.joins[2]
    wanted = torch.cat([slices.weights[0], slices.weights[2]], dim=1)
    assert torch.equal(layer.conv.conv.weight, wanted)
    assert torch.equal(layer.norm.bn.weight, torch.cat([slices.scales[0], slices.scales[2]]))
    assert torch.equal(layer.norm.bn.bias, torch.cat([slices.shifts[0], slices.shifts[2]]))


def test_the_supernet_keeps_no_running_statistics(space, supernet):
    assert not any("running" in name for name in supernet.state_dict())
    gates = supernet.gates(some_networks(space)[-1])
    trained_output = supernet.train()(images(), gates)
    assert torch.equal(supernet.eval()(images(), gates), trained_output)


@pytest.mark.parametrize("mode", list(GateMode))
def test_every_mode_gives_the_output_of_the_open_links(space, supernet, mode):
    for choices in some_states(space, 3):
        gates = one_hot(choices, 2)
        found = supernet(images(), gates.clone().requires_grad_(), mode)
        assert torch.equal(found, supernet(images(), gates))
        torch.testing.assert_close(found, dense(supernet, images(), gates), rtol=1e-9, atol=1e-12)


@pytest.mark.parametrize("mode", list(GateMode))
def test_gate_gradients_equal_autograd_over_all_links(space, supernet, mode):
    """Open or closed, read by others or by nobody; a closed gate has none of its own."""
    for choices in some_states(space):
        found = []
        for forward in (partial(supernet, mode=mode), partial(dense, supernet)):
            gates = one_hot(choices, 2).requires_grad_()
            found.append(torch.autograd.grad(loss_of(forward(images(), gates=gates)), gates)[0])
        torch.testing.assert_close(found[0], found[1], rtol=1e-8, atol=1e-12)
        assert (found[0][:, 0] == 0).all()
        if space.fault(choices.tolist()) is None:  # constants have no gradient
            assert (found[0][:, 1] != 0).all()


def test_the_gradient_of_a_probability_is_that_of_a_bernoulli_gate():
    """`dL/dalpha = dL/dg p (1 - p)` of the open logit, and its negative of the other."""
    space = SPACES["concat"]
    supernet = trained(space)
    choices = some_states(space)[-1]
    logits = torch.randn(
        (len(choices), 2), generator=torch.Generator().manual_seed(5), dtype=torch.float64
    ).requires_grad_()
    gates = straight_through(logits.softmax(dim=-1), choices)
    (found,) = torch.autograd.grad(loss_of(supernet(images(), gates)), logits)
    bare = one_hot(choices, 2).requires_grad_()
    (d,) = torch.autograd.grad(loss_of(dense(supernet, images(), bare)), bare)
    p = logits.detach().softmax(dim=-1)[:, 1]
    wanted = d[:, 1] * p * (1 - p)
    torch.testing.assert_close(found, torch.stack([-wanted, wanted], dim=1), rtol=1e-8, atol=1e-12)


@pytest.mark.parametrize("mode", [None, *GateMode])
def test_weights_get_the_gradient_of_the_open_links_alone(space, supernet, mode):
    """Closed slices get none at all; with `mode` None the gates ask for no gradient."""
    for choices in some_states(space, 2):
        found = []
        for forward in (supernet, partial(dense, supernet)):
            supernet.zero_grad(set_to_none=True)
            gates = one_hot(choices, 2)
            if forward is supernet and mode is not None:
                forward = partial(supernet, mode=mode)
                gates = gates.requires_grad_()
            loss_of(forward(images(), gates=gates)).backward()
            found.append({n: v.grad for n, v in supernet.named_parameters() if v.grad is not None})
        grads, every = found
        moved = {name for name, grad in every.items() if grad.abs().max() > 0}
        assert moved <= set(grads)
        for name, grad in grads.items():
            torch.testing.assert_close(grad, every[name], rtol=1e-8, atol=1e-11, msg=name)
        if supernet.space.settings.how == "sum":
            continue
        for index, node in enumerate(space.nodes):
            opened = node.sources(choices.tolist())
            for place, source in enumerate(node.candidates):
                parts = [f"joins.{index}.{part}.{place}" for part in PARTS]
                has_any = any(part in grads for part in parts)
                assert source in opened or not has_any, f"link {source} of {node}"


def test_a_weight_step_leaves_closed_links_alone():
    """Neither weight decay nor momentum moves them."""
    space = SPACES["concat"]
    supernet = trained(space)
    optimiser = torch.optim.SGD(
        supernet.weights(), lr=0.1, momentum=0.9, nesterov=True, weight_decay=0.1
    )

    def step(architecture):
        optimiser.zero_grad(set_to_none=True)
        loss_of(supernet(images(), supernet.gates(architecture))).backward()
        optimiser.step()

    step(Architecture(space.name, (1,) * len(space.options)))
    before = {name: value.detach().clone() for name, value in supernet.named_parameters()}
    architecture = some_networks(space)[-1]
    step(architecture)
    moved = {n for n, value in supernet.named_parameters() if not torch.equal(value, before[n])}
    closed = set()
    for index, node in enumerate(space.nodes):
        read = node.sources(architecture.choices)
        places = [p for p, source in enumerate(node.candidates) if source not in read]
        for part in PARTS:
            closed |= {f"joins.{index}.{part}.{place}" for place in places}
    assert len(closed) > 6
    assert moved == set(before) - closed


@pytest.mark.parametrize("mode", list(GateMode))
def test_an_architecture_step_gives_weights_no_gradient(space, supernet, mode):
    for parameter in supernet.parameters():
        parameter.requires_grad_(False)
    gates = one_hot(some_states(space)[-1], 2).requires_grad_()
    (grad,) = torch.autograd.grad(supernet(images(), gates, mode).square().sum(), gates)
    assert (grad[:, 1] != 0).any()
    assert all(parameter.grad is None for parameter in supernet.parameters())


@pytest.mark.parametrize("mode", list(GateMode))
def test_single_precision_is_near_double_precision(space, mode):
    grads = []
    for dtype in (torch.float64, torch.float32):
        supernet = trained(space).to(dtype)
        gates = one_hot(some_states(space)[-1], 2).requires_grad_()
        loss = loss_of(supernet(images().to(dtype), gates, mode))
        grads.append(torch.autograd.grad(loss, gates)[0])
    # 24 bits of mantissa and a dozen layers with batch norm over 6 images.
    torch.testing.assert_close(grads[1], grads[0], rtol=1e-3, atol=1e-5)


def test_under_autocast_all_modes_find_about_the_gradient(space):
    supernet = trained(space, dtype=torch.float32)
    x = images(48, dtype=torch.float32)
    gates = one_hot(some_states(space)[1], 2).requires_grad_()
    found = []
    for mode in GateMode:
        with torch.autocast("cpu", dtype=torch.bfloat16):
            logits = supernet(x, gates, mode)
        assert logits.dtype == torch.bfloat16
        found.append(torch.autograd.grad(logits.float().square().sum(), gates)[0].flatten())
    (exact,) = torch.autograd.grad(supernet(x, gates).square().sum(), gates)
    for grad in found:
        # Equal but for where a contribution is rounded on its way into the product.
        torch.testing.assert_close(grad, found[0], rtol=1e-2, atol=1e-3)
        # bfloat16 keeps 8 bits, and a dozen batch norms magnify what is lost.
        assert torch.cosine_similarity(grad, exact.flatten(), dim=0) > 0.9


@pytest.mark.parametrize(
    "name", ["aggregation-tiny", "aggregation-exponential", "aggregation-sum", "aggregation-free"]
)
def test_an_architecture_step_keeps_the_activations_of_the_open_links(kept_bytes, name):
    """Nothing of a closed link in the mode `recompute`; in the mode `full` what it adds.

    Sources are kept as parts of the concatenations that read them, and sums are added up again.
    Only a source whose readers all come later is kept on its own: with `previous: free` a few.
    """
    space = find_space(name)
    supernet = supernet_of(space, torch.Generator().manual_seed(0))
    x = torch.randn(4, *space.input_shape)
    every_link = [(1,) * len(space.options)]
    drawn = [tuple(row) for row in space.draw(3, torch.Generator().manual_seed(1)).tolist()]
    shortest = space.from_rows([int(row[0] is None) for row in space.rows])
    for choices in (*every_link, *drawn, shortest):
        gates = one_hot(torch.tensor(choices), 2)
        one = kept_bytes(supernet, partial(supernet, x, gates))
        kept = {
            mode: kept_bytes(supernet, partial(supernet, x, gates.clone().requires_grad_(), mode))
            for mode in GateMode
        }
        assert kept[GateMode.RECOMPUTE] <= (1.1 if "free" in name else 1.02) * one
        assert kept[GateMode.TWO] == kept[GateMode.FULL]
        is_a_chain_of_sums = name == "aggregation-sum" and choices == shortest
        if not is_a_chain_of_sums:
            assert kept[GateMode.FULL] > 1.2 * one


def test_an_open_network_keeps_what_the_plain_network_keeps(space, kept_bytes):
    """The supernet's weights aside, whose slices are put together for a step."""
    supernet = trained(space)
    for architecture in some_networks(space, 3):
        network = supernet.derive(architecture)
        plain = kept_bytes(network, partial(network, images()))
        gates = supernet.gates(architecture)
        one = kept_bytes(supernet, partial(supernet, images(), gates))
        weights = 8 * sum(p.numel() for p in network.parameters())
        assert one <= plain + weights
