"""Undo and redo: whatever a person does, every step leads back to the value before it and forth again."""

from __future__ import annotations

import random
from collections.abc import Callable
from dataclasses import replace

import pytest

from ghn_studio.app.architectures import open_architecture
from ghn_studio.app.document import Document
from ghn_studio.app.editing import clipboard, edits, grouping, inserting, notes
from ghn_studio.app.editing.scaling import scaling
from ghn_studio.errors import GhnStudioError
from ghn_studio.ir import Edge, Node, NodeId
from ghn_studio.ops import REGISTRY
from ghn_studio.project import Project, dumps, loads

#: Together 1,000 sequences; the seeds name them, so that a failure can be repeated.
SEQUENCES = range(0, 1000, 50)
STEPS = 14

Action = Callable[[Document, random.Random], edits.Edit]


def some_node(document: Document, chance: random.Random) -> NodeId:
    return chance.choice(tuple(document.graph.nodes))


def some_nodes(document: Document, chance: random.Random) -> list[NodeId]:
    names = tuple(document.graph.nodes)
    return chance.sample(names, min(len(names), chance.randint(1, 5)))


def some_group(document: Document, chance: random.Random) -> str:
    return chance.choice(tuple(document.graph.groups) or ("none",))


def add(document: Document, chance: random.Random) -> edits.Edit:
    op = chance.choice(("conv2d", "relu", "add", "batch_norm", "linear", "concat"))
    node = Node(document.graph.fresh_id(op), op, REGISTRY[op].params())
    return edits.added(node, (chance.uniform(0, 900), chance.uniform(0, 500)))


def connect(document: Document, chance: random.Random) -> edits.Edit:
    return edits.connected(Edge(some_node(document, chance), 0, some_node(document, chance), chance.randint(0, 1)))


def disconnect(document: Document, chance: random.Random) -> edits.Edit:
    edges = tuple(document.graph.edges())
    return edits.disconnected(chance.choice(edges), REGISTRY) if edges else lambda project: project


def insert(document: Document, chance: random.Random) -> edits.Edit:
    edges = tuple(document.graph.edges())
    if not edges:
        return lambda project: project
    node = Node(document.graph.fresh_id("relu"), "relu", REGISTRY["relu"].params())
    return inserting.inserted(node, chance.choice(edges), {node.id: (10.0, 20.0)})


def delete(document: Document, chance: random.Random) -> edits.Edit:
    return edits.deleted(some_nodes(document, chance)[:2], REGISTRY)


def move(document: Document, chance: random.Random) -> edits.Edit:
    return edits.moved({n: (chance.uniform(-50, 900), 8.0) for n in some_nodes(document, chance)})


def rename(document: Document, chance: random.Random) -> edits.Edit:
    return edits.renamed(some_node(document, chance), NodeId(chance.choice(("a", "b", "stem.c", "conv", "relu.x"))))


def widen(document: Document, chance: random.Random) -> edits.Edit:
    found = [n for n in document.graph.nodes.values() if n.op == "conv2d"]
    if not found:
        return lambda project: project
    node = chance.choice(found)
    params = replace(node.params, out_channels=chance.randint(1, 64))
    return edits.on_graph(lambda graph: graph.with_params(node.id, params))


def copy(document: Document, chance: random.Random) -> edits.Edit:
    chosen = some_nodes(document, chance)
    return lambda project: clipboard.pasted(project, clipboard.part(project, chosen), (32.0, 32.0))[0]


def paste(document: Document, chance: random.Random) -> edits.Edit:
    text = clipboard.text_of(clipboard.part(document.project, some_nodes(document, chance)), REGISTRY)
    part = clipboard.part_of(text, REGISTRY)
    assert part is not None
    return lambda project: clipboard.pasted(project, part, (32.0, 32.0), keep_inputs=chance.random() < 0.5)[0]


def group(document: Document, chance: random.Random) -> edits.Edit:
    return grouping.grouped(some_nodes(document, chance), "Block", collapse=chance.random() < 0.5)


def ungroup(document: Document, chance: random.Random) -> edits.Edit:
    return grouping.ungrouped(some_group(document, chance))


def repeat(document: Document, chance: random.Random) -> edits.Edit:
    return grouping.repeated(some_group(document, chance), chance.randint(1, 3))


def collapse(document: Document, chance: random.Random) -> edits.Edit:
    path = some_group(document, chance)
    return grouping.collapsed((path,), on=chance.random() < 0.6) if path in document.graph.groups else lambda p: p


def pin(document: Document, chance: random.Random) -> edits.Edit:
    return edits.pinned(some_nodes(document, chance), on=chance.random() < 0.7)


def bypass(document: Document, chance: random.Random) -> edits.Edit:
    node = document.graph.nodes[some_node(document, chance)]
    return edits.on_graph(lambda graph: graph.with_node(replace(node, bypassed=not node.bypassed)))


def scale(document: Document, chance: random.Random) -> edits.Edit:
    return scaling(chance.choice((0.5, 1.5, 2.0)), REGISTRY)


def write_note(document: Document, chance: random.Random) -> edits.Edit:
    note = notes.at((chance.uniform(0, 900), chance.uniform(0, 500)))
    return notes.written(notes.fresh_name(document.project), replace(note, text="why?"))


def frame(document: Document, chance: random.Random) -> edits.Edit:
    return notes.written(notes.fresh_name(document.project), notes.around([(0.0, 0.0, 300.0, 200.0)], "Part"))


def drop_note(document: Document, chance: random.Random) -> edits.Edit:
    return notes.deleted(chance.sample(sorted(document.project.notes), min(1, len(document.project.notes))))


ACTIONS: tuple[Action, ...] = (
    add, connect, disconnect, insert, delete, move, rename, widen, copy, paste, group, ungroup, repeat, collapse, pin,
    bypass, scale, write_note, frame, drop_note,
)


def play(document: Document, chance: random.Random) -> list[Project]:
    """Make random edits and return the values they led to, the first one included."""
    values = [document.project]
    for _ in range(STEPS):
        if not document.graph.nodes or len(document.graph.nodes) > 80:
            break
        action = chance.choice(ACTIONS)
        try:
            if document.apply(action.__name__, action(document, chance)):
                values.append(document.project)
        except GhnStudioError:
            assert document.project is values[-1]  # what is refused changes nothing
    return values


@pytest.mark.parametrize("first", SEQUENCES)
def test_every_sequence_of_edits_can_be_undone_and_redone_to_equal_values(first: int) -> None:
    start = Project(open_architecture("example:plain_cnn").architecture)
    for seed in range(first, first + 50):
        document = Document(start)
        values = play(document, random.Random(seed))
        values[-1].architecture.check()
        for value in reversed(values[:-1]):
            document.undo()
            assert document.project == value, f"seed {seed}: undo"
        assert not document.can_undo
        for value in values[1:]:
            document.redo()
            assert document.project == value, f"seed {seed}: redo"
        assert not document.can_redo


@pytest.mark.parametrize("first", SEQUENCES[::4])
def test_what_edits_lead_to_can_be_saved_read_and_drawn(first: int) -> None:
    start = Project(open_architecture("example:plain_cnn").architecture)
    for seed in range(first, first + 20):
        document = Document(start)
        play(document, random.Random(seed))
        project = document.project
        found = loads(dumps(project))
        assert found.architecture == project.architecture
        assert (found.collapsed, found.pinned) == (project.collapsed, project.pinned)
        assert found.notes.keys() == project.notes.keys()
        shown = document.picture()
        assert set(shown.nodes_of(shown.blocks)) == set(document.graph.nodes)
        assert isinstance(document.totals.parameters, int)


def test_the_sequences_do_exercise_every_edit() -> None:
    seen: set[str] = set()
    for seed in range(100):
        document = Document(Project(open_architecture("example:plain_cnn").architecture))
        play(document, random.Random(seed))
        while document.can_undo:
            seen.add(document.undo_label)
            document.undo()
    assert seen == {action.__name__ for action in ACTIONS}
