"""What every way to get operators' latencies from measured models offers."""

from __future__ import annotations

from abc import ABC, abstractmethod
from collections.abc import Mapping
from dataclasses import dataclass, field
from types import MappingProxyType
from typing import TYPE_CHECKING, ClassVar, NamedTuple

from ..entry import Entry
from ..measurement import Measurement
from ..operators import Operator
from ..operators.chain import Chain
from ..operators.dag import Dag
from ..summary import Summary

if TYPE_CHECKING:
    from ..profiling.profile import Profile


@dataclass(frozen=True)
class Subjects:
    """What a method is asked about.

    Attributes:
        operators: Whose latencies are wanted; free ones and repeated ones are skipped.
        networks: Whole networks of such operators, for methods that look into networks.
    """

    operators: tuple[Operator, ...]
    networks: tuple[Chain | Dag, ...] = ()

    @property
    def busy(self) -> tuple[Operator, ...]:
        """The distinct operators that execute something, in order."""
        return tuple(o for o in dict.fromkeys(self.operators) if not o.is_free)


@dataclass(frozen=True)
class Evidence:
    """What is known of a method's cases, by case; what could not be measured is missing.

    Attributes:
        measured: Measurements of cases as they stand.
        profiles: Where the time of a run goes.
    """

    measured: Mapping[Operator, Measurement | Summary]
    profiles: Mapping[Operator, Profile] = field(default_factory=dict)


class Found(NamedTuple):
    """Latencies of operators, and the origins of all numbers behind them.

    Attributes:
        below_ms: Differences that came out at 0 or below, in ms: no latencies, so that no table
            holds them, but a sum over operators without them would be too high.
    """

    entries: dict[Operator, Entry]
    origins: frozenset[str]
    below_ms: Mapping[Operator, float] = MappingProxyType({})


class TimingMethod(ABC):
    """A way to get the latency of an operator from models that are measured as they stand.

    Attributes:
        granularity: What one latency is, in words.
    """

    granularity: ClassVar[str]

    @abstractmethod
    def cases(self, subjects: Subjects) -> tuple[Operator, ...]:
        """The distinct models to time, in a stable order.

        Raises:
            UnsupportedOperatorError: This method has no way to time one of the operators.
            ConfigError: It looks into networks, and there are none.
        """

    @abstractmethod
    def profiled(self, subjects: Subjects) -> tuple[Operator, ...]:
        """The models among `cases` to profile as well, in a pass of its own.

        Raises:
            ConfigError: As `cases` does.
        """

    @abstractmethod
    def emphasised(self, subjects: Subjects) -> frozenset[Operator]:
        """The cases whose error enters a sum over operators many times over."""

    @abstractmethod
    def latencies(self, subjects: Subjects, evidence: Evidence) -> Found:
        """The latency of every operator that `evidence` tells.

        Operators of which a case is missing are left out, as is one that would come out at 0 ms
        or less (noise larger than the operator): it needs a more careful protocol.
        """
