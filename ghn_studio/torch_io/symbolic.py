"""Tracing with torch.fx, with the shape of every value at hand.

A plain fx trace knows no shapes, so a network that asks for one cannot be followed. Here
every proxy carries the meta tensor that torch computes for it: sizes are numbers, and
control flow that depends on them takes its ordinary way.
"""

from __future__ import annotations

import operator
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from typing import Any

import torch
from torch import Tensor, fx, nn

from ghn_studio.torch_io.twins import tensors_in

#: Where a node of the trace keeps the meta tensors of its value, its module's path, and what it was read as.
VALUE, SCOPE, FOUND = "ghn_value", "ghn_scope", "ghn_found"


class Entry(nn.Module):
    """Gives the network a path of its own, so that it may itself be one layer."""

    def __init__(self, network: nn.Module) -> None:
        super().__init__()
        self.network = network

    def forward(self, images: Tensor) -> Any:
        """Run the network on one batch of images."""
        return self.network(images)


class ShapedProxy(fx.Proxy):
    """A proxy whose shape, type and length are known."""

    @property
    def _value(self) -> Any:
        return self.node.meta[VALUE]

    @property
    def shape(self) -> Any:
        return self._value.shape

    @property
    def ndim(self) -> int:
        return int(self._value.ndim)

    @property
    def dtype(self) -> Any:
        return self._value.dtype

    @property
    def device(self) -> Any:
        return self._value.device

    @property
    def is_cuda(self) -> bool:
        return False

    @property
    def requires_grad(self) -> bool:
        return False

    @property
    def is_nested(self) -> bool:
        return False

    def size(self, dim: int | None = None) -> Any:
        return self._value.size() if dim is None else self._value.size(dim)

    def dim(self) -> int:
        return int(self._value.dim())

    def numel(self) -> int:
        return int(self._value.numel())

    def is_floating_point(self) -> bool:
        return bool(self._value.is_floating_point())

    def __len__(self) -> int:
        return len(self._value)

    def __iter__(self) -> Iterator[Any]:
        return (operator.getitem(self, i) for i in range(len(self._value)))


class ShapeTracer(fx.Tracer):
    """Records a module as an fx graph.

    ``may_take`` says which layers are candidates for being recorded whole; ``takes`` gets one
    with the node of its call and returns what it was read as and the meta tensors it gives,
    or None to look inside.
    """

    proxy_buffer_attributes = True

    def __init__(
        self, takes: Callable[[nn.Module, fx.Node], tuple[Any, Any] | None], may_take: Callable[[nn.Module], bool]
    ) -> None:
        super().__init__()
        self._takes, self._may_take = takes, may_take
        self._is_measuring = False
        self._place = "the beginning"

    def proxy(self, node: fx.Node) -> ShapedProxy:
        """A proxy that knows its shape."""
        return ShapedProxy(node, self)

    @property
    def place(self) -> str:
        """Where it is, for messages: the path and class of the module whose code runs last."""
        return self._place

    def trace_network(self, entry: Entry, images: Tensor) -> fx.Graph:
        """Record a network applied to ``images``, a meta tensor.

        Constants that its code makes become attributes of ``entry``.
        """
        self._images = images
        with torch.no_grad(), _slow_paths():
            return self.trace(entry)

    def call_module(
        self, m: nn.Module, forward: Callable[..., Any], args: tuple[Any, ...], kwargs: dict[str, Any]
    ) -> Any:
        """Record a layer that an operator takes, or go inside."""
        if self._is_measuring:
            return forward(*args, **kwargs)
        path = self.path_of_module(m)
        with fx.proxy.ScopeContextManager(self.scope, fx.proxy.Scope(path, type(m))):
            if self._may_take(m):
                proxy = self.create_proxy("call_module", path, args, kwargs)
                with self._quiet():
                    found = self._takes(m, proxy.node)
                if found is not None:
                    proxy.node.meta[FOUND], proxy.node.meta[VALUE] = found
                    return proxy
                self.graph.erase_node(proxy.node)
            return forward(*args, **kwargs)

    def getattr(self, attr: str, attr_val: Any, parameter_proxy_cache: dict[str, Any]) -> Any:
        """Parameters become proxies, except while a layer is being measured."""
        if self._is_measuring:
            return attr_val
        return super().getattr(attr, attr_val, parameter_proxy_cache)

    def create_node(self, kind: str, target: Any, args: tuple[Any, ...], kwargs: dict[str, Any],
                    name: str | None = None, type_expr: Any = None) -> fx.Node:
        """Record a node, where it was made and the shape of its value."""
        node = super().create_node(kind, target, args, kwargs, name, type_expr)
        node.meta[SCOPE] = self.scope.module_path.partition(".")[2]
        self._place = f"'{node.meta[SCOPE]}' ({getattr(self.scope.module_type, '__name__', '')})"
        if kind not in ("output", "call_module"):  # layers are measured by the operator that takes them
            with self._quiet():
                node.meta[VALUE] = self._measured(node)
        return node

    def _measured(self, node: fx.Node) -> Any:
        if node.op == "placeholder":
            return self._images
        if node.op == "get_attr":
            return on_meta(attribute(self.root, str(node.target)))
        args, kwargs = fx.map_arg((node.args, dict(node.kwargs)), lambda n: n.meta[VALUE])
        if node.op == "call_method":
            return getattr(args[0], str(node.target))(*args[1:], **kwargs)
        return node.target(*args, **kwargs)  # type: ignore[operator]

    @contextmanager
    def _quiet(self) -> Iterator[None]:
        """While layers run on meta tensors, or are looked at, nothing is recorded."""
        before, self._is_measuring = self._is_measuring, True
        try:
            yield
        finally:
            self._is_measuring = before


def on_meta(value: Any) -> Any:
    """Tensors without their data; anything else as it is."""
    return value.to("meta") if isinstance(value, Tensor) and value.device.type != "meta" else value


def results_of(node: fx.Node) -> tuple[Tensor, ...]:
    """The meta tensors a node gives."""
    return tuple(tensors_in(node.meta[VALUE]))


def attribute(root: Any, target: str) -> Any:
    """What a dotted name leads to."""
    for part in target.split("."):
        root = getattr(root, part)
    return root


@contextmanager
def _slow_paths() -> Iterator[None]:
    """Encoder layers in Python: their fused kernels cannot be followed."""
    before = torch.backends.mha.get_fastpath_enabled()
    torch.backends.mha.set_fastpath_enabled(False)
    try:
        yield
    finally:
        torch.backends.mha.set_fastpath_enabled(before)
