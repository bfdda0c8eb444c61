"""The file of a card's program: found, missing, another one, or not fetched yet."""

from __future__ import annotations

import hashlib

import pytest

from elat.core.errors import ArtefactError, ConfigError, UnavailableError
from elat.devices.device import device_of
from elat.devices.programs import program_file

BYTES = b"\x7fELF a program"
SHA256 = hashlib.sha256(BYTES).hexdigest()


@pytest.fixture(autouse=True)
def home(tmp_path, monkeypatch):
    monkeypatch.setenv("ELAT_HOME", str(tmp_path / "elat"))
    monkeypatch.setenv("HOME", str(tmp_path))
    return tmp_path


def card(**program):
    data = {"schema": 1, "id": "phone", "kind": "local_cpu", "runtime": {"name": "tflite"}}
    return device_of(data | ({"program": program} if program else {}), "phone.yaml")


def test_a_path_is_the_file_and_its_hash_is_held_to(home):
    (home / "benchmark_model").write_bytes(BYTES)
    path = "~/benchmark_model"
    assert program_file(card(path=path)) == home / "benchmark_model"
    assert program_file(card(path=path, sha256=SHA256)) == home / "benchmark_model"
    with pytest.raises(ArtefactError, match=f"sha256 {SHA256}, and the card wants {'0' * 64}"):
        program_file(card(path=path, sha256="0" * 64))


def test_a_card_without_a_program_and_a_file_that_is_missing_are_told_apart(home):
    with pytest.raises(ConfigError, match=r"names no program; .*benchmark_model"):
        program_file(card())
    with pytest.raises(ConfigError, match="which is no file of this machine"):
        program_file(card(path="~/benchmark_model"))
    with pytest.raises(ConfigError, match="write the path in full"):
        program_file(card(path="~nobody-of-that-name/x"))


def test_what_has_a_url_must_have_been_fetched_and_be_whole(home):
    device = card(url="https://example.org/benchmark_model", sha256=SHA256)
    with pytest.raises(UnavailableError, match=r"fetch it with: elat devices fetch phone$"):
        program_file(device)
    kept = home / "elat" / "programs" / SHA256
    kept.parent.mkdir(parents=True)
    kept.write_bytes(BYTES)
    assert program_file(device) == kept
    kept.write_bytes(BYTES[:-1])
    with pytest.raises(ArtefactError, match="fetch it anew with: elat devices fetch phone"):
        program_file(device)
