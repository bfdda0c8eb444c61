from __future__ import annotations

import re
from collections.abc import Callable, Iterator
from dataclasses import replace
from html.parser import HTMLParser
from pathlib import Path

import pytest

from elat.reports.document import lead_of, render_page, title_of
from elat.reports.figures.cross_device import CrossDevice
from elat.reports.figures.search_course import SearchCourse
from elat.reports.inputs import ReportInputs, read_inputs
from elat.reports.page import write_report
from elat.reports.parts import FigurePart, Part, collect_parts, table_text
from elat.reports.style import DARK, LIGHT, NARROW, WIDE, png_bytes, recoloured, svg_bytes

LINKS = {"src", "href", "srcset", "action", "poster", "data"}


class _Links(HTMLParser):
    """Everything that a browser would fetch."""

    def __init__(self) -> None:
        super().__init__()
        self.targets: list[str] = []
        self.tags: set[str] = set()

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        self.tags.add(tag)
        self.targets += [value or "" for name, value in attrs if name in LINKS]


def links(html: str) -> _Links:
    found = _Links()
    found.feed(html)
    found.close()
    return found


def without_figures(inputs: ReportInputs) -> tuple[Part, ...]:
    return tuple(
        replace(part, rows=()) if isinstance(part, FigurePart) else part
        for part in collect_parts(inputs)
    )


@pytest.fixture
def page_of() -> Iterator[Callable[[ReportInputs], str]]:
    """The page without its figures, which take their time to draw."""
    yield lambda inputs: render_page(inputs, without_figures(inputs), {})


def test_a_whole_report_is_written_and_self_contained(
    tmp_path: Path, everything: ReportInputs
) -> None:
    out = tmp_path / "report"
    stale = out / "figures" / "predictor_scatter.png"
    stale.parent.mkdir(parents=True)
    stale.write_text("old")
    # One search: what needs more is left out, and so is the time to draw it.
    small = replace(
        everything, runs=everything.runs[1:2], histories=everything.histories[1:2], models=()
    )
    assert write_report(small, out) == out / "index.html"
    html = (out / "index.html").read_text()
    found = links(html)
    assert found.targets
    assert all(target.startswith("data:") for target in found.targets)
    assert not found.tags & {"script", "link", "iframe", "object", "base"}
    assert "url(" not in html
    assert "@import" not in html
    assert 'name="viewport"' in html
    names = {path.relative_to(out).as_posix() for path in out.rglob("*") if path.is_file()}
    for name in ("specialisation", "certificates", "accuracy"):
        assert {f"tables/{name}.{suffix}" for suffix in ("csv", "md", "tex")} <= names
    for name in ("flops_vs_latency", "architectures", "search_course"):
        assert {f"figures/{name}.{suffix}" for suffix in ("pdf", "png")} <= names
    assert {"report.pdf", "report.png", "manifest.json"} <= names
    assert not stale.exists()
    for path in out.rglob("*.png"):
        assert path.read_bytes().startswith(b"\x89PNG")
    for path in out.rglob("*.pdf"):
        assert path.read_bytes().startswith(b"%PDF")


def test_hostile_names_stay_text(
    page_of: Callable[[ReportInputs], str], everything: ReportInputs
) -> None:
    hostile = "<script>alert(1)</script>"
    models = tuple(replace(model, name=hostile, space=hostile) for model in everything.models)
    html = page_of(replace(everything, models=models))
    assert hostile not in html
    assert "&lt;script&gt;alert(1)" in html
    assert "script" not in links(html).tags


def test_missing_parts_are_named_with_their_repair(
    tmp_path: Path,
    page_of: Callable[[ReportInputs], str],
    write_run: Callable[..., Path],
    write_model: Callable[..., Path],
) -> None:
    run = write_run(tmp_path / "run", "local-ort", (0,) * 12, certified=False, trained=False)
    (run / "history.jsonl").unlink()
    html = page_of(read_inputs([run]))
    for command in ("elat verify", "elat train", "elat fit", "elat calibrate"):
        assert command in html
    assert "(not verified)" in html
    model = write_model(tmp_path / "model", "local-ort", networks=0)
    html = page_of(read_inputs([model]))
    assert "No searched network was given" in html
    assert "No calibrated model was given" in html


def test_nothing_at_all_still_makes_a_page(page_of: Callable[[ReportInputs], str]) -> None:
    html = page_of(ReportInputs((), (), ()))
    assert "Nothing was searched or fitted yet" in html


def test_manifests_and_commands_are_printed(
    page_of: Callable[[ReportInputs], str], everything: ReportInputs
) -> None:
    html = page_of(everything)
    assert "elat search --space small-chain --device local-ort --bound-ms" in html
    assert "elat search --space small-chain --bound-macs" in html
    assert "elat fit --device local-ort --space small-chain --model ridge" in html
    assert "config sha256" in html
    assert "torch" in html


def test_title_and_lead_say_what_it_is(everything: ReportInputs) -> None:
    assert title_of(everything) == "Networks searched for local-ort and local-tflite"
    assert lead_of(everything) == "3 searches and 2 latency models in the space small-chain."


def test_the_page_is_the_same_twice(
    page_of: Callable[[ReportInputs], str], everything: ReportInputs
) -> None:
    assert page_of(everything) == page_of(everything)


def test_pictures_are_the_same_twice(everything: ReportInputs) -> None:
    figure = CrossDevice()
    rows = figure.collect(everything)
    first, second = (figure.finished(rows, NARROW, is_framed=True) for _ in range(2))
    assert svg_bytes(first) == svg_bytes(second)
    assert png_bytes(first, 50) == png_bytes(second, 50)


def test_the_dark_picture_has_no_light_colour_left(everything: ReportInputs) -> None:
    figure = CrossDevice()
    svg = svg_bytes(figure.finished(figure.collect(everything), WIDE, is_framed=False))
    dark = recoloured(svg, DARK).decode()
    assert DARK.surface in dark
    for colour in (LIGHT.surface, LIGHT.ink, LIGHT.muted, LIGHT.line):
        assert colour not in dark
    assert re.sub(r"#[0-9a-f]{6}", "", dark) == re.sub(r"#[0-9a-f]{6}", "", svg.decode())


@pytest.mark.parametrize("origin", ["measured", "simulated"])
def test_simulated_figures_carry_a_watermark(
    tmp_path: Path, write_everything: Callable[..., Path], origin: str
) -> None:
    figure = SearchCourse()
    inputs = read_inputs([write_everything(tmp_path / "flow", origin)])
    drawn = figure.finished(figure.collect(inputs), NARROW, is_framed=True)
    texts = {text.get_text() for text in drawn.texts}
    assert ("SIMULATED" in texts) == (origin == "simulated")
    assert drawn.get_supxlabel().startswith(f"Source: {origin} on local-ort: onnxruntime")
    assert "batch 1, 1 thread" in " ".join(drawn.get_supxlabel().split())


def test_tables_are_printed_as_text(everything: ReportInputs) -> None:
    text = table_text(everything, "specialisation")
    assert "On local-ort" in text
    assert "Source: measured on local-ort: onnxruntime 1.24.1, fp32, batch 1, 1 thread" in text
    assert "elat search" in table_text(ReportInputs((), (), ()), "specialisation")


def test_dollars_and_braces_in_a_name_are_no_formula(
    tmp_path: Path, write_run: Callable[..., Path]
) -> None:
    for name in ("a$\\frac{$", "b"):
        write_run(tmp_path / name, "local-ort", (0,) * 12, trained=False, steps=20)
    figure = SearchCourse()
    rows = figure.collect(read_inputs([tmp_path]))
    assert rows[0].label == "for local-ort (a$\\frac{$)"
    assert svg_bytes(figure.finished(rows, NARROW, is_framed=True))
