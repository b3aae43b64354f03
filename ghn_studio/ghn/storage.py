"""Hypernetworks on disk: safetensors beside a card."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import replace
from pathlib import Path
from typing import Any

import torch
from safetensors import SafetensorError
from safetensors.torch import load_file, save
from torch.overrides import TorchFunctionMode

from ghn_studio.atomic import write_atomically
from ghn_studio.errors import CheckpointError
from ghn_studio.ghn.cards import CARD_FILE, WEIGHTS_FILE, Card, digest, read_card
from ghn_studio.ghn.config import GhnConfig
from ghn_studio.ghn.networks import Hypernetwork


def save_ghn(folder: Path, ghn: Hypernetwork, card: Card) -> Card:
    """Write weights and card into ``folder`` and return the card with the weights' digest."""
    folder.mkdir(parents=True, exist_ok=True)
    state = {k: v.detach().cpu().contiguous() for k, v in ghn.state_dict().items()}
    write_atomically(folder / WEIGHTS_FILE, save(state))
    card = replace(card, config=ghn.config.to_json(), sha256=digest(folder / WEIGHTS_FILE), folder=folder)
    write_atomically(folder / CARD_FILE, card.to_json().encode())
    return card


def load_ghn(card: Card, device: torch.device | str = "cpu") -> Hypernetwork:
    """Load a hypernetwork for prediction, in evaluation mode.

    Raises:
        CheckpointError: The weights are missing, damaged, not those of the card, or do not fit its configuration.
    """
    assert card.folder is not None
    path = card.folder / WEIGHTS_FILE
    if not path.is_file():
        raise CheckpointError(f"'{card.name}': '{path}' is missing; the folder needs it beside {CARD_FILE}")
    found = digest(path)
    if card.sha256 and found != card.sha256:
        raise CheckpointError(
            f"'{path}' is not the file its card describes: sha256 {found[:12]}…, expected {card.sha256[:12]}…; "
            "get the folder again"
        )
    try:
        config = GhnConfig.from_json(card.config)
        state = load_file(path)
        if config.classes != len(card.classes):
            raise ValueError(f"it predicts {config.classes} classes, the card names {len(card.classes)}")
        if any(tensor.dtype != torch.float32 for tensor in state.values()):
            raise ValueError("its tensors must be float32")
        _require_sizes(config, state)
        ghn = Hypernetwork(config)
        ghn.load_state_dict(state)
    except (OSError, SafetensorError, RuntimeError, TypeError, KeyError, ValueError) as error:
        raise CheckpointError(f"'{path}' does not fit the configuration on its card: {error}") from error
    return ghn.to(device).eval().requires_grad_(False)


def shapes_of(config: GhnConfig) -> dict[str, tuple[int, ...]]:
    """The shapes of a hypernetwork's tensors by name; no memory is taken, whatever ``config`` asks for."""
    with torch.device("meta"), _Unfilled():
        ghn = Hypernetwork(config)
    return {name: tuple(tensor.shape) for name, tensor in ghn.state_dict().items()}


class _Unfilled(TorchFunctionMode):
    """Leaves fresh parameters as they are: to "fill" one on the meta device, torch imports nine hundred modules."""

    _FILLS = frozenset({"normal_", "uniform_", "kaiming_uniform_", "constant_", "ones_", "zeros_", "fill_", "zero_"})

    def __torch_function__(self, func: Any, types: Any, args: Any = (), kwargs: Any = None) -> Any:
        kwargs = kwargs or {}
        if func.__name__ in self._FILLS:
            return kwargs["tensor"] if "tensor" in kwargs else args[0]
        return func(*args, **kwargs)


def _require_sizes(config: GhnConfig, state: Mapping[str, torch.Tensor]) -> None:
    """Raise :class:`ValueError` unless the tensors have the sizes of ``config``: a card may ask for anything."""
    for name, shape in shapes_of(config).items():
        found = tuple(state[name].shape) if name in state else None
        if found != shape:
            raise ValueError(f"'{name}' has shape {found}, not {shape}")


def load_folder(folder: Path, device: torch.device | str = "cpu") -> tuple[Hypernetwork, Card]:
    """Load the hypernetwork in ``folder`` with its card."""
    card = read_card(folder)
    return load_ghn(card, device), card
