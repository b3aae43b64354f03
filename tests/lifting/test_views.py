"""Wherever a file puts the batch, the operators compute the same."""

from __future__ import annotations

from typing import Any

import numpy as np
import torch
from hypothesis import given, settings
from hypothesis import strategies as st

from ghn_studio.engine.execution import Plan
from ghn_studio.ir.graph import Architecture
from ghn_studio.lifting import RawGraph, RawInput, RawNode, RawTensor, lift
from ghn_studio.lifting.symbols import batches, divide, multiply, of_batch
from ghn_studio.ops import REGISTRY

SHAPE = (2, 4, 6)


@st.composite
def steps(draw: st.DrawFn) -> list[tuple[str, Any]]:
    """Transpositions, reshapes that fit a batch of three, and products, in the words of a file."""
    shape: list[Any] = ["N", *SHAPE]
    found: list[tuple[str, Any]] = []
    for _ in range(draw(st.integers(1, 5))):
        kind = draw(st.sampled_from(("Transpose", "Join", "Cut", "Relu", "Mul")))
        if kind == "Transpose":
            perm = tuple(draw(st.permutations(range(len(shape)))))
            shape = [shape[p] for p in perm]
            found.append(("Transpose", perm))
        elif kind == "Join" and len(shape) > 2:
            at = draw(st.integers(0, len(shape) - 2))
            joined = multiply(shape[at], shape[at + 1])
            shape = [*shape[:at], joined, *shape[at + 2:]]
            found.append(("Reshape", tuple(shape)))
        elif kind == "Cut":
            at = draw(st.integers(0, len(shape) - 1))
            size = batches(shape[at]) or shape[at]
            part = draw(st.sampled_from([d for d in (1, 2, 3, 4) if size % d == 0]))
            rest = divide(shape[at], part)
            cut = [rest, part] if draw(st.booleans()) else [part, rest]
            shape = [*shape[:at], *cut, *shape[at + 1:]]
            found.append(("Reshape", tuple(shape)))
        else:
            found.append(("Relu", None) if kind == "Relu" else ("Mul", 2.0))
    return found


def run_in_numpy(x: np.ndarray, todo: list[tuple[str, Any]]) -> np.ndarray:
    for kind, value in todo:
        if kind == "Transpose":
            x = x.transpose(value)
        elif kind == "Reshape":
            x = x.reshape([len_of(d, 3) for d in value])
        else:
            x = np.maximum(x, 0) if kind == "Relu" else x * value
    return x


def len_of(extent: Any, batch: int) -> int:
    return extent if batches(extent) is None else int(batches(extent) or 0) * batch


def network(todo: list[tuple[str, Any]]) -> RawGraph:
    """The steps as a file has them, with the batch size as a value computed from the images."""
    nodes: list[RawNode] = []
    tensors = {"two": RawTensor("two", (), "float32", (2.0,))}
    for i, (kind, value) in enumerate(todo):
        name, out = f"v{i - 1}" if i else "x", f"v{i}"
        if kind == "Reshape":
            # -1 for what holds the batch: what exporters write where nothing else is open.
            tensors[f"s{i}"] = RawTensor(f"s{i}", (len(value),), "int64", tuple(
                d if batches(d) is None else -1 for d in value))
            nodes.append(RawNode("Reshape", (name, f"s{i}"), (out,), {}, out))
        elif kind == "Mul":
            nodes.append(RawNode("Mul", (name, "two"), (out,), {}, out))
        else:
            nodes.append(RawNode(kind, (name,), (out,), {"perm": value} if kind == "Transpose" else {}, out))
    return RawGraph((RawInput("x", ("N", *SHAPE)),), (f"v{len(todo) - 1}",), tuple(nodes), tensors)


@settings(max_examples=150, deadline=None)
@given(steps())
def test_the_batch_may_lie_anywhere(todo: list[tuple[str, Any]]) -> None:
    found = lift(network(todo), REGISTRY)
    if found.problems:
        return  # the batch was cut into pieces, or is not in front at the end
    x = np.random.default_rng(0).standard_normal((3, *SHAPE)).astype(np.float32)
    result = Plan(Architecture.build(found.nodes)).run(torch.from_numpy(x), {}).numpy()
    np.testing.assert_allclose(result.ravel(), run_in_numpy(x, todo).ravel(), rtol=1e-6)


def test_most_of_them_are_read() -> None:
    """A batch joined with heads in front, and moved behind them, as attention does it."""
    todo = [("Reshape", ("2N", 4, 6)), ("Transpose", (0, 2, 1)), ("Reshape", ("N", 2, 6, 4)),
            ("Transpose", (1, 0, 2, 3)), ("Relu", None), ("Transpose", (1, 0, 3, 2))]
    found = lift(network(todo), REGISTRY)
    assert not found.problems
    x = np.random.default_rng(0).standard_normal((3, *SHAPE)).astype(np.float32)
    result = Plan(Architecture.build(found.nodes)).run(torch.from_numpy(x), {}).numpy()
    np.testing.assert_array_equal(result, run_in_numpy(x, todo))


@given(st.integers(1, 64), st.integers(1, 64))
def test_multiples_of_the_batch_are_divided_again(a: int, b: int) -> None:
    assert divide(multiply(of_batch(a), b), b) == of_batch(a)
    assert divide(multiply(of_batch(a), b), of_batch(a)) == b
