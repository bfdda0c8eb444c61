"""What every importer answers: whether a file is its own, and the latencies in it."""

from __future__ import annotations

from abc import ABC, abstractmethod
from collections.abc import Mapping
from dataclasses import dataclass, field
from enum import StrEnum

from ...core.errors import ConfigError
from ..flags import Flag
from ..measurement import IMPORTED
from ..operators import Operator

Fact = str | int | float | bool | tuple[str, ...]

LEVEL = "level"


class Level(StrEnum):
    """What a row is of, as its fact `level`, in files that hold several of them.

    Rows of one level may be added; across levels the same time would count twice. A file of one
    level need not say it.
    """

    NETWORK = "network"
    OPERATOR = "operator"
    SUBGRAPH = "subgraph"  # what runs inside of an operator: the body of a loop, a branch
    DELEGATE = "delegate"  # what a delegate of TFLite runs in place of operators
    KERNEL = "kernel"  # what an operator runs on the device


class Statistic(StrEnum):
    """What a tool's headline is of the runs behind it; the best that its file supports."""

    MEDIAN = "median"
    MEAN = "mean"
    MIN = "min"
    SINGLE = "single"


class Quantity(StrEnum):
    """What the values of a file are; only latencies may enter a latency table."""

    LATENCY_MS = "latency_ms"
    CYCLES = "cycles"


@dataclass(frozen=True, slots=True)
class Row:
    """One thing that a file has a value for.

    Attributes:
        name: What the file calls it.
        value: In milliseconds, or in cycles where `Imported.quantity` says so; finite and at
            least 0 (a fused or skipped layer costs 0 in its tool's account).
        statistic: What the value is of the runs behind it, recomputed from raw samples if any.
        count: Runs behind it, or None where the file does not say.
        samples: Raw samples in the same unit as `value`; empty where there are none.
        reported: Statistics of the tool itself, by name (min, max, p95, std), in the same unit.
        facts: What else the file says of it (type, precision, columns of a table).
        operator: Where the file's key names one exactly, that operator.
        flags: Reasons for caution that the file itself gives.
    """

    name: str
    value: float
    statistic: Statistic
    count: int | None = None
    samples: tuple[float, ...] = ()
    reported: Mapping[str, float] = field(default_factory=dict, hash=False)
    facts: Mapping[str, Fact] = field(default_factory=dict, hash=False)
    operator: Operator | None = None
    flags: frozenset[Flag] = frozenset()


@dataclass(frozen=True)
class Imported:
    """A file that was read.

    Attributes:
        kind: Name of the importer.
        tool: What wrote it, with its version where the file tells, such as `trtexec 8.6.1`.
        variant: Which of the format's variants was found (a key set, a header), in words.
        unit: The unit in the file: ns, us, ms, s or cycles.
        unit_source: How the unit is known: what in the file, or in its format's definition.
        resolution: Step of the file's numbers, in the unit of `Row.value`; None if not known.
        rows: At least one.
        sha256: Of the file's bytes.
        origin: `imported`, or `simulated` where no device was timed.
        facts: What the file says of the condition (device, threads, batch, precision).
        notes: What was left out or repaired, a sentence each (warm-up rows, swapped stamps).
    """

    kind: str
    tool: str
    variant: str
    unit: str
    unit_source: str
    resolution: float | None
    rows: tuple[Row, ...]
    sha256: str
    quantity: Quantity = Quantity.LATENCY_MS
    origin: str = IMPORTED
    facts: Mapping[str, Fact] = field(default_factory=dict, hash=False)
    notes: tuple[str, ...] = ()


class Importer(ABC):
    """Reads one format. Its constructor does nothing.

    An importer sees bytes, never a path: variants are told by content, not by file names.
    """

    @abstractmethod
    def recognises(self, data: bytes) -> bool:
        """Whether `data` is of this format, in whatever version; never raises.

        It should be cheap and specific: `elat import` asks every importer, and a file that two
        recognise is refused.
        """

    @abstractmethod
    def read(self, data: bytes) -> Imported:
        """The latencies in `data`, which this importer recognises.

        Raises:
            ArtefactError: It is cut short, damaged, of a version that is not known, or holds a
                value that is no latency; the message says what was found.
        """


class UnitlessImporter(Importer):
    """Reads a format whose files do not say their unit: it has to be named, never guessed."""

    @abstractmethod
    def read_as(self, data: bytes, unit: str) -> Imported:
        """The latencies in `data`, whose numbers are in `unit`, one of `parsing.MS_PER`.

        Raises:
            ArtefactError: As for `read`.
        """

    def read(self, data: bytes) -> Imported:
        """Nothing: the unit is not known.

        Raises:
            ConfigError: Always; says how to name the unit.
        """
        raise ConfigError(
            "the file does not say in which unit its numbers are. Look it up where the file comes "
            "from, and name it: elat import --unit ms FILE (ns, us, ms or s)."
        )
