"""The film of a search for links. No number here was measured."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace
from itertools import pairwise
from pathlib import Path

import matplotlib as mpl
import numpy as np
import pytest

from elat.reports.courses import ShownCourse, shown_courses
from elat.reports.film import write_films
from elat.reports.film_canvas import FilmCanvas
from elat.reports.film_files import FilmFormat
from elat.reports.film_links import open_links
from elat.reports.inputs import ReportInputs, read_inputs
from elat.reports.page import write_report
from elat.reports.style import DARK, WIDE, Style
from elat.search.journal import Journal
from elat.search.spaces.aggregation import AggregationSpace
from elat.search.spaces.wirings import exponential
from elat.search.strategies.base import SearchStep

from .wirings import link_space, write_search

FRAMES = 3


def add_course(folder: Path, space: AggregationSpace) -> Path:
    """Made-up probabilities that move from a half to those of the exponential rule."""
    journal = Journal(folder, "checkpoint", "unused.jsonl")
    rule = exponential(space, 2).choices
    for number in range(FRAMES):
        share = 0.4 * number / (FRAMES - 1)
        opened = [0.5 + (share if link else -share) - 0.01 for link in rule]
        journal.frame(
            SearchStep(
                step=10 * number, total=20, phase="search", loss=1.0, accuracy=0.5,
                validation_loss=None, expected=(1.2 - share,), lam=(share,), entropy=0.69 - share,
                probabilities=tuple((1 - p, p) for p in opened),
            )
        )  # fmt: skip
    return folder


@pytest.fixture(scope="module")
def inputs(tmp_path_factory: pytest.TempPathFactory) -> ReportInputs:
    space = link_space()
    folder = tmp_path_factory.mktemp("links") / "run"
    return read_inputs([add_course(write_search(folder, space, exponential(space, 2)), space)])


@pytest.fixture(scope="module")
def shown(inputs: ReportInputs) -> ShownCourse:
    (found,) = shown_courses(inputs)
    return found


def test_links_have_their_stages(shown: ShownCourse) -> None:
    space = link_space()
    assert [stage.layers for stage in shown.stages] == [5, 5]
    assert shown.blocks == len(space.options)
    assert [open_links(shown, frame) for frame in range(FRAMES)] == [
        0, sum(exponential(space, 2).choices), sum(exponential(space, 2).choices),
    ]  # fmt: skip


def test_blocks_have_no_stages(write_run: Callable[..., Path], tmp_path: Path) -> None:
    from elat.search.spaces import space_from_description

    from .test_film import CHOICES
    from .test_film import add_course as add_course_of_blocks

    folder = write_run(tmp_path / "run", "local-ort", CHOICES)
    run = read_inputs([folder]).runs[0]
    add_course_of_blocks(folder, space_from_description(run.result.space))
    assert [found.stages for found in shown_courses(read_inputs([folder]))] == [()]


def test_a_cell_has_the_colour_of_its_links_probability(shown: ShownCourse) -> None:
    """The corner of a cell is clear of dot and outline."""
    shown = replace(shown, sources=())  # simulated ones are drawn over
    pixels = FilmCanvas(shown, WIDE).draw(FRAMES - 1)
    size, width, top, height = 6, (0.53 - 0.042) / 2, 0.835, 0.64
    for number, stage in enumerate(shown.stages):
        left = 0.062 + number * (width + 0.042)
        for cell in stage.cells:
            column = round(960 * (left + width * (cell.number - 0.75) / size))
            row = round(540 * (1 - top + height * (size - cell.offset + 0.25) / size))
            if cell.choice is None:
                wanted = np.asarray(mpl.colors.to_rgb(WIDE.theme.line))
            else:
                probability = float(shown.course.probabilities[-1, cell.choice, 1])
                wanted = np.asarray(mpl.colormaps["cividis"](probability)[:3])
            np.testing.assert_allclose(pixels[row, column], 255 * wanted, atol=2)


@pytest.mark.parametrize("theme", [WIDE, Style(DARK, 7.6)])
def test_frames_are_the_same_in_any_order(shown: ShownCourse, theme: Style) -> None:
    canvas = FilmCanvas(shown, theme)
    forward = [canvas.draw(frame) for frame in range(FRAMES)]
    for frame in reversed(range(FRAMES)):
        assert np.array_equal(canvas.draw(frame), forward[frame])
    assert all((a != b).any() for a, b in pairwise(forward))


def test_the_words_beside_a_frame_count_links(inputs: ReportInputs, tmp_path: Path) -> None:
    frames = write_films(inputs, tmp_path, FilmFormat.GIF, 1)
    while True:
        try:
            next(frames)
        except StopIteration as end:
            (film,) = end.value
            break
    texts = [frame.text for frame in film.key_frames]
    assert texts[0].endswith("; 0 of 30 links likelier open than closed")
    assert texts[-1].endswith("; 16 of 30 links likelier open than closed")


@pytest.mark.slow
def test_a_search_for_links_makes_a_report(inputs: ReportInputs, tmp_path: Path) -> None:
    page = write_report(inputs, tmp_path)
    assert "Which links were chosen" in page.read_text()
    assert "No searched network of choice blocks was given" in page.read_text()
    assert (tmp_path / "figures" / "wiring_offsets.png").stat().st_size > 0
    assert not (tmp_path / "figures" / "architectures.png").exists()
