"""The networks a hypernetwork learnt from, as points, and how near to them another network lies.

A network's point is its embedding, the mean of its node vectors. Distance is the mean to
the five nearest reference networks after whitening (covariance shrunk by a tenth towards
a multiple of the identity, which also serves hypernetworks with more dimensions than
there are references). Chosen by measurement on ``models/ghn2-digits``, 256 references,
areas under the curve of test networks against wide, deep, dense and bnfree:

    five nearest, shrinkage 0.1    0.87  0.89  0.61  0.84
    the nearest only               0.85  0.85  0.61  0.82
    Mahalanobis, shrinkage 0.1     0.85  0.89  0.55  0.77
    Mahalanobis, shrinkage 0.01    0.86  0.90  0.59  0.82
    five nearest, not whitened     0.80  0.89  0.63  0.67

Unit length (0.89 0.83 0.60 0.83), the number of nodes (0.82 0.83 0.56 0.86) or the
vectors' deviation (0.81 0.82 0.54 0.84) as further coordinates do not help, nor do 512
references (0.88 0.87 0.61 0.84). ``tests/benchmarks/bench_familiarity.py`` repeats it.
"""

from __future__ import annotations

import json
from collections.abc import Iterator, Mapping
from contextlib import suppress
from dataclasses import dataclass
from itertools import islice
from pathlib import Path
from random import Random
from typing import Any

import numpy as np
import torch
from numpy.typing import NDArray
from safetensors import SafetensorError, safe_open
from safetensors.numpy import save

from ghn_studio import deepnets, paths
from ghn_studio.atomic import write_atomically
from ghn_studio.deepnets import CHANNEL_STEP, SamplerConfig
from ghn_studio.ghn.cards import Card
from ghn_studio.ghn.encoding import encode
from ghn_studio.ghn.familiarity import FAR, IN_DISTRIBUTION, UNUSUAL, Familiarity, Neighbour
from ghn_studio.ghn.networks import Hypernetwork
from ghn_studio.ir.graph import Architecture
from ghn_studio.jobs import Job, Progress

EMBEDDINGS_FILE = "embeddings.safetensors"

#: Reference networks; embedding one takes about 16 ms.
COUNT = 256
#: So many are embedded at a time, at half the cost of one by one.
_TOGETHER = 8

#: So many nearest reference networks define the distance, and are named.
NEAREST = 5
SHRINKAGE = 0.1
#: Percentile of the reference networks' own distances up to which a network counts as one of them.
USUAL = 95.0

#: What the published hypernetworks were trained on (Knyazev et al., 2021, section 5).
_PUBLISHED = {"channels": (32, 128), "sizes": (32,), "splits": {"train": 1.0}}

_TENSOR = "embeddings"


@dataclass(frozen=True, slots=True)
class ReferenceSet:
    """Networks a hypernetwork learnt from: names as ``deepnets:train/7``, embeddings float32 ``(count, hidden)``."""

    names: tuple[str, ...]
    embeddings: NDArray[np.float32]


class Neighbourhood:
    """Reference networks prepared for measuring distances from them; a few milliseconds to make."""

    def __init__(self, reference: ReferenceSet) -> None:
        self._names = reference.names
        points = reference.embeddings.astype(np.float64)
        self._centre = points.mean(0)
        covariance = np.cov(points.T).reshape(points.shape[1], -1)
        spread = np.trace(covariance) / len(covariance)
        shrunk = (1 - SHRINKAGE) * covariance + SHRINKAGE * max(spread, 1e-12) * np.eye(len(covariance))
        values, vectors = np.linalg.eigh(shrunk)
        self._whitening = vectors / np.sqrt(values)
        self._points = self._whiten(points)
        between = _distances(self._points, self._points)
        np.fill_diagonal(between, np.inf)  # each one's distance from the others
        self._usual = np.sort(np.sort(between, 1)[:, :NEAREST].mean(1))
        self._unit = max(float(np.percentile(self._usual, USUAL)), 1e-12)

    def familiarity(self, embedding: NDArray[np.floating[Any]]) -> Familiarity | None:
        """Where an embedding ``(hidden,)`` lies; None if it is not finite.

        Up to the 95th percentile of the reference networks' own distances a network is in
        distribution, beyond all of them it is far.
        """
        if not np.isfinite(embedding).all():
            return None
        distances = _distances(self._whiten(embedding.astype(np.float64)[None]), self._points)[0]
        order = np.argsort(distances, kind="stable")[:NEAREST]
        distance = float(distances[order].mean())
        nearer = int(np.searchsorted(self._usual, distance))
        if nearer == len(self._usual):
            verdict = FAR
        else:
            verdict = IN_DISTRIBUTION if distance <= self._unit else UNUSUAL
        return Familiarity(
            verdict, 100 * nearer / len(self._usual), distance / self._unit,
            tuple(Neighbour(self._names[i], float(distances[i]) / self._unit) for i in order),
        )

    def _whiten(self, points: NDArray[np.float64]) -> NDArray[np.float64]:
        whitened: NDArray[np.float64] = (points - self._centre) @ self._whitening
        return whitened


def _distances(a: NDArray[np.float64], b: NDArray[np.float64]) -> NDArray[np.float64]:
    """Euclidean distances of ``(n, d)`` from ``(m, d)`` points, ``(n, m)``."""
    squares = (a**2).sum(1)[:, None] + (b**2).sum(1) - 2 * a @ b.T
    found: NDArray[np.float64] = np.sqrt(np.maximum(squares, 0))
    return found


def embedding_of(vectors: torch.Tensor) -> NDArray[np.float32]:
    """The embedding of a network, ``(hidden,)``, from its node vectors ``(nodes, hidden)``."""
    mean: NDArray[np.float32] = vectors.detach().mean(0).float().cpu().numpy()
    return mean


def known_neighbourhood(card: Card) -> Neighbourhood | None:
    """The reference networks kept with a hypernetwork, or made before on this machine; None if there are none."""
    found = next((r for path in _places(card) if (r := _read(path, card)) is not None), None)
    return None if found is None else Neighbourhood(found)


def neighbourhood(card: Card, ghn: Hypernetwork) -> Job[Neighbourhood]:
    """:func:`known_neighbourhood`, made and, if possible, kept in the user's folder where there is none."""
    known = known_neighbourhood(card)
    if known is not None:
        return known
    reference = yield from gather(card, ghn, COUNT)
    path = _cached(card)
    with suppress(OSError):  # next time it only has to be made again
        path.parent.mkdir(parents=True, exist_ok=True)
        write_atomically(path, _to_bytes(reference, card))
    return Neighbourhood(reference)


def keep(card: Card, ghn: Hypernetwork, count: int = COUNT) -> Job[None]:
    """Embed ``count`` reference networks and write them beside the weights that ``card`` describes.

    Raises:
        OSError: The folder cannot be written.
    """
    assert card.folder is not None
    reference = yield from gather(card, ghn, count)
    write_atomically(card.folder / EMBEDDINGS_FILE, _to_bytes(reference, card))


@torch.no_grad()
def gather(card: Card, ghn: Hypernetwork, count: int = COUNT) -> Job[ReferenceSet]:
    """Embed ``count`` networks drawn as the hypernetwork's training drew them; the same ones every time."""
    drawn = _draw(card, count)
    names: list[str] = []
    rows: list[NDArray[np.float32]] = []
    while some := list(islice(drawn, _TOGETHER)):
        yield Progress("embedding networks the GHN learnt from", len(names), count)
        names += (name for name, _ in some)
        rows += map(embedding_of, ghn.embed_graphs([encode(graph) for _, graph in some]))
    return ReferenceSet(tuple(names), np.stack(rows))


def _draw(card: Card, count: int) -> Iterator[tuple[str, Architecture]]:
    """Names and networks, drawn with the shares on the card."""
    sampler = {**_PUBLISHED, **card.sampler}
    settings: Mapping[str, Any] = card.training.get("settings", {})
    sizes = {int(k): float(v) for k, v in settings.get("sizes", dict.fromkeys(sampler["sizes"], 1.0)).items()}
    classes = [len(task.classes) for task in card.tasks]
    low, high = sampler["channels"]
    draw = Random(0)
    for _ in range(count):
        size = draw.choices(list(sizes), list(sizes.values()))[0]
        config = SamplerConfig(
            channels=(int(low), int(high)), channel_step=settings.get("channel_step", CHANNEL_STEP), image_size=size,
            classes=draw.choices(classes, settings.get("shares") or None)[0],
            in_channels=1 if draw.random() < settings.get("grey_share", 0.0) else 3,
        )
        split = draw.choices(list(sampler["splits"]), list(sampler["splits"].values()))[0]
        index = _index(draw, split, normless=draw.random() < settings.get("normless_share", 0.0))
        yield f"deepnets:{split}/{index}", deepnets.sample(split, index, config)


def _index(draw: Random, split: str, normless: bool) -> int:
    """A network's number; with ``normless`` one of the rare networks without batch norm, where the split has some."""
    while True:
        index = draw.randrange(deepnets.SPLITS[split].size)
        if not normless or deepnets.SPLITS[split].norm == "always" or not deepnets.genotype_of(split, index).norm:
            return index


def _places(card: Card) -> Iterator[Path]:
    if card.folder is not None:
        yield card.folder / EMBEDDINGS_FILE
    yield _cached(card)


def _cached(card: Card) -> Path:
    return paths.user_data() / "embeddings" / f"{card.sha256}.safetensors"


def _to_bytes(reference: ReferenceSet, card: Card) -> bytes:
    return save({_TENSOR: reference.embeddings}, {"names": json.dumps(reference.names), "weights": card.sha256})


def _read(path: Path, card: Card) -> ReferenceSet | None:
    """The reference networks in a file; None if it is missing, damaged or belongs to other weights."""
    try:
        with safe_open(path, "numpy") as file:
            notes = file.metadata() or {}
            embeddings = np.asarray(file.get_tensor(_TENSOR))
        names = tuple(map(str, json.loads(notes["names"])))
    except (OSError, SafetensorError, KeyError, ValueError, TypeError):
        return None
    right = embeddings.dtype == np.float32 and embeddings.ndim == 2 and len(names) == len(embeddings) > NEAREST
    if not right or notes.get("weights") != card.sha256 or not np.isfinite(embeddings).all():
        return None
    return ReferenceSet(names, embeddings)
