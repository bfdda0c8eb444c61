"""Rules are kept whole, say what they rest on, and hold for the runtime that they are of."""

from __future__ import annotations

import json
from dataclasses import replace

import pytest

from elat.core.errors import ArtefactError
from elat.latency.condition import Condition, Method, Precision
from elat.latency.fusion.pairs import CONTROLS, Pair
from elat.latency.fusion.rules import (
    FusionRules,
    Rule,
    Verdict,
    read_rules,
    rules_for,
    rules_path,
    write_rules,
)

CONDITION = Condition(
    "toy", "onnxruntime", "1.2.3", Precision.FP32, 1, 1, Method.BLOCK, (("graph_level", "all"),)
)


def times(saved_us, second_us=20.0):
    """Five rounds that differ a little, so that intervals are narrow and not empty."""
    rows = {"before": 50.0, "first": 150.0, "base": 50.0, "second": 50.0 + second_us}
    rows["both"] = 150.0 + second_us - saved_us
    return {
        role: tuple(us * 1e-3 * (1 + 1e-4 * ((7 * i + len(role)) % 5)) for i in range(5))
        for role, us in rows.items()
    }


def rule(saved_us, profiled, second="relu"):
    return Rule(Pair(("dense",), second), times(saved_us), profiled)


RULES = FusionRules(
    CONDITION,
    "measured",
    (
        rule(20.0, True, "relu"),
        rule(0.0, False, "add"),
        rule(0.0, True, "sigmoid"),
        rule(10.0, True, "hswish"),
        Rule(Pair(("dense",), "affine"), {}, None, "WRONG_OUTPUT: it computes something else"),
    ),
    "2026-01-01T00:00:00+00:00",
)


def test_times_decide_and_the_profile_where_they_do_not():
    assert [found.verdict for found in RULES.rules] == [
        Verdict.FUSED,
        Verdict.APART,
        Verdict.UNKNOWN,
        Verdict.FUSED,
        Verdict.UNKNOWN,
    ]
    assert [found.is_disputed for found in RULES.rules] == [False, False, True, False, False]
    assert rule(20.0, None).verdict is Verdict.FUSED
    assert rule(20.0, False).is_disputed


def test_what_is_not_known_stays_as_it_is_assumed():
    assert RULES.fuses("dense", "relu", assumed=False)
    assert not RULES.fuses("dense", "add", assumed=True)
    for unknown in ("sigmoid", "affine", "never tested"):
        assert RULES.fuses("dense", unknown, assumed=True)
        assert not RULES.fuses("dense", unknown, assumed=False)


def test_rules_come_back_as_they_were_written(tmp_path):
    path = rules_path(tmp_path, "toy")
    write_rules(path, RULES)
    found = read_rules(path)
    assert found.rules == RULES.rules
    assert [dict(r.times_ms) for r in found.rules] == [dict(r.times_ms) for r in RULES.rules]
    assert (found.condition, found.origin) == (RULES.condition, RULES.origin)


@pytest.mark.parametrize(
    "change",
    [
        {"kind": "latency-model"},
        {"schema": 99},
        {"rules": [{"first": ["dense"]}]},
        {"rules": 3},
        {"config": {}},
    ],
)
def test_another_document_is_refused_with_the_repair(tmp_path, change):
    path = tmp_path / "rules.json"
    path.write_text(json.dumps({**RULES.to_json(), **change}))
    with pytest.raises(ArtefactError, match=r"rules\.json.*elat fusion --device"):
        read_rules(path)


def test_a_verdict_that_the_times_do_not_give_is_refused(tmp_path):
    data = RULES.to_json()
    data["rules"][1]["verdict"] = "fused"
    path = tmp_path / "rules.json"
    path.write_text(json.dumps(data))
    with pytest.raises(ArtefactError, match="dense,add"):
        read_rules(path)
    path.write_text("[]")
    with pytest.raises(ArtefactError, match="nameless"):
        read_rules(path)
    path.write_text("{")
    with pytest.raises(ArtefactError, match="JSON"):
        read_rules(path)


def test_rules_hold_for_their_own_runtime_alone(tmp_path):
    assert rules_for(CONDITION, "measured", tmp_path).rules is None
    assert "elat fusion --device toy" in rules_for(CONDITION, "measured", tmp_path).said
    write_rules(rules_path(tmp_path, "toy"), RULES)
    in_situ = replace(CONDITION, method=Method.IN_SITU)
    found = rules_for(in_situ, "measured", tmp_path)
    assert found.rules is not None
    assert found.said.startswith("detected")
    for other, origin, words in (
        (replace(CONDITION, runtime_version="1.3.0"), "measured", "runtime version 1.2.3"),
        (replace(CONDITION, precision=Precision.INT8), "measured", "precision fp32"),
        (replace(CONDITION, options=(("graph_level", "basic"),)), "measured", "options"),
        (CONDITION, "simulated", "not simulated"),
    ):
        found = rules_for(other, origin, tmp_path)
        assert found.rules is None
        assert words in found.said
        assert "elat fusion --device toy" in found.said


def test_a_control_that_is_fused_by_its_times_is_told():
    assert not RULES.failed_controls
    control = Rule(CONTROLS[0], times(20.0), None)
    assert replace(RULES, rules=(*RULES.rules, control)).failed_controls == (control,)
    assert not replace(RULES, rules=(Rule(CONTROLS[0], times(0.0), None),)).failed_controls
