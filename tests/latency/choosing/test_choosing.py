"""Beliefs against conditioning written out; selections that never repeat, overspend or forget."""

from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from elat.core.errors import ConfigError
from elat.latency.choosing import (
    Appearances,
    Beliefs,
    Offer,
    choose,
    is_noisy,
    noise_variance,
    repeat_variance,
    traits_of,
)
from elat.latency.condition import Condition, Method, Precision
from elat.latency.entry import Entry
from elat.latency.operators import Operator
from elat.latency.operators.conv import Conv
from elat.latency.operators.generate import roofline_ms
from elat.latency.operators.global_pool import GlobalPool
from elat.latency.operators.mbconv import MBConv
from elat.latency.operators.zero import Zero

CONDITION = Condition("toy", "simulated", "1", Precision.FP32, 1, 1, Method.BLOCK, options=())
OPERATORS: tuple[Operator, ...] = (
    *(
        MBConv(width, width, side, k, expand=e)
        for width, side in ((16, 14), (24, 14), (40, 7))
        for k in (3, 5, 7)
        for e in (3, 6)
    ),
    Conv(3, 16, 28, 3, 2),
    GlobalPool(40, 7),
    Zero(16, 14),
)
BUSY = OPERATORS[:-1]
PRIOR = Beliefs.prior(OPERATORS, CONDITION)
COUNTS = np.random.default_rng(0).integers(0, 3, (50, len(BUSY))).astype(float)
APPEARANCES = Appearances.of_networks(COUNTS)


def entry(operator: Operator, factor: float = 1.0) -> Entry:
    ms = factor * roofline_ms(operator)
    return Entry(5, ms, 0.02 * ms)


def test_before_anything_is_measured_the_roofline_is_believed():
    assert PRIOR.operators == BUSY
    assert np.exp(PRIOR.mean_log) == pytest.approx([roofline_ms(o) for o in BUSY])
    assert np.linalg.eigvalsh(PRIOR.covariance).min() > -1e-9
    with pytest.raises(ConfigError, match="too small to learn from"):
        Beliefs.prior(OPERATORS[:4], CONDITION)


def test_what_is_measured_conditions_the_rest_as_a_normal_distribution_does():
    # One at a time, as Bayes' rule has it for two normal variables; seven are not yet scaled.
    known = {o: entry(o, 1.0 + 0.1 * i) for i, o in enumerate(BUSY[:7])}
    mean, covariance = PRIOR.mean_log.copy(), PRIOR.covariance.copy()
    for index, (_, found) in enumerate(known.items()):
        column = covariance[:, index].copy()
        spread = column[index] + noise_variance(found)
        mean = mean + column * (np.log(found.mean_ms) - mean[index]) / spread
        covariance = covariance - np.outer(column, column) / spread
    after = PRIOR.given(known)
    assert after.mean_log == pytest.approx(mean, abs=1e-9)
    assert after.covariance == pytest.approx(covariance, abs=1e-9)
    assert PRIOR.given({}) is PRIOR


def test_surprises_make_the_rest_less_sure():
    random = np.random.default_rng(1)
    calm = PRIOR.given({o: entry(o, 1.3) for o in BUSY[:10]})
    wild = PRIOR.given({o: entry(o, float(np.exp(random.normal(0, 1)))) for o in BUSY[:10]})
    assert np.all(np.diag(wild.covariance)[10:] > 10 * np.diag(calm.covariance)[10:])
    # What is measured is as sure as its measurement, whatever the others do.
    noise = noise_variance(entry(BUSY[0]))
    assert np.all(np.diag(wild.covariance)[:10] <= noise)


def test_the_scale_is_that_of_greatest_likelihood():
    from scipy.stats import multivariate_normal

    random = np.random.default_rng(3)
    known = {o: entry(o, float(np.exp(random.normal(0, 0.1)))) for o in BUSY[:12]}
    after = PRIOR.given(known)
    noise = np.diag([noise_variance(e) for e in known.values()])
    logs = np.log([e.mean_ms for e in known.values()])
    inner = PRIOR.covariance[:12, :12]
    scales = np.logspace(-2, 3, 101)
    likely = [
        multivariate_normal.logpdf(logs, PRIOR.mean_log[:12], scale * inner + noise)
        for scale in scales
    ]
    scale = scales[int(np.argmax(likely))]
    gain = scale * PRIOR.covariance[:, :12] @ np.linalg.inv(scale * inner + noise)
    expected = scale * PRIOR.covariance - gain @ (scale * PRIOR.covariance[:12])
    assert after.covariance == pytest.approx(expected, abs=1e-6)


@given(st.integers(1, 20), st.floats(0, 0.3), st.integers(1, 20))
def test_measuring_again_is_worth_what_the_launches_together_are(count, deviation, more):
    ms = 2.0
    before = Entry(count, ms, deviation * ms)
    one, two = noise_variance(before), repeat_variance(before, more)
    assert two > 0
    # More launches of the same scatter: what was seen is kept, and their number is another.
    scatter = (one - noise_variance()) * count
    together = noise_variance() + scatter / (count + more)
    assert 1 / (1 / one + 1 / two) == pytest.approx(together)


def test_few_launches_that_agree_by_chance_are_not_taken_for_sure():
    assert is_noisy(Entry(1, 1.0, 0.0))
    assert not is_noisy(Entry(5, 1.0, 0.005))
    assert is_noisy(Entry(5, 1.0, 0.2))
    assert not is_noisy(Entry(2000, 1.0, 0.2))


def test_appearances_of_rows_are_those_of_all_networks_weighted():
    from itertools import product

    rows = (BUSY[:3], (BUSY[1], None, BUSY[2]), (BUSY[0], OPERATORS[-1]))
    random = np.random.default_rng(4)
    chances = np.zeros((3, 3))
    for row, found in zip(rows, chances, strict=True):
        drawn = random.uniform(0.1, 1, len(row))
        found[: len(row)] = drawn / drawn.sum()
    fixed = (BUSY[2], BUSY[2], BUSY[4])
    counts, weights = [], []
    for choice in product(range(3), range(3), range(2)):
        network = [*fixed, *(row[c] for row, c in zip(rows, choice, strict=True))]
        counts.append([network.count(o) for o in BUSY])
        weights.append(np.prod([chances[i, c] for i, c in enumerate(choice)]))
    moments = Appearances.of_rows(BUSY, rows, chances, fixed)
    table, share = np.array(counts, float), np.array(weights)
    assert moments.mean == pytest.approx(share @ table)
    assert moments.together == pytest.approx(table.T @ (share[:, None] * table))


def test_the_error_of_networks_is_that_of_draws():
    beliefs = PRIOR.given({o: entry(o) for o in BUSY[::2]})
    small = Beliefs(beliefs.operators, beliefs.mean_log, 1e-4 * beliefs.covariance)
    random = np.random.default_rng(2)
    logs = random.multivariate_normal(small.mean_log, small.covariance, 20_000, method="eigh")
    sums = np.exp(logs) @ COUNTS.T
    expected = COUNTS @ np.exp(small.mean_log)
    root = np.sqrt(np.mean((sums - expected) ** 2)) / expected.mean()
    assert small.network_error(APPEARANCES) == pytest.approx(root, rel=0.03)


def offers_of(operators, price=1.0):
    return [Offer(o, noise_variance(), {o: price}) for o in operators]


def select(known=(), candidates=BUSY, price=1.0, seconds=1e9, most=6):
    beliefs = PRIOR.given({o: entry(o) for o in known})
    return choose(
        beliefs, beliefs.importance(APPEARANCES), offers_of(candidates, price),
        seconds=seconds, most=most, seen=known,
    )  # fmt: skip


def test_kinds_that_were_not_seen_come_first():
    first = select(most=3).operators
    assert {type(o) for o in first} == {MBConv, Conv, GlobalPool}
    others = [Conv(3, 16, 28, 3, 2), GlobalPool(40, 7), BUSY[0]]
    assert traits_of(select(known=others, most=1).operators[0]) <= traits_of(BUSY[0])


def test_one_operator_at_a_time_the_greatest_gain_is_taken():
    known = [Conv(3, 16, 28, 3, 2), GlobalPool(40, 7), BUSY[0]]
    left = [o for o in BUSY if o not in known]
    now = PRIOR.given({o: entry(o) for o in known})
    importance = now.importance(APPEARANCES)

    def error(operator):
        index = BUSY.index(operator)
        column = now.covariance[:, index]
        rest = now.covariance - np.outer(column, column) / (column[index] + noise_variance())
        return float(np.sum(importance * rest))

    assert select(known=known, most=1).operators[0] == min(left, key=error)


def test_what_costs_nothing_more_is_taken_before_what_does():
    shared = {BUSY[0], BUSY[1]}

    seen = [Conv(3, 16, 28, 3, 2), GlobalPool(40, 7), BUSY[5]]
    beliefs = PRIOR.given({o: entry(o) for o in seen})
    left = [o for o in BUSY if o not in seen]
    offers = [Offer(o, noise_variance(), {"shared" if o in shared else o: 10.0}) for o in left]
    selection = choose(
        beliefs, beliefs.importance(APPEARANCES), offers, seconds=1e9, most=len(left), seen=seen
    )
    found = selection.operators
    assert selection.seconds == 10.0 * (len(left) - 1)
    places = sorted(found.index(o) for o in shared)
    assert places[1] == places[0] + 1


@given(
    st.sets(st.sampled_from(BUSY)),
    st.sets(st.sampled_from(OPERATORS)),
    st.floats(0.1, 5.0),
    st.floats(0.0, 20.0),
    st.integers(0, 30),
)
@settings(max_examples=60, deadline=None)
def test_nothing_is_taken_twice_nor_beyond_the_time(known, candidates, price, seconds, most):
    found = select(sorted(known, key=str), sorted(candidates, key=str), price, seconds, most)
    assert len(found.operators) == len(set(found.operators)) <= most
    assert set(found.operators) <= candidates - {OPERATORS[-1]}
    assert found.seconds == pytest.approx(price * len(found.operators))
    assert found.seconds <= seconds + 1e-9
    fits = len(found.operators) == most or found.seconds + price > seconds
    assert fits or set(found.operators) == candidates - {OPERATORS[-1]}


def test_a_noisy_operator_is_measured_again_where_that_tells_more_than_a_new_one():
    known = {o: entry(o) for o in BUSY[:-1]}
    noisy, new = BUSY[3], BUSY[-1]
    ms = known[noisy].mean_ms
    known[noisy] = Entry(3, ms, 0.5 * ms)
    often = np.zeros((1, len(BUSY)))
    often[0, 3], often[0, -1] = 20.0, 1.0
    beliefs = PRIOR.given(known)

    def first(appearances):
        offers = [
            Offer(noisy, repeat_variance(known[noisy], 3), {noisy: 1.0}),
            Offer(new, noise_variance(), {new: 1.0}),
        ]
        importance = beliefs.importance(appearances)
        return choose(beliefs, importance, offers, seconds=9.0, most=1, seen=BUSY).operators[0]

    assert first(Appearances.of_networks(often)) == noisy
    often[0, 3] = 0.0
    assert first(Appearances.of_networks(often)) == new
