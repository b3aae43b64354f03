"""Loading image folders: listing, decoding, dividing, and keeping the decoded pixels.

Decoding 60,000 files takes tens of seconds, reading them back well under one. So the
pixels of folders with many images are kept as one safetensors file in the user's
folder, under ``cache/``, named by a digest of every file's path, size and time: if any
file changes, the images are decoded again and the old file is deleted.
"""

from __future__ import annotations

import json
import logging
import os
import tempfile
from collections.abc import Iterator, Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass, replace
from fractions import Fraction
from hashlib import sha256
from pathlib import Path
from typing import BinaryIO

import torch
from safetensors import SafetensorError, safe_open
from torch import Tensor

from ghn_studio import paths
from ghn_studio.datasets import DatasetInfo, describe
from ghn_studio.datasets.division import PARTS, divide, shuffled
from ghn_studio.datasets.folder import MOST_FILES, FolderLayout, Skipped, find_layout, images_in
from ghn_studio.engine.data import ImageData, Split, with_statistics
from ghn_studio.engine.devices import core_count
from ghn_studio.engine.pictures import decode_all
from ghn_studio.errors import DatasetError
from ghn_studio.jobs import Job, Progress

#: Share of the training images that is held out where the folder has no validation images.
VALIDATION_SHARE = Fraction(1, 10)

#: Decoded images may take this much memory.
MOST_BYTES = 4 * 2**30

#: Folders with fewer images are decoded each time.
CACHED_FROM = 2000

#: Part of the cache's name: change it when decoding or dividing changes.
_VERSION = 1
_CHUNK = 256
_PIECE = 8 * 2**20
_LOG = logging.getLogger(__name__)


@dataclass(frozen=True, slots=True)
class _File:
    """One image file: its part, its class's position, its path and that path below the root."""

    part: str
    label: int
    path: Path
    key: str


def load_folder(name: str, size: int | None = None) -> Job[ImageData]:
    """Load ``folder:PATH``; can stop after every 256 files.

    Files that cannot be used are left out and listed in ``skipped``. Classes of which no
    image could be read are dropped. Where the folder has no ``test/``, it is divided as
    in :mod:`ghn_studio.datasets.division`; where it has no ``val/``, a tenth of the
    training images is held out.

    Raises:
        DatasetError: The folder cannot be used, or its pixels would take too much memory.
    """
    info, layout = describe(name, size), find_layout(name)
    skipped = list(layout.skipped)
    files = yield from _list(layout, skipped)
    _check_memory(info, len(files))
    cache = yield from _cache_path(info, layout, files)
    kept = _read_cache(cache, info) if len(files) >= CACHED_FROM else None
    if kept is not None:
        return kept
    images, files = yield from _decode(info, files, skipped)
    yield Progress("dividing images")
    data = _assemble(info, layout, images, files, skipped)
    if len(files) >= CACHED_FROM:
        yield from _write_cache(cache, data)
    return data


def _list(layout: FolderLayout, skipped: list[Skipped]) -> Job[list[_File]]:
    files: list[_File] = []
    for part, folder in layout.parts:
        for found in _of_part(layout, folder):
            seen = len(files) + len(skipped)
            if isinstance(found, Skipped):
                skipped.append(found)
            else:
                label, path = found
                files.append(_File(part, label, path, path.relative_to(layout.root).as_posix()))
            if seen % 1000 == 0:
                yield Progress("listing images", seen)
            if seen > MOST_FILES:
                raise DatasetError(f"'{layout.root}' has more than {MOST_FILES:,} files: choose a folder of images")
    return files


def _of_part(layout: FolderLayout, folder: Path) -> Iterator[tuple[int, Path] | Skipped]:
    """Yield class position and path of each image of one part, and what is left out."""
    known = {label: i for i, label in enumerate(layout.classes)}
    listed = {item.path for item in layout.skipped}
    for entry in sorted(os.scandir(folder), key=lambda e: e.name):
        if entry.name not in known:
            if entry.path not in listed and not (folder == layout.root and entry.name.startswith(".")):
                is_class = entry.is_dir(follow_symlinks=False)
                yield Skipped(entry.path, "a class without training images" if is_class else "not in a class folder")
            continue
        for found in images_in(Path(entry.path)):
            yield found if isinstance(found, Skipped) else (known[entry.name], found)


def _check_memory(info: DatasetInfo, count: int) -> None:
    channels, side, _ = info.shape
    needed = count * channels * side * side
    if needed > MOST_BYTES:
        fitting = int((MOST_BYTES / (count * channels)) ** 0.5)
        raise DatasetError(
            f"'{info.name}': {count:,} images of {side}×{side} px would take {needed / 2**30:.1f} GiB, the limit is "
            f"{MOST_BYTES / 2**30:.0f} GiB: use images of at most {fitting} px"
        )


def _decode(info: DatasetInfo, files: list[_File], skipped: list[Skipped]) -> Job[tuple[Tensor, list[_File]]]:
    """Return the pixels, ``(N, C, S, S)``, and the files they came from."""
    channels, side, _ = info.shape
    images = torch.empty((len(files), *info.shape), dtype=torch.uint8)
    pixels = images.numpy()  # the same memory, and quicker to fill
    good: list[_File] = []
    with ThreadPoolExecutor(core_count()) as pool:
        for start in range(0, len(files), _CHUNK):
            yield Progress("decoding images", start, len(files))
            chunk = files[start : start + _CHUNK]
            for file, found in zip(chunk, decode_all([f.path for f in chunk], channels, side, pool), strict=True):
                if isinstance(found, str):
                    skipped.append(Skipped(str(file.path), found))
                else:
                    pixels[len(good)] = found
                    good.append(file)
    return images[: len(good)], good


def _assemble(
    info: DatasetInfo, layout: FolderLayout, images: Tensor, files: Sequence[_File], skipped: list[Skipped]
) -> ImageData:
    """Divide the images into parts and leave out classes of which nothing was readable."""
    used = sorted({f.label for f in files if f.part == "train"})
    if len(used) < 2:
        raise DatasetError(
            f"'{layout.root}' has readable images of {len(used)} of its {info.class_count} classes; "
            f"at least 2 are needed. First problem: {skipped[0].path}: {skipped[0].reason}"
        )
    skipped.extend(
        Skipped(str(dict(layout.parts)["train"] / name), "no image of the class can be read")
        for i, name in enumerate(info.classes) if i not in used
    )
    new = {old: i for i, old in enumerate(used)}
    kept = [i for i, f in enumerate(files) if f.label in new]
    labels = torch.tensor([new[files[i].label] for i in kept])
    where = torch.tensor(kept)
    parts = {
        part: Split(images[where[at]], labels[at]) for part, at in _divided(layout, [files[i] for i in kept]).items()
    }
    for part in ("train", "test"):
        if not len(parts[part]):
            raise DatasetError(f"'{layout.root}' has too few readable images: none is left for the {part} part")
    info = replace(info, classes=tuple(info.classes[i] for i in used))
    return ImageData(with_statistics(info, parts), **parts, skipped=tuple(skipped))


def _divided(layout: FolderLayout, files: Sequence[_File]) -> dict[str, list[int]]:
    """Positions of each part's images, in an order that makes the first n a fair sample."""
    names = {part for part, _ in layout.parts}
    given = {part: [i for i, f in enumerate(files) if f.part == part] for part, _ in PARTS}
    if names == {"train"}:
        return _cut(files, given["train"], PARTS)
    train = given["train"]
    if "validation" not in names:
        held_out = (("validation", VALIDATION_SHARE), ("train", 1 - VALIDATION_SHARE))
        return {**_cut(files, train, held_out), "test": _mixed(files, given["test"])}
    return {part: _mixed(files, at) for part, at in given.items()}


def _mixed(files: Sequence[_File], at: list[int]) -> list[int]:
    return [at[i] for i in shuffled([files[j].key for j in at])]


def _cut(files: Sequence[_File], at: list[int], shares: tuple[tuple[str, Fraction], ...]) -> dict[str, list[int]]:
    found = divide([files[i].key for i in at], [files[i].label for i in at], shares)
    return {part: [at[i] for i in positions] for part, positions in found.items()}


# --- the cache -------------------------------------------------------------------------


def _cache_path(info: DatasetInfo, layout: FolderLayout, files: Sequence[_File]) -> Job[Path]:
    """One file per folder and image size, named by what is in the folder."""
    place = sha256(json.dumps([str(layout.root.resolve()), info.shape]).encode()).hexdigest()[:16]
    content = sha256(json.dumps([_VERSION, info.classes]).encode())
    for i, file in enumerate(files):
        if i % 1000 == 0:
            yield Progress("checking for changes", i, len(files))
        content.update(f"{file.part}/{file.key}\0{_stamp(file.path)}\n".encode(errors="surrogateescape"))
    return paths.user_data() / "cache" / f"images-{place}-{content.hexdigest()[:32]}.safetensors"


def _stamp(path: Path) -> str:
    try:
        status = path.stat()
    except OSError as error:  # vanished since it was listed: decoding will say so
        return str(error.errno)
    return f"{status.st_size}/{status.st_mtime_ns}"


def _read_cache(path: Path, info: DatasetInfo) -> ImageData | None:
    if not path.is_file():
        return None
    try:
        with safe_open(path, framework="pt") as file:
            about = json.loads(file.metadata()["ghn_studio"])
            parts = {p: Split(file.get_tensor(f"{p}.images"), file.get_tensor(f"{p}.labels")) for p, _ in PARTS}
    except (OSError, SafetensorError, KeyError, TypeError, ValueError) as error:
        _LOG.warning("the kept images in %s are damaged (%s); decoding again", path, error)
        return None
    info = replace(
        info, classes=tuple(about["classes"]), mean=tuple(about["mean"]), std=tuple(about["std"]),
        counts=(len(parts["train"]), len(parts["validation"]), len(parts["test"])),
    )
    return ImageData(info, **parts, skipped=tuple(Skipped(*item) for item in about["skipped"]))


def _write_cache(path: Path, data: ImageData) -> Job[None]:
    """Write to a temporary file beside it and rename; a full disk costs only the time saved."""
    temporary = None
    try:
        path.parent.mkdir(parents=True, exist_ok=True)
        handle, temporary = tempfile.mkstemp(dir=path.parent, prefix=".images-")
        with open(handle, "wb") as file:
            yield from _write(file, data)
        os.replace(temporary, path)
        temporary = None
        for old in path.parent.glob(f"{path.name.rpartition('-')[0]}-*.safetensors"):
            if old != path:
                old.unlink(missing_ok=True)
    except OSError as error:
        _LOG.warning("the decoded images could not be kept in %s: %s", path.parent, error)
    finally:
        if temporary is not None:
            Path(temporary).unlink(missing_ok=True)


def _write(file: BinaryIO, data: ImageData) -> Job[None]:
    """Write a safetensors file piece by piece, each flushed to the disk.

    The library would write all of it in one call that cannot be stopped for seconds. The
    format: length of the header, the header as JSON, then the tensors' bytes.
    """
    tensors: dict[str, Tensor] = {}
    for part, _ in PARTS:
        split: Split = getattr(data, part)
        tensors |= {f"{part}.labels": split.labels, f"{part}.images": split.images}
    about = {
        "classes": data.info.classes, "mean": data.info.mean, "std": data.info.std,
        "skipped": [(s.path, s.reason) for s in data.skipped],
    }
    header: dict[str, object] = {"__metadata__": {"ghn_studio": json.dumps(about)}}
    end = 0
    for name, tensor in tensors.items():
        start, end = end, end + tensor.nbytes
        kind = "U8" if tensor.dtype == torch.uint8 else "I64"
        header[name] = {"dtype": kind, "shape": list(tensor.shape), "data_offsets": [start, end]}
    text = json.dumps(header).encode()
    text += b" " * (-len(text) % 8)
    file.write(len(text).to_bytes(8, "little") + text)
    written = 0
    for tensor in tensors.values():
        raw = memoryview(tensor.contiguous().view(torch.uint8).reshape(-1).numpy())  # type: ignore[arg-type]
        for at in range(0, len(raw), _PIECE):
            yield Progress("keeping the decoded images", written + at, end)
            file.write(raw[at : at + _PIECE])
            file.flush()
            os.fsync(file.fileno())
        written += len(raw)
