"""What a model learnt from, and what is outside of it."""

from __future__ import annotations

from hypothesis import given, settings
from hypothesis import strategies as st

from elat.latency.models.domain import Domain, Excess
from elat.latency.operators.conv import Conv
from elat.latency.operators.generate import generate
from elat.latency.operators.linear import Linear
from elat.latency.operators.zero import Zero

OPERATORS = generate(120, seed=4)
DENSE = [Conv(16, 24, 28, 3), Conv(32, 24, 28, 3), Conv(16, 48, 14, 5, 2)]


@settings(max_examples=20, deadline=None)
@given(learnt=st.sets(st.sampled_from(OPERATORS), min_size=1))
def test_what_was_learnt_from_is_inside_and_more_of_it_widens(learnt):
    domain, wider = Domain.of(learnt), Domain.of(OPERATORS)
    assert not any(domain.beyond(operator) for operator in learnt)
    for operator in OPERATORS:
        assert len(wider.beyond(operator)) <= len(domain.beyond(operator))


def test_every_quantity_that_is_outside_is_named_with_the_limits():
    (found,) = Domain.of(DENSE).beyond(Conv(8, 24, 28, 3, activation=DENSE[0].activation))[:1]
    assert found == Excess("in_channels", 8, 16, 32)
    assert str(found) == "in_channels 8 (learnt: 16 to 32)"
    names = [excess.name for excess in Domain.of(DENSE).beyond(Conv(64, 64, 56, 7))]
    assert names == [
        "in_channels", "out_channels", "resolution", "kernel",
        "multiply-adds", "parameters", "moved elements",
    ]  # fmt: skip


def test_costs_are_outside_though_every_attribute_is_inside():
    learnt = [Conv(16, 256, 14, 3), Conv(256, 16, 14, 3)]
    found = Domain.of(learnt).beyond(Conv(256, 256, 14, 3))
    assert {excess.name for excess in found} >= {"multiply-adds", "parameters"}
    assert not {excess.name for excess in found} & {"in_channels", "out_channels"}


def test_loops_are_sorts_of_their_own():
    domain = Domain.of(DENSE)
    for other, sort in ((Conv(16, 24, 28, 1), "pointwise conv"), (Linear(64, 10), "linear")):
        (found,) = domain.beyond(other)
        assert found == Excess("kind", sort)
        assert str(found) == f"no {sort} was learnt from"
    assert domain.beyond(Conv(24, 24, 28, 3, groups=24))[0].value == "depthwise conv"


def test_what_is_free_is_never_outside():
    assert Domain.of(DENSE).beyond(Zero(16, 28)) == ()
