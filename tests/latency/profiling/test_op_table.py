"""Tables of operators that benchmark_model prints, laid beside models that are known."""

from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from elat.core.errors import MeasurementError
from elat.devices.device import find_device
from elat.latency.benchmark_model.options import Delegate
from elat.latency.condition import Condition
from elat.latency.profiling.combine import Pass, Probe, Unprofiled, combine
from elat.latency.profiling.cover import covers
from elat.latency.profiling.model_file import ModelFile, ModelInput, ModelNode
from elat.latency.profiling.op_table import raw_profile, unprofiled_ms

INSIDE = ("Convolution (NHWC, F32) IGEMM", "Fully Connected (NC, F32) GEMM", "HardSwish (NC)")
GPU, XNNPACK = "TfLiteGpuDelegateV2", "TfLiteXNNPackDelegate"
CSV = "node type, first, avg_ms, %, cdf%, mem KB, times called, name"
TEXT = "\t[node type]\t[first]\t[avg ms]\t[%]\t[cdf%]\t[mem KB]\t[times called]\t[Name]"


@pytest.fixture
def network(model):
    """Two convolutions, an activation, a product."""
    return model(
        ("CONV_2D", ["x", "w1"], "a"),
        ("HARD_SWISH", ["a"], "b"),
        ("CONV_2D", ["b", "w2"], "c"),
        ("FULLY_CONNECTED", ["c", "w3"], "d"),
        macs={"a": 100, "c": 200, "d": 300},
        suffix=".tflite",
    )


def log(*rows, mean_us=500.0, more="", table=None):
    """What an invocation prints whose table has `rows`: type, name, milliseconds."""
    stats = f"first=9 curr=9 min=0 max=9999 avg={mean_us} std=0 p5=0 median=9 p95=9999"
    lines = [
        "INFO: Running benchmark for at least 2 iterations and at least 0 seconds but terminate "
        "if exceeding 60 seconds.",
        f"INFO: count=2 {stats}",
        "",
        "INFO: Running benchmark for at least 5 iterations and at least 0 seconds but terminate "
        "if exceeding 60 seconds.",
        f"INFO: count=5 {stats}",
        "",
        "INFO: Inference timings in us: Init: 9, First inference: 9, Warmup (avg): "
        f"{mean_us}, Inference (avg): {mean_us}",
        more,
        "INFO: Profiling Info for Benchmark Initialization:",
        *section([("AllocateTensors", "AllocateTensors/0", 0.2)]),
        "INFO: Operator-wise Profiling Info for Regular Benchmark Runs:",
        *(section(rows) if table is None else table),
    ]
    return "\n".join(lines).encode()


def section(rows, is_csv=True):
    cells = [
        [kind, f"{ms:g}", f"{ms:g}", "1%", "1%", "0", "1", name.replace(",", "\t" * is_csv or ",")]
        for kind, name, ms in rows
    ]
    joined = [", ".join(row) if is_csv else "\t".join(["", *row]) for row in cells]
    title = f"{'=' * 30} Run Order {'=' * 30}"
    counted = ["Timings (microseconds): count=5", f"{len(rows)} nodes observed", ""]
    return [title, CSV if is_csv else TEXT, *joined, "", *counted]


def known(network, *rows, **words):
    found = raw_profile(network, [log(*rows, **words)], Delegate.NONE)
    return [(node.original, node.delegated) for node in found.nodes]


class TestRows:
    def test_operators_of_the_interpreter_are_told_by_number_and_by_tensor(self, network):
        rows = [("CONV_2D", "[a]:0", 0.1), ("HARD_SWISH", "[b]:1", 0.2), ("CONV_2D", "[c]", 0.3)]
        assert known(network, *rows) == [(0, None), (1, None), (2, None)]
        found = raw_profile(network, [log(*rows, mean_us=700)], Delegate.NONE)
        assert [node.typical_ms for node in found.nodes] == [0.1, 0.2, 0.3]
        assert (found.run_ms, found.runs) == ((0.7,), 5)
        assert found.gap_ms == pytest.approx(0.1)

    def test_a_number_that_is_another_tensors_is_not_believed(self, network):
        (found,) = known(network, ("CONV_2D", "[a]:2", 0.1))
        assert found == (None, (0,))  # what writes `a` without being node 0 is a delegate
        assert known(network, ("CONV_2D", "[nobody]:0", 0.1)) == [(None, ())]

    def test_operators_inside_of_a_delegate_are_known_by_their_kinds(self, network):
        kinds = [INSIDE[0], INSIDE[2], INSIDE[0], INSIDE[1]]
        rows = [(kind, f"Delegate/{kind}:{n}", 0.1) for n, kind in enumerate(kinds)]
        found = raw_profile(network, [log(*rows)], Delegate.XNNPACK)
        assert [node.name for node in found.nodes][:2] == [f"{kinds[0]}:0", f"{kinds[1]}:1"]
        assert [cover.nodes for cover in covers(network, found.nodes)] == [(0,), (1,), (2,), (3,)]

    def test_text_is_read_as_well_as_csv(self, network):
        rows = [("CONV_2D", "[a]:0", 0.1), ("HARD_SWISH", "[b]:1", 0.2)]
        table = section(rows, is_csv=False)
        assert known(network, *rows, table=table) == known(network, *rows)

    def test_what_is_no_operator_is_left_out(self, network):
        rows = [
            ("Invoke", "Invoke/0", 9.0),
            ("DelegateOpInvoke", "Delegate/conv:0", 0.1),
            (GPU, "[d]:4", 0.5),
        ]
        assert known(network, *rows) == [(None, (0, 1, 2, 3))]
        table = [*section([(GPU, "[d]:4", 0.5)]), "Delegate internal: "]
        inside = section([("DelegateOpInvoke", "Delegate/conv:0", 0.1)])
        assert known(network, table=[*table, *inside]) == [(None, (0, 1, 2, 3))]


class TestWholeDelegates:
    def test_parts_of_the_graph_are_told_by_what_they_write(self, network):
        rows = [(GPU, "[a]:4", 0.5), ("HARD_SWISH", "[b]:1", 0.1), (GPU, "[d]:5", 0.7)]
        assert known(network, *rows) == [(None, (0,)), (1, None), (None, (2, 3))]

    def test_what_runs_after_a_delegate_of_unknown_parts_is_not_guessed(self, network):
        kind = INSIDE[0]
        rows = [(kind, f"Delegate/{kind}:0", 0.1), (GPU, "[d]:5", 0.7)]
        assert known(network, *rows)[1] == (None, ())
        found = raw_profile(network, [log(*rows)], Delegate.NONE)
        # One convolution for two, and a delegate that may run either: nobody's nodes are known.
        assert [cover.nodes for cover in covers(network, found.nodes)] == [(), ()]

    def test_the_rest_is_aligned_without_what_they_run(self, network):
        rows = [
            (GPU, "[b]:4", 0.5),
            (INSIDE[0], f"Delegate/{INSIDE[0]}:0", 0.1),
            (INSIDE[1], f"Delegate/{INSIDE[1]}:1", 0.1),
        ]
        found = raw_profile(network, [log(*rows)], Delegate.NONE)
        assert [cover.nodes for cover in covers(network, found.nodes)] == [(0, 1), (2,), (3,)]

    @given(st.data())
    def test_a_partition_of_any_graph_is_recovered(self, data):
        """Greedy partitioning, as TFLite does it, of random graphs between a delegate and CPU."""
        model = data.draw(graphs())
        on_cpu = data.draw(st.sets(st.integers(0, len(model.nodes) - 1)))
        rows, truth = partitioned(model, on_cpu)
        assert known(model, *rows) == truth

    def test_one_row_has_all_costs_and_no_share_inside(self, network):
        raw = raw_profile(network, [log((GPU, "[d]:4", 0.5), mean_us=510)], Delegate.NONE)
        chain = [chained(length) for length in (4, 28)]
        found = combine(
            network,
            [Pass(raw, Probe(*chain), Probe(*chain))],
            [Unprofiled(0.4, 0.1, 0.34, 0.1, 0.34)],
            Condition.of(find_device("local-tflite")),
        )
        (node,) = found.nodes
        assert (node.fused, node.macs, node.is_delegate) == (("a", "b", "c", "d"), 600, True)
        # A tiny node costs (0.34 - 0.1) / 24, and a call what four leave of a short chain.
        assert found.call_ms == pytest.approx(0.1 - 4 * 0.01)
        assert node.latency_ms == pytest.approx(0.4 - found.call_ms)
        assert any("told as one" in note for note in found.notes)


def chained(length):
    nodes = tuple(
        ModelNode(f"t{n}", "LOGISTIC", (f"t{n - 1}",), (f"t{n}",), 0) for n in range(1, length + 1)
    )
    model = ModelFile(
        b"", ".tflite", nodes, (ModelInput("t0", np.dtype("f4"), (1,)),), (f"t{length}",),
        frozenset(), {}, False,
    )  # fmt: skip
    return raw_profile(model, [log((GPU, f"[t{length}]:{length}", 0.1))], Delegate.NONE)


@st.composite
def graphs(draw):
    """Graphs in which every node reads one or two tensors before it, and all ends are outputs."""
    nodes, tensors, read = [], ["x"], set()
    for number in range(draw(st.integers(1, 9))):
        inputs = draw(st.lists(st.sampled_from(tensors), min_size=1, max_size=2))
        outputs = [f"t{number}.{n}" for n in range(draw(st.integers(1, 2)))]
        nodes.append(ModelNode(outputs[0], "ADD", tuple(inputs), tuple(outputs), 0))
        tensors += outputs
        read.update(inputs)
    given_inputs = (ModelInput("x", np.dtype("f4"), (1,)),)
    ends = tuple(name for name in tensors if name not in read and name != "x")
    return ModelFile(b"", ".tflite", tuple(nodes), given_inputs, ends, frozenset(), {}, False)


def partitioned(model, on_cpu):
    """Rows of the table, and what each is, where the nodes outside of `on_cpu` are delegated."""
    there, left = {"x"}, list(range(len(model.nodes)))
    rows: list[tuple[str, str, float]] = []
    truth: list[tuple[int | None, tuple[int, ...] | None]] = []
    kernels = 0
    while left:
        first = next(n for n in left if there.issuperset(model.nodes[n].inputs))
        part = []
        for number in list(left):
            node = model.nodes[number]
            if (number in on_cpu) == (first in on_cpu) and there.issuperset(node.inputs):
                part.append(number)
                there.update(node.outputs)
                left.remove(number)
        if first in on_cpu:
            for number in part:
                outputs = ", ".join(model.nodes[number].outputs)
                rows.append(("ADD", f"[{outputs}]:{number}", 0.1))
                truth.append((number, None))
            continue
        outer = {name for n in left for name in model.nodes[n].inputs} | set(model.outputs)
        made = [name for n in part for name in model.nodes[n].outputs if name in outer]
        rows.append((GPU, f"[{', '.join(made)}]:{len(model.nodes) + kernels}", 0.1))
        truth.append((None, tuple(part)))
        kernels += 1
    return rows, truth


class TestSeveralInvocations:
    def test_each_gives_a_mean(self, network):
        logs = [log(("CONV_2D", "[a]:0", ms), mean_us=1e3 * ms) for ms in (0.1, 0.2, 0.9, 0.2)]
        found = raw_profile(network, logs, Delegate.NONE)
        assert found.nodes[0].times_ms == (0.1, 0.2, 0.9, 0.2)
        assert found.nodes[0].typical_ms == pytest.approx(0.2)
        assert (found.runs, found.gap_ms) == (20, pytest.approx(0.0))

    def test_one_of_other_operators_is_left_out(self, network):
        alike = log(("CONV_2D", "[a]:0", 0.1))
        other = log(("CONV_2D", "[a]:0", 0.1), ("HARD_SWISH", "[b]:1", 0.1))
        found = raw_profile(network, [alike, other, alike], Delegate.NONE)
        assert (len(found.nodes), found.runs) == (1, 10)
        third = log(("CONV_2D", "[c]:2", 0.1))
        with pytest.raises(MeasurementError, match="1 operators in 1 of 3 processes"):
            raw_profile(network, [alike, other, third], Delegate.NONE)


class TestDamage:
    @pytest.mark.parametrize(
        ("text", "reason"),
        [
            (log(table=[]), "one table of operators was asked for; found 0"),
            (log(("Invoke", "Invoke/0", 1.0)), "holds no operators"),
            (
                log(("CONV_2D", "[a]:0", 0.1)).replace(b"1 nodes observed", b"2 nodes observed"),
                "cut short",
            ),
            (b"\xff\xfe nonsense", "cut short"),
            (log(("CONV_2D", "[a]:0", 0.1))[:300], "no readable table"),
        ],
    )
    def test_it_is_said(self, network, text, reason):
        with pytest.raises(MeasurementError, match=reason):
            raw_profile(network, [text], Delegate.NONE)

    def test_a_delegate_that_is_not_there_is_no_answer(self, network):
        absent = "WARN: GPU acceleration is unsupported on this platform."
        told = log(("CONV_2D", "[a]:0", 0.1), more=absent)
        for read in (lambda: raw_profile(network, [told], Delegate.GPU),
                     lambda: unprofiled_ms(told, Delegate.GPU)):  # fmt: skip
            with pytest.raises(MeasurementError, match="has no GPU delegate"):
                read()


def test_times_of_short_runs_are_means(network):
    # The median is 9 us in all of them: a whole microsecond says little of 0.4.
    assert unprofiled_ms(log(mean_us=0.4), Delegate.NONE) == pytest.approx(0.0004)
    assert unprofiled_ms(log(mean_us=500.0), Delegate.NONE) == pytest.approx(0.009)
