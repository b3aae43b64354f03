"""What operators say of their numbers of channels is true: fixes and scaling rely on it."""

from __future__ import annotations

from dataclasses import replace

import pytest

from ghn_studio.ops import REGISTRY
from ghn_studio.ops.spec import Measure, OpSpec

WIDE = [s for s in REGISTRY if s.width]
DIVIDED = [s for s in REGISTRY if s.measuring(Measure.PARTS)]
SIZED = [s for s in REGISTRY if s.measuring(Measure.SIZE)]


@pytest.mark.parametrize("spec", WIDE, ids=lambda s: s.id)
def test_the_width_is_what_comes_out(spec: OpSpec) -> None:
    for example in spec.examples:
        width = getattr(example.params, spec.width)
        (before,) = spec.infer_outputs(example.params, example.inputs)
        (after,) = spec.infer_outputs(replace(example.params, **{spec.width: 2 * width}), example.inputs)
        changed = [(a, b) for a, b in zip(before.shape, after.shape, strict=True) if a != b]
        assert changed == [(width, 2 * width)]


@pytest.mark.parametrize("spec", DIVIDED, ids=lambda s: s.id)
def test_what_divides_the_channels_must_divide_them(spec: OpSpec) -> None:
    name = spec.measuring(Measure.PARTS)
    for example in spec.examples:
        spec.infer_outputs(replace(example.params, **{name: 1}), example.inputs)
        with pytest.raises(ValueError, match="divide"):
            spec.infer_outputs(replace(example.params, **{name: 977}), example.inputs)


@pytest.mark.parametrize("spec", SIZED, ids=lambda s: s.id)
def test_the_size_is_height_and_width_of_what_comes_out(spec: OpSpec) -> None:
    name = spec.measuring(Measure.SIZE)
    for example in spec.examples:
        (given,) = spec.infer_outputs(replace(example.params, **{name: (5, 3)}), example.inputs)
        assert given.shape == (*example.inputs[0].shape[:2], 5, 3)


def test_every_kind_of_layer_that_sets_channels_says_so() -> None:
    assert {s.id for s in WIDE} >= {"conv2d", "conv1d", "conv_transpose2d", "linear", "patch_embedding"}
    assert all(s.function is not None for s in WIDE)  # they own what makes the channels


@pytest.mark.parametrize("spec", list(REGISTRY), ids=lambda s: s.id)
def test_other_names_are_small_letters_and_no_operator_has_that_of_another(spec: OpSpec) -> None:
    for alias in spec.aliases:
        assert alias == alias.lower().strip() and alias
        assert all(alias not in (o.id, o.title.lower(), *o.aliases) for o in REGISTRY if o is not spec)
