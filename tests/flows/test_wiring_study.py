"""Studies of wirings: equal bounds for all, nothing done twice, and what may change."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest
import yaml

from elat.core.errors import ArtefactError, ConfigError, InfeasibleError
from elat.flows.wiring_settings import of_growth, read_wiring_settings
from elat.flows.wiring_study import StudyOrder, StudyStep, run_study
from elat.latency.protocol import PROTOCOLS, SCREEN
from elat.reports.wirings import WIRINGS, Wiring, WiringRow, Wirings, read_wirings
from elat.search.architecture import Architecture
from elat.search.spaces import space_from_description
from elat.search.spaces.aggregation import AggregationSpace
from elat.search.spaces.wirings import dense, exponential

SPACE = """
family: aggregation
resolution: 8
in_channels: 1
classes: 10
stages:
  - {layers: 4, growth: 4}
  - {layers: 4, growth: 4}
head: 8
"""
SEARCH = {
    "warmup_steps": 2,
    "steps": 4,
    "batch_size": 16,
    "architecture_batch_size": 16,
    "score_batches": 2,
    "candidates": 2,
    "polish_evaluations": 1,
    "calibration_batches": 1,
    "final_calibration_batches": 1,
}
# As in the lab, and enough passes for whole networks, whose groups are larger.
QUICK = replace(SCREEN, passes=4, max_passes=4, group_min_ms=1.0, warmup_min_ms=1.0)


@pytest.fixture
def config(lab, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    monkeypatch.setitem(PROTOCOLS, "screen", QUICK)
    (tmp_path / "links.yaml").write_text(SPACE)
    return written(tmp_path)


def written(folder: Path, **changes: Any) -> Path:
    settings = {
        "space": str(folder / "links.yaml"),
        "device": "toy",
        "scales": [6],
        "dense_growths": [1, 2, 3, 4],
        "seeds": [0],
        "data": "digits",
        "protocol": "screen",
        "networks": 6,
        "search": SEARCH,
        "train": {"steps": 2, "batch_size": 16},
    }
    path = folder / "study.yaml"
    path.write_text(yaml.safe_dump({**settings, **changes}))
    return path


def studied(config: Path, out: Path) -> tuple[list[StudyStep], Wirings]:
    *steps, found = run_study(StudyOrder(config, out, 1, None))
    assert isinstance(found, Wirings)
    return [step for step in steps if isinstance(step, StudyStep)], found


def space_of(row: WiringRow) -> AggregationSpace:
    space = space_from_description(row.space)
    assert isinstance(space, AggregationSpace)
    return space


def test_all_networks_keep_the_bounds_of_the_rule(config: Path, tmp_path: Path) -> None:
    _, found = studied(config, tmp_path / "out")
    rows = {row.wiring: row for row in found.rows}
    assert list(rows) == list(Wiring)
    sparse = rows[Wiring.SPARSE]
    assert sparse.architecture == exponential(space_of(sparse), 2)
    for row in rows.values():
        network = space_of(row).network(row.architecture)
        assert (row.params, row.macs) == (network.params, network.macs)
        assert row.links == sum(map(sum, _degrees(space_of(row), row.architecture)))
        assert row.bound_params == sparse.params
        assert row.measured.origin == "simulated"
        assert 0 <= row.test_accuracy <= 1
        assert (row.before_training is not None) is (row.wiring is Wiring.LEARNED)
    shuffled, learned = rows[Wiring.SHUFFLED], rows[Wiring.LEARNED]
    assert _degrees(space_of(shuffled), shuffled.architecture) == _degrees(
        space_of(sparse), sparse.architecture
    )
    assert shuffled.params == sparse.params
    assert learned.params <= sparse.params
    assert learned.measured.high_ms <= 1.01 * learned.bound_ms  # measured again, with noise
    fast, small = rows[Wiring.DENSE_LATENCY], rows[Wiring.DENSE_PARAMS]
    assert fast.architecture == dense(space_of(fast))
    assert fast.measured.high_ms <= 1.01 * fast.bound_ms
    assert small.params <= sparse.params
    wider = of_growth(str(tmp_path / "links.yaml"), small.growth + 1)
    assert small.growth == 4 or wider.network(dense(wider)).params > sparse.params


def _degrees(space: AggregationSpace, architecture: Architecture) -> tuple[tuple[int, ...], ...]:
    return tuple(tuple(map(len, stage)) for stage in space.sources(architecture))


@pytest.mark.slow
def test_a_study_that_is_done_does_nothing_again(config: Path, tmp_path: Path) -> None:
    out = tmp_path / "out"
    studied(config, out)
    before = (out / WIRINGS).read_bytes()
    kept = {path: path.stat().st_mtime_ns for path in out.rglob("*.safetensors")}
    assert kept
    steps, found = studied(config, out)
    assert {step.stage for step in steps} <= {"verify"}
    assert (out / WIRINGS).read_bytes() == before
    assert {path: path.stat().st_mtime_ns for path in out.rglob("*.safetensors")} == kept
    assert read_wirings(out) == found


@pytest.mark.slow
def test_seeds_may_be_added_and_nothing_else_changed(config: Path, tmp_path: Path) -> None:
    out = tmp_path / "out"
    _, first = studied(config, out)
    steps, more = studied(written(tmp_path, seeds=[0, 1]), out)
    assert {row.seed for row in more.rows} == {0, 1}
    (trained,) = {step.total for step in steps if step.stage == "train"}
    assert trained == len(Wiring), "the networks of the first seed are not trained again"
    for old in first.rows:
        (new,) = (r for r in more.rows if (r.wiring, r.seed) == (old.wiring, old.seed))
        assert new.test_accuracy == old.test_accuracy
    with pytest.raises(ConfigError, match="other settings"):
        studied(written(tmp_path, base=3), out)


@pytest.mark.slow
def test_a_changed_space_is_refused_though_its_file_has_the_same_name(
    config: Path, tmp_path: Path
) -> None:
    studied(config, tmp_path / "out")
    (tmp_path / "links.yaml").write_text(SPACE.replace("head: 8", "head: 16"))
    with pytest.raises(ConfigError, match="another space"):
        studied(config, tmp_path / "out")


@pytest.mark.slow
def test_other_widths_are_other_trainings(config: Path, tmp_path: Path) -> None:
    out = tmp_path / "out"
    _, first = studied(written(tmp_path, dense_growths=[1, 2]), out)
    _, second = studied(written(tmp_path, dense_growths=[1, 2, 3]), out)
    before, after = (
        next(row for row in found.rows if row.wiring is Wiring.DENSE_PARAMS)
        for found in (first, second)
    )
    assert (before.growth, after.growth) == (2, 3)
    assert (out / "trainings" / "dense-parameters-g6-width3-seed0" / "trained.json").exists()


def test_no_dense_network_that_fits_says_what_to_lower(config: Path, tmp_path: Path) -> None:
    with pytest.raises(InfeasibleError, match=r"of growth 40, .* lower dense_growths"):
        studied(written(tmp_path, dense_growths=[40]), tmp_path / "out")


def test_wrong_settings_are_refused_by_name(config: Path, tmp_path: Path) -> None:
    with pytest.raises(ConfigError, match="proxyless-tiny has no links"):
        read_wiring_settings(written(tmp_path, space="proxyless-tiny"))
    with pytest.raises(ConfigError, match="scales"):
        read_wiring_settings(written(tmp_path, scales=[]))
    with pytest.raises(ConfigError, match=r"seeds.*twice"):
        read_wiring_settings(written(tmp_path, seeds=[0, 0]))
    (tmp_path / "free.yaml").write_text(f"{SPACE}previous: free\n")
    with pytest.raises(ConfigError, match="previous: kept"):
        read_wiring_settings(written(tmp_path, space=str(tmp_path / "free.yaml")))
    with pytest.raises(ConfigError, match="warmup_stepz"):
        studied(written(tmp_path, search={"warmup_stepz": 1}), tmp_path / "out")
    assert not (tmp_path / "out").exists()
    with pytest.raises(ArtefactError):
        read_wirings(tmp_path)
