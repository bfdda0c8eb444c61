"""`elat report --film` on a run folder with two made-up frames; no number here was measured."""

from __future__ import annotations

from pathlib import Path

import pytest

from elat.core.artefact import manifest, write_json
from elat.search.architecture import Architecture
from elat.search.journal import Journal
from elat.search.result import Candidate, Limit, SearchResult, write_record
from elat.search.spaces import block_space, find_space
from elat.search.strategies.base import SearchStep


@pytest.fixture
def run(tmp_path: Path, tiny: Path) -> Path:
    """A finished search of the tiny space with a course."""
    folder = tmp_path / "run"
    space = block_space(find_space(str(tiny)), "a test")
    journal = Journal(folder, "checkpoint", "history.jsonl")
    for number in (1, 2):
        rows = tuple((1 / len(b.candidates),) * len(b.candidates) for b in space.blocks)
        step = SearchStep(number, 2, "search", 1.0, 0.5, 1.0, (2.0,), (0.1,), 1.0, rows)
        journal.frame(step)
    best = Candidate(Architecture(space.name, (0, 0, 0, 0)), 1.0, (0.9,), 0.9, 1000, 100)
    limits = (Limit("local-ort", 1.0, 0.5, 2.0),)
    result = SearchResult(
        space.describe(), "proxyless-g", 0, 2, limits, "simulated", {"name": "lookup"}, (best,)
    )
    write_record(folder, result)
    write_json(folder / "manifest.json", manifest("search", config={}, seed=0, parents={}))
    return folder


def test_a_report_with_films(elat, run, tmp_path):
    out = tmp_path / "out"
    said = elat(
        "report", run, "--out", out, "--film", "--film-format", "gif", "--film-fps", 1, "--json"
    )
    assert said.code == 0, said.err
    film = out / "films" / "for-local-ort.gif"
    assert said.json == {"page": str(out / "index.html"), "films": [str(film)]}
    assert film.read_bytes().startswith(b"GIF89a")
    assert 'href="films/for-local-ort.gif"' in (out / "index.html").read_text()


@pytest.mark.parametrize(
    ("options", "code", "words"),
    [
        (("--film-format", "avi"), 2, "Unknown film format 'avi'. Known: gif, mp4."),
        (("--film-format", "gif", "--film-fps", 60), 2, "at most 50 frames a second, not 60"),
    ],
)
def test_films_that_cannot_be_are_refused(elat, run, tmp_path, options, code, words):
    said = elat("report", run, "--out", tmp_path / "out", "--film", *options)
    assert said.code == code
    assert words in said.error


def test_a_film_of_nothing_names_the_repair(elat, run, tmp_path):
    (run / "course.bin").unlink()
    said = elat("report", run, "--out", tmp_path / "out", "--film", "--film-format", "gif")
    assert said.code == 7
    assert "search again with: elat search" in said.error
