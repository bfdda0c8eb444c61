"""Operators of random configuration, as networks of the field have them.

Every field of a kind is drawn by its name, so that a new operator whose fields have the usual
names is generated without a word here. What the operator itself refuses is drawn again.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import MISSING, Field, dataclass, field, fields
from types import MappingProxyType
from typing import Any

import numpy as np

from ...core.errors import ConfigError, UnknownNameError
from ...core.seeding import numpy_generator
from ..graph.ir import Activation, Pooling
from . import operators
from .aggregate import How
from .base import Operator
from .conv import Norm

LEAST_MS, MOST_MS = 0.005, 20.0
"""Bounds of the time of a generated operator by the roofline below: a desktop core's, roughly."""

_MACS_PER_MS = 20e6
_BYTES_PER_MS = 10e6
_MOST_ELEMENTS = 1 << 22
_ATTEMPTS = 5_000

# Networks, what executes nothing, and what runtimes leave out of networks.
_LEFT_OUT = frozenset({"chain", "dag", "zero", "identity"})
_COMMON = MappingProxyType({"conv": 5.0, "mbconv": 5.0, "depth_conv": 2.0, "linear": 2.0})
_RESOLUTIONS = (7, 8, 10, 14, 16, 20, 28, 32, 40, 56, 64, 80, 112, 128, 160, 224)


def generated_kinds() -> tuple[str, ...]:
    """The registered kinds that `generate` draws: single operators that take time."""
    return tuple(kind for kind in operators if kind not in _LEFT_OUT)


def generate(count: int, seed: int, kinds: Sequence[str] | None = None) -> tuple[Operator, ...]:
    """`count` distinct operators; the first of them are those of every smaller count.

    Widths, image sizes and features are drawn log-uniformly, and width falls as the image grows.
    Convolutions and mobile blocks are drawn more often than other kinds.

    Args:
        count: How many, at least 1.
        seed: Decides all of them.
        kinds: Names of the operator registry; by default `generated_kinds()`.

    Raises:
        UnknownNameError: One of `kinds` is none of `generated_kinds()`.
        ConfigError: `count` is below 1, there are not so many operators of these kinds, or one has
            a field that nobody knows how to draw.
    """
    known = generated_kinds()
    for kind in kinds or ():
        if kind not in known:
            raise UnknownNameError("kind of operator to generate", kind, known)
    if count < 1:
        raise ConfigError(f"At least 1 operator must be generated, found {count}.")
    chosen = tuple(sorted(set(kinds))) if kinds else known
    stream = _stream(numpy_generator(seed, "operators", *chosen), chosen)
    found: dict[Operator, None] = {}
    idle = 0
    while len(found) < count:
        before = len(found)
        operator = next(stream)
        if operator is not None and _is_in_bounds(operator):
            found[operator] = None
        idle = idle + 1 if len(found) == before else 0
        if idle > _ATTEMPTS:
            raise ConfigError(
                f"There are {len(found)} distinct operators of {', '.join(chosen)} to be found, "
                f"not {count}; ask for fewer, or for more kinds."
            )
    return tuple(found)


def roofline_ms(operator: Operator) -> float:
    """Time of `operator` if it ran at 20 GMAC/s and 10 GB/s: the greater of both, in fp32."""
    return max(operator.macs / _MACS_PER_MS, 4 * operator.traffic_elements / _BYTES_PER_MS)


def _is_in_bounds(operator: Operator) -> bool:
    fits = max(operator.traffic_elements, operator.params) <= _MOST_ELEMENTS
    return fits and LEAST_MS <= roofline_ms(operator) <= MOST_MS


def _stream(random: np.random.Generator, kinds: tuple[str, ...]) -> Iterator[Operator | None]:
    """Operators without end, None in place of one that its class refuses."""
    weights = np.array([_COMMON.get(kind, 1.0) for kind in kinds])
    while True:
        kind = kinds[int(random.choice(len(kinds), p=weights / weights.sum()))]
        draw = _Draw(kind, random, int(random.choice(_RESOLUTIONS)))
        values = draw.values()
        try:
            operator = operators[kind](**values)
        except ConfigError:
            operator = None
        yield operator


@dataclass(frozen=True)
class _Draw:
    """One operator in the making: its kind, image size, and the fields drawn so far."""

    kind: str
    random: np.random.Generator
    resolution: int
    drawn: dict[str, Any] = field(default_factory=dict)

    def values(self) -> dict[str, Any]:
        """A value for every field, in the order of the class.

        Raises:
            ConfigError: Nobody knows how to draw one.
        """
        for attribute in fields(operators[self.kind]):
            self.drawn[attribute.name] = self._value(attribute)
        return self.drawn

    def _value(self, attribute: Field[Any]) -> Any:
        name = attribute.name
        by_name = _OF_KIND.get((self.kind, name)) or _BY_NAME.get(name)
        if by_name is not None:
            return by_name(self)
        if attribute.default is not MISSING:
            return attribute.default
        raise ConfigError(
            f"Operators of kind {self.kind} cannot be generated: nobody knows how to draw "
            f"{name!r}; add it to latency/operators/generate.py."
        )

    def one_of(self, *choices: Any) -> Any:
        return choices[int(self.random.integers(len(choices)))]

    def log_uniform(self, low: int, high: int, step: int = 1) -> int:
        """A multiple of `step` in `low` to `high`, log-uniform before it is rounded."""
        value = np.exp(self.random.uniform(np.log(low), np.log(max(low, high))))
        return max(step, step * round(float(value) / step))

    def width(self, share: int = 1) -> int:
        """Channels of an image of this size, or of one of `share` that are joined."""
        return self.log_uniform(8, max(16, 7168 // self.resolution // share), 8)

    def widths(self) -> tuple[int, ...]:
        """Channels of several images that are joined: alike, or of their own."""
        count: int = self.one_of(2, 2, 3, 4)
        if self.one_of(True, False):
            return (self.width(count),) * count
        return tuple(self.width(count) for _ in range(count))

    def out_width(self) -> int:
        """Channels that come out: often as many as went in."""
        before = self.drawn.get("in_channels")
        return before if isinstance(before, int) and self.one_of(True, False) else self.width()


_BY_NAME: Mapping[str, Callable[[_Draw], Any]] = MappingProxyType(
    {
        "resolution": lambda draw: draw.resolution,
        "channels": _Draw.width,
        "in_channels": _Draw.width,
        "out_channels": _Draw.out_width,
        "in_features": lambda draw: draw.log_uniform(64, 4096, 8),
        "out_features": lambda draw: draw.one_of(10, 100, 1000, draw.log_uniform(64, 4096, 8)),
        "squeeze_channels": lambda draw: max(8, draw.drawn["channels"] // 4),
        "kernel": lambda draw: draw.one_of(1, 1, 3, 3, 3, 5, 7),
        "stride": lambda draw: draw.one_of(1, 1, 1, 2),
        "groups": lambda draw: draw.one_of(1, 1, 1, draw.drawn.get("in_channels", 2), 2, 4),
        "dilation": lambda draw: 1 if draw.drawn["kernel"] == 1 else draw.one_of(*[1] * 9, 2),
        "expand": lambda draw: draw.one_of(1, 2, 3, 4, 6, 6),
        "se": lambda draw: draw.one_of(True, False, False),
        "activation": lambda draw: draw.one_of(
            Activation.RELU6, Activation.RELU, Activation.HSWISH, Activation.NONE
        ),
        "gate": lambda draw: draw.one_of(Activation.HSIGMOID, Activation.SIGMOID),
        "norm": lambda draw: draw.one_of(Norm.BATCH, Norm.BATCH, Norm.BATCH, Norm.BIAS, Norm.NONE),
        "pooling": lambda draw: draw.one_of(*Pooling),
        "how": lambda draw: draw.one_of(*How),
        "count": lambda draw: draw.one_of(2, 2, 3, 4, 6),
        "sources": lambda draw: draw.one_of(1, 2, 3, 4, 6),
        "begin": lambda draw: draw.one_of(0, draw.drawn["channels"] // 2),
        "end": lambda draw: draw.drawn["begin"] + draw.drawn["channels"] // 2,
    }
)
_OF_KIND: Mapping[tuple[str, str], Callable[[_Draw], Any]] = MappingProxyType(
    {
        ("concat", "channels"): _Draw.widths,
        ("point_sum", "in_channels"): _Draw.widths,
        ("pool", "kernel"): lambda draw: draw.one_of(2, 3, 3, 5),
        ("channel_shuffle", "groups"): lambda draw: draw.one_of(2, 3, 4, 8),
    }
)
