"""What the readers of operators get to see of a layer or a call: plain values, no torch."""

from __future__ import annotations

import inspect
from collections.abc import Callable, Mapping
from typing import Any

import torch
from torch import Tensor, fx, nn

from ghn_studio.ir.tensors import BATCH, Dim, TensorSpec
from ghn_studio.ops.torch_binding import TorchNode, TorchValue
from ghn_studio.torch_io.simpler import Moved
from ghn_studio.torch_io.twins import BATCH_SIZE, tensors_in

#: What a reader may look at in an attribute.
_PLAIN = (bool, int, float, str, type(None))

#: Methods a subclass may change without changing what the layer computes.
_HARMLESS = frozenset({"__init__", "__repr__", "extra_repr", "reset_parameters"})


def layer_names(kind: type[nn.Module]) -> tuple[str, ...]:
    """The names a layer can be read under, most special first.

    A subclass counts as its parent if it changes nothing but construction and printing.
    """
    found = []
    for parent in kind.__mro__:
        if parent is nn.Module:
            break
        found.append(public_name(parent))
        changed = set(vars(parent)) - _HARMLESS
        if any(inspect.isroutine(vars(parent)[name]) or isinstance(vars(parent)[name], property) for name in changed):
            break
    return tuple(found)


def public_name(kind: type) -> str:
    """``torch.nn.Conv2d`` for ``torch.nn.modules.conv.Conv2d``; other classes by their full name."""
    place = "torch.nn" if kind.__module__.startswith("torch.nn.modules.") else kind.__module__
    return f"{place}.{kind.__qualname__}"


def view_of(kind: str, node: fx.Node, value_of: Callable[[fx.Node], Any], results: object,
            module: nn.Module | None = None) -> TorchNode:
    """A call as readers see it; ``value_of`` gives what each fx node stands for."""
    args, kwargs = (_argument(part, value_of) for part in (node.args, dict(node.kwargs)))
    layer = layer_view(kind, module) if module is not None else TorchNode(kind)
    return TorchNode(kind, args, kwargs, tuple(map(spec_of, tensors_in(results))), layer.options, layer.tensors,
                     layer.children)


def layer_view(kind: str, module: nn.Module) -> TorchNode:
    """A layer without its call: attributes, shapes of its tensors, the layers inside."""
    options = {name: plain(value) for name, value in vars(module).items() if not name.startswith("_")}
    children = {n: layer_view(public_name(type(m)), m) for n, m in module._modules.items() if m is not None}
    return TorchNode(kind, options=options, tensors={n: tuple(t.shape) for n, t in own_tensors(module).items()},
                     children=children)


def own_tensors(module: nn.Module) -> Mapping[str, Tensor]:
    """Parameters and buffers of a layer and of the layers inside it, named as in its state dict."""
    found: dict[str, Tensor] = {}
    for path, part in module.named_modules():
        prefix = f"{path}." if path else ""
        kept = {name: t for name, t in part._buffers.items() if name not in part._non_persistent_buffers_set}
        found.update((prefix + name, t) for name, t in {**part._parameters, **kept}.items() if t is not None)
    return found


def spec_of(tensor: Tensor) -> TensorSpec:
    """Shape and type of a meta tensor, the batch axis as "N"."""
    return TensorSpec(tuple(map(extent, tensor.shape)), str(tensor.dtype).removeprefix("torch."))


def meta_of(spec: TensorSpec) -> Tensor:
    """A meta tensor of that shape and type, :data:`BATCH_SIZE` for "N"."""
    shape = tuple(BATCH_SIZE if d == BATCH else int(d) for d in spec.shape)
    return torch.empty(shape, dtype=getattr(torch, spec.dtype), device="meta")


def extent(size: int) -> Dim:
    """One extent: "N" for the batch, ``4N`` where other axes were joined to it."""
    if size % BATCH_SIZE or size == 0:
        return int(size)
    return BATCH if size == BATCH_SIZE else f"{size // BATCH_SIZE}{BATCH}"


def plain(value: Any) -> Any:
    """A value made of numbers, texts and tuples; of anything else only its type's name."""
    if isinstance(value, tuple | list):
        return tuple(map(plain, value))
    if isinstance(value, bool) or not isinstance(value, int):
        return value if isinstance(value, _PLAIN) else str(value) if isinstance(value, torch.dtype) else _named(value)
    return extent(value)


def _named(value: Any) -> str:
    return f"<{public_name(type(value))}>"


def _argument(value: Any, value_of: Callable[[fx.Node], Any]) -> Any:
    if isinstance(value, fx.Node):
        found = value_of(value)
        return found if isinstance(found, TorchValue | Moved | tuple) else plain(found)
    if isinstance(value, tuple | list):
        return tuple(_argument(part, value_of) for part in value)
    if isinstance(value, dict):
        return {name: _argument(part, value_of) for name, part in value.items()}
    if isinstance(value, slice):
        return slice(*(plain(part) for part in (value.start, value.stop, value.step)))
    return value if isinstance(value, TorchValue | Moved) or value is Ellipsis else plain(value)
