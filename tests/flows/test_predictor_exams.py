"""Exams of predictors on made-up latencies of every cell, and their protocols."""

from __future__ import annotations

import json
from itertools import product

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq
import pytest
from scipy.stats import spearmanr

from elat.datasets.corpora.nas_bench_201 import NAS_BENCH_201, read_nas_bench_201
from elat.datasets.corpora.nas_bench_macro import NAS_BENCH_MACRO
from elat.flows import predictor_exams_few_shot as few_shot
from elat.flows import predictor_exams_from_scratch as from_scratch
from elat.flows.predictor_exams import EXAMS, Ceiling, Score, spread
from elat.flows.predictor_exams_constrained import (
    ConstrainedOrder,
    ConstrainedRow,
    Limit,
    Problem,
    constrained_rows,
    constrained_summary,
    count_constrained,
    made_up_worth,
    simulated_latency,
)
from elat.flows.predictor_exams_few_shot import (
    CONTROLS,
    PUBLISHED,
    SOURCES,
    TARGETS,
    FewShotOrder,
    FewShotRow,
    Predictor,
    Selection,
    count_few_shot,
    few_shot_rows,
    few_shot_summary,
)
from elat.flows.predictor_exams_from_scratch import (
    HeldOut,
    Method,
    ScratchOrder,
    count_scratch,
    scratch_rows,
    scratch_summary,
)
from elat.latency.cells.cell import CellOp, all_cells, cell_text
from elat.latency.cells.executed import operation_counts
from elat.latency.cells.few_shot import DevicePool

DEVICES = (*SOURCES, *TARGETS, *CONTROLS)


@pytest.fixture(scope="module")
def folder(tmp_path_factory):
    """Every cell on 27 devices that add up, with 2 % of noise, and a made-up Macro benchmark."""
    root = tmp_path_factory.mktemp("published")
    generator = np.random.default_rng(0)
    cells = generator.permutation(all_cells())
    texts = [cell_text(cell) for cell in cells]
    table: dict[str, object] = {"arch_idx": range(len(cells)), "arch_str": texts}
    for device in DEVICES:
        exact = 2 + operation_counts(cells) @ generator.uniform(0.2, 2, 5)
        table[device] = exact * np.exp(generator.normal(0, 0.02, len(cells)))
    path = root / NAS_BENCH_201.file
    path.parent.mkdir()
    pq.write_table(pa.table(table), path)
    rows = {
        "".join(key): {"test_acc": [80.0 + sum(map(int, key))] * 3, "params": 1, "flops": 1}
        for key in product("012", repeat=8)
    }
    macro = root / NAS_BENCH_MACRO.file
    macro.parent.mkdir()
    macro.write_text(json.dumps(rows))
    return root


@pytest.fixture
def published(folder, monkeypatch):
    monkeypatch.setenv("ELAT_DATA", str(folder))


class TestScores:
    def test_scores_are_scipy_s_and_counts(self):
        truth = np.array([1.0, 2.0, 3.0, 4.0])
        found = Score.of(np.array([1.04, 2.19, 3.6, 3.5]), truth)
        assert found.spearman == pytest.approx(spearmanr([1.04, 2.19, 3.6, 3.5], truth)[0])
        assert (found.within_5, found.within_10) == (0.25, 0.5)

    def test_the_spread_of_one_seed_is_not_known(self):
        assert spread([Score(0.5, 0.1, 0.2)])["spearman"] == {"mean": 0.5, "std": None}
        two = spread([Score(0.5, 0.1, 0.2), Score(0.7, 0.1, 0.2)])
        assert two["spearman"]["std"] == pytest.approx(np.sqrt(0.02))

    def test_the_ceiling_of_gaussian_noise_is_that_of_its_quantiles(self):
        """10 % noise: a perfect predictor is within 10 % in erf(log(1.1) / (0.1 sqrt 2))."""
        generator = np.random.default_rng(4)
        latency = 5 * np.exp(generator.normal(0, 0.1, 40000))
        found = Ceiling.of(latency, np.arange(40000) // 2, generator)
        assert found.perfect_within_10 == pytest.approx(0.6595, abs=0.015)
        assert found.twins_within_10 == pytest.approx(0.4996, abs=0.015)

    def test_without_twins_there_is_no_ceiling(self):
        found = Ceiling.of(np.ones(3), np.arange(3), np.random.default_rng(0))
        assert found.to_json() == {"twins_within_10": None, "perfect_within_10": None}

    def test_every_exam_has_a_name_of_its_own_and_tells_its_minutes(self):
        assert len({exam.name for exam in EXAMS}) == len(EXAMS)
        assert all(exam.minutes > 0 and exam.shows for exam in EXAMS)


class TestFewShot:
    def test_the_columns_are_apart(self):
        assert len(DEVICES) == len(set(DEVICES)) == 27

    def test_published_means_are_those_of_the_devices(self):
        means = {name: round(float(np.mean(row)), 3) for name, row in PUBLISHED.items()}
        assert means == {"HELP, 10 samples": 0.932, "BRP-NAS, 900 samples": 0.789, "MACs": 0.787}

    def test_samples_and_tests_are_the_protocol_s(self, published, monkeypatch):
        """Samples from the middle 80 % of 0-899; tested on that of 900-1899; sources by 0-899."""
        corpus = read_nas_bench_201()
        asked = []

        class Spy:
            def predict(self, samples, latency_ms):
                asked.append(samples)
                return np.linspace(1, 2, 1900)

            def diverse(self, candidates, samples, first):
                return candidates[:samples]

        monkeypatch.setattr(few_shot, "_known_pool", lambda found: Spy())
        order = FewShotOrder(10, 2)
        rows = [*few_shot_rows(order, corpus)]
        assert len(rows) == len(asked) == count_few_shot(order) == 18 * 2 * 2
        for row, samples in zip(rows, asked, strict=True):
            pool = corpus.table.of([row.device])[:900, 0]
            ranks = pool.argsort().argsort()[samples]
            assert len(set(samples.tolist())) == 10 and samples.max() < 900
            assert ranks.min() >= 90 and ranks.max() < 810

    def test_ten_samples_are_enough_where_devices_add_up(self, published, monkeypatch):
        corpus = read_nas_bench_201()
        exact = corpus.table.of(SOURCES)[:1900]
        pool = DevicePool.of(corpus.cells[:1900], exact / np.median(exact, axis=0))
        monkeypatch.setattr(few_shot, "_known_pool", lambda found: pool)
        monkeypatch.setattr(few_shot, "CONTROLS", CONTROLS[:1])
        order = FewShotOrder(10, 2)
        summary = few_shot_summary(order, [*few_shot_rows(order, corpus)])
        assert summary["ours"]["random"]["mean"]["spearman"]["mean"] > 0.88
        assert summary["published"]["HELP, 10 samples"]["mean"] == 0.932
        assert 0.9 < summary["ceiling"]["pixel2"]["perfect_within_10"] <= 1
        json.dumps(summary, allow_nan=False)

    def test_known_devices_are_learnt_from_the_pool_alone(self, published, monkeypatch):
        seen = {}

        class Regression:
            @classmethod
            def fit(cls, cells, latency_ms):
                seen["shape"] = latency_ms.shape
                seen["ms"] = latency_ms
                return cls()

            def predict(self, cells):
                return np.ones((len(cells), 9))

        monkeypatch.setattr(few_shot, "CellRegression", Regression)
        corpus = read_nas_bench_201()
        few_shot._known_pool(corpus)
        assert seen["shape"] == (900, 9)
        assert np.array_equal(seen["ms"], corpus.table.of(SOURCES)[:900])

    def test_graph_networks_see_known_devices_on_the_pool_and_the_samples_alone(
        self, published, monkeypatch
    ):
        fitted, tuned = [], []

        class Known:
            @classmethod
            def fit(cls, cells, latency_ms, *, seed):
                fitted.append(latency_ms)
                return cls()

            def tuned(self, cells, latency_ms):
                tuned.append(latency_ms)

            def predict(self, cells, device):
                return np.arange(len(cells)) + 1.0

        corpus = read_nas_bench_201()
        exact = corpus.table.of(SOURCES)[:1900]
        pool = DevicePool.of(corpus.cells[:1900], exact / np.median(exact, axis=0))
        monkeypatch.setattr(few_shot, "_known_pool", lambda found: pool)
        monkeypatch.setattr(few_shot, "EmbeddedDevices", Known)
        monkeypatch.setattr(few_shot, "CONTROLS", CONTROLS[:1])
        order = FewShotOrder(10, 2, (Selection.RANDOM,), tuple(Predictor))
        rows = [*few_shot_rows(order, corpus)]
        assert len(rows) == count_few_shot(order) == 7 * 2 * 2
        assert len(fitted) == 1
        assert np.array_equal(fitted[0], corpus.table.of(SOURCES)[:900])
        assert [len(latency_ms) for latency_ms in tuned] == [10] * 14
        summary = few_shot_summary(order, rows)
        ours, other = (
            found["ours"]["random"]["mean"]["spearman"]["mean"]
            for found in (summary, summary["gnn"])
        )
        assert ours > 0.88 and abs(other) < 0.2

    def test_means_are_over_devices_and_spread_is_over_seeds(self, published):
        rows = [
            FewShotRow(device, Selection.RANDOM, seed, Score(0.1 * seed + 0.01 * n, 0, 0))
            for seed in range(2)
            for n, device in enumerate((*TARGETS, *CONTROLS))
        ]
        order = FewShotOrder(10, 2, (Selection.RANDOM,))
        found = few_shot_summary(order, rows)["ours"]["random"]["mean"]["spearman"]
        assert found["mean"] == pytest.approx(0.05 + 0.025)
        assert found["std"] == pytest.approx(0.1 / np.sqrt(2))


class TestFromScratch:
    @pytest.mark.slow
    def test_we_beat_a_plain_ridge_where_operations_add_up(self, published):
        order = ScratchOrder((12,), 2)
        rows = [*scratch_rows(order)]
        assert len(rows) == count_scratch(order) == 8
        summary = scratch_summary(order, rows)
        found = summary["sizes"][0]
        assert found["samples"] == 12 and summary["columns"] == 27
        ours, plain = (
            found[m.value][HeldOut.ALL.value]["within_10"]["mean"]
            for m in (Method.OURS, Method.ONE_HOT_RIDGE)
        )
        assert ours > 0.9 and ours > plain + 0.1
        assert set(summary["devices"]) == set(DEVICES)
        json.dumps(summary, allow_nan=False)

    def test_graph_networks_are_judged_where_asked(self, published, monkeypatch):
        class Networks:
            @classmethod
            def fit(cls, cells, latency_ms, *, seed):
                assert latency_ms.shape == (len(cells), 27) == (12, 27)
                return cls()

            def predict(self, cells):
                return np.tile(np.arange(len(cells))[:, None] + 1.0, (1, 27))

        monkeypatch.setattr(from_scratch, "CellNetworks", Networks)
        order = ScratchOrder((12,), 2, (Method.GNN,))
        rows = [*scratch_rows(order)]
        assert len(rows) == count_scratch(order) == 4
        assert {row.method for row in rows} == {Method.GNN}


class TestConstrained:
    def test_it_runs_and_says_origins(self, published):
        order = ConstrainedOrder(6, 1, 4)
        rows = [*constrained_rows(order)]
        assert len(rows) == count_constrained(order) == 2 * 3 * 6
        assert rows == [*constrained_rows(order)]
        problems = constrained_summary(order, rows)["problems"]
        assert "latencies simulated" in problems["nas-bench-macro"]["origin"]
        assert "worth made up" in problems["nas-bench-201"]["origin"]
        for row in rows:
            assert row.margin >= 0 or row.limit is Limit.ONE
            assert row.is_found or not row.is_broken

    def test_shares_are_of_all_draws(self):
        rows = [
            ConstrainedRow(problem, "d", limit, found, broken, 0.5, 0.1)
            for problem, limit in product(Problem, Limit)
            for found, broken in ((True, True), (True, False), (False, False), (True, False))
        ]
        found = constrained_summary(ConstrainedOrder(4), rows)["problems"]["nas-bench-macro"]
        limit = found["limit of the pick"]
        assert (limit["broken"], limit["picks"], limit["refused"]) == (0.25, 3, 1)
        assert (limit["regret"], limit["margin"]) == (0.5, 0.1)

    def test_simulated_latencies_are_positive_and_grow_with_what_runs(self):
        choices = np.array([*product(range(3), repeat=8)])
        found = simulated_latency(choices, np.random.default_rng(0))
        assert found.min() > 0
        assert np.corrcoef(found, choices.sum(axis=1))[0, 1] > 0.5

    def test_made_up_worth_grows_with_convolutions(self, published):
        corpus = read_nas_bench_201()
        worth = made_up_worth(corpus, np.random.default_rng(0))
        convolutions = (corpus.cells == CellOp.CONV_3X3).sum(axis=1)
        means = [worth[convolutions == number].mean() for number in range(5)]
        assert means == sorted(means)
