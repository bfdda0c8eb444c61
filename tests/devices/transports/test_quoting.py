"""The one place where argument lists become a line, against shells."""

from __future__ import annotations

import os
import shutil
import subprocess

import pytest
from hypothesis import example, given, settings
from hypothesis import strategies as st

from elat.core.errors import ConfigError
from elat.devices.transports.quoting import LONGEST_LINE_BYTES, check_words, quoted

from .strategies import ANYTHING, PIECES, WORDS

SHELLS = [shell for shell in ("sh", "dash", "bash", "mksh", "ksh", "zsh") if shutil.which(shell)]


def echoed(shell: str, words: list[str], folder: str) -> list[bytes]:
    """The arguments that `printf` is given by `shell`, which reads them as a line."""
    line = quoted(["printf", r"%s\0", *words])
    done = subprocess.run([shell, "-c", line], cwd=folder, capture_output=True, check=True)
    return done.stdout.split(b"\0")[:-1]


@pytest.mark.parametrize("shell", SHELLS)
@settings(max_examples=40, deadline=None)
@given(words=st.lists(WORDS, min_size=1, max_size=40))
@example(words=list(PIECES))
def test_a_shell_reads_exactly_the_words(shell, words, tmp_path_factory):
    folder = tmp_path_factory.mktemp("shell")
    assert echoed(shell, words, folder) == [os.fsencode(word) for word in words]
    assert list(folder.iterdir()) == []


@given(words=st.lists(ANYTHING, max_size=4))
def test_whatever_is_said_is_a_line_or_refused(words):
    try:
        line = quoted(words)
    except ConfigError:
        return
    assert words
    assert "\0" not in line
    assert not line.startswith("-")


@pytest.mark.parametrize(
    ("words", "match"),
    [
        ([], "needs a program"),
        ([""], "is no program"),
        (["-rf"], "does not begin with -"),
        (["echo", "a\0b"], "holds NUL"),
        (["echo", "\ud800"], "no bytes"),
    ],
)
def test_what_no_program_can_be_given_is_refused(words, match):
    with pytest.raises(ConfigError, match=match):
        check_words(words)


def test_a_line_too_long_for_one_argument_is_refused():
    with pytest.raises(ConfigError, match="push a file"):
        quoted(["echo", "'" * LONGEST_LINE_BYTES])
