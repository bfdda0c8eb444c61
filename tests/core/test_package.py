"""What is installed, and what importing it costs."""

from __future__ import annotations

import json
import subprocess
import sys
import tomllib
from pathlib import Path
from typing import Any

import pytest

ROOT = Path(__file__).parents[2]
HEAVY = ("torch", "onnx", "onnxruntime", "sklearn", "xgboost", "matplotlib", "scipy", "numpy",
         "ai_edge_litert", "pyarrow", "pandas")  # fmt: skip
SKIPPED = {"tests", "examples", "docs", "configs", "build", "dist"}


@pytest.fixture(scope="module")
def setuptools_section() -> dict[str, Any]:
    section: dict[str, Any] = tomllib.loads((ROOT / "pyproject.toml").read_text())["tool"]
    return dict(section["setuptools"])


def source_folders() -> list[Path]:
    """The root and every folder below it that holds sources, as paths from the root."""
    found = [Path()]
    for folder in found:
        found += [
            path.relative_to(ROOT)
            for path in (ROOT / folder).iterdir()
            if (path / "__init__.py").is_file()
            and path.name not in SKIPPED
            and not path.name.startswith(".")
        ]
    return found


def test_the_list_of_packages_is_the_tree(setuptools_section: dict[str, Any]) -> None:
    tree = sorted(".".join(("elat", *folder.parts)) for folder in source_folders())
    assert sorted(setuptools_section["packages"]) == tree


def test_every_folder_of_sources_is_a_package() -> None:
    packages = {ROOT / folder for folder in source_folders()}
    for path in ROOT.rglob("*.py"):
        parts = path.relative_to(ROOT).parts
        if parts[0] not in SKIPPED and not parts[0].startswith("."):
            assert path.parent in packages, f"{path} is in no package"


def test_no_file_is_missing_from_the_wheel(setuptools_section: dict[str, Any]) -> None:
    """Whatever lies beside the sources matches a pattern, and every pattern matches something."""
    patterns = setuptools_section["package-data"]
    packed: set[Path] = set()
    for package, globs in patterns.items():
        folder = ROOT.joinpath(*package.split(".")[1:])
        for glob in globs:
            found = set(folder.glob(glob))
            assert found, f"{package}: nothing matches {glob}"
            packed |= found
    for folder in source_folders()[1:]:
        for path in (ROOT / folder).rglob("*"):
            if path.is_file() and path.suffix not in (".py", ".pyc"):
                assert path in packed, f"{path} is in no wheel"
    assert ROOT / "py.typed" in packed


def modules_after(code: str) -> set[str]:
    """Top-level modules loaded by a fresh interpreter that runs `code`."""
    ask = "import sys, json; print(json.dumps(sorted({m.partition('.')[0] for m in sys.modules})))"
    done = subprocess.run(
        [sys.executable, "-P", "-c", f"{code}\n{ask}"],
        capture_output=True,
        text=True,
        check=True,
        timeout=60,
    )
    return set(json.loads(done.stdout.splitlines()[-1]))


@pytest.mark.parametrize(
    "code",
    [
        "import elat",
        "import elat.core.errors, elat.core.artefact",
        "import elat.cli, elat.cli.app",
        "import sys; sys.argv = ['elat', '--help']\n"
        "import elat.cli\n"
        "try: elat.cli.main()\n"
        "except SystemExit as end: assert not end.code, end.code",
        "import sys; sys.argv = ['elat', 'search', '--help']\n"
        "import elat.cli\n"
        "try: elat.cli.main()\n"
        "except SystemExit as end: assert not end.code, end.code",
    ],
    ids=["elat", "core", "cli", "--help", "search --help"],
)
def test_light_commands_load_nothing_heavy(code: str) -> None:
    assert not modules_after(code) & set(HEAVY)


def test_importing_the_package_loads_no_part_of_it() -> None:
    code = (
        "import sys, elat\n"
        "assert elat.__version__\n"
        "loaded = [name for name in sys.modules if name.startswith('elat.')]\n"
        "assert not loaded, loaded"
    )
    subprocess.run([sys.executable, "-P", "-c", code], check=True, timeout=60)


def test_unknown_attributes_of_the_package_are_missing() -> None:
    import elat

    with pytest.raises(AttributeError, match="no attribute 'nonsense'"):
        elat.nonsense  # noqa: B018


def test_public_names_exist_and_are_listed() -> None:
    import elat

    assert elat._PUBLIC
    for name, module in elat._PUBLIC.items():
        found = getattr(elat, name)
        assert found.__name__ == name
        assert found.__module__ == f"elat.{module}"
        assert name in dir(elat)


def test_datasets_is_no_top_level_package() -> None:
    """Found in the current directory it would pass for the public package of that name."""
    done = subprocess.run(
        [sys.executable, "-c", "import datasets"],
        cwd=ROOT,
        capture_output=True,
        text=True,
        timeout=60,
        env={"PATH": ""},
    )
    assert done.returncode == 1
    assert "ImportError: This folder is elat.datasets" in done.stderr


def test_versions_agree() -> None:
    import elat

    assert tomllib.loads((ROOT / "pyproject.toml").read_text())["project"]["version"] == (
        elat.__version__
    )
