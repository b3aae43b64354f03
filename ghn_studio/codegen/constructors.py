"""Constructor calls as trees of values, and how they are printed."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass, replace
from typing import Any

LINE = 100

#: Marks an argument without a default.
REQUIRED: Any = object()

Signature = tuple[tuple[str, Any], ...]

_NORM = (("num_features", REQUIRED), ("eps", 1e-5), ("momentum", 0.1), ("affine", True))
_INSTANCE_NORM = (("num_features", REQUIRED), ("eps", 1e-5), ("momentum", 0.1), ("affine", False))
_LAYER_NORM = (("normalized_shape", REQUIRED), ("eps", 1e-5), ("elementwise_affine", True), ("bias", True))
_CONV = (("in_channels", REQUIRED), ("out_channels", REQUIRED), ("kernel_size", REQUIRED), ("stride", 1),
         ("padding", 0), ("dilation", 1), ("groups", 1), ("bias", True))

#: Names and defaults of torch's constructors, so that generated source leaves out what
#: need not be said. A test compares them with torch's own.
SIGNATURES: Mapping[str, Signature] = {
    "torch.nn.Conv2d": _CONV,
    "torch.nn.Conv1d": _CONV,
    "torch.nn.ConvTranspose2d": (
        *_CONV[:5], ("output_padding", 0), ("groups", 1), ("bias", True), ("dilation", 1),
    ),
    "torch.nn.Linear": (("in_features", REQUIRED), ("out_features", REQUIRED), ("bias", True)),
    "torch.nn.BatchNorm1d": _NORM,
    "torch.nn.BatchNorm2d": _NORM,
    "torch.nn.InstanceNorm1d": _INSTANCE_NORM,
    "torch.nn.InstanceNorm2d": _INSTANCE_NORM,
    "torch.nn.LayerNorm": _LAYER_NORM,
    "torch.nn.RMSNorm": (("normalized_shape", REQUIRED), ("eps", None), ("elementwise_affine", True)),
    "torch.nn.GroupNorm": (("num_groups", REQUIRED), ("num_channels", REQUIRED), ("eps", 1e-5), ("affine", True)),
    "torch.nn.LocalResponseNorm": (("size", REQUIRED), ("alpha", 1e-4), ("beta", 0.75), ("k", 1.0)),
    "torch.nn.ChannelShuffle": (("groups", REQUIRED),),
    "torch.nn.MaxPool2d": (("kernel_size", REQUIRED), ("stride", None), ("padding", 0), ("dilation", 1),
                           ("return_indices", False), ("ceil_mode", False)),
    "torch.nn.AvgPool2d": (("kernel_size", REQUIRED), ("stride", None), ("padding", 0), ("ceil_mode", False),
                           ("count_include_pad", True)),
    "torch.nn.AdaptiveAvgPool2d": (("output_size", REQUIRED),),
    "torch.nn.ELU": (("alpha", 1.0),),
    "torch.nn.LeakyReLU": (("negative_slope", 0.01),),
    "torch.nn.PReLU": (("num_parameters", 1),),
    "torch.nn.GELU": (("approximate", "none"),),
    "torch.nn.Softmax": (("dim", None),),
    "torch.nn.LogSoftmax": (("dim", None),),
    "torch.nn.Dropout": (("p", 0.5),),
}

#: Arguments where one number stands for an equal pair.
_PAIRS = frozenset({"kernel_size", "stride", "padding", "output_padding", "dilation", "output_size"})


@dataclass(frozen=True, slots=True)
class Value:
    """A plain argument. ``name`` is what the constructor calls it."""

    value: Any
    name: str
    default: Any = REQUIRED


@dataclass(frozen=True, slots=True)
class Ref:
    """An argument of the surrounding class, handed on."""

    name: str


@dataclass(frozen=True, slots=True)
class New:
    """A constructor call. ``keys`` gives each argument's keyword, None by position.

    ``brackets`` encloses the arguments of containers: ``[]`` for lists, ``{}`` for
    dictionaries (whose keywords are the keys), empty for ordinary calls. ``keeps`` names the
    tensor of a layer that stays when the layer itself is dropped: a bare parameter, or a
    buffer where ``is_buffer`` is set. ``note`` is a comment for its line in a list.
    """

    target: str
    keys: tuple[str | None, ...] = ()
    items: tuple[Item, ...] = ()
    brackets: str = ""
    keeps: str = ""
    is_buffer: bool = False
    note: str = ""


Item = Value | Ref | New


def layer(target: str, printed: str, args: tuple[Any, ...], kwargs: tuple[tuple[str, Any], ...],
          signature: Signature | None) -> New:
    """The constructor call of one layer, with its arguments' names and defaults."""
    known = dict(signature or ())
    names = [name for name, _ in signature or ()]
    items: list[Item] = []
    for index, value in enumerate(args):
        name = names[index] if index < len(names) else f"argument{index + 1}"
        items.append(_value(name, value, known))
    items.extend(_value(name, value, known) for name, value in kwargs)
    return New(printed, (None,) * len(args) + tuple(k for k, _ in kwargs), tuple(items))


def _value(name: str, value: Any, known: Mapping[str, Any]) -> Value:
    if name in _PAIRS and isinstance(value, tuple) and len(set(value)) == 1:
        value = value[0]
    return Value(value, name, known.get(name, REQUIRED))


def values(new: New, prefix: str = "") -> Iterator[tuple[str, Value]]:
    """Every plain argument of a call and of the calls inside it, with a name for where it is."""
    for index, (key, item) in enumerate(zip(new.keys, new.items, strict=True)):
        if isinstance(item, Value):
            yield prefix, item
        elif isinstance(item, New):
            yield from values(item, f"{prefix}_{key or index}")


def with_values(new: New, change: Callable[[Value], Item]) -> New:
    """Replace every plain argument, in the order of :func:`values`."""
    items: list[Item] = []
    for item in new.items:
        if isinstance(item, Value):
            items.append(change(item))
        else:
            items.append(with_values(item, change) if isinstance(item, New) else item)
    return replace(new, items=tuple(items))


def skeleton(new: New) -> New:
    """The call without its values: equal for layers that differ in sizes only."""
    return with_values(new, lambda v: replace(v, value=None))


def printed(new: New, indent: int, room: int) -> str:
    """The call as source: on one line if ``room`` characters suffice, else one argument per line."""
    if new.keeps:
        return f"{printed(replace(new, keeps=''), indent, room - len(new.keeps) - 1)}.{new.keeps}"
    if is_loop(new):
        inner = printed(new.items[0], indent + 4, room) if isinstance(new.items[0], New) else ""
        loop = f"{inner} for _ in range({len(new.items)})"
        return f"{new.target}([{loop}])" if new.brackets else f"{new.target}(*({loop}))"
    shown = _shown(new)
    words = [prefix + _item(item, 0, 10**6) for prefix, item in shown]
    opening, closing = ("(" + new.brackets[0], new.brackets[1] + ")") if new.brackets else ("(", ")")
    line = f"{new.target}{opening}{', '.join(words)}{closing}"
    if (len(line) <= room and not any(map(_note, shown))) or not shown:
        return line
    pad = " " * (indent + 4)
    if not new.brackets and not any(isinstance(item, New) for _, item in shown):
        together = ", ".join(words)
        if len(pad) + len(together) <= LINE:
            return f"{new.target}(\n{pad}{together}\n{' ' * indent})"
    if new.brackets:  # each bracket on a line of its own, as formatters put them
        return "\n".join([
            f"{new.target}(", f"{pad}{new.brackets[0]}", *_rows(shown, indent + 8), f"{pad}{new.brackets[1]}",
            f"{' ' * indent})",
        ])
    return "\n".join([f"{new.target}{opening}", *_rows(shown, indent + 4), f"{' ' * indent}{closing}"])


def _rows(shown: list[tuple[str, Item]], indent: int) -> list[str]:
    """One argument per line, ``indent`` characters from the edge."""
    return [
        f"{' ' * indent}{prefix}{_item(item, indent, LINE - indent - 1 - len(prefix + note))},{note}"
        for (prefix, item), note in zip(shown, map(_note, shown), strict=True)
    ]


def _note(shown: tuple[str, Item]) -> str:
    """The comment of one argument, with the space before it."""
    note = shown[1].note if isinstance(shown[1], New) else ""
    return f"  # {note}" if note else ""


def is_loop(new: New) -> bool:
    """True for a container of several equal layers, printed as one."""
    container = new.target in ("nn.Sequential", "nn.ModuleList")
    return container and len(new.items) > 1 and all(item == new.items[0] for item in new.items)


def _shown(new: New) -> list[tuple[str, Item]]:
    """The arguments worth printing, with their keywords: defaults are left out."""
    pairs = list(zip(new.keys, new.items, strict=True))
    kernel = next((i.value for _, i in pairs if isinstance(i, Value) and i.name == "kernel_size"), REQUIRED)

    def is_default(item: Item) -> bool:
        if not isinstance(item, Value) or item.default is REQUIRED:
            return False
        return bool(item.value == item.default or (item.name == "stride" and item.default is None
                                                   and item.value == kernel))

    while pairs and pairs[-1][0] is None and is_default(pairs[-1][1]):
        pairs.pop()
    separator = ": " if new.brackets == "{}" else "="
    return [
        ("" if key is None else f"{repr_key(key) if new.brackets else key}{separator}", item)
        for key, item in pairs if key is None or not is_default(item)
    ]


def repr_key(key: str) -> str:
    """A dictionary key in double quotes, as the rest of the source."""
    return f'"{key}"'


def _item(item: Item, indent: int, room: int) -> str:
    if isinstance(item, New):
        return printed(item, indent, room)
    return item.name if isinstance(item, Ref) else literal(item.value)


def literal(value: Any) -> str:
    """A value as source; texts in double quotes."""
    if isinstance(value, str):
        text = repr(value)
        return text if '"' in text else f'"{text[1:-1]}"'
    if isinstance(value, tuple):
        return f"({', '.join(map(literal, value))}{',' if len(value) == 1 else ''})"
    return repr(value)
