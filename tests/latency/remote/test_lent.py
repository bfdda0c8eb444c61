"""Folders on loan to a board: they arrive whole, and leave nothing."""

from __future__ import annotations

import zipfile
from pathlib import Path

import pytest

from elat.core.errors import ArtefactError
from elat.latency.remote import far
from elat.latency.remote.lent import bundle_name, drop, pack, unpack

TOKEN = "0123456789abcdef"
NAME = bundle_name(TOKEN)


@pytest.fixture
def work(tmp_path, monkeypatch):
    (tmp_path / "work").mkdir()
    monkeypatch.chdir(tmp_path / "work")
    return tmp_path / "work"


@pytest.fixture
def folders(tmp_path):
    found = []
    for number in range(2):
        folder = tmp_path / f"folder{number}"
        folder.mkdir()
        (folder / "model.onnx").write_text(f"model {number}")
        (folder / "inputs.npz").write_bytes(bytes([number]) * 1000)
        found.append(folder)
    return found


def test_they_are_there_by_number_until_they_are_dropped(work, folders):
    pack(folders, Path(NAME))
    assert far.main(["lend", NAME]) == 0
    assert not Path(NAME).exists()
    for number, folder in enumerate(folders):
        there = work / "lent" / TOKEN / str(number)
        assert {p.name: p.read_bytes() for p in there.iterdir()} == {
            p.name: p.read_bytes() for p in folder.iterdir()
        }
    for _ in range(2):
        assert far.main(["drop", NAME]) == 0
    assert list((work / "lent").iterdir()) == []


def test_a_loan_that_was_cut_short_leaves_nothing(work, folders):
    pack(folders, Path(NAME))
    data = Path(NAME).read_bytes()
    Path(NAME).write_bytes(data[: len(data) // 2])
    with pytest.raises(ArtefactError, match="cut short"):
        unpack(Path(NAME), work)
    assert list((work / "lent").iterdir()) == []


@pytest.mark.parametrize("name", ["..", "lent-x.zip", f"../{NAME}", f"lent-{TOKEN}.zip\n", ""])
@pytest.mark.parametrize("act", [unpack, drop])
def test_what_is_the_name_of_no_loan_is_refused(work, name, act):
    (work.parent / "precious").mkdir()
    with pytest.raises(ArtefactError, match="name of no loan"):
        act(Path(name), work)
    assert (work.parent / "precious").is_dir()


def test_no_member_leads_out_of_the_work_folder(work):
    with zipfile.ZipFile(NAME, "w") as archive:
        archive.writestr("../../../out", "evil")
    unpack(Path(NAME), work)
    assert not list(work.parent.glob("out"))
    assert [p.name for p in (work / "lent" / TOKEN).iterdir()] == ["out"]


def test_the_environment_is_told(work, capsys):
    assert far.main(["environment"]) == 0
    assert "kernel" in capsys.readouterr().out
