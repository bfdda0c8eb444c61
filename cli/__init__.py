"""The command line: parse, draw progress, map errors to exit codes; no logic."""

from __future__ import annotations

import sys


def main() -> None:
    """Entry point of the `elat` command."""
    from ..core.errors import ElatError
    from .app import app

    try:
        app()
    except ElatError as error:
        print(f"error: {error}", file=sys.stderr)
        raise SystemExit(error.exit_code) from None
    except KeyboardInterrupt:
        print("interrupted: what was finished is kept; the same command goes on", file=sys.stderr)
        raise SystemExit(130) from None
    except BrokenPipeError:
        sys.stderr.close()
        raise SystemExit(141) from None
    except OSError as error:
        where = f" ({error.filename})" if error.filename else ""
        print(f"error: {error.strerror or error}{where}", file=sys.stderr)
        raise SystemExit(1) from None
