"""Data sets: fixed splits, resumable passes, readers that refuse damage."""

from __future__ import annotations

import gzip
import struct
from pathlib import Path

import numpy as np
import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st
from PIL import Image

from elat.core.artefact import sha256_of
from elat.core.errors import ArtefactError, ConfigError, UnavailableError, UnknownNameError
from elat.datasets import fashion_mnist
from elat.datasets.fetch import main as fetch
from elat.datasets.generated import generate_images
from elat.datasets.idx import read_idx
from elat.datasets.images import ImageData, batch_count, data_names, find_data
from elat.datasets.sources import ArrayImages, resized

torch.set_num_threads(1)
GENERATED = generate_images(12, classes=3, train=50, test=9)


def write_idx(path: Path, array: np.ndarray) -> None:
    header = struct.pack(f">HBB{array.ndim}I", 0, 8, array.ndim, *array.shape)
    data = header + array.astype(np.uint8).tobytes()
    path.write_bytes(gzip.compress(data) if path.suffix == ".gz" else data)


def fashion_folder(folder: Path, suffix: str = ".gz") -> Path:
    folder.mkdir(parents=True, exist_ok=True)
    rng = np.random.default_rng(0)
    for prefix, count in (("train", 40), ("t10k", 20)):
        images = rng.integers(0, 256, (count, 28, 28))
        write_idx(folder / f"{prefix}-images-idx3-ubyte{suffix}", images)
        write_idx(folder / f"{prefix}-labels-idx1-ubyte{suffix}", np.arange(count) % 10)
    return folder


def cifar_folder(folder: Path) -> Path:
    folder.mkdir(parents=True)
    rng = np.random.default_rng(0)
    names = [*(f"data_batch_{i}.bin" for i in range(1, 6)), "test_batch.bin"]
    for name in names:
        records = rng.integers(0, 256, (10, 3073)).astype(np.uint8)
        records[:, 0] = np.arange(10)
        (folder / name).write_bytes(records.tobytes())
    return folder


def image_folder(folder: Path) -> Path:
    rng = np.random.default_rng(0)
    for part, count in (("train", 5), ("val", 2)):
        for name in ("cat", "dog"):
            (folder / part / name).mkdir(parents=True)
            for index in range(count):
                pixels = rng.integers(0, 256, (40 + index, 30, 3)).astype(np.uint8)
                Image.fromarray(pixels).save(folder / part / name / f"{index}.png")
    return folder


def collected(data: ImageData, **options: int | bool) -> list[tuple[torch.Tensor, torch.Tensor]]:
    return list(data.train.batches(batch_size=8, seed=1, **options))  # type: ignore[arg-type]


@pytest.fixture(params=["digits", "generated", "fashion-mnist", "cifar10", "imagefolder"])
def data(request: pytest.FixtureRequest, tmp_path: Path) -> ImageData:
    makers = {
        "fashion-mnist": fashion_folder,
        "cifar10": cifar_folder,
        "imagefolder": image_folder,
    }
    name = str(request.param)
    if name in makers:
        name = f"{name}:{makers[name](tmp_path / 'data')}"
    return find_data(name, 16)


def test_every_data_set_keeps_the_contract(data: ImageData) -> None:
    assert data.resolution == 16
    assert data.channels in (1, 3)
    for part in (data.train, data.test_set()):
        assert part.labels.dtype == np.int64
        assert set(part.labels.tolist()) == set(range(data.classes))
        images, labels = next(part.batches(batch_size=5, seed=0))
        assert images.shape[1:] == (data.channels, 16, 16)
        assert images.dtype == torch.float32 and labels.dtype == torch.int64
        assert images.is_contiguous() and torch.isfinite(images).all()
        assert len(images) == len(labels) == min(5, len(part))


def test_resuming_in_the_middle_equals_not_stopping(data: ImageData) -> None:
    indices = np.arange(min(20, len(data.train)), dtype=np.int64)
    whole = collected(data, indices=indices, epoch=2, augment=True)  # type: ignore[arg-type]
    for start in range(len(whole) + 1):
        resumed = collected(
            data,
            indices=indices,  # type: ignore[arg-type]
            epoch=2,
            augment=True,
            start_batch=start,
        )
        assert len(resumed) == len(whole) - start
        for (a, b), (c, d) in zip(whole[start:], resumed, strict=True):
            assert torch.equal(a, c) and torch.equal(b, d)


def test_augmentation_varies_images_and_keeps_labels(data: ImageData) -> None:
    indices = np.arange(10, dtype=np.int64)
    plain = collected(data, indices=indices)[0]  # type: ignore[arg-type]
    varied = collected(data, indices=indices, augment=True)[0]  # type: ignore[arg-type]
    assert torch.equal(plain[1], varied[1])
    assert not torch.equal(plain[0], varied[0])


def test_a_pass_shows_every_image_once_in_an_order_of_its_own() -> None:
    labels = np.arange(50, dtype=np.int64)
    pixels = np.repeat(labels.astype(np.uint8), 4).reshape(50, 1, 2, 2)
    source = ArrayImages(pixels, labels)
    data = ImageData.of("numbers", source, lambda: source, classes=50, has_flip=False)
    orders = [torch.cat([b for _, b in collected(data, epoch=e)]).tolist() for e in (0, 1, 0)]
    assert sorted(orders[0]) == labels.tolist()
    assert orders[0] == orders[2] != orders[1]
    assert orders[0] != sorted(orders[0])
    for images, found in collected(data):
        mean, std = data.train.normalise.mean[0], data.train.normalise.std[0]
        pixel = (images[:, 0, 0, 0] * std + mean) * 255
        assert torch.allclose(pixel, found.float(), atol=1e-3)
    assert len(collected(data)) == batch_count(50, 8) == 7
    assert len(collected(data, drop_last=True)) == batch_count(50, 8, True) == 6
    for size, start in ((0, 0), (4, -1)):
        with pytest.raises(ConfigError):
            next(data.train.batches(seed=0, batch_size=size, start_batch=start))


def test_training_images_are_normalised() -> None:
    images = torch.cat([a for a, _ in collected(GENERATED)])
    assert images.mean().abs() < 1e-5
    assert images.std() == pytest.approx(1.0, abs=1e-3)


@given(share=st.floats(0.05, 0.6), seed=st.integers(0, 10**6))
@settings(deadline=None, max_examples=30)
def test_a_split_is_disjoint_whole_and_balanced(share: float, seed: int) -> None:
    split = GENERATED.split(share, seed)
    assert np.array_equal(np.sort(np.concatenate([split.train, split.validation])), np.arange(50))
    for label in range(3):
        members = int((GENERATED.train.labels == label).sum())
        held = int((GENERATED.train.labels[split.validation] == label).sum())
        assert abs(held - share * members) <= max(0.5, 1 - share * members)
    again = GENERATED.split(share, seed)
    assert np.array_equal(split.validation, again.validation)


def test_a_split_depends_on_its_seed_and_refuses_the_impossible() -> None:
    first, second = (GENERATED.split(0.3, seed).validation for seed in (0, 1))
    assert not np.array_equal(first, second)
    for share in (0.0, 1.0, -0.1, 0.99):
        with pytest.raises(ConfigError):
            GENERATED.split(share, 0)


def test_digits_have_a_fixed_stratified_split() -> None:
    digits = find_data("digits")
    test = digits.test_set()
    assert (digits.channels, digits.resolution, digits.classes) == (1, 28, 10)
    assert (len(digits.train), len(test)) == (1438, 359)
    shares = np.bincount(test.labels) / np.bincount(
        np.concatenate([digits.train.labels, test.labels])
    )
    assert np.all(np.abs(shares - 0.2) < 0.005)
    assert not digits.train.has_flip
    again = find_data("digits")
    everything = np.arange(len(test), dtype=np.int64)
    assert np.array_equal(test.source.read(everything), again.test_set().source.read(everything))


def test_crops_are_windows_of_the_padded_image() -> None:
    source = GENERATED.train.source
    generator = np.random.default_rng(0)
    varied = source.read_augmented(np.arange(6), generator)
    for image, found in zip(source.read(np.arange(6)), varied, strict=True):
        padded = np.pad(image, ((0, 0), (1, 1), (1, 1)))
        windows = [padded[:, t : t + 12, s : s + 12] for t in range(3) for s in range(3)]
        assert any(np.array_equal(found, window) for window in windows)


def test_flips_mirror_half_of_the_images() -> None:
    pixels = np.zeros((200, 1, 8, 8), np.uint8)
    pixels[..., :4] = 255
    source = ArrayImages(pixels, np.zeros(200, np.int64))
    data = ImageData.of("halves", source, lambda: source, classes=1, has_flip=True)
    images = torch.cat([a for a, _ in collected(data, augment=True)])
    left_is_bright = (images[:, 0, 4, 2] > 0).sum()
    assert 70 < left_is_bright < 130


def test_resizing_is_bilinear() -> None:
    ramp = np.tile(np.arange(0, 80, 10, dtype=np.uint8), (1, 1, 8, 1))
    found = resized(ramp, 16)
    assert found.shape == (1, 1, 16, 16)
    assert found[0, 0, 0, 1:5].tolist() == [2, 8, 12, 18]
    assert resized(ramp, 8) is ramp


@pytest.mark.parametrize("suffix", ["", ".gz"])
def test_idx_files_are_read(tmp_path: Path, suffix: str) -> None:
    array = np.arange(24, dtype=np.uint8).reshape(2, 3, 4)
    path = tmp_path / f"a{suffix}"
    write_idx(path, array)
    assert np.array_equal(read_idx(path), array)
    data = path.read_bytes()
    for length in range(0, len(data) - 1, 3):
        path.write_bytes(data[:length])
        with pytest.raises(ArtefactError, match="fetch it again"):
            read_idx(path)
    path.unlink()
    with pytest.raises(ArtefactError, match="does not exist"):
        read_idx(path)


def test_fashion_mnist_is_found_by_name(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    fashion_folder(tmp_path / "fashion-mnist", suffix="")
    monkeypatch.setenv("ELAT_DATA", str(tmp_path))
    data = find_data("fashion-mnist")
    assert (len(data.train), len(data.test_set()), data.resolution) == (40, 20, 28)
    assert data.train.has_flip
    write_idx(tmp_path / "fashion-mnist" / "t10k-labels-idx1-ubyte", np.arange(3))
    with pytest.raises(ArtefactError, match="do not match"):
        data.test_set()


def test_absent_fashion_mnist_names_the_ways(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.delenv("ELAT_DATA", raising=False)
    monkeypatch.setenv("ELAT_HOME", str(tmp_path))
    monkeypatch.setattr(fashion_mnist, "_DEBIAN", tmp_path / "debian")
    with pytest.raises(UnavailableError) as caught:
        find_data("fashion-mnist")
    for way in ("python -m elat.datasets.fetch", "dataset-fashion-mnist", "ELAT_DATA"):
        assert way in str(caught.value)


def test_fetching_checks_what_comes(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    source = fashion_folder(tmp_path / "server")
    address = source.as_uri()
    monkeypatch.setattr(fashion_mnist, "SOURCE", address)
    target = tmp_path / "target"
    with pytest.raises(ArtefactError, match="SHA-256"):
        fashion_mnist.fetch_fashion_mnist(target, address)
    assert not any(target.iterdir()) if target.exists() else True
    names = list(fashion_mnist.SHA256)
    right = {name: sha256_of(gzip.decompress((source / name).read_bytes())) for name in names}
    monkeypatch.setattr(fashion_mnist, "SHA256", right)
    assert fashion_mnist.fetch_fashion_mnist(target, address) == target
    assert sorted(p.name for p in target.iterdir()) == sorted(names)
    (source / names[0]).unlink()
    fashion_mnist.fetch_fashion_mnist(target, address)  # whole files are kept
    (target / names[0]).write_bytes(b"cut")
    with pytest.raises(UnavailableError, match="cannot be fetched"):
        fashion_mnist.fetch_fashion_mnist(target, address)
    assert fetch(["nonsense"]) == UnknownNameError.exit_code
    assert "fashion-mnist" in capsys.readouterr().err


def test_cifar10_is_read_and_pickles_are_refused(tmp_path: Path) -> None:
    folder = cifar_folder(tmp_path / "cifar" / "cifar-10-batches-bin")
    data = find_data(f"cifar10:{tmp_path / 'cifar'}")
    assert (len(data.train), len(data.test_set())) == (50, 10)
    raw = np.frombuffer((folder / "data_batch_1.bin").read_bytes(), np.uint8)
    first = data.train.source.read(np.zeros(1, np.int64))[0]
    assert np.array_equal(first.reshape(-1), raw[1:3073])
    (folder / "data_batch_2.bin").write_bytes(raw[:5000].tobytes())
    with pytest.raises(ArtefactError, match="multiple of 3073"):
        find_data(f"cifar10:{folder}")
    (folder / "data_batch_2.bin").write_bytes(bytes([200]) * 3073)
    with pytest.raises(ArtefactError, match="above 9"):
        find_data(f"cifar10:{folder}")
    python = tmp_path / "py"
    python.mkdir()
    with pytest.raises(ArtefactError, match=r"no data_batch_1\.bin"):
        find_data(f"cifar10:{python}")
    (python / "data_batch_1").write_bytes(b"")
    with pytest.raises(ArtefactError, match="pickle"):
        find_data(f"cifar10:{python}")


def test_image_folders_are_decoded_when_read(tmp_path: Path) -> None:
    folder = image_folder(tmp_path / "images")
    data = find_data(f"imagefolder:{folder}", 16)
    assert (data.classes, len(data.train), len(data.test_set())) == (2, 10, 4)
    (folder / "train" / "cat" / "3.png").write_bytes(b"no image")
    with pytest.raises(ArtefactError, match=r"3\.png is no readable image"):
        list(data.train.batches(batch_size=10, seed=0))
    (folder / "val" / "dog" / "0.png").unlink()
    (folder / "val" / "dog" / "1.png").unlink()
    with pytest.raises(ArtefactError, match="holds no image"):
        data.test_set()
    with pytest.raises(ArtefactError, match="ImageNet's layout"):
        find_data(f"imagefolder:{tmp_path}")


def test_unknown_names_are_refused() -> None:
    for name in ("mnist", "digits:there", "cifar10", "cifar10:"):
        with pytest.raises(UnknownNameError):
            find_data(name)
    with pytest.raises(ConfigError, match="at least 1"):
        find_data("digits", 0)
    assert "cifar10:PATH" in data_names()


@pytest.mark.skipif(
    not fashion_mnist._DEBIAN.exists(), reason="dataset-fashion-mnist is not installed"
)
def test_the_installed_fashion_mnist_is_the_published_one() -> None:
    for name, expected in fashion_mnist.SHA256.items():
        assert sha256_of(gzip.decompress((fashion_mnist._DEBIAN / name).read_bytes())) == expected
