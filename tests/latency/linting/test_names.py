"""What keys of published tables say."""

from __future__ import annotations

import pytest

from elat.latency.linting.names import attributes_of, choices_of


def test_keys_with_images() -> None:
    key = "expanded_conv-input:56x56x24-output:28x28x40-expand:6-kernel:5-stride:2-idskip:0-se:1"
    assert attributes_of(key) == {
        "kind": "expanded_conv",
        "in_channels": 24,
        "out_channels": 40,
        "pixels": 56 * 56,
        "expand": 6,
        "kernel": 5,
        "stride": 2,
        "idskip": 0,
        "se": 1,
    }
    assert attributes_of("Logits-input:7x7x1280-output:1000")["out_channels"] == 1000


def test_keys_with_joined_numbers() -> None:
    assert attributes_of("BasicResidual_downup_2x_H32_W64_Cin256_Cout192_stride1_dilation1") == {
        "kind": "BasicResidual_downup_2x",
        "pixels": 32 * 64,
        "in_channels": 256,
        "out_channels": 192,
        "stride": 1,
        "dilation": 1,
    }


@pytest.mark.parametrize(
    "name", ["", "conv", "MobilenetV1/Conv2d_1_depthwise/Relu6", "a_1 b", "gap_f32_bf16_flat"]
)
def test_other_names_say_nothing(name: str) -> None:
    assert attributes_of(name) == {}


def test_networks_of_nas_bench_201_and_fbnet() -> None:
    cell = "|avg_pool_3x3~0|+|nor_conv_1x1~0|skip_connect~1|+|none~0|none~1|none~2|"
    assert choices_of(cell) == (
        "avg_pool_3x3",
        "nor_conv_1x1",
        "skip_connect",
        "none",
        "none",
        "none",
    )
    assert choices_of("7 8 1") == ("7", "8", "1")
    assert choices_of("7") == choices_of("conv 3") == ()
