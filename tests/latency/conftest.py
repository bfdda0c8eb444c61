"""What tests of `elat.latency` share."""

from __future__ import annotations

import shutil

import pytest

from .shells import SHELLS


@pytest.fixture(params=SHELLS)
def shell(request):
    """The words of a shell, for `ShellFolder`."""
    words = SHELLS[request.param]
    if shutil.which(words[0]) is None:
        pytest.skip(f"{words[0]} is not installed")
    return words
