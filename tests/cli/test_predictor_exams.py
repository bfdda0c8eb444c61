"""`elat exam --list` and the exams of predictors: what they print, and how they fail."""

from __future__ import annotations

import json
from itertools import product

import pytest

from elat.flows import predictor_exams_constrained as exam
from elat.flows.predictor_exams import EXAMS


def test_the_list_names_every_exam(elat):
    said = elat("exam", "--list")
    assert said.code == 0
    assert all(exam.name in said.out for exam in EXAMS)
    assert [found["name"] for found in elat("exam", "--list", "--json").json] == [
        exam.name for exam in EXAMS
    ]
    commands = elat("exam", "--help").out
    assert all(exam.name in commands for exam in EXAMS)


@pytest.mark.parametrize("verb", ["help-nb201", "from-scratch", "constrained"])
def test_a_missing_corpus_says_where_to_get_it(elat, verb, tmp_path, monkeypatch):
    monkeypatch.setenv("ELAT_DATA", str(tmp_path))
    said = elat("exam", verb, "--json")
    assert said.code == 7 and "export ELAT_DATA=" in said.err


@pytest.mark.parametrize("sizes", ["", "ten", "2", "10,6000"])
def test_sizes_are_numbers(elat, sizes):
    said = elat("exam", "from-scratch", "--sizes", sizes)
    assert said.code == 2 and "--sizes" in said.err


def test_constrained_prints_a_table_and_json(elat, tmp_path, monkeypatch):
    path = tmp_path / "nas_bench_macro" / "nas-bench-macro_cifar10.json"
    path.parent.mkdir()
    rows = {
        "".join(key): {"test_acc": [80.0 + sum(map(int, key))] * 3, "params": 1, "flops": 1}
        for key in product("012", repeat=8)
    }
    path.write_text(json.dumps(rows))
    monkeypatch.setenv("ELAT_DATA", str(tmp_path))
    material = exam._material(exam.Problem.MACRO, exam.ConstrainedOrder(10))
    monkeypatch.setattr(exam, "_material", lambda problem, order: material)
    first = elat("exam", "constrained", "--draws", 10, "--json")
    assert first.code == 0, first.err
    assert first.json["draws"] == 10
    table = elat("exam", "constrained", "--draws", 10)
    assert table.code == 0 and "limit of the pick" in table.out
