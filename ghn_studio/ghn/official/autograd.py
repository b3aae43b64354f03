"""What autograd would record of a network, from shapes alone.

The official graphs are read off the autograd graph of a forward pass. Here the pass runs on
meta tensors, so nothing is computed, and each distinct call (function, shapes, options) is
asked for its autograd functions once: the next call of that kind copies them. Python's own
meta kernels would otherwise take most of the time.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass
from typing import Any

import torch
from torch import Tensor
from torch.overrides import TorchFunctionMode

_ATTRIBUTE = "_recorded_origin"
_VIEW_OF = "_recorded_base"
_CHANGED = "_recorded_change"
_KNOWN_CALLS = 20_000


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
class _Step:
    """A function of a known call; inputs count the call's tensors from 0, its earlier functions from -1 downwards."""

    name: str
    inputs: tuple[int, ...]
    keepdim: bool
    kernel: tuple[int, int] | None


@dataclass(frozen=True, slots=True)
class _Result:
    """A tensor a call returns.

    Attributes:
        argument: The call's tensor that is returned itself, else None.
        origin: As in :class:`_Step`; None without a gradient.
        view_of: The call's tensor that shares its memory.
        base: Origin of what it is a view of, if that is no tensor of the call.
    """

    argument: int | None
    origin: int | None
    view_of: int | None
    base: int | None
    template: Tensor


@dataclass(frozen=True, slots=True)
class _Known:
    """What a call does: its functions, its results and the tensors it changes in place."""

    steps: tuple[_Step, ...]
    results: tuple[_Result, ...]
    changed: tuple[tuple[int, int | None], ...]
    pack: Callable[[list[Any]], Any]


_calls: dict[Any, _Known] = {}
#: Functions that return no tensor: sizes, types, flags.
_silent: set[Any] = set()


def forget_calls() -> None:
    """Empty the store of known calls, which all traces of a process share."""
    _calls.clear()


def known_calls() -> int:
    """How many different calls are known."""
    return len(_calls)


def record(run: Callable[[], Any], parameters: Mapping[str, Tensor], first_only: bool) -> list[Origin]:
    """Return the autograd functions of the results of ``run``, a forward pass on meta tensors.

    Args:
        run: Must take its input from the meta device; what is computed of parameters has no data either.
        parameters: By full name, on any device; others do not appear.
        first_only: Follow only the first of several results.

    Raises:
        NotImplementedError: The network needs values, or changes shapes in place.
    """
    recorder = _Recorder({id(tensor): Leaf(name) for name, tensor in parameters.items()})
    with torch.inference_mode(False), torch.enable_grad(), recorder:
        result = run()
    found = [recorder.origin(tensor) for tensor in _tensors(result)]
    origins = [origin for origin in found if origin is not None]
    return origins[:1] if first_only else origins


class _Recorder(TorchFunctionMode):
    def __init__(self, leaves: Mapping[int, Leaf]) -> None:
        super().__init__()
        self._leaves = leaves

    def origin(self, tensor: Tensor) -> Origin | None:
        """Where a tensor comes from; None for constants."""
        known = tensor.__dict__
        if (base := known.get(_VIEW_OF)) is not None:
            change = base.__dict__.get(_CHANGED)
            if change is not known.get(_CHANGED):  # autograd makes the view anew
                known[_CHANGED], known[_ATTRIBUTE] = change, Function("AsStrided", [change])
        return self._leaves.get(id(tensor)) or known.get(_ATTRIBUTE)

    def __torch_function__(self, func: Any, types: Any, args: Any = (), kwargs: Any = None) -> Any:
        """Answer a call from the store, or learn what it does."""
        kwargs = kwargs or {}
        if func in _silent:
            return func(*args, **kwargs)
        tensors: list[Tensor] = []
        parts = [func, _signature(args, tensors)]
        for name in kwargs:
            parts += (name, _signature(kwargs[name], tensors))
        origins = [self.origin(tensor) for tensor in tensors]
        if not any(origins):
            args, kwargs = _on_one_device(args, kwargs, tensors)
            result = func(*args, **kwargs)
            if not any(True for _ in _tensors(result)) and not func.__name__.endswith("_"):
                _silent.add(func)
            return result
        positions: dict[int, int] = {}
        key = (*parts, *(
            (positions.setdefault(id(t), i), t.shape, t.stride(), t.dtype, type(o) if o is not None else None)
            for i, (t, o) in enumerate(zip(tensors, origins, strict=True))
        ))
        known = _calls.get(key)
        if known is None:
            known = _learn(func, args, kwargs, tensors, origins)
            if len(_calls) >= _KNOWN_CALLS:
                _calls.clear()
            _calls[key] = known
        return self._replay(known, tensors, origins)

    def _replay(self, known: _Known, tensors: list[Tensor], origins: list[Origin | None]) -> Any:
        made: list[Function] = []

        def resolve(index: int) -> Origin:
            origin = origins[index] if index >= 0 else made[-1 - index]
            assert origin is not None
            return origin

        for step in known.steps:
            made.append(_function(step, [resolve(i) for i in step.inputs]))
        for index, origin in known.changed:
            self._change(tensors[index], None if origin is None else resolve(origin))
        results: list[Any] = []
        for result in known.results:
            if result.argument is not None:
                results.append(tensors[result.argument])
                continue
            tensor = result.template.detach()
            if result.origin is not None:
                setattr(tensor, _ATTRIBUTE, resolve(result.origin))
            self._note_base(tensor, result, tensors, resolve)
            results.append(tensor)
        return known.pack(results)

    def _note_base(
        self, tensor: Tensor, result: _Result, tensors: list[Tensor], resolve: Callable[[int], Origin]
    ) -> None:
        """Remember what a tensor is a view of."""
        if result.view_of is not None:
            base = tensors[result.view_of]
            base = base.__dict__.get(_VIEW_OF, base)
        elif result.base is not None:
            base = result.template.detach()
            setattr(base, _ATTRIBUTE, resolve(result.base))
        else:
            return
        tensor.__dict__.update({_VIEW_OF: base, _CHANGED: base.__dict__.get(_CHANGED)})

    def _change(self, tensor: Tensor, origin: Origin | None) -> None:
        """Note an operation in place; through a view it changes the whole (autograd's ``CopySlices``)."""
        base = tensor.__dict__.get(_VIEW_OF)
        if base is not None:
            inputs = origin.inputs if isinstance(origin, Function) else []
            others = [o for o in inputs if o is not self.origin(tensor)]
            before = self.origin(base)
            tensor, origin = base, Function("CopySlices", [before, *others] if before is not None else others)
        tensor.__dict__.update({_ATTRIBUTE: origin, _CHANGED: origin})


def _function(step: _Step, inputs: list[Origin]) -> Function:
    if step.name == "Addmm" and len(inputs) == 3 and isinstance(inputs[0], Function):
        # Releases of PyTorch differ in whether a bias that was itself computed is added in a step of its own.
        return Function("Add", [Function("Mm", inputs[1:]), inputs[0]])
    return Function(step.name, inputs, step.keepdim, step.kernel)


def _signature(value: Any, tensors: list[Tensor]) -> Any:
    """A hashable stand-in for an argument; its tensors are appended to ``tensors``."""
    if isinstance(value, Tensor):
        tensors.append(value)
        return Tensor
    if isinstance(value, tuple | list):
        return (type(value), *[_signature(v, tensors) for v in value])
    if isinstance(value, slice):
        return (slice, value.start, value.stop, value.step)
    try:
        hash(value)
    except TypeError:
        return repr(value)
    return (type(value), value)


def _tensors(value: Any) -> Iterable[Tensor]:
    if isinstance(value, Tensor):
        yield value
    elif isinstance(value, Mapping):
        for part in value.values():
            yield from _tensors(part)
    elif isinstance(value, tuple | list):
        for part in value:
            yield from _tensors(part)


def _rebuild(value: Any, replacements: Any) -> Any:
    """``value`` with its tensors replaced in order."""
    if isinstance(value, Tensor):
        return next(replacements)
    if isinstance(value, tuple) and hasattr(value, "_fields"):
        return type(value)(*[_rebuild(v, replacements) for v in value])
    if isinstance(value, tuple | list):
        return type(value)([_rebuild(v, replacements) for v in value])
    if isinstance(value, dict):
        return {k: _rebuild(v, replacements) for k, v in value.items()}
    return value


def _on_one_device(args: Any, kwargs: Any, tensors: list[Tensor]) -> tuple[Any, Any]:
    """The arguments, without data as soon as one of them has none."""
    if len({tensor.device.type for tensor in tensors}) < 2:
        return args, kwargs
    feed = iter([tensor.to("meta") for tensor in tensors])
    return _rebuild(args, feed), _rebuild(kwargs, feed)


def _learn(
    func: Any, args: Any, kwargs: Any, tensors: list[Tensor], origins: list[Origin | None]
) -> _Known:
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
    arguments = _rebuild(args, feed)
    result = func(*arguments, **_rebuild(kwargs, feed))
    if any(d.shape != t.shape or d.stride() != t.stride() for d, t in zip(stand_ins, tensors, strict=True)):
        raise NotImplementedError(f"{func.__name__} changes a shape in place")
    returned = list(_tensors(result))
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
        results.append(_Result(same, origin_of(tensor), view_of, base, tensor.detach()))
    return _Known(
        steps, tuple(results), tuple((i, origin_of(stand_ins[i])) for i in changed), _packer(result)
    )


def _packer(result: Any) -> Callable[[list[Any]], Any]:
    if isinstance(result, Tensor):
        return lambda tensors: tensors[0]
    return lambda tensors: _rebuild(result, iter(tensors))


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


def _steps(starts: Iterable[Any], edges: Mapping[Any, int]) -> tuple[tuple[_Step, ...], dict[Any, int]]:
    """The functions between the results and the inputs of a call, inputs first."""
    numbers: dict[Any, int] = dict(edges)
    steps: list[_Step] = []
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


def _step(node: Any, inputs: tuple[int, ...]) -> _Step:
    name = node.name().rpartition("::")[2].partition("Backward")[0]
    keepdim = name == "Mean" and bool(getattr(node, "_saved_keepdim", False))
    kernel = getattr(node, "_saved_kernel_size", None) if "Pool2D" in name else None
    if kernel is not None:
        kernel = (int(kernel[0]), int(kernel[-1]))
    return _Step(name, inputs, keepdim, kernel)
