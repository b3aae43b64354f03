"""Calls of torch functions, each asked once what autograd records of it."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass
from typing import Any

import torch
from torch import Tensor


@dataclass(eq=False, slots=True)
class Leaf:
    """A parameter where autograd accumulates its gradient."""

    name: str


@dataclass(eq=False, slots=True)
class Function:
    """An autograd function.

    Attributes:
        name: That of its class up to "Backward".
        inputs: Where its inputs come from, in order; those without a gradient are left out.
        keepdim: Of a mean: whether the averaged axes stay.
        kernel: Of a pooling: its height and width.
    """

    name: str
    inputs: list[Function | Leaf]
    keepdim: bool = False
    kernel: tuple[int, int] | None = None


Origin = Function | Leaf


@dataclass(frozen=True, slots=True)
class Step:
    """A function of a known call; inputs count the call's tensors from 0, its earlier functions from -1 downwards."""

    name: str
    inputs: tuple[int, ...]
    keepdim: bool
    kernel: tuple[int, int] | None


@dataclass(frozen=True, slots=True)
class Result:
    """A tensor a call returns.

    Attributes:
        argument: The call's tensor that is returned itself, else None.
        origin: As in :class:`Step`; None without a gradient.
        view_of: The call's tensor that shares its memory.
        base: Origin of what it is a view of, if that is no tensor of the call.
    """

    argument: int | None
    origin: int | None
    view_of: int | None
    base: int | None
    template: Tensor


@dataclass(frozen=True, slots=True)
class Known:
    """What a call does: its functions, its results and the tensors it changes in place."""

    steps: tuple[Step, ...]
    results: tuple[Result, ...]
    changed: tuple[tuple[int, int | None], ...]
    pack: Callable[[list[Any]], Any]


def learn(
    func: Any, args: Any, kwargs: Any, tensors: list[Tensor], origins: list[Origin | None]
) -> Known:
    """Run one call on fresh meta tensors under autograd and read off what it recorded."""
    doubles: dict[int, Tensor] = {}
    edges: dict[Any, int] = {}
    for index, (tensor, origin) in enumerate(zip(tensors, origins, strict=True)):
        if id(tensor) not in doubles:
            double = doubles[id(tensor)] = _double(tensor, origin)
            if origin is not None:
                edges[torch.autograd.graph.get_gradient_edge(double).node] = index
    stand_ins = [doubles[id(tensor)] for tensor in tensors]
    feed = iter(stand_ins)
    arguments = rebuild(args, feed)
    result = func(*arguments, **rebuild(kwargs, feed))
    if any(d.shape != t.shape or d.stride() != t.stride() for d, t in zip(stand_ins, tensors, strict=True)):
        raise NotImplementedError(f"{func.__name__} changes a shape in place")
    returned = list(tensors_in(result))
    changed = [i for i, double in enumerate(stand_ins) if double.grad_fn is not None and double.grad_fn not in edges]
    starts = [t.grad_fn for t in (*returned, *(stand_ins[i] for i in changed)) if t.grad_fn is not None]
    steps, numbers = _steps(starts, edges)

    def origin_of(tensor: Tensor) -> int | None:
        return None if tensor.grad_fn is None else numbers[tensor.grad_fn]

    results = []
    for tensor in returned:
        same = next((i for i, d in enumerate(stand_ins) if d is tensor), None)
        view_of = next((i for i, d in enumerate(stand_ins) if tensor._base is not None and _shares(tensor, d)), None)
        base = None if tensor._base is None or view_of is not None else origin_of(tensor._base)
        results.append(Result(same, origin_of(tensor), view_of, base, tensor.detach()))
    return Known(
        steps, tuple(results), tuple((i, origin_of(stand_ins[i])) for i in changed), _packer(result)
    )


def _packer(result: Any) -> Callable[[list[Any]], Any]:
    if isinstance(result, Tensor):
        return lambda tensors: tensors[0]
    return lambda tensors: rebuild(result, iter(tensors))


def _shares(tensor: Tensor, other: Tensor) -> bool:
    return tensor._base is other or (other._base is not None and tensor._base is other._base)


def _double(tensor: Tensor, origin: Origin | None) -> Tensor:
    """A meta tensor of the same layout; with a gradient if the original has one."""
    made = _like(tensor)
    if origin is None:
        return made
    made.requires_grad_()
    if isinstance(origin, Leaf):
        return made
    return _Copy.apply(made)  # type: ignore[no-any-return]


class _Copy(torch.autograd.Function):
    """A copy of the same layout that is no leaf and no view, so it may be changed in place."""

    @staticmethod
    def forward(ctx: Any, tensor: Tensor) -> Tensor:
        return _like(tensor)

    @staticmethod
    def backward(ctx: Any, *gradients: Any) -> Any:
        raise AssertionError("only the graph is looked at")


def _like(tensor: Tensor) -> Tensor:
    return torch.empty_strided(tensor.shape, tensor.stride(), dtype=tensor.dtype, device="meta")


def _steps(starts: Iterable[Any], edges: Mapping[Any, int]) -> tuple[tuple[Step, ...], dict[Any, int]]:
    """The functions between the results and the inputs of a call, inputs first."""
    numbers: dict[Any, int] = dict(edges)
    steps: list[Step] = []
    stack = [(start, False) for start in starts]
    while stack:
        node, ready = stack.pop()
        if node in numbers:
            continue
        before = [n for n, _ in node.next_functions if n is not None]
        if not ready:
            stack.append((node, True))
            stack.extend((n, False) for n in before if n not in numbers)
            continue
        steps.append(_step(node, tuple(numbers[n] for n in before)))
        numbers[node] = -len(steps)
    return tuple(steps), numbers


def _step(node: Any, inputs: tuple[int, ...]) -> Step:
    name = node.name().rpartition("::")[2].partition("Backward")[0]
    keepdim = name == "Mean" and bool(getattr(node, "_saved_keepdim", False))
    kernel = getattr(node, "_saved_kernel_size", None) if "Pool2D" in name else None
    if kernel is not None:
        kernel = (int(kernel[0]), int(kernel[-1]))
    return Step(name, inputs, keepdim, kernel)


def tensors_in(value: Any) -> Iterable[Tensor]:
    if isinstance(value, Tensor):
        yield value
    elif isinstance(value, Mapping):
        for part in value.values():
            yield from tensors_in(part)
    elif isinstance(value, tuple | list):
        for part in value:
            yield from tensors_in(part)


def rebuild(value: Any, replacements: Any) -> Any:
    """``value`` with its tensors replaced in order."""
    if isinstance(value, Tensor):
        return next(replacements)
    if isinstance(value, tuple) and hasattr(value, "_fields"):
        return type(value)(*[rebuild(v, replacements) for v in value])
    if isinstance(value, tuple | list):
        return type(value)([rebuild(v, replacements) for v in value])
    if isinstance(value, dict):
        return {k: rebuild(v, replacements) for k, v in value.items()}
    return value
