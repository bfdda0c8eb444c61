"""Names of files on a device: they stay inside its work folder."""

from __future__ import annotations

import unicodedata

from ...core.errors import ConfigError

LONGEST_PART_BYTES = 200
LONGEST_NAME_BYTES = 700
"""File systems take 255 bytes a part, some for a file on its way; adb takes 1,024 in all."""


def check_name(name: str) -> str:
    """`name` itself, of a file or folder inside the work folder.

    Metacharacters are fine, for they are quoted; what can leave the folder or break a line is not.

    Raises:
        ConfigError: It is absolute, has an empty part, `.` or `..`, holds a control character or
            what has no UTF-8, or is too long.
    """
    return _checked(name, "name of a file on a device", name)


def check_job_name(name: str) -> str:
    """`name` itself, of a job: one part of a path.

    Raises:
        ConfigError: It is several, or no name of a file.
    """
    if "/" in name:
        raise _refusal(name, "name of a job", "it holds a slash")
    return _checked(name, "name of a job", name)


def check_folder(folder: str) -> str:
    """The work folder `folder` as the device gets it; a relative one is below its login folder.

    Raises:
        ConfigError: It is the root, or no path as in `check_name`.
    """
    if folder.startswith("~"):
        raise _refusal(folder, "work folder", "~ is not expanded: leave it and the slash out")
    if folder.startswith("/"):
        return _checked(folder, "work folder", folder[1:])
    _checked(folder, "work folder", folder)
    return f"./{folder}"


def _checked(whole: str, noun: str, relative: str) -> str:
    for part in relative.split("/"):
        if part in ("", ".", ".."):
            raise _refusal(whole, noun, f"it has the part {part!r}")
        if any(unicodedata.category(character) == "Cc" for character in part):
            raise _refusal(whole, noun, "it holds a control character")
        if len(_encoded(part, whole, noun)) > LONGEST_PART_BYTES:
            raise _refusal(whole, noun, f"a part has over {LONGEST_PART_BYTES} bytes")
    if len(_encoded(relative, whole, noun)) > LONGEST_NAME_BYTES:
        raise _refusal(whole, noun, f"it has over {LONGEST_NAME_BYTES} bytes")
    return whole


def _encoded(text: str, whole: str, noun: str) -> bytes:
    try:
        return text.encode()
    except UnicodeEncodeError:
        raise _refusal(whole, noun, "it has no UTF-8") from None


def _refusal(whole: str, noun: str, reason: str) -> ConfigError:
    return ConfigError(
        f"{whole[:80]!r} is refused as {noun}: {reason}. Give a plain relative path, such as "
        "models/a.tflite."
    )
