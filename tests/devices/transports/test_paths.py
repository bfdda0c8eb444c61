"""Names on a device stay in its work folder."""

from __future__ import annotations

import os.path

import pytest
from hypothesis import given

from elat.core.errors import ConfigError
from elat.devices.transports.paths import (
    LONGEST_NAME_BYTES,
    check_folder,
    check_job_name,
    check_name,
)

from .strategies import ANYTHING

REFUSED = ["", ".", "..", "/", "/etc/passwd", "a/../b", "../a", "a/..", "a//b", "a/", "./a",
           "a\nb", "a\rb", "a\0b", "a\x1bb", "\ud800", "x" * 201, "é" * 101,
           "/".join(["x" * 100] * 8)]  # fmt: skip


@pytest.mark.parametrize("name", REFUSED)
def test_what_leaves_the_folder_or_breaks_a_line_is_refused(name):
    with pytest.raises(ConfigError, match="is refused as name of a file"):
        check_name(name)


@pytest.mark.parametrize(
    "name", ["a", "a/b.tflite", "-rf", "a b", "$(x)", "..a", "a;b", "é" * 100]
)
def test_what_stays_is_taken_as_it_is(name):
    assert check_name(name) == name


@given(name=ANYTHING)
def test_a_name_that_is_taken_stays_below_every_folder(name):
    try:
        check_name(name)
    except ConfigError:
        return
    assert os.path.normpath(f"/work/folder/{name}").startswith("/work/folder/")
    assert len(name.encode()) <= LONGEST_NAME_BYTES
    assert name.splitlines()[0].encode().find(b"\n") == -1


@pytest.mark.parametrize("folder", ["/", "", "..", "/a/../b", "~", "~/x", "/a\nb", "//a", "a//b"])
def test_work_folders_are_checked_too(folder):
    with pytest.raises(ConfigError, match="is refused as work folder"):
        check_folder(folder)


def test_a_relative_work_folder_is_no_option():
    assert check_folder("-rf") == "./-rf"
    assert check_folder("/data/local/tmp/elat") == "/data/local/tmp/elat"


@pytest.mark.parametrize("name", ["a/b", "/a", *REFUSED])
def test_a_job_is_one_part(name):
    with pytest.raises(ConfigError, match="is refused as name of a job"):
        check_job_name(name)
