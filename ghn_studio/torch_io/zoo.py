"""The classification models of torchvision by name, without their weights."""

from __future__ import annotations

from dataclasses import replace
from difflib import get_close_matches
from typing import Any

import torch
import torchvision
from torch import nn
from torch.overrides import TorchFunctionMode

from ghn_studio.errors import TorchConversionError, UsageError
from ghn_studio.ops.catalog import REGISTRY
from ghn_studio.ops.registry import OpRegistry
from ghn_studio.torch_io.adaptation import adapted
from ghn_studio.torch_io.modules import Traced, trace

#: Channels, height and width that a model was made for, where it is not 3 × 224 × 224.
_INPUTS = {"inception_v3": (3, 299, 299)}
_INPUT = (3, 224, 224)

#: Heads that only training uses, and slow random starts, are left out.
_WITHOUT = {name: {"aux_logits": False, "init_weights": False} for name in ("googlenet", "inception_v3")}

#: Outputs of the classifier the models were made for.
CLASSES = 1000

#: Inputs up to this many px a side get the adaptation for small images unless told otherwise.
SMALL_INPUT = 64


def names() -> tuple[str, ...]:
    """The models that can be had, in alphabetical order."""
    return tuple(torchvision.models.list_models(module=torchvision.models))


def input_of(name: str) -> tuple[int, int, int]:
    """Channels, height and width that a model was made for."""
    return _INPUTS.get(name, _INPUT)


def module(name: str, classes: int = CLASSES, shape: tuple[int, int, int] | None = None) -> nn.Module:
    """Return a model on the meta device: structure and shapes, no values, no time.

    Raises:
        UsageError: There is no such model, or it cannot take that input.
    """
    known = names()
    if name not in known:
        close = get_close_matches(name, known, n=3, cutoff=0.5)
        hint = f"did you mean {' or '.join(close)}?" if close else "ghn-studio list torchvision shows all"
        raise UsageError(f"torchvision has no classification model '{name}'; {hint}")
    options: dict[str, Any] = {"num_classes": classes, **_WITHOUT.get(name, {}), **_sizes(name, shape)}
    try:
        with _WithoutData():
            return torchvision.models.get_model(name, weights=None, **options)  # type: ignore[no-any-return]
    except (ValueError, RuntimeError, AssertionError, TypeError) as error:
        wanted = _text(shape or input_of(name))
        raise UsageError(f"'{name}' cannot be made for an input of {wanted}: {error}") from error


def network(name: str, classes: int = CLASSES, shape: tuple[int, int, int] | None = None, adapt: str = "auto",
            ops: OpRegistry = REGISTRY) -> Traced:
    """Return a torchvision model as an architecture.

    Args:
        name: As ``torchvision.models.get_model`` takes it.
        classes: Outputs of the classifier.
        shape: Channels, height, width; by default what the model was made for.
        adapt: ``on`` changes the first layers as published for 32 × 32 images, ``auto`` does
            so for inputs of at most 64 px, ``off`` never.

    Raises:
        UsageError: There is no such model, or it cannot take that input.
        TorchConversionError: Its layers do not fit the input.
    """
    wanted = shape or input_of(name)
    net = module(name, classes, wanted)
    if wanted[0] != 3:
        _take_channels(net, wanted[0])
    note = ""
    if adapt == "on" or (adapt == "auto" and max(wanted[1:]) <= SMALL_INPUT):
        net, note = adapted(net)
    try:
        found = trace(net, torch.empty((1, *wanted), device="meta"), name, ops)
    except TorchConversionError as error:
        raise TorchConversionError(f"torchvision:{name} with an input of {_text(wanted)}: {error}") from error
    return replace(found, notes=(*found.notes, *([note] if note else [])))


class _WithoutData(TorchFunctionMode):
    """Makes parameters meta tensors, so that a network of any size is made in no time.

    (``torch.device("meta")`` would also take the little vectors some constructors compute with.)
    """

    def __torch_function__(self, func: Any, types: Any, args: Any = (), kwargs: Any = None) -> Any:
        kwargs = dict(kwargs or {})
        if func in _ALLOCATES:
            kwargs["device"] = "meta"
        return func(*args, **kwargs)


_ALLOCATES = frozenset({torch.empty, torch.zeros, torch.ones, torch.full, torch.rand, torch.randn})


def _sizes(name: str, shape: tuple[int, int, int] | None) -> dict[str, Any]:
    """Constructor options of the models whose parameters depend on the size of the image."""
    _, height, width = shape or input_of(name)
    if name.startswith("vit_"):
        return {"image_size": height}
    return {"input_size": (height, width)} if name.startswith("maxvit") else {}


def _take_channels(net: nn.Module, channels: int) -> None:
    """Let the first convolution take another number of channels."""
    first = next(m for m in net.modules() if isinstance(m, nn.Conv2d))
    first.in_channels = channels
    first.weight = nn.Parameter(first.weight.new_empty((first.out_channels, channels, *first.kernel_size)))


def _text(shape: tuple[int, int, int]) -> str:
    return "×".join(map(str, shape))
