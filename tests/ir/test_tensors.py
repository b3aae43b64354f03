"""Window arithmetic agrees with torch, sizes and refusals alike."""

from __future__ import annotations

import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st

from ghn_studio.ir import TensorSpec
from ghn_studio.ir.tensors import window_extent

SMALL = st.integers(1, 5)


@given(size=st.integers(1, 12), kernel=SMALL, stride=SMALL, padding=st.integers(0, 4), dilation=st.integers(1, 3))
@settings(max_examples=200, deadline=None)
def test_convolution_extent_is_torchs(size: int, kernel: int, stride: int, padding: int, dilation: int) -> None:
    layer = torch.nn.Conv2d(1, 1, (kernel, 1), (stride, 1), (padding, 0), (dilation, 1))
    try:
        expected = layer(torch.zeros(1, 1, size, 1)).shape[2]
    except RuntimeError:
        expected = None
    try:
        found = window_extent(size, kernel=kernel, stride=stride, padding=padding, dilation=dilation)
    except ValueError:
        found = None
    assert found == expected


@given(st.integers(1, 12), SMALL, SMALL, st.integers(1, 2), st.booleans(), st.data())
@settings(max_examples=200, deadline=None)
def test_pooling_extent_is_torchs(
    size: int, kernel: int, stride: int, dilation: int, ceil: bool, data: st.DataObject
) -> None:
    padding = data.draw(st.integers(0, kernel // 2))
    layer = torch.nn.MaxPool2d((kernel, 1), (stride, 1), (padding, 0), (dilation, 1), ceil_mode=ceil)
    try:
        expected = layer(torch.zeros(1, 1, size, 1)).shape[2]
    except RuntimeError:
        expected = None
    try:
        found = window_extent(size, kernel=kernel, stride=stride, padding=padding, dilation=dilation, ceil_mode=ceil)
    except ValueError:
        found = None
    assert found == expected


def test_unknown_extents_stay_names() -> None:
    assert window_extent("H", kernel=3, stride=1, padding=1) == "H"
    assert window_extent("H", kernel=3, stride=2, padding=1) == "H'"
    with pytest.raises(ValueError, match="must be known"):
        TensorSpec(("N", "H")).size(1)


def test_specs_read_well() -> None:
    assert str(TensorSpec(("N", 3, 8, 8))) == "[N, 3, 8, 8]"
    assert TensorSpec(("N", 3, 8, 8)).extents == "3×8×8"
    assert TensorSpec(("N",)).extents == "scalar"
