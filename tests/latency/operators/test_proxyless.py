"""The operators against networks whose costs others have published."""

import pytest

from elat.latency.operators import Operator
from elat.latency.operators.chain import Chain
from elat.latency.operators.conv import Conv
from elat.latency.operators.global_pool import GlobalPool
from elat.latency.operators.linear import Linear
from elat.latency.operators.mbconv import MBConv, make_divisible
from elat.latency.operators.zero import Zero

# ProxylessNAS (Mobile) as released: (kernel, expand, width, stride), None where Zero was chosen.
PROXYLESS_MOBILE = (
    (3, 1, 16, 1),
    (5, 3, 32, 2), (3, 3, 32, 1), None, None,
    (7, 3, 40, 2), (3, 3, 40, 1), (5, 3, 40, 1), (5, 3, 40, 1),
    (7, 6, 80, 2), (5, 3, 80, 1), (5, 3, 80, 1), (5, 3, 80, 1),
    (5, 6, 96, 1), (5, 3, 96, 1), (5, 3, 96, 1), (5, 3, 96, 1),
    (7, 6, 192, 2), (7, 6, 192, 1), (7, 3, 192, 1), (7, 3, 192, 1),
    (7, 6, 320, 1),
)  # fmt: skip
# MobileNetV2 (Sandler et al. 2018, table 2): (expand, width, repeats, stride).
MOBILENET_V2 = (
    (1, 16, 1, 1), (6, 24, 2, 2), (6, 32, 3, 2), (6, 64, 4, 2),
    (6, 96, 3, 1), (6, 160, 3, 2), (6, 320, 1, 1),
)  # fmt: skip


def _network(blocks: list[tuple[int, int, int, int] | None]) -> Chain:
    parts: list[Operator] = [Conv(3, 32, 224, 3, 2)]
    for block in blocks:
        channels, resolution, _ = parts[-1].output_shape
        if block is None:
            parts.append(Zero(channels, resolution))
        else:
            kernel, expand, width, stride = block
            parts.append(MBConv(channels, width, resolution, kernel, stride, expand))
    parts += [Conv(320, 1280, 7, 1), GlobalPool(1280, 7), Linear(1280, 1000)]
    return Chain(tuple(parts))


def test_proxyless_mobile_has_the_published_costs():
    network = _network(list(PROXYLESS_MOBILE))
    assert network.params == 4_080_512
    assert network.macs == 320_427_584


def test_mobilenet_v2_has_the_published_costs():
    blocks = [
        (3, expand, width, stride if i == 0 else 1)
        for expand, width, repeats, stride in MOBILENET_V2
        for i in range(repeats)
    ]
    network = _network(list(blocks))
    assert network.params == 3_504_872
    assert network.macs == 300_774_272


@pytest.mark.parametrize(
    ("value", "expected"), [(3, 8), (12, 16), (18, 24), (11.9, 16), (24, 24), (33.6, 32), (36, 40)]
)
def test_make_divisible(value, expected):
    assert make_divisible(value) == expected
