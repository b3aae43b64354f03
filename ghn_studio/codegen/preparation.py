"""The part of a generated file that turns images into inputs and outputs into class names."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

from ghn_studio.codegen.constructors import LINE, literal

#: Names the part defines; generated classes use others.
DEFINED = frozenset({"CLASSES", "preprocess"})


def preparation(facts: Mapping[str, Any]) -> list[str]:
    """The tuple ``CLASSES`` and the function ``preprocess``.

    Args:
        facts: ``size``, ``channels``, ``image_channels``, ``channel_order``, ``mean``, ``std``, ``classes``,
            ``grey_weights`` and ``before``, as ``app.description.Preprocessing`` gives them.
    """
    return [_classes(facts["classes"]), _function(facts)]


def _classes(names: Sequence[str]) -> str:
    words = [literal(str(n)) for n in names]
    line = f"CLASSES = ({', '.join(words)}{',' if len(words) == 1 else ''})"
    if len(line) <= LINE:
        return line
    return "\n".join(["CLASSES = (", *(f"    {w}," for w in words), ")"])


def _function(facts: Mapping[str, Any]) -> str:
    height, width = facts["size"]
    taken, given = facts["image_channels"], facts["channels"]
    kind = f"{facts['channel_order']} images of 8 bits, ``(N, {taken}, H, W)``"
    what = f'    """Turn {kind}, into what the network takes.'
    before = ["", f"    Before that they were {_plain(facts['before'])}.", '    """'] if facts["before"] else []
    lines = [
        "def preprocess(images: Tensor) -> Tensor:", *([what, *before] if before else [f'{what}"""']),
        *_constant("mean", facts["mean"], taken), *_constant("std", facts["std"], taken),
        "    x = (images.float() / 255 - mean) / std",
    ]
    if taken == 3 and given == 1:
        lines += [*_constant("weights", facts["grey_weights"], taken), "    x = (x * weights).sum(1, keepdim=True)"]
    lines += [
        f"    if x.shape[2:] != ({height}, {width}):",
        f'        x = F.interpolate(x, size=({height}, {width}), mode="bilinear", antialias=True)',
    ]
    lines.append(f"    return x.expand(-1, {given}, -1, -1)" if taken == 1 != given else "    return x")
    return "\n".join(lines)


def _constant(name: str, values: Sequence[float], channels: int) -> list[str]:
    numbers = literal(tuple(float(v) for v in values))
    return [f"    {name} = torch.tensor({numbers}).view(1, {channels}, 1, 1)"]


def _plain(text: str) -> str:
    """Text that can stand in a docstring."""
    return "".join(c if c.isprintable() and c not in '\\"' else " " for c in text)[:60]
