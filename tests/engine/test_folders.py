"""Image folders: what becomes of good, odd and hostile files."""

from __future__ import annotations

import os
import struct
import zlib
from collections.abc import Callable
from pathlib import Path

import numpy as np
import pytest
import torch
from PIL import Image

from ghn_studio.engine import folders
from ghn_studio.engine.data import ImageData, adaptation_text, load, loading
from ghn_studio.engine.evaluation import evaluate
from ghn_studio.engine.execution import Plan
from ghn_studio.engine.initial import kaiming
from ghn_studio.errors import DatasetError, PredictionError
from ghn_studio.ir.graph import Architecture
from ghn_studio.jobs import run

COLOURS = {"blue": (0, 0, 255), "green": (0, 255, 0), "red": (255, 0, 0)}


@pytest.fixture(autouse=True)
def own_cache(tmp_path_factory: pytest.TempPathFactory, monkeypatch: pytest.MonkeyPatch) -> Path:
    place = tmp_path_factory.mktemp("user")
    monkeypatch.setenv("GHN_STUDIO_DATA", str(place))
    return place / "cache"


def fill(root: Path, count: int = 10, size: tuple[int, int] = (12, 10)) -> Path:
    """Write ``count`` plain images of each of three colours."""
    for name, colour in COLOURS.items():
        (root / name).mkdir(parents=True, exist_ok=True)
        for i in range(count):
            Image.new("RGB", size, colour).save(root / name / f"{i}.png")
    return root


def skipped(data: ImageData) -> dict[str, str]:
    return {Path(s.path).name: s.reason for s in data.skipped}


def bomb(path: Path, side: int = 30_000) -> None:
    """A PNG of a few hundred bytes that claims ``side`` by ``side`` pixels."""

    def chunk(kind: bytes, body: bytes) -> bytes:
        return struct.pack(">I", len(body)) + kind + body + struct.pack(">I", zlib.crc32(kind + body))

    header = struct.pack(">IIBBBBB", side, side, 8, 2, 0, 0, 0)
    path.write_bytes(
        b"\x89PNG\r\n\x1a\n" + chunk(b"IHDR", header) + chunk(b"IDAT", zlib.compress(b"\0" * 99)) + chunk(b"IEND", b"")
    )


def test_class_folders_are_divided_and_labelled_by_their_names(tmp_path: Path) -> None:
    data = load(f"folder:{fill(tmp_path)}")
    assert data.info.classes == ("blue", "green", "red")
    assert data.info.counts == (18, 6, 6) == (len(data.train), len(data.validation), len(data.test))
    assert data.info.shape == (3, 10, 10) == tuple(data.train.images.shape[1:])
    assert data.skipped == ()
    for part in (data.train, data.validation, data.test):
        expected = torch.tensor([COLOURS[data.info.classes[i]] for i in part.labels])
        assert torch.equal(part.images.long(), expected[:, :, None, None].expand(-1, -1, 10, 10))
    assert len(data.train.labels[:6].unique()) > 1  # the first n are mixed


def test_given_parts_are_kept_and_a_tenth_of_training_is_held_out(tmp_path: Path) -> None:
    fill(tmp_path / "train", 20)
    fill(tmp_path / "test", 4)
    assert load(f"folder:{tmp_path}").info.counts == (54, 6, 12)
    fill(tmp_path / "val", 3)
    assert load(f"folder:{tmp_path}").info.counts == (60, 9, 12)


def test_the_division_does_not_depend_on_where_the_folder_lies(tmp_path: Path) -> None:
    first, second = (load(f"folder:{fill(tmp_path / name)}") for name in ("here", "there"))
    assert torch.equal(first.train.labels, second.train.labels)
    assert first.info.mean == second.info.mean


def test_damaged_and_foreign_files_are_listed_and_the_rest_is_used(tmp_path: Path) -> None:
    fill(tmp_path)
    red = tmp_path / "red"
    (red / "empty.jpg").write_bytes(b"")
    (red / "noise.jpg").write_bytes(bytes(range(256)))
    (red / "Thumbs.db").write_bytes(b"x")
    whole = tmp_path / "whole.jpg"
    Image.effect_noise((64, 64), 50).save(whole)
    (red / "cut.jpg").write_bytes(whole.read_bytes()[:900])
    bomb(red / "bomb.png")
    bomb(red / "half_a_bomb.png", 12_000)
    (tmp_path / "nobody").mkdir()
    os.symlink(tmp_path, red / "loop")
    data = load(f"folder:{tmp_path}")
    reasons = skipped(data)
    assert set(reasons) == {
        "empty.jpg",
        "noise.jpg",
        "Thumbs.db",
        "cut.jpg",
        "bomb.png",
        "half_a_bomb.png",
        "nobody",
        "loop",
        "whole.jpg",
    }
    assert reasons["empty.jpg"] == "the file is empty"
    assert reasons["Thumbs.db"] == "not an image file"
    assert "decompression bomb" in reasons["bomb.png"]
    assert "decompression bomb" in reasons["half_a_bomb.png"]
    assert "cannot be decoded" in reasons["cut.jpg"]
    assert reasons["whole.jpg"] == "not in a class folder"
    assert reasons["nobody"] == "the class has no images"
    assert sum(data.info.counts) == 30
    assert data.info.class_count == 3
    assert Image.MAX_IMAGE_PIXELS == 89_478_485  # Pillow's limit was not lifted


def test_odd_kinds_of_pixels_become_bytes(tmp_path: Path) -> None:
    (tmp_path / "a").mkdir()
    (tmp_path / "b").mkdir()
    Image.new("CMYK", (8, 8), (0, 255, 255, 0)).save(tmp_path / "a" / "cmyk.jpg", quality=100)
    Image.fromarray(np.full((8, 8), 40_000, np.uint16)).save(tmp_path / "a" / "deep.png")
    Image.new("RGBA", (8, 8), (10, 20, 30, 0)).save(tmp_path / "a" / "clear.png")
    Image.new("1", (8, 8), 1).save(tmp_path / "a" / "bits.png")
    Image.new("F", (8, 8), 0.5).save(tmp_path / "a" / "floats.tif")
    for i in range(3):
        Image.new("P", (8, 8)).save(tmp_path / "b" / f"{i}.gif")
    data = load(f"folder:{tmp_path}")
    assert skipped(data) == {"floats.tif": "cannot be decoded: floating-point pixels have no known range"}
    images = torch.cat([p.images[p.labels == 0] for p in (data.train, data.validation, data.test)])
    colours = sorted(tuple(int(v) for v in image[:, 4, 4]) for image in images)
    assert colours[0] == (10, 20, 30)
    assert colours[1] == (156, 156, 156)
    assert colours[3] == (255, 255, 255)
    assert colours[2][0] > 245
    assert max(colours[2][1:]) < 10


def test_cameras_hold_pictures_upright(tmp_path: Path) -> None:
    for name in "ab":
        (tmp_path / name).mkdir()
        pixels = np.zeros((16, 16, 3), np.uint8)
        pixels[:8] = 255  # bright above
        exif = Image.Exif()
        exif[0x0112] = 3  # upside down
        for i in range(3):
            Image.fromarray(pixels).save(tmp_path / name / f"{i}.jpg", exif=exif)
    image = load(f"folder:{tmp_path}").train.images[0].float()
    assert image[:, 8:].mean() > 250
    assert image[:, :8].mean() < 5


def test_wide_images_are_scaled_and_cropped_in_the_middle(tmp_path: Path) -> None:
    for name in "ab":
        (tmp_path / name).mkdir()
        pixels = np.zeros((16, 48, 3), np.uint8)
        pixels[:, 16:32] = 255
        for i in range(3):
            Image.fromarray(pixels).save(tmp_path / name / f"{i}.png")
    data = load(f"folder:{tmp_path}", size=8)
    assert data.train.images.shape[1:] == (3, 8, 8)
    assert data.train.images[:, :, :, 1:-1].min() == 255
    assert adaptation_text(data.info, (3, 32, 32)) == (
        "8×8 colour (scaled and cropped to 8×8 when loaded) → 3×32×32: resized, normalised"
    )


def test_a_class_of_damaged_files_is_dropped_and_the_others_keep_their_names(tmp_path: Path) -> None:
    fill(tmp_path)
    for path in (tmp_path / "blue").iterdir():
        path.write_bytes(b"")
    data = load(f"folder:{tmp_path}")
    assert data.info.classes == ("green", "red")
    assert set(data.train.labels.tolist()) == {0, 1}
    assert skipped(data)["blue"] == "no image of the class can be read"
    for path in (tmp_path / "red").iterdir():
        path.write_bytes(b"")
    with pytest.raises(DatasetError, match="readable images of 1 of its 3 classes"):
        load(f"folder:{tmp_path}")


def test_test_classes_that_were_never_trained_are_left_out(tmp_path: Path) -> None:
    fill(tmp_path / "train")
    fill(tmp_path / "test", 2)
    (tmp_path / "test" / "red").rename(tmp_path / "test" / "pink")
    data = load(f"folder:{tmp_path}")
    assert skipped(data) == {"pink": "a class without training images"}
    assert len(data.test) == 4


def test_too_few_images_are_refused(tmp_path: Path) -> None:
    with pytest.raises(DatasetError, match="none is left for the train part"):
        load(f"folder:{fill(tmp_path, 1)}")


def test_pixels_that_would_not_fit_into_memory_are_refused_with_a_size(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(folders, "MOST_BYTES", 30 * 3 * 9 * 9)
    with pytest.raises(DatasetError, match=r"30 images of 10×10 px.*at most 9 px"):
        load(f"folder:{fill(tmp_path)}")
    assert load(f"folder:{tmp_path}", size=9).info.shape == (3, 9, 9)
    monkeypatch.setattr(folders, "MOST_FILES", 10)
    with pytest.raises(DatasetError, match="more than 10 files"):
        load(f"folder:{tmp_path}")


def test_loading_can_stop_between_chunks(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(folders, "_CHUNK", 4)
    job = loading(f"folder:{fill(tmp_path)}")
    stages = [next(job) for _ in range(5)]
    job.close()
    assert [s.stage for s in stages] == ["listing images", "checking for changes"] + ["decoding images"] * 3
    assert [s.done for s in stages[2:]] == [0, 4, 8]
    assert stages[2].total == 30


def test_decoded_images_are_kept_and_read_back(
    tmp_path: Path, own_cache: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(folders, "CACHED_FROM", 10)
    fill(tmp_path)
    (tmp_path / "red" / "bad.png").write_bytes(b"")
    first = load(f"folder:{tmp_path}")
    (kept,) = own_cache.iterdir()
    stages: list[str] = []
    again = run(loading(f"folder:{tmp_path}"), lambda p: stages.append(p.stage))
    assert set(stages) == {"listing images", "checking for changes"}
    assert again.info == first.info
    assert again.skipped == first.skipped
    for part in ("train", "validation", "test"):
        assert torch.equal(getattr(again, part).images, getattr(first, part).images)
        assert torch.equal(getattr(again, part).labels, getattr(first, part).labels)

    Image.new("RGB", (12, 10), (1, 2, 3)).save(tmp_path / "red" / "0.png")
    changed = load(f"folder:{tmp_path}")
    assert changed.info.mean != first.info.mean
    (kept_now,) = own_cache.iterdir()
    assert kept_now != kept

    kept_now.write_bytes(kept_now.read_bytes()[:100])
    assert load(f"folder:{tmp_path}").info == changed.info


def test_a_place_that_cannot_be_written_costs_only_the_cache(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    monkeypatch.setattr(folders, "CACHED_FROM", 10)
    blocked = tmp_path / "file"
    blocked.write_text("in the way")
    monkeypatch.setenv("GHN_STUDIO_DATA", str(blocked))
    assert sum(load(f"folder:{fill(tmp_path / 'images')}").info.counts) == 30
    assert "could not be kept" in caplog.text


def test_a_network_for_other_classes_is_refused(
    tmp_path: Path, make_convolutional: Callable[..., Architecture]
) -> None:
    data = load(f"folder:{fill(tmp_path)}")
    plan = Plan(make_convolutional(10))
    with pytest.raises(PredictionError, match=r"10 classes.*has 3: replace the classifier"):
        next(evaluate(plan, kaiming(plan, 0), data))


CIFAR = os.environ.get("GHN_STUDIO_CIFAR10_FOLDER", "")


@pytest.mark.skipif(not CIFAR, reason="GHN_STUDIO_CIFAR10_FOLDER does not name the CIFAR-10 (JPEG) folder")
def test_cifar_loads_whole() -> None:
    data = load(f"folder:{CIFAR}")
    assert data.info.class_count == 10
    assert data.info.shape == (3, 32, 32)
    assert data.info.counts == (45_000, 5_000, 10_000)
    assert data.skipped == ()
