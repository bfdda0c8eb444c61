"""The tables and the figure of exams, and what is read from folders. Nothing was measured."""

from __future__ import annotations

import json
from collections.abc import Callable
from dataclasses import replace
from itertools import pairwise
from pathlib import Path
from typing import Any

import pytest
from matplotlib.container import ErrorbarContainer
from matplotlib.figure import Figure

from elat.core.artefact import MANIFEST, manifest, write_json
from elat.core.errors import ArtefactError
from elat.latency.condition import Condition, Method, Precision
from elat.reports.document import lead_of, title_of
from elat.reports.exams import MechanismExam, QueryExam, Regret, labels, read_exam
from elat.reports.figures import figures
from elat.reports.figures.exam_regret import _spread
from elat.reports.inputs import ReportInputs, read_inputs
from elat.reports.key_results import Verdict, key_results
from elat.reports.page import write_report
from elat.reports.renderers import to_csv, to_text
from elat.reports.style import NARROW
from elat.reports.tables import tables
from elat.search.exams import KIND, SUMMARY

REGRETS = {"random": (0.6, 0.3), "surrogate": (0.2, 0.01), "exact": (0.5, 0.0)}


def spread(mean: float, seeds: int = 2) -> dict[str, Any]:
    interval = {"mean": mean, "low": mean - 0.05, "high": mean + 0.05}
    return {"mean": mean, "interval_95": interval if seeds > 1 else None, "by_quantile": {}}


def terms(exam: str, seeds: int, device: str) -> dict[str, Any]:
    condition = Condition(device, "simulated", "1", Precision.FP32, 1, 1, Method.BLOCK, ())
    return {
        "exam": exam, "space": "nas-bench-macro", "device": device, "origin": "simulated",
        "condition": condition.to_json(), "latency": {"name": "lookup", "sha256": "0" * 64},
        "seeds": seeds, "quantiles": [0.25, 0.5], "unit": "accuracy points",
    }  # fmt: skip


def queries_summary(seeds: int = 2, device: str = "local-ort", over: int = 0) -> dict[str, Any]:
    samplers = [
        {
            "name": name, "settings": {}, "regret_again": spread(last / 2, seeds),
            # As JSON sorts them: by their text.
            "regret": {"100": spread(last, seeds), "25": spread(first, seeds)},
            "found_share": 0.25, "violations": over, "searches": 2 * seeds, "distinct": 90.0,
        }
        for name, (first, last) in REGRETS.items()
    ]  # fmt: skip
    return {**terms("nas-bench-macro", seeds, device), "again": 5, "samplers": samplers}


def mechanisms_summary() -> dict[str, Any]:
    def mechanism(name: str, regret: float | None, refused: str = "") -> dict[str, Any]:
        low, high = (None, None) if regret is None else (regret - 0.1, regret + 0.1)
        interval = None if regret is None else {"mean": regret, "low": low, "high": high}
        half = None if regret is None else regret / 2
        return {
            "name": name, "searches": 4, "refused": refused, "expected_share": regret,
            "argmax_feasible_share": regret, "argmax_regret_where_feasible": None,
            "feasible_share": None if regret is None else 1.0, "log_regret": regret,
            "marginal_regret": regret, "marginal_interval_95": interval,
            "derived_regret": half, "derived_interval_95": interval,
        }  # fmt: skip

    found = [
        mechanism("task_alone", 0.5), mechanism("mul_log 0.6", None, "undefined below 1 ms"),
        mechanism("frank_wolfe", 0.25),
    ]  # fmt: skip
    return {**terms("perfect-supernet", 2, "local-ort"), "mechanisms": found}


@pytest.fixture
def write(tmp_path: Path) -> Callable[..., Path]:
    def written(name: str, summary: Any) -> Path:
        folder = tmp_path / "exams" / name
        made = manifest(KIND, config={"exam": name}, seed=None, parents={})
        write_json(folder / MANIFEST, made)
        write_json(folder / SUMMARY, summary)
        return folder

    return written


@pytest.fixture
def inputs(tmp_path: Path, write: Callable[..., Path]) -> ReportInputs:
    write("macro", queries_summary())
    write("perfect", mechanisms_summary())
    return read_inputs([tmp_path])


def test_exams_are_found_at_any_depth_and_read(inputs: ReportInputs) -> None:
    macro, perfect = inputs.exams
    assert isinstance(macro, QueryExam)
    assert isinstance(perfect, MechanismExam)
    assert macro.terms.source.is_simulated
    assert macro.terms.quantiles == (0.25, 0.5)
    assert [mark.name for mark in macro.ranked] == ["exact", "surrogate", "random"]
    first = macro.samplers[0]
    assert [queries for queries, _ in first.regrets] == [25, 100]
    assert first.last == Regret(0.3, 0.25, 0.35)
    assert perfect.mechanisms[1].derived is None
    assert perfect.mechanisms[2].by_gain == Regret(0.25, 0.15, 0.35)
    assert {found.kind for found in inputs.manifests} == {KIND}
    assert title_of(inputs) == "Exams under bounds on local-ort"
    assert lead_of(inputs) == "2 exams in the space nas-bench-macro."


@pytest.mark.parametrize(
    "change",
    [
        lambda data: [],
        lambda data: {**data, "exam": "another"},
        lambda data: {k: v for k, v in data.items() if k != "condition"},
        lambda data: {**data, "samplers": [{}]},
        lambda data: {**data, "samplers": [{**data["samplers"][0], "regret": {}}]},
    ],
)
def test_a_damaged_summary_is_refused_with_its_repair(
    write: Callable[..., Path], change: Callable[..., object]
) -> None:
    folder = write("macro", change(queries_summary()))
    with pytest.raises(ArtefactError, match=r"summary\.json is damaged.*elat exam"):
        read_inputs([folder])


def test_another_summary_is_no_exam(tmp_path: Path) -> None:
    write_json(tmp_path / SUMMARY, queries_summary())
    with pytest.raises(ArtefactError, match="nor a sweep, an exam, a study"):
        read_inputs([tmp_path])


def test_exams_of_one_device_are_told_apart_by_folder(write: Callable[..., Path]) -> None:
    exams = [read_exam(write(name, queries_summary())) for name in ("one", "two")]
    other = read_exam(write("three", queries_summary(device="board")))
    assert labels([*exams, other]) == ("local-ort (one)", "local-ort (two)", "board")
    table = tables["exam_queries"]()
    rows = table.collect(ReportInputs((), (), (), exams=(*exams, other)))
    grid = table.lay_out(rows)
    assert grid.columns[0].title == "Bounds on"
    assert sum(cell.is_best for cells in grid.rows for cell in cells) == 6, "one an exam and count"


def test_the_table_of_samplers_has_the_nearest_first(inputs: ReportInputs) -> None:
    table = tables["exam_queries"]()
    grid = table.lay_out(table.collect(inputs))
    assert [row[0].text for row in grid.rows] == ["exact", "surrogate", "random"]
    header, _, surrogate, _ = to_csv(grid).splitlines()
    values = dict(zip(header.split(","), surrogate.split(","), strict=True))
    assert float(values["regret_100"]) == pytest.approx(0.01, rel=1e-12)
    assert float(values["regret_100_high"]) == pytest.approx(0.06, rel=1e-12)
    assert float(values["regret_again"]) == pytest.approx(0.005, rel=1e-12)
    assert (values["violations"], values["searches"]) == ("0", "4")
    assert values["origin"] == "simulated"
    text = to_text(grid)
    assert "0.300 (0.250 – 0.350)" in text
    assert "0.200 (0.150 – 0.250)*" in text
    assert "2 seeds under each bound; the bounds are the quantiles 0.25, 0.5" in text


def test_the_table_of_mechanisms_shows_both_regrets(inputs: ReportInputs) -> None:
    table = tables["exam_mechanisms"]()
    grid = table.lay_out(table.collect(inputs))
    header, first, refused, last = to_csv(grid).splitlines()
    values = dict(zip(header.split(","), first.split(","), strict=True))
    assert (values["marginal_regret"], values["derived_regret"]) == ("0.5", "0.25")
    assert refused.startswith("mul_log 0.6,,")
    assert last.startswith("frank_wolfe,0.25")
    assert [cell.is_best for cell in grid.rows[2]][-2:] == [True, True]
    assert "mul_log 0.6: undefined below 1 ms" in grid.notes


def test_the_figure_has_a_line_a_sampler(inputs: ReportInputs) -> None:
    figure = figures["exam_regret"]()
    rows = figure.collect(inputs)
    (panel,) = rows
    assert panel.title == "nas-bench-macro, bounds on local-ort"
    assert [line.sampler for line in panel.lines] == ["random", "surrogate", "exact"]
    first, last = panel.lines[0].points
    assert (first.queries, first.mean, last.queries, last.mean) == (25, 0.6, 100, 0.3)
    assert (last.low, last.high) == pytest.approx((0.25, 0.35), rel=1e-12)
    assert panel.has_zero
    assert 0 < panel.floor < 0.01
    assert "after 100 queries: exact 0.000, surrogate 0.010, random 0.300." in figure.describe(
        rows
    )
    drawn = figure.finished(rows, NARROW, is_framed=True)
    assert isinstance(drawn, Figure)
    (axes,) = drawn.axes
    assert (axes.get_xscale(), axes.get_yscale()) == ("log", "log")
    assert [tick.get_text() for tick in axes.get_xticklabels()] == ["25", "100"]
    assert axes.get_yticklabels()[0].get_text() == "0"
    assert {text.get_text() for text in axes.texts} >= set(REGRETS)


def test_one_seed_has_no_interval(write: Callable[..., Path]) -> None:
    one = ReportInputs((), (), (), exams=(read_exam(write("one", queries_summary(seeds=1))),))
    table, figure = tables["exam_queries"](), figures["exam_regret"]()
    assert "(one seed)" in to_text(table.lay_out(table.collect(one)))
    rows = figure.collect(one)
    assert {p.low for line in rows[0].lines for p in line.points} == {None}
    figure.finished(rows, NARROW, is_framed=True)


def test_every_sampler_looks_different(write: Callable[..., Path]) -> None:
    summary = queries_summary()
    many = [{**summary["samplers"][0], "name": f"sampler-{i:02}"} for i in range(20)]
    exam = read_exam(write("many", {**summary, "samplers": many}))
    figure = figures["exam_regret"]()
    rows = figure.collect(ReportInputs((), (), (), exams=(exam,)))
    (axes,) = figure.finished(rows, NARROW, is_framed=False).axes
    lines = [bars[0] for bars in axes.containers if isinstance(bars, ErrorbarContainer)]
    looks = {(line.get_color(), line.get_marker(), line.get_linestyle()) for line in lines}
    assert len(looks) == 20


@pytest.mark.parametrize("shares", [[0.9, 0.5, 0.1], [0.5, 0.5, 0.5], [0.9, 0.52, 0.5, 0.49, 0.1]])
def test_names_keep_their_order_and_their_distance(shares: list[float]) -> None:
    placed = _spread(shares, 0.1)
    gaps = [a - b for a, b in pairwise(placed)]
    assert min(gaps) >= 0.1 - 1e-12
    assert sum(placed) == pytest.approx(sum(shares), rel=1e-12), "moved no more up than down"
    if min(a - b for a, b in pairwise(shares)) >= 0.1:
        assert placed == pytest.approx(shares, rel=1e-12)


def test_key_results_speak_of_exams(inputs: ReportInputs, write: Callable[..., Path]) -> None:
    first, queries, mechanisms = key_results(inputs)
    assert first.head == "Simulated numbers"
    assert queries.head == "exact comes nearest to the best within the bound"
    assert "surrogate 0.010, random 0.300. No query over the bound in 12 searches." in queries.text
    assert queries.verdict is Verdict.PLAIN
    assert "frank_wolfe 0.125, task_alone 0.250" in mechanisms.text
    broken = read_exam(write("broken", queries_summary(over=1)))
    _, queries = key_results(replace(inputs, exams=(broken,)))
    assert queries.verdict is Verdict.BAD
    assert "3 queries over the bound" in queries.text


@pytest.mark.slow
def test_exams_alone_make_a_report(inputs: ReportInputs, tmp_path: Path) -> None:
    page = write_report(inputs, tmp_path / "report")
    text = page.read_text()
    assert "Samplers by query under a bound" in text
    assert "Mechanisms on a perfect supernet" in text
    assert json.loads((tmp_path / "report" / MANIFEST).read_text())["parents"]
    for name in (
        "figures/exam_regret.png",
        "tables/exam_queries.tex",
        "tables/exam_mechanisms.csv",
    ):
        assert (tmp_path / "report" / name).stat().st_size > 0
