"""The latency tables that once-for-all published for a phone (Cai et al. 2020, appendix C)."""

from __future__ import annotations

from pathlib import Path

from ...core.errors import ArtefactError, ElatError, UnknownNameError
from ...latency.condition import Condition, Method, Precision
from ...latency.imports.ofa_table import OfaTable
from ...latency.imports.tables import imported_table
from ...latency.table import LatencyTable
from .locate import Corpus, corpus_path

OFA_TABLES = {
    resolution: Corpus(
        title=f"The Note10 latency table of once-for-all at {resolution} (Cai et al. 2020)",
        file=f"ofa_note10/{resolution}_lookup_table.yaml",
        source="the GitHub project han-cai/files",
        licence="none stated",
        sha256=sha256,
    )
    for resolution, sha256 in (
        (192, "0ff5ca0649e56ad34a42d6a8a6f20adb5121c8d12d135299397b310472db79e2"),
        (224, "c13a9bcb3f4becae844bce4897129c4e42975984c1029cbd5acb48c970136530"),
    )
}
"""By the resolution of the images."""
CONDITION = Condition(
    device="samsung-note10",
    runtime="tflite",
    runtime_version="unknown",
    precision=Precision.FP32,
    batch=1,
    threads=1,
    method=Method.SAMPLED,
    options=(),
)
"""What is known of it: a Note10, batches of one, averages over whole networks."""


def read_ofa_table(resolution: int, path: Path | None = None) -> LatencyTable:
    """The table for images of `resolution` in the YAML file `path`, by default the published one.

    Raises:
        UnknownNameError: There is none for that resolution.
        ArtefactError: The file is missing, cut short, or has a key that names no operator.
    """
    if resolution not in OFA_TABLES:
        known = map(str, OFA_TABLES)
        raise UnknownNameError("resolution of a table", str(resolution), known)
    corpus = OFA_TABLES[resolution]
    path = corpus_path(corpus) if path is None else path
    try:
        return imported_table(OfaTable().read(path.read_bytes()), CONDITION)
    except FileNotFoundError:
        raise ArtefactError(f"{path} does not exist.") from None
    except (ElatError, OSError) as error:
        raise ArtefactError(f"{path}: {error}; get it again from {corpus.source}.") from error
