"""What figures and tables compute, against values worked out by hand."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace
from pathlib import Path

import pytest

from elat.latency.calibration import CORRECTED
from elat.latency.correction import Correction
from elat.reports.figures.architectures import Architectures
from elat.reports.figures.cross_device import CrossDevice
from elat.reports.figures.flops_vs_latency import FlopsVsLatency
from elat.reports.figures.network_calibration import NetworkCalibration
from elat.reports.figures.predictor_scatter import PredictorScatter
from elat.reports.figures.search_course import SearchCourse, smoothed
from elat.reports.inputs import ReportInputs, read_inputs
from elat.reports.key_results import Verdict, key_results
from elat.reports.models import additive_yardstick
from elat.reports.networks import networks
from elat.reports.tables.accuracy import AccuracyTable
from elat.reports.tables.calibration import CalibrationTable
from elat.reports.tables.predictors import ALL, Predictors
from elat.search.result import Run


def test_networks_are_ordered_and_labelled(everything: ReportInputs) -> None:
    rows = networks(everything)
    assert [row.label for row in rows] == ["for local-ort", "for local-tflite", "for MACs"]
    assert [row.bound_ms is None for row in rows] == [False, False, True]
    assert [row.bound_macs is None for row in rows] == [True, True, False]
    assert rows[0].used_share == pytest.approx(1 / 1.03, rel=1e-3)
    assert [row.accuracy.std is None for row in rows if row.accuracy] == [False, False, True]


def test_two_runs_for_one_device_are_told_apart(
    tmp_path: Path, write_run: Callable[..., Path]
) -> None:
    for name in ("one", "two"):
        write_run(tmp_path / name, "local-ort", (0,) * 12, certified=False, trained=False)
    rows = networks(read_inputs([tmp_path]))
    assert [row.label for row in rows] == ["for local-ort (one)", "for local-ort (two)"]
    assert not any(row.is_verified for row in rows)


def test_accuracy_of_another_architecture_is_not_shown(everything: ReportInputs) -> None:
    run = everything.runs[1]
    assert run.training is not None
    other = replace(run.training.network, architecture=run.result.best.architecture)
    other = replace(other, architecture=replace(other.architecture, choices=(0,) * 12))
    changed = replace(run, training=replace(run.training, network=other))
    rows = networks(replace(everything, runs=(changed,), histories=((),)))
    assert rows[0].accuracy is None


def test_accuracy_rows_pair_each_network_with_its_equal(everything: ReportInputs) -> None:
    rows = AccuracyTable().collect(everything)
    assert [row.kind for row in rows] == ["verified", "equal MACs"] * 3
    first, second = rows[0].test, rows[1].test
    assert first is not None
    assert second is not None
    assert first.mean - second.mean == pytest.approx(0.006)


def test_predictor_rows_are_means_of_the_held_out_errors(everything: ReportInputs) -> None:
    model = everything.models[0]
    assert model.held_out is not None
    off = [abs(row.relative_error) for row in model.held_out.rows]
    rows = [row for row in Predictors().collect(everything) if row.source == model.source]
    assert rows[0].kind == ALL
    assert rows[0].errors.mape == pytest.approx(sum(off) / len(off))
    assert sum(row.errors.count for row in rows[1:]) == rows[0].errors.count == len(off)
    assert len(PredictorScatter().collect(everything)[0].points) == len(off)


def test_calibration_rows_compare_sum_and_calibrated(everything: ReportInputs) -> None:
    row = CalibrationTable().collect(everything)[0]
    assert row.raw is not None
    assert row.calibrated is not None
    # The made-up networks take 91 % of their sum and a hundredth of a millisecond.
    assert 0.07 < row.raw.bias < 0.10
    assert row.raw.mape == pytest.approx(row.calibration.mape_before)
    assert row.calibrated.mape == pytest.approx(row.calibration.mape_after)
    panel = NetworkCalibration().collect(everything)[0]
    assert panel.raw == row.raw


def test_the_formula_of_a_corrected_calibration_says_that_there_is_more(
    everything: ReportInputs,
) -> None:
    row = CalibrationTable().collect(everything)[0]
    correction = Correction((), (), (), {}, 1e-6, 0.0)
    corrected = replace(
        row.calibration, form=CORRECTED, correction=correction, loo_by_form={CORRECTED: 0.01}
    )
    (plain,) = CalibrationTable().lay_out((row,)).notes
    (found,) = CalibrationTable().lay_out((replace(row, calibration=corrected),)).notes
    assert found == f"{plain.removesuffix('.')} + a correction of each operator."


def test_the_yardstick_recovers_an_additive_latency(everything: ReportInputs) -> None:
    networks = everything.models[0].networks
    additive = tuple(
        replace(n, measured_ms=1.0 + 0.01 * sum(c == 4 for c in n.choices)) for n in networks
    )
    found = additive_yardstick(additive)
    assert found is not None
    assert found.mape < 0.01
    assert additive_yardstick(tuple(replace(n, choices=()) for n in networks)) is None


def test_flops_panels_hold_sampled_and_searched_networks(everything: ReportInputs) -> None:
    panels = FlopsVsLatency().collect(everything)
    assert [panel.source.device for panel in panels] == ["local-ort", "local-tflite"]
    assert [len(panel.sampled) for panel in panels] == [30, 30]
    assert [p.label for p in panels[0].searched] == [
        "for local-ort", "for local-tflite", "for MACs",
    ]  # fmt: skip
    assert panels[0].spearman is not None
    assert f"{panels[0].spearman:.2f}" in FlopsVsLatency().describe(panels)


def test_cross_device_pairs_networks_by_their_choices(everything: ReportInputs) -> None:
    (pair,) = CrossDevice().collect(everything)
    assert (pair.first.device, pair.second.device) == ("local-ort", "local-tflite")
    by_choice = [{n.choices: n.measured_ms for n in model.networks} for model in everything.models]
    assert set(pair.sampled) == {(by_choice[0][c], by_choice[1][c]) for c in by_choice[0]}
    assert len(pair.searched) == 3
    assert None not in pair.bounds_ms


def test_the_course_is_relative_to_the_bound(everything: ReportInputs) -> None:
    courses = SearchCourse().collect(everything)
    assert [course.label for course in courses][-1] == "for MACs"
    first = courses[0]
    assert first.expected[0][0] == (5, pytest.approx(1.25))
    assert first.warm_steps == 200
    assert len(first.validation_loss) < len(first.loss)
    assert courses[-1].source is None


def test_smoothing_keeps_the_mean() -> None:
    series = tuple((i, float(i % 7)) for i in range(1000))
    thin = smoothed(series, 100)
    assert len(thin) == 100
    assert sum(v for _, v in thin) / 100 == pytest.approx(sum(v for _, v in series) / 1000)
    assert smoothed(series[:50], 100) == series[:50]


def test_architectures_are_read_from_the_space(everything: ReportInputs) -> None:
    first, second, _ = Architectures().collect(everything)
    assert [block.kernel for block in first.blocks[:4]] == [7, 7, 5, None]
    assert [block.expand for block in second.blocks[:4]] == [6, 6, 3, 6]
    assert [block.is_skipped for block in first.blocks[:4]] == [False, False, False, True]
    assert first.blocks[0].stage == (14, 24)
    assert first.blocks[4].stage == (7, 40)
    assert first.depth == 10


def test_key_results_state_bounds_and_specialisation(everything: ReportInputs) -> None:
    found = {statement.head: statement for statement in key_results(everything)}
    assert found["Every bound kept on the device"].verdict is Verdict.GOOD
    assert found["Each network is the fastest on its own device"].verdict is Verdict.GOOD


def test_key_results_own_up_to_a_broken_bound(everything: ReportInputs) -> None:
    def broken(run: Run) -> Run:
        certificate = run.certificate
        if certificate is None or certificate.device != "local-ort":
            return run
        bounds = tuple(replace(bound, is_met=False) for bound in certificate.bounds)
        return replace(run, certificate=replace(certificate, bounds=bounds))

    runs = tuple(map(broken, everything.runs))
    head = key_results(replace(everything, runs=runs))[0]
    assert head.head == "1 of 2 bounds kept on the device"
    assert head.verdict is Verdict.BAD
    assert "Broken by the network for local-ort" in head.text


def test_simulated_numbers_are_said_first(
    tmp_path: Path, write_everything: Callable[..., Path]
) -> None:
    inputs = read_inputs([write_everything(tmp_path / "flow", "simulated")])
    assert key_results(inputs)[0].head == "Simulated numbers"
