"""The hypernetworks their authors published: where the files are and what identifies them. No torch.

A git blob id is the SHA-1 of ``blob``, a space, the size in bytes as decimal, a zero byte
and the content: what a repository knows a file by, and so a checksum without a published one.
"""

from __future__ import annotations

from dataclasses import dataclass

from ghn_studio.errors import UsageError
from ghn_studio.ghn import cards
from ghn_studio.ghn.cards import Card

#: Of both repositories, code and weights.
LICENCE = "MIT"

#: The same content is at the fixed commit and, unless the authors have changed it, at the newest.
_FOLDERS = {
    "ppuda": (
        "https://raw.githubusercontent.com/facebookresearch/ppuda/4673a42/checkpoints",
        "https://raw.githubusercontent.com/facebookresearch/ppuda/main/checkpoints",
    ),
    "ghn3": ("https://huggingface.co/SamsungSAILMontreal/ghn3/resolve/main",),
}
#: arXiv 2110.13100 and 2303.04143.
_PAPERS = {"ppuda": "2021-10-25", "ghn3": "2023-03-07"}

_FLOAT_BYTES = 4
#: A published file may also hold the optimiser's two moments, and some bookkeeping.
_MOST_COPIES, _BOOKKEEPING_BYTES = 3, 4 << 20


@dataclass(frozen=True, slots=True, kw_only=True)
class PublishedGhn:
    """One published checkpoint.

    Attributes:
        name: What commands take.
        title: Kind and dataset, for people.
        origin: ``ppuda`` or ``ghn3``: whose code made it.
        file: Its name there.
        dataset: Name of the dataset its classifier predicts.
        classes: Number of that dataset's classes.
        parameters: Numbers in its tensors.
        git_blob: Identifies the content; empty where nobody published anything.
    """

    name: str
    title: str
    origin: str
    file: str
    dataset: str
    classes: int
    parameters: int
    git_blob: str = ""

    @property
    def urls(self) -> tuple[str, ...]:
        """Where it can be fetched, the first choice first."""
        return tuple(f"{folder}/{self.file}" for folder in _FOLDERS[self.origin])

    @property
    def published(self) -> str:
        """ISO date of the paper's first version."""
        return _PAPERS[self.origin]

    @property
    def bytes(self) -> int:
        """What its tensors take."""
        return _FLOAT_BYTES * self.parameters

    @property
    def most_bytes(self) -> int:
        """No file of it can be larger."""
        return _MOST_COPIES * self.bytes + _BOOKKEEPING_BYTES


def _ppuda(kind: str, dataset: str, parameters: int, git_blob: str) -> PublishedGhn:
    shown, classes = {"cifar10": ("CIFAR-10", 10), "imagenet": ("ImageNet", 1000)}[dataset]
    return PublishedGhn(
        name=f"{kind}-{dataset}", title=f"{'MLP' if kind == 'mlp' else kind.upper().replace('GHN', 'GHN-')}, {shown}",
        origin="ppuda", file=f"{kind}_{dataset}.pt", dataset=dataset, classes=classes, parameters=parameters,
        git_blob=git_blob,
    )


def _ghn3(name: str, title: str, file: str, parameters: int) -> PublishedGhn:
    return PublishedGhn(
        name=name, title=f"{title}, ImageNet", origin="ghn3", file=file, dataset="imagenet", classes=1000,
        parameters=parameters,
    )


#: Smaller before larger, CIFAR-10 before ImageNet.
PUBLISHED: tuple[PublishedGhn, ...] = (
    _ppuda("ghn1", "cifar10", 1_620_668, "0c97a283aefc0445dd357c08f1b36698149b8013"),
    _ppuda("ghn2", "cifar10", 1_620_764, "4f290e0fad1b73066eeabb50be52e0c377d0b15b"),
    _ppuda("mlp", "cifar10", 1_614_396, "3a987c98b437fd2dfc603668a846f2b632ed28a3"),
    _ppuda("ghn1", "imagenet", 2_319_624, "985ebeb350c4ae79e0553d88c07d986fa69c227b"),
    _ppuda("ghn2", "imagenet", 2_319_720, "7b5d6733e9fdf0069bc6186cad3a0b1b54fda68d"),
    _ghn3("ghn2-imagenet-ghn3", "GHN-2 of the GHN-3 authors", "ghn2.pt", 2_319_720),
    _ghn3("ghn3-t", "GHN-3-T", "ghn3tm8.pt", 6_906_632),
    _ghn3("ghn3-s", "GHN-3-S", "ghn3sm8.pt", 35_810_368),
    _ghn3("ghn3-l", "GHN-3-L", "ghn3lm8.pt", 214_668_960),
    _ghn3("ghn3-xl", "GHN-3-XL", "ghn3xlm16.pt", 654_365_184),
)


def find(name: str) -> PublishedGhn:
    """The published hypernetwork of a name.

    Raises:
        UsageError: There is none; the message lists what there is.
    """
    for entry in PUBLISHED:
        if entry.name == name:
            return entry
    raise UsageError(f"no hypernetwork '{name}' is published; there are {', '.join(e.name for e in PUBLISHED)}")


def installed(entry: PublishedGhn, name: str) -> Card | None:
    """The card under ``name`` if it was made from this published file; None if the name is free.

    Raises:
        UsageError: The name is another hypernetwork's, or no folder can be called so.
    """
    cards.check_name(name)
    taken = next((card for card in cards.list_cards() if card.name == name), None)
    if taken is None:
        return None
    source = taken.training.get("source", {})
    same = (entry.file, entry.parameters, entry.git_blob or source.get("git_blob"))
    if same != (source.get("file"), source.get("parameters"), source.get("git_blob")):
        raise UsageError(f"'{name}' is the name of another hypernetwork, {taken.title}; give another with --to")
    return taken
