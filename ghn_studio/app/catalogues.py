"""What the other commands and the menus can name: hypernetworks, datasets, examples, operators. No torch."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from types import MappingProxyType
from typing import Any

from ghn_studio.app.architectures import examples, torchvision_names

Entry = dict[str, Any]


def ghns() -> list[Entry]:
    """Every hypernetwork, the shipped ones first; ``name`` is what ``--ghn`` takes."""
    from ghn_studio.ghn.cards import list_cards

    return [
        {
            "name": card.name, "title": card.title, "dataset": card.dataset, "classes": len(card.classes),
            "created": card.created, "folder": str(card.folder),
        }
        for card in list_cards()
    ]


def suited_ghn(dataset: str) -> str:
    """The name of the hypernetwork that is taken for a dataset where none is named; empty if there is none."""
    from ghn_studio.ghn.cards import find

    card = find(dataset)
    return card.name if card is not None else ""


def all_ghns() -> list[Entry]:
    """Every hypernetwork of :func:`ghns`, then those that ``download-ghn`` can fetch by ``name``."""
    from ghn_studio.app.hypernetworks import available

    published = [entry.to_json() for entry in available() if not entry.installed]
    return [entry | {"installed": True} for entry in ghns()] + published


def datasets() -> list[Entry]:
    """The datasets that need no path; ``name`` is what ``--dataset`` takes.

    ``bytes`` is what one takes that has to be downloaded, ``begun_bytes`` what of it is here.
    """
    from ghn_studio.datasets import DATASETS
    from ghn_studio.datasets.published import PUBLISHED

    states = {
        name: {"installed": images.is_here, "bytes": images.bytes, "begun_bytes": images.begun_bytes}
        for name, images in PUBLISHED.items()
    }
    return [
        {
            "name": info.name, "title": info.title, "classes": info.class_count, "shape": list(info.shape),
            "source": info.source, **states.get(info.name, {"installed": True, "bytes": 0, "begun_bytes": 0}),
        }
        for info in DATASETS.values()
    ]


def example_networks() -> list[Entry]:
    """The shipped networks; commands take them as ``example:NAME``."""
    return [{"name": e.name, "title": e.title, "summary": e.summary} for e in examples()]


def torchvision_networks() -> list[Entry]:
    """The classification models of torchvision; commands take them as ``torchvision:NAME``. Imports torch."""
    return [{"name": name, "title": name} for name in torchvision_names()]


def operators() -> list[Entry]:
    """The operators of the palette, in its order; ``name`` is what project files write."""
    from ghn_studio.ops import REGISTRY
    from ghn_studio.ops.spec import Category

    order = list(Category)
    shown = [spec for spec in REGISTRY if spec.category is not Category.HIDDEN]
    return [
        {"name": s.id, "title": s.title, "category": str(s.category), "summary": s.summary, "version": s.version}
        for s in sorted(shown, key=lambda s: order.index(s.category))
    ]


#: What ``list KIND`` can list.
CATALOGUES: Mapping[str, Callable[[], list[Entry]]] = MappingProxyType(
    {"ghns": all_ghns, "datasets": datasets, "examples": example_networks, "torchvision": torchvision_networks,
     "operators": operators}
)
