from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace
from typing import Any

import pytest

from elat.reports.networks import Accuracy, Network
from elat.reports.specialisation import check_specialisation, compare
from elat.reports.tables.certificates import Certificates, prediction_error
from elat.reports.tables.specialisation import Specialisation
from elat.search.architecture import Architecture

A, B = "engine-a", "engine-b"


@pytest.fixture
def network(measured: Callable[..., Any]) -> Callable[..., Network]:
    def make(
        target: str, on_a: float | None, on_b: float | None, half_ms: float = 0.01
    ) -> Network:
        found = [(A, on_a), (B, on_b)]
        # The condition is that of a bundled device; only the names of the engines are made up.
        latencies = tuple(
            replace(measured("local-ort", ms, half_ms), device=name)
            for name, ms in found
            if ms is not None
        )
        return Network(
            label=f"for {target}", target=target, space="s",
            architecture=Architecture("s", (0,)), macs=2_000_000, params=30_000,
            bound_ms=None if target == "macs" else 1.0,
            bound_macs=2_500_000.0 if target == "macs" else None,
            latencies=latencies, predicted_ms={A: 0.9, B: 0.9}, accuracy=Accuracy((0.9, 0.94)),
            is_met=True, measurements=1, origin="measured", is_verified=True,
        )  # fmt: skip

    return make


def test_each_fastest_on_its_own_engine_is_no_problem(network: Callable[..., Network]) -> None:
    rows = (network(A, 0.8, 1.2), network(B, 1.1, 0.7), network("macs", 1.0, 1.0))
    assert check_specialisation(rows) == []
    savings = {(c.own.target, c.rival.target): c.saving for c in compare(rows)}
    assert savings == {
        (A, B): pytest.approx(1 - 0.8 / 1.1),
        (A, "macs"): pytest.approx(0.2),
        (B, A): pytest.approx(1 - 0.7 / 1.2),
        (B, "macs"): pytest.approx(0.3),
    }
    assert all(c.is_significant for c in compare(rows))


def test_a_significant_reversal_is_a_problem_and_names_both(
    network: Callable[..., Network],
) -> None:
    problems = check_specialisation((network(A, 0.8, 1.2), network(B, 0.7, 0.7)))
    assert len(problems) == 1
    assert "On engine-a the network for engine-b is significantly faster" in problems[0]


def test_overlapping_intervals_are_no_problem(network: Callable[..., Network]) -> None:
    rows = (network(A, 0.80, 1.2, 0.03), network(B, 0.78, 0.7, 0.03))
    assert check_specialisation(rows) == []
    pair = compare(rows)[0]
    assert not pair.is_significant
    assert not pair.is_reversal
    assert "takes 2.6% more time" in str(pair)


def test_touching_intervals_are_not_disjoint(network: Callable[..., Network]) -> None:
    pair = compare((network(A, 0.75, 1.0, 0.125), network(B, 0.5, 1.0, 0.125)))[0]
    assert not pair.is_reversal


def test_a_macs_network_may_be_the_reversal(network: Callable[..., Network]) -> None:
    assert len(check_specialisation((network(A, 0.8, 1.2), network("macs", 0.6, 1.0)))) == 1


def test_networks_of_one_target_or_of_other_spaces_are_no_rivals(
    network: Callable[..., Network],
) -> None:
    slow, fast = network(A, 0.9, 1.0), network(A, 0.5, 1.0)
    assert compare((slow, fast)) == ()
    assert compare((slow, replace(network(B, 0.5, 1.0), space="other"))) == ()


def test_an_unmeasured_network_is_a_problem(network: Callable[..., Network]) -> None:
    (problem,) = check_specialisation((network(A, None, 1.0), network(B, 0.9, 0.5)))
    assert "for engine-a was not measured on engine-a" in problem


def test_the_table_marks_the_best_and_gives_exact_values(network: Callable[..., Network]) -> None:
    grid = Specialisation().lay_out((network(A, 0.8, 1.2), network(B, 1.1, 0.7)))
    titles = [(c.group, c.title) for c in grid.columns]
    assert titles[1:5] == [
        (f"On {A}", "Latency"), (f"On {A}", "95% interval"),
        (f"On {B}", "Latency"), (f"On {B}", "95% interval"),
    ]  # fmt: skip
    assert [[cell.is_best for cell in row[1:5]] for row in grid.rows] == [
        [True, False, False, False],
        [False, False, True, False],
    ]
    first = dict(zip([c.title for c in grid.columns], grid.rows[0], strict=True))
    assert first["Of bound"].values == (pytest.approx(0.8),)
    assert first["Of bound"].text == "80.0"
    assert first["Accuracy"].values == (pytest.approx(0.92), pytest.approx(0.028284, abs=1e-6), 2)
    assert len(grid.notes) == 2


def test_certificates_say_error_and_share_of_the_bound(network: Callable[..., Network]) -> None:
    row = replace(network(A, 0.8, 1.2), measurements=3)
    assert prediction_error(row) == pytest.approx(0.9 / 0.8 - 1)
    grid = Certificates().lay_out((row,))
    values = [cell.values for cell in grid.rows[0]]
    assert values[1:4] == [(1.0,), (0.9,), (0.8,)]
    assert values[4] == (pytest.approx(0.79), pytest.approx(0.81))
    assert values[6:] == [(pytest.approx(0.8),), (3,), (True,)]
    assert "uses 80.0% of its bound" in grid.notes[0]
