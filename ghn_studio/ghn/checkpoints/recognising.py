"""Which hypernetwork a checkpoint holds, read off its tensors (parity specification, section 1)."""

from __future__ import annotations

import math
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

import torch
from torch import Tensor

from ghn_studio.errors import CheckpointError
from ghn_studio.ghn.checkpoints.reading import Contents
from ghn_studio.ghn.config import GhnConfig
from ghn_studio.ghn.encoding import VOCABULARY
from ghn_studio.ghn.storage import shapes_of

#: Tensors that published GHN-3 files keep at the top and our networks in the first layer.
_MOVED = ("centrality_embed_in.weight", "centrality_embed_out.weight", "input_dist_embed.weight")
_SHOWN = 4


@dataclass(frozen=True, slots=True)
class Recognised:
    """A checkpoint as one of our hypernetworks.

    Attributes:
        kind: GHN-1, GHN-2, MLP or GHN-3; "GHN" for a gated one between the first two.
        origin: ``ppuda`` or ``ghn3``: whose code wrote it, and whose graphs it knows.
        config: Its configuration.
        state: Its tensors under our names, float32 and contiguous.
    """

    kind: str
    origin: str
    config: GhnConfig
    state: Mapping[str, Tensor]

    @property
    def parameters(self) -> int:
        """How many numbers it has."""
        return sum(tensor.numel() for tensor in self.state.values())


def recognise(contents: Contents, name: str) -> Recognised:
    """Infer the configuration and check every tensor against it.

    Raises:
        CheckpointError: It is no hypernetwork of the official code, tensors are missing, superfluous or of
            another shape, numbers are not finite, or its own configuration says something else.
    """
    tensors = _Tensors(_renamed(contents.state), name)
    try:
        config = _config(tensors, contents.config)
        expected = shapes_of(config)
    except ValueError as error:
        raise tensors.refusal(f"its sizes make no sense ({error})") from error
    _require_agreement(config, contents.config, name)
    tensors.require(expected)
    state = {key: _numbers(key, tensors.state[key].reshape(shape), name) for key, shape in expected.items()}
    return Recognised(_kind(config), config.graph, config, state)


class _Tensors:
    """Tensors by name, and what is said when one is missing."""

    def __init__(self, state: Mapping[str, Tensor], name: str) -> None:
        self.state, self._name = state, name

    def refusal(self, reason: str) -> CheckpointError:
        return CheckpointError(f"'{self._name}' is no hypernetwork of the official code: {reason}. GHN-1, GHN-2, MLP "
                               "and GHN-3 checkpoints can be added; choose one of them")

    def size(self, key: str, axis: int) -> int:
        """Extent of a tensor along an axis."""
        if key not in self.state or self.state[key].dim() <= axis:
            raise self.refusal(f"there is no '{key}' with {axis + 1} axes")
        return self.state[key].shape[axis]

    def root(self, number: int, key: str) -> int:
        """Square root of an extent that must be a square."""
        if math.isqrt(number) ** 2 != number:
            raise self.refusal(f"'{key}' has {number} rows, no square")
        return math.isqrt(number)

    def require(self, expected: Mapping[str, tuple[int, ...]]) -> None:
        """Refuse anything but exactly these tensors; singleton axes at the end do not count."""
        wrong = [f"'{k}' is missing" for k in expected if k not in self.state]
        wrong += [f"'{k}' is superfluous" for k in self.state if k not in expected]
        wrong += [
            f"'{k}' has shape {tuple(self.state[k].shape)}, expected {shape}" for k, shape in expected.items()
            if k in self.state and not _fits(tuple(self.state[k].shape), shape)
        ]
        if wrong:
            raise self.refusal("; ".join(wrong[:_SHOWN]) + ("; …" if len(wrong) > _SHOWN else ""))


def _renamed(state: Mapping[str, Tensor]) -> dict[str, Tensor]:
    return {f"gnn.0.{key}" if key in _MOVED else key: tensor for key, tensor in state.items()}


def _fits(found: tuple[int, ...], expected: tuple[int, ...]) -> bool:
    """True for equal shapes, and for a 1×1 convolution in the place of a linear layer."""
    return found == expected or (len(expected) == 2 and found == (*expected, 1, 1))


def _config(tensors: _Tensors, stored: Mapping[str, Any] | None) -> GhnConfig:
    stored = stored or {}
    state = tensors.state
    if tensors.size("embed.weight", 0) != len(VOCABULARY):
        raise tensors.refusal(f"'embed.weight' has {tensors.size('embed.weight', 0)} rows, one per primitive would be "
                              f"{len(VOCABULARY)}")
    encoder = _encoder(tensors)
    is_official_ghn2 = encoder != "graphormer" and bool(stored) and "is_ghn2" not in stored
    classes, channels = tensors.size("bias_class.1.weight", 0), tensors.size("bias_class.1.weight", 1)
    grid, widths, decoder = _decoder(tensors, channels)
    return GhnConfig(
        hidden=tensors.size("embed.weight", 1), max_channels=channels, grid=grid, decoder=widths, classes=classes,
        virtual_edges="gnn.mlp_ve.fc.0.weight" in state if encoder == "gated-gnn" else _flag(stored, "ve"),
        layer_norm="ln.weight" in state, weight_norm=_flag(stored, "weight_norm"),
        crop="centre" if encoder == "graphormer" else "corner", encoder=encoder,
        layers=sum(f"gnn.{i}.ln1.weight" in state for i in range(len(state))) if encoder == "graphormer" else 1,
        heads=tensors.size("gnn.0.attn.proj_e.2.weight", 0) if encoder == "graphormer" else 1,
        weight_decoder=decoder, graph="ppuda" if is_official_ghn2 else "ghn3",
    )


def _flag(stored: Mapping[str, Any], key: str) -> bool:
    """An entry that no tensor tells; true where nothing is said, as in the published files."""
    value = stored.get(key, True)
    if not isinstance(value, bool):
        raise ValueError(f"{key} must be true or false, not a {type(value).__name__}")
    return value


def _encoder(tensors: _Tensors) -> str:
    signs = {"gnn.gru.weight_ih": "gated-gnn", "gnn.0.attn.to_qkv.weight": "graphormer", "gnn.fc.0.weight": "mlp"}
    for key, encoder in signs.items():
        if key in tensors.state:
            return encoder
    raise tensors.refusal(f"none of {', '.join(map(repr, signs))} is there")


def _decoder(tensors: _Tensors, channels: int) -> tuple[int, tuple[int, int], str]:
    """Side of the kernel grid, widths of the hidden layers, and the decoder's kind."""
    if "decoder.mlp.fc.0.weight" in tensors.state:
        key, width = "decoder.mlp.fc.2.weight", tensors.size("decoder.mlp.fc.0.weight", 0)
        return tensors.root(tensors.size(key, 0) // max(1, channels)**2, key), (width, width), "mlp"
    key, first = "decoder.fc.0.weight", tensors.size("decoder.conv.0.weight", 1)
    grid = tensors.root(tensors.size(key, 0) // max(1, first), key)
    return grid, (first, tensors.size("decoder.conv.0.weight", 0)), "conv"


def _require_agreement(config: GhnConfig, stored: Mapping[str, Any] | None, name: str) -> None:
    """Refuse a file whose own configuration contradicts its tensors."""
    channels, grid = config.max_channels, config.grid
    found = {
        "hid": config.hidden, "num_classes": config.classes, "max_shape": (channels, channels, grid, grid),
        "ve": config.virtual_edges, "layernorm": config.layer_norm, "decoder": config.weight_decoder,
    }
    if config.encoder == "graphormer":
        found |= {"layers": config.layers, "heads": config.heads}
    for key, value in found.items():
        said = (stored or {}).get(key, value)
        # As text: tensors, which a file may hold anywhere, do not compare to yes or no.
        if str(tuple(said) if isinstance(said, list) else said) != str(value):
            raise CheckpointError(f"'{name}' contradicts itself: its configuration has {key} = {str(said)[:80]}, its "
                                  f"tensors {value}; get the file again")


def _numbers(key: str, tensor: Tensor, name: str) -> Tensor:
    if not bool(torch.isfinite(tensor).all()):
        raise CheckpointError(f"'{name}': '{key}' holds numbers that are not finite; nothing can be predicted from it")
    return tensor.detach().to(torch.float32).contiguous()


def _kind(config: GhnConfig) -> str:
    if config.encoder != "gated-gnn":
        return {"graphormer": "GHN-3", "mlp": "MLP"}[config.encoder]
    news = (config.virtual_edges, config.layer_norm, config.weight_norm)  # of GHN-2
    return "GHN-2" if all(news) else "GHN" if any(news) else "GHN-1"
