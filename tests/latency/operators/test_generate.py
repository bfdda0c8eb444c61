"""Operators of random configuration: distinct, bounded, and decided by the seed alone."""

from __future__ import annotations

from collections import Counter

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from elat.core.errors import ConfigError, UnknownNameError
from elat.latency.operators import operators
from elat.latency.operators.generate import (
    LEAST_MS,
    MOST_MS,
    generate,
    generated_kinds,
    roofline_ms,
)
from elat.latency.operators.mbconv import MBConv
from elat.latency.operators.serial import from_json, kind_of, to_json


def test_a_thousand_are_distinct_bounded_and_of_every_kind():
    found = generate(1000, 0)
    assert len(set(found)) == 1000
    assert all(LEAST_MS <= roofline_ms(operator) <= MOST_MS for operator in found)
    counts = Counter(map(kind_of, found))
    assert counts.keys() == set(generated_kinds())
    assert min(counts.values()) >= 10
    assert [from_json(to_json(operator)) for operator in found] == list(found)


def test_every_kind_is_generated_or_a_network_or_takes_no_time():
    assert set(operators) - set(generated_kinds()) == {"chain", "dag", "zero", "identity"}


@given(st.integers(0, 2**32), st.integers(1, 40), st.integers(1, 40))
@settings(deadline=None, max_examples=20)
def test_a_smaller_count_is_the_start_of_a_larger_one(seed, one, other):
    few, many = sorted((one, other))
    assert generate(many, seed)[:few] == generate(few, seed)


def test_another_seed_gives_others():
    assert not set(generate(50, 0)) & set(generate(50, 1))


def test_kinds_can_be_chosen():
    found = generate(20, 0, ("mbconv", "add"))
    assert {kind_of(operator) for operator in found} == {"mbconv", "add"}
    assert found == generate(20, 0, ("add", "mbconv"))
    blocks = [operator for operator in found if isinstance(operator, MBConv)]
    assert len({block.kernel for block in blocks}) > 1


@pytest.mark.parametrize("kind", ["chain", "zero", "convolution"])
def test_a_kind_that_is_not_generated_is_refused(kind):
    with pytest.raises(UnknownNameError, match=kind):
        generate(1, 0, (kind,))


def test_no_operators_are_refused():
    with pytest.raises(ConfigError, match="At least 1"):
        generate(0, 0)


def test_more_than_there_are_is_refused():
    with pytest.raises(ConfigError, match="distinct operators of shift"):
        generate(5000, 0, ("shift",))
