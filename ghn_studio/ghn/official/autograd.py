"""What autograd would record of a network, from shapes alone.

The official graphs are read off the autograd graph of a forward pass. Here the pass runs on
meta tensors, so nothing is computed, and each distinct call (function, shapes, options) is
asked for its autograd functions once: the next call of that kind copies them. Python's own
meta kernels would otherwise take most of the time.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from typing import Any

import torch
from torch import Tensor
from torch.overrides import TorchFunctionMode

from ghn_studio.ghn.official.calls import Function, Known, Leaf, Origin, Result, Step, learn, rebuild, tensors_in

_ATTRIBUTE = "_recorded_origin"
_VIEW_OF = "_recorded_base"
_CHANGED = "_recorded_change"

#: Calls that are kept.
_KNOWN_CALLS = 20_000

_calls: dict[Any, Known] = {}
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
    found = [recorder.origin(tensor) for tensor in tensors_in(result)]
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
            if not any(True for _ in tensors_in(result)) and not func.__name__.endswith("_"):
                _silent.add(func)
            return result
        positions: dict[int, int] = {}
        key = (*parts, *(
            (positions.setdefault(id(t), i), t.shape, t.stride(), t.dtype, type(o) if o is not None else None)
            for i, (t, o) in enumerate(zip(tensors, origins, strict=True))
        ))
        known = _calls.get(key)
        if known is None:
            known = learn(func, args, kwargs, tensors, origins)
            if len(_calls) >= _KNOWN_CALLS:
                _calls.clear()
            _calls[key] = known
        return self._replay(known, tensors, origins)

    def _replay(self, known: Known, tensors: list[Tensor], origins: list[Origin | None]) -> Any:
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
        self, tensor: Tensor, result: Result, tensors: list[Tensor], resolve: Callable[[int], Origin]
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


def _function(step: Step, inputs: list[Origin]) -> Function:
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
    if isinstance(value, dict):
        return (dict, *[(k, _signature(v, tensors)) for k, v in value.items()])
    if isinstance(value, slice):
        return (slice, value.start, value.stop, value.step)
    try:
        hash(value)
    except TypeError:
        return repr(value)
    return (type(value), value)


def _on_one_device(args: Any, kwargs: Any, tensors: list[Tensor]) -> tuple[Any, Any]:
    """The arguments, without data as soon as one of them has none."""
    if len({tensor.device.type for tensor in tensors}) < 2:
        return args, kwargs
    feed = iter([tensor.to("meta") for tensor in tensors])
    return rebuild(args, feed), rebuild(kwargs, feed)


