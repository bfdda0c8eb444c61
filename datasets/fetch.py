"""`python -m elat.datasets.fetch fashion-mnist [FOLDER]`: the one explicit download."""

from __future__ import annotations

import sys
from pathlib import Path

from ..core.errors import ElatError, UnknownNameError
from .fashion_mnist import NAME, fetch_fashion_mnist


def main(arguments: list[str]) -> int:
    """Fetch the data set named first into the folder named second; the exit code."""
    name, *rest = arguments or [""]
    try:
        if name != NAME:
            raise UnknownNameError("data set to fetch", name, [NAME])
        folder = fetch_fashion_mnist(Path(rest[0]) if rest else None)
    except ElatError as error:
        sys.stderr.write(f"{error}\n")
        return error.exit_code
    sys.stdout.write(f"{name} is in {folder}\n")
    return 0


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
