"""What works on this machine alone refuses boards: nothing timed here passes for theirs."""

from __future__ import annotations

import pytest

from elat.core.artefact import elat_home
from elat.core.errors import UnavailableError
from elat.devices.device import find_device
from elat.flows.building import BuildOrder, build
from elat.flows.compared_sides import LiveDevice
from elat.flows.fusing import FusionOrder, detect_fusion
from elat.flows.inventory import describe_device
from elat.flows.profiling import ProfileOrder, profile_model
from elat.flows.verified_devices import same_machine
from elat.latency.condition import Cache, Condition, Method, Precision
from elat.latency.profiling.opening import open_bench
from elat.latency.remote.conditions import keep_condition

CARD = """schema: 1
id: pi
kind: ssh
runtime: {name: onnxruntime}
ssh: {host: nowhere.invalid}
"""


@pytest.fixture
def card(tmp_path, monkeypatch):
    monkeypatch.setenv("ELAT_HOME", str(tmp_path / "home"))
    path = tmp_path / "pi.yaml"
    path.write_text(CARD)
    return path


@pytest.mark.parametrize(
    "act",
    [
        lambda card: list(build(BuildOrder(str(card)), [])),
        lambda card: list(detect_fusion(FusionOrder(find_device(str(card))))),
        lambda card: LiveDevice(find_device(str(card)), None).condition(),
    ],
    ids=["build", "fusion", "compare"],
)
def test_what_would_time_this_machine_refuses_a_board(card, act):
    with pytest.raises(UnavailableError, match=r"pi is another machine.*elat measure"):
        act(card)


def test_no_other_board_is_taken_for_the_same_machine_with_another_runtime(card):
    folder = elat_home() / "devices"
    folder.mkdir(parents=True)
    (folder / "other.yaml").write_text(
        CARD.replace("id: pi", "id: other").replace("onnxruntime", "tflite")
    )
    assert same_machine([find_device(str(card))]) == []


@pytest.mark.parametrize(
    ("cache", "said"), [(Cache.HOT, r"nowhere\.invalid"), (Cache.COLD, "warm caches")]
)
def test_models_are_profiled_on_the_board_and_nowhere_else(card, cache, said):
    device = find_device(str(card))
    version, method = "onnxruntime 1.32.0", Method.KERNEL
    known = Condition("pi", "onnxruntime", version, Precision.FP32, 1, 1, method, (), cache=cache)
    keep_condition(device, known)
    with pytest.raises(UnavailableError, match=said):
        profile_model(ProfileOrder("resnet20", str(card), has_bounds=False))


def test_this_machine_is_not_profiled_for_a_board_without_python(card):
    """What the board said of its condition while it had one is known still."""
    keep_condition(
        find_device(str(card)),
        Condition("pi", "onnxruntime", "1.32.0", Precision.FP32, 1, 1, Method.KERNEL, ()),
    )
    card.write_text(CARD.replace("invalid}", "invalid, python: none}"))
    with pytest.raises(UnavailableError, match="pi is measured without Python"):
        profile_model(ProfileOrder("resnet20", str(card), has_bounds=False))
    with pytest.raises(UnavailableError, match="pi is measured without Python"):
        open_bench(find_device(str(card)))


def test_a_board_is_listed_without_being_asked(card):
    described = describe_device(find_device(str(card)))
    assert (described["kind"], described["reason"]) == ("ssh", None)
