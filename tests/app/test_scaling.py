"""Scaling widths: every example stays consistent, whatever the factor and whatever was chosen."""

from __future__ import annotations

from dataclasses import replace

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from ghn_studio.analysis.shapes import infer_shapes
from ghn_studio.app.architectures import open_architecture
from ghn_studio.app.document import Document
from ghn_studio.app.editing.scaling import new_width, scalable, scaled, scaling
from ghn_studio.errors import ArchitectureError
from ghn_studio.ir import Architecture, NodeId
from ghn_studio.ops import REGISTRY
from ghn_studio.project import Project

EXAMPLES = ("plain_cnn", "resnet20", "mobilenetv2_like", "vit_small", "se_net", "lenet5", "darts", "vgg_like")
GRAPHS = {name: open_architecture(f"example:{name}").architecture for name in EXAMPLES}


def problems(graph: Architecture) -> tuple[object, ...]:
    return infer_shapes(graph.expanded(), REGISTRY).problems


def classes(graph: Architecture) -> object:
    report = infer_shapes(graph, REGISTRY)
    return next(report.outputs[n.id][0].shape for n in graph.nodes.values() if n.op == "output")


@settings(max_examples=60, deadline=None)
@given(st.sampled_from(EXAMPLES), st.floats(0.1, 8.0), st.data())
def test_a_scaled_network_is_consistent_and_tells_the_same_classes_apart(name, factor, data):
    graph = GRAPHS[name]
    layers = scalable(graph, REGISTRY)
    chosen = data.draw(st.lists(st.sampled_from(layers), max_size=4))
    try:
        result = scaled(graph, factor, REGISTRY, chosen)
    except ArchitectureError:
        assert chosen  # the whole network can always be scaled
        return
    assert problems(result.graph) == () and classes(result.graph) == classes(graph)
    assert list(result.graph.nodes) == list(graph.nodes)
    if chosen:
        assert set(result.layers) - set(result.also) <= set(chosen)


@pytest.mark.parametrize("name", EXAMPLES)
def test_twice_as_wide_has_more_parameters_and_back_is_the_same(name):
    graph = GRAPHS[name]
    wide = scaled(graph, 2.0, REGISTRY).graph
    assert Document(Project(wide)).totals.parameters > 1.7 * Document(Project(graph)).totals.parameters
    assert scaled(wide, 0.5, REGISTRY).graph == graph
    assert scaled(graph, 1.0, REGISTRY).graph is graph


def test_layers_that_are_added_to_a_chosen_one_go_along():
    graph = GRAPHS["resnet20"]
    stem = scalable(graph, REGISTRY)[0]
    result = scaled(graph, 2.0, REGISTRY, [stem])
    assert result.also and result.layers[0] == stem
    assert len(result.layers) < len(scalable(graph, REGISTRY))  # other stages stay


def test_depthwise_layers_follow_and_groups_still_divide():
    graph = GRAPHS["mobilenetv2_like"]
    result = scaled(graph, 1.37, REGISTRY).graph
    for node in result.nodes.values():
        before = graph.nodes[node.id].params
        if node.op == "conv2d" and before.groups > 1 and before.groups == before.out_channels:
            assert node.params.groups == node.params.out_channels != before.groups


def test_what_cannot_be_scaled_says_why():
    graph = GRAPHS["plain_cnn"]
    with pytest.raises(ArchitectureError, match="no such layer"):
        scaled(Architecture(), 2.0, REGISTRY)
    relu = next(n.id for n in graph.nodes.values() if n.op == "relu")
    with pytest.raises(ArchitectureError, match="no layer here has a width"):
        scaled(graph, 2.0, REGISTRY, [relu])
    first = next(n for n in graph.nodes.values() if n.op == "conv2d")
    broken = graph.with_params(first.id, replace(first.params, groups=7))
    with pytest.raises(ArchitectureError, match="solve the network's problems first"):
        scaled(broken, 2.0, REGISTRY)


def test_the_classifier_keeps_its_classes_even_when_chosen():
    graph = GRAPHS["lenet5"]
    fc = [n.id for n in graph.nodes.values() if n.op == "linear"][-1]
    assert fc not in scalable(graph, REGISTRY, [fc])


@pytest.mark.parametrize(("width", "factor", "wanted"), [
    (64, 1.5, 96), (64, 0.3, 16), (16, 0.1, 2), (6, 2.0, 12), (7, 1.5, 11), (1, 0.1, 1), (20, 1.1, 22),
    (20, 1.11, 24), (12, 1.0, 12), (12, 0.5, 6),
])
def test_widths_stay_round(width, factor, wanted):
    assert new_width(width, factor) == wanted


def test_as_an_edit_it_is_one_step():
    document = Document(Project(GRAPHS["se_net"]))
    before = document.project
    document.apply("Scale width × 2", scaling(2.0, REGISTRY))
    assert document.totals.parameters > 0 and document.project != before
    document.undo()
    assert document.project is before
    assert not document.apply("Scale width × 1", scaling(1.0, REGISTRY, [NodeId("nothing")][:0]))
