"""Options that several verbs share, named the same everywhere."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import typer

Device = Annotated[str, typer.Option("--device", help="A device card's name, or its YAML file.")]
Devices = Annotated[
    list[str],
    typer.Option("--device", help="A device card's name, or its YAML file; several with commas."),
]
Space = Annotated[str, typer.Option("--space", help="A search space's name, or its YAML file.")]
Store = Annotated[
    str | None,
    typer.Option(
        "--store",
        help="The measurement store: a file, or postgresql://USER@HOST/DATABASE "
        "[default: ELAT_HOME/measurements.db].",
    ),
]
Protocol = Annotated[
    str, typer.Option("--protocol", help="How carefully: screen, standard or reference.")
]
Tune = Annotated[
    bool,
    typer.Option(
        "--tune", help="Hold clocks still meanwhile and put them back; see docs/doctor.md."
    ),
]
Energy = Annotated[
    bool, typer.Option("--energy", help="Read the energy of new launches where there is a meter.")
]
Seed = Annotated[int, typer.Option("--seed", min=0, help="Fixes every random choice.")]
Kinds = Annotated[
    str,
    typer.Option(
        "--kinds", help="Only operators of these kinds: conv,mbconv [default: of every kind]."
    ),
]
Json = Annotated[bool, typer.Option("--json", help="Print one JSON document for machines.")]
Latency = Annotated[
    Path | None,
    typer.Option(
        "--latency",
        help="A latency model's folder, or a table file [default: the newest in ELAT_HOME].",
    ),
]
Config = Annotated[
    Path | None, typer.Option("--config", help="YAML settings; configs/ holds ready ones.")
]
Set = Annotated[
    list[str] | None, typer.Option("--set", help="Override one setting: key=value; repeatable.")
]
Workers = Annotated[
    int | None,
    typer.Option("--workers", min=1, help="Processes side by side [default: one a core]."),
]
Scheduler = Annotated[
    str | None,
    typer.Option("--scheduler", help="A running Dask scheduler to use: tcp://host:port."),
]
Data = Annotated[
    str,
    typer.Option(
        "--data", help="digits, fashion-mnist, cifar10:FOLDER, imagefolder:FOLDER or generated."
    ),
]
TransferFrom = Annotated[
    str,
    typer.Option(
        "--transfer-from", help="Known devices to start from, with commas: their newest models."
    ),
]
Samples = Annotated[
    int | None,
    typer.Option(
        "--samples", min=3, help="With --transfer-from: so many operators that stand for all."
    ),
]
Junit = Annotated[
    Path | None, typer.Option("--junit", help="Write the verdicts as JUnit XML, for a CI.")
]
Markdown = Annotated[
    Path | None, typer.Option("--markdown", help="Write the verdicts as a Markdown table.")
]


def names_in(text: str) -> tuple[str, ...]:
    """The names in `text`, which has commas between them."""
    return tuple(name.strip() for name in text.split(",") if name.strip())
