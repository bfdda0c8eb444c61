"""The program of a vendor that a card names, as a file of this machine."""

from __future__ import annotations

import hashlib
from pathlib import Path

from ..core.artefact import elat_home
from ..core.errors import ArtefactError, ConfigError, UnavailableError
from .device import Device, Program


def program_file(device: Device) -> Path:
    """The file of the program that the card of `device` names; nothing is fetched.

    Raises:
        ConfigError: The card names no program, or a path that is no file.
        ArtefactError: The file is another one than `sha256` says.
        UnavailableError: It has not been fetched yet, or cannot be read.
    """
    program = program_of(device)
    path = place_of(device.id, program)
    if program.path is None and not path.is_file():
        raise UnavailableError(
            f"The program of {device.id} has not been fetched yet; fetch it with: elat devices "
            f"fetch {device.id}"
        )
    if not path.is_file():
        raise ConfigError(
            f"The card of {device.id} names the program {path}, which is no file of this machine; "
            "put it there, or repair program.path in the card."
        )
    if program.sha256 is not None and (found := _sha256_of_file(path)) != program.sha256:
        repair = (
            f"fetch it anew with: elat devices fetch {device.id}"
            if program.path is None
            else "put the right file there, or repair program.sha256 in the card"
        )
        raise ArtefactError(
            f"The program of {device.id}, {path}, has sha256 {found}, and the card wants "
            f"{program.sha256}; {repair}."
        )
    return path


def program_sha256(device: Device) -> str:
    """The hash of the file that the card of `device` names.

    Raises:
        ConfigError: As `program_file`.
        ArtefactError: As `program_file`.
        UnavailableError: It has not been fetched yet, or cannot be read.
    """
    return _sha256_of_file(program_file(device))


def program_of(device: Device) -> Program:
    """The section program of the card of `device`.

    Raises:
        ConfigError: It has none.
    """
    if device.program is None:
        raise ConfigError(
            f"The card of {device.id} names no program; add a section to it, such as program: "
            "{path: ~/benchmark_model}, or one with url and sha256."
        )
    return device.program


def place_of(device: str, program: Program) -> Path:
    """Where the file of `program` is on this machine, or will be once it is fetched.

    Raises:
        ConfigError: Its path begins with `~`, and no home folder is known.
    """
    if program.path is None:
        return elat_home() / "programs" / str(program.sha256)
    try:
        return program.path.expanduser()
    except RuntimeError:
        raise ConfigError(
            f"The card of {device} names the program {program.path}, and that home folder is not "
            "known: write the path in full."
        ) from None


def _sha256_of_file(path: Path) -> str:
    try:
        with path.open("rb") as file:
            return hashlib.file_digest(file, "sha256").hexdigest()
    except OSError as error:
        raise UnavailableError(
            f"{path} cannot be read ({error.strerror}); make it readable with: chmod u+r {path}"
        ) from None
