"""Files are whole or absent, and manifests say what they are."""

from __future__ import annotations

import json
import os
import signal
import subprocess
import sys
from pathlib import Path

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from elat.core.artefact import (
    MANIFEST,
    SCHEMA,
    canonical_json,
    elat_home,
    manifest,
    read_json,
    read_manifest,
    replacing,
    sha256_of,
    write_bytes,
    write_json,
    write_text,
)
from elat.core.errors import ArtefactError, ConfigError

json_values = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats(allow_nan=False, allow_infinity=False)
    | st.text(),
    lambda inner: st.lists(inner, max_size=4) | st.dictionaries(st.text(), inner, max_size=4),
    max_leaves=12,
)  # fmt: skip


def names(folder: Path) -> set[str]:
    return {path.name for path in folder.iterdir()}


def test_a_new_file_appears_with_its_folders(tmp_path: Path) -> None:
    path = tmp_path / "a" / "b" / "file.txt"
    write_text(path, "größer\n")
    assert path.read_bytes() == "größer\n".encode()
    assert path.stat().st_mode & 0o777 == 0o644
    assert names(path.parent) == {"file.txt"}


def test_an_exception_leaves_the_old_file_and_nothing_beside_it(tmp_path: Path) -> None:
    path = tmp_path / "file.txt"
    path.write_text("old")

    def give_up_halfway() -> None:
        with replacing(path) as temporary:
            temporary.write_text("half of the new")
            raise KeyboardInterrupt

    with pytest.raises(KeyboardInterrupt):
        give_up_halfway()
    assert path.read_text() == "old"
    assert names(tmp_path) == {"file.txt"}


WRITER = """
import sys
from pathlib import Path
from elat.core.artefact import replacing
for index in range(1, 10**9):
    with replacing(Path(sys.argv[1])) as temporary:
        with temporary.open("w") as file:
            for _ in range(50):
                file.write(f"{index}\\n" * 100)
                file.flush()
    print(index, flush=True)
"""


@pytest.mark.parametrize("after", [1, 3, 8])
def test_a_kill_leaves_the_old_file_or_the_new_one(tmp_path: Path, after: int) -> None:
    path = tmp_path / "file.txt"
    with subprocess.Popen(
        [sys.executable, "-P", "-c", WRITER, str(path)], stdout=subprocess.PIPE, text=True
    ) as process:
        assert process.stdout is not None
        for _ in range(after):
            process.stdout.readline()
        os.kill(process.pid, signal.SIGKILL)
        said = process.stdout.read().split()
    lines = path.read_text().splitlines()
    last = int(said[-1]) if said else after
    assert len(lines) == 5000
    assert len(set(lines)) == 1
    assert last <= int(lines[0]) <= last + 1


def test_a_folder_in_place_of_a_file_is_an_error_and_survives(tmp_path: Path) -> None:
    with pytest.raises(IsADirectoryError):
        write_bytes(tmp_path, b"x")
    assert tmp_path.is_dir()


@given(json_values)
@settings(deadline=None)
def test_canonical_json_does_not_depend_on_the_order_of_keys(value: object) -> None:
    text = canonical_json(value)
    assert json.loads(text) == value
    assert canonical_json(reordered(value)) == text


def reordered(value: object) -> object:
    if isinstance(value, dict):
        return {key: reordered(value[key]) for key in reversed(value)}
    return [reordered(item) for item in value] if isinstance(value, list) else value


def test_canonical_json_is_short_sorted_and_finite() -> None:
    assert canonical_json({"b": [1, 2.5], "a": None}) == '{"a":null,"b":[1,2.5]}'
    with pytest.raises(ValueError, match="JSON"):
        canonical_json(float("nan"))


def test_hashes_are_of_the_utf8_bytes() -> None:
    of_nothing = "e3b0c44298fc1c149afbf4c8996fb92427ae41e4649b934ca495991b7852b855"
    assert sha256_of("") == sha256_of(b"") == of_nothing
    assert sha256_of("é") == sha256_of("é".encode())


def test_json_round_trips(tmp_path: Path) -> None:
    write_json(tmp_path / "x.json", {"b": 1, "a": [0.1, None]})
    assert read_json(tmp_path / "x.json") == {"a": [0.1, None], "b": 1}
    assert (tmp_path / "x.json").read_text().startswith('{\n  "a"')


@pytest.mark.parametrize("content", [b"", b'{"a": 1', b"\xff\xfe"])
def test_unreadable_json_is_refused_with_its_path(tmp_path: Path, content: bytes) -> None:
    path = tmp_path / "x.json"
    path.write_bytes(content)
    with pytest.raises(ArtefactError, match=r"x\.json is not readable JSON .* make it again"):
        read_json(path)


def test_missing_json_is_refused_with_its_path(tmp_path: Path) -> None:
    with pytest.raises(ArtefactError, match=r"x\.json does not exist"):
        read_json(tmp_path / "x.json")


def test_a_manifest_says_how_a_folder_came_to_be(tmp_path: Path) -> None:
    made = manifest("toy", config={"b": 2, "a": 1}, seed=3, parents={"table": "abc"})
    assert made["config_sha256"] == sha256_of('{"a":1,"b":2}')
    assert (made["seed"], made["parents"], made["schema"]) == (3, {"table": "abc"}, SCHEMA)
    assert {"elat", "numpy", "torch"} <= made["versions"].keys()
    assert made["created_utc"].endswith("+00:00")
    write_json(tmp_path / MANIFEST, made)
    assert read_manifest(tmp_path, "toy") == made


def test_manifests_of_equal_config_have_equal_hashes() -> None:
    first = manifest("toy", config={"b": 2, "a": 1}, seed=None, parents={})
    second = manifest("toy", config={"a": 1, "b": 2}, seed=None, parents={})
    assert first["config_sha256"] == second["config_sha256"]


@pytest.mark.parametrize(
    ("found", "message"),
    [
        ({"kind": "other", "schema": SCHEMA}, "holds a other, not a toy"),
        ({"schema": SCHEMA}, "holds a nameless thing, not a toy"),
        ([], "holds a nameless thing, not a toy"),
        ({"kind": "toy", "schema": 99}, f"has schema 99, this elat reads schema {SCHEMA}"),
        ({"kind": "toy"}, "has schema None"),
    ],
)
def test_foreign_manifests_are_refused(tmp_path: Path, found: object, message: str) -> None:
    write_json(tmp_path / MANIFEST, found)
    with pytest.raises(ArtefactError, match=message):
        read_manifest(tmp_path, "toy")


def test_a_missing_folder_or_manifest_is_refused(tmp_path: Path) -> None:
    with pytest.raises(ArtefactError, match="is no folder; a toy folder was expected"):
        read_manifest(tmp_path / "absent", "toy")
    with pytest.raises(ArtefactError, match=r"manifest\.json does not exist"):
        read_manifest(tmp_path, "toy")


def test_home_is_what_the_environment_says(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("ELAT_HOME", "/somewhere")
    assert elat_home() == Path("/somewhere")
    monkeypatch.delenv("ELAT_HOME")
    monkeypatch.setenv("XDG_DATA_HOME", "/data")
    assert elat_home() == Path("/data/elat")
    monkeypatch.delenv("XDG_DATA_HOME")
    monkeypatch.setenv("HOME", "/home/someone")
    assert elat_home() == Path("/home/someone/.local/share/elat")


def test_no_home_at_all_is_refused_with_the_repair(monkeypatch: pytest.MonkeyPatch) -> None:
    def unknown() -> Path:
        raise RuntimeError("no home")

    monkeypatch.delenv("ELAT_HOME", raising=False)
    monkeypatch.delenv("XDG_DATA_HOME", raising=False)
    monkeypatch.setattr(Path, "home", unknown)
    with pytest.raises(ConfigError, match="set ELAT_HOME"):
        elat_home()
