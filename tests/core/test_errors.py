"""The tree in the docstring is the tree of the classes."""

from __future__ import annotations

import re

import pytest

from elat.core import errors
from elat.core.errors import ElatError, UnknownNameError

CLASSES = {
    name: cls
    for name, cls in vars(errors).items()
    if isinstance(cls, type) and issubclass(cls, ElatError)
}


def documented() -> dict[str, tuple[str | None, int]]:
    """Parent and exit code of every class, as the module's docstring draws them."""
    assert errors.__doc__ is not None
    found: dict[str, tuple[str | None, int]] = {}
    path: list[str] = []
    for line in errors.__doc__.splitlines():
        match = re.match(r"^([│├└─ ]*)([A-Z]\w+Error)\b(?:\s+(?:exit code )?(\d+))?", line)
        if match is None:
            continue
        branch, name, code = match.groups()
        path = [*path[: len(branch) // 4], name]
        parent = path[-2] if len(path) > 1 else None
        found[name] = (parent, int(code) if code else found[str(parent)][1])
    return found


def test_the_docstring_draws_every_class_with_its_parent_and_exit_code() -> None:
    actual = {
        name: (None if cls is ElatError else cls.__base__.__name__, cls.exit_code)
        for name, cls in CLASSES.items()
        if cls.__base__ is not None
    }
    assert documented() == actual


def test_every_branch_has_an_exit_code_of_its_own() -> None:
    branches = [cls for cls in CLASSES.values() if cls.__base__ is ElatError]
    codes = [ElatError.exit_code, *(cls.exit_code for cls in branches)]
    assert len(set(codes)) == len(codes)
    assert all(0 < code < 126 for code in codes), "126 and above belong to the shell"


def test_every_class_is_documented() -> None:
    assert all(cls.__doc__ for cls in CLASSES.values())


@pytest.mark.parametrize(
    ("name", "hint"), [("local-otr", "Did you mean 'local-ort'?"), ("jetson", "")]
)
def test_unknown_names_suggest_a_close_one_and_list_the_known(name: str, hint: str) -> None:
    error = UnknownNameError("device", name, ["zeta", "local-ort"], "List them: elat devices.")
    text = str(error)
    assert text.startswith(f"Unknown device {name!r}.")
    assert hint in text
    assert ("Did you mean" in text) == bool(hint)
    assert text.endswith("Known: local-ort, zeta. List them: elat devices.")
    assert error.exit_code == 2
