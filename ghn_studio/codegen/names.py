"""Names that generated source may use."""

from __future__ import annotations

import keyword
import re
from collections.abc import Collection

#: Attributes of every ``torch.nn.Module``: no layer can be assigned under such a name.
#: A test compares this with torch's own.
MODULE_ATTRIBUTES = frozenset({
    "T_destination", "add_module", "apply", "bfloat16", "buffers", "call_super_init", "children", "compile",
    "cpu", "cuda", "double", "dump_patches", "eval", "extra_repr", "float", "forward", "get_buffer",
    "get_extra_state", "get_parameter", "get_submodule", "half", "ipu", "load_state_dict", "modules", "mtia",
    "named_buffers", "named_children", "named_modules", "named_parameters", "parameters",
    "register_backward_hook", "register_buffer", "register_forward_hook", "register_forward_pre_hook",
    "register_full_backward_hook", "register_full_backward_pre_hook", "register_load_state_dict_post_hook",
    "register_load_state_dict_pre_hook", "register_module", "register_parameter", "register_state_dict_post_hook",
    "register_state_dict_pre_hook", "requires_grad_", "set_extra_state", "set_submodule", "share_memory",
    "state_dict", "to", "to_empty", "train", "training", "type", "xpu", "zero_grad",
})

#: What ``nn.ModuleDict``, ``nn.ModuleList`` and ``nn.Sequential`` add.
CONTAINER_ATTRIBUTES = frozenset({
    "append", "clear", "extend", "insert", "items", "keys", "pop", "update", "values",
})

#: Names that mean something else inside a generated method.
_TAKEN_LOCALS = frozenset({"self", "torch", "nn", "F", "Tensor", "super", "range", "_"})


def is_plain_attribute(name: str) -> bool:
    """True if ``self.NAME`` can hold a layer (names with leading underscores may be mangled or private)."""
    if not name.isidentifier() or keyword.iskeyword(name) or name.startswith("_"):
        return False
    return name not in MODULE_ATTRIBUTES


def is_plain_key(name: str) -> bool:
    """True if ``nn.ModuleDict`` accepts the name."""
    return name not in MODULE_ATTRIBUTES and name not in CONTAINER_ATTRIBUTES and not name.startswith("_")


def local(name: str) -> str:
    """A name for a local variable, close to ``name``."""
    text = re.sub(r"\W", "_", name)
    if not text or text[0].isdigit():
        text = f"out{text}"
    return f"{text}_" if keyword.iskeyword(text) or text in _TAKEN_LOCALS else text


def class_like(text: str, fallback: str) -> str:
    """``Basic block`` -> ``BasicBlock``; only ASCII letters and digits stay."""
    words = re.findall(r"[A-Za-z0-9]+", text)
    name = "".join(w[0].upper() + w[1:] for w in words)
    if not name:
        return fallback
    if name[0].isdigit():
        name = f"{fallback}{name}"
    return f"{name}_" if keyword.iskeyword(name) else name


def unused(name: str, taken: Collection[str]) -> str:
    """``name``, or ``name2``, ``name3`` … : the first that is free."""
    candidate, number = name, 1
    while candidate in taken:
        number += 1
        candidate = f"{name}{number}"
    return candidate
