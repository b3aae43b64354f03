"""``(split, index)`` to an architecture."""

from __future__ import annotations

from functools import lru_cache
from hashlib import blake2b
from random import Random

from ghn_studio.deepnets.genotype import Genotype, capacity, draw_genotype, structure_of
from ghn_studio.deepnets.network import build_network
from ghn_studio.deepnets.splits import BUCKETS, SPLITS, SamplerConfig, Split
from ghn_studio.errors import UsageError
from ghn_studio.ir.graph import Architecture

_DEFAULT = SamplerConfig()


def sample(split: str, index: int, config: SamplerConfig = _DEFAULT) -> Architecture:
    """Return network ``index`` of ``split``, equal in every process and on every machine.

    ``config`` sets widths and image sizes; the structure is the same for all of them.

    Raises:
        UsageError: There is no such split or index.
    """
    structure, _, width = _drawn(split, index)
    low, high = config.channels
    choices = (high - low) // config.channel_step + 1
    base = (low + config.channel_step * int(width * choices)) * SPLITS[split].widen
    return build_network(structure, base, config, f"deepnets:{split}/{index}")


def genotype_of(split: str, index: int) -> Genotype:
    """The structure of network ``index`` of ``split``.

    Raises:
        UsageError: There is no such split or index.
    """
    return _drawn(split, index)[0]


def structure_hash(split: str, index: int) -> str:
    """The canonical hash of network ``index``'s structure, without building the network.

    Raises:
        UsageError: There is no such split or index.
    """
    return _drawn(split, index)[1]


@lru_cache(maxsize=256)
def _drawn(split: str, index: int) -> tuple[Genotype, str, float]:
    """The genotype, its structure hash, and where the base channels lie between low (0) and high (1)."""
    rules = _rules(split, index)
    if rules.source:
        return _drawn(rules.source, index)
    seed = blake2b(f"deepnets 1 {split} {index}".encode(), digest_size=8).digest()
    draw = Random(int.from_bytes(seed, "big")).random
    width = draw()  # first, so that it does not depend on how many draws are passed over
    while True:
        found = draw_genotype(draw, rules)
        if found is None:
            continue
        name = structure_of(found)
        if int(name, 16) % BUCKETS in rules.buckets and capacity(found) <= rules.capacity:
            return found, name, width


def _rules(split: str, index: int) -> Split:
    rules = SPLITS.get(split)
    if rules is None:
        raise UsageError(f"there is no split '{split}'; take one of {', '.join(SPLITS)}")
    if not 0 <= index < rules.size:
        raise UsageError(f"'{split}' holds networks 0 to {rules.size - 1}, there is no {index}")
    return rules
