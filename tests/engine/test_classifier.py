"""Replacing the classifier: which layer it is, and when it cannot be done."""

from __future__ import annotations

from collections.abc import Callable

import pytest

from ghn_studio.analysis.classifier import classifier_of, with_classes
from ghn_studio.analysis.shapes import infer_shapes
from ghn_studio.errors import ArchitectureError
from ghn_studio.ir.graph import Architecture, Group
from ghn_studio.ops import REGISTRY
from ghn_studio.ops.convolution import Conv2dParams
from ghn_studio.ops.dense import LinearParams
from ghn_studio.ops.spec import NoParams
from ghn_studio.ops.terminals import InputParams


def test_the_classifier_gets_as_many_outputs_as_there_are_classes(
    make_convolutional: Callable[..., Architecture],
) -> None:
    graph = make_convolutional(1000)
    changed = with_classes(graph, 7, REGISTRY)
    assert infer_shapes(changed, REGISTRY).outputs[changed.nodes["out"].id][0].shape == ("N", 7)
    assert graph.nodes["head"].params.out_features == 1000


def test_a_network_that_fits_is_returned_itself(make_convolutional: Callable[..., Architecture]) -> None:
    graph = make_convolutional(10)
    assert with_classes(graph, 10, REGISTRY) is graph


def test_layers_without_parameters_may_follow(make_chain: Callable[..., Architecture]) -> None:
    graph = make_chain(
        ("x", "input", InputParams(1, 4, 4)),
        ("flat", "flatten", NoParams()),
        ("fc", "linear", LinearParams(3)),
        ("act", "relu", NoParams()),
        ("same", "identity", NoParams()),
    )
    assert classifier_of(graph, REGISTRY) == "fc"


def test_a_convolution_at_the_end_is_named_as_the_obstacle(make_chain: Callable[..., Architecture]) -> None:
    graph = make_chain(
        ("x", "input", InputParams(1, 4, 4)),
        ("last", "conv2d", Conv2dParams(3)),
        ("pool", "global_avg_pool", NoParams()),
    )
    with pytest.raises(ArchitectureError, match=r"'last' .Conv.*end the network in global pooling and a Linear"):
        with_classes(graph, 10, REGISTRY)


def test_a_network_without_layers_has_no_classifier(make_chain: Callable[..., Architecture]) -> None:
    with pytest.raises(ArchitectureError):
        classifier_of(make_chain(("x", "input", InputParams(1, 4, 4))), REGISTRY)
    with pytest.raises(ArchitectureError, match="exactly one output"):
        classifier_of(Architecture(), REGISTRY)


def test_a_repeated_classifier_is_refused(make_chain: Callable[..., Architecture]) -> None:
    graph = make_chain(
        ("x", "input", InputParams(1, 4, 4)), ("flat", "flatten", NoParams()), ("block.fc", "linear", LinearParams(16))
    ).with_group(Group("block", repeat=2))
    with pytest.raises(ArchitectureError, match="repeated block"):
        with_classes(graph, 3, REGISTRY)
