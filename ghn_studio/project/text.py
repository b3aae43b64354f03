"""The JSON of a project: plain data first, migrated step by step, then objects.

One node per line, so that versions of a network compare well as text. The table
``operators`` names the version of each operator used; parameters written by an older
one pass through the registry's upgrades.
"""

from __future__ import annotations

import json
from collections.abc import Callable, Mapping
from dataclasses import fields
from functools import cache
from types import MappingProxyType
from typing import Any, get_type_hints

from ghn_studio.errors import ArchitectureError, ProjectError
from ghn_studio.ir.graph import Architecture, Group, Node, NodeId, Source, is_valid_id
from ghn_studio.ops.catalog import REGISTRY
from ghn_studio.ops.registry import OpRegistry
from ghn_studio.ops.spec import OpSpec
from ghn_studio.project.fields import Json, Place, decode, encode, only, parse, require, typed
from ghn_studio.project.model import Note, Position, Project, ValuesRecord

FORMAT = "ghn-studio"
VERSION = 2


def _with_view(data: Json) -> Json:
    """Version 2 adds what may be left out: bypassed nodes, collapsed groups, pins and notes."""
    return {**data, "version": 2}


#: Format version -> the step to the next one, on plain data.
MIGRATIONS: Mapping[int, Callable[[Json], Json]] = {1: _with_view}

#: More nodes than any network a person could work with; a larger file is an attack.
MAX_NODES = 200_000
MAX_ID_LENGTH = 400
MAX_NOTES = 10_000

_TOP = frozenset({"format", "version", "name", "title", "summary", "operators", "nodes", "groups", "layout",
                  "collapsed", "pinned", "notes", "values"})
_NODE = frozenset({"id", "op", "params", "inputs", "shares", "bypassed"})
_GROUP = frozenset({"path", "title", "repeat"})
_NOTE_PLACE = ("x", "y", "width", "height")
_NOTE = frozenset({"text", "frame", *_NOTE_PLACE})
_VALUES = frozenset({"file", "sha256", "origin"})


def dumps(project: Project, ops: OpRegistry = REGISTRY) -> str:
    """Return the text of a project file. Equal projects give equal texts.

    Raises:
        UnknownOperatorError: A node's operator is not in ``ops``.
    """
    graph = project.architecture
    used = sorted({node.op for node in graph.nodes.values()})
    head: Json = {"format": FORMAT, "version": VERSION, "name": graph.name, "title": project.title,
                  "summary": project.summary, "operators": {op: ops[op].version for op in used}}
    lines = [f" {_json(key)}: {_json(value)}" for key, value in head.items()]
    lines.append(_block("nodes", "[]", [_json(_node_data(n)) for n in graph.nodes.values()]))
    lines.append(_block("groups", "[]", [_json({"path": g.path, "title": g.title, "repeat": g.repeat})
                                         for g in graph.groups.values()]))
    places = {k: xy for k, xy in project.layout.items() if k in graph.nodes or k in graph.groups}
    lines.append(_block("layout", "{}", [f"{_json(k)}: {_json([*map(_coordinate, xy)])}" for k, xy in places.items()]))
    if project.collapsed:
        lines.append(f" {_json('collapsed')}: {_json(sorted(project.collapsed))}")
    if project.pinned:
        lines.append(f" {_json('pinned')}: {_json(sorted(project.pinned))}")
    if project.notes:
        lines.append(_block("notes", "{}", [f"{_json(k)}: {_json(_note_data(n))}" for k, n in project.notes.items()]))
    if project.values is not None:
        v = project.values
        lines.append(f" {_json('values')}: {_json({'file': v.file, 'sha256': v.sha256, 'origin': dict(v.origin)})}")
    return "{\n" + ",\n".join(lines) + "\n}\n"


def loads(text: str, ops: OpRegistry = REGISTRY, *, source: str = "project") -> Project:
    """Return the project in ``text``; ``source`` names it in errors.

    Values are marked missing: a text has no neighbouring file (:func:`project.read` looks).

    Raises:
        ProjectError: The text is damaged, written by a newer version, or uses an operator
            or an operator version that ``ops`` does not hold.
    """
    check_size(text, source)
    return from_data(parse(text, source), ops, Place(source))


def check_size(text: str, source: str) -> None:
    """Refuse a text with more objects than the largest project has, before the memory is full of them.

    Raises:
        ProjectError: There are too many.
    """
    # A node has an object for itself and one for its parameters, and lists for its inputs, its place and some sizes.
    objects = text.count("{")
    if objects > 3 * MAX_NODES or text.count("[") > 12 * MAX_NODES:
        (Place(source) / "nodes").fail(f"at most {MAX_NODES} nodes", f"{objects} objects", "Choose another file.")


def from_data(data: Json, ops: OpRegistry, place: Place) -> Project:
    """The project in the plain data of a file; :func:`loads` after parsing."""
    data = _migrated(data, place)
    only(data, _TOP, place)
    graph = _architecture(data, ops, place)
    return Project(
        graph, _layout(data, graph, place), _values(data, place),
        typed(str, data.get("title", ""), place / "title"), typed(str, data.get("summary", ""), place / "summary"),
        frozenset(_texts(data, "collapsed", place) & graph.groups.keys()),
        frozenset(_texts(data, "pinned", place) & (graph.nodes.keys() | graph.groups.keys())),
        _notes(data, place),
    )


def _json(value: Any) -> str:
    return json.dumps(value, ensure_ascii=False, allow_nan=False)


def _block(key: str, brackets: str, items: list[str]) -> str:
    if not items:
        return f" {_json(key)}: {brackets}"
    return f" {_json(key)}: {brackets[0]}\n  " + ",\n  ".join(items) + f"\n {brackets[1]}"


def _coordinate(value: float) -> float | int:
    # A tenth of a pixel is below what can be seen; whole numbers are written without a point.
    rounded = round(float(value), 1)
    return int(rounded) if rounded.is_integer() else rounded


def _node_data(node: Node) -> Json:
    params = {f.name: encode(getattr(node.params, f.name)) for f in fields(node.params)}
    data: Json = {"id": node.id, "op": node.op, "params": params, "inputs": [_source_text(s) for s in node.inputs]}
    if node.shares is not None:
        data["shares"] = node.shares
    if node.bypassed:
        data["bypassed"] = True
    return data


def _note_data(note: Note) -> Json:
    place = {key: _coordinate(getattr(note, key)) for key in _NOTE_PLACE}
    return {"text": note.text, **place, **({"frame": True} if note.is_frame else {})}


def _source_text(source: Source | None) -> str | None:
    if source is None:
        return None
    return f"{source.node}:{source.port}" if source.port else source.node


def _migrated(data: Json, place: Place) -> Json:
    if data.get("format") != FORMAT:
        (place / "format").fail(f'"{FORMAT}"', data.get("format"), "Choose a GHN Studio project (.ghn).")
    version = require(data, "version", int, place)
    if version > VERSION:
        (place / "version").fail(f"at most {VERSION}", version, "A newer GHN Studio wrote the file; update this one.")
    if version < 1:
        (place / "version").fail("at least 1", version)
    for step in range(version, VERSION):
        data = MIGRATIONS[step](data)
    return data


def _architecture(data: Json, ops: OpRegistry, place: Place) -> Architecture:
    versions = require(data, "operators", dict, place)
    records = require(data, "nodes", list, place)
    if len(records) > MAX_NODES:
        (place / "nodes").fail(f"at most {MAX_NODES} nodes", len(records), "Choose another file.")
    specs = {op: _spec(op, ops, place / "operators") for op in versions}
    stored = {op: _op_version(versions[op], spec, place / "operators" / op) for op, spec in specs.items()}
    nodes = []
    for index, record in enumerate(records):
        name = record.get("id") if isinstance(record, dict) else None
        nodes.append(_node(record, specs, stored, (place / "nodes").item(index, name)))
    blocks = typed(list, data.get("groups", []), place / "groups")
    groups = [_group(block, (place / "groups").item(i)) for i, block in enumerate(blocks)]
    try:
        graph = Architecture.build(nodes, groups, require(data, "name", str, place))
    except ArchitectureError as error:
        raise ProjectError(f"{place.source}: {error}. Restore the file from a copy or correct it.") from error
    _check_expansion(graph, place / "groups")
    return graph


def _spec(op: str, ops: OpRegistry, place: Place) -> OpSpec[Any]:
    if op not in ops:
        place.fail("operators this version knows", op, "Update GHN Studio, or remove the nodes that use it.")
    return ops[op]


def _op_version(found: Any, spec: OpSpec[Any], place: Place) -> int:
    version: int = typed(int, found, place)
    if not 1 <= version <= spec.version:
        place.fail(f"version 1 to {spec.version} of {spec.title}", version, "Update GHN Studio.")
    return version


def _node(record: Any, specs: Mapping[str, OpSpec[Any]], versions: Mapping[str, int], place: Place) -> Node:
    data = typed(dict, record, place)
    only(data, _NODE, place)
    op = require(data, "op", str, place)
    if op not in specs:
        (place / "op").fail("an operator listed under 'operators'", op)
    params = require(data, "params", dict, place)
    params = _upgraded(params, specs[op], versions[op], place / "params")
    sources = typed(list, data.get("inputs", []), place / "inputs")
    inputs = tuple(_source(s, (place / "inputs").item(i)) for i, s in enumerate(sources))
    node_id = _id(require(data, "id", str, place), place / "id")
    owner = _id(require(data, "shares", str, place), place / "shares") if "shares" in data else None
    bypassed = typed(bool, data.get("bypassed", False), place / "bypassed")
    return Node(node_id, op, _params(specs[op].params, params, place / "params"), inputs, owner, bypassed)


def _upgraded(params: Json, spec: OpSpec[Any], version: int, place: Place) -> Json:
    found = params
    for step in range(version, spec.version):
        try:
            found = spec.upgrades[step](found)
        except (LookupError, TypeError, ValueError):  # upgrades expect what that version wrote
            place.fail(f"parameters of {spec.title} version {step}", params)
    return found


def _id(text: str, place: Place) -> NodeId:
    if len(text) > MAX_ID_LENGTH or not is_valid_id(text):
        place.fail("dotted parts of letters, digits and '_'", text)
    return NodeId(text)


def _source(value: Any, place: Place) -> Source | None:
    if value is None:
        return None
    node, colon, port = typed(str, value, place).partition(":")
    if colon and not (port.isascii() and port.isdigit() and len(port) < 6):
        place.fail("NODE or NODE:OUTPUT", value)
    return Source(_id(node, place), int(port) if colon else 0)


@cache
def _hints(params: type) -> Mapping[str, Any]:
    return MappingProxyType({f.name: get_type_hints(params)[f.name] for f in fields(params)})


def _params(kind: type, data: Json, place: Place) -> Any:
    hints = _hints(kind)
    only(data, frozenset(hints), place)
    return kind(**{name: decode(hint, _entry(data, name, place), place / name) for name, hint in hints.items()})


def _entry(data: Json, name: str, place: Place) -> Any:
    if name not in data:
        place.fail(f"a value for '{name}'", list(data))
    return data[name]


def _group(record: Any, place: Place) -> Group:
    data = typed(dict, record, place)
    only(data, _GROUP, place)
    repeat = typed(int, data.get("repeat", 1), place / "repeat")
    if repeat < 1:
        (place / "repeat").fail("at least 1", repeat)
    path = _id(require(data, "path", str, place), place / "path")
    return Group(path, typed(str, data.get("title", ""), place / "title"), repeat)


def _check_expansion(graph: Architecture, place: Place) -> None:
    """Refuse repeats that would write out more nodes than :data:`MAX_NODES`."""
    repeated = {g.path: g.repeat for g in graph.groups.values() if g.repeat > 1}
    if not repeated:
        return
    total = 0
    for node_id in graph.nodes:
        copies, parts = 1, node_id.split(".")
        for depth in range(1, len(parts)):
            copies *= repeated.get(".".join(parts[:depth]), 1)
        total += copies
    if total > MAX_NODES:
        place.fail(f"at most {MAX_NODES} nodes when written out", total, "Lower the number of repeats.")


def _layout(data: Json, graph: Architecture, place: Place) -> Mapping[NodeId, Position]:
    """Positions by id; those of nodes that are no longer there are dropped, as they place nothing."""
    where = place / "layout"
    found = typed(dict, data.get("layout", {}), where)
    places = {NodeId(k): decode(tuple[float, float], xy, where / k) for k, xy in found.items()}
    return MappingProxyType({k: xy for k, xy in places.items() if k in graph.nodes or k in graph.groups})


def _texts(data: Json, key: str, place: Place) -> set[str]:
    """A list of names; the caller drops those that name nothing any more."""
    where = place / key
    return {typed(str, name, where.item(i)) for i, name in enumerate(typed(list, data.get(key, []), where))}


def _notes(data: Json, place: Place) -> Mapping[str, Note]:
    where = place / "notes"
    found = typed(dict, data.get("notes", {}), where)
    if len(found) > MAX_NOTES:
        where.fail(f"at most {MAX_NOTES} notes", len(found), "Choose another file.")
    return MappingProxyType({key: _note(record, where / key) for key, record in found.items()})


def _note(record: Any, place: Place) -> Note:
    data = typed(dict, record, place)
    only(data, _NOTE, place)
    x, y, width, height = (decode(float, _entry(data, key, place), place / key) for key in _NOTE_PLACE)
    if width <= 0 or height <= 0:
        place.fail("a width and a height above 0", [width, height])
    return Note(require(data, "text", str, place), x, y, width, height,
                typed(bool, data.get("frame", False), place / "frame"))


def _values(data: Json, place: Place) -> ValuesRecord | None:
    if data.get("values") is None:
        return None
    where = place / "values"
    record = typed(dict, data["values"], where)
    only(record, _VALUES, where)
    file = require(record, "file", str, where)
    if not file or file in (".", "..") or any(c in file for c in "/\\:\0"):
        (where / "file").fail("the name of a file in the project's folder", file)
    sha256 = require(record, "sha256", str, where)
    if len(sha256) != 64 or set(sha256) - set("0123456789abcdef"):
        (where / "sha256").fail("64 hexadecimal digits", sha256)
    origin = require(record, "origin", dict, where)
    require(origin, "kind", str, where / "origin")
    return ValuesRecord(file, sha256, origin, missing=True)
