from __future__ import annotations

import pytest

from elat.latency.profiling.alignment import align, is_movement
from elat.latency.profiling.cover import covers

CONV = "Convolution (NHWC, F32) IGEMM"
DEPTHWISE = "Convolution (NHWC, F32) DWConv"
GEMM = "Fully Connected (NC, F32) GEMM"


@pytest.fixture
def tflite(model):
    return lambda *rows, **more: model(*rows, suffix=".tflite", **more)


def executed(ran, *kinds):
    return [ran(f"{kind}:{i}", kind) for i, kind in enumerate(kinds)]


def test_kinds_that_fit_meet_in_order(tflite, ran):
    given = tflite(
        ("CONV_2D", ["x", "w1"], "a"),
        ("DEPTHWISE_CONV_2D", ["a", "w2"], "b"),
        ("ADD", ["b", "a"], "c"),
        ("MEAN", ["c", "w3"], "d"),
        ("FULLY_CONNECTED", ["d", "w4"], "e"),
    )
    ops = executed(ran, GEMM, DEPTHWISE, "Add (ND)", "Mean (ND) Reduce2", GEMM)
    assert align(given, ops) == (0, 1, 2, 3, 4)


def test_paddings_and_activations_that_were_folded_are_left_out(tflite, ran):
    given = tflite(
        ("PAD", ["x", "w0"], "p"),
        ("CONV_2D", ["p", "w1"], "a"),
        ("RELU", ["a"], "b"),
        ("CONV_2D", ["b", "w2"], "c"),
    )
    ops = executed(ran, CONV, GEMM)
    assert align(given, ops) == (1, 3)
    assert [cover.nodes for cover in covers(given, ops)] == [(0, 1, 2), (3,)]


def test_the_limits_of_an_activation_belong_to_the_operator_before_them(tflite, ran):
    given = tflite(("ADD", ["x", "w1"], "a"), ("MUL", ["a", "w2"], "b"))
    ops = executed(ran, "Add (ND)", "Clamp (NC)", "Multiply (ND)")
    assert align(given, ops) == (0, 0, 1)
    assert [cover.owned for cover in covers(given, ops)] == [(0,), (), (1,)]


def test_a_copy_that_nothing_asked_for_is_a_change_of_layout(tflite, ran):
    given = tflite(("CONV_2D", ["x", "w1"], "a"), ("CONV_2D", ["a", "w2"], "b"))
    ops = executed(ran, CONV, "Transpose (ND, X32) Transpose", CONV)
    found = covers(given, ops)
    assert [cover.nodes for cover in found] == [(0,), (), (1,)]
    assert found[1].is_layout and is_movement(ops[1].kind)


def test_a_convolution_is_matched_before_anything_smaller(tflite, ran):
    given = tflite(
        ("MUL", ["x", "w0"], "m"), ("CONV_2D", ["m", "w1"], "a"), ("MUL", ["a", "w2"], "b")
    )
    assert align(given, executed(ran, CONV, "Multiply (ND)")) == (1, 2)


def test_integer_lookups_stand_for_a_row_of_small_operators(tflite, ran):
    given = tflite(
        ("CONV_2D", ["x", "w1"], "a"),
        ("ADD", ["a", "w2"], "b"),
        ("MUL", ["b", "w3"], "c"),
        ("MUL", ["a", "c"], "d"),
    )
    ops = executed(ran, CONV, "Invalid Unary Op", "Multiply (ND)")
    found = covers(given, ops)
    owned = [cover.owned for cover in found]
    assert owned[2] == (3,)
    assert sorted(i for own in owned for i in own) == [0, 1, 2, 3]


def test_operators_of_the_interpreter_are_where_it_says(tflite, ran):
    # Two branches; the interpreter runs the pooling by itself, so that TFLite first hands over all
    # that the delegate can run without it, whatever stands between them in the model.
    given = tflite(
        ("CONV_2D", ["x", "w1"], "a"),
        ("POOL_OF_OURS", ["a"], "b"),
        ("CONV_2D", ["b", "w2"], "c"),
        ("DEPTHWISE_CONV_2D", ["a", "w3"], "d"),
        ("ADD", ["c", "d"], "e"),
    )
    ops = [
        ran("0", CONV),
        ran("1", DEPTHWISE),
        ran("2", "POOL_OF_OURS", original=1),
        ran("3", CONV),
        ran("4", "Add (ND)"),
    ]
    assert align(given, ops) == (0, 3, 1, 2, 4)


def test_an_operator_of_unknown_name_takes_what_is_left_over(tflite, ran):
    given = tflite(
        ("CONV_2D", ["x", "w1"], "a"), ("CUMSUM", ["a", "w2"], "b"), ("CONV_2D", ["b", "w3"], "c")
    )
    assert align(given, executed(ran, CONV, "Cumulative (NC)", CONV)) == (0, 1, 2)


@pytest.mark.parametrize("kinds", [[CONV], [CONV, "Add (ND)", CONV, CONV]])
def test_counts_that_do_not_agree_tell_nothing(tflite, ran, kinds):
    # The program of a phone may be of any age: which convolution is which is not guessed.
    given = tflite(
        ("CONV_2D", ["x", "w1"], "a"), ("ADD", ["a", "x"], "b"), ("CONV_2D", ["b", "w2"], "c")
    )
    found = covers(given, executed(ran, *kinds))
    assert [(cover.owned, cover.nodes, cover.is_layout) for cover in found] == [
        ((), (), False) for _ in kinds
    ]
    ops = [*executed(ran, *kinds), ran("2", "CONV_2D", original=2)]
    assert [cover.nodes for cover in covers(given, ops)][-1] == (2,)
