"""trtexec's files, written by hand in the key sets of its versions."""

from __future__ import annotations

import json
import statistics
from dataclasses import replace

import pytest

from elat.core.errors import ArtefactError
from elat.latency.flags import Flag
from elat.latency.imports import Statistic
from elat.latency.imports.serial import from_json, to_json
from elat.latency.imports.trtexec_layers import join_layers
from elat.latency.imports.trtexec_log import TrtexecLog
from elat.latency.imports.trtexec_profile import TrtexecProfile, fused_parts
from elat.latency.imports.trtexec_times import TrtexecTimes


def inference(start, compute, *, enqueue=0.01, h2d=0.125, d2h=0.25, names=("H2d", "D2h")):
    """One inference as 8.4 writes it; the spans are powers of two, so that sums are exact."""
    before, after = names
    middle, end = start + h2d, start + h2d + compute
    return {
        "startEnqMs": start - 1,
        "endEnqMs": start - 1 + enqueue,
        f"start{before}Ms": start,
        f"end{before}Ms": middle,
        "startComputeMs": middle,
        "endComputeMs": end,
        f"start{after}Ms": end,
        f"end{after}Ms": end + d2h,
        f"{before.lower()}Ms": h2d,
        "computeMs": compute,
        f"{after.lower()}Ms": d2h,
        "latencyMs": h2d + compute + d2h,
    }


def times(rows):
    return TrtexecTimes().read(json.dumps(rows).encode())


def legacy(row):
    return row | {"endToEndMs": 2 * row["latencyMs"]}


WARM = [inference(300 + 3 * n, 1 + n / 64) for n in range(12)]


class TestTimes:
    def test_compute_and_latency_are_two_rows_of_raw_samples(self):
        compute, latency = times(WARM).rows
        assert compute.name == "GPU Compute Time"
        assert compute.samples == tuple(row["computeMs"] for row in WARM)
        assert compute.value == statistics.median(compute.samples)
        assert latency.samples == tuple(row["computeMs"] + 0.375 for row in WARM)
        assert (compute.statistic, compute.count, compute.flags) == (
            Statistic.MEDIAN,
            12,
            frozenset(),
        )

    def test_warm_up_is_left_out_where_the_file_holds_it(self):
        cold = [inference(10 + n, 7) for n in range(5)]
        found = times([*cold, *WARM])
        assert found.rows == times(WARM).rows
        assert found.facts["warm_up_inferences"] == 5
        assert any("5 of 17 inferences" in note for note in found.notes)
        assert times(WARM).notes == ()

    def test_a_file_of_warm_up_alone_is_kept_and_flagged(self):
        found = times([inference(10 + n, 1) for n in range(12)])
        assert found.rows[0].count == 12
        assert all(Flag.WARMUP_CAP in row.flags for row in found.rows)

    @pytest.mark.parametrize(
        ("version", "rows"),
        [
            ("8.4 or later", WARM),
            ("8.0 to 8.2", [legacy(row) for row in WARM]),
            (
                "7.0",
                [
                    {key: value for key, value in legacy(row).items() if "Enq" not in key}
                    for row in (
                        inference(300 + 3 * n, 1 + n / 64, names=("In", "Out")) for n in range(12)
                    )
                ],
            ),
        ],
    )
    def test_key_sets_tell_the_version(self, version, rows):
        found = times(rows)
        assert found.tool == f"trtexec (TensorRT {version})"
        assert [row.value for row in found.rows] == [row.value for row in times(WARM).rows]

    def test_stamps_that_7_1_swapped_are_put_back(self):
        """The enqueue takes 2 ms, and is printed under the name of the input."""
        rows = [inference(300 + 3 * n, 1, enqueue=2, names=("In", "Out")) for n in range(12)]
        swapped = [
            legacy(row)
            | {
                "startEnqMs": row["startInMs"],
                "endEnqMs": row["endInMs"],
                "startInMs": row["startEnqMs"],
                "endInMs": row["endEnqMs"],
            }
            for row in rows
        ]
        found = times(swapped)
        assert found.rows[0].facts["enqueue_ms"] == 2
        assert found.rows[0].flags == {Flag.ENQUEUE_BOUND}
        assert any("names" in note for note in found.notes)

    def test_a_host_that_is_fast_enough_is_not_flagged(self):
        slow = [inference(300 + 3 * n, 1, enqueue=0.79) for n in range(12)]
        slower = [inference(300 + 3 * n, 1, enqueue=0.81) for n in range(12)]
        assert Flag.ENQUEUE_BOUND not in times(slow).rows[0].flags
        assert Flag.ENQUEUE_BOUND in times(slower).rows[0].flags

    @pytest.mark.parametrize(
        ("damage", "message"),
        [
            ({"computeMs": 5}, "latencyMs of inference 1 .* add up to 5.375"),
            ({"computeMs": -1}, "computeMs of inference 1 should be .*, found -1"),
            ({"computeMs": "1"}, "computeMs of inference 1 should be a number"),
            ({"endComputeMs": 1}, "endComputeMs of inference 1 is before startComputeMs"),
            ({"gpuMs": 1}, "inference 1 has other keys"),
        ],
    )
    def test_damaged_inferences_are_refused_by_their_place(self, damage, message):
        with pytest.raises(ArtefactError, match=message):
            times([WARM[0], WARM[1] | damage])

    def test_unknown_key_sets_are_refused_with_what_was_found(self):
        with pytest.raises(ArtefactError, match=r"the keys computeMs, startComputeMs\. Known"):
            times([{"startComputeMs": 1, "computeMs": 1}])

    @pytest.mark.parametrize("text", ["[]", "{}", "[1]", '[{"startEnqMs": 1'])
    def test_other_json_is_refused(self, text):
        with pytest.raises(ArtefactError):
            TrtexecTimes().read(text.encode())


def profile_text(layers, count=100, medians=True):
    """A profile as trtexec prints it, names unescaped."""
    lines = ["[", f'  {{ "count" : {count} }}']
    for name, mean in layers:
        median = f', "medianMs" : {mean}' if medians else ""
        lines.append(
            f', {{ "name" : "{name}", "timeMs" : {mean * count if mean else 0}, '
            f'"averageMs" : {mean}{median}, "percentage" : 50 }}'
        )
    return "\n".join([*lines, "]"]).encode()


LAYERS = [
    ("Reformatting CopyNode for Input Tensor 0 to Conv_0 + Relu_1", 0.5),
    ("Conv_0 + Relu_1", 0.25),
    ("w + Conv_2 + PWN(PWN(Sigmoid_3), Mul_4)", 2),
    ("reshape", 0),
]


class TestProfile:
    def test_medians_and_layers(self):
        found = TrtexecProfile().read(profile_text(LAYERS))
        assert [row.value for row in found.rows] == [0.5, 0.25, 2, 0]
        assert {row.statistic for row in found.rows} == {Statistic.MEDIAN}
        assert found.rows[1].reported == {"mean": 0.25, "total": 25}
        assert found.rows[0].facts["layout"] is True
        assert found.rows[1].facts["fused"] == ("Conv_0", "Relu_1")
        assert not found.rows[3].flags

    def test_before_8_4_there_are_means_only(self):
        found = TrtexecProfile().read(profile_text(LAYERS, medians=False))
        assert {row.statistic for row in found.rows} == {Statistic.MEAN}
        assert all(Flag.MEAN_ONLY in row.flags for row in found.rows)
        assert found.tool == "trtexec (TensorRT before 8.4)"

    def test_one_inference_is_few(self):
        found = TrtexecProfile().read(profile_text(LAYERS, count=1))
        assert all(row.statistic is Statistic.SINGLE for row in found.rows)
        assert all(Flag.LOW_N in row.flags for row in found.rows)

    def test_the_gpu_s_tick_shows_in_single_times(self):
        layers = [(f"layer_{n}", round(0.001024 * n, 6)) for n in range(3, 30)]
        found = TrtexecProfile().read(profile_text(layers, count=1))
        assert found.resolution == pytest.approx(0.001024, rel=1e-12)
        assert Flag.QUANTISED in found.rows[0].flags
        few = TrtexecProfile().read(profile_text(layers[:7], count=1)).resolution
        assert few is not None and few < 1e-5

    @pytest.mark.parametrize("name", ['a "quoted" layer', "C:\\net\\conv", 'x", "y'])
    def test_names_that_are_not_escaped_are_read(self, name):
        found = TrtexecProfile().read(profile_text([(name, 0.5), ("b", 0.25)]))
        assert [(row.name, row.value) for row in found.rows] == [(name, 0.5), ("b", 0.25)]
        assert "not escaped" in found.notes[0]

    @pytest.mark.parametrize("value", ["nan", "-nan", "inf", "1e999", "-1", "0x1", "1_0"])
    def test_what_is_no_time_is_refused_with_the_layer_s_name(self, value):
        text = profile_text(LAYERS).replace(b'"averageMs" : 0.25', b'"averageMs" : %b')
        with pytest.raises(ArtefactError, match=r"averageMs of layer 'Conv_0 \+ Relu_1'"):
            TrtexecProfile().read(text.replace(b"%b", value.encode()))

    def test_a_mean_that_is_not_the_total_s_is_refused(self):
        with pytest.raises(ArtefactError, match=r"'Conv_0 \+ Relu_1' took 25 ms in 100"):
            TrtexecProfile().read(
                profile_text(LAYERS).replace(b'"averageMs" : 0.25', b'"averageMs" : 0.26')
            )

    @pytest.mark.parametrize("end", range(0, len(profile_text(LAYERS)), 7))
    def test_a_profile_cut_short_is_refused(self, end):
        with pytest.raises(ArtefactError):
            TrtexecProfile().read(profile_text(LAYERS)[:end])

    @pytest.mark.parametrize(
        ("name", "parts"),
        [
            ("Conv_0", ("Conv_0",)),
            ("Conv_0 + Add_1 + Relu_2", ("Conv_0", "Add_1", "Relu_2")),
            ("w + Conv_9 + PWN(Clip_13)", ("w", "Conv_9", "Clip_13")),
            ("PWN(Mul_1 + PWN(Add_2))", ("Mul_1", "Add_2")),
            ("{ForeignNode[a + b...c]}", ("{ForeignNode[a + b...c]}",)),
            ("(Unnamed Layer* 8) [Shuffle] + x", ("(Unnamed Layer* 8) [Shuffle]", "x")),
            ("Reformatting CopyNode for Output Tensor 0 to a + b", ()),
        ],
    )
    def test_fused_names_are_taken_apart(self, name, parts):
        assert fused_parts(name) == parts

    def test_deep_groups_end(self):
        assert len(fused_parts("PWN(" * 10_000)) == 1


def layer_info(names, root=lambda layers: {"Layers": layers, "Bindings": []}):
    tensor = {"Format/Datatype": "Channel major FP16 format where channel % 4 == 0"}
    last = {"Format/Datatype": "Row major linear FP32"}
    layers = [
        {"Name": name, "LayerType": "Conv", "Inputs": [last, last], "Outputs": [tensor]}
        for name in names
    ]
    return json.dumps(root(layers)).encode()


class TestLayers:
    PROFILE = TrtexecProfile().read(profile_text(LAYERS))
    NAMES = tuple(name for name, _ in LAYERS)

    @pytest.mark.parametrize("root", [lambda layers: {"Layers": layers}, lambda layers: layers])
    def test_layers_are_joined_by_position(self, root):
        joined = join_layers(self.PROFILE, layer_info(self.NAMES, root))
        assert [row.facts["precision"] for row in joined.rows] == ["FP16"] * 4
        assert joined.rows[0].facts["input_precision"] == "FP32"
        assert joined.rows[0].facts["layout"] is True
        assert [row.value for row in joined.rows] == [row.value for row in self.PROFILE.rows]
        assert "by position" in joined.notes[-1]

    def test_repeated_names_join_by_position_only(self):
        twice = replace(self.PROFILE, rows=(*self.PROFILE.rows, self.PROFILE.rows[1]))
        names = [row.name for row in twice.rows]
        assert all("type" in row.facts for row in join_layers(twice, layer_info(names)).rows)
        by_name = join_layers(twice, layer_info(names[::-1])).rows
        assert ["type" in row.facts for row in by_name] == [True, False, True, True, False]

    def test_what_was_joined_comes_back_from_json(self):
        joined = join_layers(self.PROFILE, layer_info(self.NAMES))
        assert from_json(json.loads(json.dumps(to_json(joined)))) == joined
        assert [row.facts for row in from_json(to_json(joined)).rows] == [
            row.facts for row in joined.rows
        ]

    def test_names_alone_say_nothing_more(self):
        info = json.dumps({"Layers": list(self.NAMES)}).encode()
        assert join_layers(self.PROFILE, info).rows == self.PROFILE.rows

    def test_layers_of_another_engine_are_refused(self):
        with pytest.raises(ArtefactError, match="none of the 1 layers"):
            join_layers(self.PROFILE, layer_info(["other"]))

    @pytest.mark.parametrize("text", ["{}", "[]", "1", '{"Layers": [1]}', '{"Layers": [{}]}'])
    def test_what_lists_no_layers_is_refused(self, text):
        with pytest.raises(ArtefactError, match="layer information"):
            join_layers(self.PROFILE, text.encode())


def log_text(version="8601", latency="2.5", stamp="", verdict="PASSED", compute="2.25"):
    lines = [
        f"&&&& RUNNING TensorRT.trtexec [TensorRT v{version}] # trtexec --onnx=net.onnx",
        f"{stamp}[I] Selected Device: Some GPU",
        f"{stamp}[I] Average on 10 runs - GPU latency: 9.9 ms - Host latency: 9.9 ms",
        f"{stamp}[I] Timing trace has 1200 queries over 3.001 s",
        f"{stamp}[I] === Performance summary ===",
        f"{stamp}[I] Throughput: 400 qps",
        f"{stamp}[I] Latency: min = 2 ms, max = 4 ms, mean = 2.625 ms, median = {latency} ms, "
        "percentile(90%) = 3 ms, percentile(99.9%) = 3.5 ms",
        f"{stamp}[I] End-to-End Host Latency: min = 4 ms, max = 8 ms, mean = 5 ms, median = 5 ms, "
        "percentile(99%) = 7 ms",
        f"{stamp}[I] Enqueue Time: min = 1 ms, max = 3 ms, mean = 1.5 ms, median = 1.75 ms",
        f"{stamp}[I] GPU Compute Time: min = 2 ms, max = 3 ms, mean = 2.3 ms, "
        f"median = {compute} ms, percentile(99%) = 2.75 ms",
        f"&&&& {verdict} TensorRT.trtexec [TensorRT v{version}] # trtexec --onnx=net.onnx",
    ]
    return "\n".join(lines).encode()


class TestLog:
    @pytest.mark.parametrize("stamp", ["", "[11/22/2026-13:14:25] "])
    def test_medians_and_every_percentile(self, stamp):
        found = TrtexecLog().read(log_text(stamp=stamp))
        compute, latency = found.rows
        assert (compute.name, compute.value, compute.count) == ("GPU Compute Time", 2.25, 1200)
        assert latency.reported == {
            "min": 2,
            "max": 4,
            "mean": 2.625,
            "p90": 3,
            "p99.9": 3.5,
        }
        assert found.facts == {"device": "Some GPU", "command": "trtexec --onnx=net.onnx"}
        assert "End-to-End Host Latency" in found.notes[0]

    @pytest.mark.parametrize(
        ("digits", "version"), [("8601", "8.6.1"), ("7103", "7.1.3"), ("100300", "10.3.0")]
    )
    def test_versions(self, digits, version):
        assert TrtexecLog().read(log_text(digits)).tool == f"trtexec (TensorRT {version})"

    def test_unknown_versions_are_refused(self):
        with pytest.raises(ArtefactError, match=r"TensorRT 13\.0\.0; known are the versions 7 to"):
            TrtexecLog().read(log_text("130000"))

    def test_a_slow_host_is_flagged(self):
        assert not TrtexecLog().read(log_text()).rows[0].flags
        bound = TrtexecLog().read(log_text(compute="2.125")).rows[0]
        assert bound.flags == {Flag.ENQUEUE_BOUND}
        assert bound.facts["enqueue_ms"] == 1.75

    def test_carriage_returns_of_a_phone_s_shell_are_no_matter(self):
        crlf = TrtexecLog().read(log_text().replace(b"\n", b"\r\n"))
        assert crlf.rows == TrtexecLog().read(log_text()).rows

    @pytest.mark.parametrize(
        ("text", "message"),
        [
            (log_text(verdict="FAILED"), "FAILED"),
            (log_text(latency="nan"), "median of Latency should be a number, found 'nan'"),
            (log_text(latency="-1"), "median of Latency should be .*, found -1"),
            (log_text(latency="2.5 us,"), "no statistic in ms"),
            (log_text() + b"\n" + log_text(), "several summaries|several runs"),
            (log_text()[:600], "cut short|no statistic"),
        ],
    )
    def test_what_holds_no_result_is_refused(self, text, message):
        with pytest.raises(ArtefactError, match=message):
            TrtexecLog().read(text)

    def test_a_log_without_the_verdict_says_so(self):
        part = b"\n".join(log_text().split(b"\n")[4:-1])
        found = TrtexecLog().read(part)
        assert found.tool == "trtexec"
        assert found.rows[0].count is None
        assert "verdict" in found.notes[0]
