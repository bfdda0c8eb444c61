"""Verdicts on drawn machines: how often they are wrong, and how much they find."""

from __future__ import annotations

import math
from collections import Counter
from dataclasses import replace

import numpy as np
import pytest
from scipy import stats

from elat.core.errors import ConfigError
from elat.latency.comparison import (
    Rule,
    Side,
    Verdict,
    compare_measurements,
    default_margin,
)
from elat.latency.effects import Basis
from elat.latency.pairing import Pairing

from .comparison_bench import DAY_S, OPERATORS, OTHER, Machine, side

FALSE = (Verdict.FASTER, Verdict.SLOWER)
STEADY = Machine(launch=0.003, speed=0.02, drift=0.001)


def one(random, machine=STEADY, launches=12, start_s=0.0, **changed):
    return machine.side(random, launches, start_s, **changed)


@pytest.mark.parametrize("launches", [5, 8, 12])
@pytest.mark.parametrize("launch", [0.005, 0.01])
def test_of_equal_stores_at_most_one_in_twenty_cases_is_judged_different(launches, launch):
    """40 pairs of stores with 12 cases each; the share of stores with any is held, too."""
    random = np.random.default_rng(launches)
    machine = Machine(launch=launch)
    false = stores = outside = 0
    for _ in range(40):
        found = compare_measurements(
            one(random, machine, launches), one(random, machine, launches, DAY_S)
        )
        assert (found.basis, found.pairing) == (Basis.SENTINEL, Pairing.NONE)
        count = sum(found.counts[verdict] for verdict in FALSE)
        false, stores = false + count, stores + (count > 0)
        outside += sum(not case.low_log <= 0 <= case.high_log for case in found.cases)
    assert false <= 0.05 * 480
    # Of whole comparisons, too: at 5 % false ones, more than 5 of 40 have a chance of 1.4 %.
    assert stores <= 5
    assert outside <= 0.08 * 480


def test_equal_stores_of_a_slower_machine_at_the_same_time_are_not_judged_different():
    """Its launches lie between those of the other by chance; the machine is 4 % slower."""
    random = np.random.default_rng(0)
    everything = dict.fromkeys(range(12), 0.04)
    a, b = one(random), one(random, start_s=5.0, slower=everything)
    assert compare_measurements(a, b).counts[Verdict.SLOWER] == 12
    for basis in Basis:
        rule = Rule(basis=basis)
        found = compare_measurements(a, b, rule, is_one_machine=False)
        assert found.pairing is Pairing.NONE
        assert not any(found.counts[verdict] for verdict in FALSE)


def test_of_equal_stores_few_are_judged_different_without_enough_others():
    random = np.random.default_rng(3)
    counts: Counter[Verdict] = Counter()
    for _ in range(150):
        sides = (one(random, Machine(), 8, start, cases=2) for start in (0, DAY_S))
        counts.update(case.verdict for case in compare_measurements(*sides).cases)
    assert sum(counts[verdict] for verdict in FALSE) <= 0.05 * counts.total()


def interleaved(random, machine, launches, slower=None, cases=12, condition=OTHER):
    """Two sides that take turns: one walk of the machine, every other launch to each."""
    whole = machine.side(random, 2 * launches, 0.0, cases=cases, step_s=5.0)
    log_ms = np.array([m.normalised_log + m.slowness for m in whole.measurements.values()]).T
    times = 5.0 * np.arange(2 * launches)
    for case, change in (slower or {}).items():
        log_ms[1::2, case] += math.log1p(change)
    first = side(log_ms[::2], None, times[::2], prefix="a")
    return first, side(log_ms[1::2], None, times[1::2], condition, prefix="b")


def test_what_was_measured_in_turns_is_paired_and_seldom_judged_different():
    random = np.random.default_rng(5)
    machine = Machine()
    false = 0
    for _ in range(40):
        found = compare_measurements(*interleaved(random, machine, 12))
        assert (found.basis, found.pairing) == (Basis.TIME, Pairing.ROUNDS)
        false += sum(found.counts[verdict] for verdict in FALSE)
    assert false <= 0.05 * 480


def test_a_slowdown_of_three_percent_is_found_nine_times_in_ten():
    """At twelve pairs, the number that `standard` takes when it measures in turns."""
    random = np.random.default_rng(7)
    machine = Machine()
    found = [
        compare_measurements(*interleaved(random, machine, 12, {4: 0.03})).cases[4]
        for _ in range(60)
    ]
    assert sum(case.verdict is Verdict.SLOWER for case in found) >= 54
    assert np.mean([case.difference for case in found]) == pytest.approx(0.03, abs=0.003)


@pytest.mark.parametrize(
    ("change", "expected"), [(0.05, Verdict.SLOWER), (-0.05, Verdict.FASTER), (0.0, None)]
)
def test_a_changed_case_stands_out_between_stores_of_different_speed(change, expected):
    random = np.random.default_rng(11)
    a = one(random)
    b = one(random, start_s=DAY_S, slower={4: change})
    found = compare_measurements(a, b)
    for case in found.cases[:4] + found.cases[5:]:
        assert case.verdict not in FALSE
    if expected is not None:
        assert found.cases[4].verdict is expected
        assert found.cases[4].difference == pytest.approx(change, abs=0.01)
    assert math.expm1(found.sentinel_log or 0) != pytest.approx(0, abs=1e-3)


def test_between_stores_what_all_cases_share_is_taken_off_and_shown():
    random = np.random.default_rng(13)
    everything = dict.fromkeys(range(12), 0.04)
    found = compare_measurements(one(random), one(random, start_s=DAY_S, slower=everything))
    assert sum(found.counts[verdict] for verdict in FALSE) == 0
    assert found.shared_log == pytest.approx(math.log(1.04), abs=0.01)
    for case in found.cases:
        shown = case.effect_log + case.shared_log + (found.sentinel_log or 0)
        assert shown == pytest.approx(case.raw_log, abs=0.03), "the raw change holds all three"


def test_another_version_is_not_measured_by_its_own_sentinel():
    """A version that is slower at everything is slower at the sentinel, too."""
    random = np.random.default_rng(17)
    changed = dict.fromkeys(range(12), 0.5)
    b = one(random, start_s=DAY_S, slower=changed, condition=OTHER)
    found = compare_measurements(one(random), b)
    assert found.basis is Basis.TIME
    assert {case.verdict for case in found.cases} == {Verdict.SLOWER}
    assert found.shared_log is None


def test_without_pairs_plain_time_allows_for_the_speed_of_the_machine():
    """Its speed moves all cases alike: whole comparisons are false, or none of their cases."""
    random = np.random.default_rng(19)
    false = 0
    for _ in range(40):
        found = compare_measurements(one(random), one(random, start_s=DAY_S, condition=OTHER))
        assert (found.basis, found.pairing) == (Basis.TIME, Pairing.NONE)
        false += any(found.counts[verdict] for verdict in FALSE)
    assert false <= 5


def test_launches_of_one_worker_are_paired_by_it():
    random = np.random.default_rng(23)
    speed = 0.2 * random.standard_normal(8)
    log_ms = speed[:, None] + 0.001 * random.standard_normal((8, 6))
    times = 10.0 * np.arange(8)
    slow = log_ms + np.log1p(0.02) + 0.001 * random.standard_normal((8, 6))
    found = compare_measurements(
        side(log_ms, None, times, prefix="w"), side(slow, None, times, OTHER, prefix="w")
    )
    assert found.pairing is Pairing.WORKERS
    assert {case.verdict for case in found.cases} == {Verdict.SLOWER}
    assert found.cases[0].difference == pytest.approx(0.02, abs=0.003)


def test_a_copy_that_was_measured_on_is_refused_and_a_whole_copy_is_the_same():
    random = np.random.default_rng(29)
    times = 10.0 * np.arange(10)
    log_ms = 0.001 * random.standard_normal((10, 6))
    log_ms[5:] += np.log1p(0.5)
    short, grown = (side(log_ms[:n], None, times[:n], prefix="w") for n in (5, 10))
    for sides in ((short, grown), (grown, short)):
        with pytest.raises(
            ConfigError, match=r"5 launches of .* which have .* a store of its own"
        ):
            compare_measurements(*sides)
    found = compare_measurements(grown, grown)
    assert {case.verdict for case in found.cases} == {Verdict.SAME}


def test_the_interval_of_pairs_is_that_of_student():
    """Four pairs are not trimmed, and one case lends no certainty to another."""
    random = np.random.default_rng(29)
    a, b = 0.01 * random.standard_normal((2, 4, 1))
    times = 10.0 * np.arange(4)
    found = compare_measurements(
        side(a, None, times, prefix="w"), side(b, None, times, OTHER, prefix="w")
    )
    test = stats.ttest_rel(b[:, 0], a[:, 0])
    low, high = test.confidence_interval(0.95)
    (case,) = found.cases
    # Times are whole nanoseconds of a thousand runs.
    assert (case.low_log, case.high_log) == pytest.approx((low, high), abs=1e-6)
    assert case.p == pytest.approx(test.pvalue, abs=1e-3)


def test_p_values_are_adjusted_for_all_cases():
    random = np.random.default_rng(31)
    found = compare_measurements(one(random), one(random, start_s=DAY_S, slower={4: 0.05}))
    expected = stats.false_discovery_control([case.p for case in found.cases])
    assert [case.q for case in found.cases] == pytest.approx(expected.tolist())


def test_a_wide_margin_makes_the_same_of_an_ambiguous_case():
    random = np.random.default_rng(37)
    sides = one(random), one(random, start_s=DAY_S)
    assert compare_measurements(*sides).counts[Verdict.SAME] < 12
    assert compare_measurements(*sides, Rule(margin=0.03)).counts[Verdict.SAME] == 12


def test_a_sure_difference_within_the_margin_is_no_difference():
    times = 10.0 * np.arange(6)
    noise = 1e-4 * np.random.default_rng(41).standard_normal((2, 6, 6))
    found = compare_measurements(
        side(noise[0], None, times, prefix="w"),
        side(noise[1] + 0.005, None, times, OTHER, prefix="w"),
    )
    assert {case.verdict for case in found.cases} == {Verdict.SAME}
    assert max(case.q for case in found.cases) < 1e-3


def test_cases_of_one_side_are_listed_and_not_compared():
    random = np.random.default_rng(43)
    a, b = one(random, cases=4), one(random, start_s=DAY_S, cases=7)
    found = compare_measurements(a, b)
    assert [case.operator for case in found.cases] == list(OPERATORS[:4])
    assert (found.only_a, found.only_b) == ((), OPERATORS[4:7])
    assert compare_measurements(b, a).only_a == OPERATORS[4:7]


def test_one_launch_gives_no_interval_and_no_verdict():
    random = np.random.default_rng(47)
    found = compare_measurements(one(random, launches=1), one(random, start_s=DAY_S, launches=5))
    assert {case.verdict for case in found.cases} == {Verdict.AMBIGUOUS}
    assert {case.interval for case in found.cases} == {None}
    assert {case.q for case in found.cases} == {1.0}


def test_swapping_the_sides_turns_every_effect_round():
    random = np.random.default_rng(53)
    a, b = one(random), one(random, start_s=DAY_S, slower={2: 0.05})
    there, back = compare_measurements(a, b), compare_measurements(b, a)
    for case, mirrored in zip(there.cases, back.cases, strict=True):
        assert case.effect_log == pytest.approx(-mirrored.effect_log)
        assert case.p == pytest.approx(mirrored.p)
    assert back.cases[2].verdict is Verdict.FASTER


def test_nothing_in_common_is_an_empty_comparison():
    random = np.random.default_rng(59)
    a = one(random, cases=2)
    b = one(random, cases=6).only({OPERATORS[5]})
    found = compare_measurements(a, b)
    assert found.cases == ()
    assert found.only_b == (OPERATORS[5],)


def test_a_side_is_of_one_condition():
    random = np.random.default_rng(61)
    mixed = [
        *one(random, cases=2).measurements.values(),
        *one(random, cases=2, condition=OTHER).measurements.values(),
    ]
    with pytest.raises(ConfigError, match="one condition"):
        Side.of(mixed)
    with pytest.raises(ConfigError, match="at least one"):
        Side.of([])
    with pytest.raises(ConfigError, match="one condition"):
        Side.of([mixed[0], replace(mixed[1], origin="measured")])


def test_the_sentinel_is_no_basis_where_there_is_none():
    times = 10.0 * np.arange(4)
    sides = side(np.zeros((4, 2)), None, times), side(np.zeros((4, 2)), None, times + DAY_S)
    assert compare_measurements(*sides).basis is Basis.TIME
    with pytest.raises(ConfigError, match="--basis time"):
        compare_measurements(*sides, Rule(basis=Basis.SENTINEL))


@pytest.mark.parametrize(
    "wrong",
    [{"margin": 0}, {"margin": math.nan}, {"margin": math.inf}, {"alpha": 1}, {"level": 0}],
)
def test_a_rule_has_sane_numbers(wrong):
    with pytest.raises(ConfigError):
        Rule(**wrong)


def test_the_margin_follows_what_the_device_repeats():
    assert [default_margin(r) for r in (None, 0.001, 0.02)] == [0.01, 0.01, 0.04]
