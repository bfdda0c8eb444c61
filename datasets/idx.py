"""The IDX format of MNIST and Fashion-MNIST: a big-endian header, then bytes."""

from __future__ import annotations

import gzip
import zlib
from pathlib import Path

import numpy as np

from ..core.errors import ArtefactError
from .sources import ArrayImages, Pixels, resized

_UNSIGNED_BYTE = 0x08


def read_idx(path: Path) -> Pixels:
    """The array in the IDX file at `path`, gzipped or not (yann.lecun.com/exdb/mnist, "IDX").

    Raises:
        ArtefactError: It is missing, cut short, or not of unsigned bytes.
    """
    try:
        data = path.read_bytes()
        if path.suffix == ".gz":
            data = gzip.decompress(data)
    except FileNotFoundError:
        raise ArtefactError(f"{path} does not exist.") from None
    except (OSError, EOFError, zlib.error) as error:
        raise ArtefactError(
            f"{path} is cut short or damaged ({error}): fetch it again."
        ) from error
    if len(data) < 4 or data[:2] != b"\0\0" or data[2] != _UNSIGNED_BYTE:
        raise ArtefactError(f"{path} is no IDX file of unsigned bytes: fetch it again.")
    rank = data[3]
    shape = (
        tuple(np.frombuffer(data, ">u4", count=rank, offset=4).tolist())
        if (len(data) >= 4 + 4 * rank)
        else ()
    )
    body = np.frombuffer(data, np.uint8, offset=min(len(data), 4 + 4 * rank))
    if len(shape) != rank or body.size != np.prod(shape, dtype=np.int64):
        raise ArtefactError(f"{path} does not hold what its header says: fetch it again.")
    return body.reshape(shape)


def read_idx_images(folder: Path, prefix: str, resolution: int) -> ArrayImages:
    """Images and labels of the part `prefix` (`train` or `t10k`) of an MNIST-like `folder`.

    Raises:
        ArtefactError: A file is missing or damaged, or images and labels do not match.
    """
    images = read_idx(_either(folder / f"{prefix}-images-idx3-ubyte"))
    labels = read_idx(_either(folder / f"{prefix}-labels-idx1-ubyte"))
    if images.ndim != 3 or labels.shape != images.shape[:1]:
        raise ArtefactError(
            f"{folder} holds {prefix} images of shape {images.shape} and labels of shape "
            f"{labels.shape}, which do not match: fetch both again."
        )
    return ArrayImages(resized(images[:, None], resolution), labels.astype(np.int64))


def _either(path: Path) -> Path:
    zipped = path.with_name(path.name + ".gz")
    return zipped if zipped.exists() else path
