"""One-click fixes: each is tried for real, on mismatches made by hand and at random from the whole registry."""

from __future__ import annotations

from dataclasses import replace

import pytest
from hypothesis import assume, given, settings
from hypothesis import strategies as st

from ghn_studio.analysis.shapes import infer_shapes
from ghn_studio.app.document import Document
from ghn_studio.app.editing.fixes import first_problem, fixes, problems_of
from ghn_studio.ir import Architecture, Group, Node, NodeId, Source
from ghn_studio.ir.tensors import TensorSpec
from ghn_studio.ops import REGISTRY
from ghn_studio.ops.spec import Category, OpSpec
from ghn_studio.project import Project

IMAGE = ("image", "input", {"channels": 3, "height": 32, "width": 32})
TAIL = (("gap", "global_avg_pool", {}, "end"), ("flat", "flatten", {}, "gap"), ("fc", "linear", {}, "flat"),
        ("output", "output", {}, "fc"))


def network(*lines: tuple) -> Document:
    """A document of lines ``(id, operator, parameters, sources…)``."""
    nodes = [Node(NodeId(n), op, replace(REGISTRY[op].params(), **params), tuple(Source(NodeId(s)) for s in sources))
             for n, op, params, *sources in lines]
    return Document(Project(Architecture.build(nodes)))


def conv(name: str, source: str, channels: int, **params) -> tuple:
    return name, "conv2d", {"out_channels": channels, **params}, source


def titles(document: Document) -> list[str]:
    return [fix.title for fix in fixes(document, document.shapes.problems[0])]


def check_every_fix(document: Document) -> int:
    """Apply each offered fix to the network as it is; the problem goes and no known node becomes wrong."""
    problem = document.shapes.problems[0]
    found = fixes(document, problem)
    for fix in found:
        before, known = document.project, document.shapes.outputs
        assert fix.apply(document) and document.undo_label == fix.title
        after = problems_of(document.graph, REGISTRY)
        assert all(p.node != problem.node for p in after)
        assert all(p.node in before.architecture.nodes and p.node not in known for p in after)
        document.undo()
        assert document.project is before
    return len(found)


@pytest.mark.parametrize(("lines", "wanted"), [
    ((conv("a", "image", 32), conv("b", "a", 64, stride=(2, 2)), ("end", "add", {}, "b", "a")),
     ["Insert a 1×1 convolution to 64 channels, stride 2",
      "Insert a 1×1 convolution to 64 channels, stride 2 + BatchNorm"]),
    ((conv("a", "image", 32), conv("b", "a", 64), ("end", "add", {}, "b", "a")),
     ["Insert a 1×1 convolution to 64 channels", "Set output channels of 'b' to 32",
      "Set output channels of 'a' to 64", "Insert a 1×1 convolution to 64 channels + BatchNorm"]),
    ((conv("a", "image", 32), conv("b", "a", 64, stride=(2, 2)), ("end", "concat", {}, "b", "a")),
     ["Insert AdaptiveAvgPool2d to 16×16"]),
    ((conv("a", "image", 32, stride=(2, 2)), conv("b", "image", 64), ("end", "concat", {}, "b", "a")),
     ["Insert Resize to 32×32", "Insert Pad"]),
    ((conv("a", "image", 30), conv("end", "a", 32, groups=8)),
     ["Set groups to 2", "Set output channels of 'a' to 32"]),
    ((conv("a", "image", 30), ("end", "group_norm", {"groups": 8}, "a")), ["Set groups to 6"]),
    ((conv("end", "image", 8, kernel_size=(40, 40)),), ["Set padding to 20×20"]),
])
def test_what_is_offered_fits_what_is_wrong(lines, wanted):
    document = network(IMAGE, *lines, *TAIL)
    assert titles(document)[:len(wanted)] == wanted
    assert check_every_fix(document) >= len(wanted)


def test_vectors_and_maps_before_a_classifier():
    document = network(IMAGE, conv("end", "image", 8), ("fc", "linear", {}, "end"), ("output", "output", {}, "fc"))
    assert titles(document)[0] == "Insert Flatten" and check_every_fix(document) == 2


def test_three_branches_are_mended_in_one_step():
    document = network(IMAGE, conv("a", "image", 8), conv("b", "image", 8), conv("c", "image", 24),
                       ("end", "add", {}, "c", "a", "b"), *TAIL)
    assert any("2 times" in t for t in titles(document))
    check_every_fix(document)


def test_a_layer_put_into_a_group_belongs_to_it():
    document = network(IMAGE, conv("block.a", "image", 32), conv("block.b", "block.a", 64),
                       ("block.end", "add", {}, "block.b", "block.a"), ("gap", "global_avg_pool", {}, "block.end"),
                       ("flat", "flatten", {}, "gap"), ("output", "output", {}, "flat"))
    document.apply("group", lambda p: replace(p, architecture=p.architecture.with_group(Group("block"))))
    fixes(document, document.shapes.problems[0])[0].apply(document)
    assert "block.conv2d" in document.graph.nodes and not document.shapes.problems


def test_of_two_mismatches_each_can_be_mended_in_turn():
    document = network(IMAGE, conv("a", "image", 32), conv("b", "a", 64), ("sum", "add", {}, "b", "a"),
                       conv("c", "sum", 8), ("end", "add", {}, "c", "sum"), *TAIL)
    for _ in range(2):
        problem = first_problem(document.shapes.problems)
        assert problem is not None
        fixes(document, problem)[0].apply(document)
    assert not document.shapes.problems


def test_a_block_that_does_not_go_into_itself_is_used_once():
    document = network(IMAGE, conv("block.a", "image", 9, groups=3), conv("block.b", "block.a", 8),
                       ("gap", "global_avg_pool", {}, "block.b"), ("flat", "flatten", {}, "gap"),
                       ("output", "output", {}, "flat"))
    document = Document(Project(document.graph.with_group(Group("block", "Stage", 2))))
    assert titles(document)[0] == "Use 'Stage' only once"
    check_every_fix(document)


def test_sharing_and_bypass():
    document = network(IMAGE, conv("a", "image", 3), conv("end", "a", 3), *TAIL)
    node = document.graph.nodes[NodeId("end")]
    odd = replace(node, shares=NodeId("a"), params=replace(node.params, stride=(2, 2)))
    document = Document(Project(document.graph.with_node(odd)))
    assert titles(document) == ["Take the settings of 'a'", "Give it parameters of its own"]
    check_every_fix(document)
    tail = network(IMAGE, ("gap", "global_avg_pool", {}, "image"), ("flat", "flatten", {}, "gap"),
                   ("fc", "linear", {}, "flat"), ("output", "output", {}, "fc"))
    off = replace(tail.graph.nodes[NodeId("flat")], bypassed=True)
    document = Document(Project(tail.graph.with_node(off)))
    assert "Use 'flat' again" in titles(document)
    check_every_fix(document)


def test_wires_too_many_and_from_nowhere():
    document = network(IMAGE, conv("a", "image", 8), ("end", "relu", {}, "a"), *TAIL)
    crowded = replace(document.graph.nodes[NodeId("end")], inputs=(Source(NodeId("a")), Source(NodeId("image"))))
    document = Document(Project(document.graph.with_node(crowded)))
    assert "Remove the wires too many" in titles(document)
    check_every_fix(document)
    lost = replace(crowded, inputs=(Source(NodeId("a"), 3),))
    document = Document(Project(document.graph.with_node(lost)))
    assert titles(document)[0] == "Take the first output of 'a'"
    check_every_fix(document)


SPECS = [s for s in REGISTRY if s.inputs and s.category not in (Category.HIDDEN, Category.TERMINAL)]
SIZES = st.sampled_from([1, 3, 4, 6, 7, 8, 12, 16, 30, 32])


@st.composite
def mismatches(draw: st.DrawFn) -> Document:
    """An operator with its example's parameters, fed with values that need not fit it."""
    spec: OpSpec = draw(st.sampled_from(SPECS))
    example = draw(st.sampled_from(spec.examples))
    nodes, sources = [], []
    count = max(len(example.inputs), draw(st.integers(1, 3)) if spec.inputs[-1].variadic else 1)
    for index in range(count):
        channels, height, width = draw(SIZES), draw(SIZES), draw(SIZES)
        image = Node(NodeId(f"image{index}"), "input",
                     replace(REGISTRY["input"].params(), channels=channels, height=height, width=width))
        nodes.append(image)
        last = image.id
        for step in range(draw(st.integers(0, 2))):
            op = draw(st.sampled_from(["conv2d", "flatten", "relu", "tokens", "linear", "global_avg_pool"]))
            params = REGISTRY[op].params()
            if REGISTRY[op].width:
                params = replace(params, **{REGISTRY[op].width: draw(SIZES)})
            node = Node(NodeId(f"before{index}_{step}"), op, params, (Source(last),))
            nodes.append(node)
            last = node.id
        sources.append(Source(last))
    nodes.append(Node(NodeId("it"), spec.id, example.params, tuple(sources)))
    nodes.append(Node(NodeId("after"), "relu", REGISTRY["relu"].params(), (Source(NodeId("it")),)))
    return Document(Project(Architecture.build(nodes)))


@settings(max_examples=150, deadline=None)
@given(mismatches())
def test_every_offered_fix_solves_its_problem(document):
    assume(document.shapes.problems)
    check_every_fix(document)


def test_most_operators_get_a_fix_for_values_of_another_form():
    """Not only a few favourites: feed every operator something else and count."""
    helped = wrong = 0
    for spec in SPECS:
        for value in (TensorSpec(("N", 30, 7, 5)), TensorSpec(("N", 30))):
            size = dict(zip(("channels", "height", "width"), (*value.shape[1:], 1, 1), strict=False))
            lines = [("image", "input", size)]
            if value.rank == 2:
                lines.append(("flat", "flatten", {}, "image"))
            made = network(*lines)
            sources = (Source(NodeId(lines[-1][0])),) * len(spec.examples[0].inputs)
            it = Node(NodeId("it"), spec.id, spec.examples[0].params, sources)
            after = Node(NodeId("after"), "relu", REGISTRY["relu"].params(), (Source(it.id),))
            graph = made.graph.with_node(it).with_node(after)
            if infer_shapes(graph, REGISTRY).problems:
                wrong += 1
                helped += check_every_fix(Document(Project(graph))) > 0
    assert wrong > 25 and helped / wrong > 0.6, (helped, wrong)
