"""Commands in the documents are commands that exist, with options that exist."""

from __future__ import annotations

import re
import shlex
from pathlib import Path
from typing import Any

import pytest
import typer

from elat.cli.app import app

ROOT = Path(__file__).parents[2]
DOCUMENTS = [ROOT / "README.md", ROOT / "CONTRIBUTING.md", *sorted((ROOT / "docs").glob("*.md"))]
COMMAND: Any = typer.main.get_command(app)


def commands() -> list[Any]:
    """Every `elat` line in a fenced block of the documents, continued lines joined."""
    found = []
    for document in DOCUMENTS:
        for block in re.findall(r"```(?:bash|sh|console)\n(.*?)```", document.read_text(), re.S):
            for line in block.replace("\\\n", " ").splitlines():
                words = shlex.split(line.removeprefix("$ "), comments=True)
                if words and words[0] == "elat":
                    found.append(pytest.param(words[1:], id=f"{document.name}: {' '.join(words)}"))
    return found


@pytest.mark.parametrize("words", commands())
def test_a_written_command_parses(words: list[str]) -> None:
    verb, *rest = words
    if verb == "--help":
        return
    assert verb in COMMAND.commands
    COMMAND.commands[verb].make_context(verb, rest)


def test_the_documents_hold_commands() -> None:
    assert len(commands()) >= 8


@pytest.mark.parametrize("verb", sorted(COMMAND.commands))
def test_every_verb_and_option_is_explained(verb: str) -> None:
    command = COMMAND.commands[verb]
    assert command.help
    assert command.help.splitlines()[0].endswith(".")
    for parameter in command.params:
        assert parameter.help, f"{verb}: {parameter.name}"


def test_every_verb_of_the_flow_prints_json() -> None:
    for verb, command in COMMAND.commands.items():
        if verb not in ("worker", "demo"):
            assert "--json" in [option for p in command.params for option in p.opts]


def test_the_help_documents_every_exit_code() -> None:
    from elat.core import errors

    text = COMMAND.help
    for cls in vars(errors).values():
        if isinstance(cls, type) and issubclass(cls, errors.ElatError) and cls.exit_code > 1:
            assert re.search(rf"\b{cls.exit_code} \w", text), cls
