"""Latencies of many architectures on many devices, with what is known against each column."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from ...core.errors import ArtefactError, ConfigError, UnknownNameError
from .locate import Corpus

_EAGER = ("1080ti", "2080ti", "titan", "gold", "silver")


@dataclass(frozen=True)
class Column:
    """One device at one batch size.

    Attributes:
        name: As the publishers call it.
        is_eager: PyTorch ran the operations one after another, dead branches included.
        is_whole_ms: Every latency is a whole number of milliseconds: rounding alone is an error
            of up to half of one.
        refusal: Why it may not be a test target; empty where it may.
    """

    name: str
    is_eager: bool
    is_whole_ms: bool
    refusal: str = ""


@dataclass(frozen=True, eq=False)
class DeviceColumns:
    """A table of measured latencies; origin imported.

    Attributes:
        columns: One a device and batch size.
        latency_ms: `(architectures, columns)`.
    """

    columns: tuple[Column, ...]
    latency_ms: NDArray[np.float64]

    @property
    def names(self) -> tuple[str, ...]:
        """Of the columns, in their order."""
        return tuple(column.name for column in self.columns)

    @property
    def target_names(self) -> tuple[str, ...]:
        """Of the columns that may be test targets."""
        return tuple(column.name for column in self.columns if not column.refusal)

    def of(self, names: Sequence[str]) -> NDArray[np.float64]:
        """The columns called `names`, to learn from or to look at, `(architectures, names)`.

        Raises:
            UnknownNameError: There is no such column.
        """
        return np.asarray(self.latency_ms[:, [self._index(name) for name in names]])

    def targets(self, names: Sequence[str]) -> NDArray[np.float64]:
        """The columns called `names`, to test predictions on, `(architectures, names)`.

        Raises:
            UnknownNameError: There is no such column.
            ConfigError: A test on one of them would show nothing.
        """
        for name in names:
            if refusal := self.columns[self._index(name)].refusal:
                others = ", ".join(self.target_names)
                raise ConfigError(f"{name} is no test target: {refusal} Take one of {others}.")
        return self.of(names)

    def _index(self, name: str) -> int:
        if name not in self.names:
            raise UnknownNameError("device column", name, self.names)
        return self.names.index(name)


def read_columns(
    corpus: Corpus, path: Path, key: str, refusals: Mapping[str, str]
) -> tuple[list[str], DeviceColumns]:
    """The text of each architecture, and the latencies, of the Parquet file `path`.

    Args:
        corpus: What it should be, for messages.
        path: The file.
        key: Name of the column that describes the architecture.
        refusals: Why a column may not be a test target, by its name.

    Raises:
        ArtefactError: The file is missing, damaged or another one.
    """
    import pyarrow as pa
    import pyarrow.parquet as pq

    repair = f"get it again from {corpus.source}"
    try:
        table = pq.read_table(path)
        names = [name for name in table.column_names if name not in ("arch_idx", key)]
        index = table["arch_idx"].to_numpy()
        texts: list[str] = table[key].to_pylist()
        values = np.stack([table[name].to_numpy() for name in names], axis=1).astype(np.float64)
    except FileNotFoundError:
        raise ArtefactError(f"{path} does not exist; {repair}.") from None
    except (OSError, pa.ArrowException, KeyError, ValueError) as error:
        raise ArtefactError(f"{path} is not {corpus.title} ({error}); {repair}.") from error
    if not np.array_equal(index, np.arange(len(texts))):
        raise ArtefactError(f"{path}: its architectures are not numbered from 0; {repair}.")
    if not (np.isfinite(values) & (values > 0)).all():
        raise ArtefactError(f"{path} holds latencies that are not above 0; {repair}.")
    values.setflags(write=False)
    return texts, DeviceColumns(tuple(_columns(names, values, refusals)), values)


def _columns(
    names: Sequence[str], values: NDArray[np.float64], refusals: Mapping[str, str]
) -> list[Column]:
    is_whole = (values == np.rint(values)).all(axis=0)
    return [
        Column(name, name.startswith(_EAGER), bool(whole), refusals.get(name, ""))
        for name, whole in zip(names, is_whole, strict=True)
    ]
