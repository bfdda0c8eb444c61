"""Where published files lie on this machine."""

from __future__ import annotations

import os
from dataclasses import dataclass
from pathlib import Path

from ...core.errors import ArtefactError

VARIABLE = "ELAT_DATA"


@dataclass(frozen=True)
class Corpus:
    """A published file.

    Attributes:
        title: What it holds, for messages.
        file: Its place in the folder of published files.
        source: The project that publishes it.
        licence: Under which terms; `none stated` where the project is silent.
        url: Where the file itself can be fetched, if anywhere; None where it was put into its
            present form by hand.
        sha256: Of the published file.
    """

    title: str
    file: str
    source: str
    licence: str
    url: str | None = None
    sha256: str | None = None


def corpus_folder() -> Path:
    """The folder that `ELAT_DATA` names, else `shared/data` beside the source checkout."""
    named = os.environ.get(VARIABLE)
    return Path(named) if named else Path(__file__).resolve().parents[3] / "shared" / "data"


def corpus_path(corpus: Corpus) -> Path:
    """The file of `corpus`.

    Raises:
        ArtefactError: It is not there; says where to get it and where to put it.
    """
    folder = corpus_folder()
    path = folder / corpus.file
    if not path.is_file():
        raise ArtefactError(
            f"{corpus.title}: there is no {corpus.file} in {folder}. Get it from {corpus.source} "
            f"(licence: {corpus.licence}), put it at FOLDER/{corpus.file} and name the folder: "
            f"export {VARIABLE}=FOLDER."
        )
    return path
