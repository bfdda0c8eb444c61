"""The record of a study of wirings, its table and its curves. No number here was measured."""

from __future__ import annotations

import json
from collections.abc import Callable
from dataclasses import replace
from math import sqrt
from pathlib import Path

import pytest
from matplotlib.figure import Figure
from scipy import stats

from elat.core.errors import ArtefactError
from elat.reports.document import lead_of, title_of
from elat.reports.figures import figures
from elat.reports.inputs import ReportInputs, read_inputs
from elat.reports.key_results import Verdict, key_results
from elat.reports.page import write_report
from elat.reports.renderers import to_csv, to_text
from elat.reports.style import NARROW, WIDE, Style
from elat.reports.tables import tables
from elat.reports.wirings import (
    WIRINGS,
    Wiring,
    Wirings,
    contrast_of,
    groups_of,
    read_wirings,
    write_wirings,
)

from .wirings import ACCURACY, SCALES, made_up_study


@pytest.fixture(scope="module")
def study() -> Wirings:
    return made_up_study()


@pytest.fixture
def inputs(study: Wirings) -> ReportInputs:
    return ReportInputs((), (), (), wirings=(study,))


def test_a_study_is_read_back_as_it_was_written(study: Wirings, tmp_path: Path) -> None:
    write_wirings(tmp_path / "study", study)
    assert read_wirings(tmp_path / "study") == study
    assert read_inputs([tmp_path]).wirings == (study,)


@pytest.mark.parametrize(
    ("change", "message"),
    [
        (lambda data: [], "no study of wirings of schema 1"),
        (lambda data: {**data, "schema": 2}, "no study of wirings of schema 1"),
        (lambda data: {**data, "rows": [{}]}, "is damaged"),
        (lambda data: {**data, "rows": None}, "is damaged"),
        (lambda data: {**data, "rows": [{**data["rows"][0], "wiring": "woven"}]}, "is damaged"),
        (lambda data: {key: data[key] for key in data if key != "base"}, "is damaged"),
    ],
)
def test_a_damaged_study_is_refused(
    study: Wirings, tmp_path: Path, change: Callable[..., object], message: str
) -> None:
    write_wirings(tmp_path, study)
    path = tmp_path / WIRINGS
    path.write_text(json.dumps(change(json.loads(path.read_text()))))
    with pytest.raises(ArtefactError, match=rf"{message}.*elat study"):
        read_inputs([tmp_path])


def test_searches_inside_a_study_are_not_reported_by_themselves(
    study: Wirings, tmp_path: Path, write_run: Callable[..., Path]
) -> None:
    write_wirings(tmp_path / "study", study)
    write_run(tmp_path / "study" / "searches" / "g4-seed0", "local-ort", (0,) * 12)
    assert read_inputs([tmp_path]).runs == ()


def test_networks_are_grouped_by_wiring_and_scale(study: Wirings) -> None:
    found = groups_of(study)
    assert [(group.wiring, group.scale) for group in found] == [
        (wiring, scale) for wiring in Wiring for scale in SCALES
    ]
    by = {(group.wiring, group.scale): group for group in found}
    sparse, learned = by[Wiring.SPARSE, 4], by[Wiring.LEARNED, 4]
    assert learned.accuracy == pytest.approx(0.892, rel=1e-12)
    assert learned.accuracy_spread == pytest.approx(stats.tstd((0.89, 0.891, 0.895)), rel=1e-9)
    assert learned.latency_ms == pytest.approx(0.2, rel=1e-12)
    assert learned.latency_spread == pytest.approx(0.0015, rel=1e-9)
    # The slowest of the three is 0.0015 ms late, with the same interval about it.
    assert (sparse.kept, learned.kept) == (3, 2)
    assert sparse.latency_spread is None, "all seeds train the same network"
    assert (sparse.links, by[Wiring.DENSE_PARAMS, 4].links) == (28, 42)
    assert (learned.before_training, learned.cpu_s) == (pytest.approx(0.81, rel=1e-12), 120.0)
    assert (sparse.before_training, sparse.cpu_s) == (None, None)


def test_the_difference_to_sparse_has_welchs_interval(study: Wirings) -> None:
    learned = next(group for group in groups_of(study) if group.wiring is Wiring.LEARNED)
    found = contrast_of(learned, study)
    assert found is not None
    ours, theirs = ACCURACY[Wiring.LEARNED], ACCURACY[Wiring.SPARSE]
    # By hand: three each, with the freedom of Welch and Satterthwaite.
    one, two = stats.tvar(ours) / 3, stats.tvar(theirs) / 3
    freedom = (one + two) ** 2 / (one**2 / 2 + two**2 / 2)
    half = float(stats.t.ppf(0.975, freedom)) * sqrt(one + two)
    assert found.points == pytest.approx(1.0, rel=1e-9)
    assert (found.low, found.high) == pytest.approx((1.0 - half, 1.0 + half), rel=1e-6)
    assert found.is_clear
    assert "+1.00 points (95 % interval" in str(found)


def test_one_seed_tells_no_interval(study: Wirings) -> None:
    single = replace(study, rows=tuple(row for row in study.rows if row.seed == 0))
    groups = groups_of(single)
    found = [contrast_of(group, single) for group in groups]
    assert found[:2] == [None, None], "of the sparse ones"
    learned = found[[group.wiring for group in groups].index(Wiring.LEARNED)]
    assert learned is not None
    assert (learned.low, learned.high, learned.is_clear) == (None, None, False)
    assert "tell no interval" in str(learned)
    alone = replace(study, rows=tuple(row for row in study.rows if row.wiring is Wiring.LEARNED))
    assert contrast_of(groups_of(alone)[0], alone) is None, "nothing to compare with"


def test_the_table_has_a_row_a_scale_and_wiring(inputs: ReportInputs) -> None:
    table = tables["wirings"]()
    grid = table.lay_out(table.collect(inputs))
    text = to_text(grid)
    assert len(grid.rows) == 10
    assert grid.columns[0].title == "Scale"
    assert "dense, same latency (width 3)" in text
    assert "2 of 3 (0.2020 ms)" in text
    assert "89.20 ± 0.26*" in text
    assert "Welch" in text
    header, *lines = to_csv(grid).splitlines()
    rows = [dict(zip(header.split(","), line.split(","), strict=True)) for line in lines
            if "dense" not in line]  # fmt: skip
    learned = next(row for row in rows if row["wiring"] == "learned" and row["scale"] == "4")
    assert float(learned["difference"]) == pytest.approx(1.0, rel=1e-9)
    assert float(learned["test_accuracy"]) == pytest.approx(0.892, rel=1e-12)
    assert (learned["within_bound"], learned["networks"]) == ("2", "3")
    assert (learned["search_cpu_s"], learned["origin"]) == ("120.0", "simulated")
    assert sum(cell.is_best for row in grid.rows for cell in row) == 2, "one a scale"


def test_a_second_study_becomes_a_column(inputs: ReportInputs, study: Wirings) -> None:
    other = replace(study, data="other images")
    table = tables["wirings"]()
    grid = table.lay_out(table.collect(replace(inputs, wirings=(study, other))))
    assert grid.columns[0].title == "Study"
    assert {row[0].text for row in grid.rows} == {"made up on one", "other images on one"}
    assert sum(cell.is_best for row in grid.rows for cell in row) == 4


def test_the_curves_have_a_line_a_wiring(inputs: ReportInputs) -> None:
    figure = figures["wiring_curves"]()
    rows = figure.collect(inputs)
    (panel,) = rows
    assert panel.title == "made up on one"
    assert [line.wiring for line in panel.lines] == list(Wiring)
    line = panel.lines[list(Wiring).index(Wiring.LEARNED)]
    assert [mark.scale for mark in line.marks] == list(SCALES)
    mark = line.marks[0]
    assert mark.latency_ms == pytest.approx((0.1985, 0.2, 0.2015), rel=1e-9)
    assert mark.accuracy == pytest.approx(ACCURACY[Wiring.LEARNED], rel=1e-12)
    assert (mark.mean[0], mark.mean[2]) == pytest.approx((0.2, 89.2), rel=1e-9)
    assert mark.spread[0] == pytest.approx(0.0015, rel=1e-9)
    assert panel.lines[0].marks[0].spread[:2] == (0.0, 0.0), "one network"
    assert "; learned 89.20 % at 0.2 ms, 89.20 % at 0.3 ms; " in figure.describe(rows)


@pytest.mark.parametrize("style", [WIDE, NARROW])
def test_the_curves_are_drawn_twice_a_study(inputs: ReportInputs, style: Style) -> None:
    figure = figures["wiring_curves"]()
    rows = figure.collect(inputs)
    drawn = figure.finished(rows, style, is_framed=True)
    assert isinstance(drawn, Figure)
    assert [axes.get_xlabel() for axes in drawn.axes] == [
        "measured latency (ms)", "parameters (thousands)",
    ]  # fmt: skip
    (legend,) = drawn.legends
    assert [text.get_text() for text in legend.get_texts()] == list(Wiring)


def test_key_results_speak_of_the_study(inputs: ReportInputs, study: Wirings) -> None:
    first, second = key_results(inputs)
    assert first.head == "Simulated numbers"
    # One learned network of each width is late.
    assert second.verdict is Verdict.BAD
    assert second.head == "Learned links are better than the exponential rule"
    assert "at width 4 +1.00 points" in second.text
    assert "4 of 6 learned networks kept" in second.text


@pytest.mark.parametrize(
    ("shifts", "head"),
    [
        ({4: -0.01, 6: -0.01}, "differ by no more than seeds do"),
        ({4: -0.03, 6: -0.03}, "are worse than the exponential rule"),
        ({4: -0.01, 6: 0.0}, "are better than the exponential rule at 1 of 2 widths"),
        ({4: -0.03, 6: 0.0}, "are better at 1 of 2 widths, worse at 1"),
    ],
)
def test_key_results_say_no_more_than_the_intervals(
    inputs: ReportInputs, study: Wirings, shifts: dict[int, float], head: str
) -> None:
    rows = tuple(
        replace(row, test_accuracy=row.test_accuracy + shifts[row.scale])
        if row.wiring is Wiring.LEARNED
        else row
        for row in study.rows
    )
    _, second = key_results(replace(inputs, wirings=(replace(study, rows=rows),)))
    assert head in second.head


def test_a_study_names_the_report(inputs: ReportInputs) -> None:
    assert title_of(inputs) == "Wirings of equal latency on one"
    assert lead_of(inputs) == "1 study of wirings."


@pytest.mark.slow
def test_a_study_alone_makes_a_report(study: Wirings, tmp_path: Path) -> None:
    write_wirings(tmp_path / "study", study)
    page = write_report(read_inputs([tmp_path]), tmp_path / "report")
    text = page.read_text()
    assert "Wirings at the same latency" in text
    assert "Simulated, not measured. Mean test accuracy" in text
    for name in (
        "figures/wiring_curves.png", "figures/wiring_offsets.pdf", "tables/wirings.csv",
    ):  # fmt: skip
        assert (tmp_path / "report" / name).stat().st_size > 0
