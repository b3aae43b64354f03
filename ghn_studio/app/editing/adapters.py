"""Layers that turn a value of one shape into another, found in the registry by what they do. No Qt."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import replace
from typing import Any

from ghn_studio.app.drawing.faces import value_text
from ghn_studio.ir.tensors import TensorSpec
from ghn_studio.ops import OpRegistry
from ghn_studio.ops.shapes import channel_axis
from ghn_studio.ops.spec import Category, Measure, OpSpec, check_params

#: Operators with their parameters, one behind the other.
Layers = tuple[tuple[OpSpec[Any], Any], ...]


def extent(spec: TensorSpec, axis: int) -> int | None:
    """A known extent; None for an axis that is not there or only known at run time."""
    found = spec.shape[axis] if axis < spec.rank else None
    return found if isinstance(found, int) else None


def is_simple(spec: OpSpec[Any]) -> bool:
    """True for an operator of one input that a person could add."""
    return len(spec.inputs) == 1 and not spec.inputs[0].variadic and spec.category is not Category.HIDDEN


def given_by(spec: OpSpec[Any], params: Any, value: TensorSpec) -> TensorSpec | None:
    """What a layer makes of one value; None if it cannot take it or gives several."""
    port = spec.port(0)
    if port is None or (port.ranks and value.rank not in port.ranks) or check_params(params):
        return None
    try:
        given = spec.infer_outputs(params, (value,))
    except (ValueError, TypeError, IndexError):
        return None
    return given[0] if len(given) == 1 else None


def chains(value: TensorSpec, target: TensorSpec, ops: OpRegistry) -> Iterator[Layers]:
    """Layers that turn ``value`` into ``target``: resizing, a learned projection alone and normalised, padding."""
    simple = [s for s in ops if is_simple(s)]
    resizing = next((((s, p),) for s in simple if (p := _resizing(s, value, target)) is not None), None)
    if resizing is not None:
        yield resizing
    projection = next(((s, p) for s in simple if (p := _projecting(s, value, target)) is not None), None)
    if projection is not None:
        yield (projection,)
        norm = next((s for s in simple if s.category is Category.NORMALISATION
                     and given_by(s, s.params(), target) == target), None)
        if norm is not None and target.rank == 4:
            yield projection, (norm, norm.params())
    padding = next((((s, p),) for s in simple if (p := _padding(s, value, target)) is not None), None)
    if padding is not None:
        yield padding
    yield from _resized_projection(value, target, simple) if projection is None and resizing is None else ()


def _resized_projection(value: TensorSpec, target: TensorSpec, simple: list[OpSpec[Any]]) -> Iterator[Layers]:
    """First the size, then the channels, where no stride does both."""
    if value.rank != target.rank or value.rank != 4:
        return
    between = TensorSpec((*value.shape[:2], *target.shape[2:]), value.dtype)
    first = next(((s, p) for s in simple if (p := _resizing(s, value, between)) is not None), None)
    second = next(((s, p) for s in simple if (p := _projecting(s, between, target)) is not None), None)
    if first is not None and second is not None:
        yield first, second


def _resizing(spec: OpSpec[Any], value: TensorSpec, target: TensorSpec) -> Any:
    """Parameters under which a layer without weights gives the target; None where there are none."""
    name = spec.measuring(Measure.SIZE)
    if not name or value.shape[:2] != target.shape[:2] or target.rank != 4 or value.rank != 4:
        return None
    grows = any(isinstance(a, int) and isinstance(b, int) and b > a for a, b in zip(
        value.shape[2:], target.shape[2:], strict=True))
    if grows == (spec.category is Category.POOLING):
        return None
    params = replace(spec.params(), **{name: target.shape[2:]})
    return params if given_by(spec, params, value) == target else None


def _padding(spec: OpSpec[Any], value: TensorSpec, target: TensorSpec) -> Any:
    name = spec.measuring(Measure.BORDER)
    if not name or value.rank != target.rank or value.shape[0] != target.shape[0]:
        return None
    border: list[int] = []
    for a, b in zip(reversed(value.shape[1:]), reversed(target.shape[1:]), strict=True):
        if not isinstance(a, int) or not isinstance(b, int) or b < a:
            return None
        border += [(b - a) // 2, b - a - (b - a) // 2]
    while border and border[-2:] == [0, 0]:
        del border[-2:]
    params = replace(spec.params(), **{name: tuple(border)})
    return params if given_by(spec, params, value) == target else None


def _projecting(spec: OpSpec[Any], value: TensorSpec, target: TensorSpec) -> Any:
    """Parameters under which a layer with weights looks at one place at a time and gives the target."""
    channels = extent(target, target.rank - 1 if spec.category is Category.LINEAR else channel_axis(target))
    if not spec.width or channels is None or spec.category is Category.TENSOR:
        return None
    names = {f.name for f in spec.form}
    params = spec.params()
    changes: dict[str, Any] = {spec.width: channels}
    if "kernel_size" in names:
        changes |= {"kernel_size": _like(params.kernel_size, 1), "padding": _like(params.padding, 0)}
        changes["stride"] = _strides(params.stride, value, target)
    params = replace(params, **changes)
    return params if given_by(spec, params, value) == target else None


def _like(pattern: Any, value: int) -> Any:
    return (value,) * len(pattern) if isinstance(pattern, tuple) else value


def _strides(pattern: Any, value: TensorSpec, target: TensorSpec) -> Any:
    """How many steps the places of the value are apart that make the target."""
    def step(axis: int) -> int:
        a, b = (extent(x, axis) for x in (value, target))
        return max(1, -(-a // b)) if a is not None and b else 1

    return tuple(step(2 + i) for i in range(len(pattern))) if isinstance(pattern, tuple) else step(2)


def title_of(layers: Sequence[tuple[OpSpec[Any], Any]]) -> str:
    """What a button says that inserts the layers."""
    first, params = layers[0]
    if first.width and "kernel_size" in {f.name for f in first.form}:
        stride = max(params.stride) if isinstance(params.stride, tuple) else params.stride
        text = f"Insert a 1×1 convolution to {getattr(params, first.width)} channels"
        text += f", stride {stride}" if stride > 1 else ""
    elif first.width:
        text = f"Insert {first.title} to {getattr(params, first.width)} features"
    else:
        size = first.measuring(Measure.SIZE)
        text = f"Insert {first.title}" + (f" to {value_text(getattr(params, size))}" if size else "")
    return text + "".join(f" + {s.title}" for s, _ in layers[1:])
