"""The manual: chapters from ``resources/manual`` and a page for every operator, as HTML bodies. No Qt.

Addresses are ``manual:NAME`` for chapters, ``manual:op/ID`` for operators, ``example:NAME`` for
networks to open; anything else is an address on the web.
"""

from __future__ import annotations

import re
from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from functools import cached_property
from pathlib import Path
from typing import Any

from ghn_studio import paths
from ghn_studio.app.architectures import EXAMPLE, example_names
from ghn_studio.app.exchange.exporting import FORMATS
from ghn_studio.app.helping import markup, operator_pages
from ghn_studio.app.tasks import TASKS
from ghn_studio.errors import GhnStudioError
from ghn_studio.ops.registry import OpRegistry
from ghn_studio.ops.spec import Category, OpSpec

SCHEME = "manual:"
OPERATOR = f"{SCHEME}op/"
#: The page with the list of chapters, where reading begins.
CONTENTS = f"{SCHEME}contents"
#: Most pages a search lists.
MOST_HITS = 30

_PLACEHOLDER = re.compile(r"\{\{(\w+)\}\}")


class ManualError(GhnStudioError):
    """There is no such page, or a chapter cannot be completed."""


@dataclass(frozen=True, slots=True)
class Page:
    """One page. ``markdown`` is complete: nothing is left to fill in."""

    address: str
    title: str
    markdown: str

    @property
    def html(self) -> str:
        """The page as the inside of an HTML body, its links as addresses."""
        return markup.to_html(self.markdown, resolve)


@dataclass(frozen=True, slots=True)
class Hit:
    """A page that a search found, and the words around the place."""

    address: str
    title: str
    excerpt: str


class Manual:
    """Makes pages on request; reads the chapters when the first is asked for."""

    def __init__(self, ops: OpRegistry, fills: Mapping[str, str], folder: Path | None = None) -> None:
        """``fills`` is Markdown for the placeholders ``{{name}}`` that only the caller knows: keys and gestures."""
        self._ops = ops
        self._given = fills
        self._folder = folder or paths.resources() / "manual"

    @cached_property
    def chapters(self) -> Mapping[str, Page]:
        """The chapters by address, in reading order.

        Raises:
            ManualError: A chapter has no heading, or a placeholder nobody fills.
        """
        found = {}
        for file in sorted(self._folder.glob("*.md")):
            name = file.stem.partition("-")[2]
            text = self._filled(file.read_text(encoding="utf-8"), file.name)
            title = markup.headline(text)
            if not title:
                raise ManualError(f"the chapter {file.name} does not begin with a heading")
            found[SCHEME + name] = Page(SCHEME + name, title, text)
        return found

    def page(self, address: str) -> Page:
        """The page at an address; what follows ``#`` is left to the reader's view.

        Raises:
            ManualError: There is none.
        """
        plain = address.partition("#")[0]
        if plain == CONTENTS:
            return self._contents()
        if plain.startswith(OPERATOR) and plain.removeprefix(OPERATOR) in self._ops:
            spec = self._ops[plain.removeprefix(OPERATOR)]
            return Page(plain, spec.title, operator_pages.page(spec))
        if plain not in self.chapters:
            raise ManualError(f"the manual has no page '{address}'")
        return self.chapters[plain]

    def addresses(self) -> Iterable[str]:
        """Every page: the contents, the chapters and the operators."""
        yield CONTENTS
        yield from self.chapters
        yield from (OPERATOR + spec.id for spec in self._shown())

    def prepare(self) -> Iterator[None]:
        """Read in small steps what the first page would otherwise wait for; each takes a few milliseconds."""
        for name in example_names():
            operator_pages.example_facts(name)
            yield
        for make in (lambda: self.chapters, lambda: self._index):
            make()
            yield

    def search(self, text: str) -> tuple[Hit, ...]:
        """Pages in which every word occurs, those with it in their title first."""
        words = text.lower().split()
        if not words:
            return ()
        ranked = []
        for place, (address, title, body) in enumerate(self._index):
            low = f"{title} {body}".lower()
            if all(word in low for word in words):
                rank = sum(3 if title.lower().startswith(w) else 2 if w in title.lower() else 0 for w in words)
                ranked.append((-rank, place, Hit(address, title, _excerpt(body, words))))
        return tuple(hit for _, _, hit in sorted(ranked, key=lambda r: r[:2]))[:MOST_HITS]

    @cached_property
    def _index(self) -> tuple[tuple[str, str, str], ...]:
        chapters = [(page.address, page.title, markup.plain(page.markdown)) for page in self.chapters.values()]
        return (*chapters, *((OPERATOR + s.id, s.title, _words(s)) for s in self._shown()))

    def _shown(self) -> list[OpSpec[Any]]:
        return [spec for spec in self._ops if spec.category is not Category.HIDDEN]

    def _contents(self) -> Page:
        lines = ["# Manual", ""]
        lines += [f"- [{page.title}]({page.address})" for page in self.chapters.values()]
        return Page(CONTENTS, "Manual", "\n".join(lines))

    def _filled(self, text: str, file: str) -> str:
        makers = {"operators": self._operators, "tasks": _tasks, "examples": _example_list, "formats": _formats}

        def fill(found: re.Match[str]) -> str:
            name = found.group(1)
            if name in self._given:
                return self._given[name]
            if name not in makers:
                raise ManualError(f"nobody fills in '{name}' of the chapter {file}")
            return makers[name]()

        return _PLACEHOLDER.sub(fill, text)

    def _operators(self) -> str:
        parts = []
        for category in Category:
            specs = [s for s in self._shown() if s.category is category]
            if specs:
                rows = [f"| [{s.title}](op:{s.id}) | {s.summary} |" for s in specs]
                parts.append("\n".join([f"## {category}", "", "| Operator | What it does |", "|---|---|", *rows]))
        return "\n\n".join(parts)


def resolve(target: str) -> str:
    """The address a link of a chapter stands for: ``canvas.md`` and ``op:conv2d`` are the manual's own."""
    if target.startswith("op:"):
        return OPERATOR + target.removeprefix("op:")
    name, _, anchor = target.partition("#")
    if name.endswith(".md") and "/" not in name:
        return SCHEME + name.removesuffix(".md") + (f"#{anchor}" if anchor else "")
    return target


def table(head: Sequence[str], rows: Iterable[Sequence[str]]) -> str:
    """A Markdown table; bars in cells are written as the similar ``∣``."""
    lines = [head, ["---"] * len(head), *rows]
    return "\n".join(f"| {' | '.join(cell.replace('|', '∣') for cell in line)} |" for line in lines)


def _tasks() -> str:
    parts = []
    for task in TASKS:
        shown = "\n".join(f"ghn-studio {task.id} {line}" for line in task.examples)
        parts.append(f"## {task.id}\n\n{task.summary}" + (f"\n\n```\n{shown}\n```" if shown else ""))
    return "\n\n".join(parts)


def _formats() -> str:
    return table(("File", "What it holds"), ((f"`{ending}`", title) for ending, title in FORMATS.items()))


def _example_list() -> str:
    known = map(operator_pages.example_facts, example_names())
    return "\n".join(f"- [{facts.title}]({EXAMPLE}{facts.name}): {facts.summary}" for facts in known)


def _words(spec: OpSpec[Any]) -> str:
    labels = ", ".join(line.label for line in spec.form)
    return f"{spec.summary} {spec.category}. {spec.id} {labels}"


def _excerpt(body: str, words: Sequence[str]) -> str:
    """Some words around the first place one of ``words`` occurs."""
    low = body.lower()
    at = min((found for word in words if (found := low.find(word)) >= 0), default=0)
    start = max(0, body.rfind(" ", 0, max(0, at - 50)) + 1)
    end = body.find(" ", min(len(body), at + 90))
    cut = body[start:] if end < 0 else body[start:end]
    return ("…" if start else "") + cut + ("…" if end >= 0 else "")
