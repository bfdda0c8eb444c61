"""How often a device is asked again, by what its errors say that it is worth."""

from __future__ import annotations

import pytest

from elat.core.errors import (
    ConnectionLostError,
    DeviceOfflineError,
    DeviceSetAsideError,
    StorageFullError,
    TransportError,
)
from elat.latency.remote.patience import PAUSES_S, Patience


class Board:
    """Fails with each error once, in order; then it answers."""

    def __init__(self, *errors: TransportError) -> None:
        self.errors = list(errors)
        self.slept_s: list[float] = []
        self.patience = Patience("pi", self.slept_s.append)

    def __call__(self) -> str:
        if self.errors:
            raise self.errors.pop(0)
        return "answer"


def known(*errors: TransportError) -> Board:
    """A board that has answered before."""
    board = Board()
    assert board.patience.persist(board) == "answer"
    board.errors = list(errors)
    return board


def test_a_broken_connection_is_tried_again_at_once_and_an_absent_device_later():
    board = known(ConnectionLostError("cut"), DeviceOfflineError("off"), DeviceOfflineError("off"))
    assert board.patience.persist(board) == "answer"
    assert board.slept_s == [0.0, *PAUSES_S[1:3]]


def test_what_trying_again_cannot_help_is_not_tried_again():
    board = known(StorageFullError("full"))
    with pytest.raises(StorageFullError):
        board.patience.persist(board)
    assert board.slept_s == []


def test_a_device_that_never_answered_is_not_waited_for():
    board = Board(DeviceOfflineError("off"))
    with pytest.raises(DeviceOfflineError):
        board.patience.persist(board)
    assert board.slept_s == []


def test_one_that_stays_away_is_set_aside_in_one_sentence_with_the_last_reason():
    board = known(*[DeviceOfflineError(f"off {n}") for n in range(20)])
    with pytest.raises(DeviceSetAsideError, match=r"^pi is set aside after 7 .*: off 6\. What"):
        board.patience.persist(board)
    assert board.slept_s == list(PAUSES_S)
