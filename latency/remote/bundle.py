"""Artefacts on their way: named by their content, many in one file."""

from __future__ import annotations

import secrets
import shutil
import zipfile
from collections.abc import Iterable, Mapping
from pathlib import Path

from ...core.artefact import canonical_json, read_json, sha256_of
from ...core.errors import ArtefactError
from ..artefacts import ARRAYS, DESCRIPTION, read_artefact

FOLDER = "artefacts"
"""Below the work folder: an artefact a folder, called by its content."""

_NOT_CONTENT = "build_ms"


def content_key(folder: Path) -> str:
    """The name of the artefact in `folder`: 32 digits that follow from its files.

    Raises:
        ArtefactError: There is none.
    """
    data = read_json(folder / DESCRIPTION)
    if not isinstance(data, dict) or not {"sha256", "io_sha256"} <= data.keys():
        raise ArtefactError(f"{folder} holds no whole artefact.")
    content = {name: value for name, value in data.items() if name != _NOT_CONTENT}
    return sha256_of(canonical_json(content))[:32]


def pack(folders: Mapping[str, Path], target: Path) -> None:
    """Write the artefacts `folders`, by content key, into the one file `target`."""
    with zipfile.ZipFile(target, "w", zipfile.ZIP_DEFLATED, compresslevel=1) as archive:
        for key, folder in folders.items():
            for name in (read_artefact(folder).model_path.name, ARRAYS, DESCRIPTION):
                archive.write(folder / name, f"{key}/{name}")


def missing(keys: Iterable[str], work: Path) -> list[str]:
    """Those of `keys` that are not in the work folder `work`."""
    return [key for key in keys if not (work / FOLDER / key / DESCRIPTION).is_file()]


def unpack(bundle: Path, work: Path) -> None:
    """Put the artefacts in `bundle` into the work folder `work`, each whole or not at all.

    Raises:
        ArtefactError: One of them is not what its name says.
        OSError: The work folder is full.
    """
    new = work / FOLDER / f".new-{secrets.token_hex(8)}"
    new.mkdir(parents=True)
    try:
        with zipfile.ZipFile(bundle) as archive:
            archive.extractall(new)
        for folder in sorted(new.iterdir()):
            read_artefact(folder)
            if content_key(folder) != folder.name:
                raise ArtefactError(f"The artefact {folder.name} arrived as another one.")
            target = work / FOLDER / folder.name
            if not target.exists():
                folder.rename(target)
    except zipfile.BadZipFile as error:
        raise ArtefactError(f"{bundle} was cut short on its way ({error}).") from error
    finally:
        shutil.rmtree(new, ignore_errors=True)
