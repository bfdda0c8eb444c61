"""The latency table that ProxylessNAS published for a phone (Cai et al. 2019, section 3.3)."""

from __future__ import annotations

from pathlib import Path

from ...core.errors import ArtefactError, ElatError
from ...latency.condition import Condition, Method, Precision
from ...latency.imports.proxyless_table import ProxylessTable
from ...latency.imports.tables import imported_table
from ...latency.table import LatencyTable
from .locate import Corpus, corpus_path

PROXYLESS_TABLE = Corpus(
    title="The mobile latency table of ProxylessNAS (Cai et al. 2019)",
    file="proxylessnas/mobile_trim.yaml",
    source="the GitHub project han-cai/files, folder proxylessnas",
    licence="none stated",
    url="https://raw.githubusercontent.com/han-cai/files/master/proxylessnas/mobile_trim.yaml",
    sha256="087e855ea77f9b257e72f3637333a3e0938f6df77f579520f16d057ac45380aa",
)
CONDITION = Condition(
    device="google-pixel-1",
    runtime="tflite",
    runtime_version="unknown",
    precision=Precision.FP32,
    batch=1,
    threads=1,
    method=Method.SAMPLED,
    options=(),
)
"""What is known of it: a Pixel 1, batches of one, and averages over whole networks.

The counts of the alternatives of a position sum to the same number of networks everywhere, so
blocks were timed inside sampled networks. One thread is what the published logs of the same phone
used; the release of TFLite is not recorded.
"""


def read_proxyless_table(path: Path | None = None) -> LatencyTable:
    """The table in the YAML file `path`, by default in the folder of published files.

    Images are height x width x channels. The key `Logits` stands for the pooling and the
    classifier behind it together; its time is divided between the two by the memory that each
    moves, so that only their sum is a published number.

    Raises:
        ArtefactError: The file is missing, cut short, or has a key of another grammar.
    """
    path = corpus_path(PROXYLESS_TABLE) if path is None else path
    try:
        return imported_table(ProxylessTable().read(path.read_bytes()), CONDITION)
    except FileNotFoundError:
        raise ArtefactError(f"{path} does not exist.") from None
    except (ElatError, OSError) as error:
        raise ArtefactError(
            f"{path}: {error}; get the file again from {PROXYLESS_TABLE.source}."
        ) from error
