"""What `elat search` prints in the end. No number here was measured."""

from __future__ import annotations

from pathlib import Path

import pytest

from elat.cli.searching import show_result
from elat.search.architecture import Architecture
from elat.search.result import Candidate, Limit, SearchResult
from elat.search.spaces import SearchSpace, find_space
from elat.search.spaces.aggregation import AggregationSpace
from elat.search.spaces.wirings import dense, exponential


def result_of(space: SearchSpace, *found: Architecture) -> SearchResult:
    candidates = tuple(Candidate(each, 1.0, (0.9,), 0.9, 1000, 100) for each in found)
    limits = (Limit("one", 1.0, 0.5, 2.0),)
    return SearchResult(
        space.describe(), "proxyless-g", 0, 2, limits, "simulated", {"name": "lookup"}, candidates
    )


def test_links_are_printed_as_in_degrees(capsys: pytest.CaptureFixture[str]) -> None:
    space = find_space("aggregation-tiny")
    assert isinstance(space, AggregationSpace)
    show_result(result_of(space, exponential(space, 2), dense(space)), Path("out"), json=False)
    head, first, second, *_ = capsys.readouterr().out.splitlines()
    assert "in-degrees" in head
    assert "1 2 2 3 3 3 3 | 1 2 2 3 3 3 3" in first
    assert "1 2 3 4 5 6 7 | 1 2 3 4 5 6 7" in second


def test_blocks_are_printed_as_choices(capsys: pytest.CaptureFixture[str]) -> None:
    space = find_space("proxyless-tiny")
    chosen = tuple(range(len(space.options)))
    chosen = tuple(n % count for n, count in zip(chosen, space.options, strict=True))
    show_result(result_of(space, Architecture(space.name, chosen)), Path("out"), json=False)
    head, first, *_ = capsys.readouterr().out.splitlines()
    assert "choices" in head
    assert " ".join(map(str, chosen)) in first
