"""The worker in this process, with a program that says what the test wrote."""

from __future__ import annotations

import importlib
import io
import json
from dataclasses import replace

import numpy as np
import pytest

from elat.core.artefact import read_json, write_json
from elat.core.errors import ConnectionLostError
from elat.devices.device import Gates
from elat.devices.phone import PhoneState
from elat.latency.benchmark_model.prepared import prepare
from elat.latency.benchmark_model.run import Runner
from elat.latency.launch import Launch
from elat.latency.runtimes.tflite import load

from .fakes import Said, answers, protocol, serve
from .logs import log


def stat(us: int) -> str:
    """Ten runs that took `us` microseconds each."""
    return f"count=10 curr={us}(all same) p5={us} median={us} p95={us}"


def raw_output(folder):
    """What the interpreter gives for the artefact in `folder`, as it lies in memory."""
    made = prepare(folder)
    library = importlib.import_module("ai_edge_litert.interpreter")
    interpreter = load(library, made.artefact.model_path, {"xnnpack": True}, 1)
    for number, place in enumerate(interpreter.get_input_details()):
        data = np.frombuffer(made.carried.files[f"input{number}"], place["dtype"])
        interpreter.set_tensor(place["index"], data.reshape(place["shape"]))
    interpreter.invoke()
    return interpreter.get_tensor(interpreter.get_output_details()[0]["index"]).tobytes()


@pytest.fixture
def conv(artefacts):
    return artefacts["conv fp32"]


def launch_of(message):
    return Launch.from_json(message["launch"])


def test_a_launch_has_a_sample_an_invocation_and_the_fixed_model_beside_it(fake, conv, artefacts):
    output = raw_output(conv)
    # In each of three passes the fixed model, then the case; at the end the fixed model.
    said = [Said(log(stat(us)), output=output) for us in (100, 30, 120, 40, 140, 50, 160)]
    fake.say(said)
    request = fake.request({"a": conv}, artefacts["wide fp32"], protocol=protocol(3).to_json())
    (message,) = answers(fake.served(request)).values()
    one = launch_of(message)
    assert [s.wall_ms for s in one.samples] == pytest.approx([0.03, 0.04, 0.05])
    assert [s.loops for s in one.samples] == [10, 10, 10]
    assert [s.wall_ms for s in one.sentinel] == pytest.approx([0.11, 0.13, 0.15])
    assert one.output_error is not None
    assert one.output_error < 1e-4
    assert (one.init_ms, one.first_call_ms, one.warmup_calls) == (4.5, 3.0, 60)
    assert message["state"]["statistic"] == "median"
    assert message["state"]["parts"] == 1
    assert message["state"]["delegation"] == []
    assert message["state"]["clock_resolution_ns"] == round(1e3 * 10**0.5)
    assert message["environment"]["device"]["kernel"]


def test_what_a_delegate_left_in_one_invocation_alone_is_told(fake, conv):
    text = (
        "Explicitly applied XNNPACK delegate, and the model graph will be {} executed by the "
        "delegate."
    )
    logs = [log(before=text.format(how)) for how in ("completely", "partially", "completely")]
    fake.say([Said(one, output=raw_output(conv)) for one in logs])
    (message,) = answers(
        fake.served(fake.request({"a": conv}, protocol=protocol(3).to_json()))
    ).values()
    assert [one["share"] for one in message["state"]["delegation"]] == ["complete", "partial"]


def test_a_launch_of_a_run_that_is_taken_up_has_the_time_at_which_it_ran(fake, conv, monkeypatch):
    def leave(self, key):
        raise ConnectionLostError("the cable was pulled")

    fake.say([Said(log(), output=raw_output(conv))])
    with monkeypatch.context() as patch:
        patch.setattr(Runner, "forget", leave)
        patch.setattr("time.time", lambda: 1_700_000_000)
        *_, refusal = fake.served(fake.request({"a": conv}))
    assert "cable" in refusal["error"]["message"]
    (message,) = answers(fake.served(fake.request({"a": conv}))).values()
    assert message["launch"]["started_utc"] == "2023-11-14T22:13:20+00:00"
    assert len(fake.arguments) == 1


def test_the_program_gets_the_model_its_inputs_and_the_flags(fake, conv):
    fake.say([Said(log(), output=raw_output(conv)), Said(log())])
    request = fake.request({"a": conv}, protocol=protocol(2).to_json())
    assert "launch" in answers(fake.served(request))["a"]
    key = prepare(conv).carried.key
    first, second = fake.arguments
    assert first[:1] == [f"--graph=models/{key}/model.tflite"]
    assert {
        "--input_layer=i0", "--input_layer_shape=1,8,8,3", "--num_threads=1",
        f"--input_layer_value_files=i0:models/{key}/input0", "--use_xnnpack=false",
    } <= set(first)  # fmt: skip
    assert first[:-1] == second
    assert first[-1].startswith("--output_filepath=runs/")
    assert (fake.work / "models" / key / "model.tflite").exists()


def test_what_was_answered_leaves_no_run_behind(fake, conv):
    fake.say([Said(log(), output=raw_output(conv))] * 2)
    for _ in range(2):
        # The same request gives the same run; its answers must not be given a second time.
        assert "launch" in answers(fake.served(fake.request({"a": conv})))["a"]
    assert len(fake.arguments) == 2
    assert sorted(path.name for path in fake.work.iterdir()) == ["models", "programs"]


FAILURES = (
    (Said(b"INFO: STARTING!\n", 1), "RUNTIME", "ended with exit code 1"),
    (Said(b"", 139), "RUNTIME", "was ended by signal 11"),
    (Said(b"", 137), "RUNTIME", "s, as the device does where memory runs out"),
    (Said(b"", 124), "RUN_TIMEOUT", "was ended after 120 s"),
    (Said(b"Disallowed CPU fallback detected.\n", 1), "UNSUPPORTED", "option whole"),
    (Said(b"", more=200_000), "RUNTIME", "as it printed too much"),
    (Said(log()[:-300]), "RUNTIME", "cut short"),
    (Said(log()), "WRONG_OUTPUT", "wrote no output that could be compared with torch's, or one"),
    (Said(log(), output=b""), "WRONG_OUTPUT", "wrote 0 bytes of output, and the model gives 1024"),
    (Said(log(), output=b"\0" * 1024), "WRONG_OUTPUT", "differs from torch by"),
    (Said(log(), output=b"\xff" * 1024), "WRONG_OUTPUT", "not finite"),
)


def test_each_failure_is_answered_for_its_case_alone(fake, conv):
    good = Said(log(), output=raw_output(conv))
    fake.say([good, *(said for said, *_ in FAILURES), good])
    found = answers(fake.served(fake.request(dict.fromkeys("abcdefghijklm", conv))))
    assert set(found) == set("abcdefghijklm")
    errors = [message["error"] for message in found.values() if "error" in message]
    assert len(errors) == len(FAILURES)
    for _, kind, words in FAILURES:
        assert [e["class"] for e in errors if words in e["message"]] == [kind]
    assert all(e["message"].isprintable() for e in errors)


def test_an_output_that_is_too_long_is_not_brought(fake, conv):
    fake.say([Said(log(), output=b"\0" * 1025)])
    (message,) = answers(fake.served(fake.request({"a": conv}))).values()
    assert "one of more than the model's 1024 bytes" in message["error"]["message"]


def test_artefacts_that_cannot_be_brought_are_answered_and_the_others_run(fake, conv, tmp_path):
    fake.say([Said(log(), output=raw_output(conv))])
    found = answers(fake.served(fake.request({"gone": tmp_path / "none", "a": conv})))
    assert "launch" in found["a"]
    assert "error" in found["gone"]
    assert answers(fake.served(fake.request({"gone": tmp_path / "none"}))).keys() == {"gone"}


def test_a_model_that_tflite_refuses_is_one_failure(fake, conv, tmp_path):
    import shutil

    from elat.core.artefact import sha256_of

    broken = shutil.copytree(conv, tmp_path / "broken")
    (broken / "model.tflite").write_bytes(b"no model")
    described = read_json(broken / "artefact.json")
    write_json(broken / "artefact.json", {**described, "sha256": sha256_of(b"no model")})
    (message,) = answers(fake.served(fake.request({"a": broken}))).values()
    assert "TFLite refuses" in message["error"]["message"]


def test_a_fixed_model_that_fails_leaves_the_samples_as_they_are(fake, conv, artefacts):
    fake.say([Said(b"", 1), Said(log(), output=raw_output(conv)), Said(b"", 1)])
    (message,) = answers(fake.served(fake.request({"a": conv}, artefacts["add fp32"]))).values()
    one = launch_of(message)
    assert one.sentinel == ()
    assert len(one.samples) == 1


@pytest.mark.parametrize("line", ["no JSON", "[]", "{}", '{"group": 1}', "\x00"])
def test_what_is_no_request_is_refused_in_a_line(fake, line):
    hello, refusal = fake.served(line)
    assert "worker" in hello
    assert refusal["error"]["class"] == "BAD_REQUEST"


def test_cold_caches_are_refused(fake, conv):
    condition = {**fake.condition.to_json(), "cache": "cold"}
    *_, refusal = fake.served(fake.request({"a": conv}, condition=condition))
    assert "cannot empty the caches" in refusal["error"]["message"]


def test_a_worker_whose_parent_is_gone_ends_and_leaves_the_run_to_the_next(
    fake, conv, monkeypatch
):
    """Two workers at one device would start parts of one run twice."""
    from elat.latency.benchmark_model import worker

    monkeypatch.setattr(worker, "_BEAT_S", 0.01)

    class Broken(io.StringIO):
        def write(self, text):
            if json.loads(text).get("phase") == "run":
                raise BrokenPipeError
            return super().write(text)

    fake.say([Said(log(), output=raw_output(conv))])
    with pytest.raises(BrokenPipeError):
        serve(Broken(), fake.device, [fake.request({"a": conv})])


def test_a_worker_whose_parent_is_gone_does_not_wait_for_the_device_to_cool(
    fake, conv, monkeypatch
):
    """It would begin a run long after, beside the worker of the next call."""
    from elat.latency.benchmark_model import worker

    monkeypatch.setattr(worker, "_BEAT_S", 0.01)
    monkeypatch.setattr(worker, "read_phone", lambda transport: PhoneState(battery_c=60.0))
    hot = replace(fake.device, gates=Gates(temperature_max_c=38.0))

    class Broken(io.StringIO):
        def write(self, text):
            if json.loads(text).get("at"):
                raise BrokenPipeError
            return super().write(text)

    made = prepare(conv)
    monkeypatch.setattr(worker.BenchmarkModelWorker, "_prepare", lambda self, request: {"a": made})
    with pytest.raises(BrokenPipeError):
        serve(Broken(), hot, [fake.request({"a": conv})])
    assert fake.arguments == []


def test_int8_models_of_several_inputs(fake, artefacts):
    cases = {name: artefacts[f"{name} int8"] for name in ("add", "concat")}
    fake.say([])
    fake.served(fake.request(cases))
    keys = [line[0].split("/")[1] for line in fake.arguments]
    said = {prepare(folder).carried.key: raw_output(folder) for folder in cases.values()}
    fake.say([Said(log(), output=said[key]) for key in keys])
    found = answers(fake.served(fake.request(cases)))
    assert all("launch" in message for message in found.values())
    assert all(launch_of(m).output_error < 0.1 for m in found.values())
