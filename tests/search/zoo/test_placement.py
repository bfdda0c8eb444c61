"""Networks found again in their search space."""

from __future__ import annotations

import pytest
import torch

from elat.core.errors import ConfigError
from elat.latency.operators.chain import Chain
from elat.latency.operators.dag import Dag
from elat.search.spaces import block_space, find_space
from elat.search.zoo import find_network
from elat.search.zoo.placement import architecture_from

RELEASED = (
    ("proxyless-gpu", "proxyless_gpu"),
    ("proxyless-cpu", "proxyless_cpu"),
    ("proxyless-mobile-32", "proxyless_mobile"),
    ("proxyless-mobile-14", "proxyless_mobile_14"),
)


@pytest.mark.parametrize(("space", "name"), RELEASED)
def test_released_networks_are_architectures(space, name):
    space, operator = find_space(space), find_network(name).operator()
    architecture = architecture_from(space, operator)
    assert isinstance(operator, Chain)
    # The first bottleneck is fixed; every other slot is a block.
    assert space.chosen(architecture) == operator.operators[2:-3]
    assert space.network(architecture).macs == operator.macs


def test_the_released_mobile_network_is_not_of_the_released_space():
    """Its first stage is 32 wide, the space's 24: the release is inconsistent with itself."""
    with pytest.raises(
        ConfigError, match=r"at step 2 it has MBConv 16→32 .*not one of: MBConv 16"
    ):
        architecture_from(
            find_space("proxyless-mobile"), find_network("proxyless_mobile").operator()
        )


@pytest.mark.parametrize("name", ["proxyless-tiny", "tree-tiny"])
def test_any_network_of_a_space_is_found_again(name):
    space, generator = block_space(find_space(name), "a test"), torch.Generator().manual_seed(0)
    for _ in range(50):
        network = space.network(space.sample(generator))
        assert space.network(architecture_from(space, network)) == network


def test_blocks_are_filled_from_the_front():
    space, generator = (
        block_space(find_space("proxyless-tiny"), "a test"),
        torch.Generator().manual_seed(1),
    )
    for _ in range(50):
        found = architecture_from(space, space.network(space.sample(generator)))
        for first, second in zip(space.blocks, space.blocks[1:], strict=False):
            index = space.blocks.index(first)
            if first == second and space.chosen(found)[index].is_free:
                assert space.chosen(found)[index + 1].is_free


def test_a_network_that_is_too_short_or_too_long_is_refused():
    space = find_space("proxyless-tiny")
    parts = space.operators(space.sample(torch.Generator().manual_seed(0)))
    with pytest.raises(ConfigError, match="it has nothing, not one of: Linear"):
        architecture_from(space, Chain(parts[:-1]))
    with pytest.raises(ConfigError, match="is not joined as"):
        architecture_from(space, Dag(parts[:1], ((0,),)))
