"""An immutable, checked collection of operator specifications."""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from types import ModuleType
from typing import Any

from ghn_studio.errors import RegistryError, UnknownOperatorError
from ghn_studio.ops.spec import OpSpec


class OpRegistry:
    """Look operators up by id, by ONNX type or by what PyTorch calls them. Built once, never changed."""

    def __init__(self, specs: Iterable[OpSpec[Any]]) -> None:
        """Check and index ``specs``.

        Raises:
            RegistryError: Two operators share an id, an operator has no example or no
                summary, a variadic port is not the last, a nameless parameter is not the
                only one, one that owns weights cannot be run without a module, or an upgrade step is missing.
        """
        self._by_id: dict[str, OpSpec[Any]] = {}
        self._by_onnx: dict[str, list[OpSpec[Any]]] = {}
        self._by_layer: dict[str, list[OpSpec[Any]]] = {}
        self._by_function: dict[str, list[OpSpec[Any]]] = {}
        for spec in specs:
            if spec.id in self._by_id:
                raise RegistryError(f"operator id '{spec.id}' is used twice")
            if not spec.examples:
                raise RegistryError(f"operator '{spec.id}' has no example")
            if not spec.summary.endswith("."):
                raise RegistryError(f"operator '{spec.id}' needs a one-sentence summary")
            if any(port.variadic for port in spec.inputs[:-1]):
                raise RegistryError(f"operator '{spec.id}': only the last port may be variadic")
            if set(spec.upgrades) != set(range(1, spec.version)):
                raise RegistryError(f"operator '{spec.id}' is v{spec.version} but upgrades are {sorted(spec.upgrades)}")
            owned = [spec.weights(e.params, e.inputs) for e in spec.examples]
            if any(len(weights) > 1 and not all(w.name for w in weights) for weights in owned):
                raise RegistryError(f"operator '{spec.id}': a parameter without a name must be the only one")
            owns = any(owned)
            if owns and spec.function is None:
                raise RegistryError(f"operator '{spec.id}' owns weights but has no functional form")
            self._by_id[spec.id] = spec
            if spec.onnx is not None:
                for op_type in spec.onnx.reads:
                    self._by_onnx.setdefault(op_type, []).append(spec)
            for layer in spec.torch.modules:
                self._by_layer.setdefault(layer, []).append(spec)
            for function in spec.torch.functions:
                self._by_function.setdefault(function, []).append(spec)

    @classmethod
    def from_modules(cls, *modules: ModuleType) -> OpRegistry:
        """Collect every module-level :class:`OpSpec`, in source order."""
        return cls(v for m in modules for v in vars(m).values() if isinstance(v, OpSpec))

    def __getitem__(self, op_id: str) -> OpSpec[Any]:
        try:
            return self._by_id[op_id]
        except KeyError:
            raise UnknownOperatorError(
                f"unknown operator '{op_id}'; this version knows {len(self._by_id)} operators "
                "(ghn-studio list operators)"
            ) from None

    def __contains__(self, op_id: object) -> bool:
        return op_id in self._by_id

    def __iter__(self) -> Iterator[OpSpec[Any]]:
        return iter(self._by_id.values())

    def __len__(self) -> int:
        return len(self._by_id)

    def for_onnx(self, op_type: str) -> tuple[OpSpec[Any], ...]:
        """The operators that read a standard ONNX node type, in catalogue order; the first
        whose reader accepts a node takes it."""
        return tuple(self._by_onnx.get(op_type, ()))

    def for_layer(self, name: str) -> tuple[OpSpec[Any], ...]:
        """The operators that read a layer class by its full name, in catalogue order."""
        return tuple(self._by_layer.get(name, ()))

    def for_function(self, name: str) -> tuple[OpSpec[Any], ...]:
        """The operators that read a function, method or ATen operator by its bare name."""
        return tuple(self._by_function.get(name, ()))
