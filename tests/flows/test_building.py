"""What `elat build` does with one that fails among others."""

from __future__ import annotations

from elat.core.errors import MeasurementError
from elat.flows.building import BuildOrder, build, subjects_of
from elat.latency.runtimes.base import Compiled
from elat.latency.runtimes.onnxruntime import OnnxRuntime


def test_a_build_that_fails_is_a_result_and_ends_no_other(monkeypatch, tmp_path):
    monkeypatch.setenv("ELAT_HOME", str(tmp_path))
    order = BuildOrder("local-ort", space="proxyless-tiny")
    subjects = subjects_of(order)[:3]
    made: list[str] = []

    def compiled(self, artefact, condition, target):
        made.append(artefact.name)
        if len(made) == 2:
            raise MeasurementError("The builder ran out of memory.")
        return Compiled(1, 0.5)

    monkeypatch.setattr(OnnxRuntime, "compile", compiled)
    found = list(build(order, subjects))
    assert [built.refusal for built in found] == [
        None, "RUNTIME: The builder ran out of memory.", None,
    ]  # fmt: skip
    assert [built.to_json()["built"] for built in found] == [True, False, True]
