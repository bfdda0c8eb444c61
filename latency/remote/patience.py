"""How often a device is asked again what it did not do, and when it is set aside."""

from __future__ import annotations

from collections.abc import Callable
from typing import TypeVar

from ...core.errors import DeviceSetAsideError, Retry, TransportError

PAUSES_S = (2.0, 5.0, 10.0, 20.0, 30.0, 60.0)
"""How long to wait before each new try of a device that does not answer: two minutes in all."""

T = TypeVar("T")


class Patience:
    """Tries again for as long as errors say that it is worth it.

    A device that has not answered once is not waited for: its card may be wrong.

    Args:
        device: The name of its card.
        sleep: Waits for seconds.
    """

    def __init__(self, device: str, sleep: Callable[[float], None]) -> None:
        self._device = device
        self._sleep = sleep
        self._has_answered = False

    def persist(self, act: Callable[[], T]) -> T:
        """What `act` returns in the end.

        Raises:
            DeviceSetAsideError: It failed each time.
            TransportError: It failed so that trying again cannot help.
        """
        for pause_s in (*PAUSES_S, None):
            try:
                done = act()
            except TransportError as error:
                is_stranger = error.retry is Retry.LATER and not self._has_answered
                if error.retry is Retry.NEVER or is_stranger:
                    raise
                if pause_s is None:
                    raise self.set_aside(len(PAUSES_S) + 1, str(error)) from error
                self._sleep(0.0 if error.retry is Retry.AT_ONCE else pause_s)
            else:
                self._has_answered = True
                return done
        raise AssertionError("unreachable")

    def set_aside(self, count: int, reason: str) -> DeviceSetAsideError:
        """The error that ends a campaign on the device after `count` failures in a row."""
        end = "" if reason.endswith(".") else "."
        return DeviceSetAsideError(
            f"{self._device} is set aside after {count} failures in a row, the last one: {reason}"
            f"{end} What was measured is stored; see how it stands with: elat doctor "
            f"{self._device}, then give the same command again."
        )
