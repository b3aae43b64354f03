"""Cards: what a hypernetwork is, what it was trained on and how well it does. No torch.

A hypernetwork is a folder with ``card.json`` and ``weights.safetensors``. The shipped
ones are in ``models/``, the user's own in the data folder.
"""

from __future__ import annotations

import hashlib
import json
import re
import shutil
from collections.abc import Iterator, Mapping
from dataclasses import asdict, dataclass, field
from itertools import accumulate
from pathlib import Path
from typing import Any

from ghn_studio import paths
from ghn_studio.datasets import DatasetInfo, is_folder, portable_name
from ghn_studio.errors import CheckpointError, UsageError

CARD_FILE = "card.json"
WEIGHTS_FILE = "weights.safetensors"
FORMAT_VERSION = 2

_NAME = re.compile(r"[A-Za-z0-9][A-Za-z0-9._-]{0,63}")
#: Names that Windows keeps for devices, whatever ending follows.
_DEVICES = re.compile(r"(con|prn|aux|nul|com\d|lpt\d)(\..*)?", re.IGNORECASE)


@dataclass(frozen=True, slots=True)
class CardTask:
    """A dataset whose classifier the hypernetwork predicts: its name, title and class names, in order."""

    dataset: str
    title: str
    classes: tuple[str, ...]


@dataclass(frozen=True, slots=True)
class Card:
    """The description stored beside the weights of a hypernetwork.

    Attributes:
        name: What ``--ghn`` takes; the folder's name.
        title: One line for people.
        created: ISO date of the training.
        tasks: The datasets it learnt from; the class rows of the hypernetwork are theirs, one after the other.
        config: :class:`ghn_studio.ghn.config.GhnConfig` as JSON.
        sampler: Configuration of the architectures it was trained on.
        training: Command, seed, wall time, hardware class and settings.
        results: Measured accuracies by split and head.
        sha256: Of the weights file.
        folder: Where it was read from; not stored.
    """

    name: str
    title: str
    created: str
    tasks: tuple[CardTask, ...]
    config: Mapping[str, Any]
    sampler: Mapping[str, Any] = field(default_factory=dict)
    training: Mapping[str, Any] = field(default_factory=dict)
    results: Mapping[str, Any] = field(default_factory=dict)
    sha256: str = ""
    folder: Path | None = None

    @property
    def dataset(self) -> str:
        """Its datasets by name, as ``train`` takes them."""
        return "+".join(task.dataset for task in self.tasks)

    @property
    def classes(self) -> tuple[str, ...]:
        """The classes of all tasks, one per class row."""
        return tuple(name for task in self.tasks for name in task.classes)

    def rows_for(self, info: DatasetInfo) -> tuple[int, int] | None:
        """Where the class rows for a dataset start and stop; None if it predicts no classifier for it.

        A dataset of that name comes first. The names of image folders say little and differ between
        machines, so for them the same classes count too.
        """
        starts = [0, *accumulate(len(task.classes) for task in self.tasks)]
        rows = [(start, start + len(task.classes)) for start, task in zip(starts, self.tasks, strict=False)]
        same = [
            at for at, task in zip(rows, self.tasks, strict=True)
            if task.classes == info.classes and (is_folder(info.name) or is_folder(task.dataset))
        ]
        named = [
            at for at, task in zip(rows, self.tasks, strict=True)
            if task.dataset == portable_name(info.name) and (not info.classes or task.classes == info.classes)
        ]
        return next(iter(named or same), None)

    def to_json(self) -> str:
        """The text of ``card.json``; equal cards give equal text."""
        data = {
            "format": FORMAT_VERSION, "name": self.name, "title": self.title, "created": self.created,
            "tasks": [{**asdict(task), "classes": list(task.classes)} for task in self.tasks],
            "config": dict(self.config),
            "sampler": dict(self.sampler), "training": dict(self.training), "results": dict(self.results),
            "sha256": self.sha256,
        }
        return json.dumps(data, indent=2, ensure_ascii=False) + "\n"


def read_card(folder: Path) -> Card:
    """Read the card of a hypernetwork.

    Raises:
        CheckpointError: The folder holds no card, or one that is damaged or too new.
    """
    path = folder / CARD_FILE
    try:
        data = json.loads(path.read_text("utf-8"))
    except FileNotFoundError:
        raise CheckpointError(
            f"'{folder}' holds no hypernetwork: there is no {CARD_FILE} in it. "
            "Give the name of one (ghn-studio list ghns) or a folder made by training."
        ) from None
    except (OSError, ValueError, RecursionError) as error:
        raise CheckpointError(f"'{path}' cannot be read as a card: {error}") from error
    version = data.get("format") if isinstance(data, dict) else None
    if version not in range(1, FORMAT_VERSION + 1):
        raise CheckpointError(
            f"'{path}' has card format {version!r}; this version of GHN Studio reads 1 to {FORMAT_VERSION}: "
            + ("update GHN Studio" if isinstance(version, int) and version > FORMAT_VERSION else "get the folder again")
        )
    try:
        return Card(
            name=str(data["name"]), title=str(data["title"]), created=str(data["created"]),
            tasks=_tasks(data), config=dict(data["config"]),
            sampler=dict(data["sampler"]), training=dict(data["training"]), results=dict(data["results"]),
            sha256=str(data["sha256"]), folder=folder,
        )
    except (KeyError, TypeError, ValueError) as error:
        raise CheckpointError(f"'{path}' lacks or damages the entry {error}") from error


def _tasks(data: Mapping[str, Any]) -> tuple[CardTask, ...]:
    """The tasks of a card; cards of format 1 have one, without a title."""
    entries = data["tasks"] if data["format"] > 1 else [{**data, "title": ""}]
    tasks = tuple(
        CardTask(str(entry["dataset"]), str(entry["title"]), tuple(map(str, entry["classes"]))) for entry in entries
    )
    if not tasks:
        raise ValueError("tasks")
    return tasks


def digest(path: Path) -> str:
    """SHA-256 of a file, in hexadecimal."""
    with path.open("rb") as file:
        return hashlib.file_digest(file, "sha256").hexdigest()


def user_folder() -> Path:
    """Where the user's own hypernetworks are; it may not exist yet."""
    return paths.user_data() / "ghns"


def check_name(name: str) -> None:
    """Raise :class:`UsageError` unless a folder can have the name on every system."""
    if not _NAME.fullmatch(name) or name.endswith(".") or _DEVICES.fullmatch(name):
        raise UsageError(f"'{name}' cannot be a hypernetwork's name; take letters, digits, '-', '_' and '.', at most "
                         "64, such as my-ghn2")


def remove(name: str) -> tuple[Path, int]:
    """Delete one of the user's own hypernetworks; its folder and the bytes it took.

    Raises:
        UsageError: There is none of that name in the user's folder.
        CheckpointError: The system does not let it be deleted.
    """
    folder = next((c.folder for c in _cards(user_folder()) if c.name == name), None)
    if folder is None:
        is_shipped = any(c.name == name for c in list_cards())
        raise UsageError(
            f"'{name}' came with the program and stays" if is_shipped
            else f"there is no hypernetwork '{name}' in '{user_folder()}' that could be removed"
        )
    size = sum(path.stat().st_size for path in folder.rglob("*") if path.is_file())
    try:
        shutil.rmtree(folder)
    except OSError as error:
        raise CheckpointError(f"'{folder}' cannot be removed ({error.strerror}); delete it by hand") from error
    return folder, size


def list_cards() -> tuple[Card, ...]:
    """Every hypernetwork that can be named: shipped ones first, newest first; damaged ones are left out."""
    return tuple(_cards(paths.models())) + tuple(_cards(user_folder()))


def find(dataset: str) -> Card | None:
    """The hypernetwork to take for ``dataset``, or None: shipped before one's own, newer before older.

    One whose first dataset it is comes before all that learnt it beside another.
    """
    name = portable_name(dataset)
    found = [card for card in list_cards() if any(task.dataset == name for task in card.tasks)]
    return next((card for card in found if card.tasks[0].dataset == name), next(iter(found), None))


def resolve(name: str, dataset: str = "digits") -> Card:
    """Return the card of a named hypernetwork, of a folder, or the default for a dataset.

    With an empty name and no hypernetwork for ``dataset`` the newest of all is taken: its
    features serve a closed-form head even where its classifier does not.

    Raises:
        CheckpointError: There is none of that name; the message lists the ones there are.
    """
    cards = list_cards()
    if not name:
        card = find(dataset) or next(iter(cards), None)
        if card is None:
            raise CheckpointError("no hypernetwork is installed; train one (ghn-studio train) and name its folder")
        return card
    for card in cards:
        if card.name == name:
            return card
    if Path(name).is_dir():
        return read_card(Path(name))
    known = ", ".join(c.name for c in cards) or "none"
    raise CheckpointError(f"there is no hypernetwork '{name}'; installed: {known}; or give a folder")


def _cards(root: Path) -> Iterator[Card]:
    found = []
    if root.is_dir():
        for folder in root.iterdir():
            if (folder / CARD_FILE).is_file() and (folder / WEIGHTS_FILE).is_file():
                try:
                    found.append(read_card(folder))
                except CheckpointError:
                    continue  # naming it directly says what is wrong
    yield from sorted(found, key=lambda c: (c.created, c.name), reverse=True)
