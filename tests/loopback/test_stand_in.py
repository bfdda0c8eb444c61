"""The stand-in for `benchmark_model` behaves and prints as the real tool does."""

from __future__ import annotations

import os
import re
import signal
import subprocess
from dataclasses import dataclass

import flatbuffers
import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from elat.core.errors import ArtefactError
from elat.latency.artefacts import ArtefactCache
from elat.latency.condition import Condition, Method, Precision
from elat.latency.flags import Flag
from elat.latency.imports.base import Statistic
from elat.latency.imports.detect import detect
from elat.latency.imports.tflite_stats import read_stat
from elat.latency.imports.tflite_tables import read_tables
from elat.latency.operators.conv import Conv
from elat.latency.runtimes.tflite import TFLite

from .stand_in import stats
from .stand_in.layers import split_value_file
from .stand_in.log import Log, ToolError
from .stand_in.settings import HUGE_BYTES
from .stand_in.stats import Limits, Stat, measure, timer
from .stand_in.tables import Profile
from .stand_ins import install_stand_in, missing_reason

if reason := missing_reason():
    pytest.skip(reason, allow_module_level=True)

schema = pytest.importorskip("ai_edge_litert.schema_py_generated")
litert = pytest.importorskip("ai_edge_litert.interpreter")

SHAPE = (1, 4, 4, 2)
QUICK = ("--num_runs=3", "--min_secs=0", "--warmup_min_secs=0", "--num_threads=1")
RAW = st.integers(0, 10**7)


def model(path, *kinds, inputs=("x",)):
    """A chain of operators that take no options, the first of them of all `inputs`."""
    codes = [getattr(schema.BuiltinOperator, kind) for kind in kinds]
    names = [*inputs, *(f"t{number}" for number in range(len(kinds)))]
    made = schema.ModelT()
    made.version, made.buffers = 3, [schema.BufferT()]
    made.operatorCodes = [_code(code) for code in codes]
    graph = schema.SubGraphT()
    graph.tensors = [_tensor(name) for name in names]
    graph.inputs, graph.outputs = list(range(len(inputs))), [len(names) - 1]
    taken = [list(graph.inputs), *([n] for n in range(len(inputs), len(names) - 1))]
    graph.operators = [_operator(n, given, len(inputs) + n) for n, given in enumerate(taken)]
    made.subgraphs = [graph]
    builder = flatbuffers.Builder(1024)
    builder.Finish(made.Pack(builder), b"TFL3")
    path.write_bytes(bytes(builder.Output()))
    return path


def _code(number):
    code = schema.OperatorCodeT()
    code.builtinCode, code.deprecatedBuiltinCode, code.version = number, min(number, 127), 1
    return code


def _tensor(name):
    tensor = schema.TensorT()
    tensor.name, tensor.shape = name.encode(), list(SHAPE)
    tensor.type, tensor.buffer = schema.TensorType.FLOAT32, 0
    return tensor


def _operator(number, inputs, output):
    operator = schema.OperatorT()
    operator.opcodeIndex, operator.inputs, operator.outputs = number, inputs, [output]
    return operator


@dataclass(frozen=True)
class Ran:
    """What a run of the stand-in left."""

    code: int
    out: str
    err: str

    @property
    def row(self):
        """What the importer makes of the measured runs."""
        return self.imported.rows[0]

    @property
    def imported(self):
        data = self.out.encode()
        _, importer = detect(data)
        return importer.read(data)


@pytest.fixture(scope="module")
def folder(tmp_path_factory):
    return tmp_path_factory.mktemp("stand_in")


@pytest.fixture(scope="module")
def tool(folder):
    return install_stand_in(folder / "benchmark_model")


@pytest.fixture(scope="module")
def small(folder):
    return model(folder / "small.tflite", "ABS", "NEG", "ABS")


@pytest.fixture(scope="module")
def mixed(folder):
    """XNNPACK has no SIGN."""
    return model(folder / "mixed.tflite", "ABS", "SIGN", "SIGN", "NEG", "ABS")


def run(tool, graph, *flags, words="", timeout=60):
    done = subprocess.run(
        [tool, f"--graph={graph}", *QUICK, *flags],
        env={**os.environ, "ELAT_STAND_IN": words},
        capture_output=True,
        timeout=timeout,
        check=False,
    )
    text = [stream.decode(errors="replace") for stream in (done.stdout, done.stderr)]
    return Ran(done.returncode, *text)


class TestOutput:
    def test_it_is_the_tool_s(self, tool, small):
        ran = run(tool, small, "--use_xnnpack=true")
        assert ran.code == 0
        numbers = re.sub(r"\d+(\.\d+)?(e[-+]\d+)?", "N", ran.out.replace(str(small), "FILE"))
        stat = r"INFO: count=N (first=.*|curr=N\(all same\)) pN=N median=N pN=N"
        assert re.sub(stat, "STAT", numbers) == (
            "INFO: STARTING!\n"
            "INFO: Log parameter values verbosely: [N]\n"
            "INFO: Min num runs: [N]\n"
            "INFO: Min runs duration (seconds): [N]\n"
            "INFO: Num threads: [N]\n"
            "INFO: Min warmup runs duration (seconds): [N]\n"
            "INFO: Graph: [FILE]\n"
            "INFO: Signature to run: []\n"
            "INFO: #threads used for CPU inference: [N]\n"
            "INFO: Use xnnpack: [N]\n"
            "INFO: Loaded model FILE\n"
            "INFO: XNNPACK delegate created.\n"
            "INFO: Explicitly applied XNNPACK delegate, and the model graph will be completely "
            "executed by the delegate.\n"
            "INFO: The input model file size (MB): N\n"
            "INFO: Initialized session in Nms.\n"
            "INFO: Running benchmark for at least N iterations and at least N seconds but "
            "terminate if exceeding N seconds.\n"
            "INFO: count=N curr=N pN=N median=N pN=N\n\n"
            "INFO: Running benchmark for at least N iterations and at least N seconds but "
            "terminate if exceeding N seconds.\n"
            "STAT\n\n"
            "INFO: Inference timings in us: Init: N, First inference: N, Warmup (avg): N, "
            "Inference (avg): N\n"
            "INFO: Note: as the benchmark tool itself affects memory footprint, the following is "
            "only APPROXIMATE to the actual memory footprint of the model at runtime. Take the "
            "information at your discretion.\n"
            "INFO: Memory footprint delta from the start of the tool (MB): init=N overall=N\n"
        )
        assert "INFO: Created TensorFlow Lite XNNPACK delegate for CPU.\n" in ran.err

    def test_the_importer_reads_it(self, tool, small):
        ran = run(tool, small)
        assert ran.imported.kind == "benchmark-model"
        assert (ran.row.count, ran.row.statistic) == (3, Statistic.MEDIAN)
        assert ran.imported.facts["threads"] == 1
        assert ran.imported.facts["model"] == str(small)

    def test_a_build_of_2021(self, tool, small, folder):
        output = folder / "old.bin"
        ran = run(tool, small, f"--output_filepath={output}", words="version=old")
        assert ran.out.startswith(
            f"STARTING!\nUnconsumed cmdline flags: --output_filepath={output}\n"
        )
        assert "INFO" not in ran.out
        assert not output.exists()
        assert "median" not in ran.out
        assert ran.row.statistic is Statistic.MEAN


class TestStatistics:
    @given(st.lists(RAW, min_size=1, max_size=50))
    def test_they_are_those_of_the_runs(self, values):
        found = read_stat(Stat(values).text(has_percentiles=True), "x")
        us = {key: value * 1e3 for key, value in found.values_ms.items()}
        assert found.count == len(values)
        assert us["min"] == pytest.approx(min(values), rel=1e-12)
        assert us["max"] == pytest.approx(max(values), rel=1e-12)
        assert us["avg"] == pytest.approx(np.mean(values), rel=1e-5)
        # The variance is cut off before the root, and the root after it; large values lose digits.
        lost = 2 + 1e-6 * max(values)
        assert us["std"] == pytest.approx(np.std(values), abs=lost)
        for name, percent in (("p5", 5), ("median", 50), ("p95", 95)):
            rank = np.sort(values)[len(values) * percent // 100]
            assert us[name] == pytest.approx(rank, rel=1e-12)

    @given(RAW, RAW)
    def test_both_readings_of_the_clock_are_cut_off(self, start_ns, took_ns):
        with pytest.MonkeyPatch.context() as patch:
            clock = Clock(start_ns)
            patch.setattr(stats, "time", clock)
            timed = timer(lambda: clock.wait_ns(took_ns))
            found = timed()
        assert found == (start_ns + took_ns) // 1000 - start_ns // 1000
        assert abs(found - took_ns / 1000) < 1

    def test_no_warm_up_at_all(self, tool, small):
        ran = run(tool, small, "--warmup_runs=0")
        assert "INFO: count=0 p5=0 median=0 p95=0\n" in ran.out
        assert "First inference: 0, Warmup (avg): 0, " in ran.out
        assert ran.row.count == 3

    def test_six_digits_and_no_more(self):
        assert "avg=1.23457e+06 std=0" in Stat([1234567, 1234568]).text()

    @given(
        took_us=st.lists(st.integers(1, 400), min_size=60, max_size=60),
        count=st.integers(0, 20),
        min_us=st.integers(0, 3000),
        max_us=st.integers(0, 5000),
        between_us=st.integers(0, 50),
    )
    def test_runs_go_on_until_both_are_reached(self, took_us, count, min_us, max_us, between_us):
        with pytest.MonkeyPatch.context() as patch:
            clock = Clock()
            patch.setattr(stats, "time", clock)
            rest = iter(took_us)

            def timed():
                took = next(rest, 400)
                clock.wait(took)
                return took

            limits = Limits(count, min_us / 1e6, max_us / 1e6, 0.0)
            found = measure(timed, lambda: clock.wait(between_us), limits).values_us
        # The run before the last left something to do, and the last one nothing.
        ends = np.cumsum([took + between_us for took in found])
        wanted = [
            (done < count or end < min_us) and end <= max_us
            for done, end in enumerate([0, *map(int, ends)])
        ]
        assert wanted == [True] * len(found) + [False]

    def test_a_delay_is_between_the_runs_and_not_in_them(self, tool, small):
        ran = run(tool, small, "--run_delay=0.02")
        assert ran.row.reported["max"] < 20
        assert "Inter-run delay (seconds): [0.02]" in ran.out


class Clock:
    """Stands for the module `time`."""

    def __init__(self, now_ns=10**15):
        self.now_ns = now_ns

    def monotonic_ns(self):
        return self.now_ns

    def wait(self, us):
        self.wait_ns(us * 1000)

    def wait_ns(self, ns):
        self.now_ns += ns


class TestFlags:
    def test_unknown_ones_are_warned_about(self, tool, small):
        ran = run(tool, small, "--xnnpack_force_fp16=true", "extra", "--num_runs=9")
        warned = "--xnnpack_force_fp16=true extra --num_runs=9"
        assert f"WARN: Unconsumed cmdline flags: {warned}\n" in ran.out
        assert ran.code == 0

    @pytest.mark.parametrize("flag", ["--verbose=yes", "--run_delay=soon", "--warmup_runs=x"])
    def test_what_cannot_be_read_ends_it(self, tool, small, flag):
        ran = run(tool, small, flag)
        name = flag[2:].partition("=")[0]
        assert f"ERROR: Failed to parse flag '{name}' against argv '{flag}'\n" in ran.err
        assert ran.err.endswith("ERROR: Benchmarking failed.\n")
        assert (ran.code, ran.out) == (1, "INFO: STARTING!\n")

    @pytest.mark.parametrize("flag", ["--help", "--help=true"])
    def test_help(self, tool, small, flag):
        ran = run(tool, small, flag)
        assert ran.code == 1
        assert f"usage: {tool} <flags>\nFlags:\n\t--num_runs=50 " in ran.err
        assert "--use_gpu=false" in ran.err

    def test_verbose_tells_all(self, tool, small):
        told = run(tool, small, "--verbose=1").out
        assert "INFO: Log parameter values verbosely: [1]\n" in told
        assert "INFO: Max runs duration (seconds): [150]\n" in told
        assert "INFO: Allow lower precision in gpu: [1]\n" in told

    def test_a_model_is_needed(self, tool):
        ran = run(tool, "")
        assert ran.code == 1
        asked = "ERROR: Please specify the name of your TF Lite input file with --graph\n"
        assert asked in ran.err


class TestModels:
    def test_what_is_no_model_is_refused(self, tool, folder):
        bad = folder / "bad.tflite"
        bad.write_bytes(b"no model")
        for path in (bad, folder / "missing.tflite"):
            ran = run(tool, path)
            assert ran.code == 1
            assert f"ERROR: Failed to load model {path}\nERROR: Benchmarking failed." in ran.err
            assert "Loaded model" not in ran.out

    def test_an_operator_that_cannot_be_prepared(self, tool, folder):
        # POW takes two inputs.
        ran = run(tool, model(folder / "pow.tflite", "POW"))
        assert ran.code == 1
        assert "INFO: Loaded model" in ran.out
        assert "ERROR: Failed to allocate tensors!\nERROR: Benchmarking failed." in ran.err

    @pytest.mark.parametrize("precision", [Precision.FP32, Precision.INT8])
    @pytest.mark.parametrize("xnnpack", [True, False])
    def test_outputs_are_the_interpreter_s(self, tool, tmp_path, precision, xnnpack):
        options = tuple(sorted(TFLite().options({"xnnpack": xnnpack}).items()))
        condition = Condition("x", "tflite", "", precision, 1, 1, Method.BLOCK, options)
        artefact = ArtefactCache(tmp_path).artefact(Conv(3, 8, 9, 3, 2), condition)
        resolvers = litert.OpResolverType
        interpreter = litert.Interpreter(
            model_path=str(artefact.model_path),
            num_threads=1,
            experimental_op_resolver_type=(
                resolvers.AUTO if xnnpack else resolvers.BUILTIN_WITHOUT_DEFAULT_DELEGATES
            ),
        )
        interpreter.allocate_tensors()
        place = interpreter.get_input_details()[0]
        noise = np.random.default_rng(0).integers(-100, 100, place["shape"])
        interpreter.set_tensor(place["index"], noise.astype(place["dtype"]))
        interpreter.invoke()
        (values := tmp_path / "in:1.bin").write_bytes(noise.astype(place["dtype"]).tobytes())
        ran = run(
            tool,
            artefact.model_path,
            f"--use_xnnpack={str(xnnpack).lower()}",
            *layer_flags({place["name"]: (place["shape"], values)}),
            f"--output_filepath={tmp_path / 'out.bin'}",
        )
        assert ran.code == 0, ran.err
        assert "WARN" not in ran.out
        target = interpreter.get_output_details()[0]["index"]
        expected = interpreter.get_tensor(target).tobytes()
        assert (tmp_path / "out.bin").read_bytes() == expected
        assert len(set(expected)) > 3


def layer_flags(layers):
    """The flags for inputs, by name: their shapes and files."""

    def escaped(text):
        return str(text).replace(":", "::")

    shapes = ":".join(",".join(map(str, shape)) for shape, _ in layers.values())
    files = ",".join(f"{escaped(name)}:{escaped(path)}" for name, (_, path) in layers.items())
    return (
        f"--input_layer={','.join(layers)}",
        f"--input_layer_shape={shapes}",
        f"--input_layer_value_files={files}",
    )


class TestInputs:
    @pytest.fixture
    def power(self, tmp_path):
        return model(tmp_path / "power.tflite", "POW", inputs=("in:0", "in:1"))

    def files(self, tmp_path, **values):
        for name, value in values.items():
            (tmp_path / name).write_bytes(np.full(SHAPE, value, np.float32).tobytes())
        return tmp_path

    def test_each_gets_its_file(self, tool, tmp_path, power):
        folder = self.files(tmp_path, base=3, exponent=2)
        layers = {"in:0": (SHAPE, folder / "base"), "in:1": (SHAPE, folder / "exponent")}
        ran = run(tool, power, *layer_flags(layers), f"--output_filepath={tmp_path / 'out'}")
        assert ran.code == 0, ran.err
        assert np.all(np.fromfile(tmp_path / "out", np.float32) == 9)

    def test_a_name_that_the_model_does_not_know_is_warned_about(self, tool, tmp_path, power):
        folder = self.files(tmp_path, base=2)
        layers = {"a": (SHAPE, folder / "base"), "in:1": (SHAPE, folder / "base")}
        ran = run(tool, power, *layer_flags(layers))
        assert "WARN: Tensor # 0 is named in:0 but flags call it a\n" in ran.out
        assert ran.code == 0

    def test_they_are_resized(self, tool, tmp_path, small):
        flags = ("--input_layer=x", "--input_layer_shape=5,4,4,2")
        run(tool, small, *flags, f"--output_filepath={tmp_path / 'out'}")
        assert (tmp_path / "out").stat().st_size == 5 * 4 * 4 * 2 * 4

    @pytest.mark.parametrize(
        ("flags", "message"),
        [
            (("x", "1,4,4,2", "x:{short}"), "The size of {short} is 7 bytes. It should be 128"),
            (("x", "1,4,4,2", "x:{none}"), "Failed to read the input_layer_value_file:{none}"),
            (("x", "1,4,4,2", "y:{short}"), "Cannot find the corresponding input_layer name(y)"),
            (("x", "1,4,four,2", ""), "Incorrect size string specified: 1,4,four,2"),
            (("x,y", "1,4,4,2:1", ""), "Inputs mismatch: Model inputs #:2 expected: 1"),
        ],
    )
    def test_what_the_tool_checks_aborts_it(self, tool, tmp_path, small, flags, message):
        paths = {"short": tmp_path / "short", "none": tmp_path / "none"}
        paths["short"].write_bytes(b"7 bytes")
        names = ("--input_layer", "--input_layer_shape", "--input_layer_value_files")
        given = [f"{n}={v.format(**paths)}" for n, v in zip(names, flags, strict=True)]
        ran = run(tool, small, *given)
        assert ran.code == -signal.SIGABRT
        assert f"FATAL: {message.format(**paths)}" in ran.err

    @pytest.mark.parametrize(
        ("flags", "message"),
        [
            (("x", "", ""), "The number of items in --input_layer_shape (, with 0 items) must"),
            (("x", "1,-1,4,2", ""), "Any unknown sizes in the shapes (-1's) must be replaced"),
            (("x", "1,4,4", ""), "Input tensor #0 should have 4 dimensions!"),
            (("x", "1,4,4,2", "x"), "Wrong input value file item specified: x"),
        ],
    )
    def test_what_the_tool_refuses_ends_it(self, tool, small, flags, message):
        names = ("--input_layer", "--input_layer_shape", "--input_layer_value_files")
        given = [f"{n}={v}" for n, v in zip(names, flags, strict=True)]
        ran = run(tool, small, *given)
        assert ran.code == 1
        assert f"ERROR: {message}" in ran.err

    @given(st.text("ab:", min_size=1, max_size=9))
    def test_colons_are_escaped_by_doubling(self, item):
        """As SplitInputLayerNameAndValueFile walks: a pair of colons is skipped."""
        at, delimiters = 0, []
        while at < len(item) - 1:
            if item[at] == ":" and item[at + 1] == ":":
                at += 1
            elif item[at] == ":":
                delimiters.append(at)
            at += 1
        if len(delimiters) == 1:
            name, path = item[: delimiters[0]], item[delimiters[0] + 1 :]
            expected = (name.replace("::", ":"), path.replace("::", ":"))
            assert split_value_file(item, Log()) == expected
        else:
            with pytest.raises(ToolError):
                split_value_file(item, SILENT)

    def test_made_up_values_are_in_the_tool_s_ranges(self, tool, tmp_path):
        path = model(tmp_path / "abs.tflite", "ABS")
        run(tool, path, f"--output_filepath={tmp_path / 'out'}")
        values = np.fromfile(tmp_path / "out", np.float32)
        assert values.max() <= 0.5
        assert len(np.unique(values)) > 20


class _Silent(Log):
    def error(self, text):
        del text


SILENT = _Silent()


class TestDelegates:
    def test_a_delegate_that_leaves_operators(self, tool, mixed):
        ran = run(tool, mixed, "--use_xnnpack=true")
        assert (
            "VERBOSE: Replacing 3 out of 5 node(s) with delegate (TfLiteXNNPackDelegate) node, "
            "yielding 3 partitions for subgraph 0.\n"
        ) in ran.err
        assert (
            "INFO: Explicitly applied XNNPACK delegate, and the model graph will be partially "
            "executed by the delegate w/ 2 delegate kernels.\n"
        ) in ran.out

    def test_it_is_told_only_where_it_was_asked_for(self, tool, mixed):
        assert "Explicitly" not in run(tool, mixed).out
        without = run(tool, mixed, "--use_xnnpack=false")
        assert "Explicitly" not in without.out
        assert "Replacing" not in without.err

    def test_operators_that_it_has_not(self, tool, folder):
        ran = run(tool, model(folder / "sign.tflite", "SIGN"), "--use_xnnpack=true")
        assert (
            "INFO: Though XNNPACK delegate is explicitly applied, the model graph will not be "
            "executed by the delegate.\n"
        ) in ran.out

    def test_full_delegation_can_be_required(self, tool, small, mixed):
        flags = ("--use_xnnpack=true", "--require_full_delegation=true")
        assert run(tool, small, *flags).code == 0
        for ran in (run(tool, mixed, *flags), run(tool, small, flags[1])):
            assert ran.code == 1
            assert "ERROR: Disallowed CPU fallback detected.\n" in ran.err

    @pytest.mark.parametrize(("flag", "name"), [("use_gpu", "GPU"), ("use_nnapi", "NNAPI")])
    def test_what_this_machine_lacks_fails(self, tool, small, flag, name):
        ran = run(tool, small, f"--{flag}=true")
        assert ran.code == 1
        assert f"ERROR: Failed to apply {name} delegate.\n" in ran.err
        assert "Initialized session" not in ran.out

    def test_a_pretended_one_takes_part_of_the_graph(self, tool, small):
        ran = run(tool, small, "--use_gpu=true", words="gpu=partial")
        assert ran.code == 0
        assert (
            "Explicitly applied GPU delegate, and the model graph will be partially executed by "
            "the delegate w/ 1 delegate kernels."
        ) in ran.out
        replaced = re.findall(r"Replacing (\d out of \d) node.*?delegate \((\w+)\)", ran.err)
        assert replaced == [
            ("2 out of 3", "TfLiteGpuDelegateV2"),
            ("1 out of 2", "TfLiteXNNPackDelegate"),
        ]

    def test_a_pretended_one_takes_it_all(self, tool, small):
        ran = run(tool, small, "--use_nnapi=true", words="nnapi=full")
        assert "completely executed by the delegate." in ran.out
        assert "XNNPackDelegate" not in ran.err

    def test_a_build_without_it_warns_and_goes_on(self, tool, small):
        ran = run(tool, small, "--use_nnapi=true", words="nnapi=absent")
        assert ran.code == 0
        assert "WARN: NNAPI acceleration is unsupported on this platform.\n" in ran.out
        assert "applied" not in ran.out

    def test_they_are_applied_in_the_order_of_the_flags(self, tool, small):
        flags = ("--use_gpu=true", "--use_xnnpack=true")
        for order in (flags, flags[::-1]):
            ran = run(tool, small, *order, words="gpu=partial")
            assert "INFO: Going to apply 2 delegates one after another.\n" in ran.out
            names = re.findall(r"(\w+) delegate(?:,| is explicitly)", ran.out)
            assert names == [{"gpu": "GPU", "xnn": "XNNPACK"}[flag[6:9]] for flag in order]

    def test_the_importer_flags_what_was_left(self, tool, mixed):
        ran = run(tool, mixed)
        both = Ran(ran.code, ran.err + ran.out, "")
        assert Flag.PARTIAL_DELEGATION in both.row.flags
        assert Flag.PARTIAL_DELEGATION not in ran.row.flags


class TestProfiles:
    FLAGS = ("--enable_op_profiling=true",)

    def test_operators_of_xnnpack(self, tool, small):
        network, *operators = run(tool, small, *self.FLAGS).imported.rows
        assert [row.facts["index"] for row in operators] == ["0", "1", "2"]
        assert all(row.name.startswith("Delegate/") for row in operators)
        assert {row.count for row in operators} == {network.count}

    @pytest.mark.parametrize("mode", ["stdout", "csv"])
    def test_operators_of_the_interpreter(self, tool, mixed, mode):
        ran = run(
            tool, mixed, *self.FLAGS, "--use_xnnpack=false", f"--op_profiling_output_mode={mode}"
        )
        _, *operators = ran.imported.rows
        kinds = [(row.facts["type"], row.name, row.facts["index"]) for row in operators]
        names = ["ABS", "SIGN", "SIGN", "NEG", "ABS"]
        assert kinds == [(kind, f"t{n}", str(n)) for n, kind in enumerate(names)]
        first, second = read_tables(ran.out.splitlines())
        assert first.is_initialisation
        assert not second.is_initialisation

    def test_a_file_of_its_own(self, tool, small, tmp_path):
        path = tmp_path / "profile.csv"
        ran = run(tool, small, *self.FLAGS, f"--profiling_output_csv_file={path}")
        assert "Run Order" not in ran.out
        name, importer = detect(path.read_bytes())
        assert name == "tflite-op-profile"
        assert len(importer.read(path.read_bytes()).rows) == 3

    def test_an_unknown_form_is_refused(self, tool, small):
        ran = run(tool, small, *self.FLAGS, "--op_profiling_output_mode=xml")
        assert ran.code == 1
        assert "ERROR: Output modexml is not supported." in ran.err

    @given(
        st.lists(
            st.tuples(st.sampled_from(["CONV_2D", "Add (ND)", "Mean (N, C)"]), RAW),
            min_size=1,
            max_size=6,
        ),
        st.integers(1, 4),
        st.booleans(),
    )
    def test_tables_say_what_ran(self, operators, runs, is_csv):
        profile = Profile()
        for extra in range(runs):
            named = [(kind, f"[a, b]:{n}", us + extra) for n, (kind, us) in enumerate(operators)]
            profile.add_run(named)
        (table,) = read_tables(profile.text(is_csv).splitlines())
        assert [(row.kind, row.name, row.index) for row in table.rows] == [
            (kind, "a, b", str(number)) for number, (kind, _) in enumerate(operators)
        ]
        for row, (_, us) in zip(table.rows, operators, strict=True):
            mean_ms = (us + (runs - 1) / 2) / 1e3
            tolerance = 6e-4 if not is_csv else 1e-5 * mean_ms + 1e-9
            assert row.mean_ms == pytest.approx(mean_ms, abs=tolerance)
            assert row.calls == 1
        assert (table.runs, table.is_counted) == (runs, True)


class TestFaults:
    def test_a_crash(self, tool, small):
        ran = run(tool, small, words="crash")
        assert ran.code == -signal.SIGSEGV
        assert ran.out.endswith("ms.\n")

    def test_output_that_breaks_off(self, tool, small):
        ran = run(tool, small, words="truncate")
        assert ran.code == 0
        assert ran.out.endswith("INFO: count")
        with pytest.raises(ArtefactError, match="cut short"):
            _ = ran.imported

    def test_output_that_breaks_off_before_the_last_digit(self, tool, small):
        ran = run(tool, small, words="clip")
        assert ran.code == 0
        assert re.search(r"INFO: count=\d.* p95=\d*\Z", ran.out)

    def test_garbage(self, tool, small):
        ran = run(tool, small, words="garbage")
        assert ran.code == 0
        with pytest.raises(ArtefactError, match="no importer recognises"):
            _ = ran.imported

    def test_lines_that_end_in_cr_lf(self, tool, small):
        ran = run(tool, small, words="crlf")
        lines = ran.out.split("\n")
        assert all(line.endswith("\r") for line in lines[:-1])
        assert ran.row.count == 3

    def test_a_hang(self, tool, small):
        with pytest.raises(subprocess.TimeoutExpired) as caught:
            run(tool, small, words="hang", timeout=1)
        assert (caught.value.stdout or b"").endswith(b"ms.\n")

    def test_a_huge_line(self, tool, small):
        ran = run(tool, small, words="huge")
        assert max(map(len, ran.out.splitlines())) == HUGE_BYTES
        assert ran.code == 0

    def test_a_fault_of_one_model(self, tool, small, mixed):
        assert run(tool, mixed, words="crash@mixed").code == -signal.SIGSEGV
        assert run(tool, small, words="crash@mixed").code == 0

    def test_words_can_be_written_into_the_program(self, tmp_path, small):
        broken = install_stand_in(tmp_path / "broken", "crash@small version=old")
        ran = run(broken, small)
        assert ran.code == -signal.SIGSEGV
        assert ran.out.startswith("STARTING!")


def test_it_is_one_file_that_can_be_copied(tool, small, tmp_path):
    copy = tmp_path / "elsewhere"
    copy.write_bytes(tool.read_bytes())
    copy.chmod(0o755)
    assert run(copy, small).code == 0
