"""What of a store is read to hold a budget."""

from __future__ import annotations

from elat.devices.device import find_device
from elat.flows.budgets import Budget, check_budget, measure_budget
from elat.flows.measuring import Campaign, default_cache
from elat.latency.budget import Held, Limit
from elat.latency.operators.conv import Conv
from elat.latency.store import MeasurementStore, open_store

from .conftest import CARD, QUICK

LIMITED, OTHER = (Conv(3, 4 + i, resolution=8, kernel=3) for i in range(2))


def test_only_what_the_limits_are_about_is_read(tmp_path, monkeypatch):
    monkeypatch.setenv("ELAT_HOME", str(tmp_path))
    (tmp_path / "devices").mkdir()
    (tmp_path / "devices" / "toy.yaml").write_text(CARD)
    limited, other = (
        Budget((Limit("conv", ((model, 1.0),), 1e3),), 0.95) for model in (LIMITED, OTHER)
    )
    asked, measurements = [], MeasurementStore.measurements

    def recording(self, condition, operators=None):
        found = measurements(self, condition, operators)
        asked.append({m.operator for m in found})
        return found

    with open_store(tmp_path / "s.db") as store:
        campaign = Campaign(find_device("toy"), QUICK, store, default_cache(), 0)
        for budget in (limited, other):
            assert all(step.failure is None for step in measure_budget(campaign, budget))
        monkeypatch.setattr(MeasurementStore, "measurements", recording)
        (line,) = check_budget(campaign, limited).lines
    assert line.held is Held.OK
    assert asked == [{LIMITED}]
