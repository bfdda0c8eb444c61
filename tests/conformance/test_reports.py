"""Every registered figure and table keeps the contract of `reports.base`."""

from __future__ import annotations

import json
from dataclasses import replace
from pathlib import Path

import pytest
from matplotlib.figure import Figure

from elat.core.artefact import write_json
from elat.latency.calibration import Calibration
from elat.latency.condition import Condition, Method, Precision
from elat.latency.models.evaluate import CROSS_VALIDATION, HeldOut, HeldOutRow
from elat.latency.operators.conv import Conv
from elat.reports.aggregation import (
    AggregationCosts,
    DeviceCosts,
    NetworkCost,
    Shape,
    SliceCost,
    Time,
)
from elat.reports.base import ReportFigure, ReportTable
from elat.reports.exams import (
    MechanismExam,
    MechanismMark,
    QueryExam,
    ReadExam,
    Regret,
    SamplerMark,
    Terms,
)
from elat.reports.figures import figures
from elat.reports.inputs import ReportInputs, read_inputs
from elat.reports.models import CalibrationNetwork, ModelFolder
from elat.reports.renderers import to_csv, to_html, to_latex, to_markdown, to_text
from elat.reports.source import Source
from elat.reports.style import NARROW
from elat.reports.tables import tables
from elat.search.architecture import Architecture
from elat.search.result import (
    Candidate,
    Certificate,
    DeviceBound,
    Limit,
    MeasuredLatency,
    SearchResult,
    Trained,
    TrainingRecord,
    write_record,
)

from ..reports.comparisons import made_up_comparison
from ..reports.measuring_exams import made_up_exam
from ..reports.wirings import made_up_study

NOTHING = ReportInputs((), (), ())
SPACE = {
    "family": "mbconv-chain", "name": "two-blocks", "resolution": 8, "in_channels": 1,
    "classes": 2, "stem": {"width": 8, "stride": 1}, "first": 8, "head": 16,
    "stages": [{"width": 8, "blocks": 2, "stride": 1}],
}  # fmt: skip


@pytest.fixture(scope="module")
def inputs(tmp_path_factory: pytest.TempPathFactory) -> ReportInputs:
    """Made-up searches, models and exams on made-up devices; no number here was measured."""
    folder = tmp_path_factory.mktemp("runs")
    for position, device in enumerate(("one", "two")):
        write_made_up_run(folder / device, device, position)
    models = tuple(made_up_model(device) for device in ("one", "two"))
    return replace(
        read_inputs([folder]),
        models=models,
        exams=made_up_exams(),
        aggregations=made_up_costs(),
        wirings=(made_up_study(),),
        methods=(made_up_comparison(),),
        measuring=(made_up_exam(),),
    )


def condition_on(device: str) -> Condition:
    return Condition(device, "simulated", "1", Precision.FP32, 1, 1, Method.BLOCK, ())


def made_up_model(device: str) -> ModelFolder:
    convs = [Conv(8, 8, size, 1) for size in range(2, 8)]
    rows = tuple(
        HeldOutRow(conv, "conv", 1.0 + i, 1.1 + i, 0.1 / (1 + i)) for i, conv in enumerate(convs)
    )
    sums = [1.0, 1.5, 2.0, 2.5, 3.0, 3.6]
    networks = tuple(
        CalibrationNetwork((i % 3, i % 2), 1000 + i, ms, 0.9 * ms, 0.9 * ms, 0.8 * ms, ms)
        for i, ms in enumerate(sums)
    )
    return ModelFolder(
        Path(device), "ridge", "two-blocks", Source("simulated", device, condition_on(device)),
        HeldOut(CROSS_VALIDATION, 5, rows),
        Calibration.fit(sums, [4] * 6, [0.9 * ms for ms in sums]), networks,
    )  # fmt: skip


def made_up_exams() -> tuple[ReadExam, ...]:
    source = Source("simulated", "one", condition_on("one"))
    terms = Terms("exam", "two-blocks", "one", 2, (0.5,), source)
    samplers = tuple(
        SamplerMark(
            name, ((4, Regret(last + 1, last, last + 2)), (8, Regret(last, -0.1, last + 0.1))),
            Regret(last / 2, None, None), 0.5, 0, 2, 8.0,
        )
        for name, last in (("one sampler", 0.5), ("another", 0.0))
    )  # fmt: skip
    regret = Regret(0.5, 0.4, 0.6)
    mechanisms = (
        MechanismMark("kept", 2, "", 0.9, 1.0, 0.7, 1.0, 0.6, regret, regret),
        MechanismMark("refused", 2, "not defined", *([None] * 7)),
    )
    return QueryExam(terms, 5, samplers), MechanismExam(terms, mechanisms)


def made_up_costs() -> tuple[AggregationCosts, ...]:
    shape, time = Shape(4, 3, 8), Time(1.0, 0.1)
    networks = tuple(
        NetworkCost(
            shape,
            name,
            10,
            1000,
            10000,
            4096,
            Time(join, 0.1),
            time,
            Time(2.0, 0.1),
            Time(join + 3.0, 0.1),
            time,
            whole,
        )
        for name, join, whole in (("dense sum", 3.0, Time(6.5, 0.2)), ("sparse2 sum", 0.5, None))
    )
    slices = tuple(SliceCost(shape, n, 12, time, Time(0.5 * n, 0.1)) for n in (2, 4))
    source = Source("simulated", "one", condition_on("one"))
    return (AggregationCosts((DeviceCosts(source, "screen", networks, slices),)),)


def write_made_up_run(folder: Path, device: str, position: int) -> None:
    architecture = Architecture("two-blocks", (position, 6))
    folder.mkdir()
    limit = Limit(device, 1.0, 0.5, 2.0)
    candidate = Candidate(architecture, 1.0, (0.9,), 0.9, 1000 + position, 100)
    measured = tuple(
        MeasuredLatency(
            name,
            condition_on(name).to_json(),
            0.9 if name == device else 1.1, 0.85, 1.15, 0.95, 3, (), "simulated",
        )
        for name in (device, "two" if device == "one" else "one")
    )  # fmt: skip
    write_record(
        folder,
        SearchResult(
            SPACE, "proxyless-g", 0, 10, (limit,), "simulated", {"name": "lookup"}, (candidate,)
        ),
    )
    write_record(
        folder,
        Certificate(
            architecture,
            (DeviceBound(device, 1.0, False),),
            {device: 0.9},
            measured,
            (),
            1000,
            100,
            {},
        ),
    )
    trained = Trained(architecture, 1000, 100, 1, (0,), (0.9,), (0.8,))
    write_record(folder, TrainingRecord("generated", trained, None))
    line = {"step": 1, "phase": "search", "loss": 1.0, "expected": [0.9], "lam": [0.0]}
    (folder / "history.jsonl").write_text(json.dumps(line) + "\n")
    write_json(folder / "manifest.json", {"kind": "run"})


@pytest.mark.parametrize("name", list(tables))
def test_tables_say_what_they_are(name: str) -> None:
    assert_described(tables[name]())


@pytest.mark.parametrize("name", list(figures))
def test_figures_say_what_they_are(name: str) -> None:
    assert_described(figures[name]())


def assert_described(part: ReportFigure | ReportTable) -> None:
    assert part.title
    assert part.about.endswith(".")
    assert "elat " in part.needs
    assert part.place > 0
    assert type(part).__doc__


@pytest.mark.parametrize("name", list(tables))
def test_tables_of_nothing_have_no_rows(name: str) -> None:
    assert tables[name]().collect(NOTHING) == ()


@pytest.mark.parametrize("name", list(figures))
def test_figures_of_nothing_have_no_rows(name: str) -> None:
    assert figures[name]().collect(NOTHING) == ()


@pytest.mark.parametrize("name", list(tables))
def test_tables_render_in_every_format(name: str, inputs: ReportInputs) -> None:
    table = tables[name]()
    rows = table.collect(inputs)
    assert rows == table.collect(inputs)
    if not rows:
        pytest.skip(f"{name} needs other inputs than runs and models")
    grid = table.lay_out(rows)
    assert grid.rows
    fields = [field for column in grid.columns for field in column.fields]
    assert len(set(fields)) == len(fields)
    for text in (
        to_html(grid), to_markdown(grid, "t"), to_csv(grid), to_latex(grid, "t", name),
        to_text(grid),
    ):  # fmt: skip
        assert text.strip()


@pytest.mark.parametrize("name", list(figures))
def test_figures_draw_and_name_their_sources(name: str, inputs: ReportInputs) -> None:
    figure = figures[name]()
    rows = figure.collect(inputs)
    if not rows:
        pytest.skip(f"{name} needs other inputs than runs and models")
    sources = figure.sources(rows)
    assert sources
    assert all(source.is_simulated for source in sources)
    assert figure.describe(rows).endswith(".")
    drawn = figure.finished(rows, NARROW, is_framed=True)
    assert isinstance(drawn, Figure)
    assert "simulated on one" in " ".join(drawn.get_supxlabel().split())
