"""The figure and the table of what aggregation costs. Nothing was measured."""

from __future__ import annotations

from dataclasses import replace

import pytest

from elat.latency.condition import Condition, Method, Precision
from elat.reports.aggregation import (
    AggregationCosts,
    DeviceCosts,
    NetworkCost,
    Shape,
    SliceCost,
    Time,
)
from elat.reports.document import lead_of
from elat.reports.figures.aggregation_cost import AggregationCost
from elat.reports.inputs import ReportInputs
from elat.reports.renderers import to_csv
from elat.reports.source import Source
from elat.reports.tables.aggregation_cost import AggregationCostTable

CONDITION = Condition("one", "simulated", "1", Precision.FP32, 1, 1, Method.BLOCK, ())
SHAPE = Shape(4, 3, 8)
COST = NetworkCost(
    SHAPE, "dense sum", 10, 1_500_000, 10_000, 2**20,
    Time(3.0, 0.3), Time(1.0, 0.1), Time(2.0, 0.1), Time(6.0, 0.2), Time(1.0, 0.1),
    Time(8.0, 0.2),
)  # fmt: skip
COSTS = AggregationCosts(
    (
        DeviceCosts(
            Source("simulated", "one", CONDITION),
            "screen",
            (COST, replace(COST, name="unrun", whole=None)),
            (
                SliceCost(SHAPE, 4, 12, Time(2.0, 0.1), Time(1.0, 0.1)),
                SliceCost(SHAPE, 2, 12, Time(1.0, 0.1), Time(3.0, 0.1)),
            ),
        ),
    )
)
INPUTS = ReportInputs((), (), (), aggregations=(COSTS,))


def test_shares_are_of_the_layers_and_the_check_of_the_whole() -> None:
    assert [COST.share(part) for part in (COST.join, COST.norm, COST.conv)] == pytest.approx(
        [1 / 2, 1 / 6, 1 / 3]
    )
    assert COST.sum_over_whole == pytest.approx(7 / 8)
    assert replace(COST, whole=None).sum_over_whole is None


def test_json_round_trip() -> None:
    (device,) = COSTS.devices
    assert DeviceCosts.from_json(device.to_json()) == device
    assert COSTS.shapes == (SHAPE,)


def test_the_figure_shows_shares_times_and_ratios() -> None:
    (panel,) = AggregationCost().collect(INPUTS)
    ((shape, bars),) = panel.bars
    assert shape == SHAPE
    assert bars[0].shares == pytest.approx((1 / 2, 1 / 6, 1 / 3))
    assert [bar.label for bar in bars] == ["50% of 6.00 (8.00) ms", "50% of 6.00 ms"]
    assert [line.points for line in panel.lines] == [((2, 3.0), (4, 0.5))]
    assert "one, 4 layers of 3 channels, 8²: dense sum 50%" in AggregationCost().describe((panel,))


def test_the_table_holds_shares_with_their_intervals() -> None:
    table = AggregationCostTable()
    heads, first, second = to_csv(table.lay_out(table.collect(INPUTS))).splitlines()[:3]
    row = dict(zip(heads.split(","), first.split(","), strict=True))
    assert float(row["join_share"]) == pytest.approx(50)
    assert float(row["join_half"]) == pytest.approx(5)
    assert float(row["params_m"]) == pytest.approx(1.5)
    assert float(row["join_traffic_mib"]) == pytest.approx(1)
    assert float(row["sum_over_whole"]) == pytest.approx(7 / 8)
    assert "unrun" in second


def test_the_lead_counts_costs() -> None:
    assert lead_of(INPUTS) == "1 measured cost of aggregation."
