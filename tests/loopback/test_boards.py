"""A board over a real sshd on loopback: measured whole, cut off, misnamed, full, in use."""

from __future__ import annotations

import os
import signal
import subprocess
import sys
import threading
from collections.abc import Callable
from dataclasses import dataclass, replace
from pathlib import Path

import pytest
import yaml

from elat.core.artefact import elat_home
from elat.core.errors import DeviceSetAsideError, StorageFullError, UnavailableError
from elat.devices.device import Device, find_device
from elat.flows.measuring import Campaign, default_cache, measure_cases
from elat.latency.condition import Condition
from elat.latency.launcher import start_worker
from elat.latency.measure import Stage
from elat.latency.operators.conv import Conv
from elat.latency.protocol import SCREEN
from elat.latency.remote import board as boards
from elat.latency.remote.board import open_board
from elat.latency.remote.doctor import examine_board
from elat.latency.store import MeasurementStore, open_store

from . import sshd

OPERATORS = tuple(Conv(3, 4 + 4 * n, resolution=8, kernel=3) for n in range(4))
QUICK = replace(
    SCREEN,
    name="quick",
    target=10.0,
    min_launches=1,
    max_launches=2,
    looks=(1, 2),
    passes=2,
    group_size=1,
    group_min_ms=0.0,
    timeout_s=60.0,
)


@dataclass(frozen=True)
class Loop:
    """A board that is this machine, the sshd that reaches it, and its work folder."""

    server: sshd.SshServer
    folder: Path

    def card(self, **ssh: object) -> Device:
        """The card `loop-ssh` as a file among the user's cards, with changes to its section."""
        section = {
            "host": sshd.HOST,
            "config": str(self.server.config),
            "identity": str(self.server.folder / "user"),
            "folder": str(self.folder),
            "python": sys.executable,
        }
        card = {
            "schema": 1,
            "id": "loop-ssh",
            "kind": "ssh",
            "runtime": {"name": "onnxruntime", "method": "block"},
            "ssh": section | ssh,
        }
        path = elat_home() / "devices" / "loop-ssh.yaml"
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_text(yaml.safe_dump(card))
        return find_device("loop-ssh")


@pytest.fixture
def loop(ssh_server, tmp_path, monkeypatch):
    monkeypatch.setenv("ELAT_HOME", str(tmp_path / "home"))
    ssh_server.cable.plug_in()
    return Loop(ssh_server, tmp_path / "work")


@pytest.fixture
def store(tmp_path):
    with open_store(tmp_path / "store.db") as opened:
        yield opened


@pytest.fixture
def impatient(monkeypatch):
    monkeypatch.setattr(boards, "PAUSES_S", (0.0, 0.0))


def campaign(device: Device, store: MeasurementStore) -> Campaign:
    return Campaign(device, QUICK, store, default_cache(), seed=0)


def measured(device: Device, store: MeasurementStore, then: Callable[[int], None] = lambda _: None) -> int:
    """Measure the operators; `then` is called with how many launches there are, after each."""
    launches = 0
    for step in measure_cases(campaign(device, store), OPERATORS):
        assert step.failure is None
        if step.stage is Stage.MEASURE:
            launches += 1
            then(launches)
    return launches


def test_operators_are_measured_whole_by_the_elat_that_was_brought(loop, store):
    device = loop.card()
    assert measured(device, store) == 4
    condition = Condition.of(device).of_models
    found = store.measurements(condition)
    assert {m.operator for m in found} == set(OPERATORS)
    assert all(0 <= launch.output_error < 1e-3 for m in found for launch in m.launches)
    assert all(m.median_ms > 0 and m.origin == "measured" for m in found)
    (brought,) = loop.folder.glob("elat-*")
    assert (brought / "elat" / "latency" / "worker.py").is_file()
    # The sentinel's, too.
    assert len(list((loop.folder / "artefacts").iterdir())) == 5
    assert measured(device, store) == 0
