"""Image folders: what is found without reading pixels."""

from __future__ import annotations

import os
import subprocess
import sys
from pathlib import Path

import pytest
from PIL import Image

from ghn_studio.datasets import DATASETS, describe
from ghn_studio.datasets.folder import Skipped, find_layout, images_in
from ghn_studio.errors import DatasetError


def picture(path: Path, size: tuple[int, int] = (10, 8), mode: str = "RGB") -> None:
    path.parent.mkdir(parents=True, exist_ok=True)
    Image.new(mode, size).save(path)


def test_classes_and_shape_come_from_names_and_headers(tmp_path: Path) -> None:
    for name in ("b/1.png", "a/deep/2.png", "c/3.JPG"):
        picture(tmp_path / name)
    info = describe(f"folder:{tmp_path}")
    assert info.classes == ("a", "b", "c")
    assert info.shape == (3, 8, 8)
    assert info.mean == ()
    assert info.counts == (0, 0, 0)
    assert describe(f"folder:{tmp_path}", size=20).shape == (3, 20, 20)


def test_grey_folders_have_one_channel_and_mixed_ones_three(tmp_path: Path) -> None:
    picture(tmp_path / "a/1.png", mode="L")
    picture(tmp_path / "b/1.png", mode="I;16")
    assert describe(f"folder:{tmp_path}").shape[0] == 1
    picture(tmp_path / "b/0.png", mode="P")
    assert describe(f"folder:{tmp_path}").shape[0] == 3


def test_large_images_are_stored_small(tmp_path: Path) -> None:
    for name in "ab":
        picture(tmp_path / name / "1.jpg", (400, 300))
    assert describe(f"folder:{tmp_path}").shape == (3, 64, 64)


@pytest.mark.parametrize(
    ("folders", "expected"),
    [
        (("train", "test"), {"train": "train", "test": "test"}),
        (("train", "val", "test"), {"train": "train", "validation": "val", "test": "test"}),
        (("Train", "Val"), {"train": "Train", "test": "Val"}),
        (("train",), {"train": "train"}),
        (("",), {"train": "."}),
    ],
)
def test_parts_are_recognised(tmp_path: Path, folders: tuple[str, ...], expected: dict[str, str]) -> None:
    for folder in folders:
        for name in "ab":
            picture(tmp_path / folder / name / "1.png")
    layout = find_layout(f"folder:{tmp_path}")
    assert {part: path.relative_to(tmp_path).as_posix() for part, path in layout.parts} == expected
    assert layout.classes == ("a", "b")


def test_a_class_may_be_called_train(tmp_path: Path) -> None:
    for name in ("bus", "train"):
        picture(tmp_path / name / "1.png")
    assert find_layout(f"folder:{tmp_path}").classes == ("bus", "train")


def test_empty_classes_are_left_out_and_listed(tmp_path: Path) -> None:
    for name in "ab":
        picture(tmp_path / name / "1.png")
    (tmp_path / "empty").mkdir()
    (tmp_path / "notes").mkdir()
    (tmp_path / "notes" / "Thumbs.db").write_bytes(b"x")
    layout = find_layout(f"folder:{tmp_path}")
    assert layout.classes == ("a", "b")
    assert [(Path(s.path).name, s.reason) for s in layout.skipped] == [
        ("empty", "the class has no images"),
        ("notes", "the class has no images"),
    ]


def test_one_class_is_refused_with_its_name(tmp_path: Path) -> None:
    picture(tmp_path / "cat" / "1.png")
    with pytest.raises(DatasetError, match="only the class 'cat'; at least 2"):
        describe(f"folder:{tmp_path}")


@pytest.mark.parametrize("name", ["folder:", "folder:  ", "folder:/no/such/place", "cifar-10"])
def test_what_is_not_there_is_refused(name: str) -> None:
    with pytest.raises(DatasetError):
        describe(name)


def test_a_file_is_not_a_folder_and_an_empty_folder_holds_nothing(tmp_path: Path) -> None:
    picture(tmp_path / "1.png")
    with pytest.raises(DatasetError, match="cannot be read: Not a directory"):
        describe(f"folder:{tmp_path / '1.png'}")
    with pytest.raises(DatasetError, match="no class folder with images"):
        describe(f"folder:{tmp_path}")


@pytest.mark.skipif(os.name == "nt", reason="links need rights there")
def test_links_cannot_trap_the_walk(tmp_path: Path) -> None:
    for name in "ab":
        picture(tmp_path / name / "1.png")
    (tmp_path / "a" / "up").symlink_to(tmp_path)
    (tmp_path / "a" / "self.png").symlink_to(tmp_path / "a" / "self.png")
    (tmp_path / "a" / "good.png").symlink_to(tmp_path / "b" / "1.png")
    (tmp_path / "loop").symlink_to(tmp_path)
    os.mkfifo(tmp_path / "a" / "pipe.png")
    layout = find_layout(f"folder:{tmp_path}")
    assert layout.classes == ("a", "b")
    assert [s.reason for s in layout.skipped] == ["link to a folder, not followed"]
    found = list(images_in(tmp_path / "a"))
    assert [p.name for p in found if isinstance(p, Path)] == ["1.png", "good.png"]
    assert {Path(s.path).name: s.reason for s in found if isinstance(s, Skipped)} == {
        "up": "link to a folder, not followed",
        "self.png": "broken link: Too many levels of symbolic links",
        "pipe.png": "not a regular file",
    }


def test_digits_are_described_without_pixels() -> None:
    info = describe("digits")
    assert info is DATASETS["digits"]
    assert info.class_count == 10
    assert sum(info.counts) == 1797


def test_describing_loads_neither_torch_nor_numpy() -> None:
    code = (
        "import sys, ghn_studio.datasets as d; d.describe('digits'); "
        "print([m for m in ('torch', 'numpy', 'sklearn', 'PIL', 'onnx', 'PySide6') if m in sys.modules])"
    )
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert done.stdout.strip() == "[]"
