"""Logs of TFLite's `benchmark_model` with its profile of operators."""

from __future__ import annotations

from dataclasses import dataclass
from math import fsum
from pathlib import Path

from ...core.errors import ArtefactError
from ...latency.imports.lines import lines_of
from ...latency.imports.tflite_log import read_benchmarks
from ...latency.imports.tflite_tables import read_tables
from .locate import Corpus

PROXYLESS_MOBILE_LOG = Corpus(
    title="The log of Proxyless-Mobile on a Pixel 1, one thread",
    file="proxylessnas/proxyless_mobile_10_latency.txt",
    source="the history of the GitHub project mit-han-lab/proxylessnas (commit 6f22eda)",
    licence="MIT",
)


@dataclass(frozen=True)
class LoggedOperator:
    """One line of the profile: TFLite's kind, the tensor's name, the mean in milliseconds."""

    kind: str
    name: str
    latency_ms: float


@dataclass(frozen=True)
class TFLiteLog:
    """One log.

    Attributes:
        runs: How many runs were timed after the warm-up.
        latency_ms: Mean of one run, end to end.
        std_ms: Standard deviation between the runs.
        operators: Every operator in execution order.
    """

    runs: int
    latency_ms: float
    std_ms: float
    operators: tuple[LoggedOperator, ...]

    @property
    def operators_ms(self) -> float:
        """Sum of the means of all operators."""
        return fsum(operator.latency_ms for operator in self.operators)

    def scope_ms(self, scope: str) -> float:
        """Sum over the operators whose name starts with `scope` and a slash.

        Raises:
            ArtefactError: There are none.
        """
        found = [o.latency_ms for o in self.operators if o.name.startswith(f"{scope}/")]
        if not found:
            raise ArtefactError(f"The log has no operator {scope}/…")
        return fsum(found)


def read_tflite_log(path: Path) -> TFLiteLog:
    """The log in the text file `path`, of one benchmark with one profile.

    Raises:
        ArtefactError: The file is missing, or was cut short before the end of the profile.
    """
    try:
        lines = lines_of(path.read_bytes())
        benchmarks, tables = read_benchmarks(lines), read_tables(lines)
    except FileNotFoundError:
        raise ArtefactError(f"{path} does not exist.") from None
    except (OSError, ArtefactError) as error:
        raise ArtefactError(f"{path} cannot be read: {error}") from error
    stats = [benchmark.stat for benchmark in benchmarks if benchmark.stat]
    if len(stats) != 1 or len(tables) != 1 or not tables[0].is_counted:
        raise ArtefactError(
            f"{path} holds {len(stats)} measured stretches of runs and {len(tables)} profiles: it "
            "is no log of benchmark_model with its profile, or was cut short."
        )
    operators = (LoggedOperator(row.kind, row.name, row.mean_ms) for row in tables[0].rows)
    values_ms = stats[0].values_ms
    return TFLiteLog(stats[0].count, values_ms["avg"], values_ms["std"], tuple(operators))
