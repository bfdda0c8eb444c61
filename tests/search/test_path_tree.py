"""The path-level tree space: the released network is in it, and it computes what it should."""

from __future__ import annotations

import copy
import json
from collections import Counter
from functools import partial
from typing import Any

import pytest
import torch

from elat.core.errors import ArtefactError, ConfigError
from elat.datasets.corpora.locate import Corpus, corpus_path
from elat.latency.blocks import ChannelRange
from elat.latency.operators.dag import Dag
from elat.search.architecture import Architecture
from elat.search.block_supernet import BlockSupernet
from elat.search.gates import one_hot
from elat.search.spaces import BlockSpace, block_space, find_space
from elat.search.spaces.path_tree import PathTree
from elat.search.spaces.tree_config import architecture_of_tree

CIFAR = Corpus(
    "The released Proxyless network for CIFAR-10",
    "proxylessnas/proxyless_cifar.config",
    "the GitHub project han-cai/files, folder proxylessnas",
    "none stated",
)
# Two parts, one level of two edges: a tree of four edges in every block.
TINY = "tree-tiny"


def tree(*overrides: str, name: str = TINY) -> PathTree:
    space = block_space(find_space(name, overrides), "a test")
    assert isinstance(space, PathTree)
    return space


@pytest.fixture(scope="module")
def released() -> dict[str, Any]:
    try:
        return dict(json.loads(corpus_path(CIFAR).read_text()))
    except ArtefactError as error:
        pytest.skip(str(error))


@pytest.fixture(scope="module")
def cifar() -> PathTree:
    return tree(name="proxyless-cifar")


def of_labels(space: BlockSpace, label: str) -> Architecture:
    choices = ([space.label(c) for c in b.candidates].index(label) for b in space.blocks)
    return Architecture(space.name, tuple(choices))


def test_the_cifar_space_is_that_of_the_paper(cifar):
    assert len(cifar.blocks) == 648
    assert cifar.size == 7**648
    assert sum(len(stage.widths) for stage in cifar.settings.stages) == 54
    assert (cifar.input_shape, cifar.classes) == ((3, 32, 32), 10)
    assert not any(block.is_residual for block in cifar.blocks)
    assert all(block.is_skippable for block in cifar.blocks)
    sides = Counter(block.candidates[0].output_shape[1] for block in cifar.blocks)
    assert sides == {32: 216, 16: 216, 8: 216}


def test_the_released_network_has_its_parameters_and_macs(cifar, released):
    """5,731,530 parameters, 1.213 G multiply-adds, and the operations of its edges."""
    architecture = architecture_of_tree(cifar, released)
    network = cifar.network(architecture)
    assert (network.params, network.macs) == (5_731_530, 1_213_155_872)
    labels = Counter(cifar.text(architecture).split())
    assert labels == {
        "dw3": 83,
        "dw3d2": 90,
        "dw5": 85,
        "dw7": 116,
        "avg3": 89,
        "max3": 89,
        "skip": 96,
    }


def test_networks_that_are_not_in_the_space_are_refused(cifar, released):
    with pytest.raises(ArtefactError, match="the network has 54"):
        architecture_of_tree(tree(), released)
    with pytest.raises(ArtefactError, match="no PyramidTreeNet"):
        architecture_of_tree(cifar, {"blocks": [{"cell": {}}]})
    foreign = copy.deepcopy(released)
    node = foreign["blocks"][1]["cell"]["child_nodes"][0]["child_nodes"][0]
    node["edges"][0]["kernel_size"] = 9
    with pytest.raises(ArtefactError, match="Edge 0 is DepthConv 18→18 32² k9 s1, which"):
        architecture_of_tree(cifar, foreign)
    node["edges"][0]["name"] = "Unheard"
    with pytest.raises(ArtefactError, match="Edge 0 is Unheard"):
        architecture_of_tree(cifar, foreign)


def test_all_identities_is_what_the_formula_says():
    """Four edges that pass x on: each part gives x + norm(2 x), as written out by hand."""
    space = tree("stages=[{stride: 1, widths: [16]}]", "stem=16")
    network = space.network(of_labels(space, "skip"))
    assert isinstance(network, Dag)
    module = network.build()
    busy = [node for node in module.nodes if not isinstance(node, torch.nn.Identity)]  # type: ignore[union-attr]
    stem, stem_norm, norm_in, conv_in, norm_root, root, shuffle, *rest = busy
    slices = [node for node in rest if isinstance(node, ChannelRange)]
    named = [dict(node.named_children()) for node in rest]
    norms = [node for node, parts in zip(rest, named, strict=True) if "bn" in parts]
    (conv_out,) = [node for node, parts in zip(rest, named, strict=True) if "conv" in parts]
    x = torch.randn(2, 1, 16, 16, generator=torch.Generator().manual_seed(0))
    module.train()
    with torch.no_grad():
        found = module(x)
        h = stem_norm(stem(x))
        y = shuffle(root(norm_root(conv_in(norm_in(h)))))
        halves = [part(y) for part in slices]
        inner = sum(half + norm(2 * half) for half, norm in zip(halves, norms[:2], strict=True))
        block = h + norms[3](conv_out(norms[2](inner)))
        pooled = norms[4](block).mean(dim=(2, 3))
        expected = rest[-1](pooled)
    torch.testing.assert_close(found, expected)


@pytest.mark.parametrize(
    ("overrides", "edges"),
    [
        (("branches=[2, 2]",), 24),
        (("branches=[3]",), 12),
        (("branches=[2, 3]", "parts=1", "groups=1"), 16),
        (("parts=3",), 12),
    ],
)
def test_trees_of_any_depth_and_width_run(overrides, edges):
    space = tree(*overrides)
    assert len(space.blocks) == edges
    architecture = space.sample(torch.Generator().manual_seed(0))
    network = space.network(architecture)
    module = network.build().eval()
    with torch.no_grad():
        assert module(torch.randn(2, 1, 16, 16)).shape == (2, 10)
    assert sum(p.numel() for p in module.parameters()) == network.params
    assert network.lower(module).macs == network.macs


def test_every_kind_of_edge_has_a_label():
    kinds = (
        "{kind: depth, kernel: 7, dilation: 3}, {kind: point}, {kind: average, kernel: 5}, "
        "{kind: max}, {kind: identity}"
    )
    space = tree(f"candidates=[{kinds}]")
    labels = [space.label(candidate) for candidate in space.blocks[0].candidates]
    assert labels == ["dw7d3", "pw", "avg5", "max3", "skip"]


@pytest.mark.parametrize(
    "override",
    [
        "stages=[{stride: 1, widths: [15]}]",
        "stages=[{stride: 1, widths: [16, 8]}]",
        "groups=3",
        "candidates=[{kind: sideways}, {kind: max}]",
        "candidates=[{kind: depth, kernel: 4}, {kind: max}]",
        "candidates=[{kind: max}]",
        "branches=[]",
    ],
)
def test_wrong_settings_are_refused(override):
    with pytest.raises(ConfigError):
        _ = tree(override).program


def test_gate_gradients_of_a_tree_are_those_of_all_paths_up_to_a_shift_of_each_row(all_paths):
    """Identity edges are free without being residual; probabilities do not feel the shift."""
    space = tree("resolution=8")
    supernet = BlockSupernet(space, torch.Generator().manual_seed(3), dtype=torch.float64)
    images = torch.randn((4, 1, 8, 8), dtype=torch.float64, generator=torch.Generator())
    choices = torch.tensor([4, 0, 2, 3, 1, 4, 4, 0])
    found = []
    for forward in (supernet, partial(all_paths, supernet)):
        gates = one_hot(choices, 5).requires_grad_()
        forward(images, gates).square().sum().backward()
        assert gates.grad is not None
        found.append(gates.grad - gates.grad.mean(dim=-1, keepdim=True))
    torch.testing.assert_close(found[0], found[1], rtol=1e-9, atol=1e-9)
    assert found[0].abs().min() > 0
