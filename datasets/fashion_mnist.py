"""Fashion-MNIST (Xiao et al. 2017): 60,000 + 10,000 grey images of clothes, 28 x 28 pixels."""

from __future__ import annotations

import gzip
import logging
import os
import urllib.error
import urllib.request
import zlib
from pathlib import Path

from ..core.artefact import elat_home, sha256_of, write_bytes
from ..core.errors import ArtefactError, UnavailableError
from .idx import read_idx_images
from .image_set import ImageData

logger = logging.getLogger(__name__)

NAME = "fashion-mnist"
SOURCE = "http://fashion-mnist.s3-website.eu-central-1.amazonaws.com"
# Of the unpacked files, since Debian's package compresses them anew.
SHA256 = {
    "train-images-idx3-ubyte.gz": (
        "c59f468a2f672dc815687fe0f83887768d799fd8a3f3276145d20f83aa44d888"
    ),
    "train-labels-idx1-ubyte.gz": (
        "bad3541b69d912435c50bb6ba87bec294ff4f6a2e1246121d8633921760443d9"
    ),
    "t10k-images-idx3-ubyte.gz": (
        "5b4141f0afbad91edebe8549f8fcffe087ea10ca49f1dbef5c9a5cd8815ce37b"
    ),
    "t10k-labels-idx1-ubyte.gz": (
        "0402a96d92fd2663957122ceb108a494c5af83dab82d92729df917d7dec38c34"
    ),
}
_DEBIAN = Path("/usr/share/datasets/fashion-mnist")


def read_fashion_mnist(folder: Path | None, resolution: int | None) -> ImageData:
    """Fashion-MNIST from `folder`, or from the first known folder that holds it.

    Raises:
        UnavailableError: No folder was given and none of the known ones holds it.
        ArtefactError: A file is missing or damaged.
    """
    home = folder or _find()
    side = resolution or 28
    name = NAME if folder is None else f"{NAME}:{folder}"
    train = read_idx_images(home, "train", side)
    return ImageData.of(
        name, train, lambda: read_idx_images(home, "t10k", side), classes=10, has_flip=True
    )


def fetch_fashion_mnist(folder: Path | None = None, source: str = SOURCE) -> Path:
    """Download Fashion-MNIST into `folder` (default: `ELAT_HOME/data/fashion-mnist`), checked.

    Files that are there already and whole are kept.

    Raises:
        UnavailableError: The source cannot be reached.
        ArtefactError: What came has another SHA-256 than expected; it is not kept.
    """
    target = folder or _cache()
    for name, expected in SHA256.items():
        path = target / name
        if path.exists() and _unpacked_sha256(path.read_bytes()) == expected:
            continue
        logger.info("fetching %s/%s", source, name)
        try:
            with urllib.request.urlopen(f"{source}/{name}", timeout=60) as response:
                data = response.read()
        except (urllib.error.URLError, OSError) as error:
            raise UnavailableError(
                f"{source}/{name} cannot be fetched ({error}). {_other_ways()}"
            ) from error
        found = _unpacked_sha256(data)
        if found != expected:
            raise ArtefactError(
                f"{source}/{name} unpacks to SHA-256 {found}, expected {expected}; it was not "
                f"kept. {_other_ways()}"
            )
        write_bytes(path, data)
    return target


def _unpacked_sha256(data: bytes) -> str:
    try:
        return sha256_of(gzip.decompress(data))
    except (OSError, EOFError, zlib.error):
        return "nothing (no gzip file)"


def _cache() -> Path:
    return elat_home() / "data" / NAME


def _candidates() -> list[Path]:
    named = os.environ.get("ELAT_DATA")
    folders = [Path(named) / NAME, Path(named)] if named else []
    return [*folders, _DEBIAN, _cache()]


def _find() -> Path:
    for folder in _candidates():
        if any(
            (folder / name).exists()
            for name in ("train-images-idx3-ubyte.gz", "train-images-idx3-ubyte")
        ):
            return folder
    looked = ", ".join(map(str, _candidates()))
    raise UnavailableError(
        f"{NAME} is in none of {looked}. Fetch it with: python -m elat.datasets.fetch {NAME}. "
        f"{_other_ways()}"
    )


def _other_ways() -> str:
    return (
        "Or install Debian's package dataset-fashion-mnist, name a folder as "
        f"--data {NAME}:FOLDER, or set ELAT_DATA to the folder that holds it."
    )
