"""The network a request asks for: its input, its classes, its first layers. No torch."""

from __future__ import annotations

from dataclasses import replace

from ghn_studio.analysis.classifier import with_classes
from ghn_studio.analysis.shapes import infer_shapes, require_shapes
from ghn_studio.app.architectures import Wish
from ghn_studio.app.requests import MAX_IMAGE_SIZE, CommonRequest, ExplainRequest
from ghn_studio.datasets import describe
from ghn_studio.errors import UsageError
from ghn_studio.ir.graph import Architecture
from ghn_studio.ops import REGISTRY


def fitted(request: CommonRequest, graph: Architecture) -> Architecture:
    """The network with the input and the classifier the request asks for.

    Raises:
        ArchitectureError: It is incomplete, its layers do not take that size, or it has no
            classifier that could be replaced.
    """
    shape = input_shape(request)
    if shape is not None:
        graph = with_input(graph, *shape)
    graph = with_image_size(graph, request.image_size)
    if request.replace_classifier:
        graph = with_classes(graph, describe(request.dataset).class_count, REGISTRY)
    elif request.classes is not None and _classes(graph) != request.classes:
        graph = with_classes(graph, request.classes, REGISTRY)
    require_shapes(graph, REGISTRY)
    return graph


def wish(request: CommonRequest | ExplainRequest, *, judged: bool) -> Wish:
    """What the request says about a network that is made for it; ``judged`` ones get the dataset's classes.

    Raises:
        UsageError: The input is not written as channels, height and width.
    """
    classes = request.classes or (classes_of(request.dataset) if judged else None)
    shape = input_shape(request)
    if request.image_size is not None:
        shape = ((shape or (3, 0, 0))[0], request.image_size, request.image_size)
    return Wish(classes, shape, request.adapt)


def classes_of(dataset: str) -> int | None:
    """The number of classes of a dataset; None if it is not known yet."""
    return describe(dataset).class_count or None


def input_shape(request: CommonRequest | ExplainRequest) -> tuple[int, int, int] | None:
    """Channels, height and width in the option ``input``; None where it is left out.

    Raises:
        UsageError: It is written in another way.
    """
    if not request.input:
        return None
    parts = request.input.lower().replace("×", "x").split("x")
    if len(parts) != 3 or not all(p.isascii() and p.isdigit() and 0 < int(p) <= MAX_IMAGE_SIZE for p in parts):
        raise UsageError(f"'{request.input}' is no input: write channels, height and width as in 3x224x224")
    channels, height, width = map(int, parts)
    return channels, height, width


def with_input(graph: Architecture, channels: int, height: int, width: int) -> Architecture:
    """Give the input another shape."""
    for node in graph.nodes.values():
        if node.op == "input":
            graph = graph.with_params(node.id, replace(node.params, channels=channels, height=height, width=width))
    return graph


def with_image_size(graph: Architecture, size: int | None) -> Architecture:
    """Give the input another height and width; unchanged for None."""
    if size is None:
        return graph
    for node in graph.nodes.values():
        if node.op == "input":
            graph = graph.with_params(node.id, replace(node.params, height=size, width=size))
    return graph


def _classes(graph: Architecture) -> int | None:
    """The classes the network tells apart, if it is complete and has one output."""
    outputs = [n.id for n in graph.nodes.values() if n.op == "output"]
    specs = infer_shapes(graph, REGISTRY).outputs.get(outputs[0]) if len(outputs) == 1 else None
    size = specs[0].shape[-1] if specs is not None else None
    return size if isinstance(size, int) else None
