"""What the hypernetworks panel lists: shipped ones, the user's own, and those that can be downloaded. No Qt."""

from __future__ import annotations

import re
from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from ghn_studio import paths
from ghn_studio.app.drawing.faces import count_text
from ghn_studio.app.hypernetworks import AvailableGhn, available, is_removable
from ghn_studio.datasets.folder import PREFIX
from ghn_studio.ghn.cards import WEIGHTS_FILE, Card, list_cards
from ghn_studio.ghn.run_folder import checkpoints
from ghn_studio.gui.wording import duration, percent, size_text

SHIPPED, OWN, PUBLISHED = "Shipped", "Your own", "To download"

_HEADS = {"predicted": "predicted", "closed-form": "closed form"}
_INITS = {"ghn": "GHN", "kaiming": "Random start"}
_KEY = re.compile(rf"(.+), ({'|'.join(_INITS)}), ({'|'.join(_HEADS)})(, all images)?")


@dataclass(frozen=True, slots=True)
class GhnEntry:
    """One line of the list. ``card`` is None for what is not installed yet, ``offer`` for what nobody publishes."""

    name: str
    title: str
    dataset: str
    kind: str
    bytes: int
    card: Card | None = field(default=None, compare=False)
    offer: AvailableGhn | None = None

    @property
    def refusal(self) -> str:
        """Why it cannot be deleted, as a sentence; empty if it can."""
        if self.card is None:
            return "It is not installed."
        if is_removable(self.card):
            return ""
        if self.kind == SHIPPED:
            return "It is shipped with GHN Studio and cannot be deleted."
        return "It lies in a folder of its own; delete that folder instead."

    @property
    def can_go_on(self) -> bool:
        """True if its training can be continued."""
        return self.card is not None and self.card.folder is not None and bool(checkpoints(self.card.folder))


def entries(folders: Iterable[Card] = ()) -> tuple[GhnEntry, ...]:
    """Everything to list, in order; ``folders`` are cards of hypernetworks outside the usual places."""
    offers = {offer.name: offer for offer in available()}
    known = [*list_cards(), *folders]
    installed = [_of_card(card, offers.get(card.name)) for card in known]
    missing = [
        GhnEntry(o.name, o.title, o.dataset, PUBLISHED, o.bytes, None, o) for o in offers.values() if not o.installed
    ]
    return (*installed, *missing)


def facts(entry: GhnEntry) -> tuple[tuple[str, str], ...]:
    """The lines of an entry's card: name and value."""
    lines = [("Datasets" if entry.card and len(entry.card.tasks) > 1 else "Dataset", entry.dataset)]
    if entry.card is None:
        assert entry.offer is not None
        return (*lines, ("Classes", str(entry.offer.classes)), ("Size", f"about {size_text(entry.bytes)}"),
                ("Licence", entry.offer.licence))
    card, training = entry.card, entry.card.training
    lines += [("Classes", str(len(card.classes))), ("Size", size_text(entry.bytes))]
    if card.created:
        lines.append(("Created", card.created))
    given = training.get("source")
    if isinstance(given, Mapping) and "parameters" in given:
        lines.append(("Parameters", count_text(int(given["parameters"]))))
    if training.get("licence"):
        lines.append(("Licence", str(training["licence"])))
    if "steps" in training:
        lines.append(("Training steps", f"{int(training['steps']):,}"))
    if "networks" in training:
        lines.append(("Networks seen", f"{int(training['networks']):,}"))
    if training.get("wall_seconds"):
        lines.append(("Training time", duration(float(training["wall_seconds"]))))
    sampler = card.sampler
    if len(sampler.get("channels", ())) == 2:
        lines.append(("Base channels", "{} to {}".format(*sampler["channels"])))
    if sampler.get("sizes"):
        lines.append(("Image sides", ", ".join(f"{side} px" for side in sampler["sizes"])))
    return tuple(lines)


def source(entry: GhnEntry) -> str:
    """Where an entry comes from: its training command, its file, or its address."""
    if entry.card is None:
        return entry.offer.source if entry.offer else ""
    training = entry.card.training
    given = training.get("source")
    if isinstance(given, Mapping):
        return str(given.get("file", ""))
    return str(training.get("command") or given or "")


@dataclass(frozen=True, slots=True)
class Figure:
    """One measured accuracy: as a text, and with all that is known about it."""

    text: str
    tip: str


def figures(results: Mapping[str, Any]) -> tuple[tuple[str, ...], tuple[tuple[str, tuple[Figure | None, ...]], ...]]:
    """The accuracies of a card as a table: titles of the columns, then name and cells of each row.

    A key reads "split, parameters, head", perhaps with ", all images"; one that does not makes a row of its own.
    """
    rows: dict[str, dict[str, Figure]] = {}
    columns: dict[str, None] = {}
    for key, value in results.items():
        figure = _figure(value)
        if figure is None:
            continue
        split, column = _place(key)
        columns[column] = None
        rows.setdefault(split, {})[column] = figure
    return tuple(columns), tuple((name, tuple(cells.get(c) for c in columns)) for name, cells in rows.items())


def _place(key: str) -> tuple[str, str]:
    # The name of a folder may hold commas, so the key is read from its end.
    match = _KEY.fullmatch(key)
    if match is None:
        return key, "Accuracy"
    split, init, head, rest = match.groups(default="")
    return split.removeprefix(PREFIX) + rest, f"{_INITS[init]},\n{_HEADS[head]}"


def _figure(value: object) -> Figure | None:
    if isinstance(value, int | float) and not isinstance(value, bool):
        return Figure(percent(float(value)), "")
    if not isinstance(value, Mapping) or not isinstance(value.get("mean"), int | float):
        return None
    text = percent(float(value["mean"]))
    error = value.get("standard_error")
    known = [f"{int(value['networks'])} networks"] if "networks" in value else []
    known += [f"standard error {100 * error:.1f} points"] if isinstance(error, int | float) else []
    known += [f"{name} {percent(float(value[key]))}" for name, key in (("worst", "min"), ("best", "max"))
              if isinstance(value.get(key), int | float)]
    known += [str(value["label"])] if value.get("label") else []
    return Figure(text, "\n".join(known))


def _of_card(card: Card, offer: AvailableGhn | None) -> GhnEntry:
    shipped = card.folder is not None and card.folder.parent == paths.models()
    datasets = ", ".join(task.dataset.removeprefix(PREFIX) for task in card.tasks)
    return GhnEntry(card.name, card.title, datasets, SHIPPED if shipped else OWN, _size(card.folder), card, offer)


def _size(folder: Path | None) -> int:
    try:
        return (folder / WEIGHTS_FILE).stat().st_size if folder else 0
    except OSError:
        return 0
