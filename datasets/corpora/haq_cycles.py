"""Cycles of MobileNetV2's layers by bits, of HAQ's simulator (Wang et al. 2019, section 3.4)."""

from __future__ import annotations

from pathlib import Path

from ...core.errors import ArtefactError
from ...latency.imports.base import Imported
from ...latency.imports.haq_table import HaqTable
from .locate import Corpus, corpus_path

HAQ_CYCLES = Corpus(
    title="HAQ's simulated cycles of MobileNetV2 by weight and activation bits (Wang et al. 2019)",
    file="haq/qmobilenetv2_imagenet100_batch16_latency_table.npy",
    source="the GitHub project mit-han-lab/haq (commit 20e4ed3)",
    licence="MIT",
    url=(
        "https://raw.githubusercontent.com/mit-han-lab/haq/"
        "20e4ed346dd938fe9b0f2923e5653cdfc7c96079/lib/simulator/lookup_tables/"
        "qmobilenetv2_imagenet100_batch16_latency_table.npy"
    ),
    sha256="41c377108ab97b62451afbc13cdb1ae8ea9f43b837446fd91c65c73f477c6529",
)


def read_haq_cycles(path: Path | None = None) -> Imported:
    """The cycles in the NumPy file `path`, by default the published one.

    Their origin is simulated, and they are cycles, no milliseconds: `imported_table` refuses them.

    Raises:
        ArtefactError: The file is missing, damaged or another one.
    """
    path = corpus_path(HAQ_CYCLES) if path is None else path
    try:
        return HaqTable().read(path.read_bytes())
    except FileNotFoundError:
        raise ArtefactError(f"{path} does not exist.") from None
    except (OSError, ArtefactError) as error:
        raise ArtefactError(f"{path}: {error}; get it again from {HAQ_CYCLES.source}.") from error
