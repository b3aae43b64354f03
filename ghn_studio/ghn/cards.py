"""Cards: what a hypernetwork is, what it was trained on and how well it does. No torch.

A hypernetwork is a folder with ``card.json`` and ``weights.safetensors``. The shipped
ones are in ``models/``, the user's own in the data folder.
"""

from __future__ import annotations

import hashlib
import json
from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from ghn_studio import paths
from ghn_studio.errors import CheckpointError

CARD_FILE = "card.json"
WEIGHTS_FILE = "weights.safetensors"
FORMAT_VERSION = 1


@dataclass(frozen=True, slots=True)
class Card:
    """The description stored beside the weights of a hypernetwork.

    Attributes:
        name: What ``--ghn`` takes; the folder's name.
        title: One line for people.
        created: ISO date of the training.
        dataset: Name of the dataset its classifier predicts.
        classes: That dataset's class names, in order.
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
    dataset: str
    classes: tuple[str, ...]
    config: Mapping[str, Any]
    sampler: Mapping[str, Any] = field(default_factory=dict)
    training: Mapping[str, Any] = field(default_factory=dict)
    results: Mapping[str, Any] = field(default_factory=dict)
    sha256: str = ""
    folder: Path | None = None

    def to_json(self) -> str:
        """The text of ``card.json``; equal cards give equal text."""
        data = {
            "format": FORMAT_VERSION, "name": self.name, "title": self.title, "created": self.created,
            "dataset": self.dataset, "classes": list(self.classes), "config": dict(self.config),
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
    if version != FORMAT_VERSION:
        raise CheckpointError(
            f"'{path}' has card format {version!r}; this version of GHN Studio reads {FORMAT_VERSION}: "
            + ("update GHN Studio" if isinstance(version, int) and version > FORMAT_VERSION else "get the folder again")
        )
    try:
        return Card(
            name=str(data["name"]), title=str(data["title"]), created=str(data["created"]),
            dataset=str(data["dataset"]), classes=tuple(map(str, data["classes"])), config=dict(data["config"]),
            sampler=dict(data["sampler"]), training=dict(data["training"]), results=dict(data["results"]),
            sha256=str(data["sha256"]), folder=folder,
        )
    except (KeyError, TypeError, ValueError) as error:
        raise CheckpointError(f"'{path}' lacks or damages the entry {error}") from error


def digest(path: Path) -> str:
    """SHA-256 of a file, in hexadecimal."""
    with path.open("rb") as file:
        return hashlib.file_digest(file, "sha256").hexdigest()


def list_cards() -> tuple[Card, ...]:
    """Every hypernetwork that can be named: shipped ones first, newest first; damaged ones are left out."""
    return tuple(_cards(paths.models())) + tuple(_cards(paths.user_data() / "ghns"))


def find(dataset: str) -> Card | None:
    """The newest shipped hypernetwork whose card names ``dataset``, else the newest of the user's, else None."""
    return next((c for c in list_cards() if c.dataset == dataset), None)


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
