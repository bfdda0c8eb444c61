"""`elat search | verify | train`: a network under a bound, the proof, its accuracy."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from . import options
from .console import print_json, print_table, progress, say

if TYPE_CHECKING:
    from ..flows.searching import SearchOrder, Started
    from ..flows.verify import Verified
    from ..search.bound import Bound
    from ..search.result import Certificate, Limit, SearchResult, TrainingRecord
    from ..search.strategies import SearchStep
    from ..search.training import TrainingStep

Folder = Annotated[Path, typer.Argument(help="The run folder that `elat search` wrote.")]


def register(app: typer.Typer) -> None:
    """Add this group's verbs to `app`."""
    for verb in (search, verify, train):
        app.command(verb.__name__)(verb)


def search(
    space: options.Space,
    out: Annotated[Path, typer.Option("--out", help="The run folder; resumes what is there.")],
    device: Annotated[
        list[str] | None,
        typer.Option("--device", help="The device of a latency bound; repeat it for several."),
    ] = None,
    bound_ms: Annotated[
        list[float] | None,
        typer.Option("--bound-ms", help="Latency bound in milliseconds, one for each --device."),
    ] = None,
    bound_quantile: Annotated[
        list[float] | None,
        typer.Option(
            "--bound-quantile",
            help="The bound as a quantile of the space's latency: one, or one for each --device.",
        ),
    ] = None,
    bound_level: Annotated[
        float | None,
        typer.Option(
            "--bound-level",
            help="Probability that what is found keeps a latency bound on the device, 0.95 say: "
            "its prediction stays so far below [default: the prediction itself keeps it].",
        ),
    ] = None,
    bound_macs: Annotated[
        float | None, typer.Option("--bound-macs", help="Bound on multiply-adds.")
    ] = None,
    bound_params: Annotated[
        float | None, typer.Option("--bound-params", help="Bound on trainable parameters.")
    ] = None,
    bound_links: Annotated[
        float | None,
        typer.Option("--bound-links", help="Bound on links, of a space of aggregations."),
    ] = None,
    latency: Annotated[
        list[Path] | None,
        typer.Option(
            "--latency",
            help="A latency model's folder or table file, one for each --device "
            "[default: the newest in ELAT_HOME].",
        ),
    ] = None,
    data: options.Data = "digits",
    strategy: Annotated[str, typer.Option("--strategy", help="See elat strategies.")] = (
        "proxyless-g"
    ),
    seed: options.Seed = 0,
    config: options.Config = None,
    set_: options.Set = None,
    workers: Annotated[
        int, typer.Option("--workers", min=1, help="Processes that train candidates side by side.")
    ] = 1,
    scheduler: options.Scheduler = None,
    json: options.Json = False,
) -> None:
    """Search a network under a bound; never measures, and resumes to the same result."""
    from ..flows.searching import SearchOrder

    order = SearchOrder(
        space=space,
        devices=tuple(device or ()),
        latency=tuple(latency or ()),
        bound_ms=tuple(bound_ms or ()),
        bound_quantile=tuple(bound_quantile or ()),
        bound_level=bound_level,
        bound_macs=bound_macs,
        bound_params=bound_params,
        bound_links=bound_links,
        data=data,
        strategy=strategy,
        seed=seed,
        config=config,
        overrides=tuple(set_ or ()),
        out=out,
    )
    result = _searched(order, workers, scheduler)
    if result is not None:
        show_result(result, out, json)


def _searched(order: SearchOrder, workers: int, scheduler: str | None) -> SearchResult | None:
    """Search with a bar; the result, and None in processes that only help the first."""
    from ..flows.cluster import open_executor
    from ..flows.searching import run_search
    from ..search.distributed import open_world

    with open_world() as world, open_executor(workers, scheduler) as executor:
        started = run_search(order, world, executor)
        if world.rank != 0:
            for _ in started.steps:
                pass  # process 0 draws
            return None
        _announce(started)
        return draw_search(started.steps, f"search {order.space}")


def _announce(started: Started) -> None:
    """Say which models and bounds a search goes by."""
    for model in started.models:
        say(f"latency from {model.folder} ({model.name})")
    where = {b.name: f" on {b.name}" if b.unit == "ms" else "" for b in started.bounds}
    limits = (f"{b.limit:g} {b.unit}{where[b.name]}{_promise(b)}" for b in started.bounds)
    say("bound: " + ", ".join(limits))


def _promise(bound: Bound) -> str:
    """What the device shall keep, if that is another number than what is predicted at most."""
    if bound.held is None:
        return ""
    return (
        f" (predicted, so that what is picked keeps {bound.held:g} ms at level {bound.level:.3g})"
    )


def _sure(limit: Limit, predicted: float) -> str:
    """The upper limit of what is predicted, where the search kept one."""
    upper = limit.upper(predicted)
    return "" if upper is None else f" (to {upper:.6g})"


def draw_search(steps: Iterator[SearchStep | SearchResult], title: str) -> SearchResult:
    """Draw the course of a search; returns its result."""
    from ..search.result import SearchResult

    with progress() as bars:
        task = bars.add_task(title, total=None)
        for step in steps:
            if isinstance(step, SearchResult):
                return step
            bars.update(
                task, completed=step.step, total=step.total, description=f"{title} {step.phase}"
            )
    raise AssertionError("a search ends with its result")


def show_result(result: SearchResult, out: Path, json: bool) -> None:
    """Print the ranked candidates of a search, or all of its record."""
    if json:
        print_json({"out": str(out), **result.to_json()})
        return
    chosen, texts = _choices(result)
    rows = [
        (
            rank,
            text,
            ", ".join(
                f"{cost:.6g} {limit.unit}{_sure(limit, cost)}"
                for cost, limit in zip(candidate.predicted, result.limits, strict=True)
            ),
            f"{candidate.macs / 1e6:.2f} M",
            "-" if candidate.accuracy is None else f"{candidate.accuracy:.2%}",
        )
        for rank, (candidate, text) in enumerate(zip(result.candidates, texts, strict=True), 1)
    ]
    heads = ("rank", chosen, "predicted", "MACs", "supernet accuracy")
    print_table("", heads, rows, right=(0, 3, 4))
    say(f"prove it with: elat verify {out}")


def _choices(result: SearchResult) -> tuple[str, list[str]]:
    """What candidates chose, under its head: the choices of blocks, in-degrees of links."""
    from ..search.spaces import BlockSpace, space_from_description

    space = space_from_description(result.space)
    found = [candidate.architecture for candidate in result.candidates]
    if isinstance(space, BlockSpace):
        return "choices", [" ".join(map(str, each.choices)) for each in found]
    return "in-degrees", [space.text(each) for each in found]


def verify(
    folder: Folder,
    device: Annotated[
        str | None, typer.Option("--device", help="[default: every device searched for]")
    ] = None,
    also: Annotated[
        list[str] | None,
        typer.Option("--also", help="Further devices [default: the alike of the other runtimes]."),
    ] = None,
    latency: Annotated[
        list[Path] | None,
        typer.Option(
            "--latency",
            help="Latency models, each for its own device [default: the newest in ELAT_HOME].",
        ),
    ] = None,
    store: options.Store = None,
    protocol: options.Protocol = "standard",
    seed: options.Seed = 0,
    json: options.Json = False,
) -> None:
    """Measure the derived network, repair until the measured bound holds, write a certificate."""
    from ..flows.verify import VerifyOrder, verify_run

    order = VerifyOrder(
        folder=folder,
        device=device,
        also=None if also is None else tuple(also),
        latency=tuple(latency or ()),
        store=store,
        protocol=protocol,
        seed=seed,
    )
    certificate = draw_verify(verify_run(order), f"verify {folder.name}")
    if json:
        print_json({"out": str(folder), **certificate.to_json()})
        return
    show_certificate(certificate)


def draw_verify(steps: Iterator[Verified], title: str) -> Certificate:
    """Draw the measuring of a verification; returns its certificate."""
    from ..search.result import Certificate

    with progress() as bars:
        task = bars.add_task(title, total=None)
        for step in steps:
            if isinstance(step, Certificate):
                return step
            bars.update(task, completed=step.done, total=step.total)
    raise AssertionError("a verification ends with its certificate")


def show_certificate(certificate: Certificate) -> None:
    """Print what was promised and what was measured."""
    bounds = {bound.device: bound.bound_ms for bound in certificate.bounds}
    rows = []
    for found in certificate.measured:
        bound_ms = bounds.get(found.device)
        rows.append(
            (
                found.device,
                f"{found.latency_ms:.4f}",
                f"{found.low_ms:.4f} to {found.high_ms:.4f}",
                f"{certificate.predicted_ms[found.device]:.4f}"
                if found.device in certificate.predicted_ms
                else "-",
                _upper(certificate, found.device),
                "-" if bound_ms is None else f"{bound_ms:.4f}",
                "-" if bound_ms is None else f"{found.latency_ms / bound_ms:.3f}",
                " ".join(found.flags),
            )
        )
    heads = (
        "device", "measured ms", "95 % interval", "predicted ms", "upper limit ms", "bound ms",
        "of bound", "flags",
    )  # fmt: skip
    print_table("", heads, rows, right=(1, 2, 3, 4, 5, 6))
    for device, reason in certificate.unsure.items():
        say(f"no upper limit of a picked network on {device}: {reason}")
    if certificate.note:
        say(f"much of the bound is unused: {certificate.note}")
    if certificate.is_met is not None:
        word = "holds" if certificate.is_met else "DOES NOT HOLD"
        count = len({architecture for architecture, _ in certificate.tried})
        say(f"the bound {word} as measured, after {count} networks measured")


def _upper(certificate: Certificate, device: str) -> str:
    """The upper limit of the prediction on `device`, and whether the measured latency kept it."""
    if (upper := certificate.upper.get(device)) is None:
        return "-"
    word = "kept" if certificate.is_below(device) else "passed"
    return f"{upper.limit_ms:.4f} ({upper.level:.0%}, {word})"


def train(
    folder: Folder,
    data: options.Data = "digits",
    seeds: Annotated[
        int, typer.Option("--seeds", min=1, help="How many trainings, for the spread.")
    ] = 1,
    seed: options.Seed = 0,
    config: options.Config = None,
    set_: options.Set = None,
    tensorboard: Annotated[
        bool, typer.Option("--tensorboard", help="Log every training under FOLDER/tensorboard.")
    ] = False,
    json: options.Json = False,
) -> None:
    """Train the verified network, and one of equal MACs, from scratch; test each once."""
    from ..flows.train import TrainOrder, train_run
    from ..search.distributed import open_world

    order = TrainOrder(folder, data, seeds, seed, config, tuple(set_ or ()), tensorboard)
    with open_world() as world:
        steps = train_run(order, world)
        if world.rank != 0:
            for _ in steps:
                pass  # process 0 draws
            return
        record = draw_training(steps, f"train {folder.name}")
    if json:
        print_json({"out": str(folder), **record.to_json()})
        return
    rows = []
    for name, trained in (("verified", record.network), ("MACs-matched", record.macs_matched)):
        if trained is not None:
            mean = sum(trained.test_accuracy) / len(trained.test_accuracy)
            rows.append((name, f"{mean:.2%}", f"{trained.macs / 1e6:.2f} M", trained.params))
    print_table("", ("network", "test accuracy", "MACs", "parameters"), rows, right=(1, 2, 3))


def draw_training(steps: Iterator[TrainingStep | TrainingRecord], title: str) -> TrainingRecord:
    """Draw the course of training; returns its record."""
    from ..search.result import TrainingRecord

    with progress() as bars:
        task = bars.add_task(title, total=None)
        for step in steps:
            if isinstance(step, TrainingRecord):
                return step
            bars.update(task, completed=step.step, total=step.total)
    raise AssertionError("training ends with its record")
