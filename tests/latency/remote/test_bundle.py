"""Artefacts on their way to a board."""

from __future__ import annotations

import json
import shutil
import zipfile

import pytest

from elat.core.errors import ArtefactError
from elat.devices.device import Device, DeviceKind
from elat.latency.artefacts import DESCRIPTION, ArtefactCache, read_artefact
from elat.latency.condition import Condition
from elat.latency.operators.conv import Conv
from elat.latency.remote.bundle import FOLDER, content_key, missing, pack, unpack

CONDITION = Condition.of(Device("pretend", DeviceKind.SIMULATED, "", {"name": "simulated"}))


@pytest.fixture(scope="module")
def folder(tmp_path_factory):
    cache = ArtefactCache(tmp_path_factory.mktemp("cache"))
    return cache.artefact(Conv(3, 4, resolution=8, kernel=3), CONDITION).folder


def test_they_arrive_whole_under_the_name_of_their_content(folder, tmp_path):
    key = content_key(folder)
    pack({key: folder}, tmp_path / "bundle.zip")
    assert missing([key, "other"], tmp_path) == [key, "other"]
    for _ in range(2):
        unpack(tmp_path / "bundle.zip", tmp_path)
    assert missing([key, "other"], tmp_path) == ["other"]
    there, here = read_artefact(tmp_path / FOLDER / key), read_artefact(folder)
    assert (there.sha256, there.max_error) == (here.sha256, here.max_error)
    assert (there.expected == here.expected).all()
    assert [path.name for path in (tmp_path / FOLDER).iterdir()] == [key]


def test_the_name_follows_from_the_content_and_not_from_the_time_that_building_took(
    folder, tmp_path
):
    other = tmp_path / "other"
    shutil.copytree(folder, other)
    description = json.loads((other / DESCRIPTION).read_text())
    (other / DESCRIPTION).write_text(json.dumps({**description, "build_ms": 1e9}))
    assert content_key(other) == content_key(folder)
    (other / DESCRIPTION).write_text(json.dumps({**description, "io_sha256": "0" * 64}))
    assert content_key(other) != content_key(folder)


@pytest.mark.parametrize("change", ["half", "renamed", "escape"])
def test_what_is_not_what_its_name_says_is_refused_and_leaves_nothing(folder, tmp_path, change):
    key = content_key(folder)
    pack({"0" * 32 if change == "renamed" else key: folder}, tmp_path / "bundle.zip")
    if change != "renamed":
        with zipfile.ZipFile(tmp_path / "bundle.zip", "a") as archive:
            name = "../../out/artefact.json" if change == "escape" else f"{key}2/artefact.json"
            archive.writestr(name, "{}")
    with pytest.raises(ArtefactError):
        unpack(tmp_path / "bundle.zip", tmp_path / "work")
    assert not (tmp_path / "out").exists()
    assert [p.name for p in (tmp_path / "work" / FOLDER).iterdir() if p.name.startswith(".")] == []
