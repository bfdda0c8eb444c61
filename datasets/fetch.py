"""`python -m elat.datasets.fetch NAME [FOLDER]`: the one explicit download."""

from __future__ import annotations

import sys
from pathlib import Path

from ..core.errors import ElatError, UnknownNameError
from .corpora.fetching import CORPORA, fetch_corpus
from .fashion_mnist import NAME, fetch_fashion_mnist


def main(arguments: list[str]) -> int:
    """Fetch the data set named first into the folder named second; the exit code."""
    name, *rest = arguments or [""]
    try:
        given = Path(rest[0]) if rest else None
        if name in CORPORA:
            folder = fetch_corpus(name, given)
        elif name == NAME:
            folder = fetch_fashion_mnist(given)
        else:
            raise UnknownNameError("data set to fetch", name, [NAME, *CORPORA])
    except ElatError as error:
        sys.stderr.write(f"{error}\n")
        return error.exit_code
    sys.stdout.write(f"{name} is in {folder}\n")
    return 0


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
