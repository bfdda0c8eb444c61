"""Corpora of many architectures on many devices: their traps, splits and checksums."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq
import pytest
from hypothesis import given
from hypothesis import strategies as st

from elat.core.artefact import sha256_of
from elat.core.errors import ArtefactError, ConfigError, UnavailableError, UnknownNameError
from elat.datasets.corpora import fetching
from elat.datasets.corpora.fbnet import CANDIDATES, FBNET, LAYERS, read_fbnet
from elat.datasets.corpora.fetching import CORPORA, fetch_corpus
from elat.datasets.corpora.haq_cycles import HAQ_CYCLES, read_haq_cycles
from elat.datasets.corpora.locate import Corpus, corpus_path
from elat.datasets.corpora.nas_bench_201 import NAS_BENCH_201, read_nas_bench_201
from elat.datasets.corpora.ofa_table import OFA_TABLES, read_ofa_table
from elat.datasets.corpora.pixel1_logs import PIXEL1_LOGS, read_pixel1_logs
from elat.datasets.corpora.splits import grouped_split, random_split
from elat.datasets.fetch import main as fetch
from elat.latency.cells.cell import all_cells, cell_text
from elat.latency.imports.tables import imported_table


def published(corpus: Corpus) -> Path:
    """The file of `corpus`, or a skipped test that says where to get it."""
    try:
        return corpus_path(corpus)
    except ArtefactError as error:
        pytest.skip(str(error))


def write(path: Path, key: str, texts: list[str], **columns: list[float]) -> Path:
    pq.write_table(pa.table({"arch_idx": range(len(texts)), key: texts, **columns}), path)
    return path


@pytest.fixture(scope="module")
def nb201():
    return read_nas_bench_201(published(NAS_BENCH_201))


class TestNASBench201:
    def test_every_cell_is_there_once_on_27_columns(self, nb201):
        assert nb201.table.latency_ms.shape == (15625, 27)
        assert len(np.unique(nb201.cells, axis=0)) == 15625
        assert nb201.table.target_names == nb201.table.names

    def test_whole_milliseconds_and_eager_columns_are_flagged(self, nb201):
        columns = nb201.table.columns
        whole = {column.name for column in columns if column.is_whole_ms}
        assert whole == {"pixel2", "samsung_a50", "samsung_s7", "essential_ph_1"}
        eager = {column.name for column in columns if column.is_eager}
        assert {"titan_rtx_256", "gold_6226", "silver_4114"} <= eager
        assert not eager & {"pixel3", "raspi4", "fpga", "eyeriss", "pixel2"}

    def test_twins_are_measured_alike_where_the_meter_is_good(self, nb201):
        """Of published pairs 100 % are within 10 % on large GPU batches, 42 % on a Pixel 2."""
        order = np.argsort(nb201.twins, kind="stable")
        is_pair = nb201.twins[order][1:] == nb201.twins[order][:-1]
        share = {}
        for name in ("titan_rtx_256", "pixel2"):
            latency = nb201.table.of([name])[order, 0]
            ratio = (latency[1:] / latency[:-1])[is_pair]
            share[name] = np.mean(np.abs(np.log(ratio)) < np.log(1.1))
        assert share["titan_rtx_256"] > 0.99 > 0.6 > share["pixel2"]

    def test_a_file_without_a_cell_is_refused(self, tmp_path):
        texts = [cell_text(cell) for cell in all_cells()[:-1]]
        path = write(tmp_path / "t.parquet", "arch_str", texts, phone=[1.0] * len(texts))
        with pytest.raises(ArtefactError, match="each of 15625 cells once"):
            read_nas_bench_201(path)

    @pytest.mark.parametrize("value", [0.0, -1.0, float("nan"), float("inf")])
    def test_a_latency_that_is_none_is_refused(self, tmp_path, value):
        text = cell_text(all_cells()[0])
        path = write(tmp_path / "t.parquet", "arch_str", [text], phone=[value])
        with pytest.raises(ArtefactError, match="not above 0"):
            read_nas_bench_201(path)

    def test_damage_and_absence_say_where_to_get_it(self, tmp_path):
        (tmp_path / "t.parquet").write_bytes(b"PAR1 cut short")
        for name in ("t.parquet", "absent.parquet"):
            with pytest.raises(ArtefactError, match="get it again from the GitHub project"):
                read_nas_bench_201(tmp_path / name)


class TestFBNet:
    def test_exact_sums_are_refused_as_test_targets_and_may_be_learnt_from(self):
        table = read_fbnet(published(FBNET)).table
        assert set(table.names) - set(table.target_names) == {
            *("pixel3", "raspi4", "eyeriss", "fpga")
        }
        assert table.targets(["1080ti_1"]).shape == table.of(["raspi4"]).shape == (5000, 1)
        for name in ("pixel3", "raspi4", "eyeriss", "fpga"):
            with pytest.raises(ConfigError, match=rf"{name} is no test target: .*exact sums"):
                table.targets([name])
        with pytest.raises(UnknownNameError, match="device column"):
            table.of(["raspi5"])

    def test_what_is_refused_is_what_a_linear_fit_explains(self):
        """The refusals are facts about the file: recounted here by least squares."""
        corpus = read_fbnet(published(FBNET))
        hot = (corpus.choices[:, :, None] == np.arange(CANDIDATES)).reshape(
            -1, LAYERS * CANDIDATES
        )
        latency = corpus.table.latency_ms
        solution, *_ = np.linalg.lstsq(hot.astype(float), latency, rcond=None)
        left = (latency - hot @ solution).std(axis=0) / latency.std(axis=0)
        refused = [bool(column.refusal) for column in corpus.table.columns]
        assert (left[refused] < 1e-3).all() and left[np.invert(refused)].min() > 0.01

    @pytest.mark.parametrize("text", ["0 1 2", " ".join(["9"] * 22), "a b"])
    def test_choices_of_another_space_are_refused(self, tmp_path, text):
        path = write(tmp_path / "t.parquet", "op_idx", [text], phone=[1.0])
        with pytest.raises(ArtefactError, match="get it again"):
            read_fbnet(path)


class TestOthers:
    @pytest.mark.parametrize("resolution", [*OFA_TABLES])
    def test_once_for_all_s_tables_are_imported(self, resolution):
        table = read_ofa_table(resolution, published(OFA_TABLES[resolution]))
        assert table.origin == "imported" and len(table) > 50
        assert table.condition.device == "samsung-note10"

    def test_another_resolution_is_unknown(self):
        with pytest.raises(UnknownNameError, match="192"):
            read_ofa_table(208)

    def test_three_runs_of_four_networks(self):
        published(PIXEL1_LOGS[0])
        logs = read_pixel1_logs()
        assert {name: len(runs) for name, runs in logs.items()} == dict.fromkeys(logs, 3)
        assert len(logs) == 4
        assert round(logs["mobilenet"][0].latency_ms, 1) == 123.2

    def test_haq_s_cycles_are_simulated_and_no_milliseconds(self):
        found = read_haq_cycles(published(HAQ_CYCLES))
        assert found.origin == "simulated"
        with pytest.raises(ConfigError):
            imported_table(found, read_ofa_table(192, published(OFA_TABLES[192])).condition)

    def test_another_array_is_no_table_of_cycles(self, tmp_path):
        np.save(tmp_path / "x.npy", np.zeros(3))
        with pytest.raises(ArtefactError, match="get it again"):
            read_haq_cycles(tmp_path / "x.npy")


class TestSplits:
    @given(
        st.lists(st.integers(0, 20), min_size=3, max_size=60),
        st.integers(1, 10),
        st.integers(0, 9),
    )
    def test_twins_do_not_cross_and_no_training_row_is_lost(self, groups, train, seed):
        numbers = np.array(groups)
        free = random_split(len(groups) + 10, train, np.random.default_rng(seed))
        assert len(free.train) == train
        if train >= len(groups):
            return
        try:
            split = grouped_split(numbers, train, np.random.default_rng(seed))
        except ConfigError:
            drawn = random_split(len(groups), train, np.random.default_rng(seed)).train
            assert set(groups) == set(numbers[drawn].tolist())
            return
        assert not set(numbers[split.train].tolist()) & set(numbers[split.test].tolist())
        same = random_split(len(groups), train, np.random.default_rng(seed))
        assert np.array_equal(same.train, split.train)
        assert set(split.test) <= set(same.test)

    @pytest.mark.parametrize("train", [0, 5, 6, -1])
    def test_an_empty_side_is_refused(self, train):
        with pytest.raises(ConfigError, match="leave no split"):
            random_split(5, train, np.random.default_rng(0))


class TestFetching:
    def test_every_published_file_has_the_checksum_that_is_asked_for(self):
        """Of those at hand; a corpus that is not is left to its own skip."""
        present = [c for files in CORPORA.values() for c in files if _is_present(c)]
        if not present:
            published(NAS_BENCH_201)
        for corpus in present:
            assert sha256_of(corpus_path(corpus).read_bytes()) == corpus.sha256, corpus.file

    def test_a_file_is_fetched_checked_and_kept(self, tmp_path, monkeypatch):
        corpus = _served(tmp_path, b"latencies")
        monkeypatch.setattr(fetching, "CORPORA", {"made-up": (corpus,)})
        folder = fetch_corpus("made-up", tmp_path / "data")
        assert (folder / corpus.file).read_bytes() == b"latencies"
        (tmp_path / "source").unlink()
        assert fetch_corpus("made-up", tmp_path / "data") == folder

    def test_another_content_is_not_kept(self, tmp_path, monkeypatch):
        corpus = _served(tmp_path, b"latencies")
        (tmp_path / "source").write_bytes(b"others")
        monkeypatch.setattr(fetching, "CORPORA", {"made-up": (corpus,)})
        with pytest.raises(ArtefactError, match=r"expected .* it was not kept"):
            fetch_corpus("made-up", tmp_path / "data")
        assert not (tmp_path / "data" / corpus.file).exists()

    def test_what_has_no_address_says_how_to_get_it_by_hand(self, tmp_path, capsys):
        with pytest.raises(UnavailableError, match=r"HayeonLee/HELP.*export ELAT_DATA=FOLDER"):
            fetch_corpus("fbnet", tmp_path)
        assert fetch(["fbnet", str(tmp_path)]) == 3
        assert "HayeonLee/HELP" in capsys.readouterr().err

    def test_an_unknown_corpus_names_the_known_ones(self, tmp_path):
        with pytest.raises(UnknownNameError, match="nas-bench-201"):
            fetch_corpus("nas-bench-301", tmp_path)


def _is_present(corpus: Corpus) -> bool:
    try:
        return corpus_path(corpus).is_file()
    except ArtefactError:
        return False


def _served(folder: Path, data: bytes) -> Corpus:
    source = folder / "source"
    source.write_bytes(data)
    return Corpus(
        "A made-up corpus", "made/up.bin", "nowhere", "MIT", source.as_uri(), sha256_of(data)
    )
