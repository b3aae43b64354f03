"""Lifting raw graphs without any file: order, names, constant arithmetic, patterns."""

from __future__ import annotations

from types import MappingProxyType
from typing import Any

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from ghn_studio.ir import Architecture, Node, NodeId
from ghn_studio.ir.graph import is_valid_id
from ghn_studio.lifting import RawGraph, RawInput, RawNode, RawTensor, Recipe, lift, ordered, realise
from ghn_studio.lifting.folding import fold
from ghn_studio.lifting.names import Hint, assign_ids, clean, from_scope
from ghn_studio.lifting.stored import Stored, filled, from_numbers, from_tensor
from ghn_studio.ops import REGISTRY
from ghn_studio.ops.spec import NoParams


def raw(op: str, inputs: str, outputs: str = "y", **attrs: Any) -> RawNode:
    return RawNode(op, tuple(inputs.split()), tuple(outputs.split()), MappingProxyType(attrs), name=outputs.split()[0])


def graph(*nodes: RawNode, tensors: tuple[RawTensor, ...] = (), outputs: tuple[str, ...] = ("y",)) -> RawGraph:
    return RawGraph((RawInput("x", ("N", 3, 8, 8)),), outputs, nodes, {t.name: t for t in tensors})


# --- order ---------------------------------------------------------------------------------


def test_order_is_kept_where_it_is_one() -> None:
    nodes = (raw("Relu", "x", "a"), raw("Tanh", "x", "b"), raw("Add", "b a"))
    assert ordered(graph(*nodes)) == nodes


def test_order_is_made_where_it_is_none() -> None:
    assert [n.op_type for n in ordered(graph(raw("Add", "b a"), raw("Tanh", "x", "b"), raw("Relu", "x", "a")))] == [
        "Tanh", "Relu", "Add"]


@pytest.mark.parametrize(("nodes", "reason"), [
    ((raw("Relu", "y"),), "cycle"),
    ((raw("Relu", "gone"),), "which nothing produces"),
    ((raw("Relu", "x"), raw("Tanh", "x")), "two values are called 'y'"),
    ((raw("Relu", "x", "x"),), "two values are called 'x'"),
    ((raw("Relu", "x", "z"),), "'y' is produced by nothing"),
])
def test_malformed_graphs_are_refused(nodes: tuple[RawNode, ...], reason: str) -> None:
    with pytest.raises(ValueError, match=reason):
        lift(graph(*nodes), REGISTRY)


# --- lifting -------------------------------------------------------------------------------


def test_nodes_behind_an_unknown_one_are_reported_only_if_unknown_too() -> None:
    found = lift(graph(raw("Cosh", "x", "a"), raw("Relu", "a", "b"), raw("Tan", "b")), REGISTRY)
    assert [(p.node, p.op_type) for p in found.problems] == [("a", "Cosh"), ("y", "Tan")]


def test_nodes_that_lead_nowhere_do_not_matter() -> None:
    found = lift(graph(raw("Cosh", "x", "a"), raw("Relu", "x")), REGISTRY)
    assert not found.problems
    assert [n.op for n in found.nodes] == ["input", "relu", "output"]


def test_weights_are_remembered_by_recipe() -> None:
    matrix, bias = RawTensor("w", (192, 5)), RawTensor("b", (5,))
    found = lift(graph(raw("Flatten", "x", "f"), raw("MatMul", "f w", "m"), raw("Add", "m b"), tensors=(matrix, bias)),
                 REGISTRY)
    assert not found.problems
    weight = found.weights["m.weight"]
    assert weight.spec.shape == (5, 192)
    stored = {"w": np.arange(960, dtype=np.float32).reshape(192, 5)}
    np.testing.assert_array_equal(realise(weight.recipe, stored.__getitem__), stored["w"].T)
    assert found.weights["m.bias"].recipe == Recipe("b")


def test_a_product_used_twice_is_not_joined_with_one_sum() -> None:
    tensors = (RawTensor("w", (192, 192)), RawTensor("b", (192,)))
    nodes = (raw("Flatten", "x", "f"), raw("MatMul", "f w", "m"), raw("Add", "m b", "a"), raw("Mul", "a m"))
    found = lift(graph(*nodes, tensors=tensors), REGISTRY)
    assert not found.problems
    # The vector is a value of its own then.
    assert [n.op for n in found.nodes] == ["input", "flatten", "linear", "parameter", "add", "multiply", "output"]


def test_the_batch_size_passes_through_shape_arithmetic() -> None:
    nodes = (
        raw("Shape", "x", "s"), raw("Gather", "s i", "n"), raw("Mul", "n one", "n1"),
        raw("Unsqueeze", "n1", "u", axes=(0,)), raw("Concat", "u rest", "t", axis=0), raw("Reshape", "x t"),
    )
    tensors = (
        RawTensor("i", (), "int64", (0,)), RawTensor("one", (), "int64", (1,)),
        RawTensor("rest", (1,), "int64", (192,)),
    )
    assert not lift(graph(*nodes, tensors=tensors), REGISTRY).problems
    twice = tuple(n if n.op_type != "Mul" else raw("Mul", "n two", "n1") for n in nodes)
    problems = lift(graph(*twice, tensors=(*tensors, RawTensor("two", (), "int64", (2,)))), REGISTRY).problems
    assert [(p.op_type, "cannot be reshaped to [2N, 192]" in p.reason) for p in problems] == [("Reshape", True)]


# --- constants -----------------------------------------------------------------------------


def stored(*values: int) -> Stored:
    return from_numbers(values, (len(values),))


@settings(deadline=None)  # the clock of a busy machine says nothing
@given(st.lists(st.integers(1, 4), min_size=1, max_size=4), st.randoms())
def test_rearranged_constants_equal_numpy(shape: list[int], random: Any) -> None:
    array = np.arange(np.prod(shape), dtype=np.float32).reshape(shape)
    value = from_tensor(RawTensor("t", tuple(shape), "float32", tuple(array.reshape(-1).tolist())))
    expected = array
    for _ in range(3):
        kind = random.choice(("Transpose", "Unsqueeze", "Reshape", "Squeeze", "Flatten"))
        if kind == "Transpose":
            perm = random.sample(range(expected.ndim), expected.ndim)
            value, expected = fold(raw(kind, "t", perm=tuple(perm)), [value]), expected.transpose(perm)
        elif kind == "Unsqueeze":
            axis = random.randint(0, expected.ndim)
            value, expected = fold(raw(kind, "t", axes=(axis,)), [value]), np.expand_dims(expected, axis)
        elif kind == "Squeeze":
            value, expected = fold(raw(kind, "t"), [value]), expected.squeeze()
        elif kind == "Flatten":
            value, expected = fold(raw(kind, "t", axis=0), [value]), expected.reshape(1, -1)
        else:
            value, expected = fold(raw(kind, "t s"), [value, stored(-1)]), expected.reshape(-1)
        assert value is not None and value.shape == expected.shape
    np.testing.assert_array_equal(realise(value.recipe, lambda name: array), expected)
    if value.values is not None:
        np.testing.assert_array_equal(np.asarray(value.values, np.float32), expected.reshape(-1))


@pytest.mark.parametrize(("op", "args", "attrs", "expected"), [
    ("Gather", [stored(5, 6, 7), stored(-1, 0)], {}, (7, 5)),
    ("Slice", [stored(5, 6, 7, 8), stored(1), stored(2**62)], {}, (6, 7, 8)),
    ("Slice", [stored(5, 6, 7, 8)], {"starts": (0,), "ends": (-1,)}, (5, 6, 7)),
    ("Slice", [stored(5, 6, 7, 8), stored(-1), stored(-2**62), stored(0), stored(-2)], {}, (8, 6)),
    ("Concat", [stored(1), stored(2, 3)], {"axis": 0}, (1, 2, 3)),
    ("Div", [stored(7, -7), stored(2)], {}, (3, -3)),
    ("Sub", [stored(7), stored(2, 3)], {}, (5, 4)),
    ("Cast", [stored(0, 2)], {"to": "bool"}, (False, True)),
    ("ConstantOfShape", [stored(3)], {"value": RawTensor("v", (1,), "int64", (-1,))}, (-1, -1, -1)),
    ("Expand", [stored(4), stored(2, 1)], {}, (4, 4)),
    ("Shape", [filled(0.0, (2, 3), "float32")], {}, (2, 3)),
])
def test_shape_arithmetic(op: str, args: list[Stored], attrs: dict[str, Any], expected: tuple[int, ...]) -> None:
    found = fold(raw(op, "a", **attrs), args)
    assert found is not None and found.values == expected


@pytest.mark.parametrize(("op", "args"), [
    ("Div", [stored(1), stored(0)]), ("Mul", [stored(1, 2), stored(1, 2, 3)]), ("Sin", [stored(1)]),
])
def test_what_cannot_be_known_is_not_guessed(op: str, args: list[Stored]) -> None:
    assert fold(raw(op, "a"), args) is None


def test_huge_constants_are_refused_before_they_exist() -> None:
    with pytest.raises(ValueError, match="100,000,000,000"):
        fold(raw("ConstantOfShape", "a"), [stored(100_000, 1_000_000)])
    view = realise(filled(2.0, (2**14, 2**14), "float32").recipe.then("reshape", 2**28), lambda name: np.zeros(0))
    assert view.shape == (2**28,) and view.strides == (0,)


# --- names ---------------------------------------------------------------------------------


@pytest.mark.parametrize(("name", "op_type", "expected"), [
    ("/layer1/layer1.0/conv1/Conv", "Conv", "layer1.0.conv1"),
    ("/layer1/layer1.0/relu/Relu_1", "Relu", "layer1.0.relu"),
    ("/features/features.0/features.0.0/Conv", "Conv", "features.0.0"),
    ("/Flatten", "Flatten", "flatten"),
    ("node_relu_3", "Relu", "relu_3"),
    ("résumé: one", "Relu", "r_sum_one"),
    ("...", "Relu", ""),
])
def test_scopes_become_paths(name: str, op_type: str, expected: str) -> None:
    assert from_scope(name, op_type) == expected


def test_shared_weights_do_not_share_a_name() -> None:
    hints = [Hint("batch_norm", "/a/BatchNormalization", "BatchNormalization", ("a.weight",)),
             Hint("batch_norm", "/b/BatchNormalization", "BatchNormalization", ("a.weight",))]
    assert assign_ids(hints) == ["a", "b"]


def test_different_operators_inside_a_module_are_told_apart() -> None:
    hints = [Hint("conv2d", "/block/conv/Conv", "Conv"), Hint("add", "/block/Add", "Add"),
             Hint("sigmoid", "/act/Sigmoid", "Sigmoid"), Hint("multiply", "/act/Mul", "Mul"),
             Hint("relu", "/relu/Relu", "Relu"), Hint("relu", "/relu/Relu_1", "Relu")]
    assert assign_ids(hints) == ["block.conv", "block.add", "act.sigmoid", "act.multiply", "relu", "relu_2"]


@settings(deadline=None)  # the clock of a busy machine says nothing
@given(st.lists(st.builds(
    Hint, op=st.sampled_from(("relu", "conv2d")), name=st.text(st.sampled_from("ab0._/é \x00"), max_size=12),
    op_type=st.just("Relu"), weights=st.lists(st.text(st.sampled_from("ab.weight"), max_size=9), max_size=2).map(tuple),
    exact=st.booleans(),
), max_size=12))
def test_any_names_give_a_well_formed_network(hints: list[Hint]) -> None:
    ids = assign_ids(hints)
    assert all(map(is_valid_id, ids))
    Architecture.build(Node(NodeId(i), "identity", NoParams()) for i in ids)  # unique, none the path of another


@settings(deadline=None)  # the clock of a busy machine says nothing
@given(st.text())
def test_cleaned_names_are_valid_or_empty(text: str) -> None:
    assert clean(text) == "" or is_valid_id(clean(text))
