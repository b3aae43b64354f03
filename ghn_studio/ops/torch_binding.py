"""How an operator is recognised in a traced PyTorch module: data and pure functions, no torch.

A :class:`TorchBinding` names the layer classes and the functions an operator takes.
``torch_io`` shows each use as a :class:`TorchNode`: what was called, with which plain
options, values and stored tensors. Functions, methods and ATen operators have one
vocabulary, their bare names without a trailing underscore: ``relu`` stands for ``F.relu``,
``Tensor.relu_`` and ``aten.relu.default``.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass, field, fields
from types import MappingProxyType
from typing import Any

from ghn_studio.ir.tensors import Dim, TensorSpec
from ghn_studio.ops.binding import require_types

_NOTHING: Mapping[str, Any] = MappingProxyType({})
_REQUIRED = object()


@dataclass(frozen=True, slots=True)
class TorchValue:
    """A tensor that a layer or function receives.

    ``ref`` is how the tracer knows it. A stored one (parameter or buffer) has the ``name``
    it has in the ``state_dict``, and the shape it is ``held`` in there; ``is_learned`` if it is
    a parameter. A constant that the code makes has its contents, flat.
    """

    shape: tuple[Dim, ...]
    ref: int
    name: str = ""
    held: tuple[int, ...] = ()
    is_learned: bool = False
    values: tuple[float, ...] | None = None

    @property
    def is_stored(self) -> bool:
        """True if it does not depend on the images."""
        return bool(self.name)

    @property
    def spec(self) -> TensorSpec:
        """The shape as operators see it."""
        return TensorSpec(self.shape)


@dataclass(frozen=True, slots=True)
class TorchNode:
    """One use of a layer (``options`` are its attributes) or one call of a function.

    ``args`` and ``kwargs`` hold plain values and :class:`TorchValue`; the batch size is
    "N". ``results`` are the shapes torch computed, ``children`` the layers inside a block.
    """

    kind: str
    args: tuple[Any, ...] = ()
    kwargs: Mapping[str, Any] = field(default_factory=lambda: _NOTHING)
    results: tuple[TensorSpec, ...] = ()
    options: Mapping[str, Any] = field(default_factory=lambda: _NOTHING)
    tensors: Mapping[str, tuple[int, ...]] = field(default_factory=lambda: _NOTHING)
    children: Mapping[str, TorchNode] = field(default_factory=lambda: _NOTHING)

    def arg(self, position: int, name: str, default: Any = _REQUIRED) -> Any:
        """An argument by position or keyword.

        Raises:
            ValueError: It is missing and has no default.
        """
        if position < len(self.args):
            return self.args[position]
        found = self.kwargs.get(name, default)
        if found is _REQUIRED:
            raise ValueError(f"the argument '{name}' is missing")
        return found

    def data(self, position: int = 0, name: str = "input") -> TorchValue:
        """An argument that has to be a tensor; raises :class:`ValueError` if it is none."""
        value = self.arg(position, name)
        if not isinstance(value, TorchValue):
            raise ValueError(f"the argument '{name}' is {value!r}, a tensor is needed")
        return value

    def stored(self, position: int, name: str) -> TorchValue | None:
        """An argument that has to be a parameter or buffer of the module, or None where it is left out.

        Raises:
            ValueError: It is computed at run time.
        """
        value = self.arg(position, name, None)
        if value is None:
            return None
        if not isinstance(value, TorchValue) or not value.is_stored:
            raise ValueError(f"'{name}' is computed at run time, only a parameter of the module can be read")
        return value

    def result(self) -> TensorSpec:
        """The shape of the only result; raises :class:`ValueError` if there are several."""
        if len(self.results) != 1:
            raise ValueError(f"it returns {len(self.results)} values, one is expected")
        return self.results[0]

    def require(self, **expected: Any) -> None:
        """Check options or keywords that have one supported value; one left out counts as that value.

        Raises:
            ValueError: Names the option, its value and the supported one.
        """
        for name, value in expected.items():
            found = self.options.get(name, self.kwargs.get(name, value))
            if found != value:
                raise ValueError(f"{name} is {found}, only {value} can be read")


@dataclass(frozen=True, slots=True)
class TorchMatch:
    """A use recognised: parameters by name (those left out keep their default) and the data inputs.

    ``weights`` says which stored tensor each weight is where that does not follow from the
    layer. ``same`` is set where the use changes nothing: the value itself. ``then`` names
    operators, with default parameters, that follow. ``returned`` is set for a layer that
    returns a tuple of so many values, of which the operator gives the first.
    """

    params: Mapping[str, Any] = field(default_factory=lambda: _NOTHING)
    data: tuple[TorchValue, ...] = ()
    weights: Mapping[str, TorchValue] = field(default_factory=lambda: _NOTHING)
    then: tuple[str, ...] = ()
    same: TorchValue | None = None
    returned: int = 0


Reader = Callable[[TorchNode], TorchMatch]


@dataclass(frozen=True, slots=True)
class TorchBinding:
    """The layer classes (``torch.nn.Conv2d``) and functions (``conv2d``) an operator reads.

    A reader returns a :class:`TorchMatch` or raises :class:`ValueError` with the reason why
    the operator cannot express this use.
    """

    modules: Mapping[str, Reader] = field(default_factory=lambda: _NOTHING)
    functions: Mapping[str, Reader] = field(default_factory=lambda: _NOTHING)


def params_from(params: type[Any], found: Mapping[str, Any]) -> Any:
    """Make the parameters; one number stands for all entries of a tuple of numbers.

    Raises:
        ValueError: A value has another type than its default.
    """
    made = {}
    for line in fields(params):
        if line.name in found:
            value = found[line.name]
            if isinstance(line.default, tuple) and not isinstance(value, tuple):
                value = (value,) * len(line.default)
            made[line.name] = value
    result = params(**made)
    require_types(result)
    return result


# --- readers that several operators use ----------------------------------------------------


def layer(*names: str, **fixed: Any) -> Reader:
    """Read a layer of one input whose attributes ``names`` are the operator's parameters."""

    def read(node: TorchNode) -> TorchMatch:
        return TorchMatch({**{n: node.options[n] for n in names if n in node.options}, **fixed}, (node.data(),))

    return read


def function(*names: str, **fixed: Any) -> Reader:
    """Read a function of one tensor whose following arguments ``names`` are the parameters."""

    def read(node: TorchNode) -> TorchMatch:
        found = {n: node.arg(i, n, None) for i, n in enumerate(names, 1)}
        return TorchMatch({**{k: v for k, v in found.items() if v is not None}, **fixed}, (node.data(),))

    return read


def plain(module: str, *functions: str) -> TorchBinding:
    """Binding of an operator that is one layer without parameters, or one of ``functions``."""
    return TorchBinding({f"torch.nn.{module}": layer()}, dict.fromkeys(functions, function()))


def tensors(node: TorchNode) -> tuple[TorchValue, ...]:
    """The arguments of a function of tensors alone, or of one list of tensors.

    Raises:
        ValueError: One is a number.
    """
    first = node.args[0] if node.args else None
    found: Iterable[Any] = first if isinstance(first, tuple) else (*node.args, *node.kwargs.values())
    values = tuple(v for v in found if isinstance(v, TorchValue))
    if len(values) != len(tuple(found)):
        raise ValueError("it takes tensors only")
    return values


def axis(dim: int, rank: int) -> int:
    """An axis counted from the front; raises :class:`ValueError` if there is none."""
    if not -rank <= dim < rank:
        raise ValueError(f"there is no axis {dim} among {rank}")
    return dim % rank


def given(**values: TorchValue | None) -> dict[str, TorchValue]:
    """The weights that are there."""
    return {name: value for name, value in values.items() if value is not None}


def axes(node: TorchNode) -> tuple[int, ...]:
    """The argument ``dim`` of a reduction as sorted axes counted from the front; all where it is left out."""
    rank, dim = len(node.data().shape), node.arg(1, "dim", None)
    if dim is None or dim == ():
        return tuple(range(rank))
    return tuple(sorted(axis(d, rank) for d in (dim if isinstance(dim, tuple) else (dim,))))


def conv_padding(padding: Any, kernel: Any, dilation: Any) -> Any:
    """The padding of a convolution as numbers; "same" needs an odd reach.

    Raises:
        ValueError: "same" would pad opposite sides differently.
    """
    if not isinstance(padding, str):
        return padding
    if padding == "valid":
        return 0
    taps = (dilation,) * len(kernel) if isinstance(dilation, int) else dilation
    reach = [d * (k - 1) for d, k in zip(taps, kernel, strict=True)]
    if any(r % 2 for r in reach):
        raise ValueError("padding 'same' pads opposite sides differently here")
    return tuple(r // 2 for r in reach)


def numbers(value: Any, axes: int) -> Any:
    """An option of a layer over one axis as a number; as it is for more."""
    if axes == 1 and isinstance(value, tuple) and len(value) == 1:
        return value[0]
    return value


def rest(node: TorchNode, position: int, name: str) -> tuple[Any, ...]:
    """Arguments from ``position`` on, written one by one or as a tuple: ``permute(0, 2)``, ``permute((0, 2))``."""
    first = node.arg(position, name)
    return first if isinstance(first, tuple) else tuple(node.args[position:])
