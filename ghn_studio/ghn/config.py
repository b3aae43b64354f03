"""Sizes and conventions of a hypernetwork, as its card stores them. No torch."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import asdict, dataclass
from typing import Any

#: Largest sizes a card may ask for; several times those of the largest published hypernetwork.
_LARGEST = {"hidden": 4096, "max_channels": 2048, "grid": 64, "classes": 100_000, "layers": 128, "heads": 128}
_WIDEST_DECODER = 16384

_CHOICES = {
    "crop": ("centre", "corner"),
    "encoder": ("gated-gnn", "graphormer", "mlp"),
    "weight_decoder": ("conv", "mlp"),
    "graph": ("semantic", "ppuda", "ghn3"),
}
_FLAGS = ("virtual_edges", "layer_norm", "weight_norm")


@dataclass(frozen=True, slots=True)
class GhnConfig:
    """Sizes and conventions of a hypernetwork; stored on its card.

    Attributes:
        hidden: Width of the node vectors.
        max_channels: Side of the decoded weight matrix; wider layers repeat it.
        grid: Side of the decoded kernel grid in pixels; smaller kernels are its centre.
        decoder: Widths of the two hidden layers of the weight decoder.
        classes: Outputs of the predicted classifiers, all tasks together.
        virtual_edges: Also pass messages along shortest paths of up to 50 edges (gated GNN).
        layer_norm: Normalise node vectors before decoding.
        weight_norm: Scale decoded tensors by their fan-in (appendix B.3).
        crop: ``centre`` (GHN-3 and ours) or ``corner`` (GHN-2).
        encoder: How nodes learn of each other: ``gated-gnn`` (GHN-1, GHN-2), ``graphormer``
            (GHN-3) or ``mlp`` (not at all; the baseline of the GHN-2 paper).
        layers, heads: Of the Graphormer; 1 for the others.
        weight_decoder: ``conv``, or ``mlp`` (the baseline of the GHN-2 paper).
        graph: What it reads: the ``semantic`` graph of the operators, or the graph that the
            official code traces (``ppuda`` or ``ghn3``).

    Raises:
        ValueError: A size is out of range; the sentence names it.
    """

    hidden: int = 64
    max_channels: int = 32
    grid: int = 11
    decoder: tuple[int, int] = (128, 128)
    classes: int = 10
    virtual_edges: bool = True
    layer_norm: bool = True
    weight_norm: bool = True
    crop: str = "centre"
    encoder: str = "gated-gnn"
    layers: int = 1
    heads: int = 1
    weight_decoder: str = "conv"
    graph: str = "semantic"

    def __post_init__(self) -> None:
        """Refuse sizes that no hypernetwork has: a card comes from a file."""
        sizes = {name: (getattr(self, name), most) for name, most in _LARGEST.items()}
        sizes |= {f"decoder[{i}]": (width, _WIDEST_DECODER) for i, width in enumerate(self.decoder)}
        for name, (value, most) in sizes.items():
            if isinstance(value, bool) or not isinstance(value, int) or not 1 <= value <= most:
                raise ValueError(f"{name} must be a whole number from 1 to {most}, not {value!r}")
        if self.hidden % 4 or len(self.decoder) != 2:
            raise ValueError(f"hidden must be a multiple of 4, decoder two widths, not {self.hidden}, {self.decoder}")
        if self.hidden % self.heads:
            raise ValueError(f"{self.heads} heads do not divide {self.hidden} hidden features")
        for name in _FLAGS:
            if not isinstance(getattr(self, name), bool):
                raise ValueError(f"{name} must be true or false, not {getattr(self, name)!r}")
        for name, known in _CHOICES.items():
            if getattr(self, name) not in known:
                raise ValueError(f"{name} must be {' or '.join(known)}, not {getattr(self, name)!r}")

    def to_json(self) -> dict[str, Any]:
        """A JSON object that :meth:`from_json` reads back."""
        return asdict(self)

    @classmethod
    def from_json(cls, data: Mapping[str, Any]) -> GhnConfig:
        """Read what :meth:`to_json` wrote; entries that older cards lack keep their defaults.

        Raises:
            TypeError, KeyError, ValueError: There is an unknown or missing key, or a value out of range.
        """
        return cls(**{**data, "decoder": tuple(data["decoder"])})
