"""Twelve logs of four networks on a Pixel 1, three runs each (He et al. 2018, AMC)."""

from __future__ import annotations

from collections.abc import Mapping
from itertools import product
from types import MappingProxyType

from .locate import Corpus, corpus_path
from .tflite_log import TFLiteLog, read_tflite_log

NETWORKS = ("mobilenet", "0.75mobilenet", "0.5flops", "0.5time")
RUNS = (1, 2, 3)
_SHA256: Mapping[tuple[str, int], str] = MappingProxyType(
    {
        ("0.5flops", 1): "a91e4ade80d561eba9d387ffb107a3855b39d5ede64ff00996c2c02834cfdb37",
        ("0.5flops", 2): "24b1ef4481dd52cbaf680e14c04665b8fefa53e2962100bd19b717a132714f22",
        ("0.5flops", 3): "a7c35294f46cb76d1c274cccd219bef07945069c0d81d6f43d5fc5e21d2c08b1",
        ("0.5time", 1): "4cdc82b99635a3cc035b0126b4ab903f04c4e0170879a8dc96ec42eaa6a88134",
        ("0.5time", 2): "fd37765dfc7a7cdfb5d869075735174dc736457672d1fd6eda004c8cbd6b7fd8",
        ("0.5time", 3): "c0f1b4d564b3886f2a61736899b39d600297a0677f241a0c8891b21c69afe0ea",
        ("0.75mobilenet", 1): "c75a56075ce5d5e7aed0223d56de46c69234c8c88057d0a80044f3946d3991d4",
        ("0.75mobilenet", 2): "ce029f3bd6615a3b7ab28973f43076d7d0163a7cbf2bacc61ecea1d6be458b88",
        ("0.75mobilenet", 3): "4a8ad9610943b5e914c1e05d88eaace15c2072e9dd738fce543fb9411136c460",
        ("mobilenet", 1): "fc06becee694c45c875da9d31aa474c600c28ddc3e0e4c5b102f16279ab3d74c",
        ("mobilenet", 2): "6488cf1a8a90ce825886816c46232d659a53fdda242d365ac114b6f01371cd93",
        ("mobilenet", 3): "eaf753b3116909180bd2e2251b00e5de61fbda88f9e3c19994c31a3129a05d9a",
    }
)
_BASE = (
    "https://raw.githubusercontent.com/mit-han-lab/amc-models/"
    "2f1a18e22b9d253011e6175933f6230abf22f6f5/logs"
)


def pixel1_log(network: str, run: int) -> Corpus:
    """The log of one of `NETWORKS` in one of `RUNS`."""
    name = f"{network}_run{run}.txt"
    return Corpus(
        title=f"Run {run} of {network} on a Pixel 1 (He et al. 2018)",
        file=f"pixel1_tflite_logs/{name}",
        source="the GitHub project mit-han-lab/amc-models (commit 2f1a18e), logs",
        licence="MIT",
        url=f"{_BASE}/{name}",
        sha256=_SHA256[network, run],
    )


PIXEL1_LOGS = tuple(pixel1_log(network, run) for network, run in product(NETWORKS, RUNS))


def read_pixel1_logs() -> dict[str, tuple[TFLiteLog, ...]]:
    """All runs of each network, from the folder of published files.

    Raises:
        ArtefactError: A file is missing or damaged.
    """
    return {
        network: tuple(read_tflite_log(corpus_path(pixel1_log(network, run))) for run in RUNS)
        for network in NETWORKS
    }
