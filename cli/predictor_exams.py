"""`elat exam help-nb201`, `from-scratch`, `constrained`: predictors against published figures."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Annotated, Any, TypeVar

import typer

from . import options
from .console import print_json, print_table, progress, say

T = TypeVar("T")
Seeds = Annotated[int, typer.Option("--seeds", min=2, help="Random draws.")]
Gnn = Annotated[
    bool, typer.Option("--gnn", help="Judge graph networks as well, which takes minutes more.")
]


def list_exams(json: bool) -> None:
    """Print every exam: what it shows, what is published, about how long it takes."""
    from dataclasses import asdict

    from ..flows.predictor_exams import EXAMS

    if json:
        print_json([asdict(exam) for exam in EXAMS])
        return
    print_table(
        "",
        ("exam", "shows", "published", "minutes"),
        [(exam.name, exam.shows, exam.published or "-", f"{exam.minutes:g}") for exam in EXAMS],
        right=[3],
    )


def help_nb201(
    samples: Annotated[
        int, typer.Option("--samples", min=2, max=400, help="Measured on the new device.")
    ] = 10,
    seeds: Seeds = 20,
    gnn: Gnn = False,
    json: options.Json = False,
) -> None:
    """Predict six new devices from a few samples and nine known ones, as HELP's table 3 does."""
    from ..flows.predictor_exams_few_shot import (
        TARGETS,
        FewShotOrder,
        Predictor,
        count_few_shot,
        few_shot_rows,
        few_shot_summary,
    )

    predictors = tuple(Predictor) if gnn else (Predictor.POOL,)
    order = FewShotOrder(samples, seeds, predictors=predictors)
    rows = _drawn(few_shot_rows(order), count_few_shot(order), "devices")
    summary = few_shot_summary(order, rows)
    if json:
        print_json(summary)
        return
    published = [
        (name, f"{found['mean']:.3f}", *(f"{found['devices'][d]:.3f}" for d in TARGETS))
        for name, found in summary["published"].items()
    ]
    print_table(
        f"rank correlation, {samples} samples, {seeds} seeds; standard deviation between seeds",
        ("who", "mean", *TARGETS),
        [
            *published,
            *(
                (f"ours, {name} samples", *_cells(found, "spearman", TARGETS))
                for name, found in summary["ours"].items()
            ),
            *(
                (f"graph network, {name} samples", *_cells(found, "spearman", TARGETS))
                for name, found in summary.get("gnn", {}).get("ours", {}).items()
            ),
        ],
        right=range(1, 8),
    )
    ceilings = [summary["ceiling"][device] for device in TARGETS]
    print_table(
        "share within 10 %, beside the noise of measurements",
        ("who", "mean", *TARGETS),
        [
            ("ours, random samples", *_cells(summary["ours"]["random"], "within_10", TARGETS)),
            ("twins of each other", "", *(_share(c["twins_within_10"]) for c in ceilings)),
            ("a perfect predictor", "", *(_share(c["perfect_within_10"]) for c in ceilings)),
        ],
        right=range(1, 8),
    )
    controls = summary["controls"]["random"]["mean"]["spearman"]
    say(
        f"On {len(summary['controls']['random']['devices'])} columns on which nothing was chosen: "
        f"{controls['mean']:.3f}."
    )


def from_scratch(
    sizes: Annotated[
        str, typer.Option("--sizes", help="Training architectures, with commas.")
    ] = "10,20,50,100,900",
    seeds: Seeds = 5,
    gnn: Gnn = False,
    json: options.Json = False,
) -> None:
    """Learn 27 device columns, each from N of its own architectures, and test on all others."""
    from ..flows.predictor_exams_from_scratch import (
        HeldOut,
        Method,
        ScratchOrder,
        count_scratch,
        scratch_rows,
        scratch_summary,
    )

    methods = tuple(m for m in Method if gnn or m is not Method.GNN)
    order = ScratchOrder(_sizes(sizes), seeds, methods)
    summary = scratch_summary(
        order, _drawn(scratch_rows(order), count_scratch(order), "training sets")
    )
    if json:
        print_json(summary)
        return
    print_table(
        f"means over {summary['columns']} columns, {seeds} seeds; "
        "standard deviation between seeds",
        ("N", "who", "tested on", "Spearman", "within 5 %", "within 10 %"),
        [
            (
                found["samples"],
                method.value,
                test.value,
                *(
                    _mean_std(found[method.value][test.value][name])
                    for name in ("spearman", "within_5", "within_10")
                ),
            )
            for found in summary["sizes"]
            for method in methods
            for test in HeldOut
        ],
        right=[0, 3, 4, 5],
    )


def constrained(
    draws: Annotated[int, typer.Option("--draws", min=10, help="Of each problem.")] = 1000,
    seed: options.Seed = 0,
    json: options.Json = False,
) -> None:
    """Pick the best architecture under a bound by predictions and limits; count what breaks."""
    from ..flows.predictor_exams_constrained import (
        ConstrainedOrder,
        Limit,
        Problem,
        constrained_rows,
        constrained_summary,
        count_constrained,
    )

    order = ConstrainedOrder(draws, seed)
    rows = _drawn(constrained_rows(order), count_constrained(order), "picks")
    summary = constrained_summary(order, rows)
    if json:
        print_json(summary)
        return
    problems = summary["problems"]
    print_table(
        f"picks that break the bound; limits of {summary['level']:.0%}",
        ("problem", "within the bound is", "broken", "margin", "regret", "refused"),
        [
            _pick_row(problem.value, limit.value, problems[problem.value][limit.value])
            for problem in Problem
            for limit in Limit
        ],
        right=range(2, 6),
    )
    for problem in Problem:
        say(f"{problem.value}: {problems[problem.value]['origin']}")


def _sizes(text: str) -> tuple[int, ...]:
    from ..core.errors import ConfigError

    try:
        sizes = tuple(int(part) for part in text.split(","))
    except ValueError:
        sizes = ()
    if not sizes or min(sizes) < 3 or max(sizes) > 5000:
        raise ConfigError(f"--sizes takes numbers from 3 to 5000 with commas, found {text!r}.")
    return sizes


def _drawn(steps: Iterator[T], total: int, title: str) -> list[T]:
    """All rows, with a progress bar."""
    rows = []
    with progress() as bars:
        task = bars.add_task(title, total=total)
        for row in steps:
            rows.append(row)
            bars.update(task, completed=len(rows))
    return rows


def _cells(group: dict[str, Any], score: str, devices: tuple[str, ...]) -> tuple[str, ...]:
    found = (group["mean"][score], *(group["devices"][device][score] for device in devices))
    return tuple(_mean_std(value) for value in found)


def _pick_row(problem: str, limit: str, found: dict[str, Any]) -> tuple[str, ...]:
    def number(key: str, form: str) -> str:
        return "-" if found[key] is None else format(found[key], form)

    return (
        problem,
        limit,
        f"{found['broken']:.1%} ± {found['standard_error']:.1%}",
        number("margin", ".1%"),
        number("regret", ".3f"),
        f"{found['refused']}",
    )


def _mean_std(value: dict[str, float]) -> str:
    return f"{value['mean']:.3f} ± {value['std']:.3f}"


def _share(value: float | None) -> str:
    return "-" if value is None else f"{value:.2f}"
