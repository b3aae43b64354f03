"""Shape rules and weight declarations that several operator families share."""

from __future__ import annotations

from math import prod
from typing import Any

from ghn_studio.ir.tensors import TensorSpec
from ghn_studio.ops.spec import BARE, Inputs, Pair, Primitive, Role, WeightSpec, param

IMAGE = TensorSpec(("N", 4, 8, 8))
ODD_IMAGE = TensorSpec(("N", 6, 7, 9))
VECTOR = TensorSpec(("N", 12))
TOKENS = TensorSpec(("N", 5, 8))
#: ``(N, C, L)``: channels before positions.
SEQUENCE = TensorSpec(("N", 10, 9))
#: ``(N, H, W, C)``: a map with its channels last.
CHANNELS_LAST = TensorSpec(("N", 5, 6, 8))


def same(params: Any, inputs: Inputs) -> TensorSpec:
    """The shape of the first input."""
    return inputs[0]


def channel_axis(spec: TensorSpec) -> int:
    """Axis 1 of maps and vectors, the last axis of token sequences ``(N, T, C)``."""
    return 2 if spec.rank == 3 else 1


def channels(inputs: Inputs) -> int:
    """The number of channels of the first input."""
    return inputs[0].size(channel_axis(inputs[0]))


def elements(spec: TensorSpec) -> int:
    """Elements of one item of the batch; symbolic extents count as one."""
    return prod(d for d in spec.shape[1:] if isinstance(d, int))


def bias(name: str, size: int) -> WeightSpec:
    """An additive bias with ``size`` entries."""
    return WeightSpec(name, (size,), Role.BIAS, Primitive.BIAS)


def matrix(name: str, out: int, into: int, tail: tuple[int, ...] = ()) -> WeightSpec:
    """A matrix, or a convolution with the kernel ``tail``."""
    return WeightSpec(name, (out, into, *tail), Role.WEIGHT, Primitive.CONV)


def norm_weights(size: int, primitive: Primitive) -> tuple[WeightSpec, WeightSpec]:
    """The scale and shift of a normalisation over ``size`` channels."""
    return (
        WeightSpec("weight", (size,), Role.SCALE, primitive),
        WeightSpec("bias", (size,), Role.SHIFT, primitive),
    )


def half(kernel: Pair, dilation: Pair = (1, 1)) -> Pair:
    """The padding that keeps the size for odd kernels."""
    return (dilation[0] * (kernel[0] - 1) // 2, dilation[1] * (kernel[1] - 1) // 2)


def bare_param() -> Any:
    """The parameter of operators whose one tensor may belong to the block around them."""
    return param(False, label="Bare parameter",
                 help="Names the tensor like the node itself: class_token, not class_token.weight.")


def name_of(bare: bool) -> str:
    """The name of an operator's only tensor."""
    return "" if bare else BARE
