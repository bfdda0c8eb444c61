"""Programs fetched from a server of our own: whole and right, or not at all."""

from __future__ import annotations

import pytest

from elat.core.errors import ArtefactError, UnavailableError
from elat.devices.device import Program
from elat.devices.fetching import fetch

from .program_server import BYTES, SHA256, running_server


@pytest.fixture(scope="module")
def server():
    with running_server() as address, pytest.MonkeyPatch.context() as patch:
        patch.setenv("no_proxy", "*")
        yield address


def program(server: str, path: str, sha256: str = SHA256) -> Program:
    return Program(url=f"{server}/{path}", sha256=sha256)


@pytest.mark.parametrize("path", ["program", "moved"])
def test_a_program_with_the_right_hash_takes_its_place(server, tmp_path, path):
    target = tmp_path / "programs" / SHA256
    steps = list(fetch(program(server, path), target))
    assert target.read_bytes() == BYTES
    assert steps[-1] == (len(BYTES), len(BYTES))
    assert [so_far for so_far, _ in steps] == sorted(so_far for so_far, _ in steps)


def refused(tmp_path, error, match, wanted: Program, **limits) -> None:
    target = tmp_path / "program"
    target.write_bytes(b"the old one")
    with pytest.raises(error, match=match):
        list(fetch(wanted, target, **limits))
    assert target.read_bytes() == b"the old one"
    assert list(tmp_path.iterdir()) == [target], "nothing half is left"


def test_another_hash_is_refused(server, tmp_path):
    wanted = program(server, "program", "0" * 64)
    refused(tmp_path, ArtefactError, rf"sha256 {SHA256}, and the card wants {'0' * 64}", wanted)


def test_what_breaks_off_is_refused(server, tmp_path):
    refused(tmp_path, ArtefactError, "sent 1000 bytes", program(server, "short"))


def test_what_is_too_long_or_takes_too_long_is_refused(server, tmp_path):
    wanted = program(server, "program")
    refused(tmp_path, ArtefactError, "over 1000 bytes", wanted, longest_bytes=1000)
    ticks = iter(range(0, 10_000, 60))
    late = {"limit_s": 100.0, "clock_s": lambda: float(next(ticks))}
    refused(tmp_path, UnavailableError, "took over 100 s", wanted, **late)


def test_what_is_not_there_is_said(server, tmp_path):
    refused(tmp_path, UnavailableError, r"cannot be fetched \(404", program(server, "missing"))
    with running_server() as gone:
        pass
    refused(tmp_path, UnavailableError, "cannot be fetched", program(gone, "program"))


def test_a_server_cannot_send_elat_to_a_file(server, tmp_path):
    refused(tmp_path, UnavailableError, "cannot be fetched", program(server, "away"))


def test_giving_up_leaves_nothing(server, tmp_path):
    steps = fetch(program(server, "program"), tmp_path / "program")
    next(steps)
    steps.close()
    assert list(tmp_path.iterdir()) == []
