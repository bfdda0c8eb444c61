from typing import Any

import pytest

from elat.core.errors import ArtefactError, ConfigError
from elat.latency.graph.ir import Activation
from elat.latency.operators.add import Add
from elat.latency.operators.chain import Chain
from elat.latency.operators.concat import Concat
from elat.latency.operators.conv import Conv
from elat.latency.operators.global_pool import GlobalPool
from elat.latency.operators.linear import Linear
from elat.latency.operators.mbconv import MBConv
from elat.latency.operators.pool import Pool
from elat.latency.operators.serial import from_json, to_json
from elat.latency.operators.zero import Zero

# Without their signatures: these tests pass what a type checker refuses.
conv: Any = Conv
mbconv: Any = MBConv
pool: Any = Pool
concat: Any = Concat
chain: Any = Chain


@pytest.mark.parametrize(
    ("make", "message"),
    [
        (lambda: Conv(0, 8, 8, 3), "in_channels must be an integer of at least 1, found 0"),
        (lambda: conv(8, 8, 8.0, 3), "resolution must be an integer"),
        (lambda: Conv(8, True, 8, 3), "out_channels must be an integer"),
        (lambda: Conv(8, 8, 8, 4), "kernel must be odd"),
        (lambda: Conv(8, 8, 8, 3, groups=3), "3 groups do not divide"),
        (lambda: conv(8, 8, 8, 3, activation="gelu"), "none, relu, relu6, hswish, found 'gelu'"),
        (lambda: conv(8, 8, 8, 3, activation="hsigmoid"), "found 'hsigmoid'"),
        (lambda: MBConv(8, 8, 8, 1), "kernel must be 3, 5 or 7"),
        (lambda: MBConv(8, 8, 8, 3, expand=7), "expand must be 1 to 6"),
        (lambda: mbconv(8, 8, 8, 3, se=1), "se must be true or false"),
        (lambda: pool(8, 8, 3, 2, "median"), "pooling must be one of max, avg"),
        (lambda: Pool(8, 1, 4, 1), "a window of 4 does not fit an image of 1"),
        (lambda: GlobalPool(8, -1), "resolution must be"),
        (lambda: Linear(8, 0), "out_features must be"),
        (lambda: Concat((8,), 8), "two or more"),
        (lambda: concat([8, 8], 8), "two or more"),
        (lambda: Chain(()), "at least one operator"),
        (lambda: chain([Linear(1, 1)]), "must be a tuple of operators"),
        (lambda: Chain((Add(8, 8),)), "Add 8 8² has 2 inputs"),
        (
            lambda: Chain((Conv(3, 8, 8, 3), Conv(4, 8, 8, 3))),
            r"gives \(8, 8, 8\), Conv 4→8 8² k3 s1 takes \(4, 8, 8\)",
        ),
    ],
)
def test_nonsense_is_refused(make, message):
    with pytest.raises(ConfigError, match=message):
        make()


def test_activation_text_is_the_same_operator():
    text, member = conv(3, 8, 8, 3, activation="relu"), Conv(3, 8, 8, 3, 1, 1, Activation.RELU)
    assert text == member
    assert text.activation is Activation.RELU


@pytest.mark.parametrize(
    ("operator", "text"),
    [
        (Conv(3, 32, 224, 3, 2), "Conv 3→32 224² k3 s2"),
        (Conv(8, 8, 7, 3, groups=8), "Conv 8→8 7² k3 s1 depthwise"),
        (Conv(8, 8, 7, 3, groups=2, activation=Activation.NONE), "Conv 8→8 7² k3 s1 g2 none"),
        (MBConv(24, 40, 56, 5, 2, 6), "MBConv 24→40 56² k5 s2 e6"),
        (
            MBConv(24, 40, 56, 5, 2, 6, True, Activation.HSWISH),
            "MBConv 24→40 56² k5 s2 e6 se hswish",
        ),
        (Concat((8, 4), 7), "Concat 8+4 7²"),
        (Chain((Linear(2, 3),)), "Chain [Linear 2→3]"),
    ],
)
def test_names(operator, text):
    assert str(operator) == text


@pytest.mark.parametrize(
    ("data", "message"),
    [
        ({}, "needs a 'kind'"),
        ([], "needs a 'kind'"),
        ({"kind": "lineal"}, "Did you mean 'linear'"),
        ({"kind": "linear", "in_features": 3}, "missing 1 required"),
        ({"kind": "linear", "in_features": 3, "out_features": 0}, "at least 1"),
        ({"kind": "linear", "in_features": 3, "out_features": 1, "bias": 1}, "no field 'bias'"),
        ({"kind": "chain", "operators": [{"kind": "nothing"}]}, "Unknown operator 'nothing'"),
        ({"kind": "chain", "operators": 3}, "tuple of operators"),
    ],
)
def test_unreadable_json_is_refused(data, message):
    with pytest.raises(ArtefactError, match=message):
        from_json(data)


def test_json_is_plain():
    assert to_json(Chain((Zero(8, 4), Conv(8, 8, 4, 3)))) == {
        "kind": "chain",
        "operators": [
            {"kind": "zero", "channels": 8, "resolution": 4},
            {
                "kind": "conv",
                "in_channels": 8,
                "out_channels": 8,
                "resolution": 4,
                "kernel": 3,
                "stride": 1,
                "groups": 1,
                "activation": "relu6",
            },
        ],
    }
