"""Every wrong command ends in one sentence with its repair, and its own exit code."""

from __future__ import annotations

import re
import shutil

import pytest

from elat.devices.device import card_paths
from elat.flows.searching import SearchOrder, run_search
from elat.latency.table import read_table, write_table

ORT = ("--device", "local-ort")
CARD = str(card_paths()["local-ort"])


def search_on(flow, *more):
    return ("search", *ORT, "--space", flow.space, *more)


@pytest.mark.parametrize(
    ("arguments", "code", "message"),
    [
        (
            ("measure", "--device", "local-otr", "--space", "proxyless-tiny"),
            2,
            r"Unknown device 'local-otr'\. Did you mean 'local-ort'\? Known: .* elat devices",
        ),
        (
            ("measure", *ORT, "--space", "proxyles-tiny"),
            2,
            r"Unknown space 'proxyles-tiny'\. Did you mean 'proxyless-tiny'\?.* elat spaces",
        ),
        (
            ("measure", *ORT, "--space", "proxyless-tiny", "--protocol", "sceen"),
            2,
            r"Unknown protocol 'sceen'\. Did you mean 'screen'\?",
        ),
        (("doctor", "nowhere"), 2, r"Unknown device 'nowhere'\. Known: .*local-ort"),
        (("measure", "--device", "absent.yaml", "--space", "proxyless-tiny"), 7, "absent.yaml"),
        (("measure", *ORT, "--space", "absent.yaml"), 7, r"absent\.yaml does not exist"),
        (
            ("table", *ORT, "--space", "proxyless-tiny", "--out", "t.yaml"),
            7,
            r"measurements\.db does not exist; make it with: elat measure",
        ),
        (
            ("search", "--space", "proxyless-tiny", "--bound-ms", "1", "--out", "run"),
            2,
            "A latency bound is about a device; name it with --device",
        ),
        (
            ("search", "--space", "proxyless-tiny", *ORT, "--out", "run"),
            2,
            "A search needs a bound: give --bound-ms",
        ),
        (
            ("calibrate", "--device", CARD, "--space", "proxyless-tiny"),
            5,
            r"no latency model for local-ort and proxyless-tiny; make one with: elat measure",
        ),
        (
            ("search", "--space", "proxyless-tiny", *ORT, "--bound-ms", "1", "--out", "run"),
            5,
            r"no latency model for local-ort and proxyless-tiny; make one with: elat measure",
        ),
        (
            ("calibrate", "--space", "proxyless-tiny", *ORT),
            5,
            r"no latency model for local-ort and proxyless-tiny; make one with: elat measure",
        ),
        (
            ("search", "--space", "proxyless-tiny", "--bound-macs", "1", "--out", "run"),
            6,
            r"No architecture of proxyless-tiny stays within 1 MACs on macs: the fastest takes",
        ),
        (
            ("search", "--space", "proxyless-tiny", "--bound-macs", "-1", "--out", "run"),
            2,
            r"The bound on macs is -1\.0; it must be a number above 0",
        ),
        (("verify", "run"), 7, "run holds no finished search; finish it with: elat search"),
        (("train", "run"), 7, "run holds no finished search; finish it with: elat search"),
        (("worker",), 2, r"elat worker --stdio"),
    ],
)
def test_what_is_asked_wrongly_is_refused_with_the_repair(
    elat, empty_home, tmp_path, monkeypatch, arguments, code, message
):
    monkeypatch.chdir(tmp_path)
    said = elat(*arguments)
    assert said.code == code, said
    assert re.search(message, said.error), said.error
    assert not (tmp_path / "run").exists()


@pytest.mark.parametrize(
    ("options", "code", "message"),
    [
        (("--set", "stepz=3"), 2, r"stepz: .*not permitted.*Keys: .*\bsteps\b"),
        (("--set", "steps=0"), 2, r"steps: .*greater than or equal to 1"),
        (("--set", "steps"), 2, "'steps' is not of the form key=value"),
        (("--config", "absent.yaml"), 7, r"absent\.yaml does not exist"),
        (("--strategy", "proxyles-g"), 2, r"Unknown strategy 'proxyles-g'\. Did you mean"),
        (("--data", "digit"), 2, r"digit"),
        (("--data", "imagefolder:absent"), 7, r"absent"),
    ],
)
def test_wrong_settings_of_a_search_are_refused_before_it_starts(
    elat, tiny, empty_home, tmp_path, monkeypatch, options, code, message
):
    monkeypatch.chdir(tmp_path)
    said = elat("search", "--space", tiny, "--bound-macs", 150_000, "--out", "run", *options)
    assert said.code == code, said
    assert re.search(message, said.error), said.error
    assert not (tmp_path / "run").exists()


@pytest.mark.parametrize("kept", [0, 60, 150, 200])
def test_a_truncated_space_is_refused(elat, tiny, empty_home, tmp_path, kept):
    tiny.write_text(tiny.read_text()[:kept])
    said = elat("search", "--space", tiny, "--bound-macs", 1e6, "--out", tmp_path / "run")
    assert said.code in (2, 7), said
    assert "tiny.yaml" in said.error


def test_a_space_cut_inside_a_list_is_a_damaged_file(elat, tiny, empty_home, tmp_path):
    text = tiny.read_text()
    tiny.write_text(text[: text.index("blocks: 2") + 3])
    said = elat("measure", *ORT, "--space", tiny)
    assert said.code == 7
    assert re.search(r"tiny\.yaml is not readable YAML .* repair it", said.error)


def test_usage_errors_exit_with_2_and_show_the_usage(elat):
    for arguments in (("measure", "--divice", "x"), ("search", "--seed", "-1"), ("nonsense",)):
        said = elat(*arguments)
        assert said.code == 2
        assert "Usage: elat" in said.err
        assert "Traceback" not in said.err


def test_an_unreachable_bound_names_the_fastest_reachable_latency(elat, flow, tmp_path):
    said = elat(*search_on(flow, "--bound-ms", 1e-6, "--out", tmp_path / "run"))
    assert said.code == 6
    found = re.search(
        r"the fastest takes ([\d.e-]+) ms \(.*\)\. Ask for at least ([\d.e-]+) ms\.$", said.error
    )
    assert found, said.error
    assert float(found[1]) == pytest.approx(float(found[2]), rel=1e-2)
    assert not (tmp_path / "run").exists()
    order = SearchOrder(
        str(flow.space), tmp_path / "run", devices=("local-ort",), bound_ms=(float(found[2]),)
    )
    assert run_search(order).bounds[0].limit == float(found[2])


def test_a_table_without_an_operator_of_the_space_is_refused(elat, flow, tmp_path):
    table = read_table(flow.table)
    lost = next(o for o in table if type(o).__name__ == "MBConv")
    write_table(table.only(o for o in table if o != lost), tmp_path / "less.yaml")
    said = elat(
        *search_on(
            flow, "--bound-ms", 1, "--latency", tmp_path / "less.yaml", "--out", tmp_path / "run"
        )
    )
    assert said.code == 5
    assert str(lost) in said.error
    assert "Measure it with: elat measure --device local-ort" in said.error


def test_operators_that_were_never_measured_are_named(elat, flow, tmp_path):
    other = tmp_path / "other.yaml"
    other.write_text(flow.space.read_text().replace("kernels: [3, 5]", "kernels: [3, 5, 7]"))
    for verb in (("table", "--out", tmp_path / "t.yaml"), ("fit", "--model", "ridge")):
        said = elat(verb[0], *ORT, "--space", other, *verb[1:])
        assert said.code == 5, said
        assert re.search(
            r"\d+ of \d+ operators of other are not measured on local-ort", said.error
        )
        assert "k7" in said.error
        assert "elat measure --device local-ort --space other.yaml --store" in said.error


def test_a_device_on_which_nothing_was_measured_is_named(elat, flow, tmp_path):
    said = elat(
        "table", "--device", "local-ort-int8", "--space", flow.space, "--out", tmp_path / "t.yaml"
    )
    assert said.code == 5, said
    assert "Nothing was measured on local-ort-int8" in said.error
    assert "elat measure --device local-ort-int8 --space tiny.yaml --store" in said.error


def test_a_table_of_another_device_is_refused(elat, flow, tmp_path):
    said = elat(
        "search", "--device", "local-tflite", "--space", flow.space, "--bound-ms", 1,
        "--latency", flow.table, "--out", tmp_path / "run",
    )  # fmt: skip
    assert said.code == 7
    assert "are of device local-ort, not local-tflite; measure local-tflite with" in said.error


@pytest.mark.parametrize("damage", ["noise", "cut", "other"])
def test_a_damaged_store_is_refused(elat, flow, tmp_path, damage):
    store = tmp_path / "m.db"
    data = (flow.home / "measurements.db").read_bytes()
    if damage == "noise":
        store.write_bytes(b"these are no measurements" * 100)
    elif damage == "cut":
        store.write_bytes(data[: len(data) // 2])
    else:
        import sqlite3

        with sqlite3.connect(store) as db:
            db.execute("CREATE TABLE notes (text)")
        db.close()
    for verb in (
        ("measure",),
        ("table", "--out", tmp_path / "t.yaml"),
        ("fit", "--model", "ridge"),
    ):
        said = elat(verb[0], *ORT, "--space", flow.space, "--store", store, *verb[1:])
        assert said.code == 7, said
        assert str(store) in said.error
        assert "--store" in said.error


def test_a_damaged_model_is_refused(elat, flow, tmp_path):
    shutil.copytree(flow.model, tmp_path / "model")
    table = next((tmp_path / "model").glob("table.*"))
    table.write_bytes(table.read_bytes()[:-40])
    said = elat(
        *search_on(
            flow, "--bound-ms", 1, "--latency", tmp_path / "model", "--out", tmp_path / "run"
        )
    )
    assert said.code == 7, said
    assert str(table) in said.error


def test_a_model_cut_short_and_a_missing_one_are_refused(elat, flow, tmp_path):
    shutil.copytree(flow.model, tmp_path / "model")
    (tmp_path / "model" / "manifest.json").write_text("{")
    for name in ("model", "absent"):
        said = elat(
            *search_on(
                flow, "--bound-ms", 1, "--latency", tmp_path / name, "--out", tmp_path / "r"
            )
        )
        assert said.code == 7, said
        assert str(tmp_path / name) in said.error


def test_an_unknown_model_is_refused(elat, flow):
    said = elat("fit", *ORT, "--space", flow.space, "--model", "rigde")
    assert said.code == 2
    assert "Unknown model 'rigde'. Did you mean 'ridge'?" in said.error


def test_two_latency_bounds_at_once_are_refused(elat, flow, tmp_path):
    said = elat(
        *search_on(flow, "--bound-ms", 1, "--bound-quantile", 0.5, "--out", tmp_path / "run")
    )
    assert said.code == 2
    assert "--bound-ms or --bound-quantile, not both" in said.error


@pytest.mark.parametrize("quantile", ["-0.1", "1.5", "nan"])
def test_a_quantile_outside_zero_to_one_is_refused(elat, flow, tmp_path, quantile):
    said = elat(*search_on(flow, "--bound-quantile", quantile, "--out", tmp_path / "run"))
    assert said.code == 2, said
    assert "quantile" in said.error


def test_another_search_in_the_same_folder_is_refused(elat, flow, settings):
    before = (flow.run / "result.json").read_bytes()
    said = elat(*search_on(flow, "--bound-quantile", 0.6, "--out", flow.run, *settings))
    assert said.code == 2, said
    assert "holds a search with another bounds" in said.error
    assert "choose another --out" in said.error
    assert (flow.run / "result.json").read_bytes() == before


def test_a_run_is_verified_before_it_is_trained(elat, flow, tmp_path):
    shutil.copytree(flow.run, tmp_path / "run")
    (tmp_path / "run" / "certificate.json").unlink()
    said = elat("train", tmp_path / "run")
    assert said.code == 7
    assert f"do that first with: elat verify {tmp_path / 'run'}" in said.error


@pytest.mark.parametrize("name", ["result.json", "certificate.json"])
def test_a_run_cut_short_is_refused(elat, flow, tmp_path, name):
    shutil.copytree(flow.run, tmp_path / "run")
    path = tmp_path / "run" / name
    path.write_text(path.read_text()[:100])
    for verb in (("train",), ("report", "--out", tmp_path / "report")):
        said = elat(verb[0], tmp_path / "run", *verb[1:])
        assert said.code == 7, said
        assert str(path) in said.error


def test_a_run_without_a_result_is_unfinished(elat, flow, tmp_path):
    shutil.copytree(flow.run, tmp_path / "run")
    (tmp_path / "run" / "result.json").unlink()
    for verb in ("verify", "train"):
        said = elat(verb, tmp_path / "run")
        assert said.code == 7
        assert "holds no finished search; finish it with: elat search" in said.error


def test_a_search_without_its_scores_cannot_be_repaired(elat, flow, tmp_path):
    shutil.copytree(flow.run, tmp_path / "run")
    (tmp_path / "run" / "scores.json").unlink()
    said = elat("verify", tmp_path / "run", "--protocol", "screen")
    assert said.code == 7
    assert "scores.json" in said.error


@pytest.mark.parametrize("make", [True, False])
def test_a_report_of_nothing_is_refused(elat, empty_home, tmp_path, make):
    if make:
        (tmp_path / "empty").mkdir()
    said = elat("report", tmp_path / "empty", "--out", tmp_path / "report")
    assert said.code == 7, said
    assert str(tmp_path / "empty") in said.error
    assert not (tmp_path / "report").exists()


def test_a_place_that_cannot_be_written_is_named(elat, flow, tmp_path):
    (tmp_path / "file").write_text("")
    said = elat("table", *ORT, "--space", flow.space, "--out", tmp_path / "file" / "t.yaml")
    assert said.code == 1
    assert str(tmp_path / "file") in said.error


def test_a_bare_table_cannot_be_calibrated(elat, flow):
    said = elat("calibrate", *ORT, "--space", flow.space, "--latency", flow.table, "--networks", 6)
    assert said.code == 2, said
    assert "elat fit" in said.error
