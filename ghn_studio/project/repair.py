"""Reading what can be read: damaged projects, and those of newer versions, with a report item by item.

The data is cleaned until the strict reader takes it. Nothing is guessed: what cannot be
read is left out or becomes a default, and every such place is a finding.
"""

from __future__ import annotations

import json
import math
from collections.abc import Callable, Iterator
from dataclasses import MISSING, dataclass, fields
from typing import Any, TypeVar

from ghn_studio.errors import ProjectError
from ghn_studio.ir.graph import NodeId
from ghn_studio.ops.catalog import REGISTRY
from ghn_studio.ops.registry import OpRegistry
from ghn_studio.ops.spec import OpSpec
from ghn_studio.project import text as strict
from ghn_studio.project.fields import FieldError, Json, Place, decode, encode, shown, typed
from ghn_studio.project.model import Project

T = TypeVar("T")

#: A report longer than this helps nobody.
MAX_FINDINGS = 500


@dataclass(frozen=True, slots=True)
class Repaired:
    """What could be read of a file, what could not, and the format version it was written in."""

    project: Project
    findings: tuple[str, ...]
    version: int

    @property
    def is_newer(self) -> bool:
        """True if a newer version of the program wrote the file."""
        return self.version > strict.VERSION


def repaired(text: str, ops: OpRegistry = REGISTRY, *, source: str = "project") -> Repaired:
    """Return what can be read of a project file.

    Raises:
        ProjectError: Nothing can: the text is no project, or one of more than
            :data:`~ghn_studio.project.text.MAX_NODES` nodes.
    """
    strict.check_size(text, source)
    report = _Report(source)
    data = _parsed(text, report)
    if data.get("format") != strict.FORMAT:
        (report.place / "format").fail(f'"{strict.FORMAT}"', data.get("format"), "Choose a GHN Studio project (.ghn).")
    version = data.get("version")
    if not isinstance(version, int) or isinstance(version, bool) or version < 1:
        report.say(f"version: expected a whole number, found {shown(version)}; read as version {strict.VERSION}")
        version = strict.VERSION
    for step in range(version, strict.VERSION):
        data = strict.MIGRATIONS[step](data)
    clean = _cleaned({**data, "version": strict.VERSION}, ops, report)
    return Repaired(strict.from_data(clean, ops, report.place), report.findings, version)


class _Report:
    """Collects findings; ``place`` is the file as a whole."""

    def __init__(self, source: str) -> None:
        self.place = Place(source)
        self._findings: list[str] = []
        self._further = 0

    def say(self, finding: str) -> None:
        if len(self._findings) < MAX_FINDINGS:
            self._findings.append(finding)
        else:
            self._further += 1

    @property
    def findings(self) -> tuple[str, ...]:
        return (*self._findings, *([f"and {self._further} more"] if self._further else ()))

    def accepts(self, otherwise: str, read: Callable[..., object], *arguments: object) -> bool:
        """True if ``read`` takes its arguments; else a finding that ends with what becomes of the item."""
        try:
            read(*arguments)
        except FieldError as error:
            self.say(f"{error.finding}; {otherwise}")
            return False
        return True

    def known(self, data: Json, allowed: frozenset[str], place: Place) -> Json:
        """``data`` without entries that this version does not know."""
        for key in data:
            if key not in allowed:
                self.say(f"{(place / key).path}: not known to this version, left out")
        return {k: v for k, v in data.items() if k in allowed}

    def container(self, kind: type[T], data: Json, key: str) -> T:
        """The list or object under ``key``; an empty one where there is none."""
        found = data.get(key, kind())
        if isinstance(found, kind):
            return found
        self.say(f"{key}: expected {'a list' if kind is list else 'an object'}, found {shown(found)}; left out")
        return kind()


def _parsed(text: str, report: _Report) -> Json:
    """The text as plain data: the first of two equal keys counts, and of a text cut short the lines that are whole."""
    def first(pairs: list[tuple[str, Any]]) -> Json:
        found: Json = {}
        for key, value in pairs:
            if key in found:
                report.say(f"the key {shown(key)} stands twice in one object; the first was taken")
            found.setdefault(key, value)
        return found

    def number(digits: str) -> float | str:
        return float(digits) if math.isfinite(float(digits)) else digits

    def load(part: str) -> Any:
        # What is no finite number stays a text, so that it is found where it stands.
        return json.loads(part, object_pairs_hook=first, parse_constant=str, parse_float=number)

    try:
        data = load(text)
    except (ValueError, RecursionError) as error:
        place = f"line {error.lineno}: " if isinstance(error, json.JSONDecodeError) else ""
        data = _by_lines(text, load)
        if not data:
            raise ProjectError(f"{report.place.source}: this is no GHN Studio project ({error}). "
                               "Choose another file.") from error
        report.say(f"{place}the text is damaged or cut short; whole lines were taken")
    if not isinstance(data, dict):
        return report.place.fail("an object", data, "Choose a GHN Studio project (.ghn).")
    if "\\ud" in text.lower():  # halves of surrogate pairs could not be written again
        data = dict(json.loads(json.dumps(data, ensure_ascii=False).encode("utf-8", "replace")))
    return data


def _by_lines(text: str, load: Callable[[str], Any]) -> Json:
    """What the lines of a file say each for itself: the writer puts every item on a line of its own."""
    data: Json = {}
    block: list[Any] | Json | None = None
    for line in text.splitlines():
        part = line.strip().rstrip(",")
        if part.endswith((": [", ": {")):
            block = data.setdefault(part.split('"')[1] if '"' in part else "", [] if part.endswith("[") else {})
        elif part in ("]", "}"):
            block = None
        elif part not in ("", "{"):
            _add_line(part, data, block, load)
    return data


def _add_line(part: str, data: Json, block: list[Any] | Json | None, load: Callable[[str], Any]) -> None:
    try:
        if isinstance(block, list):
            block.append(load(part))
        else:
            (data if block is None else block).update(load("{" + part + "}"))
    except (ValueError, RecursionError):
        return


def _cleaned(data: Json, ops: OpRegistry, report: _Report) -> Json:
    place = report.place
    clean = report.known(data, strict._TOP, place)
    for key in ("name", "title", "summary"):
        if not isinstance(clean.get(key, ""), str):
            report.say(f"{key}: expected a text, found {shown(clean[key])}; left out")
            clean[key] = ""
    clean.setdefault("name", "untitled")
    versions = _versions(report.container(dict, clean, "operators"), ops, report)
    nodes = list(_nodes(report.container(list, clean, "nodes"), versions, ops, report))
    groups = [
        block for i, record in enumerate(report.container(list, clean, "groups"))
        if (block := _group(record, report, (place / "groups").item(i))) is not None
    ]
    clean |= {"operators": versions, "nodes": _connected(nodes, report), "groups": groups}
    clean["layout"] = _entries(clean, "layout", report, _position)
    clean["notes"] = _entries(clean, "notes", report, strict._note)
    for key in ("collapsed", "pinned"):
        clean[key] = [name for name in report.container(list, clean, key) if isinstance(name, str)]
    if not report.accepts("the record of values was left out", strict._values, clean, place):
        del clean["values"]
    return _unrolled(clean, ops, report)


def _versions(found: Json, ops: OpRegistry, report: _Report) -> dict[str, int]:
    versions = {}
    for op, version in found.items():
        if op not in ops:
            continue  # said at each node that uses it
        newest = ops[op].version
        if not isinstance(version, int) or isinstance(version, bool) or not 1 <= version <= newest:
            report.say(f"operators.{op}: expected version 1 to {newest}, found {shown(version)}; read as {newest}")
            version = newest
        versions[op] = version
    return versions


def _nodes(records: list[Any], versions: dict[str, int], ops: OpRegistry, report: _Report) -> Iterator[Json]:
    if len(records) > strict.MAX_NODES:
        (report.place / "nodes").fail(f"at most {strict.MAX_NODES} nodes", len(records), "Choose another file.")
    seen: set[str] = set()
    for index, record in enumerate(records):
        name = record.get("id") if isinstance(record, dict) else None
        place = (report.place / "nodes").item(index, name)
        node = _node(record, versions, ops, report, place)
        if node is None:
            continue
        if node["id"] in seen:
            report.say(f"{place.path}: a second node of this name; left out")
            continue
        seen.add(node["id"])
        yield node


def _node(record: Any, versions: dict[str, int], ops: OpRegistry, report: _Report, place: Place) -> Json | None:
    if not isinstance(record, dict):
        report.say(f"{place.path}: expected an object, found {shown(record)}; left out")
        return None
    op = record.get("op")
    if not isinstance(op, str) or op not in ops:
        report.say(f"{(place / 'op').path}: expected an operator this version knows, found {shown(op)}; "
                   "the node was left out")
        return None
    if not report.accepts("the node was left out", _id, record.get("id"), place / "id"):
        return None
    if op not in versions:
        report.say(f"operators.{op}: missing; read as version {ops[op].version}")
        versions[op] = ops[op].version
    node = report.known(record, strict._NODE, place)
    node["params"] = _params(node.get("params"), ops[op], versions[op], report, place / "params")
    sources = report.container(list, node, "inputs")
    node["inputs"] = [
        source if report.accepts("left open", strict._source, source, (place / "inputs").item(i)) else None
        for i, source in enumerate(sources)
    ]
    if "shares" in node and not report.accepts("left out", _id, node["shares"], place / "shares"):
        del node["shares"]
    if not isinstance(node.get("bypassed", False), bool):
        found = shown(node.pop("bypassed"))
        report.say(f"{(place / 'bypassed').path}: expected true or false, found {found}; left out")
    return node


def _params(found: Any, spec: OpSpec[Any], version: int, report: _Report, place: Place) -> Json:
    """Parameters in the form of ``version``: as they are if they can be read, else made good in the newest form."""
    data = found if isinstance(found, dict) else {}
    try:
        strict._params(spec.params, strict._upgraded(data, spec, version, place), place)
    except FieldError:
        if version != spec.version:
            report.say(f"{place.path}: expected parameters of {spec.title} version {version}; replaced by defaults")
            return {f.name: encode(_default(f)) for f in fields(spec.params)}
    else:
        if isinstance(found, dict):
            return data
    kind: type = spec.params
    hints = strict._hints(kind)
    clean = report.known(data, frozenset(hints), place)
    for field in fields(spec.params):
        name = field.name
        if name not in clean:
            report.say(f"{(place / name).path}: missing; the default was taken")
            clean[name] = encode(_default(field))
        elif not report.accepts("the default was taken", decode, hints[name], clean[name], place / name):
            clean[name] = encode(_default(field))
    return clean


def _default(field: Any) -> Any:
    # Any: dataclasses.Field of parameters of any type.
    return field.default_factory() if field.default is MISSING else field.default


def _group(record: Any, report: _Report, place: Place) -> Json | None:
    data = report.known(record, strict._GROUP, place) if isinstance(record, dict) else record
    return data if report.accepts("left out", strict._group, data, place) else None


def _entries(data: Json, key: str, report: _Report, read: Callable[[Any, Place], object]) -> Json:
    place = report.place / key
    found = report.container(dict, data, key)
    return {k: v for k, v in found.items() if report.accepts("left out", read, v, place / k)}


def _position(value: object, place: Place) -> object:
    return decode(tuple[float, float], value, place)


def _id(value: object, place: Place) -> NodeId:
    return strict._id(typed(str, value, place), place)


def _connected(nodes: list[Json], report: _Report) -> list[Json]:
    """Nodes whose inputs, owners and names fit together; what does not is cut."""
    paths = {".".join(parts[:i]) for n in nodes for parts in [n["id"].split(".")] for i in range(1, len(parts))}
    for node in nodes:
        if node["id"] in paths:
            report.say(f"'{node['id']}' is a node and also the path of other nodes; the node was left out")
    kept = {n["id"]: n for n in nodes if n["id"] not in paths}
    for node in kept.values():
        for port, source in enumerate(node["inputs"]):
            if source is not None and source.partition(":")[0] not in kept:
                report.say(f"'{node['id']}': input {port} came from '{source.partition(':')[0]}', "
                           "which is not there; left open")
                node["inputs"][port] = None
    _cut_shares(kept, report)
    _cut_cycles(kept, report)
    return list(kept.values())


def _cut_shares(nodes: dict[str, Json], report: _Report) -> None:
    for name, node in nodes.items():
        owner = nodes.get(node.get("shares", name))
        if "shares" in node and (owner is None or owner is node or "shares" in owner or owner["op"] != node["op"]):
            report.say(f"'{name}' shared the parameters of '{node.pop('shares')}', which it cannot; it has its own now")


def _cut_cycles(nodes: dict[str, Json], report: _Report) -> None:
    """Leave open every input that a walk against the wires finds on its own way."""
    done: set[str] = set()
    for start in nodes:
        way: dict[str, int] = {start: 0} if start not in done else {}
        while way:
            name = next(reversed(way))
            inputs = nodes[name]["inputs"]
            if way[name] == len(inputs):
                done.add(name)
                del way[name]
                continue
            port, way[name] = way[name], way[name] + 1
            source = (inputs[port] or "").partition(":")[0]
            if source in way:
                report.say(f"'{source}' → '{name}' closed a cycle; the input was left open")
                inputs[port] = None
            elif source and source not in done:
                way[source] = 0


def _unrolled(data: Json, ops: OpRegistry, report: _Report) -> Json:
    """``data``, with no repeats where those would write out more nodes than there may be."""
    try:
        strict.from_data(data, ops, report.place)
    except FieldError as error:
        report.say(f"{error.finding}; every group counts once")
        return {**data, "groups": [{**group, "repeat": 1} for group in data["groups"]]}
    return data
