"""`elat devices add`: a card for a machine, by asking it and looking it up in the catalogue."""

from __future__ import annotations

import re
import sys
from collections.abc import Sequence
from contextlib import ExitStack
from dataclasses import dataclass
from pathlib import Path

from ..core.artefact import sha256_of
from ..core.errors import ConfigError, DeviceMissingError
from ..devices.asking import Answers, ask_machine
from ..devices.card_file import new_card_path, write_card
from ..devices.card_making import Way, card_for, lacks, section_of, usual_id
from ..devices.catalogue import KnownMachine, known_machine, known_machines
from ..devices.device import Device, DeviceKind, device_of
from ..devices.lock import device_lock
from ..devices.reach import transport_to, way_to
from ..devices.recognising import recognise
from ..devices.transports.adb import attached_phones
from ..devices.transports.link import LinkState

_ADDRESS = re.compile(r"(?:(?P<user>[^@]+)@)?(?P<host>[^@:]+)(?::(?P<port>[0-9]{1,5}))?")


@dataclass(frozen=True)
class Wish:
    """What the user asks for.

    Attributes:
        way: How the machine is reached.
        id: The card's name; None for one after the machine.
        known: The machine of the catalogue that it is; None to recognise it.
        section: What it is to be measured with, by name; None for the first that can be.
        python: The Python there to ask; None where none is needed.
        replaces: Whether a card of that name is written anew.
    """

    way: Way
    id: str | None = None
    known: str | None = None
    section: str | None = None
    python: str | None = None
    replaces: bool = False


@dataclass(frozen=True)
class Added:
    """A card that was written.

    Attributes:
        known: What it was recognised as.
        lacks: What keeps it from measuring, a sentence each.
    """

    path: Path
    device: Device
    known: tuple[KnownMachine, ...]
    lacks: tuple[str, ...]


def phone_way(
    serial: str | None, program: dict[str, str] | None, folder: str | None = None
) -> Way:
    """The way to the phone `serial`, or to the only one that is attached; `folder` is there.

    Raises:
        DeviceMissingError: There is none, or there are several and none was named.
        UnavailableError: There is no adb here.
    """
    if serial is None:
        serial = _only_phone()
    section = {"serial": serial} | ({} if folder is None else {"folder": folder})
    card = {"kind": str(DeviceKind.ANDROID_ADB), "transport": section}
    return Way(card, f"phone {serial}", program)


def _only_phone() -> str:
    attached = attached_phones()
    ready = [serial for serial, state in attached.items() if state is LinkState.DEVICE]
    if len(ready) == 1:
        return ready[0]
    if not attached:
        raise DeviceMissingError(
            "No phone is attached. Plug one in and allow debugging on its screen; or name another "
            "way to a machine: --ssh USER@HOST, or --local."
        )
    listed = ", ".join(f"{serial} ({state})" for serial, state in attached.items())
    found = "None of the phones" if not ready else f"{len(ready)} of the phones"
    raise DeviceMissingError(
        f"{found} can be asked, of these: {listed}. Name one: elat devices add --adb SERIAL"
    )


def ssh_way(
    address: str,
    *,
    python: str,
    identity: str | None = None,
    config: Path | None = None,
    folder: str | None = None,
    program: dict[str, str] | None = None,
) -> Way:
    """The way to the machine at `address`, which is `HOST`, `USER@HOST` or `USER@HOST:PORT`.

    Raises:
        ConfigError: It is nothing of these.
    """
    match = _ADDRESS.fullmatch(address)
    if match is None:
        raise ConfigError(f"{address!r} is no address such as ada@raspberrypi.local:22.")
    section: dict[str, object] = {"host": match["host"], "python": python}
    if match["user"]:
        section["user"] = match["user"]
    if match["port"]:
        section["port"] = int(match["port"])
    if identity is not None:
        section["identity"] = str(Path(identity).expanduser().absolute())
    if config is not None:
        section["config"] = str(config.expanduser().absolute())
    if folder is not None:
        section["folder"] = folder
    return Way({"kind": str(DeviceKind.SSH), "ssh": section}, match["host"], program)


def local_way(program: dict[str, str] | None) -> Way:
    """The way to this machine."""
    return Way({"kind": str(DeviceKind.LOCAL_CPU)}, "this machine", program)


def program_section(named: str | None, sha256: str | None, version: str) -> dict[str, str] | None:
    """The card's section for the program `named`, a file or an address; None where it is None.

    The hash of a file is kept, so that another program cannot take its place unseen.

    Raises:
        ConfigError: There is no such file, or its hash is another one; an address has no hash.
    """
    if named is None:
        return None
    more = {"version": version} if version else {}
    if named.startswith(("http://", "https://")):
        if sha256 is None:
            raise ConfigError("--program with an address needs --sha256: what it has to be.")
        return {"url": named, "sha256": sha256, **more}
    path = Path(named).expanduser().absolute()
    if not path.is_file():
        raise ConfigError(f"--program {named}: {path} is no file of this machine.")
    found = sha256_of(path.read_bytes())
    if sha256 not in (None, found):
        raise ConfigError(f"--program {named} has sha256 {found}, and --sha256 says {sha256}.")
    return {"path": str(path), "sha256": found, **more}


def add_device(wish: Wish) -> Added:
    """Ask the machine, and write its card whole or not at all.

    Raises:
        ConfigError: There is a card of that name already, or something is wrong with the wish.
        UnavailableError: The machine does not answer.
    """
    if wish.id is not None:
        new_card_path(wish.id, replaces=wish.replaces)
    answers = _asked(wish)
    known = _recognised(wish.known, answers)
    name, section = section_of(wish.way, known, answers, wish.section)
    id_ = wish.id or usual_id(wish.way, known, answers, section)
    path = new_card_path(id_, replaces=wish.replaces)
    card = card_for(id_, wish.way, known, answers, section)
    device = device_of(card, "the new card")
    write_card(path, card)
    return Added(path, device, tuple(known), tuple(lacks(name, section, wish.way, answers)))


def _asked(wish: Wish) -> Answers:
    """What the machine tells, while nothing else of this machine speaks to it."""
    probe = device_of(
        {"schema": 1, "id": wish.id or "new", **wish.way.card, "runtime": {}}, "the new card"
    )
    with ExitStack() as held:
        if not probe.is_here:
            held.enter_context(device_lock(way_to(probe)))
        transport = transport_to(probe)
        held.callback(transport.close)
        return ask_machine(transport, wish.python if wish.way.has_python else None)


def _recognised(named: str | None, answers: Answers) -> Sequence[KnownMachine]:
    """The machine that the user named, if the answers do not say another one; or what they say.

    Raises:
        ConfigError: They say another one.
        UnknownNameError: There is no machine of that name.
    """
    found = recognise(answers, known_machines().values())
    if named is None:
        return found
    wanted = known_machine(named)
    others = [m for m in found if bool(m.recognised.gpu) == bool(wanted.recognised.gpu)]
    if others and others[0] != wanted:
        raise ConfigError(
            f"--known {named}: the machine says that it is {others[0].name}; leave --known out, "
            f"or say --known {others[0].id}."
        )
    return [*(m for m in found if m not in others), wanted]


def own_python() -> str:
    """The Python that runs here, for questions to this machine."""
    return sys.executable
