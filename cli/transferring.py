"""`elat fit --transfer-from` and `elat measure --samples`: a new device from few measurements."""

from __future__ import annotations

from dataclasses import asdict
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from . import options
from .console import print_json, print_table, say

if TYPE_CHECKING:
    from ..flows.measuring import Campaign


def measure(
    run: Campaign, space: str, transfer_from: str, samples: int
) -> tuple[str, int, dict[str, int]]:
    """Measure the samples, with a bar: the space's name, operators known, what was done."""
    from ..flows.measuring import known_entries
    from ..flows.transferring import measure_samples, source_models
    from ..search.spaces import find_space
    from .campaigns import draw_measuring

    found = find_space(space)
    sources = source_models(options.names_in(transfer_from), found)
    counts = draw_measuring(
        measure_samples(run, found, sources, samples), f"{run.device.id} {samples} samples"
    )
    return found.name, len(known_entries(run, found)), counts


def fit(
    device: str,
    space: str | None,
    store: str | None,
    transfer_from: str,
    samples: int | None,
    out: Path | None,
    seed: int,
    json: bool,
) -> None:
    """Fit and print a model that starts from the devices `transfer_from`."""
    from ..devices.device import find_device
    from ..flows.measuring import Campaign, default_cache, default_store
    from ..flows.transferring import source_models, transfer
    from ..latency.protocol import find_protocol
    from ..latency.store import open_store
    from ..search.spaces import find_space

    found = None if space is None else find_space(space)
    sources = source_models(options.names_in(transfer_from), found)
    with open_store(store or default_store(), create=False) as opened:
        run = Campaign(find_device(device), find_protocol("screen"), opened, default_cache(), seed)
        made, model = transfer(run, found, sources, samples, out)
    held = made.held_out.overall
    if json:
        print_json(
            {
                "out": str(made.folder),
                "model": made.name,
                "sources": [str(source.folder) for source in sources],
                "samples": len(made.table),
                "chosen": asdict(model.chosen),
                "choices": [asdict(choice) for choice in model.choices],
                "held_out": made.held_out.to_json(),
            }
        )
        return
    rows = [
        (c.candidate, c.base, f"{c.amplitude:g}", f"{100 * c.error:.1f} %",
         "chosen" if c == model.chosen else "")
        for c in model.choices
    ]  # fmt: skip
    print_table(
        f"{len(made.table)} samples of {device}, each left out in turn",
        ("how it differs", "from", "by at most about", "mean error", ""),
        rows,
        right=(2, 3),
    )
    say(
        f"{model.chosen.candidate} from {model.chosen.base}: {held.mape:.1%} mean error, "
        f"{held.within_10:.0%} within 10 %; model written to {made.folder}"
    )


def transfer_exam(
    store: options.Store = None,
    devices: Annotated[
        str, typer.Option("--devices", help="Whose operators the store holds, with commas.")
    ] = "local-ort,local-tflite,local-ort-int8,local-tflite-int8",
    kinds: Annotated[
        str, typer.Option("--kinds", help="Of operators, with commas [default: of networks].")
    ] = "mbconv,conv,depth_conv,linear",
    model: Annotated[str, typer.Option("--model", help="Of the sources, and from scratch.")] = (
        "gaussian-process"
    ),
    seeds: Annotated[int, typer.Option("--seeds", min=1, help="Draws of samples.")] = 5,
    json: options.Json = False,
) -> None:
    """Leave one device out: its latencies from the others' and a few samples of its own."""
    from ..devices.device import find_device
    from ..flows.fitting import operators_table
    from ..flows.measuring import default_store
    from ..flows.transfer_exam import examine_transfer
    from ..latency.store import open_store

    with open_store(store or default_store(), create=False) as opened:
        tables = [operators_table(opened, find_device(name)) for name in options.names_in(devices)]
    exam = examine_transfer(tables, options.names_in(kinds), model=model, seeds=seeds)
    if json:
        print_json(asdict(exam))
        return
    print_table(
        f"{exam.operators} operators ({', '.join(exam.kinds)}) on {len(tables)} conditions "
        f"({exam.origin}); {exam.seeds} seeds, models {exam.model}",
        ("new device", "samples", "way", "median error", "within 10 %", "within 25 %"),
        [
            (
                row.device, str(row.samples), row.way,
                "refuses" if row.median is None else f"{100 * row.median:.1f} %",
                f"{100 * row.within_10:.0f} %", f"{100 * row.within_25:.0f} %",
            )
            for row in exam.rows
        ],
        right=(1, 3, 4, 5),
    )  # fmt: skip
