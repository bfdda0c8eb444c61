"""5,000 networks of FBNet's space on 27 devices and batch sizes (Lee et al. 2021, HELP)."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from ...core.errors import ArtefactError
from .device_columns import DeviceColumns, read_columns
from .locate import Corpus, corpus_path

FBNET = Corpus(
    title="Latencies of FBNet's space on 27 devices (Lee et al. 2021, HELP)",
    file="help/fbnet_latency_ms.parquet",
    source="the GitHub project HayeonLee/HELP, data/fbnet, converted from its pickles",
    licence="MIT",
    sha256="0dfdae5097ed2be106748f9a7e41b340cdbe1ac07ba6eacc01d284827d276e0b",
)
LAYERS = 22
CANDIDATES = 9
_SUM = (
    "its FBNet latencies are exact sums of a table of blocks (a linear fit leaves no error), so "
    "that nothing about whole networks was measured."
)
_REFUSALS = dict.fromkeys(("pixel3", "raspi4", "eyeriss", "fpga"), _SUM)


@dataclass(frozen=True, eq=False)
class FBNetCorpus:
    """Networks and their latencies.

    Attributes:
        choices: Candidate of each layer, `(networks, 22)`, 0 to 8.
        table: Latencies in that order; four columns are refused as test targets.
    """

    choices: NDArray[np.int8]
    table: DeviceColumns


def read_fbnet(path: Path | None = None) -> FBNetCorpus:
    """The corpus in the Parquet file `path`, by default in the folder of published files.

    Raises:
        ArtefactError: The file is missing, damaged or another one.
    """
    path = corpus_path(FBNET) if path is None else path
    texts, table = read_columns(FBNET, path, "op_idx", _REFUSALS)
    repair = f"get it again from {FBNET.source}"
    try:
        choices = np.array([text.split() for text in texts], np.int8)
    except ValueError as error:
        raise ArtefactError(f"{path}: choices are no numbers ({error}); {repair}.") from error
    if choices.shape[1:] != (LAYERS,) or choices.min() < 0 or choices.max() >= CANDIDATES:
        raise ArtefactError(f"{path}: a network has not {LAYERS} choices of 0 to 8; {repair}.")
    choices.setflags(write=False)
    return FBNetCorpus(choices, table)
