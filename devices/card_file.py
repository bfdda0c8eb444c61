"""Cards as files that people read: a comment for each part, values by a YAML library alone."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path
from typing import Any

import yaml

from ..core.artefact import elat_home, write_text
from ..core.errors import ConfigError
from .device import card_paths, device_of

_COMMENTS = {
    "schema": "A card of elat, as docs/cards.md explains it. All of it may be changed by hand.",
    "id": "The name for --device, and in every measurement: keep it once something is measured.",
    "kind": "How elat reaches it: android_adb, ssh, local_cpu or local_gpu.",
    "description": "For people and lists.",
    "runtime": (
        "What is measured: the runtime, the number format (fp32, fp16, int8) and the threads; how"
        "\n# operators are isolated (docs/methods.md); and the runtime's own options."
    ),
    "cpu": "CPUs that are measured on: the fastest ones. Without this the scheduler chooses.",
    "gpu": "The GPU that is measured on, as nvidia-smi counts.",
    "gates": "What elat doctor warns of: degrees Celsius, per cent, load. Leave out what may be.",
    "transport": (
        "The serial number by which adb knows the phone (adb devices), and the work folder there."
    ),
    "ssh": (
        "What ssh is given: host, user, port, the private key here (identity); the Python there, "
        "3.11 or\n# later, and the work folder."
    ),
    "program": (
        "The program that measures there: a file here (path), or an address that elat devices "
        "fetch\n# fetches (url). elat refuses any other bytes than those of sha256."
    ),
    "machine": (
        "What the machine is. `told` is what it answered when it was asked; `facts` are copied "
        "from the\n# catalogue (elat devices known), each with its source. Nothing of it decides "
        "a measurement."
    ),
}


def new_card_path(id_: str, *, replaces: bool) -> Path:
    """Where a card of the name `id_` is to be written.

    Raises:
        ConfigError: There is a card of that name, and it is not to be replaced, or is bundled.
    """
    path = elat_home() / "devices" / f"{id_}.yaml"
    found = card_paths().get(id_)
    if found is not None and found != path:
        raise ConfigError(f"{id_} is the name of a card that comes with elat; give another --id.")
    if found is not None and not replaces:
        raise ConfigError(
            f"There is a card {id_} ({path}); give another name with --id, or --replace to write "
            "it anew."
        )
    return path


def card_text(card: Mapping[str, Any]) -> str:
    """The card as YAML, of ASCII alone, that reads back as `card`.

    Raises:
        ConfigError: It is no card.
    """
    device_of(card, "the new card")
    parts = []
    for name, value in card.items():
        style = None if isinstance(value, dict) else False
        dumped = yaml.safe_dump(
            {name: value}, sort_keys=False, default_flow_style=style, width=100
        )
        parts.append(f"# {_COMMENTS[name]}\n{dumped}")
    text = "\n".join(parts)
    if yaml.safe_load(text) != card:
        raise ConfigError(f"The card {card['id']} cannot be written so that it reads back.")
    return text


def write_card(path: Path, card: Mapping[str, Any]) -> None:
    """Write `card` to `path`, whole or not at all.

    Raises:
        ConfigError: It is no card.
    """
    write_text(path, card_text(card))
