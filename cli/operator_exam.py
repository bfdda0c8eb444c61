"""`elat exam operators`: models on generated operators that they have not seen."""

from __future__ import annotations

from typing import TYPE_CHECKING, Annotated

import typer

from . import options
from .console import print_json, print_table, progress, say

if TYPE_CHECKING:
    from ..flows.operator_exam import OperatorExam


def operators(
    device: options.Device,
    store: options.Store = None,
    models: Annotated[
        str, typer.Option("--models", help="Which, with commas [default: all that learn].")
    ] = "",
    train: Annotated[
        int, typer.Option("--train", min=8, help="Operators to learn from; as many are unseen.")
    ] = 300,
    kinds: options.Kinds = "",
    seeds: Annotated[int, typer.Option("--seeds", min=1, help="Random splits.")] = 5,
    json: options.Json = False,
) -> None:
    """Judge latency models on measured operators that they have not seen, beside the noise.

    It splits all operators of the store, or those of some kinds with --kinds; elat measure
    --device D --generate 600 makes some.
    """
    from ..devices.device import find_device
    from ..flows.fitting import operators_table
    from ..flows.measuring import default_store
    from ..flows.operator_exam import MODELS, conclude, examine, of_kinds
    from ..latency.store import open_store

    names = options.names_in(models) or MODELS
    with open_store(store or default_store(), create=False) as opened:
        table = operators_table(opened, find_device(device))
    if kinds:
        table = of_kinds(table, options.names_in(kinds))
    trials = []
    with progress() as bars:
        task = bars.add_task("models", total=len(names) * seeds)
        for trial in examine(table, train=train, seeds=seeds, models=names):
            trials.append(trial)
            bars.update(task, advance=1, description=f"{trial.model}, split {trial.seed}")
    exam = conclude(table, train, trials)
    if json:
        print_json(exam.to_json())
    else:
        _print(exam, seeds)


def _print(exam: OperatorExam, seeds: int) -> None:
    rows = [
        (
            s.model,
            f"{s.within_5:.1%} ± {100 * s.within_5_std:.1f}",
            f"{s.within_10:.1%} ± {100 * s.within_10_std:.1f}",
            f"{s.median:.1%}",
            f"{s.mape:.1%}",
            f"{s.covered:.0%}",
            f"{s.unanswered:.0f}",
            f"{s.fit_s:.1f} s",
        )
        for s in exam.standings
    ]
    if exam.ceiling is not None:
        for name, share in (
            ("ceiling: true latency", exam.ceiling.perfect),
            ("measured again", exam.ceiling.repeated),
        ):
            shares = (f"{share.within_5:.1%}", f"{share.within_10:.1%}")
            rows.append((name, *shares, "", f"{share.mape:.1%}", "", "", ""))
    print_table(
        f"{exam.train} operators known, {exam.test} unseen, {seeds} splits ({exam.origin})",
        (
            "model", "within 5 %", "within 10 %", "median error", "mean error", "in 90 %",
            "unanswered", "fitted in",
        ),
        rows,
        right=range(1, 8),
    )  # fmt: skip
    say(exam.condition)
