"""Fetches the program that a card names by address; nothing else in elat does."""

from __future__ import annotations

import hashlib
import time
import urllib.error
import urllib.request
from collections.abc import Callable, Generator, Iterator
from http.client import HTTPException
from pathlib import Path
from typing import IO, Any

from ..core.artefact import replacing
from ..core.errors import ArtefactError, UnavailableError
from .device import Program

LONGEST_BYTES = 512 * 2**20
LIMIT_S = 1800.0
_SILENT_S = 30.0
_CHUNK_BYTES = 2**16


def fetch(
    program: Program,
    target: Path,
    *,
    longest_bytes: int = LONGEST_BYTES,
    limit_s: float = LIMIT_S,
    clock_s: Callable[[], float] = time.monotonic,
) -> Generator[tuple[int, int | None], None, None]:
    """Fetch `program` to `target`, which it takes whole and with its hash right, or not at all.

    Yields:
        Bytes so far, and all of them where the server tells; the file is there at the end.

    Raises:
        ArtefactError: What came is something else than the card's sha256 says, or too long.
        UnavailableError: The server does not answer, refuses, or takes too long.
    """
    digest, so_far, deadline_s = hashlib.sha256(), 0, clock_s() + limit_s
    url = str(program.url)
    with replacing(target) as temporary:
        with _opened(url) as answer, temporary.open("wb") as file:
            whole = _length(answer)
            for chunk in _chunks(answer, url):
                so_far += len(chunk)
                if so_far > longest_bytes:
                    raise ArtefactError(
                        f"{url} sends over {longest_bytes} bytes, which is no benchmark program; "
                        "repair program.url in the card."
                    )
                if clock_s() > deadline_s:
                    raise UnavailableError(
                        f"{url} took over {limit_s:g} s; fetch it yourself and name the file with "
                        "program.path in the card."
                    )
                digest.update(chunk)
                file.write(chunk)
                yield so_far, whole
        if digest.hexdigest() != program.sha256:
            raise ArtefactError(
                f"{url} sent {so_far} bytes with sha256 {digest.hexdigest()}, and the card wants "
                f"{program.sha256}; nothing was kept. Compare both with what the maker publishes."
            )


def _opened(url: str) -> IO[bytes]:
    """The answer to a request for `url`; only http and https are spoken, redirected or not.

    Raises:
        UnavailableError: There is none, or it is a refusal.
    """
    opener = urllib.request.OpenerDirector()
    for handler in (
        urllib.request.ProxyHandler,
        urllib.request.UnknownHandler,
        urllib.request.HTTPHandler,
        urllib.request.HTTPSHandler,
        urllib.request.HTTPDefaultErrorHandler,
        urllib.request.HTTPRedirectHandler,
        urllib.request.HTTPErrorProcessor,
    ):
        opener.add_handler(handler())
    request = urllib.request.Request(url, headers={"User-Agent": "elat"})
    try:
        answer: IO[bytes] = opener.open(request, timeout=_SILENT_S)
    except (OSError, HTTPException, ValueError) as error:
        raise _unreachable(url, error) from error
    return answer


def _chunks(answer: IO[bytes], url: str) -> Iterator[bytes]:
    try:
        while chunk := answer.read(_CHUNK_BYTES):
            yield chunk
    except (OSError, HTTPException, ValueError) as error:
        raise _unreachable(url, error) from error


def _length(answer: Any) -> int | None:
    told = answer.headers.get("Content-Length", "")
    return int(told) if told.isdecimal() and len(told) < 16 else None


def _unreachable(url: str, error: Exception) -> UnavailableError:
    said = " ".join(str(getattr(error, "reason", error)).split())[:200]
    if isinstance(error, urllib.error.HTTPError):
        said = f"{error.code} {said}"
    return UnavailableError(
        f"{url} cannot be fetched ({said or type(error).__name__}); try again, or repair "
        "program.url in the card."
    )
