"""`elat devices`: cards listed, machines that are known, cards written, programs fetched."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import typer

from . import options
from .console import print_json, print_table, say

if TYPE_CHECKING:
    from ..devices.card_making import Way
    from ..flows.adding import Added

Card = Annotated[str, typer.Argument(help="A device card's name, or its YAML file.")]


def register(app: typer.Typer) -> None:
    """Add this group's verbs to `app`."""
    group = typer.Typer(invoke_without_command=True, rich_markup_mode=None)
    group.callback()(devices)
    for verb in (known, add, fetch):
        group.command(verb.__name__)(verb)
    app.add_typer(group, name="devices")


def devices(context: typer.Context, json: options.Json = False) -> None:
    """List the known devices, and what each unavailable one lacks; sub-commands write cards."""
    if context.invoked_subcommand is not None:
        return
    from ..devices.device import card_paths, find_device
    from ..flows.inventory import describe_device

    found = [describe_device(find_device(name)) for name in card_paths()]
    if json:
        print_json(found)
        return
    rows = [
        (d["id"], d["runtime"], d["precision"], d["threads"], d["reason"] or _state(d))
        for d in found
    ]
    print_table("", ("device", "runtime", "precision", "threads", "state"), rows, right=(3,))


def _state(device: dict[str, Any]) -> str:
    """What is said of a device without a reason against it; boards and phones are not asked."""
    if (aside := device["set_aside"]) is not None:
        return f"set aside since {aside['since_utc']}, because {aside['reason']}"
    ways = {"ssh": "over ssh: ask elat doctor", "android_adb": "over adb: ask elat doctor"}
    return ways.get(device["kind"], "available")


def known(
    machine: Annotated[
        str | None, typer.Argument(metavar="[MACHINE]", help="One of them, with all its facts.")
    ] = None,
    json: options.Json = False,
) -> None:
    """List machines that people ask for, with what is published of them; nobody needs one."""
    from ..devices.catalogue import known_machine, known_machines
    from ..flows.inventory import describe_machine

    machines = known_machines().values() if machine is None else [known_machine(machine)]
    found = [describe_machine(each) for each in machines]
    if json:
        print_json(found)
    elif machine is None:
        rows = [
            (m["id"], m["name"], m["chip"] or "-", ", ".join(m["sections"]), m["verified"])
            for m in found
        ]
        print_table("", ("machine", "name", "chip", "measured with", "verified"), rows)
    else:
        (only,) = found
        facts = [(f["name"], _plain(f["value"]), f["source"], f["url"]) for f in only["facts"]]
        title = f"{only['name']}{', ' if only['chip'] else ''}{only['chip']}"
        print_table(title, ("fact", "value", "source", "address"), facts)
        if only["note"]:
            say(only["note"])


def _plain(value: object) -> str:
    return f"{value:g}" if isinstance(value, float) else str(value)


def add(
    adb: Annotated[
        str | None,
        typer.Option(
            "--adb",
            metavar="SERIAL",
            help="A phone, as adb devices lists it [default: the only one that is attached].",
        ),
    ] = None,
    ssh: Annotated[
        str | None,
        typer.Option(
            "--ssh", metavar="USER@HOST[:PORT]", help="A board or server; a name of ~/.ssh/config."
        ),
    ] = None,
    local: Annotated[bool, typer.Option("--local", help="This machine.")] = False,
    id_: Annotated[
        str | None, typer.Option("--id", help="The card's name [default: after the machine].")
    ] = None,
    known_as: Annotated[
        str | None,
        typer.Option(
            "--known",
            metavar="MACHINE",
            help="Which of elat devices known it is [default: recognised].",
        ),
    ] = None,
    runtime: Annotated[
        str | None,
        typer.Option(
            "--runtime",
            help="benchmark-model, onnxruntime, tflite, tensorrt, tensorrt-fp16 or trtexec "
            "[default: the first that the machine has].",
        ),
    ] = None,
    program: Annotated[
        str | None,
        typer.Option(
            "--program",
            metavar="FILE|URL",
            help="TFLite's benchmark_model, built for the machine's processor.",
        ),
    ] = None,
    sha256: Annotated[
        str | None, typer.Option("--sha256", help="What the program has to be.")
    ] = None,
    program_version: Annotated[
        str, typer.Option("--program-version", help="What you call the program, such as 2.17.")
    ] = "",
    python: Annotated[
        str,
        typer.Option(
            "--python", help="With --ssh: the Python there, 3.11 or later; none for trtexec alone."
        ),
    ] = "python3",
    identity: Annotated[
        str | None,
        typer.Option("--identity", metavar="FILE", help="With --ssh: the private key, here."),
    ] = None,
    ssh_config: Annotated[
        Path | None,
        typer.Option("--ssh-config", help="With --ssh: a configuration in place of your own."),
    ] = None,
    folder: Annotated[
        str | None,
        typer.Option(
            "--folder",
            help="The work folder there [default: .cache/elat, or /data/local/tmp/elat].",
        ),
    ] = None,
    replace: Annotated[
        bool, typer.Option("--replace", help="Write a card of that name anew.")
    ] = False,
    json: options.Json = False,
) -> None:
    """Write a card by asking a phone, a board or this machine what it is."""
    from ..core.errors import ConfigError
    from ..flows import adding

    if sum((adb is not None, ssh is not None, local)) > 1:
        raise ConfigError("Name one way to the machine: --adb SERIAL, --ssh USER@HOST or --local.")
    section = adding.program_section(program, sha256, program_version)
    asked: str | None = None
    way: Way
    if ssh is not None:
        way = adding.ssh_way(
            ssh,
            python=python,
            identity=identity,
            config=ssh_config,
            folder=folder,
            program=section,
        )
        asked = python
    elif local:
        way, asked = adding.local_way(section), adding.own_python()
    else:
        way = adding.phone_way(adb, section, folder)
    wish = adding.Wish(way, id_, known_as, runtime, asked, replace)
    _tell(adding.add_device(wish), json)


def _tell(added: Added, json: bool) -> None:
    """The card's path on standard output; what it is, and what comes next, for people."""
    id_ = added.device.id
    if json:
        print_json(
            {
                "id": id_,
                "path": str(added.path),
                "known": [machine.id for machine in added.known],
                "runtime": added.device.runtime["name"],
                "lacks": list(added.lacks),
            }
        )
        return
    names = ", ".join(machine.name for machine in added.known)
    say(f"recognised: {names}" if names else "not in the catalogue: the card has no facts")
    for machine in added.known:
        if machine.note:
            say(machine.note)
    for sentence in added.lacks:
        say(f"before it can be measured: {sentence}")
    print(added.path)
    if added.device.program is not None and added.device.program.url is not None:
        say(f"next: elat devices fetch {id_}")
    say(f"next: elat doctor {id_}")
    say(f"then: elat measure --device {id_} --space proxyless-tiny --protocol screen")


def fetch(device: Card, json: options.Json = False) -> None:
    """Fetch the program that a card names by address; no other command fetches one."""
    from ..core.errors import ConfigError
    from ..devices.device import find_device
    from ..devices.fetching import fetch as fetch_to
    from ..devices.programs import place_of, program_of
    from .console import progress

    found = find_device(device)
    program = program_of(found)
    if program.url is None:
        raise ConfigError(
            f"The card of {found.id} names a file, {program.path}: there is nothing to fetch."
        )
    target = place_of(found.id, program)
    say(f"fetching {program.url}\nwhich has to have sha256 {program.sha256}\nto {target}")
    with progress() as bars:
        task = bars.add_task("bytes", total=None)
        for so_far, whole in fetch_to(program, target):
            bars.update(task, completed=so_far, total=whole)
    if json:
        print_json({"id": found.id, "path": str(target), "sha256": program.sha256})
    else:
        print(target)
