from __future__ import annotations

import pytest

from elat.core.errors import ArtefactError, ConfigError, UnknownNameError
from elat.latency.operators.conv import Conv
from elat.latency.operators.mbconv import MBConv
from elat.search.architecture import Architecture
from elat.search.spaces import find_space, space_from_description


def test_proxyless_mobile_is_the_space_of_the_paper():
    space = find_space("proxyless-mobile")
    assert len(space.blocks) == 21
    assert space.size == 221_502_229_807_900_608
    assert [len(block.candidates) for block in space.blocks] == [6, 7, 7, 7] * 5 + [6]
    assert space.before == (Conv(3, 32, 224, 3, 2), MBConv(32, 16, 112, 3, 1, 1))
    assert [operator.output_shape for operator in space.after] == [
        (1280, 7, 7),
        (1280,),
        (1000,),
    ]


def test_the_published_mobile_network_is_found_when_the_first_stage_is_as_wide_as_its():
    """Widths 32 in the first stage, as released; 320,427,584 MACs and 4,080,512 parameters."""
    stages = "stages.0={width: 32, blocks: 4, stride: 2}"
    with pytest.raises(ConfigError):
        find_space("proxyless-mobile", [stages])
    widths = [(32, 4, 2), (40, 4, 2), (80, 4, 2), (96, 4, 1), (192, 4, 2), (320, 1, 1)]
    text = ", ".join(f"{{width: {w}, blocks: {n}, stride: {s}}}" for w, n, s in widths)
    space = find_space("proxyless-mobile", [f"stages=[{text}]"])
    published = (
        "e3k5 e3k3 skip skip e3k7 e3k3 e3k5 e3k5 e6k7 e3k5 e3k5 e3k5 "
        "e6k5 e3k5 e3k5 e3k5 e6k7 e6k7 e3k7 e3k7 e6k7"
    )
    chosen = published.split()
    choices = tuple(
        [space.label(candidate) for candidate in block.candidates].index(label)
        for block, label in zip(space.blocks, chosen, strict=True)
    )
    network = space.network(Architecture(space.name, choices))
    assert (network.macs, network.params) == (320_427_584, 4_080_512)


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
    assert changed.before[0] == Conv(1, 8, 28, 3, 2)
    assert changed.name != plain.name
    assert changed.name.startswith("proxyless-tiny-")
    assert space_from_description(changed.describe()) == changed


def test_se_and_activation_reach_every_candidate():
    space = find_space("proxyless-tiny", ["se=true", "activation=hswish"])
    blocks = [c for block in space.blocks for c in block.candidates if not c.is_free]
    assert all(isinstance(c, MBConv) and c.se and c.activation == "hswish" for c in blocks)


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
    "override", ["widht=3", "classes=1", "stages=[]", "family=tree", "stem=null", "kernels=[4]"]
)
def test_wrong_settings_are_refused(override):
    with pytest.raises(ConfigError):
        _ = find_space("proxyless-tiny", [override]).blocks


def test_a_file_without_a_family_is_refused(tmp_path):
    path = tmp_path / "mine.yaml"
    path.write_text("resolution: 28\n")
    with pytest.raises(ConfigError, match="mbconv-chain"):
        find_space(str(path))
