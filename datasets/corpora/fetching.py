"""Published corpora by name, and fetching those whose file can be had as it is."""

from __future__ import annotations

import logging
import urllib.error
import urllib.request
from collections.abc import Mapping
from pathlib import Path
from types import MappingProxyType

from ...core.artefact import sha256_of, write_bytes
from ...core.errors import ArtefactError, UnavailableError, UnknownNameError
from .fbnet import FBNET
from .haq_cycles import HAQ_CYCLES
from .locate import VARIABLE, Corpus, corpus_folder
from .nas_bench_201 import NAS_BENCH_201
from .nas_bench_macro import NAS_BENCH_MACRO
from .ofa_table import OFA_TABLES
from .pixel1_logs import PIXEL1_LOGS
from .proxyless_table import PROXYLESS_TABLE

logger = logging.getLogger(__name__)

CORPORA: Mapping[str, tuple[Corpus, ...]] = MappingProxyType(
    {
        "nas-bench-201": (NAS_BENCH_201,),
        "fbnet": (FBNET,),
        "nas-bench-macro": (NAS_BENCH_MACRO,),
        "proxyless-table": (PROXYLESS_TABLE,),
        "ofa-tables": tuple(OFA_TABLES.values()),
        "pixel1-logs": PIXEL1_LOGS,
        "haq-cycles": (HAQ_CYCLES,),
    }
)
"""Files of each corpus."""


def fetch_corpus(name: str, folder: Path | None = None) -> Path:
    """Fetch the files of the corpus `name` into `folder`, checked; whole ones there are kept.

    Args:
        name: One of `CORPORA`.
        folder: Of published files; by default the one that is read from.

    Raises:
        UnknownNameError: No such corpus.
        UnavailableError: A file has no address, or cannot be reached.
        ArtefactError: What came has another SHA-256 than published; it is not kept.
    """
    if name not in CORPORA:
        raise UnknownNameError("corpus", name, CORPORA)
    target = corpus_folder() if folder is None else folder
    for corpus in CORPORA[name]:
        path = target / corpus.file
        if not (path.is_file() and sha256_of(path.read_bytes()) == corpus.sha256):
            write_bytes(path, _fetched(corpus))
    return target


def _fetched(corpus: Corpus) -> bytes:
    by_hand = (
        f"Get it from {corpus.source}, put it at FOLDER/{corpus.file} and name the folder: export "
        f"{VARIABLE}=FOLDER."
    )
    if corpus.url is None:
        raise UnavailableError(f"{corpus.title} has no address to fetch it from. {by_hand}")
    logger.info("fetching %s", corpus.url)
    try:
        with urllib.request.urlopen(corpus.url, timeout=60) as response:
            data: bytes = response.read()
    except (urllib.error.URLError, OSError) as error:
        raise UnavailableError(f"{corpus.url} cannot be fetched ({error}). {by_hand}") from error
    found = sha256_of(data)
    if found != corpus.sha256:
        raise ArtefactError(
            f"{corpus.url} has SHA-256 {found}, expected {corpus.sha256}; it was not kept. "
            f"{by_hand}"
        )
    return data
