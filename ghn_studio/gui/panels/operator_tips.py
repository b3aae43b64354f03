"""What an operator says when the pointer rests on it: its sentence, its formula, and where there is more."""

from __future__ import annotations

from collections.abc import Iterable
from html import escape
from typing import Any

from ghn_studio.app.helping.operator_pages import documentation_url
from ghn_studio.gui import theme
from ghn_studio.ops.spec import OpSpec


def operator_tip(spec: OpSpec[Any]) -> str:
    """Rich text about ``spec``."""
    first = spec.examples[0]
    address = documentation_url(spec.module(first.params, first.inputs))
    layer = address.rpartition("/")[2].removesuffix(".html")
    more = f"F1 opens its page, with a link to {layer}" if layer else "F1 opens its page"
    return tip(spec.title, [escape(spec.summary), formula(spec)], more)


def formula(spec: OpSpec[Any]) -> str:
    """The operator's formula in the font of numbers; "" if it has none."""
    if not spec.formula:
        return ""
    family = theme.mono_font(11).family()
    return f"<span style='font-family:\"{family}\"; font-size:11px'>{escape(spec.formula)}</span>"


def tip(title: str, lines: Iterable[str], more: str = "") -> str:
    """A tooltip of a title, lines of rich text, and a quiet last line; what is empty is left out."""
    body = "".join(f"<div style='margin-top:3px'>{line}</div>" for line in lines if line)
    last = f"<div style='margin-top:5px; color:{theme.current().tokens.muted}'>{escape(more)}</div>" if more else ""
    return f"<div style='width:330px'><span style='font-weight:600'>{escape(title)}</span>{body}{last}</div>"
