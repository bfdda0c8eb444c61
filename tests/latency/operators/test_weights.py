from math import sqrt

import pytest
import torch

from elat.core.seeding import torch_generator
from elat.latency.operators.chain import Chain
from elat.latency.operators.conv import Conv
from elat.latency.operators.linear import Linear
from elat.latency.operators.mbconv import MBConv
from elat.latency.operators.weights import initialise, randomise_statistics


@pytest.fixture(autouse=True)
def one_thread():
    before = torch.get_num_threads()
    torch.set_num_threads(1)
    yield
    torch.set_num_threads(before)


def _made(operator, name="weights"):
    module = operator.build()
    initialise(module, torch_generator(0, name))
    return module


@pytest.mark.parametrize("groups", [1, 64])
def test_convolutions_start_with_he_fan_out(groups):
    module = _made(Conv(64, 64, 8, 7, groups=groups))
    weight = module.conv.weight
    expected = sqrt(2 / (7 * 7 * 64))
    assert weight.std().item() == pytest.approx(expected, rel=0.05)
    assert abs(weight.mean().item()) < expected / 10


def test_batch_norm_starts_as_identity_and_biases_at_zero():
    block = _made(MBConv(8, 8, 8, 3, se=True))
    assert torch.equal(block.depth_conv.bn.weight, torch.ones(48))
    assert torch.equal(block.depth_conv.bn.bias, torch.zeros(48))
    assert torch.equal(block.se.reduce.bias, torch.zeros(16))
    linear = _made(Linear(16, 4))
    assert linear.weight.abs().max() <= 0.25
    assert torch.equal(linear.bias, torch.zeros(4))


def test_the_generator_decides_everything():
    operator = MBConv(8, 8, 8, 3)
    states = []
    for name in ("a", "a", "b"):
        module = _made(operator, name)
        randomise_statistics(module, torch_generator(0, name))
        states.append(torch.cat([t.flatten().float() for t in module.state_dict().values()]))
    assert torch.equal(states[0], states[1])
    assert not torch.equal(states[0], states[2])


def test_a_deep_random_network_keeps_its_scale():
    """Neither vanishing (denormals change timings) nor exploding, 20 blocks deep."""
    network = Chain((MBConv(16, 16, 8, 3), MBConv(16, 24, 8, 5), MBConv(24, 16, 8, 3)) * 7)
    module = _made(network)
    randomise_statistics(module, torch_generator(0, "statistics"))
    x = torch.randn(2, 16, 8, 8, generator=torch_generator(0, "x"))
    with torch.no_grad():
        y = module.eval()(x)
    assert 0.1 < y.std().item() < 30
    smallest = min(p.abs()[p != 0].min().item() for p in module.parameters())
    assert smallest > torch.finfo(torch.float32).tiny
