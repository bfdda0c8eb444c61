"""What is read of one invocation of benchmark_model: times, delegates, and why it failed."""

from __future__ import annotations

import re

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from elat.core.errors import MeasurementError, UnsupportedOperatorError
from elat.latency.benchmark_model.options import Delegate
from elat.latency.benchmark_model.results import Ended
from elat.latency.benchmark_model.told import (
    Coverage,
    coverage_of,
    failure_of,
    is_disturbed,
    is_too_late,
    read_told,
    run_ms,
    sample_of,
)
from elat.latency.imports.tflite_stats import Stat

from .logs import NEW, OLD, SUMMARY, WARM_UP, log

REPLACED = (
    "VERBOSE: Replacing {} out of {} node(s) with delegate ({}) node, yielding {} partitions"
)
WHOLE = (
    "Explicitly applied {} delegate, and the model graph will be completely executed by the "
    "delegate."
)
PART = (
    "Explicitly applied {} delegate, and the model graph will be partially executed by the "
    "delegate w/ {} delegate kernels."
)
NOTHING = (
    "Though {} delegate is explicitly applied, the model graph will not be executed by the "
    "delegate."
)


class TestTimes:
    def test_a_build_that_prints_a_median(self):
        told = read_told(log())
        assert told.sample.loops == 50
        assert told.sample.wall_ms == 1.0005
        assert told.has_median
        assert (told.init_ms, told.first_call_ms, told.warmup_calls) == (4.5, 3.0, 20)

    def test_a_build_that_prints_means_alone(self):
        told = read_told(log(OLD, prefix=""))
        assert told.sample.wall_ms == pytest.approx(1.0005, rel=1e-9)
        assert not told.has_median

    def test_the_summary_of_old_builds(self):
        summary = "Average inference timings in us: Warmup: 1100, Init: 4500, no stats: 1000.5"
        told = read_told(log(OLD, summary=summary, prefix=""))
        # The summary leaves the first run out, and the warm-up tells it.
        assert (told.init_ms, told.first_call_ms) == (4.5, 3.0)

    @pytest.mark.parametrize("prefix", ["", "INFO: ", "native : benchmark_model.cc:440 "])
    def test_prefixes_and_line_ends_are_no_matter(self, prefix):
        assert read_told(log(prefix=prefix)) == read_told(log())
        assert read_told(log(prefix=prefix).replace(b"\n", b"\r\n")) == read_told(log())

    def test_runs_that_all_took_the_same(self):
        told = read_told(log("count=50 curr=12(all same) p5=12 median=12 p95=12"))
        assert (told.sample.loops, told.sample.wall_ns) == (50, 600_000)

    def test_a_microsecond_of_short_runs_is_not_lost_to_rounding(self):
        text = "count=900 first=21 curr=20 min=20 max=22 avg=20.37 std=0 p5=20 median=20 p95=21"
        assert read_told(log(text)).sample.wall_ms == pytest.approx(0.02037, rel=1e-9)

    def test_what_a_driver_prints_in_no_known_encoding_is_passed_over(self):
        noisy = log().replace(b"INFO: Loaded", b"GPU: \xe9\xff driver\nINFO: Loaded")
        assert read_told(noisy) == read_told(log())

    @pytest.mark.parametrize(
        ("first", "avg", "is_steady"),
        [(3000, 1100, True), (3000, 1200, False), (1000, 1000, True), (1000, 800, False)],
    )
    def test_warm_up_without_its_first_run_is_held_against_the_runs(self, first, avg, is_steady):
        low, high = min(first, 500), max(first, 3000)
        text = f"count=20 first={first} curr={avg} min={low} max={high} avg={avg} std=50"
        assert read_told(log(warm_up=text)).is_steady is is_steady

    def test_a_single_run_of_warm_up_tells_nothing(self):
        assert not read_told(log(warm_up="count=1 curr=1000")).is_steady


class TestDamage:
    @pytest.mark.parametrize("end", range(1, 60, 7))
    def test_a_log_that_breaks_off_before_the_statistics_are_whole_is_refused(self, end):
        whole = log()
        with pytest.raises(MeasurementError, match=r"cut short|should be a number|no known"):
            read_told(whole[: whole.index(b"median=") - end])

    def test_statistics_without_a_summary_behind_them_may_have_lost_digits(self):
        with pytest.raises(MeasurementError, match="no summary: its output was cut short"):
            read_told(log(summary=""))

    def test_a_last_digit_that_is_lost_is_noticed_by_the_summary(self):
        with pytest.raises(MeasurementError, match="the summary says"):
            read_told(log(OLD.replace("avg=1000.5", "avg=1900"), summary=SUMMARY.format(1000.5)))

    @pytest.mark.parametrize(
        "text",
        [
            "count=0",
            "count=5 first=2",
            "count=5 first=2 curr=2 min=2 max=3 avg=nan std=0",
            "count=5 first=2 curr=2 min=3 max=4 avg=2 std=0",
            "count=5 curr=\xe9(all same)",
            f"count={'9' * 5000} curr=2(all same)",
        ],
    )
    @pytest.mark.parametrize("place", ["measured", "warm_up"])
    def test_damaged_statistics_are_refused_wherever_they_are(self, text, place):
        with pytest.raises(MeasurementError, match="printed no readable times"):
            read_told(log(**{place: text}))

    def test_two_benchmarks_are_not_one(self):
        with pytest.raises(MeasurementError, match="printed 2 benchmarks"):
            read_told(log() + log())

    def test_a_summary_alone_has_no_runs(self):
        with pytest.raises(MeasurementError, match="one with statistics was asked for"):
            read_told(SUMMARY.format(1).encode())

    @pytest.mark.parametrize("data", [b"", b"\0" * 100, bytes(range(256)) * 16])
    def test_what_is_no_log_is_refused(self, data):
        with pytest.raises(MeasurementError, match="printed no readable times"):
            read_told(data)

    def test_runs_that_take_no_time_are_too_short_for_its_clock(self):
        with pytest.raises(MeasurementError, match="with a method that repeats it"):
            read_told(log("count=50 curr=0(all same)"))

    def test_runs_of_more_than_a_day_are_damage(self):
        """They would not go into 64 bits of nanoseconds, either."""
        huge = f"count={10**17} curr={10**17}(all same)"
        with pytest.raises(MeasurementError, match="less than a day"):
            read_told(log(huge))

    @given(st.binary(max_size=300), st.integers(0, 900))
    def test_any_damage_is_a_measurement_error_or_a_time(self, data, place):
        whole = log()
        damaged = whole[:place] + data + whole[place + len(data) :]
        try:
            told = read_told(damaged, Delegate.GPU)
        except MeasurementError:
            return
        assert 0 < told.sample.wall_ns < 2**63
        assert told.sample.loops > 0


class TestEstimate:
    """The statistic against runs of known time, as the tool's clock sees them.

    Each draw is one invocation: the tool's stamps are cut to whole microseconds, its mean is
    printed in six digits.
    """

    DRAWS = 400

    def draw(self, true_us, runs, spread, disturbed=0.0, preempted_us=0.0):
        """What the tool prints of each draw, and the mean of its undisturbed runs."""
        random = np.random.default_rng(8)
        shape = (self.DRAWS, runs)
        alone = true_us * (1 + spread * np.abs(random.standard_normal(shape)))
        slow = random.random(shape) < disturbed
        took = alone * np.where(slow, 1 + random.exponential(2.0, shape), 1.0)
        took[:, runs // 2] += preempted_us
        start = random.uniform(0, 1e6, shape)
        seen = np.sort(np.floor(start + took) - np.floor(start), axis=1)
        return [
            Stat(
                runs,
                {
                    "avg": float(f"{row.mean():g}") / 1e3,
                    "min": row[0] / 1e3,
                    "max": row[-1] / 1e3,
                    # As in the tool: the value at that share of the sorted ones.
                    "median": row[runs * 50 // 100] / 1e3,
                    "p95": row[runs * 95 // 100] / 1e3,
                },
            )
            for row in seen
        ], alone.mean(axis=1)

    @pytest.mark.parametrize("true_us", [3.3, 20.4, 99.5, 750.2])
    @pytest.mark.parametrize("spread", [0.0, 0.01, 0.05])
    @pytest.mark.parametrize("preempted_us", [0.0, 4000.0])
    def test_it_is_the_mean_of_the_runs_that_were_let_alone(self, true_us, spread, preempted_us):
        """To what the clock's step makes of a mean, though the longest was preempted."""
        runs = max(30, round(30_000 / true_us))
        stats, means = self.draw(true_us, runs, spread, preempted_us=preempted_us)
        off = np.array([1e3 * run_ms(stat) for stat in stats]) - means
        assert float(np.sqrt(np.mean(off**2))) < 0.6 / np.sqrt(runs) + 1e-5 * true_us + (
            0.01 * true_us if preempted_us else 0.0
        )
        assert not any(map(is_disturbed, stats))

    def test_it_gains_digits_that_the_median_has_not(self):
        stats, means = self.draw(20.4, 1500, 0.01)
        off = {
            name: np.array([1e3 * of(stat) for stat in stats]) - means
            for name, of in (("it", run_ms), ("median", lambda stat: stat.values_ms["median"]))
        }
        assert np.std(off["it"]) + abs(np.mean(off["it"])) < 0.1 * abs(np.mean(off["median"]))

    def test_runs_that_are_disturbed_throughout_are_told_and_give_the_median(self):
        stats, _ = self.draw(750.2, 40, 0.01, disturbed=0.3)
        told = [stat for stat in stats if is_disturbed(stat)]
        assert len(told) > 0.9 * len(stats)
        assert all(run_ms(stat) == stat.values_ms["median"] for stat in told)
        assert all(not sample_of(stat).is_clean for stat in told)

    def test_runs_below_the_clocks_step_have_their_mean_though_they_are_disturbed(self):
        values = {"avg": 2.5, "min": 0.0, "median": 0.0, "p95": 1.0, "max": 900.0}
        stat = Stat(40_000, {name: us / 1e3 for name, us in values.items()})
        assert is_disturbed(stat)
        assert 0.002 < run_ms(stat) < 0.0025

    @given(
        values=st.lists(st.integers(1, 10**6), min_size=4, max_size=4).map(sorted),
        mean=st.floats(0, 1),
        count=st.integers(1, 10**6),
    )
    def test_it_is_never_far_above_the_median_nor_below_all(self, values, mean, count):
        low, median, p95, high = (value / 1e3 for value in values)
        avg = low + mean * (high - low)
        stat = Stat(count, {"avg": avg, "min": low, "median": median, "p95": p95, "max": high})
        assert min(low, median) <= run_ms(stat) <= 1.1 * median + 0.001 + 1e-9

    @given(loops=st.integers(1, 10**4), us=st.integers(1, 10**6))
    def test_a_sample_is_all_runs_together(self, loops, us):
        found = sample_of(Stat(loops, {"avg": us / 1e3}))
        assert (found.loops, found.cpu_ns, found.involuntary_switches) == (loops, 0, 0)
        assert found.wall_ns == loops * us * 1000


class TestCoverage:
    @pytest.mark.parametrize(
        ("said", "found"),
        [
            (WHOLE.format("XNNPACK"), Coverage("XNNPACK", "complete")),
            (PART.format("NNAPI", 11), Coverage("NNAPI", "partial")),
            (NOTHING.format("NNAPI"), Coverage("NNAPI", "none")),
            (
                "Applied GPU delegate, and the model graph will be completely executed w/ the "
                "delegate.",
                Coverage("GPU", "complete"),
            ),
            (
                REPLACED.format(54, 559, "TfLiteGpuDelegateV2", 3),
                Coverage("TfLiteGpuDelegateV2", "partial", 54, 559, 3),
            ),
            (
                REPLACED.format(1, 1, "TfLiteXNNPackDelegate", 1) + " for subgraph 0.",
                Coverage("TfLiteXNNPackDelegate", "complete", 1, 1, 1),
            ),
            (
                "Replacing 31 out of 31 node(s) with delegate (TfLiteNnapiDelegate) node",
                Coverage("TfLiteNnapiDelegate", "complete", 31, 31),
            ),
            (
                REPLACED.format(0, 4, "TfLiteGpuDelegateV2", 0),
                Coverage("TfLiteGpuDelegateV2", "none", 0, 4, 0),
            ),
        ],
    )
    def test_each_line_that_the_tool_and_the_runtime_have_for_it(self, said, found):
        assert coverage_of([f"INFO: {said}"]) == (found,)
        assert read_told(log(before=said)).coverage == (found,)

    def test_what_two_delegates_took_is_told_in_order_and_once(self):
        lines = [
            REPLACED.format(5, 64, "TfLiteNnapiDelegate", 5),
            PART.format("NNAPI", 5),
            PART.format("NNAPI", 5),
            REPLACED.format(59, 62, "TfLiteXNNPackDelegate", 5),
        ]
        found = coverage_of(lines)
        assert [one.delegate for one in found] == [
            "TfLiteNnapiDelegate", "NNAPI", "TfLiteXNNPackDelegate",
        ]  # fmt: skip
        assert found[0].to_json() == {
            "delegate": "TfLiteNnapiDelegate", "share": "partial", "operators": 5, "of": 64,
            "partitions": 5,
        }  # fmt: skip

    @pytest.mark.parametrize(
        ("asked", "said"),
        [
            (Delegate.GPU, WHOLE.format("GPU")),
            (Delegate.GPU, REPLACED.format(4, 4, "TfLiteGpuDelegateV2", 1)),
            (Delegate.NNAPI, NOTHING.format("NNAPI")),
            (Delegate.XNNPACK, REPLACED.format(4, 4, "TfLiteXNNPackDelegate", 1)),
        ],
    )
    def test_the_delegate_that_was_asked_for_is_found_by_either_name(self, asked, said):
        assert all(one.share != "untold" for one in read_told(log(before=said), asked).coverage)

    def test_a_delegate_that_nothing_is_said_of_may_not_have_run_the_model(self):
        said = REPLACED.format(4, 4, "TfLiteXNNPackDelegate", 1)
        found = read_told(log(before=said), Delegate.GPU).coverage
        assert [(one.delegate, one.share) for one in found] == [
            ("GPU", "untold"), ("TfLiteXNNPackDelegate", "complete"),
        ]  # fmt: skip

    @pytest.mark.parametrize("asked", [Delegate.GPU, Delegate.NNAPI, Delegate.XNNPACK])
    def test_a_build_without_the_delegate_ran_the_model_on_the_cpu(self, asked):
        said = f"WARN: {asked.upper()} acceleration is unsupported on this platform."
        with pytest.raises(MeasurementError, match=f"no {asked.upper()} delegate on this device"):
            read_told(log(before=said), asked)
        assert read_told(log(before=said)).coverage == ()


class TestFailures:
    @pytest.mark.parametrize(
        ("end", "says"),
        [
            (1, "ended with exit code 1;"),
            (127, "ended with exit code 127;"),
            (134, "was ended by signal 6;"),
            (139, "was ended by signal 11;"),
            (137, "was ended after 60 s;"),
            (124, "was ended after 60 s;"),
            (141, "was ended as it printed too much;"),
        ],
    )
    def test_each_way_to_end_has_its_words(self, end, says):
        ended = Ended(end, b"INFO: STARTING!\nERROR: Failed to load model\n")
        error = failure_of(ended, 60)
        assert says in str(error)
        assert str(error).endswith("INFO: STARTING! | ERROR: Failed to load model")
        assert is_too_late(ended, 60) is (end in (124, 137))

    @pytest.mark.parametrize(
        ("took_s", "says"),
        [
            (0, "was killed after 0 s, as the device does where memory runs out;"),
            (58, "was killed after 58 s, as the device does where memory runs out;"),
            (59, "was ended after 60 s;"),
            (60, "was ended after 60 s;"),
            (None, "was ended after 60 s;"),
        ],
    )
    def test_one_killed_before_its_time_is_over_was_not_too_late(self, took_s, says):
        ended = Ended(137, b"", took_s)
        assert says in str(failure_of(ended, 60))
        assert is_too_late(ended, 60) is ("ended" in says)

    def test_silence_is_said(self):
        assert str(failure_of(Ended(139, b""), 60)).endswith("its last words: none")

    def test_a_delegate_that_must_take_all_and_does_not(self):
        error = failure_of(Ended(1, b"ERROR: Disallowed CPU fallback detected.\n"), 60)
        assert isinstance(error, UnsupportedOperatorError)
        assert "option whole" in str(error)

    @given(st.binary(max_size=2000), st.integers(1, 255))
    def test_any_last_words_are_one_short_line_that_no_terminal_obeys(self, data, end):
        said = str(failure_of(Ended(end, b"\x1b[2J" + data), 60))
        assert len(said) < 450
        assert said.isprintable()


def test_real_words_of_a_phone():
    """A board's own output of 2023, as far as it is read."""
    said = log(
        "count=50 first=119614 curr=115889 min=111842 max=119614 avg=115246 std=1329 p5=112107 "
        "median=115350 p95=116620",
        warm_up="count=5 first=125113 curr=112537 min=111758 max=125113 avg=115344 std=4959 "
        "p5=111758 median=112912 p95=125113",
        before="Created TensorFlow Lite delegate for GPU.\nGPU delegate created.\n"
        "Loaded OpenCL library with dlopen.\nInitialized OpenCL-based API.\n"
        f"Created 1 GPU delegate kernels.\n{WHOLE.format('GPU')}",
        summary="Inference timings in us: Init: 1361236, First inference: 125113, Warmup (avg): "
        "115344, Inference (avg): 115246",
    )
    told = read_told(said, Delegate.GPU)
    assert told.sample.wall_ms == 115.246
    assert told.is_steady
    assert told.init_ms == 1361.236
    assert told.coverage == (Coverage("GPU", "complete"),)


def test_texts_of_this_file_are_what_they_claim():
    assert re.search(r"median=990", NEW)
    assert "median" not in OLD
    assert WARM_UP.startswith("count=20")
