from __future__ import annotations

from collections.abc import Sequence

import pytest

from elat.core.errors import ArtefactError, ConfigError, UnknownNameError
from elat.latency.operators.conv import Conv
from elat.latency.operators.mbconv import MBConv
from elat.search.architecture import Architecture
from elat.search.spaces import BlockSpace, block_space, space_from_description
from elat.search.spaces import find_space as find_any


def find_space(name: str, overrides: Sequence[str] = ()) -> BlockSpace:
    return block_space(find_any(name, overrides), "a test")


def test_proxyless_mobile_is_the_space_of_the_paper():
    space = find_space("proxyless-mobile")
    assert len(space.blocks) == 21
    assert space.size == 221_502_229_807_900_608
    assert [len(block.candidates) for block in space.blocks] == [6, 7, 7, 7] * 5 + [6]
    stem, first, *head = space.fixed
    assert (stem, first) == (Conv(3, 32, 224, 3, 2), MBConv(32, 16, 112, 3, 1, 1))
    assert [operator.output_shape for operator in head] == [(1280, 7, 7), (1280,), (1000,)]
    offered = [space.label(candidate) for candidate in space.blocks[1].candidates]
    assert offered == ["e3k3", "e6k3", "e3k5", "e6k5", "e3k7", "e6k7", "skip"]


# What was released, a label a choice block; parameters and MACs recounted from the release.
RELEASED = {
    "proxyless-gpu": (
        "e3k5 skip skip skip e3k7 skip skip e3k3 e6k7 skip skip e3k5 "
        "e6k5 skip e3k3 e3k5 e6k7 e6k7 e6k7 e6k5 e6k7",
        (7_119_848, 465_260_160),
    ),
    "proxyless-cpu": (
        "e6k3 e3k3 e3k3 e3k3 e6k3 e3k3 e3k3 e3k5 e6k3 skip skip e3k3 "
        "e6k5 e3k3 e3k3 e3k3 e6k5 e3k5 e3k5 e3k3 e6k5",
        (4_361_648, 439_243_864),
    ),
    "proxyless-mobile-32": (
        "e3k5 e3k3 skip skip e3k7 e3k3 e3k5 e3k5 e6k7 e3k5 e3k5 e3k5 "
        "e6k5 e3k5 e3k5 e3k5 e6k7 e6k7 e3k7 e3k7 e6k7",
        (4_080_512, 320_427_584),
    ),
    "proxyless-mobile-14": (
        "e3k5 e3k3 skip skip e3k7 e3k3 e3k5 e3k5 e6k7 e3k5 e3k5 e3k5 "
        "e6k5 e3k5 e3k5 e3k5 e6k7 e6k7 e3k7 e3k7 e6k7",
        (6_857_568, 580_883_408),
    ),
}


def labelled(space, text):
    """The architecture of `space` whose candidates have the labels in `text`."""
    choices = tuple(
        [space.label(candidate) for candidate in block.candidates].index(label)
        for block, label in zip(space.blocks, text.split(), strict=True)
    )
    return Architecture(space.name, choices)


@pytest.mark.parametrize("name", RELEASED)
def test_released_networks_are_in_the_spaces_of_their_widths(name):
    space = find_space(name)
    assert space.size == 221_502_229_807_900_608
    labels, counted = RELEASED[name]
    architecture = labelled(space, labels)
    network = space.network(architecture)
    assert (network.params, network.macs) == counted
    assert space.text(architecture) == labels


def test_nas_bench_macro_has_three_candidates_a_layer():
    """387,882 parameters and 7,713,280 MACs for all identities, as published."""
    space = find_space("nas-bench-macro")
    assert space.size == 6561
    labels = [[space.label(c) for c in block.candidates] for block in space.blocks]
    changing, keeping = ["project", "e3k3", "e6k5"], ["skip", "e3k3", "e6k5"]
    stages = [[changing] + [keeping] * 1, [changing] + [keeping] * 2, [changing] + [keeping] * 2]
    assert labels == [row for stage in stages for row in stage]
    identities = space.network(Architecture(space.name, (0,) * 8))
    assert (identities.params, identities.macs) == (387_882, 7_713_280)
    skippable = [row is keeping for stage in stages for row in stage]
    assert [block.is_skippable for block in space.blocks] == skippable
    assert [block.is_residual for block in space.blocks] == skippable


def test_any_width_is_a_matter_of_overrides():
    with pytest.raises(ConfigError):
        find_space("proxyless-mobile", ["stages.0={width: 32, blocks: 4, stride: 2}"])
    widths = [(32, 4, 2), (40, 4, 2), (80, 4, 2), (96, 4, 1), (192, 4, 2), (320, 1, 1)]
    text = ", ".join(f"{{width: {w}, blocks: {n}, stride: {s}}}" for w, n, s in widths)
    space = find_space("proxyless-mobile", [f"stages=[{text}]"])
    assert space.blocks == find_space("proxyless-mobile-32").blocks


def test_proxyless_tiny_is_large_enough_to_search():
    space = find_space("proxyless-tiny")
    assert space.input_shape == (1, 28, 28)
    assert space.classes == 10
    assert len(space.blocks) >= 12
    assert space.size == 10_169_108_964


def test_overrides_change_the_space_and_its_name():
    plain = find_space("proxyless-tiny")
    assert find_space("proxyless-tiny", ["classes=10"]) == plain
    changed = find_space("proxyless-tiny", ["classes=7", "stem.width=8"])
    assert changed.classes == 7
    assert changed.fixed[0] == Conv(1, 8, 28, 3, 2)
    assert changed.name != plain.name
    assert changed.name.startswith("proxyless-tiny-")
    assert space_from_description(changed.describe()) == changed


def test_se_and_activation_reach_every_candidate():
    space = find_space("proxyless-tiny", ["se=true", "activation=hswish"])
    blocks = [c for block in space.blocks for c in block.candidates if not c.is_free]
    assert all(isinstance(c, MBConv) and c.se and c.activation == "hswish" for c in blocks)


def test_candidates_may_be_listed_one_by_one():
    listed = ["candidates=[{kernel: 7, expand: 1}, {kernel: 3, expand: 4}]"]
    space = find_space("proxyless-tiny", listed)
    assert [space.label(c) for c in space.blocks[0].candidates] == ["e1k7", "e4k3", "skip"]
    space = find_space("proxyless-tiny", [*listed, "skip=first"])
    assert [space.label(c) for c in space.blocks[0].candidates] == ["skip", "e1k7", "e4k3"]
    assert [space.label(c) for c in space.blocks[3].candidates] == ["project", "e1k7", "e4k3"]


def test_the_first_block_may_be_missing():
    space = find_space("proxyless-tiny", ["first=null"])
    assert [step.block for step in space.program][:2] == [None, 0]


def test_an_unknown_name_is_answered_with_the_known_ones():
    with pytest.raises(UnknownNameError, match="Did you mean 'proxyless-tiny'"):
        find_space("proxyless-tyny")


@pytest.mark.parametrize("text", ["", "family: mbconv-chain\nstages: [{width: 3", "- 1\n"])
def test_a_truncated_file_is_an_artefact_error(tmp_path, text):
    path = tmp_path / "mine.yaml"
    path.write_text(text)
    with pytest.raises(ArtefactError):
        find_space(str(path))


@pytest.mark.parametrize(
    "override",
    ["widht=3", "classes=1", "stages=[]", "family=tree", "stem=null", "kernels=[4]", "skip=never"],
)
def test_wrong_settings_are_refused(override):
    with pytest.raises(ConfigError):
        _ = find_space("proxyless-tiny", [override]).blocks


def test_a_file_without_a_family_is_refused(tmp_path):
    path = tmp_path / "mine.yaml"
    path.write_text("resolution: 28\n")
    with pytest.raises(ConfigError, match="mbconv-chain"):
        find_space(str(path))
