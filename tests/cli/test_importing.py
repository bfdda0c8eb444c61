"""`elat import` and `elat export`: what is shown, kept and refused, and with what code."""

from __future__ import annotations

from pathlib import Path

import pytest

from elat.devices.device import find_device
from elat.latency.condition import Condition
from elat.latency.imports import importers
from elat.latency.imports.base import UnitlessImporter
from elat.latency.launch import Launch
from elat.latency.operators.mbconv import MBConv
from elat.latency.sample import Sample
from elat.latency.store import Record, open_store
from elat.latency.table import read_table

from ..latency.imports.fuzz import mutants
from ..latency.imports.seeds import seeds

BLOCK = MBConv(8, 8, 14, 3, 1, 3)
CONFIG = '{"name": "ProxylessNASNets", "blocks": []}'


@pytest.fixture
def files(tmp_path):
    """A valid file of every kind by its name, under a name that tells nothing."""
    found = {}
    for number, (kind, variants) in enumerate(seeds().items()):
        found[kind] = tmp_path / f"file{number}"
        found[kind].write_bytes(variants[0])
    return found


@pytest.fixture
def store(tmp_path):
    return tmp_path / "store.db"


def test_every_kind_is_detected_shown_and_kept_once(elat, files, store):
    for kind, path in files.items():
        unit = ("--unit", "us") if issubclass(importers[kind], UnitlessImporter) else ()
        said = elat("import", path, *unit, "--store", store, "--json")
        assert said.code == 0, said.err
        assert (said.json["kind"], said.json["is_new"]) == (kind, True)
        assert said.json["count"] == len(said.json["rows"]) >= 1
        assert {"unit", "unit_source", "resolution", "origin", "notes", "sha256"} <= {*said.json}
        people = elat("import", path, *unit, "--store", store)
        assert people.code == 0
        assert kind in people.out
        assert "was kept before" in people.err
    with open_store(store) as opened:
        assert [imported.kind for imported in opened.imports()] == list(files)


def test_several_files_are_a_list_and_a_refused_one_stops_none(elat, files, store, tmp_path):
    network = tmp_path / "net.config"
    network.write_text(CONFIG)
    said = elat("import", network, files["pyperf"], files["haq-table"], "--store", store, "--json")
    assert said.code == 7
    assert "configuration of a network" in said.error
    assert [found["kind"] for found in said.json] == ["pyperf", "haq-table"]
    assert said.json[1]["origin"] == "simulated"
    assert said.json[1]["quantity"] == "cycles"


@pytest.mark.parametrize(
    ("content", "reason"),
    [
        (CONFIG, "configuration of a network"),
        ('{"image_size": 160}', "training run"),
        ('{"00012222": {"test_acc": [90.0], "mean_acc": 90.0}}', "NAS-Bench-Macro"),
        ('{"conv": [1, 3, 224, 224]}', "shapes of their inputs"),
        ("Apache License\n", "licence"),
        ("kind: latency-table\n", "latency table of elat"),
        ("    TFL3", "TFLite model"),
        ("", "is empty"),
        ("hello", "no importer recognises"),
    ],
)
def test_what_is_no_measurement_is_called_by_its_name(elat, store, tmp_path, content, reason):
    path = tmp_path / "file"
    path.write_text(content)
    said = elat("import", path, "--store", store)
    assert (said.code, reason in said.error) == (7, True), said.error
    assert str(path) in said.error


class TestUnits:
    def test_a_missing_unit_is_asked_for(self, elat, files, store):
        said = elat("import", files["device-table"], "--store", store)
        assert said.code == 2
        assert "elat import --unit ms FILE" in said.error

    @pytest.mark.parametrize(
        ("kind", "unit", "reason"),
        [
            ("pyperf", "minutes", "Unknown unit"),
            ("pyperf", "ms", "in s (definition"),
            ("device-table", "cycles", "no cycles"),
            ("haq-table", "ms", "in cycles"),
        ],
    )
    def test_a_wrong_unit_is_refused(self, elat, files, store, kind, unit, reason):
        said = elat("import", files[kind], "--unit", unit, "--store", store)
        assert (said.code, reason in said.error) == (2, True), said.error

    def test_a_second_reading_in_another_unit_is_refused(self, elat, files, store):
        path = files["device-table"]
        assert elat("import", path, "--unit", "us", "--store", store).code == 0
        said = elat("import", path, "--unit", "ms", "--store", store)
        assert (said.code, "keeps the same file, read in us" in said.error) == (2, True)

    def test_the_unit_that_the_file_says_may_be_said_again(self, elat, files, store):
        assert elat("import", files["keyed-csv"], "--unit", "ms", "--store", store).code == 0


class TestAs:
    def test_another_kind_is_refused(self, elat, files, store):
        said = elat("import", files["pyperf"], "--as", "haq-table", "--store", store)
        assert (said.code, "no haq-table file" in said.error) == (7, True)

    def test_an_unknown_kind_is_refused(self, elat, files, store):
        said = elat("import", files["pyperf"], "--as", "pyperv", "--store", store)
        assert (said.code, "Did you mean 'pyperf'" in said.error) == (2, True)


def test_files_that_are_not_there_or_not_readable(elat, store, tmp_path):
    for path in (tmp_path / "none", tmp_path):
        said = elat("import", path, "--store", store)
        assert said.code == 7
        assert str(path) in said.error


class TestTable:
    def test_rows_of_operators_become_a_table_and_go_out_again(self, elat, files, store, tmp_path):
        table, again = tmp_path / "table.yaml", tmp_path / "again"
        said = elat(
            "import", files["proxyless-table"], "--table", table, "--device", "pixel",
            "--store", store,
        )  # fmt: skip
        assert said.code == 0, said.err
        made = read_table(table)
        assert (made.origin, made.condition.device) == ("imported", "pixel")
        assert made[MBConv(8, 16, 16, 5, 2, 3)] == 6.2405
        said = elat("export", table, "--as", "proxyless", "--out", again, "--json")
        assert (said.code, said.json["count"], said.json["left_out"]) == (0, 3, [])
        rows = importers["proxyless-table"]().read(again.read_bytes()).rows
        first = importers["proxyless-table"]().read(files["proxyless-table"].read_bytes()).rows
        assert {row.operator: row.value for row in rows} == {
            row.operator: pytest.approx(row.value, rel=1e-12) for row in first
        }

    def test_rows_without_operators_make_none(self, elat, files, store, tmp_path):
        table = tmp_path / "table.yaml"
        for kind in ("pyperf", "haq-table"):
            said = elat("import", files[kind], "--table", table, "--store", store)
            assert said.code == 2
        assert not table.exists()
        with open_store(store) as opened:
            assert opened.imports() == []

    def test_one_file_at_a_time(self, elat, files, store, tmp_path):
        said = elat(
            "import", *files.values(), "--table", tmp_path / "table.yaml", "--store", store
        )
        assert (said.code, "one FILE" in said.error) == (2, True)


def test_refused_mutants_end_with_documented_codes(elat, store, tmp_path):
    path = tmp_path / "mutant"
    for kind in seeds():
        for data in mutants(kind, 1, seed=2):
            path.write_bytes(data)
            said = elat("import", path, "--store", store, "--json")
            assert said.code in (0, 2, 7)
            assert said.code == 0 or said.error


class TestExport:
    @pytest.fixture
    def home(self, empty_home):
        """A store in which three launches of one block were recorded on this machine's card."""
        empty_home.mkdir()
        condition = Condition.of(find_device("local-ort")).of_models
        launches = [
            Launch(
                f"w{number}", 0, "2026-01-02T03:04:05+00:00", 1.0, 1.0, 3, True, 0.0,
                tuple(Sample(10, 9_000_000, 8_000_000 + number + i, 0) for i in range(5)),
            )
            for number in range(3)
        ]  # fmt: skip
        with open_store(empty_home / "measurements.db") as opened:
            opened.record_launches(
                Record(BLOCK, condition, launch, {}, "measured") for launch in launches
            )
        return empty_home

    @pytest.mark.parametrize(
        ("kind", "count"),
        [("csv", 1), ("parquet", 1), ("pyperf", 1), ("jsonl", 3), ("proxyless", 1)],
    )
    def test_what_a_store_knows_of_a_device(self, elat, home, tmp_path, kind, count):
        out = tmp_path / "out"
        said = elat("export", "--device", "local-ort", "--as", kind, "--out", out, "--json")
        assert said.code == 0, said.err
        assert (said.json["count"], said.json["left_out"]) == (count, [])
        assert out.stat().st_size > 0
        people = elat("export", "--device", "local-ort", "--as", kind, "--out", out)
        assert people.err.startswith(f"{count} {'launches' if kind == 'jsonl' else 'operators'}")

    def test_what_a_format_cannot_say_is_an_error_if_nothing_is_left(self, elat, home, tmp_path):
        said = elat("export", "--device", "local-ort", "--as", "ofa", "--out", tmp_path / "out")
        assert (said.code, "can say none of the 1 operators" in said.error) == (2, True)

    def test_a_space_of_which_not_all_is_known(self, elat, home, tiny, tmp_path):
        words = ("--device", "local-ort", "--space", tiny, "--as", "csv", "--out", tmp_path / "o")
        assert elat("export", *words).code == 5

    def test_a_table_or_a_device_and_not_both(self, elat, home, tmp_path):
        out, table = tmp_path / "out", tmp_path / "table.yaml"
        for words in ((), (table, "--device", "local-ort"), (table, "--space", "x")):
            said = elat("export", *words, "--as", "csv", "--out", out)
            assert said.code == 2
        assert not out.exists()

    def test_unknown_formats_and_missing_files(self, elat, home, tmp_path):
        out = tmp_path / "out"
        said = elat("export", "--device", "local-ort", "--as", "xml", "--out", out)
        assert (said.code, "Unknown exporter 'xml'" in said.error) == (2, True)
        assert elat("export", tmp_path / "none.yaml", "--as", "csv", "--out", out).code == 7

    def test_nothing_measured_says_what_to_do(self, elat, empty_home, tmp_path):
        empty_home.mkdir()
        with open_store(empty_home / "measurements.db"):
            pass
        words = ("--device", "local-ort", "--as", "csv", "--out", tmp_path / "out")
        said = elat("export", *words)
        assert (said.code, "elat measure --device local-ort" in said.error) == (5, True)


def test_every_public_file_imports_or_is_refused(elat, tmp_path):
    """Measurements of the folder beside the checkout import; the rest is called by its name."""
    folder = Path(__file__).parents[3] / "shared" / "data"
    if not folder.is_dir():
        pytest.skip("the published files are not beside this checkout")
    measured = {"yaml": 3, "csv": 1, "npy": 1, "txt": 13}
    for suffix, count in measured.items():
        paths = sorted(folder.rglob(f"*.{suffix}"))
        said = elat("import", *paths, "--store", tmp_path / "store.db", "--json")
        assert said.code == 0, said.err
        assert (len(said.json) if count > 1 else 1) == count
    refused = [*folder.rglob("*.config"), *folder.rglob("*cifar10.json")]
    for path in refused:
        said = elat("import", path, "--store", tmp_path / "store.db")
        assert said.code == 7
        assert "not latencies" in said.error
