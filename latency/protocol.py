"""How carefully to measure: how long a slice is, how warm, how many passes and launches."""

from __future__ import annotations

from dataclasses import asdict, dataclass
from typing import Any

from ..core.errors import ArtefactError, ConfigError, UnknownNameError


@dataclass(frozen=True)
class Protocol:
    """When to calibrate, warm up, interleave and stop.

    A worker process times a group of cases in shuffled passes. In a pass each case gets a slice
    of back-to-back runs, and between them a fixed sentinel case gets some, too (`timing.py`).
    What one worker finds for one case is a launch; launches are added until the interval is narrow
    enough, and looked at only after fixed numbers of them, because stopping at the first narrow
    interval favours intervals that are narrow by chance.

    Attributes:
        target: Relative half-width of the 95 % interval at which a case is finished.
        min_launches: Launches of each case at least, and `max_launches` at most.
        looks: Numbers of launches, rising, after which the target is tested.
        passes: Shuffled passes over a group in one launch at least, and `max_passes` at most.
        group_min_ms: Time for which a group is timed at least, as long as `max_passes` allow it:
            a small group must not cost more for starting its worker than for being timed.
        slice_ms: Least duration of a slice. Reading the thread CPU clock costs about 0.45 us, so
            that 2 ms keep the clock's share under 0.1 %.
        sentinel_ms: Least duration of a slice of the sentinel.
        sentinel_every: Slices between two slices of the sentinel.
        settle_calls: Untimed runs before each slice at most, which bring the case back into the
            caches.
        group_size: Cases of one group at most; a kill loses no more than the group in flight.
        calibration_ms: Least duration of a sample while warming up.
        window: Samples of a warm-up window.
        agreement: Relative difference of the medians of two successive windows that is warm.
        warmup_min_ms: Warm-up of each case at least; past `warmup_cap_ms` it is given up.
        timeout_s: Silence of the worker after which it is taken for hung.
        block_launches: Launches of a case in one stretch of time; 0 for any number.
        block_gap_s: Seconds that lie between the stretches.
    """

    name: str
    target: float
    min_launches: int
    max_launches: int
    looks: tuple[int, ...]
    passes: int = 48
    max_passes: int = 256
    group_min_ms: float = 2000.0
    slice_ms: float = 2.0
    sentinel_ms: float = 1.0
    sentinel_every: int = 4
    settle_calls: int = 2
    group_size: int = 48
    calibration_ms: float = 0.5
    window: int = 5
    agreement: float = 0.02
    warmup_min_ms: float = 5.0
    warmup_cap_ms: float = 2000.0
    timeout_s: float = 120.0
    block_launches: int = 0
    block_gap_s: float = 0.0

    def __post_init__(self) -> None:
        if not 1 <= self.min_launches <= self.max_launches:
            raise ConfigError(
                f"Protocol {self.name}: 1 <= min_launches <= max_launches is needed."
            )
        if list(self.looks) != sorted(set(self.looks)) or self.max_launches not in self.looks:
            raise ConfigError(f"Protocol {self.name}: looks must rise and include max_launches.")
        if self.max_passes < self.passes:
            raise ConfigError(f"Protocol {self.name}: max_passes must be at least passes.")
        if (
            self.target <= 0
            or min(self.passes, self.group_size, self.window, self.sentinel_every) < 1
        ):
            raise ConfigError(
                f"Protocol {self.name}: target, passes, group_size, window and sentinel_every "
                "must be above 0."
            )
        if min(self.block_launches, self.block_gap_s) < 0:
            raise ConfigError(f"Protocol {self.name}: blocks and gaps are at least 0.")

    def next_look(self, launches: int) -> int | None:
        """The number of launches at which a case with `launches` of them is looked at next.

        None once `max_launches` are there: then nothing more is measured.
        """
        return next((look for look in self.looks if look > launches), None)

    def is_look(self, launches: int) -> bool:
        """Whether a case with `launches` of them is looked at."""
        return launches in self.looks or launches >= self.max_launches

    def is_finished(
        self, launches: int, relative_half_width: float, *, is_at_floor: bool = False
    ) -> bool:
        """Whether a case needs no further launch: converged at a look, or at the ceiling.

        Args:
            launches: Of the case so far.
            relative_half_width: Of its 95 % interval.
            is_at_floor: Whether more launches of this stretch of time would not narrow it; ends
                the case, too, unless the protocol has further stretches.
        """
        if launches >= self.max_launches:
            return True
        if not self.is_look(launches) or launches < self.min_launches:
            return False
        return relative_half_width <= self.target or (is_at_floor and not self.block_launches)

    def pause_s(self, launches: int, since_last_s: float) -> float:
        """Seconds to wait before the next launch of a case, so that a new stretch of time begins.

        Args:
            launches: Of the case so far.
            since_last_s: Seconds since the last of them.
        """
        if not self.block_launches or not launches or launches % self.block_launches:
            return 0.0
        # A clock that was set back must not make it wait for longer than the gap.
        return min(self.block_gap_s, max(0.0, self.block_gap_s - since_last_s))

    def to_json(self) -> dict[str, Any]:
        """A JSON object that `from_json` reads back."""
        return {**asdict(self), "looks": list(self.looks)}

    @classmethod
    def from_json(cls, data: dict[str, Any]) -> Protocol:
        """The protocol that `to_json` wrote.

        Raises:
            ArtefactError: Fields are missing or unknown.
        """
        try:
            return cls(**{**data, "looks": tuple(data["looks"])})
        except (KeyError, TypeError) as error:
            raise ArtefactError(f"Not a measuring protocol: {error}.") from error


# Launches scatter by about 2 %, and of one launch 20 passes tell as much as 40 but for a twentieth
# (docs/measuring.md): time is better spent on more launches than on longer ones.
SCREEN = Protocol(
    "screen",
    target=0.03,
    min_launches=3,
    max_launches=5,
    looks=(3, 5),
    passes=20,
    calibration_ms=0.25,
    agreement=0.03,
    warmup_min_ms=3.0,
)
STANDARD = Protocol(
    "standard",
    target=0.02,
    min_launches=5,
    max_launches=14,
    looks=(5, 9, 14),
    passes=20,
    calibration_ms=0.25,
    agreement=0.03,
    warmup_min_ms=3.0,
)
REFERENCE = Protocol(
    "reference",
    target=0.01,
    min_launches=10,
    max_launches=15,
    looks=(10, 12, 15),
    block_launches=5,
    block_gap_s=300.0,
)

PROTOCOLS: dict[str, Protocol] = {p.name: p for p in (SCREEN, STANDARD, REFERENCE)}


def find_protocol(name: str) -> Protocol:
    """The protocol called `name`.

    Raises:
        UnknownNameError: There is none.
    """
    try:
        return PROTOCOLS[name]
    except KeyError:
        raise UnknownNameError("protocol", name, PROTOCOLS) from None
