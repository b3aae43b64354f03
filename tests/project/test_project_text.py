"""Project files: what is written is read back; what is damaged is refused with a place and a way out."""

from __future__ import annotations

import json
from collections.abc import Callable
from contextlib import suppress
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from ghn_studio import project
from ghn_studio.errors import ProjectError
from ghn_studio.ir import Architecture, Group, Node, NodeId, Source
from ghn_studio.ops import REGISTRY, OpRegistry
from ghn_studio.ops.spec import Category, Example, OpSpec, call, form_of, param

GOLDEN = Path(__file__).with_name("golden")


def rewritten(text: str) -> bool:
    """True if writing what was read changes no line but those of operators that have moved on since."""
    found = project.loads(text)
    old = json.loads(text)["operators"]
    newer = [f'"op": "{op}"' for op, version in old.items() if REGISTRY[op].version > version]
    newer += ['"operators"', ' "version": ']
    kept = [line for line in text.splitlines() if not any(mark in line for mark in newer)]
    lines = project.dumps(found).splitlines()
    assert project.loads(project.dumps(found)).architecture == found.architecture
    return [line for line in lines if not any(mark in line for mark in newer)] == kept


def test_the_golden_file_of_format_1_is_read_and_written_again() -> None:
    """Never edit the file: it stands for everything users saved with format 1."""
    text = (GOLDEN / "v1.ghn").read_text(encoding="utf-8")
    found = project.loads(text)
    graph = found.architecture
    assert (graph.name, found.title, found.summary) == ("golden_é", "Golden “one”", "Every kind of entry of format 1.")
    assert graph.nodes[NodeId("stem.conv")].params == REGISTRY["conv2d"].params(
        8, (1, 7), padding=(0, 3), bias=False)
    assert graph.nodes[NodeId("gate")].inputs == (Source(NodeId("parts"), 1), Source(NodeId("parts")))
    assert graph.nodes[NodeId("loose")].inputs == (None, Source(NodeId("flat")))
    assert graph.nodes[NodeId("odd")].params.shapes == ((4, 7, 8), (2,))
    assert graph.groups["block"] == Group("block", "Encoder block", 3)
    assert found.layout == {"image": (0.0, 0.0), "stem.conv": (176.5, -24.0), "block": (400.0, 12.3)}
    assert found.values is not None
    assert found.values.missing
    assert found.values.origin == {"kind": "predicted", "ghn": "ghn2-digits", "seed": 7}
    assert rewritten(text)


def test_format_2_adds_what_is_drawn_and_what_is_bypassed() -> None:
    text = (GOLDEN / "v2.ghn").read_text(encoding="utf-8")
    found = project.loads(text)
    assert [n.id for n in found.architecture.nodes.values() if n.bypassed] == ["block.sum"]
    assert (found.collapsed, found.pinned) == ({"block"}, {"block", "head"})
    assert found.notes["note_1"] == project.Note("Why\nthis “stem”?", 0.0, -80.5, 200.0, 64.0)
    assert found.notes["frame"].is_frame
    assert rewritten(text)
    assert '"version": 2' in project.dumps(found)


@pytest.mark.parametrize(("note", "message"), [
    ({"text": "a", "x": 0, "y": 0, "width": 0, "height": 5}, r"notes.n: expected a width and a height above 0"),
    ({"text": "a", "x": 0, "y": 0, "width": 5}, r"notes.n: expected a value for 'height'"),
    ({"text": 3, "x": 0, "y": 0, "width": 5, "height": 5}, r"notes.n.text: expected a text, found 3"),
    ({"text": "", "x": 0, "y": 0, "width": 5, "height": 5, "colour": "red"}, r"notes.n: expected only .*'?\"colour\""),
    ([], r"notes.n: expected an object"),
])
def test_a_note_that_makes_no_sense_is_refused(note: object, message: str) -> None:
    data = json.loads((GOLDEN / "v2.ghn").read_text(encoding="utf-8"))
    data["notes"] = {"n": note}
    with pytest.raises(ProjectError, match=message):
        project.loads(json.dumps(data))


def test_there_is_a_golden_file_for_every_version() -> None:
    found = {f.stem for f in GOLDEN.glob("*.ghn")}
    assert found == {*(f"v{v}" for v in range(1, project.VERSION + 1)), "v1_sharing"}


def test_the_golden_file_with_shared_and_bare_parameters_is_read_and_written_again() -> None:
    """Format 1 with the entry ``shares``, which files from before it do not have."""
    text = (GOLDEN / "v1_sharing.ghn").read_text(encoding="utf-8")
    graph = project.loads(text).architecture
    assert graph.sharing(NodeId("again")) == ("body.conv", "body.conv_2", "again")
    assert graph.nodes[NodeId("gamma")].params.bare
    assert rewritten(text)


PLAIN = {
    bool: st.booleans(), int: st.integers(-5, 10**6), str: st.text(max_size=8),
    float: st.floats(allow_nan=False, allow_infinity=False, width=64),
}


def any_params(spec: OpSpec[Any]) -> st.SearchStrategy[Any]:
    """Any value the dataclass can hold, in or out of its ranges: a project under work may be wrong."""
    fields = {}
    for line in form_of(spec.params):
        if isinstance(line.default, tuple) and all(isinstance(v, int) for v in line.default):
            fields[line.name] = st.tuples(*[PLAIN[int]] * len(line.default))
        elif isinstance(line.default, tuple):
            fields[line.name] = st.lists(st.lists(st.integers(1, 9), max_size=3).map(tuple), max_size=3).map(tuple)
        else:
            fields[line.name] = PLAIN[type(line.default)]
    return st.builds(spec.params, **fields)


@given(st.data())
@settings(max_examples=100, deadline=None)
def test_any_project_survives_a_round_trip(data: st.DataObject) -> None:
    nodes: list[Node] = []
    for index in range(data.draw(st.integers(0, 6))):
        spec = data.draw(st.sampled_from(list(REGISTRY)))
        sources = [None, *(Source(n.id, port) for n in nodes for port in (0, 2))]
        inputs = data.draw(st.lists(st.sampled_from(sources), max_size=3))
        while inputs and inputs[-1] is None:
            inputs.pop()
        name = data.draw(st.sampled_from([f"n{index}", f"g.n{index}", f"g.{index}.x"]))
        nodes.append(Node(NodeId(name), spec.id, data.draw(any_params(spec)), tuple(inputs)))
    graph = Architecture.build(nodes, [Group("g", data.draw(st.text(max_size=5)), 2)], data.draw(st.text(max_size=9)))
    layout = {n.id: (float(data.draw(st.integers(-999, 999))), 0.5) for n in nodes[:3]}
    whole = project.Project(graph, layout, None, data.draw(st.text(max_size=9)), "")
    text = project.dumps(whole)
    back = project.loads(text)
    assert (back.architecture, dict(back.layout), back.title) == (graph, layout, whole.title)
    assert project.dumps(back) == text


def small() -> dict[str, Any]:
    """A valid file as data."""
    return json.loads(project.dumps(project.Project(Architecture.build([
        Node(NodeId("image"), "input", REGISTRY["input"].params()),
        Node(NodeId("conv"), "conv2d", REGISTRY["conv2d"].params(), (Source(NodeId("image")),)),
    ]), {NodeId("conv"): (1.0, 2.0)}, project.ValuesRecord("a.safetensors", "0" * 64, {"kind": "random"}))))


Damage = Callable[[dict[str, Any]], object]
DAMAGES: list[tuple[str, Damage, str]] = [
    ("another format", lambda d: d.update(format="onnx"), r"format: expected"),
    ("no format", lambda d: d.pop("format"), r"format: expected"),
    ("newer version", lambda d: d.update(version=99), r"version: expected at most 2, found 99.*newer"),
    ("version as text", lambda d: d.update(version="1"), r"version: expected a whole number"),
    ("version true", lambda d: d.update(version=True), r"version: expected a whole number, found true"),
    ("version 0", lambda d: d.update(version=0), r"version: expected at least 1"),
    ("nodes as object", lambda d: d.update(nodes={}), r"nodes: expected a list"),
    ("no nodes", lambda d: d.pop("nodes"), r"expected an entry 'nodes'"),
    ("a node as text", lambda d: d["nodes"].append("x"), r"nodes\[2\]: expected an object"),
    ("unknown entry", lambda d: d.update(extra=1), r"expected only .*found \"extra\""),
    ("unknown node entry", lambda d: d["nodes"][0].update(x=1), r"nodes\[0\] 'image': expected only"),
    ("unknown operator", lambda d: d["operators"].update(warp=1), r"operators: expected operators this version knows, "
                                                                  r"found \"warp\"\. Update"),
    ("unlisted operator", lambda d: d["nodes"][0].update(op="relu"), r"nodes\[0\] 'image'.op: expected an operator"),
    ("newer operator", lambda d: d["operators"].update(conv2d=9), r"operators.conv2d: expected version 1 to 1 of"),
    ("parameter missing", lambda d: d["nodes"][1]["params"].pop("bias"), r"nodes\[1\] 'conv'.params: expected a value"),
    ("parameter unknown", lambda d: d["nodes"][1]["params"].update(x=1), r"'conv'.params: expected only"),
    ("parameter type", lambda d: d["nodes"][1]["params"].update(bias=1), r"params.bias: expected true or false"),
    ("pair too short", lambda d: d["nodes"][1]["params"].update(stride=[1]), r"stride: expected a list of 2"),
    ("pair of texts", lambda d: d["nodes"][1]["params"].update(stride=["1", "1"]), r"stride\[0\]: expected a whole"),
    ("id with a space", lambda d: d["nodes"][0].update(id="a b"), r"id: expected dotted parts"),
    ("id very long", lambda d: d["nodes"][0].update(id="a" * 500), r"id: expected dotted parts"),
    ("double id", lambda d: d["nodes"].append(d["nodes"][0]), r"two nodes are called 'image'"),
    ("source missing", lambda d: d["nodes"][1].update(inputs=["gone"]), r"there is no node 'gone'"),
    ("source a number", lambda d: d["nodes"][1].update(inputs=[3]), r"inputs\[0\]: expected a text"),
    ("source port", lambda d: d["nodes"][1].update(inputs=["image:x"]), r"expected NODE or NODE:OUTPUT"),
    ("a cycle", lambda d: d["nodes"][1].update(inputs=["conv"]), r"cycle"),
    ("layout of texts", lambda d: d["layout"].update(conv=["0", 0]), r"layout.conv\[0\]: expected a finite number"),
    ("group repeat", lambda d: d["groups"].append({"path": "g", "repeat": 0}), r"repeat: expected at least 1"),
    ("values outside", lambda d: d["values"].update(file="../secret"), r"values.file: expected the name of a file in"),
    ("values device", lambda d: d["values"].update(file="C:x"), r"values.file"),
    ("sha of another length", lambda d: d["values"].update(sha256="ab"), r"sha256: expected 64"),
    ("origin without kind", lambda d: d["values"].update(origin={}), r"origin: expected an entry 'kind'"),
    ("values as text", lambda d: d.update(values="x"), r"values: expected an object"),
]


@pytest.mark.parametrize(("damage", "words"), [pytest.param(d, w, id=name) for name, d, w in DAMAGES])
def test_damage_is_refused_with_file_place_and_way_out(damage: Damage, words: str) -> None:
    data = small()
    damage(data)
    with pytest.raises(ProjectError, match=words) as caught:
        project.loads(json.dumps(data), source="net.ghn")
    assert str(caught.value).startswith("net.ghn: ")
    assert str(caught.value).endswith("."), "the last sentence says what to do"


@pytest.mark.parametrize("text", [
    "", "[]", "null", "{", "PK\x03\x04", '{"format": "ghn-studio", "format": "ghn-studio"}', "[" * 100_000,
    '{"version": NaN}', '{"format": "ghn-studio", "version": 1e999}', '{"format": "\\ud800"}',
    '{"version": ' + "9" * 5000 + "}", '"\ud800"',
])
def test_what_is_no_project_is_refused(text: str) -> None:
    with pytest.raises(ProjectError):
        project.loads(text)


def test_nan_positions_are_refused() -> None:
    text = project.dumps(project.loads(json.dumps(small()))).replace("[1, 2]", "[NaN, 2]")
    with pytest.raises(ProjectError, match="finite numbers"):
        project.loads(text)


def test_repeats_that_would_fill_the_memory_are_refused() -> None:
    data = small()
    data["nodes"][1]["id"] = "a.b.conv"
    data["groups"] = [{"path": "a", "repeat": 10_000}, {"path": "a.b", "repeat": 10_000}]
    data["layout"] = {}
    with pytest.raises(ProjectError, match="at most 200000 nodes when written out"):
        project.loads(json.dumps(data))


@given(st.data())
@settings(max_examples=150, deadline=None)
def test_no_mutation_of_a_file_ends_in_a_traceback(data: st.DataObject) -> None:
    text = (GOLDEN / "v1.ghn").read_text(encoding="utf-8")
    start = data.draw(st.integers(0, len(text) - 1))
    cut = data.draw(st.integers(0, 12))
    put = data.draw(st.one_of(st.text(max_size=4), st.sampled_from(["null", "{}", "[]", "-1", "1e999", '"']),))
    with suppress(ProjectError):
        project.dumps(project.loads(text[:start] + put + text[start + cut:])).encode("utf-8")


@dataclass(frozen=True, slots=True)
class NewParams:
    width: int = param(1, label="Width")


def toy(version: int) -> OpRegistry:
    """A registry whose one operator renamed its parameter twice."""
    upgrades = {1: lambda p: {"size": p["sz"]}, 2: lambda p: {"width": p["size"] * 10}}
    spec = OpSpec(
        id="toy", title="Toy", category=Category.RESHAPE, summary="A toy.", params=NewParams, inputs=(),
        infer=lambda p, i: i[0], module=lambda p, i: call("torch.nn.Identity"), examples=(Example(NewParams(), ()),),
        version=version, upgrades={v: upgrades[v] for v in range(1, version)},
    )
    return OpRegistry([spec])


@pytest.mark.parametrize(("version", "params"), [(1, {"sz": 4}), (2, {"size": 4}), (3, {"width": 40})])
def test_old_operator_versions_are_upgraded_step_by_step(version: int, params: dict[str, int]) -> None:
    data = {"format": "ghn-studio", "version": 1, "name": "x", "operators": {"toy": version},
            "nodes": [{"id": "a", "op": "toy", "params": params}]}
    found = project.loads(json.dumps(data), toy(3))
    assert found.architecture.nodes[NodeId("a")].params == NewParams(40)
    assert '"operators": {"toy": 3}' in project.dumps(found, toy(3))


def test_an_upgrade_that_meets_unexpected_data_is_a_refusal() -> None:
    data = {"format": "ghn-studio", "version": 1, "name": "x", "operators": {"toy": 1},
            "nodes": [{"id": "a", "op": "toy", "params": {"other": 1}}]}
    with pytest.raises(ProjectError, match=r"nodes\[0\] 'a'.params: expected parameters of Toy version 1"):
        project.loads(json.dumps(data), toy(3))


def test_positions_of_nodes_that_are_gone_are_dropped() -> None:
    found = project.loads(json.dumps(small()))
    fewer = replace(found, architecture=found.architecture.without_nodes([NodeId("conv")]))
    assert dict(project.loads(project.dumps(fewer)).layout) == {}
