"""The manual's Markdown as HTML: headings, paragraphs, lists, tables, code, emphasis and links. No Qt.

A renderer of our own, because Qt's draws Markdown without a style sheet.
"""

from __future__ import annotations

import re
from collections.abc import Callable, Iterator
from html import escape

#: Turns a link's target into an address; what it returns is written as ``href``.
Resolve = Callable[[str], str]

_HEADING = re.compile(r"(#{1,3}) +(.+)")
_ITEM = re.compile(r"(?:-|(\d+)\.) +(.*)")
_RULE = re.compile(r"\|[ :|-]*-[ :|-]*\|")
_SPAN = re.compile(
    r"`(?P<code>[^`]+)`|\*\*(?P<strong>[^*]+)\*\*|\*(?P<em>[^*\s][^*]*)\*|\[(?P<text>[^\]]+)\]\((?P<to>[^)\s]+)\)"
)


def to_html(text: str, resolve: Resolve = lambda target: target) -> str:
    """Return ``text`` as the inside of an HTML body."""
    return "\n".join(_block(lines, resolve) for lines in _blocks(text))


def headline(text: str) -> str:
    """The first heading of a page, or ""."""
    found = _HEADING.match(text.lstrip())
    return plain(found.group(2)) if found else ""


def slug(title: str) -> str:
    """The name by which a link finds a heading: ``Input and output`` is ``input-and-output``."""
    return "-".join(re.findall(r"[a-z0-9]+", title.lower()))


def plain(text: str) -> str:
    """Words without the marks around them, for searching."""
    text = _SPAN.sub(lambda m: m["code"] or m["strong"] or m["em"] or m["text"], text)
    kept = (line.lstrip("#-| ").replace("|", " ") for line in text.splitlines()
            if not _RULE.fullmatch(line.strip()) and not line.startswith("```"))
    return " ".join(" ".join(kept).split())


def links(text: str) -> Iterator[str]:
    """The target of every link, in their order."""
    inside = False
    for line in text.splitlines():
        inside ^= line.startswith("```")
        if not inside:
            yield from (m["to"] for m in _SPAN.finditer(line) if m["to"])


def _blocks(text: str) -> Iterator[list[str]]:
    """Groups of lines that belong together: a fence with its end, a heading, or what blank lines part."""
    lines: list[str] = []
    fenced = False
    for line in text.splitlines():
        starts_fence = line.startswith("```")
        if fenced:
            lines.append(line)
            if starts_fence:
                fenced = False
                yield lines
                lines = []
            continue
        if (starts_fence or not line.strip() or _HEADING.match(line)) and lines:
            yield lines
            lines = []
        if starts_fence:
            lines, fenced = [line], True
        elif _HEADING.match(line):
            yield [line]
        elif line.strip():
            lines.append(line)
    if lines:
        yield lines


def _block(lines: list[str], resolve: Resolve) -> str:
    first = lines[0]
    if first.startswith("```"):
        inner = lines[1:-1] if lines[-1].startswith("```") else lines[1:]
        code = escape("\n".join(inner), quote=False)
        # In a cell, for Qt colours each line of a block by itself and leaves stripes between them.
        return f"<table width='100%' cellpadding='8'><tr><td class='code'><pre>{code}</pre></td></tr></table>"
    heading = _HEADING.match(first)
    if heading:
        level = len(heading.group(1))
        name = slug(plain(heading.group(2)))
        # Paragraphs with a class: Qt enlarges headings beyond what a style sheet says.
        return f'<p class="h{level}"><a name="{name}"></a>{_inline(heading.group(2), resolve)}</p>'
    if first.startswith("|"):
        return _table(lines, resolve)
    if _ITEM.match(first):
        return _list(lines, resolve)
    return f"<p>{_inline(' '.join(lines), resolve)}</p>"


def _list(lines: list[str], resolve: Resolve) -> str:
    items: list[str] = []
    for line in lines:
        found = _ITEM.match(line)
        if found:
            items.append(found.group(2))
        else:
            items[-1] += f" {line.strip()}"
    first = _ITEM.match(lines[0])
    tag = "ol" if first is not None and first.group(1) else "ul"
    return f"<{tag}>{''.join(f'<li>{_inline(item, resolve)}</li>' for item in items)}</{tag}>"


def _table(lines: list[str], resolve: Resolve) -> str:
    rows = [[_inline(cell.strip(), resolve) for cell in line.strip().strip("|").split("|")]
            for line in lines if not _RULE.fullmatch(line.strip())]
    if not rows:
        return ""
    head = "".join(f"<th align='left'>{cell}</th>" for cell in rows[0])
    body = "".join(f"<tr>{''.join(f'<td>{cell}</td>' for cell in row)}</tr>" for row in rows[1:])
    heading = f"<tr>{head}</tr>" if any(rows[0]) else ""
    return f"<table width='100%' cellspacing='0' cellpadding='5'>{heading}{body}</table>"


def _inline(text: str, resolve: Resolve) -> str:
    made, end = [], 0
    for found in _SPAN.finditer(text):
        made.append(escape(text[end:found.start()], quote=False))
        made.append(_span(found, resolve))
        end = found.end()
    made.append(escape(text[end:], quote=False))
    return "".join(made)


def _span(found: re.Match[str], resolve: Resolve) -> str:
    if found["code"]:
        return f"<code>{escape(found['code'], quote=False)}</code>"
    if found["strong"]:
        return f"<b>{_inline(found['strong'], resolve)}</b>"
    if found["em"]:
        return f"<i>{_inline(found['em'], resolve)}</i>"
    return f'<a href="{escape(resolve(found["to"]))}">{_inline(found["text"], resolve)}</a>'
