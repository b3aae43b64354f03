"""Image folders: which classes and files they hold. Only names and headers are read here, no pixels.

Two layouts are understood: ``train/CLASS/…`` and ``test/CLASS/…`` (``val/`` may be there
too), or ``CLASS/…`` directly, which is then divided. Images may lie in folders below
their class. Links to folders are never followed, so a loop cannot trap the walk.
"""

from __future__ import annotations

import os
import stat
import warnings
from collections.abc import Iterator
from dataclasses import dataclass
from itertools import islice
from pathlib import Path
from statistics import median_low

from ghn_studio.datasets.info import DatasetInfo
from ghn_studio.errors import DatasetError

PREFIX = "folder:"

#: Endings of files that are tried; everything else (Thumbs.db, notes) is listed as skipped.
ENDINGS = frozenset([".png", ".jpg", ".jpeg", ".jpe", ".bmp", ".gif", ".webp", ".tif", ".tiff", ".ppm", ".pgm", ".pbm"])

#: Images are stored as squares of at most this side unless another size is asked for.
LARGEST_DEFAULT_PX = 64

#: More files than this mean that the wrong folder was chosen.
MOST_FILES = 2_000_000

#: Images whose headers decide about size and colour.
_SAMPLED = 64

_PART_NAMES = {
    "train": ("train", "training"), "validation": ("val", "valid", "validation"), "test": ("test", "testing"),
}
_GREY_MODES = frozenset(("1", "L", "LA", "I", "I;16", "I;16B", "I;16L", "F"))


@dataclass(frozen=True, slots=True)
class Skipped:
    """A file or folder that was left out, and why."""

    path: str
    reason: str


@dataclass(frozen=True, slots=True)
class FolderLayout:
    """Where the class folders of each part lie.

    ``parts`` maps ``train``, ``validation`` and ``test`` to a folder; if only ``train``
    is there, its images are divided into all three. ``classes`` are those of ``train``, sorted.
    """

    root: Path
    parts: tuple[tuple[str, Path], ...]
    classes: tuple[str, ...]
    skipped: tuple[Skipped, ...]


def describe_folder(name: str, size: int | None = None) -> DatasetInfo:
    """Describe ``folder:PATH`` from folder names and the headers of a few images.

    Its images will be squares of ``size``, by default the median of their shorter sides
    up to 64 px; grey if all the headers read are.

    Raises:
        DatasetError: The folder is missing or holds fewer than two classes of images.
    """
    layout = find_layout(name)
    side, channels = _typical(layout)
    side = side if size is None else size
    return DatasetInfo(
        name=name, title=layout.root.name or str(layout.root), classes=layout.classes, shape=(channels, side, side),
        source=f"image folder {layout.root}", preparation=f"scaled and cropped to {side}×{side} when loaded",
    )


def find_layout(name: str) -> FolderLayout:
    """Find the parts and classes of ``folder:PATH``; ``~`` is the home folder.

    Raises:
        DatasetError: See :func:`describe_folder`.
    """
    root = Path(name.removeprefix(PREFIX).strip()).expanduser()
    if not name.removeprefix(PREFIX).strip():
        raise DatasetError("folder: needs a path, as in folder:photos")
    try:
        folders = {path.name.lower(): path for path in _folders(root, [])}
        parts = {part: _part(folders, names) for part, names in _PART_NAMES.items()}
        train = parts["train"]
        if train is None:
            parts = {"train": root}
        elif parts["test"] is None:  # ImageNet calls its test images val
            parts = {"train": train, "test": parts["validation"]}
        skipped: list[Skipped] = []
        classes = _classes(parts["train"] or root, skipped)
    except OSError as error:
        raise DatasetError(f"the image folder '{root}' cannot be read: {error.strerror or error}") from error
    if len(classes) < 2:
        found = f"only the class '{classes[0]}'" if classes else "no class folder with images"
        raise DatasetError(
            f"'{root}' has {found}; at least 2 classes are needed: one folder of images per class, "
            "either directly or below train/ and test/"
        )
    return FolderLayout(root, tuple((k, v) for k, v in parts.items() if v is not None), classes, tuple(skipped))


def images_in(folder: Path) -> Iterator[Path | Skipped]:
    """Yield the image files below ``folder`` in the order of their names, and what is left out."""
    try:
        entries = sorted(os.scandir(folder), key=lambda entry: entry.name)
    except OSError as error:
        yield Skipped(str(folder), f"cannot be read: {error.strerror or error}")
        return
    for entry in entries:
        path = Path(entry.path)
        reason = _refusal(entry)
        if reason is not None:
            yield Skipped(entry.path, reason)
        elif entry.is_dir(follow_symlinks=False):
            yield from images_in(path)
        else:
            yield path


def _refusal(entry: os.DirEntry[str]) -> str | None:
    """Why an entry is left out, or None for an image file or a folder."""
    try:
        if entry.is_dir(follow_symlinks=False):
            return None
        mode = entry.stat().st_mode  # of what a link points at
    except OSError as error:
        return f"broken link: {error.strerror or error}" if entry.is_symlink() else f"cannot be read: {error.strerror}"
    if stat.S_ISDIR(mode):
        return "link to a folder, not followed"
    if not stat.S_ISREG(mode):
        return "not a regular file"
    return None if Path(entry.name).suffix.lower() in ENDINGS else "not an image file"


def _folders(root: Path, skipped: list[Skipped]) -> list[Path]:
    found = []
    for entry in sorted(os.scandir(root), key=lambda entry: entry.name):
        if entry.name.startswith(".") or entry.name == "__MACOSX":
            continue
        if entry.is_dir(follow_symlinks=False):
            found.append(Path(entry.path))
        elif entry.is_symlink():
            skipped.append(Skipped(entry.path, "link to a folder, not followed" if entry.is_dir() else "not a folder"))
    return found


def _part(folders: dict[str, Path], names: tuple[str, ...]) -> Path | None:
    """The folder of a part. One without folders of its own is a class that happens to be called so."""
    found = next((folders[n] for n in names if n in folders), None)
    return found if found is not None and _folders(found, []) else None


def _classes(folder: Path, skipped: list[Skipped]) -> tuple[str, ...]:
    """Names of the class folders with at least one image file; the empty ones are listed as skipped."""
    names = []
    for path in _folders(folder, skipped):
        if any(isinstance(found, Path) for found in images_in(path)):
            names.append(path.name)
        else:
            skipped.append(Skipped(str(path), "the class has no images"))
    return tuple(names)


def _typical(layout: FolderLayout) -> tuple[int, int]:
    """Side in px and number of channels, from the headers of the first images of up to 64 classes."""
    from PIL import Image

    train = dict(layout.parts)["train"]
    each = max(1, _SAMPLED // len(layout.classes))
    sides, grey = [], []
    for label in layout.classes[:_SAMPLED]:
        for path in islice((f for f in images_in(train / label) if isinstance(f, Path)), each):
            try:
                # Above Pillow's limit on pixels it warns; such a file is refused when loading.
                with warnings.catch_warnings(action="error"), Image.open(path) as image:
                    sides.append(min(image.size))
                    grey.append(image.mode in _GREY_MODES)
            except Exception:  # noqa: BLE001 - damaged headers raise anything; loading lists the file with its reason
                continue
    side = min(LARGEST_DEFAULT_PX, median_low(sides)) if sides else 32
    return side, 1 if grey and all(grey) else 3
