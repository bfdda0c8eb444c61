"""The wheel that is brought: whole, the same each time, and one that installers read."""

from __future__ import annotations

import base64
import csv
import hashlib
import io
import json
import subprocess
import sys
import tomllib
import zipfile
from pathlib import Path

from elat.latency.remote.wheel import build_wheel

ROOT = Path(__file__).parents[3]


def opened() -> zipfile.ZipFile:
    return zipfile.ZipFile(io.BytesIO(build_wheel().data))


def test_it_holds_every_package_with_its_data_and_no_tests():
    names = set(opened().namelist())
    packages = tomllib.loads((ROOT / "pyproject.toml").read_text())["tool"]["setuptools"][
        "packages"
    ]
    assert {f"{p.replace('.', '/')}/__init__.py" for p in packages} <= names
    assert {"elat/py.typed", "elat/devices/cards/local-ort.yaml"} <= names
    assert "elat/search/spaces/proxyless-tiny.yaml" in names
    assert not any("/tests/" in name or name.endswith(".pyc") for name in names)


def test_its_record_names_every_file_with_its_hash():
    archive = opened()
    (record,) = [name for name in archive.namelist() if name.endswith("RECORD")]
    rows = list(csv.reader(archive.read(record).decode().splitlines()))
    assert [row[0] for row in rows] == archive.namelist()
    for name, digest, size in rows[:-1]:
        data = archive.read(name)
        kind, _, value = digest.partition("=")
        assert kind == "sha256"
        assert base64.urlsafe_b64decode(value + "=") == hashlib.sha256(data).digest()
        assert int(size) == len(data)


def test_the_same_files_give_the_same_bytes():
    first = build_wheel()
    assert build_wheel.__wrapped__() == first
    assert len(first.digest) == 16


def test_what_is_unpacked_is_the_elat_that_runs(tmp_path):
    wheel = build_wheel()
    with opened() as archive:
        archive.extractall(tmp_path)
    ask = (
        "import elat, json; from importlib.metadata import version; import elat.latency.worker;"
        "print(json.dumps([elat.__file__, version('elat')]))"
    )
    words = [sys.executable, "-P", "-c", ask]
    ended = subprocess.run(
        words, env={"PYTHONPATH": str(tmp_path)}, capture_output=True, check=True
    )
    assert json.loads(ended.stdout) == [str(tmp_path / "elat" / "__init__.py"), wheel.version]
