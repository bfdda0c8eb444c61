"""Folders that are on a board for as long as something there works with them."""

from __future__ import annotations

import re
import shutil
import zipfile
from collections.abc import Sequence
from pathlib import Path

from ...core.errors import ArtefactError

FOLDER = "lent"
"""Below the work folder: a loan a folder, and in it the lent ones by number."""

_BUNDLE = re.compile(r"lent-([0-9a-f]{16})\.zip")


def bundle_name(token: str) -> str:
    """The name under which the loan `token`, of 16 digits, is brought."""
    return f"lent-{token}.zip"


def pack(folders: Sequence[Path], target: Path) -> None:
    """Write the files of `folders`, which have none below them, into the one file `target`."""
    with zipfile.ZipFile(target, "w", zipfile.ZIP_DEFLATED, compresslevel=1) as archive:
        for number, folder in enumerate(folders):
            for file in sorted(folder.iterdir()):
                archive.write(file, f"{number}/{file.name}")


def unpack(bundle: Path, work: Path) -> None:
    """Put the loan in `bundle` into the work folder `work`, whole or not at all.

    Raises:
        ArtefactError: It was cut short, or is none.
        OSError: The work folder is full.
    """
    target = work / FOLDER / _token(bundle)
    target.mkdir(parents=True)
    try:
        with zipfile.ZipFile(bundle) as archive:
            archive.extractall(target)
    except (zipfile.BadZipFile, OSError) as error:
        shutil.rmtree(target, ignore_errors=True)
        if isinstance(error, OSError):
            raise
        raise ArtefactError(f"{bundle} was cut short on its way ({error}).") from error


def drop(bundle: Path, work: Path) -> None:
    """Delete the loan that was brought as `bundle`, if it is there.

    Raises:
        ArtefactError: It is none.
    """
    shutil.rmtree(work / FOLDER / _token(bundle), ignore_errors=True)


def _token(bundle: Path) -> str:
    match = _BUNDLE.fullmatch(str(bundle))
    if match is None:
        raise ArtefactError(f"{bundle} is the name of no loan.")
    return match[1]
