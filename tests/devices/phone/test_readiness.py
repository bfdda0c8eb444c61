"""Gates that wait, in a time that tests make."""

from __future__ import annotations

from itertools import pairwise

import pytest
from hypothesis import given
from hypothesis import strategies as st

from elat.core.errors import DeviceSetAsideError, Retry
from elat.devices.device import Gates
from elat.devices.phone import PhoneState, refusals, wait_until_ready

GATES = Gates(temperature_max_c=38.0, battery_min_pct=30.0, screen=False, airplane=True)
FINE = PhoneState(
    battery_pct=80.0, battery_c=30.0, is_charging=False, is_screen_on=False, is_airplane=True,
    thermal_status=0,
)  # fmt: skip


def phone(**changes):
    return PhoneState(**{**vars(FINE), **changes})


class Waiting:
    """A phone whose states come one after the other, the last for ever, and a clock."""

    def __init__(self, *states, read_s=0.0):
        self.states = list(states)
        self.read_s = read_s
        self.now_s = 100.0
        self.beats_s = []
        self.reads_s = []

    def read(self):
        self.reads_s.append(self.now_s)
        self.now_s += self.read_s
        return self.states.pop(0) if len(self.states) > 1 else self.states[0]

    def sleep(self, seconds):
        assert seconds > 0
        self.now_s += seconds

    def ready(self, gates=GATES, **options):
        return wait_until_ready(
            self.read, gates, lambda: self.beats_s.append(self.now_s), self.sleep,
            lambda: self.now_s, **options,
        )  # fmt: skip


@pytest.mark.parametrize(
    ("state", "said"),
    [
        (phone(battery_c=38.1), "the battery has 38.1 degrees Celsius, above the card's 38"),
        (
            PhoneState(temperatures_c={"a": 20.0, "b": 70.0}),
            "the hottest part has 70.0 degrees Celsius, above the card's 38",
        ),
        (phone(thermal_status=2), "it holds clocks down for heat (thermal status moderate)"),
        (
            phone(battery_pct=29.4),
            "the battery is at 29 %, below the card's 30, and is not charged",
        ),
        (
            phone(battery_pct=29.4, is_charging=True),
            "the battery is at 29 %, below the card's 30",
        ),
        (phone(is_screen_on=True), "screen is on, which the card does not want"),
        (phone(is_airplane=False), "airplane mode is off, which the card does not want"),
    ],
)
def test_what_a_gate_refuses_is_one_sentence(state, said):
    assert refusals(state, GATES) == [said]


def test_limits_are_kept_where_they_are_met_or_nothing_is_told():
    met = phone(battery_c=38.0, battery_pct=30.0, temperatures_c={"cpu": 90.0})
    assert refusals(met, GATES) == []
    assert refusals(PhoneState(), GATES) == []
    hot = phone(battery_c=90.0, battery_pct=1.0, is_screen_on=True, is_airplane=False)
    assert refusals(hot, Gates()) == []
    assert len(refusals(phone(battery_c=90.0, battery_pct=1.0, thermal_status=6), GATES)) == 3


def test_a_phone_that_is_ready_is_not_waited_for():
    waiting = Waiting(FINE)
    assert waiting.ready() == FINE
    assert waiting.now_s == 100.0


def test_neither_screen_nor_radio_hold_a_measurement_up():
    waiting = Waiting(phone(is_screen_on=True, is_airplane=False))
    waiting.ready()
    assert waiting.now_s == 100.0


def test_a_hot_phone_cools_two_degrees_below_the_limit():
    heats = [38.1, 37.5, 36.1, 36.0, 10.0]
    waiting = Waiting(*(phone(battery_c=heat) for heat in heats))
    assert waiting.ready().battery_c == 36.0
    assert waiting.reads_s == [100.0, 105.0, 110.0, 115.0]


def test_a_phone_that_waits_for_something_else_need_not_cool():
    held, then = phone(battery_c=37.5, thermal_status=1), phone(battery_c=37.5)
    waiting = Waiting(held, then)
    assert waiting.ready() == then


def test_it_beats_at_least_every_half_second():
    waiting = Waiting(*[phone(thermal_status=1)] * 20, FINE, read_s=0.3)
    waiting.ready()
    gaps = [later - earlier for earlier, later in pairwise(waiting.beats_s)]
    assert max(gaps) <= 0.5 + 1e-9
    assert len(waiting.reads_s) == 21


@pytest.mark.parametrize(
    ("heats", "said"),
    [
        ([45.0], "above the card's 38"),
        ([45.0, 37.0], "and cools to 36, as it was above the card's 38"),
    ],
)
def test_a_phone_that_stays_hot_is_set_aside_in_time(heats, said):
    waiting = Waiting(*(phone(battery_c=heat) for heat in heats))
    with pytest.raises(DeviceSetAsideError) as caught:
        waiting.ready(longest_s=60.0, name="pixel-8")
    begin, found, repair = str(caught.value).partition(said)
    assert begin.startswith("pixel-8 is set aside: after 60 s of waiting the battery has ")
    assert found
    assert (
        repair
        == "; let it rest in a cool place, out of its case, then give the same command again"
    )
    assert caught.value.retry is Retry.NEVER
    assert 160.0 <= waiting.now_s <= 166.0


def test_an_empty_battery_waits_for_its_charger_and_for_nothing_else():
    low, charging = phone(battery_pct=20.0), phone(battery_pct=20.0, is_charging=True)
    waiting = Waiting(charging, charging, phone(battery_pct=30.0, is_charging=True))
    assert waiting.ready().battery_pct == 30.0
    assert waiting.now_s == 110.0
    unplugged = Waiting(charging, low)
    with pytest.raises(DeviceSetAsideError, match=r"is not charged; charge it to 30 %"):
        unplugged.ready()
    assert unplugged.now_s == 105.0
    for untold in (None, False):
        with pytest.raises(DeviceSetAsideError):
            Waiting(phone(battery_pct=20.0, is_charging=untold)).ready()


def test_a_battery_that_charges_too_slowly_is_set_aside_in_time():
    waiting = Waiting(phone(battery_pct=20.0, is_charging=True))
    with pytest.raises(DeviceSetAsideError) as caught:
        waiting.ready()
    assert str(caught.value) == (
        "The phone is set aside: after 900 s of waiting the battery is at 20 %, below the card's "
        "30; charge it to 30 %, then give the same command again"
    )
    assert 1000.0 <= waiting.now_s <= 1006.0


def test_what_does_not_heal_is_told_first():
    with pytest.raises(DeviceSetAsideError, match="not charged"):
        Waiting(phone(battery_pct=20.0, battery_c=50.0)).ready()


def test_time_passes_in_reads_too():
    waiting = Waiting(phone(thermal_status=1), read_s=30.0)
    with pytest.raises(DeviceSetAsideError, match="thermal status light"):
        waiting.ready()
    assert len(waiting.reads_s) < 30


@given(
    heats=st.lists(st.floats(20, 60), min_size=1, max_size=30),
    statuses=st.lists(st.integers(0, 2), min_size=30, max_size=30),
)
def test_what_comes_back_is_never_refused(heats, statuses):
    states = [
        phone(battery_c=heat, thermal_status=status)
        for heat, status in zip(heats, statuses, strict=False)
    ]
    waiting = Waiting(*states)
    try:
        found = waiting.ready()
    except DeviceSetAsideError:
        assert waiting.now_s >= 1000.0
    else:
        assert refusals(found, GATES) == []
        was_hot = any(state.battery_c > 38.0 for state in states[: len(waiting.reads_s)])
        assert not was_hot or found.battery_c <= 36.0
