"""`elat fusion` as it is typed."""

from __future__ import annotations

from elat.latency.fusion import read_rules

CARD = """
schema: 1
id: toy
kind: simulated
runtime:
  name: simulated
"""


def test_rules_are_printed_and_kept(elat, tmp_path):
    card = tmp_path / "toy.yaml"
    card.write_text(CARD)
    out = tmp_path / "rules.json"
    few = ("--rounds", 3, "--out", out, "--pair", "linear,relu")
    said = elat("fusion", "--device", card, *few)
    assert said.code == 0, said.err
    assert "linear" in said.out
    assert str(out) in said.err
    assert [str(rule.pair) for rule in read_rules(out).rules] == ["linear,relu"]


def test_wrong_input_is_one_sentence_with_the_repair(elat, tmp_path):
    said = elat("fusion", "--device", "no-such-device")
    assert said.code == 2
    assert "no-such-device" in said.error
    said = elat("fusion", "--device", "local-ort", "--pair", "dense,relu")
    assert said.code == 2
    assert "--out" in said.error
    out = ("--out", tmp_path / "rules.json")
    said = elat("fusion", "--device", "local-ort", "--pair", "dense,rely", *out)
    assert said.code == 2
    assert "'dense,relu'" in said.error
