"""Published data sets, read from files in their own formats: the right pixels, or a reason and no harm."""

from __future__ import annotations

import contextlib
import gzip
import io
import pickle
import struct
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from published_files import HOSTILE, NAMES, Shop, batch, idx, made_images, mat, tar

from ghn_studio.datasets import DATASETS, describe, several
from ghn_studio.datasets.published import PUBLISHED
from ghn_studio.engine import image_files, restricted_pickle
from ghn_studio.engine.data import load
from ghn_studio.engine.published_images import remote_files
from ghn_studio.errors import DatasetError
from ghn_studio.jobs import run

PIXELS = made_images("cifar10", 4)[0].reshape(4, -1)


def batches(content: bytes, wanted: tuple[str, ...] = ("a",)) -> Any:
    return run(image_files.read_batches(io.BytesIO(content), "x.tar.gz", wanted, "labels"))


# --- what torchvision says -----------------------------------------------------------------


@pytest.mark.parametrize("name", NAMES)
def test_torchvision_knows_the_files_by_the_names_written_down_here(name: str) -> None:
    remote = remote_files(name)
    assert tuple(file.name for file in remote) == PUBLISHED[name].files
    assert all(len(file.md5) == 32 and all(url.endswith(file.name) for url in file.urls) for file in remote)


@pytest.mark.parametrize(("name", "classes"), [("cifar10", 10), ("cifar100", 100), ("svhn", 10)])
def test_a_data_set_is_described_without_its_files(name: str, classes: int, shop: Shop) -> None:
    info = describe(name)
    assert info.class_count == len(set(info.classes)) == classes
    assert info.mean == () and DATASETS[name] is info
    assert name != "cifar100" or list(info.classes) == sorted(info.classes)


def test_a_name_inside_a_path_does_not_part_it() -> None:
    assert several("digits+cifar10 + folder:a+mnist-copy") == ("digits", "cifar10", "folder:a+mnist-copy")
    assert several("cifar10+mnist") == ("cifar10", "mnist")


# --- when all is well ----------------------------------------------------------------------


@pytest.mark.parametrize("name", NAMES)
def test_pixels_and_labels_arrive_as_they_were_written(shop: Shop, name: str) -> None:
    shop.place(name, train=200, test=100)
    data = load(name)
    assert data.info.shape == tuple(data.train.images.shape[1:]) and len(data.info.mean) == data.info.shape[0]
    assert data.info.counts == (len(data.train), len(data.validation), len(data.test))
    for parts, (images, labels) in (
        ((data.train, data.validation), made_images(name, 200)), ((data.test,), made_images(name, 100, seed=1)),
    ):
        written = {images[i].tobytes(): int(labels[i]) for i in range(len(images))}
        read = {
            bytes(split.images[i].numpy().tobytes()): int(split.labels[i]) for split in parts for i in range(len(split))
        }
        assert read == written
    assert load(name).train.images.equal(data.train.images), "the order is part of the data set"


def test_a_tenth_of_each_class_is_held_out(shop: Shop) -> None:
    shop.place("svhn", train=200, test=100)
    data = load("svhn")
    assert data.validation.labels.bincount().tolist() == [2] * 10
    assert data.train.labels.bincount().tolist() == [18] * 10


# --- when it is not ------------------------------------------------------------------------


def test_what_is_not_here_says_how_to_get_it(shop: Shop) -> None:
    with pytest.raises(DatasetError, match=r"downloaded first, 163 MB.*download-dataset cifar10.*--download"):
        load("cifar10")


def test_a_file_exchanged_after_its_download_is_never_unpickled(shop: Shop, tmp_path: Path, monkeypatch: Any) -> None:
    """G14: the cache had been verified."""
    monkeypatch.chdir(tmp_path)
    folder = shop.place("cifar10")
    assert len(load("cifar10").test) == 100
    members = {f"cifar-10-batches-py/{n}": HOSTILE for n in ("test_batch", *(f"data_batch_{i}" for i in range(1, 6)))}
    (folder / "cifar-10-python.tar.gz").write_bytes(tar(members))
    with pytest.raises(DatasetError, match="not the published file: expected md5 .*, got .*download-dataset cifar10"):
        load("cifar10")
    assert not (tmp_path / "HACKED").exists()


def test_a_hostile_batch_with_the_right_checksum_runs_nothing(tmp_path: Path, monkeypatch: Any) -> None:
    monkeypatch.chdir(tmp_path)
    with pytest.raises(DatasetError, match=r"holds 'posix.system'"):
        batches(tar({"a": HOSTILE}))
    assert not (tmp_path / "HACKED").exists()


@pytest.mark.parametrize("value", [
    np.array([{"a": 1}], dtype=object), np.zeros(3, np.float32), np.float64(1), io.BytesIO(b"x"), open, np.dtype("f4"),
    {"data": [np.zeros(2, "M8[D]")]}, pickle.PickleBuffer, Path("x"),
])
@pytest.mark.parametrize("protocol", [2, 4])
def test_only_arrays_of_bytes_and_containers_are_read(value: Any, protocol: int) -> None:
    with pytest.raises(DatasetError, match="'a' (holds|is damaged)"):
        restricted_pickle.read(pickle.dumps(value, protocol), "'a'")


@pytest.mark.parametrize("protocol", [2, 4])
def test_arrays_of_this_numpy_are_read(protocol: int) -> None:
    value = {"data": np.asfortranarray(PIXELS[:2]), "labels": [3, 1], "names": ["a", b"b"]}
    read = restricted_pickle.read(pickle.dumps(value, protocol), "'a'")
    assert np.array_equal(read["data"], PIXELS[:2]) and read["labels"] == [3, 1] and read["names"] == ["a", b"b"]


def test_a_container_that_holds_itself_is_no_trap() -> None:
    value: dict[str, Any] = {}
    value["self"] = value
    assert set(restricted_pickle.read(pickle.dumps(value), "'a'")) == {"self"}


@given(at=st.integers(0, 400), byte=st.integers(0, 255), end=st.integers(1, 400))
def test_a_damaged_batch_is_read_or_refused(at: int, byte: int, end: int) -> None:
    content = bytearray(batch(PIXELS[:1, :200], [1]))
    content[at % len(content)] = byte
    for damaged in (bytes(content), bytes(content[:end])):
        with contextlib.suppress(DatasetError):
            restricted_pickle.read(damaged, "'a'")


@pytest.mark.parametrize(("content", "reason"), [
    (tar({"b": b""}), "lacks a"),
    (tar({}, links=[("a", "/etc/passwd")]), "lacks a"),
    (tar({"../a": batch(PIXELS, [0] * 4)}), "lacks a"),
    (tar({"a": batch(PIXELS[:, :9], [0] * 4)}), "N×3072"),
    (tar({"a": batch(PIXELS, [0] * 4, "names")}), "a list under 'labels'"),
    (tar({"a": batch(PIXELS, [0] * 4)})[:200], "damaged"),
    (b"<html>", "damaged"),
], ids=["another member", "a link", "outside", "narrow", "other labels", "cut", "a web page"])
def test_an_archive_that_is_not_as_it_should_be(content: bytes, reason: str, tmp_path: Path, monkeypatch: Any) -> None:
    """G13: nothing is unpacked to the disk, so no member can leave a folder."""
    monkeypatch.chdir(tmp_path)
    with pytest.raises(DatasetError, match=reason):
        batches(content)
    assert not list(tmp_path.iterdir()) and not (tmp_path.parent / "a").exists()


def test_an_archive_that_unpacks_to_too_much(monkeypatch: Any) -> None:
    monkeypatch.setattr(image_files, "MOST_BYTES", 20_000)
    with pytest.raises(DatasetError, match="unpacks to more than 20,000 bytes"):
        batches(tar({"zeros": bytes(30_000), "a": batch(PIXELS, [0] * 4)}))


@pytest.mark.parametrize(("content", "reason"), [
    (gzip.compress(b"\0\0\x0d\1" + bytes(8)), "no IDX file"),
    (gzip.compress(b""), "no IDX file"),
    (gzip.compress(struct.pack(">4B2I", 0, 0, 8, 2, 2**31, 2**31)), "claims to hold 2147483648×2147483648"),
    (gzip.compress(struct.pack(">4B2I", 0, 0, 8, 2, 4, 4) + bytes(15)), "should hold 16 bytes and holds 15"),
    (gzip.compress(struct.pack(">4B2I", 0, 0, 8, 2, 4, 4) + bytes(99)), "should hold 16 bytes and holds more"),
    (gzip.compress(struct.pack(">4BI", 0, 0, 8, 2, 4)), "claims"),
    (idx(np.zeros((9, 9)))[:-9], "damaged"),
    (b"<html>", "damaged"),
], ids=["of floats", "empty", "huge", "short", "long", "no extents", "cut", "a web page"])
def test_an_idx_file_that_is_not_as_it_should_be(content: bytes, reason: str) -> None:
    with pytest.raises(DatasetError, match=reason):
        image_files.read_idx(io.BytesIO(content), "x.gz")


def test_a_matlab_file_that_is_not_as_it_should_be() -> None:
    savemat = pytest.importorskip("scipy.io").savemat
    images, labels = made_images("svhn", 20)
    other = io.BytesIO()
    savemat(other, {"X": np.zeros((32, 32, 3, 4)), "y": np.zeros((4, 1))})
    for content, reason in ((other.getvalue(), "32×32×3×N"), (mat(images, labels)[:3000], "damaged"),
                            (b"<html>" * 50, "damaged"), (mat(images, labels[:7]), "32×32×3×N")):
        with pytest.raises(DatasetError, match=reason):
            image_files.read_mat(io.BytesIO(content), "x.mat")


def test_labels_outside_the_classes_are_refused(shop: Shop, monkeypatch: Any) -> None:
    import published_files

    monkeypatch.setattr(published_files, "made_images", lambda name, n, seed=0: (
        made_images(name, n, seed)[0], np.full(n, 10)
    ))
    shop.place("mnist")
    with pytest.raises(DatasetError, match="labels from 0 to 9"):
        load("mnist")
