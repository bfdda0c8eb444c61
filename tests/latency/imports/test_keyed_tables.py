"""Keys of ProxylessNAS and of once-for-all, and the operators that they name."""

from __future__ import annotations

import pytest

from elat.core.errors import ArtefactError, ConfigError
from elat.latency.condition import Condition, Method, Precision
from elat.latency.graph.ir import Activation
from elat.latency.imports import ofa_table, proxyless_table
from elat.latency.imports.ofa_table import OfaTable
from elat.latency.imports.proxyless_table import ProxylessTable
from elat.latency.imports.tables import imported_table, known_condition
from elat.latency.operators.chain import Chain
from elat.latency.operators.conv import Conv, Norm
from elat.latency.operators.global_pool import GlobalPool
from elat.latency.operators.linear import Linear
from elat.latency.operators.mbconv import MBConv

BLOCK = "expanded_conv-input:56x56x24-output:28x28x40-expand:6-kernel:5-stride:2-idskip:0"
OFA_BLOCK = (
    "expanded_conv-input:28x28x40-output:28x28x40-expand:160-kernel:5-stride:1-idskip:1-se:1-hs:0"
)
TABLE = f"""{BLOCK}:
  count: 4
  mean: 2.5
  var: 0.25
Logits-input:7x7x1280-output:1000:
  count: 7
  mean: 1.0
  var: 0.04
"""


class TestProxylessKeys:
    @pytest.mark.parametrize(
        ("key", "operator"),
        [
            (BLOCK, MBConv(24, 40, 56, 5, 2, 6)),
            ("Conv-input:224x224x3-output:112x112x32", Conv(3, 32, 224, 3, 2)),
            ("Conv_1-input:7x7x320-output:7x7x1280", Conv(320, 1280, 7, 1)),
            (
                "Logits-input:7x7x1280-output:1000",
                Chain((GlobalPool(1280, 7), Linear(1280, 1000))),
            ),
        ],
    )
    def test_keys_are_operators(self, key, operator):
        assert proxyless_table.operator_of_key(key) == operator

    @pytest.mark.parametrize(
        "key",
        [
            "Conv2-input:7x7x320-output:7x7x1280",
            "Logits-input:7x9x1280-output:1000",
            "expanded_conv-input:7x7x8-output:7x7x8-expand:3-kernel:3-stride:1-idskip:0",
            "expanded_conv-input:7x7x8-output:7x7x8-expand:3-kernel:3-stride:2-idskip:0",
            "expanded_conv-input:7x9x8-output:7x9x8-expand:3-kernel:3-stride:1-idskip:1",
            "expanded_conv-input:7x7x8-output:7x9x8-expand:3-kernel:3-stride:1-idskip:1",
            "expanded_conv-input:7x7x8-output:7x7x8-expand:9-kernel:3-stride:1-idskip:1",
            "expanded_conv-input:7x7x8-output:7x7x8-expand:3-kernel:4-stride:1-idskip:1",
            f"Conv_1-input:7x7x{'9' * 5000}-output:7x7x8",
        ],
    )
    def test_keys_that_no_operator_fits_are_refused(self, key):
        with pytest.raises(ArtefactError, match=r"the key|names no operator|not square"):
            proxyless_table.operator_of_key(key)


class TestOfaKeys:
    @pytest.mark.parametrize(
        ("key", "operator"),
        [
            (
                OFA_BLOCK,
                MBConv(40, 40, 28, 5, 1, se=True, activation=Activation.RELU, mid_channels=160),
            ),
            (
                "expanded_conv-input:12x12x136-output:12x12x136-expand:408-kernel:3-stride:1"
                "-idskip:1-se:0-hs:1",
                MBConv(136, 136, 12, 3, 1, 3, activation=Activation.HSWISH),
            ),
            (
                "Conv-input:192x192x3-output:96x96x24",
                Conv(3, 24, 192, 3, 2, activation=Activation.HSWISH),
            ),
            (
                "Conv_1-input:6x6x192-output:6x6x1152",
                Conv(192, 1152, 6, 1, activation=Activation.HSWISH),
            ),
            (
                "Conv_2-input:1x1x1152-output:1x1x1536",
                Conv(1152, 1536, 1, 1, activation=Activation.HSWISH, norm=Norm.NONE),
            ),
            ("AvgPool2D-input:6x6x1152-output:1x1x1152", GlobalPool(1152, 6)),
            ("Logits-input:1x1x1536-output:1000", Linear(1536, 1000)),
        ],
    )
    def test_keys_are_operators(self, key, operator):
        assert ofa_table.operator_of_key(key) == operator

    @pytest.mark.parametrize(
        "key",
        [
            OFA_BLOCK.replace("idskip:1", "idskip:0"),
            OFA_BLOCK.replace("kernel:5", "kernel:9"),
            OFA_BLOCK.replace("input:28x28", "input:28x30"),
            OFA_BLOCK.replace("output:28x28", "output:14x14"),
            "Conv-input:192x192x3-output:192x192x24",
            "AvgPool2D-input:6x6x1152-output:1x1x8",
        ],
    )
    def test_what_no_operator_says_stays_unnamed(self, key):
        assert ofa_table.operator_of_key(key) is None

    def test_other_grammars_are_refused(self):
        with pytest.raises(ArtefactError, match="no known grammar"):
            ofa_table.operator_of_key("Conv_3-input:1x1x8-output:1x1x8")


class TestTables:
    def test_the_two_formats_are_told_apart_by_what_they_hold(self):
        ours = TABLE.encode()
        theirs = f"{OFA_BLOCK}: {{count: 1, mean: 1.0, std: 0.5}}".encode()
        for data, reader, other in (
            (ours, ProxylessTable(), OfaTable()),
            (theirs, OfaTable(), ProxylessTable()),
        ):
            assert reader.recognises(data)
            assert not other.recognises(data)

    def test_a_chain_is_divided_and_only_its_sum_is_published(self):
        imported = ProxylessTable().read(TABLE.encode())
        table = imported_table(imported, known_condition(imported))
        assert table[MBConv(24, 40, 56, 5, 2, 6)] == 2.5
        assert table.entry(MBConv(24, 40, 56, 5, 2, 6)).std_ms == 0.5
        parts = table[GlobalPool(1280, 7)], table[Linear(1280, 1000)]
        assert sum(parts) == pytest.approx(1.0, rel=1e-12)
        assert parts[1] > parts[0]
        assert table.origin == "imported"

    def test_the_condition_says_what_is_not_known(self):
        imported = ProxylessTable().read(TABLE.encode())
        assert known_condition(imported, "google-pixel-1") == Condition(
            device="google-pixel-1",
            runtime="unknown",
            runtime_version="unknown",
            precision=Precision.FP32,
            batch=1,
            threads=1,
            method=Method.SAMPLED,
            options=(("import", "proxyless-table"), ("not_recorded", "batch precision threads")),
        )

    def test_rows_without_an_operator_make_no_table(self):
        text = f"{OFA_BLOCK.replace('idskip:1', 'idskip:0')}: {{count: 1, mean: 1.0, std: 0.5}}"
        imported = OfaTable().read(text.encode())
        assert imported.notes
        with pytest.raises(ConfigError, match="1 of 1 rows name no operator"):
            imported_table(imported, known_condition(imported))

    def test_free_rows_make_no_table(self):
        imported = ProxylessTable().read(TABLE.replace("mean: 2.5", "mean: 0.0").encode())
        with pytest.raises(ArtefactError, match=r"expanded_conv.*above 0 ms"):
            imported_table(imported, known_condition(imported))

    @pytest.mark.parametrize(
        ("text", "reason"),
        [
            ("", "end of the file"),
            ("{}", "no entries"),
            ("[" * 100_000, "SequenceStart"),
            ("a: }", "no whole YAML"),
            (TABLE + TABLE, "stands twice"),
            (TABLE + "---\na: 1\n", "another behind it"),
            (TABLE.replace("count: 4", "count: 4.5"), "whole number"),
            (TABLE.replace("count: 4", "count: 0"), "whole number"),
            (TABLE.replace("mean: 2.5", "mean: -2.5"), "should be 0 to"),
            (TABLE.replace("mean: 2.5", "mean: 1_000"), "should be a number"),
            (TABLE.replace("mean: 2.5", "mean: .inf"), "should be a number"),
            (TABLE.replace("mean: 2.5", "mean: 1e999"), "should be finite"),
            (TABLE.replace("mean: 2.5", "mean: [2.5]"), "SequenceStart"),
            (TABLE.replace("mean: 2.5", "mean: &a 2.5").replace("mean: 1.0", "mean: *a"), "Alias"),
            (TABLE.replace("  var: 0.25\n", ""), "count, mean, var, once each"),
            (TABLE.replace("  var: 0.25\n", "  mean: 2.5\n"), "count, mean, var, once each"),
        ],
    )
    def test_damage_is_refused(self, text, reason):
        with pytest.raises(ArtefactError, match=reason):
            ProxylessTable().read(text.encode())
