"""`elat exam`: searches, predictors and the meter, judged; and what aggregation costs."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import typer

from . import options
from .aggregation_cost import aggregation_cost
from .campaigns import draw_measuring
from .choosing import choosing
from .console import print_json, print_table, progress, say
from .measuring_exam import measuring
from .network_exam import networks
from .operator_exam import operators
from .predictor_exams import constrained, from_scratch, help_nb201, list_exams
from .transferring import transfer_exam

if TYPE_CHECKING:
    from ..flows.exam import Kept

Seeds = Annotated[int, typer.Option("--seeds", min=1, help="Searches under each bound.")]
Workers = Annotated[int, typer.Option("--workers", min=1, help="Searches side by side.")]
ExamDevice = Annotated[
    str, typer.Option("--device", help="A device card's name, whose latencies are the bounds.")
]


def register(app: typer.Typer) -> None:
    """Add this group's verbs to `app`."""
    exams = typer.Typer(
        no_args_is_help=True,
        invoke_without_command=True,
        help="Judge searches and predictors on published data, and the meter.",
        callback=exam,
    )
    exams.command("nas-bench-macro")(nas_bench_macro)
    exams.command("perfect-supernet")(perfect_supernet)
    exams.command("aggregation-cost")(aggregation_cost)
    exams.command("measuring")(measuring)
    exams.command("operators")(operators)
    exams.command("networks")(networks)
    exams.command("choosing")(choosing)
    exams.command("help-nb201")(help_nb201)
    exams.command("from-scratch")(from_scratch)
    exams.command("constrained")(constrained)
    exams.command("transfer")(transfer_exam)
    app.add_typer(exams, name="exam")


def exam(
    lists: Annotated[
        bool, typer.Option("--list", help="What each exam shows, what is published, minutes.")
    ] = False,
    json: options.Json = False,
) -> None:
    """Judge searches and predictors on published data, and the meter."""
    if lists or json:
        list_exams(json)
        raise typer.Exit


def nas_bench_macro(
    device: ExamDevice = "local-ort",
    latency: options.Latency = None,
    samplers: Annotated[
        str, typer.Option("--samplers", help="Which, with commas [default: all available].")
    ] = "",
    seeds: Seeds = 20,
    queries: Annotated[int, typer.Option("--queries", min=4, help="Trainings a search.")] = 100,
    workers: Workers = 2,
    out: Annotated[Path, typer.Option("--out", help="Where rows are kept.")] = Path(
        "out/exam-nas-bench-macro"
    ),
    json: options.Json = False,
) -> None:
    """Search NAS-Bench-Macro under measured bounds; a query is one training; resumes by itself."""
    from ..flows.macro_exam import MacroExam, MacroOrder

    names = options.names_in(samplers)
    _measure_if_needed(device, latency)
    exam = MacroExam(MacroOrder(device, latency, names, seeds, queries, workers, out))
    for name, reason in exam.unavailable.items():
        say(f"{name} is left out: {reason}")
    _draw(exam.run(), "searches")
    summary = exam.summary()
    if json:
        print_json(summary)
        return
    heads = [f"after {n}" for n in summary["samplers"][0]["regret"]] if summary["samplers"] else []
    print_table(
        f"accuracy points below the best within the bound ({_source(summary)})",
        ("sampler", *heads, "95 %", f"top {summary['again']} again", "found", "over the bound"),
        [_sampler_row(found) for found in sorted(summary["samplers"], key=_last)],
        right=range(1, 5 + len(heads)),
    )
    say(f"rows and summary are in {out}")


def perfect_supernet(
    device: ExamDevice = "local-ort",
    latency: options.Latency = None,
    seeds: Seeds = 20,
    workers: Workers = 2,
    out: Annotated[Path, typer.Option("--out", help="Where rows are kept.")] = Path(
        "out/exam-perfect-supernet"
    ),
    json: options.Json = False,
) -> None:
    """Judge how mechanisms keep a bound where the supernet is perfect; resumes by itself.

    "Regret, marginal gains" is of one projection on the marginal gains alone; "regret, whole
    derivation" is of what elat search derives by default: projections, swaps, and the best of
    them by the supernet, which is exact here.
    """
    from ..flows.perfect_exam import PerfectExam, PerfectOrder

    _measure_if_needed(device, latency)
    exam = PerfectExam(PerfectOrder(device, latency, seeds, workers, out))
    _draw(exam.run(), "searches")
    summary = exam.summary()
    if json:
        print_json(summary)
        return
    print_table(
        f"accuracy points below the best within the bound ({_source(summary)})",
        (
            "mechanism",
            "E/T",
            "arg-max within",
            "its regret",
            "projected within",
            "regret, log p",
            "regret, marginal gains",
            "regret, whole derivation",
        ),
        [_mechanism_row(found) for found in summary["mechanisms"]],
        right=range(1, 8),
    )
    for found in summary["mechanisms"]:
        if found["refused"]:
            say(f"{found['name']}: {found['refused']}")
    say(f"rows and summary are in {out}")


def _measure_if_needed(device: str, latency: Path | None) -> None:
    from ..devices.device import find_device
    from ..flows.exam import PROTOCOL, SPACE, has_latency, measured_latency
    from ..search.spaces import find_space

    found, space = find_device(device), find_space(SPACE)
    if has_latency(latency, found, space):
        return
    say(f"no latency model of {space.name} on {found.id} yet: measuring it ({PROTOCOL} protocol)")
    draw_measuring(measured_latency(found, space, 0), f"{found.id} {space.name}")


def _draw(steps: Iterator[Kept], title: str) -> None:
    with progress() as bars:
        task = bars.add_task(title, total=None)
        for step in steps:
            text = f"{title}: {step.name}"
            bars.update(task, completed=step.done, total=step.total, description=text)


def _source(summary: dict[str, Any]) -> str:
    return f"{summary['seeds']} seeds, bounds {summary['origin']} on {summary['device']}"


def _last(found: dict[str, Any]) -> float:
    return float([*found["regret"].values()][-1]["mean"])


def _sampler_row(found: dict[str, Any]) -> tuple[str, ...]:
    regrets = [*found["regret"].values()]
    interval = regrets[-1]["interval_95"]
    return (
        found["name"],
        *(f"{regret['mean']:.3f}" for regret in regrets),
        "-" if interval is None else f"{interval['low']:.3f} to {interval['high']:.3f}",
        f"{found['regret_again']['mean']:.4f}",
        f"{found['found_share']:.0%}",
        f"{found['violations']} of {found['searches']}",
    )


def _mechanism_row(found: dict[str, Any]) -> tuple[str, ...]:
    def number(key: str) -> str:
        return "-" if found[key] is None else f"{found[key]:.3f}"

    def share(key: str) -> str:
        return "-" if found[key] is None else f"{found[key]:.0%}"

    return (
        found["name"],
        number("expected_share"),
        share("argmax_feasible_share"),
        number("argmax_regret_where_feasible"),
        share("feasible_share"),
        number("log_regret"),
        number("marginal_regret"),
        number("derived_regret"),
    )
