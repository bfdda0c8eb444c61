from __future__ import annotations

from elat.latency.profiling.cover import covers, macs, model_name, moved_bytes


def nodes_of(found):
    return [cover.nodes for cover in found]


def test_fused_nodes_lie_between_the_tensors_read_and_written(model, ran):
    given = model(
        ("Conv", ["x", "w1"], "a"),
        ("Clip", ["a"], "b"),
        ("Conv", ["b", "w2"], "c"),
        ("Add", ["c", "b"], "d"),
        ("Relu", ["d"], "e"),
    )
    executed = [
        ran("fused one", "FusedConv", ["x", "w1"], ["b"]),
        ran("fused two", "FusedConv", ["b", "w2", "b"], ["e"]),
    ]
    assert nodes_of(covers(given, executed)) == [(0, 1), (2, 3, 4)]


def test_tensors_that_the_runtime_renamed_are_found_on_the_way(model, ran):
    # The blocked layout: reorders at the ends, tensors in between under other names, and an
    # activation and a sum that run in the convolution before them.
    given = model(
        ("Conv", ["x", "w1"], "a"),
        ("HardSwish", ["a"], "b"),
        ("Conv", ["b", "w2"], "c.linear"),
        ("Relu", ["c.linear"], "c"),
        ("Conv", ["c", "w3"], "d"),
        ("Add", ["d", "b"], "e"),
        ("Mul", ["e", "e"], "f"),
    )
    executed = [
        ran("a_nchwc", "Conv", ["x", "w1r"], ["token1"]),
        ran("c_nchwc", "Conv", ["token1", "w2r"], ["token2"]),
        ran("d_nchwc", "Conv", ["token2", "w3r", "token1"], ["token3"]),
        ran("ReorderOutput", "ReorderOutput", ["token3"], ["e"]),
        ran("elat.6.", "Mul", ["e", "e"], ["f"]),
    ]
    found = covers(given, executed)
    assert nodes_of(found) == [(0, 1), (2, 3), (4, 5), (), (6,)]
    assert [cover.is_layout for cover in found] == [False, False, False, True, False]


def test_a_batch_norm_that_became_a_convolution_is_itself(model, ran):
    given = model(
        ("Concat", ["x", "x"], "a"), ("BatchNormalization", ["a", "w1"], "b"), ("Relu", ["b"], "c")
    )
    executed = [
        ran("elat.0.", "Concat", ["x", "x"], ["a"]),
        ran("ReorderInput", "ReorderInput", ["a"], ["token1"]),
        ran("b_bn_nchwc", "Conv", ["token1", "w1r"], ["token2"]),
        ran("ReorderOutput", "ReorderOutput", ["token2"], ["c"]),
    ]
    assert nodes_of(covers(given, executed)) == [(0,), (), (1, 2), ()]


def test_a_convolution_never_joins_the_one_before_it(model, ran):
    given = model(
        ("Conv", ["x", "w1"], "a"),
        ("Conv", ["a", "w2"], "b.linear"),
        ("Relu", ["b.linear"], "b"),
    )
    executed = [
        ran("a_nchwc", "Conv", ["x", "w1"], ["token1"]),
        ran("b_nchwc", "Conv", ["token1", "w2"], ["token2"]),
        ran("ReorderOutput", "ReorderOutput", ["token2"], ["b"]),
    ]
    assert nodes_of(covers(given, executed)) == [(0,), (1, 2), ()]


def test_what_is_executed_in_two_nodes_is_owned_by_one(model, ran):
    given = model(
        ("Conv", ["x", "w1"], "a"), ("HardSwish", ["a"], "b"), ("Conv", ["b", "w2"], "c")
    )
    executed = [
        ran("elat.0.", "Conv", ["x", "w1"], ["a"]),
        ran("HardSigmoid_9", "HardSigmoid", ["a"], ["inner"]),
        ran("Mul_10", "Mul", ["a", "inner"], ["b"]),
        ran("elat.2.", "Conv", ["b", "w2"], ["c"]),
    ]
    found = covers(given, executed)
    assert nodes_of(found) == [(0,), (1,), (1,), (2,)]
    assert [cover.owned for cover in found] == [(0,), (1,), (), (2,)]


def test_quantised_nodes_take_what_surrounds_them(model, ran):
    given = model(
        ("DequantizeLinear", ["x"], "a.in"),
        ("Conv", ["a.in", "w1"], "a.real"),
        ("QuantizeLinear", ["a.real"], "a"),
        ("DequantizeLinear", ["a"], "b.in"),
        ("HardSigmoid", ["b.in"], "b.real"),
        ("QuantizeLinear", ["b.real"], "b"),
    )
    executed = [
        ran("Transpose", "Transpose", ["x"], ["turned"]),
        ran("elat.1._token_7", "QLinearConv", ["turned", "w1"], ["a_token_8"]),
        ran("elat.3.", "DequantizeLinear", ["a_token_8"], ["b.in_token_9"]),
        ran("elat.4.", "HardSigmoid", ["b.in_token_9"], ["b.real_token_3"]),
        ran("elat.5.", "QuantizeLinear", ["b.real_token_3"], ["b_token_4"]),
        ran("Transpose_token_2", "Transpose", ["b_token_4"], ["b"]),
    ]
    found = covers(given, executed)
    assert nodes_of(found) == [(), (0, 1, 2), (3,), (4,), (5,), ()]
    assert [cover.is_layout for cover in found] == [True, False, False, False, False, True]


def test_a_transpose_of_the_model_is_no_change_of_layout(model, ran):
    given = model(("Transpose", ["x"], "a"), ("Relu", ["a"], "b"))
    executed = [
        ran("elat.0.", "Transpose", ["x"], ["a"]),
        ran("elat.1.", "Relu", ["a"], ["b"]),
    ]
    assert not any(cover.is_layout for cover in covers(given, executed))


def test_constants_are_nobodys(model, ran):
    given = model(("Transpose", ["w1"], "w2"), ("MatMul", ["x", "w2"], "a"))
    assert nodes_of(covers(given, [ran("elat.1.", "MatMul", ["x", "w2"], ["a"])])) == [(1,)]


def test_moved_bytes_are_those_that_cross_the_border(model):
    given = model(
        ("Conv", ["x", "w1"], "a"),
        ("Relu", ["a"], "b"),
        ("Conv", ["b", "w2"], "c"),
        outputs=("c",),
    )
    assert moved_bytes(given, (0, 1)) == 10 + 100 + 10
    assert moved_bytes(given, (2,)) == 10 + 100 + 10
    # What a third node reads, too, is written for it.
    branched = model(
        ("Conv", ["x", "w1"], "a"), ("Relu", ["a"], "b"), ("Add", ["a", "b"], "c"), outputs=("c",)
    )
    assert moved_bytes(branched, (0, 1)) == 10 + 100 + 10 + 10


def test_views_move_nothing_and_picks_what_they_pick(model):
    given = model(("Reshape", ["x", "w1"], "a"), ("Slice", ["a", "w2"], "b"))
    assert moved_bytes(given, (0,)) == 0
    assert moved_bytes(given, (1,)) == 20
    assert moved_bytes(given, ()) is None


def test_unknown_macs_of_one_node_are_unknown_for_all(model):
    given = model(("Conv", ["x", "w1"], "a"), ("If", ["a"], "b"), macs={"a": 7, "b": None})
    assert macs(given, (0,)) == 7
    assert macs(given, (0, 1)) is None


def test_names_are_the_models(model):
    given = model(("Conv", ["x", "w1"], "stem"), ("Relu", ["stem"], "b"))
    assert model_name(given, "elat.0._token_3") == "stem_token_3"
