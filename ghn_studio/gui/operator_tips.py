"""What an operator says when the pointer rests on it: its sentence, its formula, and where there is more."""

from __future__ import annotations

from html import escape
from typing import Any

from ghn_studio.app.operator_pages import documentation_url
from ghn_studio.gui import theme
from ghn_studio.ops.spec import OpSpec


def operator_tip(spec: OpSpec[Any], *, keys: str = "F1") -> str:
    """Rich text about ``spec``, wide enough that the formula stays on few lines."""
    muted = theme.current().tokens.muted
    lines = [f"<b>{escape(spec.title)}</b>", escape(spec.summary)]
    if spec.formula:
        family = theme.mono_font(11).family()
        lines.append(f"<span style='font-family:\"{family}\"; font-size:11px'>{escape(spec.formula)}</span>")
    first = spec.examples[0]
    address = documentation_url(spec.module(first.params, first.inputs))
    more = f"{keys} opens its page" + (f" with a link to {address.rpartition('/')[2].removesuffix('.html')}"
                                       if address else "")
    lines.append(f"<span style='color:{muted}'>{more}</span>")
    return f"<div style='white-space:normal; width:320px'>{'<br>'.join(lines)}</div>"
