"""NAS-Bench-Macro: every one of 6,561 architectures trained on CIFAR-10 with three seeds."""

from __future__ import annotations

import json
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from itertools import product
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from ...core.errors import ArtefactError, ConfigError
from .locate import Corpus, corpus_path

NAS_BENCH_MACRO = Corpus(
    title="NAS-Bench-Macro on CIFAR-10 (Su et al. 2021)",
    file="nas_bench_macro/nas-bench-macro_cifar10.json",
    source="the GitHub project xiusu/NAS-Bench-Macro",
    licence="Apache-2.0",
    url="https://raw.githubusercontent.com/xiusu/NAS-Bench-Macro/master/data/nas-bench-macro_cifar10.json",
    sha256="686dee8363cc21cca8c1f321ad5749454f2d9b9ca5972682e137e539bc522297",
)
LAYERS = 8
CANDIDATES = 3
SEEDS = 3


@dataclass(frozen=True, eq=False)
class MacroBenchmark:
    """The benchmark as arrays over its architectures, in the order of their keys.

    The bundled space `nas-bench-macro` has the same choices in the same order.

    Attributes:
        accuracies: Test accuracy in percent, `(6561, 3)`: one a training seed.
        parameters: Trainable parameters, `(6561,)`.
        macs: Multiply-adds of one image, `(6561,)`.
    """

    accuracies: NDArray[np.float64]
    parameters: NDArray[np.int64]
    macs: NDArray[np.int64]

    @property
    def mean_accuracies(self) -> NDArray[np.float64]:
        """Mean over the seeds, in percent, `(6561,)`."""
        return np.asarray(self.accuracies.mean(axis=1))

    def index(self, choices: Sequence[int]) -> int:
        """The row of the architecture with `choices`, its first layer's choice first.

        Raises:
            ConfigError: They are not one of 0, 1, 2 for each of the 8 layers.
        """
        if len(choices) != LAYERS or not all(0 <= c < CANDIDATES for c in choices):
            raise ConfigError(
                f"NAS-Bench-Macro has {LAYERS} choices of 0 to {CANDIDATES - 1}, "
                f"found {tuple(choices)}."
            )
        row = 0
        for choice in choices:
            row = row * CANDIDATES + choice
        return row


def read_nas_bench_macro(path: Path | None = None) -> MacroBenchmark:
    """The benchmark in the JSON file `path`, by default in the folder of published files.

    Raises:
        ArtefactError: The file is missing, cut short or another one.
    """
    path = corpus_path(NAS_BENCH_MACRO) if path is None else path
    repair = f"get it again from {NAS_BENCH_MACRO.source}"
    try:
        data = json.loads(path.read_text())
    except FileNotFoundError:
        raise ArtefactError(f"{path} does not exist; {repair}.") from None
    except (OSError, ValueError) as error:
        raise ArtefactError(f"{path} is no readable JSON ({error}); {repair}.") from error
    keys = ["".join(digits) for digits in product("012", repeat=LAYERS)]
    if not isinstance(data, dict) or data.keys() != set(keys):
        raise ArtefactError(
            f"{path} does not hold the {len(keys)} architectures 00000000 to 22222222; {repair}."
        )
    try:
        return _benchmark([data[key] for key in keys])
    except (KeyError, TypeError, ValueError) as error:
        raise ArtefactError(f"{path} lacks what it should hold ({error!r}); {repair}.") from error


def _benchmark(rows: Sequence[Mapping[str, Any]]) -> MacroBenchmark:
    accuracies = np.array([row["test_acc"] for row in rows], np.float64)
    if accuracies.shape != (len(rows), SEEDS):
        raise ValueError(f"accuracies of shape {accuracies.shape}")
    parameters = np.array([row["params"] for row in rows], np.int64)
    macs = np.array([row["flops"] for row in rows], np.int64)
    for array in (accuracies, parameters, macs):
        array.setflags(write=False)
    return MacroBenchmark(accuracies, parameters, macs)
