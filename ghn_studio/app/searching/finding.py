"""Find nodes by what they are called, what they are, and what is known about them.

The query language, all parts of which must hold:

- a word is looked for in a node's name, its operator's title and id, ignoring capitals; where
  no node has it, letters in order are enough (``app/fuzzy.py``);
- ``"quoted text"`` is looked for in the name exactly as written;
- ``key=value``, ``key!=value``, ``key>value`` and ``<``, ``>=``, ``<=`` compare a parameter, by
  its name or a word of it (``kernel=7``, ``channels=64``, ``bias=no``), or a figure
  (:data:`FIGURES`: ``params>1e6``, ``memory>2MB``), or ``op=``, ``group=``, ``in=`` and ``out=``;
- ``problem``, ``bypassed`` and ``shared`` name a state.

Several numbers of one parameter (3×3, or the extents of a shape) match if one of them does;
``kernel=1x7`` compares them all, ``out=7x7`` the last of a shape.
"""

from __future__ import annotations

import math
import operator
import re
from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass
from functools import lru_cache
from typing import Any, TypeAlias

from ghn_studio.app.drawing.figures import Figures
from ghn_studio.app.searching import fuzzy
from ghn_studio.ir.graph import Node, NodeId
from ghn_studio.ops.spec import OpSpec

_SIGNS: dict[str, Callable[[Any, Any], bool]] = {
    ">=": operator.ge, "<=": operator.le, "!=": operator.ne, "=": operator.eq, ">": operator.gt, "<": operator.lt,
}
_PIECE = re.compile(r'"([^"]*)"?|(\S+)')
_COMPARISON = re.compile(r"([A-Za-z_][\w.]*)(>=|<=|!=|=|>|<)(.*)")
_NUMBER = re.compile(r"([-+]?(?:\d+\.?\d*|\.\d+)(?:e[-+]?\d+)?)\s*([kmgt]?)(i?b)?", re.IGNORECASE)
_UNITS = {"": 0, "k": 1, "m": 2, "g": 3, "t": 4}

#: Figures by the names they are asked for: the values of the nodes that have one.
FIGURES: Mapping[str, Callable[[Figures], Mapping[NodeId, float]]] = {
    "params": lambda f: f.parameters,
    "parameters": lambda f: f.parameters,
    "macs": lambda f: f.macs,
    "memory": lambda f: f.memory,
    "field": lambda f: {n: max(x.height, x.width) for n, x in f.fields.items()},
    "depth": lambda f: f.layers,
}
_STATES = ("problem", "bypassed", "shared")
_TEXTS = ("op", "group", "in", "out", "name")

#: Whether a term holds for a node.
Test: TypeAlias = Callable[[Node], bool]


@dataclass(frozen=True, slots=True)
class Term:
    """One part of a query: a word, a quoted text (``is_exact``), or a comparison (``sign`` is not empty)."""

    text: str
    sign: str = ""
    value: str = ""
    is_exact: bool = False


@dataclass(frozen=True, slots=True)
class Found:
    """The nodes that match, in topological order.

    ``is_fuzzy`` is set where no node has the words as typed; ``note`` is a sentence about a
    part of the query that means nothing here, or is not finished.
    """

    nodes: tuple[NodeId, ...] = ()
    is_fuzzy: bool = False
    note: str = ""


def parse(query: str) -> tuple[Term, ...]:
    """Take a query apart. Every text is a query: what is no comparison is a word."""
    terms = []
    for quoted, piece in _PIECE.findall(query):
        if not piece:
            terms.extend([Term(quoted, is_exact=True)] if quoted else [])
            continue
        compared = _COMPARISON.fullmatch(piece)
        terms.append(Term(compared[1], compared[2], compared[3].strip('"')) if compared else Term(piece))
    return tuple(terms)


def find(query: str, figures: Figures) -> Found:
    """The nodes of a network that match a query. An empty query, or one of unfinished parts only, finds nothing."""
    terms = parse(query)
    notes = [note for term in terms if (note := _note(term, figures))]
    ready = [term for term in terms if not (term.sign and not term.value)]
    if not ready or notes:
        return Found(note=notes[0] if notes else "")
    order = _ordered(figures)
    words = [t for t in ready if not t.sign and not t.is_exact]
    hits = _all(order, [_test(t, figures) for t in ready])
    if hits or not words:
        return Found(hits)
    loose = [_fuzzy(t.text, figures) if t in words else _test(t, figures) for t in ready]
    hits = _all(order, loose)
    return Found(hits, is_fuzzy=bool(hits))


def _ordered(figures: Figures) -> tuple[Node, ...]:
    """Producers first; what lies on a cycle, and behind it, last."""
    graph = figures.graph
    return (*graph.topological(), *(graph.nodes[n] for n in graph.cycle()))


def _all(nodes: Iterable[Node], tests: list[Test]) -> tuple[NodeId, ...]:
    return tuple(node.id for node in nodes if all(test(node) for test in tests))


def _test(term: Term, figures: Figures) -> Test:
    if term.is_exact:
        return lambda node: term.text in node.id
    if term.sign:
        return _comparison(term, figures)
    wanted, named = term.text.lower(), _named(term.text.lower(), figures)
    if wanted.removesuffix("s") in _STATES:
        state = _state(wanted.removesuffix("s"), figures)
        return lambda node: state(node) or named(node)
    return named


def _named(wanted: str, figures: Figures) -> Test:
    ops = figures.ops
    kinds: dict[str, bool] = {}  # a network has few operators

    def is_kind(op: str) -> bool:
        if op not in kinds:
            title = ops[op].title.lower() if op in ops else ""
            kinds[op] = wanted in op or wanted in title or wanted in title.replace(" ", "")
        return kinds[op]

    return lambda node: is_kind(node.op) or wanted in node.id.lower() or wanted in _foreign(node)


def _foreign(node: Node) -> str:
    """What the file a foreign node came from calls it."""
    return str(getattr(node.params, "kind", "")).lower()


def _fuzzy(word: str, figures: Figures) -> Test:
    ops = figures.ops
    return lambda node: fuzzy.match(word, node.id) is not None or (
        node.op in ops and fuzzy.match(word, ops[node.op].title) is not None
    )


def _state(name: str, figures: Figures) -> Test:
    if name == "bypassed":
        return lambda node: node.bypassed
    if name == "shared":
        graph = figures.graph
        return lambda node: len(graph.sharing(node.id)) > 1
    wrong = {p.node for p in figures.shapes.problems}
    return lambda node: node.id in wrong


def _comparison(term: Term, figures: Figures) -> Test:
    key = term.text.lower()
    if key in _TEXTS:
        return _text_comparison(key, term, figures)
    by_parameter = _by_parameter(key, term, figures)
    if key not in FIGURES:
        return by_parameter
    values, compared = FIGURES[key](figures), _matcher(term)
    return lambda node: compared(values.get(node.id, 0)) or by_parameter(node)


def _by_parameter(key: str, term: Term, figures: Figures) -> Test:
    ops, compared = figures.ops, _matcher(term)

    def test(node: Node) -> bool:
        names = _fields(ops[node.op], key) if node.op in ops else ()
        return any(compared(getattr(node.params, name)) for name in names)

    return test


def _text_comparison(key: str, term: Term, figures: Figures) -> Test:
    wanted, negated = term.value.lower(), term.sign == "!="
    if key in ("in", "out"):
        specs, compared = figures.shapes.inputs if key == "in" else figures.shapes.outputs, _matcher(term)
        return lambda node: any(compared(tuple(d for d in x.shape[1:] if isinstance(d, int)))
                                for x in specs.get(node.id, ()))
    if key == "name":
        return lambda node: (wanted in node.id.lower()) != negated
    if key == "group":
        inside = [path + "." for path, group in figures.graph.groups.items()
                  if path.lower() == wanted or path.lower().endswith("." + wanted) or group.title.lower() == wanted]
        return lambda node: (node.id.startswith(tuple(inside)) or node.id.lower().startswith(wanted + ".")) != negated
    ops = figures.ops
    return lambda node: (wanted in (node.op, _foreign(node), ops[node.op].title.lower() if node.op in ops else "")
                         ) != negated


def _matcher(term: Term) -> Callable[[Any], bool]:
    """Compares one parameter or figure with the value typed."""
    compare, text = _SIGNS[term.sign], term.value.lower()
    number = as_number(text)
    sizes = tuple(int(part) for part in re.split("[x×,]", text)) if re.fullmatch(r"\d+([x×,]\d+)+", text) else None
    truth = {"yes": True, "true": True, "on": True, "1": True,
             "no": False, "false": False, "off": False, "0": False}.get(text)

    def matches(value: Any) -> bool:
        if isinstance(value, bool):
            return truth is not None and compare(value, truth)
        if isinstance(value, tuple):
            if sizes is not None:
                return all(isinstance(part, int) for part in value) and compare(value[-len(sizes):], sizes)
            parts = [matches(part) for part in value]
            return all(parts) if term.sign == "!=" else any(parts)
        if isinstance(value, int | float):
            return number is not None and compare(value, number)
        return compare(str(value).lower(), text)

    return matches


def as_number(text: str) -> float | None:
    """``7``, ``1e6``, ``2.5k``, ``3M`` as numbers, ``2MB`` in bytes (a kB being 1,024); None for anything else."""
    found = _NUMBER.fullmatch(text.strip())
    if found is None:
        return None
    base = 1024.0 if found[3] else 1000.0
    return float(found[1]) * math.pow(base, _UNITS[found[2].lower()])


@lru_cache(maxsize=4096)
def _fields(spec: OpSpec[Any], key: str) -> tuple[str, ...]:
    """The parameters that a key means: the one called so, or those with a word that begins so."""
    plain = key.replace("_", "")
    exact = tuple(f.name for f in spec.form if f.name.replace("_", "") == plain)
    if exact:
        return exact
    return tuple(f.name for f in spec.form if _has_word(f.name, key) or _has_word(f.label, key))


def _has_word(text: str, key: str) -> bool:
    words = re.split(r"[\s_]+", text.lower())
    plain = key.replace("_", "")
    return any("".join(words[i:]).startswith(plain) for i in range(len(words)))


def _note(term: Term, figures: Figures) -> str:
    """What keeps a comparison from meaning something, or an empty text."""
    if not term.sign:
        return ""
    key = term.text.lower()
    if not term.value:
        return f"What should {term.text} {_WORDS[term.sign]}?"
    if key in _TEXTS or key in FIGURES:
        if key in FIGURES and as_number(term.value) is None:
            return f"{term.text} is a number; '{term.value}' is none."
        return ""
    used = {node.op for node in figures.graph.nodes.values()}
    if any(op in figures.ops and _fields(figures.ops[op], key) for op in used):
        return ""
    return f"No node here has a parameter '{term.text}'."


_WORDS = {"=": "be", "!=": "not be", ">": "be greater than", "<": "be less than", ">=": "be at least",
          "<=": "be at most"}
