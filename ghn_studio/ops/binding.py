"""How an operator is written to ONNX and recognised there: data and pure functions, no protobuf.

One :class:`OnnxBinding` per operator serves both directions. ``onnx_io`` turns forms into
nodes and files into the neutral graph of ``lifting``; neither knows an operator by name.
"""

from __future__ import annotations

import struct
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field, fields
from functools import cache
from math import isfinite
from types import MappingProxyType
from typing import Any, Generic, TypeVar, get_args, get_type_hints

from ghn_studio.ir.tensors import BATCH, Dim, TensorSpec

P = TypeVar("P")

#: Domain of the functions that stand for operators without an ONNX node of their own.
DOMAIN = "ghn_studio"

#: Type of the node that stands for a stored tensor used as a value; no file has one.
STORED = "stored tensor"

_NOTHING: Mapping[str, Any] = MappingProxyType({})


# --- writing -------------------------------------------------------------------------------


@dataclass(frozen=True, slots=True)
class OnnxWeight:
    """A parameter as a node's input, stored with ``shape`` where ONNX wants another than torch."""

    name: str
    shape: tuple[int, ...] | None = None


@dataclass(frozen=True, slots=True)
class OnnxConstant:
    """A small constant input: a vector, or a scalar where ``scalar`` is set."""

    values: tuple[int | float, ...]
    dtype: str = "int64"
    scalar: bool = False


#: An input of a written node: a data input by position, a parameter or a constant.
Operand = int | OnnxWeight | OnnxConstant


@dataclass(frozen=True, slots=True)
class OnnxForm:
    """How one use of an operator is written.

    Either a node of the standard domain (``op_type``), which opsets below ``since`` do not
    have, or a function of the domain ``ghn_studio`` named after the operator, whose ``body``
    any runtime can execute. A body is ONNX text syntax; its inputs are ``x`` (``x0``,
    ``x1`` … where there are several) and the weights with dots written as underscores, its
    outputs ``y`` (``y0``, ``y1`` …). A function's node carries the operator's parameters as
    attributes, so reading it back needs no code.

    ``operands`` is None for all data inputs, then all parameters.
    """

    op_type: str = ""
    attrs: Mapping[str, Any] = field(default_factory=lambda: _NOTHING)
    operands: tuple[Operand, ...] | None = None
    since: int = 7
    body: str = ""


# --- reading -------------------------------------------------------------------------------


@dataclass(frozen=True, slots=True)
class OnnxInput:
    """One input of a node that is being read.

    A value computed from the images, or a tensor stored in the file (``is_stored``), whose
    contents are known where it is small (``values``, flat; the batch size is "N").
    ``is_real`` is False for whole numbers and truth values.
    """

    shape: tuple[Dim, ...]
    is_stored: bool = False
    values: tuple[Any, ...] | None = None
    is_real: bool = True

    @property
    def spec(self) -> TensorSpec:
        """The shape as operators see it."""
        return TensorSpec(self.shape)


@dataclass(frozen=True, slots=True)
class OnnxNode:
    """What a binding may look at to recognise a node.

    ``inputs`` holds None for an optional input that was left out, ``outputs`` counts the
    outputs it has, ``batch`` is the batch size the file fixes, if it does.
    """

    op_type: str
    attrs: Mapping[str, Any]
    inputs: tuple[OnnxInput | None, ...]
    outputs: int = 1
    opset: int = 21
    batch: int | None = None

    def given(self, position: int) -> OnnxInput | None:
        """Input ``position``, or None where it was left out."""
        return self.inputs[position] if position < len(self.inputs) else None

    def data(self, position: int = 0) -> OnnxInput:
        """Input ``position``, which has to be computed from the images.

        Raises:
            ValueError: It is missing or stored in the file.
        """
        value = self.given(position)
        if value is None:
            raise ValueError(f"input {position} is missing")
        if value.is_stored:
            raise ValueError(f"input {position} is a constant of the file")
        return value

    def stored(self, position: int) -> OnnxInput:
        """Input ``position``, which has to be stored in the file, as weights are.

        Raises:
            ValueError: It is missing or computed at run time.
        """
        value = self.given(position)
        if value is None:
            raise ValueError(f"input {position} is missing")
        if not value.is_stored:
            raise ValueError(f"input {position} is computed at run time, only stored weights can be read")
        return value

    def option(self, name: str, position: int | None = None) -> tuple[Any, ...] | None:
        """The values of attribute ``name``, or of input ``position`` that replaced it in later opsets.

        Raises:
            ValueError: The input is computed at run time or too large to be an option.
        """
        if name in self.attrs:
            value = self.attrs[name]
            return value if isinstance(value, tuple) else (value,)
        if position is None or self.given(position) is None:
            return None
        values = self.stored(position).values
        if values is None:
            raise ValueError(f"input {position} ({name}) is not a small constant")
        return values

    def require(self, **expected: Any) -> None:
        """Check attributes that have one supported value; one left out counts as that value.

        Raises:
            ValueError: Names the attribute, its value and the supported one.
        """
        for name, value in expected.items():
            found = self.attrs.get(name, value)
            if found != value:
                raise ValueError(f"{name} is {found}, only {value} can be read")

    def axis(self, default: int, position: int = 0) -> int:
        """Attribute ``axis``, counted from the front."""
        rank = len(self.data(position).shape)
        axis = self.attrs.get("axis", default)
        if not -rank <= axis < rank:
            raise ValueError(f"axis {axis} does not exist in {self.data(position).spec}")
        return int(axis) % rank


@dataclass(frozen=True, slots=True)
class StoredAs:
    """Where a parameter comes from: a stored input, or a ``fill`` where the node leaves it out.

    ``transposed`` for matrices stored as (inputs, outputs), ``repeat`` for one value per
    group of channels.
    """

    position: int | None = None
    transposed: bool = False
    repeat: int = 1
    fill: float = 0.0


@dataclass(frozen=True, slots=True)
class OnnxMatch(Generic[P]):
    """A node recognised: parameters, the positions of its data inputs in port order, where
    each weight comes from, and operators (with their default parameters) that follow."""

    params: P
    data: tuple[int, ...] = (0,)
    weights: Mapping[str, StoredAs] = field(default_factory=lambda: MappingProxyType({}))
    then: tuple[str, ...] = ()


Reader = Callable[[OnnxNode], OnnxMatch[Any]]


@dataclass(frozen=True, slots=True)
class OnnxBinding(Generic[P]):
    """Two-way mapping between an operator and ONNX.

    ``reads`` maps node types of the standard domain to functions that recognise the
    operator there, or raise :class:`ValueError` with the reason why not. The form that
    ``write`` gives must be among them; functions of our own domain are read without one.
    """

    write: Callable[[P, Sequence[TensorSpec]], OnnxForm]
    reads: Mapping[str, Reader] = field(default_factory=lambda: MappingProxyType({}))


def function_attrs(params: Any) -> dict[str, Any]:
    """The parameters as attributes of a function's node; ONNX has none that are empty."""
    found = {f.name: getattr(params, f.name) for f in fields(params)}
    return {name: int(v) if isinstance(v, bool) else v for name, v in found.items() if v != ()}


def function_params(params: type[P], attrs: Mapping[str, Any]) -> P:
    """The inverse of :func:`function_attrs`; an attribute left out keeps its default.

    Raises:
        ValueError: An attribute is unknown or of another type than the parameter.
    """
    known = {f.name: f.default for f in fields(params)}  # type: ignore[arg-type]
    unknown = [name for name in attrs if name not in known]
    if unknown:
        raise ValueError(f"there is no parameter '{unknown[0]}'")
    made = params(**{k: bool(v) if isinstance(known[k], bool) and v in (0, 1) else v for k, v in attrs.items()})
    require_types(made)
    return made


def require_types(params: Any) -> None:
    """Check that every parameter has the type of its default: files may say anything.

    Raises:
        ValueError: Names the parameter, what it is and what was expected.
    """
    entries = _entries(type(params))  # type: ignore[arg-type]  # a class has a hash
    for line in fields(params):
        value, entry = getattr(params, line.name), entries.get(line.name)
        fits = _is_like(value, line.default) if entry is None else (
            isinstance(value, tuple) and all(_is_like(v, entry()) for v in value)
        )
        if not fits:
            raise ValueError(f"{line.name} is {value!r}, expected something like {line.default!r}")


@cache
def _entries(params: type[Any]) -> Mapping[str, type[Any]]:
    """The type of the entries of each parameter that is a list of any length."""
    hints = {name: get_args(hint) for name, hint in get_type_hints(params).items()}
    return {n: args[0] for n, args in hints.items() if args[1:] == (Ellipsis,) and args[0] in (int, float)}


def _is_like(value: Any, default: Any) -> bool:
    if isinstance(default, tuple):
        return isinstance(value, tuple) and len(value) == len(default) and all(map(_is_like, value, default))
    if isinstance(default, float):
        return isinstance(value, int | float) and not isinstance(value, bool) and isfinite(value)
    return type(value) is type(default)


# --- helpers of the operators --------------------------------------------------------------


def plain(op_type: str, params: P, *, since: int = 7) -> OnnxBinding[P]:
    """Binding of an operator that is one ONNX node with no attributes and one input."""
    return OnnxBinding(lambda p, i: OnnxForm(op_type, since=since), {op_type: lambda node: OnnxMatch(params)})


class OtherOperatorError(ValueError):
    """A node of the right type that another operator stands for: no reason worth telling where that one has its own."""


def tidy(value: float) -> float:
    """The shortest decimal that gives the same float32.

    ONNX keeps attributes as float32: 1e-5 would come back as 9.999999747378752e-06.
    """
    stored = struct.pack("<f", value)
    for digits in range(1, 9):
        short = float(f"{value:.{digits}g}")
        try:
            again = struct.pack("<f", short)
        except OverflowError:
            continue
        if again == stored:
            return short
    return value


def padding_of(node: OnnxNode, kernel: tuple[int, int], stride: tuple[int, int],
               dilation: tuple[int, int]) -> tuple[int, int]:
    """The padding of a sliding window, if it is the same on opposite sides.

    Raises:
        ValueError: Opposite sides differ, which no operator here can express.
    """
    mode = node.attrs.get("auto_pad", "NOTSET")
    if mode == "VALID":
        return (0, 0)
    if mode in ("SAME_UPPER", "SAME_LOWER"):
        x = node.data().spec
        total = [
            max((-(-x.size(2 + i) // stride[i]) - 1) * stride[i] + dilation[i] * (kernel[i] - 1) + 1 - x.size(2 + i), 0)
            for i in range(2)
        ]
        if total[0] % 2 or total[1] % 2:
            raise ValueError(f"auto_pad {mode} pads opposite sides differently here")
        return (total[0] // 2, total[1] // 2)
    if mode not in ("NOTSET", ""):
        raise ValueError(f"auto_pad {mode} is not known")
    return symmetric_pads(node)


def symmetric_pads(node: OnnxNode) -> tuple[int, int]:
    """The attribute ``pads`` of a two-dimensional window, if opposite sides agree.

    Raises:
        ValueError: They differ.
    """
    pads = node.attrs.get("pads", (0, 0, 0, 0))
    if len(pads) != 4 or pads[:2] != pads[2:]:
        raise ValueError(f"pads {list(pads)} differ between opposite sides")
    return (pads[0], pads[1])


def line_padding_of(node: OnnxNode) -> int:
    """The padding of a window that slides along one axis, if both sides agree.

    Raises:
        ValueError: They differ, or the padding follows from the sizes.
    """
    mode = node.attrs.get("auto_pad", "NOTSET")
    pads = node.attrs.get("pads", (0, 0)) if mode in ("NOTSET", "") else (0, 0)
    if mode not in ("NOTSET", "", "VALID") or len(pads) != 2 or pads[0] != pads[1]:
        raise ValueError(f"auto_pad {mode} with pads {list(pads)}: only equal padding on both sides can be read")
    return int(pads[0])


def single(node: OnnxNode, name: str, default: int = 1) -> int:
    """A one-dimensional attribute such as ``strides`` of a sequence's window.

    Raises:
        ValueError: It has not one entry.
    """
    value = node.attrs.get(name, (default,))
    if not isinstance(value, tuple) or len(value) != 1:
        raise ValueError(f"{name} is {value}, one number is needed")
    return int(value[0])


def pair(node: OnnxNode, name: str, default: tuple[int, int] | None = (1, 1)) -> tuple[int, int]:
    """A two-dimensional attribute such as ``strides``.

    Raises:
        ValueError: It is missing without a default, or has not two entries.
    """
    value = node.attrs.get(name, default)
    if not isinstance(value, tuple) or len(value) != 2:
        raise ValueError(f"{name} is {value}, two numbers are needed")
    return (int(value[0]), int(value[1]))


def every_input(node: OnnxNode) -> tuple[int, ...]:
    """Every input position; stored ones, which become values of their own, have to hold real numbers.

    Raises:
        ValueError: One is missing, holds something else or is one number, for which there are other operators.
    """
    for position in range(len(node.inputs)):
        value = node.given(position)
        if value is None:
            raise ValueError(f"input {position} is missing")
        if not value.is_real:
            raise ValueError(f"input {position} is a constant that holds no real numbers")
        if value.is_stored and value.values is not None and len(value.values) == 1:
            raise ValueError(f"input {position} is one number")
    return tuple(range(len(node.inputs)))


def same_number(a: float, b: float) -> bool:
    """True if two numbers agree to float32."""
    return abs(a - b) <= 1e-6 * max(1.0, abs(b))


def axes_of(node: OnnxNode, position: int = 1) -> tuple[int, ...] | None:
    """The option ``axes``, sorted and counted from the front; None where it was left out."""
    axes = node.option("axes", position)
    if axes is None:
        return None
    rank = len(node.data().shape)
    return tuple(sorted(int(a) % rank for a in axes))


def is_batch(value: Any, node: OnnxNode) -> bool:
    """True if a number in a target shape stands for the batch axis."""
    return value == BATCH or (node.batch is not None and value == node.batch)
