"""What an operator says its outputs depend on holds for the real layer: what it does not name has no influence.

Dependence is measured with gradients of random layers in inference mode: an output position
that has no gradient at an input position does not depend on it.
"""

from __future__ import annotations

from fractions import Fraction
from math import ceil, floor
from typing import Any

import pytest
import torch
from torch import Tensor

from ghn_studio.engine.execution import target_of
from ghn_studio.ops import REGISTRY
from ghn_studio.ops.convolution import Conv2dParams
from ghn_studio.ops.extents import PadParams, ResizeParams
from ghn_studio.ops.pooling import AdaptivePoolParams, AvgPoolParams, MaxPoolParams
from ghn_studio.ops.reach import POINT, Span
from ghn_studio.ops.shapes import IMAGE, ODD_IMAGE
from ghn_studio.ops.spec import Category, Example, NoParams, OpSpec
from ghn_studio.ops.transposed import ConvTranspose2dParams

#: Where rows and columns may lie: maps with channels first and last, and single axes of sequences and tokens.
LAYOUTS = {4: ((2, 3), (1, 2)), 3: ((1,), (2,))}
CASES = [
    pytest.param(s, e, id=f"{s.id}-{i}") for s in REGISTRY for i, e in enumerate(s.examples)
    if s.inputs and s.category not in (Category.HIDDEN, Category.TERMINAL)
]
SLIDING = [
    ("conv2d", Conv2dParams(2, (3, 5), (2, 1), (1, 0), (1, 2)), ODD_IMAGE),
    ("max_pool", MaxPoolParams((2, 3), (2, 2)), IMAGE),
    ("avg_pool", AvgPoolParams((3, 3), (1, 2), (1, 1)), ODD_IMAGE),
    ("conv_transpose2d", ConvTranspose2dParams(2, (3, 2), (2, 1), (1, 0)), IMAGE),
    ("adaptive_avg_pool", AdaptivePoolParams((4, 2)), IMAGE),
    ("resize", ResizeParams((16, 24)), IMAGE),
    ("pad", PadParams((2, 1, 0, 3)), IMAGE),
    ("space_to_depth", NoParams(), IMAGE),
]


class Layer:
    """An example's layer with random values, and what its outputs depend on."""

    def __init__(self, spec: OpSpec[Any], example: Example[Any]) -> None:
        call = spec.module(example.params, example.inputs)
        layer = target_of(call)(*call.args, **dict(call.kwargs)).eval().double()
        generator = torch.Generator().manual_seed(3)
        for tensor in layer.state_dict().values():
            if tensor.is_floating_point():
                tensor.copy_(torch.rand(tensor.shape, generator=generator, dtype=tensor.dtype) * 0.3 + 0.1)
        shapes = [(1, *(x.size(a) for a in range(1, x.rank))) for x in example.inputs]
        values = [torch.rand(s, generator=generator, dtype=torch.double) for s in shapes]
        self.given = values[0].requires_grad_()
        out = layer(*values)
        self.out: Tensor = out[0] if isinstance(out, tuple) else out
        self._weights = torch.rand(self.out.shape, generator=generator, dtype=torch.double) + 0.5
        self._seen: dict[int, Tensor] = {}

    def along(self, out_axis: int, in_axis: int) -> Tensor:
        """``[i, j]``: whether anything at output place i depends on anything at input place j, along one axis each."""
        if out_axis not in self._seen:
            parts = (self.out * self._weights).movedim(out_axis, 0).flatten(1).sum(1)
            rows = [torch.autograd.grad(part, self.given, retain_graph=True)[0][0] for part in parts]
            self._seen[out_axis] = torch.stack(rows).ne(0)
        seen = self._seen[out_axis]
        return seen.amax(dim=[d for d in range(1, seen.ndim) if d != in_axis])


def covered(matrix: Tensor, span: Span) -> bool:
    """Whether no output place depends on an input place outside its span."""
    hits = matrix.nonzero().tolist()
    return all(i * span.step + span.low <= j <= i * span.step + span.high for i, j in hits)


@pytest.mark.parametrize(("spec", "example"), CASES)
def test_nothing_outside_the_reach_has_an_influence(spec: OpSpec[Any], example: Example[Any]) -> None:
    reach = spec.reach(example.params, example.inputs)
    if reach is None:
        return
    layer = Layer(spec, example)
    rank = layer.out.ndim
    if rank != layer.given.ndim or rank not in LAYOUTS:
        # Positions become tokens, a map a vector: then all that can be said here is that no axis is mixed.
        assert reach == POINT or spec.category is Category.ATTENTION
        return
    assert any(
        all(covered(layer.along(a, b), span) for span, a, b in zip(reach, out, given, strict=False))
        for out in LAYOUTS[rank] for given in LAYOUTS[rank]
    )


@pytest.mark.parametrize(("op", "params", "value"), SLIDING, ids=[c[0] for c in SLIDING])
def test_windows_are_exact(op: str, params: Any, value: Any) -> None:
    spec = REGISTRY[op]
    example = Example(params, (value,))
    reach = spec.reach(params, example.inputs)
    assert reach is not None
    if op == "max_pool":
        spec, example = REGISTRY["avg_pool"], Example(AvgPoolParams((2, 3), (2, 2)), (value,))  # every tap counts
    layer = Layer(spec, example)
    axes = (1, 2) if op == "space_to_depth" else (2, 3)
    for span, axis in zip(reach, axes, strict=True):
        for i, row in enumerate(layer.along(axis, axis)):
            inside = [j for j in range(len(row)) if i * span.step + span.low <= j <= i * span.step + span.high]
            hit = row.nonzero().flatten().tolist()
            if hit and inside:
                assert (hit[0], hit[-1]) == (inside[0], inside[-1]), f"output {i} along axis {axis}"


def test_reach_of_growing_maps_lies_between_pixels() -> None:
    reach = REGISTRY["conv_transpose2d"].reach(ConvTranspose2dParams(2, (3, 3), (2, 2), (1, 1)), (IMAGE,))
    assert reach is not None
    assert reach[0] == Span(Fraction(1, 2), Fraction(-1, 2), Fraction(1, 2))
    assert (floor(reach[0].low), ceil(reach[0].high)) == (-1, 1)
