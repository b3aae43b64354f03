"""How a map lies in memory: channels first, channels last, or as a sequence of tokens."""

from __future__ import annotations

from ghn_studio.ir.tensors import TensorSpec
from ghn_studio.ops.binding import OnnxBinding, OnnxForm
from ghn_studio.ops.shapes import CHANNELS_LAST as MAP_LAST
from ghn_studio.ops.shapes import IMAGE, ODD_IMAGE
from ghn_studio.ops.spec import Category, Example, Inputs, NoParams, OpSpec, Port, call
from ghn_studio.ops.torch_readers import rearrange as read


def _tokens_infer(p: NoParams, inputs: Inputs) -> TensorSpec:
    x = inputs[0]
    return TensorSpec((x.shape[0], x.size(2) * x.size(3), x.shape[1]), x.dtype)


def _tokens_onnx(p: NoParams, inputs: Inputs) -> OnnxForm:
    tokens, channels = _tokens_infer(p, inputs).shape[1:]
    return OnnxForm(body=f"""
        shape = Constant <value_ints = [0, {channels}, {tokens}]> ()
        rows = Reshape(x, shape)
        y = Transpose <perm = [0, 2, 1]> (rows)""", since=13)


def _turned(x: TensorSpec, *dims: int) -> TensorSpec:
    return TensorSpec(tuple(x.shape[d] for d in dims), x.dtype)


TOKENS = OpSpec(
    id="tokens", title="Map to tokens", category=Category.ATTENTION,
    summary="Makes each position of a map, row by row, a token.",
    formula="y[i·W + j, c] = x[c, i, j]",
    params=NoParams, inputs=(Port("map", (4,)),), infer=_tokens_infer,
    module=lambda p, i: call("ghn_studio.blocks.Tokens"), onnx=OnnxBinding(_tokens_onnx),
    examples=(Example(NoParams(), (IMAGE,)), Example(NoParams(), (ODD_IMAGE,))),
)
CHANNELS_LAST = OpSpec(
    id="channels_last", title="Channels last", category=Category.ATTENTION,
    summary="Moves the channels of a map behind its height and width, where attention in windows expects them.",
    formula="y[i, j, c] = x[c, i, j]",
    params=NoParams, inputs=(Port("map", (4,)),), infer=lambda p, i: _turned(i[0], 0, 2, 3, 1),
    module=lambda p, i: call("ghn_studio.blocks.ChannelsLast"), torch=read.CHANNELS_LAST,
    onnx=OnnxBinding(lambda p, i: OnnxForm(body="y = Transpose <perm = [0, 2, 3, 1]> (x)")),
    examples=(Example(NoParams(), (IMAGE,)), Example(NoParams(), (ODD_IMAGE,))),
)
CHANNELS_FIRST = OpSpec(
    id="channels_first", title="Channels first", category=Category.ATTENTION,
    summary="Moves the channels of a map from behind its height and width to the front.",
    formula="y[c, i, j] = x[i, j, c]",
    params=NoParams, inputs=(Port("map", (4,)),), infer=lambda p, i: _turned(i[0], 0, 3, 1, 2),
    module=lambda p, i: call("ghn_studio.blocks.ChannelsFirst"), torch=read.CHANNELS_FIRST,
    onnx=OnnxBinding(lambda p, i: OnnxForm(body="y = Transpose <perm = [0, 3, 1, 2]> (x)")),
    examples=(Example(NoParams(), (MAP_LAST,)), Example(NoParams(), (ODD_IMAGE,))),
)
