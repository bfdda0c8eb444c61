"""Which importer a file is for: told by its content, and by one importer alone."""

from __future__ import annotations

from ...core.errors import ArtefactError
from . import importers
from .base import Importer
from .refusals import refusal

MAX_BYTES = 256 << 20


def detect(data: bytes) -> tuple[str, Importer]:
    """The importer that recognises the file `data`, and its name.

    Raises:
        ArtefactError: None does, or several do, or it is larger than 256 MB; says what the file is
            where that is known.
    """
    if len(data) > MAX_BYTES:
        raise ArtefactError(
            f"it has {len(data) / 2**20:.0f} MB; at most {MAX_BYTES >> 20} MB are read. Measure "
            "fewer runs."
        )
    found = {
        name: importer for name in importers if (importer := importers[name]()).recognises(data)
    }
    if not found:
        if known := refusal(data):
            raise ArtefactError(f"this {known}")
        raise ArtefactError(
            f"no importer recognises its content. elat import reads: {', '.join(importers)}."
        )
    if len(found) > 1:
        raise ArtefactError(
            f"{' and '.join(found)} recognise it; say which it is: --as {next(iter(found))}."
        )
    return next(iter(found.items()))
