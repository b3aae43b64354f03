"""Keep a checkpoint of the official code as a hypernetwork of the user's own: card and safetensors."""

from __future__ import annotations

import os
import shutil
import tempfile
from collections.abc import Mapping
from dataclasses import dataclass, replace
from pathlib import Path

from safetensors import SafetensorError
from safetensors.torch import save_file
from torch import Tensor

from ghn_studio.atomic import write_atomically
from ghn_studio.errors import CheckpointError, UsageError
from ghn_studio.fetch import digests
from ghn_studio.ghn import cards, published
from ghn_studio.ghn.cards import CARD_FILE, WEIGHTS_FILE, Card, CardTask, digest, read_card
from ghn_studio.ghn.checkpoints.reading import read_checkpoint
from ghn_studio.ghn.checkpoints.recognising import Recognised, recognise
from ghn_studio.ghn.published import PublishedGhn
from ghn_studio.jobs import Job, Progress

_TITLES = {"cifar10": "CIFAR-10", "imagenet": "ImageNet"}
_CIFAR10 = ("airplane", "automobile", "bird", "cat", "deer", "dog", "frog", "horse", "ship", "truck")


@dataclass(frozen=True, slots=True)
class Added:
    """A hypernetwork of the user's; ``is_new`` is False if the very same file had been added before."""

    card: Card
    is_new: bool


def add(file: Path, name: str, expected: PublishedGhn | None = None) -> Job[Added]:
    """Convert a checkpoint into ``NAME`` in the user's folder; the same file again is left as it is.

    Args:
        expected: What it is said to be; refused if its size is another's.

    Raises:
        UsageError: The name is taken by another hypernetwork, or no folder can be called so.
        CheckpointError: The file is no checkpoint of the official code, or damaged; or nothing can be written.
    """
    cards.check_name(name)
    if not file.is_file():
        raise CheckpointError(f"there is no file '{file}' to add; check the path")
    try:
        source = yield from digests(file)
    except OSError as error:
        raise CheckpointError(f"'{file}' cannot be read ({error.strerror}); check its rights") from error
    folder = cards.user_folder() / name
    if (there := _already_there(folder, name, source["sha256"])) is not None:
        return Added(there, is_new=False)
    found = recognise((yield from read_checkpoint(file)), file.name)
    if expected is not None and found.parameters != expected.parameters:
        raise CheckpointError(f"'{file.name}' is not {expected.title}: expected {expected.parameters:,} parameters, "
                              f"found {found.parameters:,}; download it again")
    yield Progress(f"writing {name}")
    return Added(_write(folder, _card(file, name, found, source), found.state), is_new=True)


def _already_there(folder: Path, name: str, sha256: str) -> Card | None:
    """The card under ``name`` if it was made from the same file and is whole; None if the name is free.

    Raises:
        UsageError: Another hypernetwork has the name.
    """
    taken = next((c for c in cards.list_cards() if c.name == name), None)
    if taken is None and folder.exists():
        raise UsageError(f"'{folder}' is there already and holds no hypernetwork that can be read; choose another name "
                         "or delete the folder")
    if taken is None:
        return None
    if taken.folder != folder:
        raise UsageError(f"'{name}' is the name of a hypernetwork in '{taken.folder}'; choose another name")
    if taken.training.get("source", {}).get("sha256") != sha256:
        raise UsageError(f"'{name}' is the name of another hypernetwork, {taken.title}; choose another name, or remove "
                         f"it first (ghn-studio remove-ghn {name})")
    return taken if digest(folder / WEIGHTS_FILE) == taken.sha256 else None


def _card(file: Path, name: str, found: Recognised, source: Mapping[str, str]) -> Card:
    known = _identify(found, source["git_blob"])
    dataset, classes = _classes(found.config.classes)
    kind = f"{found.kind}, {_TITLES.get(dataset, dataset)}"
    origin = {"file": file.name, "bytes": file.stat().st_size, "parameters": found.parameters, **source}
    return Card(
        name=name, title=known.title if known else kind, created=known.published if known else "",
        tasks=(CardTask(dataset, "", classes),), config=found.config.to_json(),
        training={
            "kind": kind, "code": found.origin, "licence": published.LICENCE if known else "unknown", "source": origin,
        },
    )


def _identify(found: Recognised, git_blob: str) -> PublishedGhn | None:
    """The published file this is: by its content, or where nobody published a checksum by its size."""
    for entry in published.PUBLISHED:
        same_size = (entry.origin, entry.parameters) == (found.origin, found.parameters)
        if same_size and entry.git_blob in ("", git_blob):
            return entry
    return None


def _classes(count: int) -> tuple[str, tuple[str, ...]]:
    """The dataset that the official code knows with so many classes, and their names."""
    if count == len(_CIFAR10):
        return "cifar10", _CIFAR10
    if count == 1000:
        from torchvision.models import ResNet18_Weights

        return "imagenet", tuple(ResNet18_Weights.DEFAULT.meta["categories"])
    return f"{count}-classes", tuple(f"class_{i}" for i in range(count))


def _write(folder: Path, card: Card, state: Mapping[str, Tensor]) -> Card:
    """Put card and weights into a folder that appears whole, in the place of a damaged one."""
    try:
        folder.parent.mkdir(parents=True, exist_ok=True)
        with tempfile.TemporaryDirectory(dir=folder.parent.parent, prefix=".adding-") as made:
            staged = Path(made) / folder.name
            staged.mkdir()
            weights = staged / WEIGHTS_FILE
            save_file(dict(state), weights)
            with weights.open("rb+") as file:
                os.fsync(file.fileno())
            card = replace(card, sha256=digest(weights), folder=folder)
            write_atomically(staged / CARD_FILE, card.to_json().encode())
            shutil.rmtree(folder, ignore_errors=True)
            staged.rename(folder)
    except (OSError, SafetensorError) as error:
        reason = error.strerror if isinstance(error, OSError) else error
        raise CheckpointError(f"'{folder}' cannot be written ({reason}); free some space or check the rights of the "
                              "folder") from error
    return read_card(folder)
