"""Text becomes settings, or an error that names the key."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from pydantic import Field, ValidationError

from elat.core.config import Settings, parse, read_yaml, with_overrides
from elat.core.errors import ArtefactError, ConfigError


class Inner(Settings):
    size: int = Field(default=3, ge=1)


class Outer(Settings):
    name: str
    rate: float = Field(default=0.1, gt=0)
    inner: Inner = Inner()
    stages: tuple[Inner, ...] = ()


def test_settings_are_filled_with_defaults_and_frozen() -> None:
    found = parse(Outer, {"name": "x", "inner": {"size": 5}}, "f.yaml")
    assert (found.name, found.rate, found.inner.size) == ("x", 0.1, 5)
    with pytest.raises(ValidationError):
        found.name = "y"  # type: ignore[misc]


@pytest.mark.parametrize(
    ("data", "message"),
    [
        ({}, r"f\.yaml: name: .*required.* Keys: name, rate, inner, stages\."),
        ({"name": "x", "nmae": 1}, r"f\.yaml: nmae: .*not permitted"),
        ({"name": "x", "rate": 0}, r"f\.yaml: rate: .*greater than 0"),
        ({"name": "x", "inner": {"size": 0}}, r"f\.yaml: inner\.size: "),
        ({"name": "x", "stages": [{}, {"size": "big"}]}, r"f\.yaml: stages\.1\.size: "),
        ({"rate": -1, "nmae": 1}, r"\(and 2 more\)"),
        ([], r"f\.yaml: top level: "),
        (None, r"f\.yaml: top level: "),
    ],
)
def test_what_is_wrong_is_named(data: Any, message: str) -> None:
    with pytest.raises(ConfigError, match=message):
        parse(Outer, data, "f.yaml")


def test_yaml_is_read(tmp_path: Path) -> None:
    path = tmp_path / "f.yaml"
    path.write_text("name: x\nstages:\n  - {size: 1}\n")
    assert read_yaml(path) == {"name": "x", "stages": [{"size": 1}]}


@pytest.mark.parametrize(
    "content",
    [b"stages:\n  - {size: 1", b"name: [1, 2", b'name: "x', b"\xff\xfe\x00", b"a: b: c"],
)
def test_truncated_yaml_is_refused_with_its_path(tmp_path: Path, content: bytes) -> None:
    path = tmp_path / "f.yaml"
    path.write_bytes(content)
    with pytest.raises(ArtefactError, match=r"f\.yaml is not readable YAML .*repair it") as caught:
        read_yaml(path)
    assert "\n" not in str(caught.value)


def test_yaml_makes_no_objects(tmp_path: Path) -> None:
    path = tmp_path / "f.yaml"
    path.write_text("!!python/object/apply:os.getcwd []\n")
    with pytest.raises(ArtefactError, match="not readable YAML"):
        read_yaml(path)


def test_missing_yaml_is_refused(tmp_path: Path) -> None:
    with pytest.raises(ArtefactError, match=r"f\.yaml does not exist"):
        read_yaml(tmp_path / "f.yaml")
    with pytest.raises(ArtefactError, match="not readable"):
        read_yaml(tmp_path)


def test_overrides_are_yaml_values_at_dotted_paths() -> None:
    data = {"name": "x", "inner": {"size": 3, "kept": 1}}
    changed = with_overrides(
        data, ["inner.size=5", "rate=1e-3", "new.deep=[1, 2]", "name=a=b", "off=false"]
    )
    assert changed == {
        "name": "a=b",
        "inner": {"size": 5, "kept": 1},
        "rate": "1e-3",
        "new": {"deep": [1, 2]},
        "off": False,
    }
    assert data == {"name": "x", "inner": {"size": 3, "kept": 1}}, "the argument stays as it was"


def test_a_number_without_a_point_is_still_a_number_for_the_settings() -> None:
    """YAML 1.1 reads `1e-3` as text; the settings take it for the number that it is."""
    assert parse(Outer, with_overrides({"name": "x"}, ["rate=1e-3"]), "--set").rate == 1e-3


@pytest.mark.parametrize(
    ("assignment", "message"),
    [
        ("rate", "not of the form key=value"),
        ("=1", "not of the form key=value"),
        ("name.x=1", "'name' holds a value, not a section"),
        ("rate=[1", "not a YAML value"),
    ],
)
def test_impossible_overrides_are_refused(assignment: str, message: str) -> None:
    with pytest.raises(ConfigError, match=message):
        with_overrides({"name": "x"}, [assignment])


@given(st.dictionaries(st.sampled_from("abcd"), st.integers()), st.integers(), st.integers())
@settings(deadline=None)
def test_the_last_override_of_a_key_wins(data: dict[str, int], one: int, two: int) -> None:
    assert with_overrides(data, [f"a={one}", f"a={two}"]) == {**data, "a": two}


@pytest.mark.parametrize("text", ["[" * 200_000, "[" * 500 + "]" * 500, "{a: " * 300 + "}" * 300])
def test_deep_nesting_is_refused_and_ends_no_process(tmp_path, text):
    path = tmp_path / "deep.yaml"
    path.write_text(text)
    with pytest.raises(ArtefactError, match="nested over"):
        read_yaml(path)
    path.write_text("[" * 50 + "1" + "]" * 50)
    assert str(read_yaml(path)).count("[") == 50
