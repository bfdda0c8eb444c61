"""What files of other tools said, and profiles: kept once, and equal when read again."""

from __future__ import annotations

from dataclasses import replace

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from elat.core.errors import ArtefactError
from elat.latency.flags import Flag
from elat.latency.imports import Imported, Quantity, Row, Statistic
from elat.latency.imports.serial import from_json, to_json

from .made import CHAIN, CONDITION, CONV

values = st.floats(0, 1e9)
facts = st.dictionaries(
    st.text(max_size=5), st.text(max_size=5) | st.integers() | values | st.booleans(), max_size=3
)
rows = st.builds(
    Row,
    name=st.text(max_size=8),
    value=values,
    statistic=st.sampled_from(Statistic),
    count=st.none() | st.integers(1, 1000),
    samples=st.lists(values, max_size=3).map(tuple),
    reported=st.dictionaries(st.text(max_size=5), values, max_size=2),
    facts=facts,
    operator=st.sampled_from([None, CONV, CHAIN]),
    flags=st.frozensets(st.sampled_from(Flag), max_size=3),
)
imported = st.builds(
    Imported,
    kind=st.text(max_size=5),
    tool=st.text(max_size=5),
    variant=st.text(max_size=5),
    unit=st.sampled_from(["ns", "us", "ms", "s", "cycles"]),
    unit_source=st.text(max_size=5),
    resolution=st.none() | values,
    rows=st.lists(rows, min_size=1, max_size=3).map(tuple),
    sha256=st.text("0123456789abcdef", min_size=64, max_size=64),
    quantity=st.sampled_from(Quantity),
    origin=st.sampled_from(["imported", "simulated"]),
    facts=facts,
    notes=st.lists(st.text(max_size=5), max_size=2).map(tuple),
)


@given(found=st.lists(imported, max_size=3, unique_by=lambda each: each.sha256))
@settings(
    deadline=None, max_examples=25, suppress_health_check=[HealthCheck.function_scoped_fixture]
)
def test_imports_come_back_as_they_were(store, found):
    known = store.imports()
    new = [each for each in found if each.sha256 not in {other.sha256 for other in known}]
    assert [store.record_import(each) for each in found] == [each in new for each in found]
    assert store.imports() == known + new


def an_import(**changes):
    row = Row("conv", 1.5, Statistic.MEDIAN, operator=CHAIN, flags=frozenset({Flag.MEAN_ONLY}))
    plain = {"kind": "k", "tool": "t", "variant": "v", "unit": "ms", "unit_source": "the header"}
    return Imported(**{**plain, "resolution": None, "rows": (row,), "sha256": "0" * 64, **changes})


def test_the_same_bytes_are_kept_once(store):
    assert store.record_import(an_import())
    assert not store.record_import(an_import(tool="read again"))
    assert store.record_import(an_import(sha256="1" * 64))
    assert [each.tool for each in store.imports()] == ["t", "t"]


def test_fields_with_a_default_may_be_missing_and_others_may_not():
    data = to_json(an_import())
    for name in ("quantity", "origin", "facts", "notes"):
        del data[name]
    for name in ("samples", "reported", "facts", "operator", "flags", "count"):
        del data["rows"][0][name]
    assert from_json(data).rows == (Row("conv", 1.5, Statistic.MEDIAN),)
    for broken in ({}, {**data, "unknown": 1}, {**data, "rows": [{}]}, {**data, "quantity": "?"}):
        with pytest.raises(ArtefactError, match="import is not readable"):
            from_json(broken)


def test_profiles_are_kept_by_case_with_the_newest_last(store):
    other = replace(CONDITION, device="other")
    for operator, condition, number in (
        (CONV, CONDITION, 1),
        (CHAIN, CONDITION, 2),
        (CONV, other, 3),
        (CONV, CONDITION, 4),
    ):
        store.record_profile(operator, condition, {"number": number}, {"kernel": "6.1"})
    assert store.profiles(CONDITION) == {
        CONV: [{"number": 1}, {"number": 4}],
        CHAIN: [{"number": 2}],
    }
    assert store.profiles(other) == {CONV: [{"number": 3}]}
    assert store.measurements(CONDITION) == []
    assert store.conditions() == []
