"""The gates of a phone's card, and the wait until they let a measurement begin."""

from __future__ import annotations

from collections.abc import Callable
from typing import NamedTuple

from ...core.errors import DeviceSetAsideError
from ..device import Gates
from .state import PhoneState

HYSTERESIS_C = 2.0
"""A device that was too hot cools this far below the limit before it is measured again."""

THERMAL_STATUS = ("none", "light", "moderate", "severe", "critical", "emergency", "shutdown")
"""What `android.os.PowerManager` calls 0 to 6."""

_READ_EVERY_S = 5.0
_BEAT_EVERY_S = 0.5


class _Refusal(NamedTuple):
    """A gate that is not kept: what was found, what to do, and whether it passes with time."""

    found: str
    repair: str
    heals: bool = True


def refusals(state: PhoneState, gates: Gates) -> list[str]:
    """What of the card's `gates` does not hold, a sentence each; what is not told holds.

    Temperature is the battery's where there is one (`PhoneState.gated_c`). No card says how much
    a phone may hold back for heat: any thermal status above none is one of them.
    """
    found = _found(state, gates, cool=False)
    wishes = (("screen", state.is_screen_on, gates.screen),
              ("airplane mode", state.is_airplane, gates.airplane))  # fmt: skip
    switched = [
        f"{name} is {'on' if is_on else 'off'}, which the card does not want"
        for name, is_on, wanted in wishes
        if wanted is not None and is_on is not None and is_on != wanted
    ]
    return [*(refusal.found for refusal in found), *switched]


def wait_until_ready(
    read: Callable[[], PhoneState],
    gates: Gates,
    beat: Callable[[], None],
    sleep: Callable[[float], None],
    clock: Callable[[], float],
    longest_s: float = 900.0,
    *,
    name: str = "The phone",
) -> PhoneState:
    """The first state in which neither heat nor the battery forbid to measure.

    Heat passes with time, and so does a low battery that is charged. Once the temperature was
    above the limit, it has to fall `HYSTERESIS_C` below it. Screen and airplane mode do not hold
    a measurement up: they are in the state, and the doctor warns about them.

    Args:
        read: Tells the state; asked about every five seconds.
        gates: What the card allows.
        beat: Called at least every half second in between, as a sign of life; `read` itself may
            take longer.
        sleep: Waits for seconds.
        clock: Seconds that only grow.
        longest_s: After so long the device is given up.
        name: What the device is called in messages.

    Raises:
        DeviceSetAsideError: It did not get there, or has to be charged first.
        UnavailableError: It does not answer.
    """
    deadline_s = clock() + longest_s
    was_hot = False
    while True:
        beat()
        state = read()
        found = _found(state, gates, cool=was_hot)
        if not found:
            return state
        _check(found, name, clock() >= deadline_s, longest_s)
        was_hot = was_hot or _is_above(state, gates.temperature_max_c)
        _pause(beat, sleep, clock)


def _check(found: list[_Refusal], name: str, is_late: bool, longest_s: float) -> None:
    """Give the device up where it is too late, or where time does not help."""
    for refusal in sorted(found, key=lambda refusal: refusal.heals):
        if is_late or not refusal.heals:
            waited = f"after {longest_s:g} s of waiting " if refusal.heals else ""
            raise DeviceSetAsideError(
                f"{name} is set aside: {waited}{refusal.found}; {refusal.repair}, then give the "
                "same command again"
            )


def _pause(
    beat: Callable[[], None], sleep: Callable[[float], None], clock: Callable[[], float]
) -> None:
    end_s = clock() + _READ_EVERY_S
    while (left_s := end_s - clock()) > 0:
        beat()
        sleep(min(left_s, _BEAT_EVERY_S))


def _found(state: PhoneState, gates: Gates, *, cool: bool) -> list[_Refusal]:
    """What heat and battery refuse; with `cool` the temperature has to be well below its limit."""
    return [*_heat(state, gates.temperature_max_c, cool), *_battery(state, gates)]


def _heat(state: PhoneState, limit_c: float | None, cool: bool) -> list[_Refusal]:
    found = []
    where = "the battery" if state.battery_c is not None else "the hottest part"
    if _is_above(state, limit_c):
        found.append(
            f"{where} has {state.gated_c:.1f} degrees Celsius, above the card's {limit_c:g}"
        )
    elif cool and limit_c is not None and _is_above(state, limit_c - HYSTERESIS_C):
        found.append(
            f"{where} has {state.gated_c:.1f} degrees Celsius and cools to "
            f"{limit_c - HYSTERESIS_C:g}, as it was above the card's {limit_c:g}"
        )
    if state.thermal_status:
        word = THERMAL_STATUS[state.thermal_status]
        found.append(f"it holds clocks down for heat (thermal status {word})")
    return [_Refusal(text, "let it rest in a cool place, out of its case") for text in found]


def _is_above(state: PhoneState, limit_c: float | None) -> bool:
    return limit_c is not None and state.gated_c is not None and state.gated_c > limit_c


def _battery(state: PhoneState, gates: Gates) -> list[_Refusal]:
    least_pct = gates.battery_min_pct
    if least_pct is None or state.battery_pct is None or state.battery_pct >= least_pct:
        return []
    found = f"the battery is at {state.battery_pct:.0f} %, below the card's {least_pct:g}"
    repair = f"charge it to {least_pct:g} %"
    if state.is_charging:
        return [_Refusal(found, repair)]
    return [_Refusal(f"{found}, and is not charged", repair, heals=False)]
