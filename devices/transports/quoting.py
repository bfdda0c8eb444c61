"""Argument lists as one line of a POSIX shell: the only place where such a line is made."""

from __future__ import annotations

import os
import shlex
from collections.abc import Sequence

from ...core.errors import ConfigError

LONGEST_LINE_BYTES = 100_000
"""Linux takes no argument of 128 KiB or more, and the line is one argument of ssh or adb."""


def quoted(words: Sequence[str]) -> str:
    """The line that a POSIX shell splits into exactly `words`, expanding nothing.

    Raises:
        ConfigError: No line says that: see `check_words`.
    """
    check_words(words)
    line = shlex.join(words)
    size = len(os.fsencode(line))
    if size > LONGEST_LINE_BYTES:
        raise ConfigError(
            f"The command {words[0][:80]!r} with its arguments has {size} bytes, and "
            f"{LONGEST_LINE_BYTES} go over a transport: push a file with them instead."
        )
    return line


def check_words(words: Sequence[str]) -> None:
    """Refuse what no program can be given as arguments.

    Raises:
        ConfigError: There is no word, the first one is empty or looks like an option, or a word
            holds NUL or what has no bytes in this machine's encoding.
    """
    if not words:
        raise ConfigError("A command needs a program, and there was no word.")
    if not words[0] or words[0].startswith("-"):
        raise ConfigError(f"{words[0][:80]!r} is no program: name one that does not begin with -.")
    for word in words:
        if "\0" in word:
            raise ConfigError(f"The argument {word[:80]!r} holds NUL: no program can be given it.")
        try:
            os.fsencode(word)
        except UnicodeEncodeError as error:
            raise ConfigError(
                f"The argument {word[:80]!r} has no bytes ({error.reason})."
            ) from None
