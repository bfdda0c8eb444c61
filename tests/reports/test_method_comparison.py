"""The figure and the table of methods, and their file. Nothing was measured."""

from __future__ import annotations

from dataclasses import replace

import pytest

from elat.core.artefact import read_json, write_json
from elat.core.errors import ArtefactError
from elat.latency.condition import Method
from elat.reports.figures.method_comparison import MethodComparisonFigure
from elat.reports.inputs import ReportInputs, read_inputs
from elat.reports.method_comparison import COMPARISON, read_method_comparison
from elat.reports.page import write_parts
from elat.reports.renderers import to_csv
from elat.reports.tables.methods import Methods

from .comparisons import BIASES, made_up_comparison

COMPARED = made_up_comparison()
INPUTS = ReportInputs((), (), (), methods=(COMPARED, made_up_comparison("two")))


def mark_of(method: Method):
    return next(mark for mark in COMPARED.marks if mark.method is method)


def test_ratios_errors_and_spread_are_those_of_the_sums():
    mark = mark_of(Method.BLOCK)
    assert COMPARED.ratios(mark) == pytest.approx([1.28 * 1.01, 1.28 * 0.99] * 4)
    errors = COMPARED.errors(mark)
    assert errors is not None
    assert errors.mape == pytest.approx(0.28)
    assert errors.bias == pytest.approx(0.28)
    assert errors.spearman is not None
    assert errors.spearman > 0.9
    assert COMPARED.spread(mark) == pytest.approx(0.0128 * (8 / 7) ** 0.5)


def test_a_network_without_a_sum_is_left_out_of_one_method_alone():
    assert len(COMPARED.ratios(mark_of(Method.SLOPE))) == 7
    assert len(COMPARED.ratios(mark_of(Method.BLOCK))) == 8


def test_a_method_without_sums_has_no_errors():
    silent = replace(mark_of(Method.BLOCK), sums_ms=(None,) * 8, calibrated=None)
    assert COMPARED.errors(silent) is None
    assert COMPARED.spread(silent) is None
    compared = replace(COMPARED, marks=(silent,))
    inputs = replace(INPUTS, methods=(compared,))
    (panel,) = MethodComparisonFigure().collect(inputs)
    assert (panel.lines[0].ratios, panel.lines[0].plain) == ((), None)
    assert "unknown plain, unknown calibrated" in MethodComparisonFigure().describe((panel,))
    (line,) = to_csv(Methods().lay_out(Methods().collect(inputs))).splitlines()[1:]
    assert line.startswith("one,two-blocks,block,,,,")


def test_the_figure_has_a_panel_a_comparison_and_a_line_a_method():
    panels = MethodComparisonFigure().collect(INPUTS)
    assert [panel.title for panel in panels] == ["one, two-blocks", "two, two-blocks"]
    assert [line.name.replace(" ", "_") for line in panels[0].lines] == list(BIASES)
    assert panels[0].ceiling == 0.0061


def test_the_table_marks_the_best_of_each_comparison():
    grid = Methods().lay_out(Methods().collect(INPUTS))
    plain = [column.title for column in grid.columns].index("Plain")
    best = [row[2].text for row in grid.rows if row[plain].is_best]
    assert best == ["sampled", "sampled"]
    assert any("no latency of 1 operators, Conv 4→8 8² among them" in note for note in grid.notes)


def test_the_file_is_read_back_and_found_in_a_folder(tmp_path):
    write_json(tmp_path / "one" / COMPARISON, COMPARED.to_json())
    assert read_method_comparison(tmp_path / "one") == COMPARED
    assert read_inputs([tmp_path]).methods == (COMPARED,)


def test_its_file_has_the_statistics_for_readers():
    (block, *_) = COMPARED.to_json()["methods"]
    assert block["ratio_mean"] == pytest.approx(1.28)
    assert block["mape"] == pytest.approx(0.28)


def test_a_damaged_file_is_refused_with_the_repair(tmp_path):
    write_json(tmp_path / COMPARISON, COMPARED.to_json())
    data = read_json(tmp_path / COMPARISON)
    del data["methods"][0]["sums_ms"]
    write_json(tmp_path / COMPARISON, data)
    with pytest.raises(ArtefactError, match="elat compare-methods"):
        read_method_comparison(tmp_path)


def test_parts_are_written_as_a_report_would(tmp_path):
    paths = write_parts(INPUTS, tmp_path, ("method_comparison", "methods"))
    names = {str(path.relative_to(tmp_path)) for path in paths}
    assert names == {
        "figures/method_comparison.pdf",
        "figures/method_comparison.png",
        "tables/methods.csv",
        "tables/methods.md",
        "tables/methods.tex",
    }
    assert all(path.stat().st_size > 200 for path in paths)
