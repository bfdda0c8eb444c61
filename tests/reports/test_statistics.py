from __future__ import annotations

from itertools import combinations

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from elat.reports.statistics import errors, kendall, relative_errors, spearman


def test_errors_by_hand() -> None:
    found = errors([1.0, 2.2, 2.7], [1.0, 2.0, 3.0])
    assert found.count == 3
    assert found.mape == pytest.approx(0.2 / 3)
    assert found.bias == pytest.approx(0.0, abs=1e-15)
    assert found.within_5 == pytest.approx(1 / 3)
    assert relative_errors([0.1, -0.05, 0.2], None).within_10 == pytest.approx(2 / 3)
    assert relative_errors([0.1, -0.05, 0.2], None).within_5 == pytest.approx(1 / 3)
    assert found.spearman == pytest.approx(1.0)


def test_errors_refuse_what_has_none() -> None:
    for predicted, measured in (([], []), ([1.0], [0.0]), ([1.0], [1.0, 2.0])):
        with pytest.raises(ValueError, match=r"pairs|at least one"):
            errors(predicted, measured)


@settings(deadline=None)
@given(st.lists(st.tuples(st.integers(), st.integers()), min_size=3, max_size=12, unique=True))
def test_kendall_counts_pairs(points: list[tuple[int, int]]) -> None:
    x, y = [float(a) for a, _ in points], [float(b) for _, b in points]
    if len(set(x)) < len(x) or len(set(y)) < len(y):
        return
    signs = [
        1 if (a[0] - b[0] > 0) == (a[1] - b[1] > 0) else -1
        for a, b in combinations(list(zip(x, y, strict=True)), 2)
    ]
    assert kendall(x, y) == pytest.approx(sum(signs) / len(signs))


def test_ranks_are_unknown_for_few_or_constant_points() -> None:
    assert spearman([1, 2], [1, 2]) is None
    assert spearman([1, 1, 1], [1, 2, 3]) is None
    assert kendall([1, 2, 3], [2, 2, 2]) is None
    assert spearman([1, 2, 3], [1, 4, 9]) == pytest.approx(1)
