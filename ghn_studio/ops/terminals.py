"""Where a network begins and ends, and nodes that only a runner understands."""

from __future__ import annotations

from dataclasses import dataclass

from ghn_studio.ir.tensors import TensorSpec
from ghn_studio.ops.reach import WHOLE
from ghn_studio.ops.shapes import IMAGE, VECTOR, same
from ghn_studio.ops.spec import Call, Category, Example, Inputs, NoParams, OpSpec, Port, Primitive, call, param


@dataclass(frozen=True, slots=True)
class InputParams:
    channels: int = param(3, label="Channels", low=1, key=True, help="3 for colour images, 1 for grey ones.")
    height: int = param(32, label="Height", unit="px", low=1, key=True, help="Rows of each image.")
    width: int = param(32, label="Width", unit="px", low=1, key=True, help="Columns of each image.")


@dataclass(frozen=True, slots=True)
class OpaqueParams:
    """What a file said about a node that no operator matches."""

    runner: str = param("onnx", label="Runs in", help="The runtime that understands the node; empty if none here does.")
    kind: str = param("", label="Node type", key=True)
    payload: str = param("", label="Definition", help="What the runtime executes, or why none can.")
    shapes: tuple[tuple[int, ...], ...] = param(((1,),), label="Output shapes", help="Without the batch axis.")


INPUT = OpSpec(
    id="input", title="Input", category=Category.TERMINAL, summary="The batch of images the network receives.",
    formula="y = images",
    params=InputParams, inputs=(), primitive=Primitive.INPUT,
    infer=lambda p, _: TensorSpec(("N", p.channels, p.height, p.width)),
    module=lambda p, _: call("torch.nn.Identity"),
    examples=(Example(InputParams(), ()), Example(InputParams(1, 9, 7), ())),
)
OUTPUT = OpSpec(
    id="output", title="Output", category=Category.TERMINAL, summary="Marks what the network returns.",
    formula="y = x",
    params=NoParams, inputs=(Port("x"),), infer=same,
    module=lambda p, _: call("torch.nn.Identity"),
    examples=(Example(NoParams(), (VECTOR,)), Example(NoParams(), (IMAGE,))),
)


def _opaque_infer(p: OpaqueParams, inputs: Inputs) -> tuple[TensorSpec, ...]:
    if not p.runner:
        raise ValueError(f"{p.kind} is not supported, nothing here can run it: {p.payload}; replace or remove it")
    return tuple(TensorSpec(("N", *shape)) for shape in p.shapes)


def _opaque_module(p: OpaqueParams, inputs: Inputs) -> Call:
    if p.runner == "onnx" and p.payload:
        return call("ghn_studio.blocks.Foreign", p.payload)
    return call(f"{p.runner}.{p.kind}", p.payload)


OPAQUE = OpSpec(
    id="opaque", title="Foreign node", category=Category.HIDDEN,
    summary="A node of an imported file that only its own runtime can execute.",
    params=OpaqueParams, inputs=(Port("x", variadic=True, at_least=0),),
    outputs=lambda p: tuple(f"out{i}" for i in range(len(p.shapes))) if len(p.shapes) > 1 else ("out",),
    infer=_opaque_infer, module=_opaque_module,
    reach=lambda p, i: WHOLE,
    examples=(Example(OpaqueParams("onnx", "Custom", "", ((4, 8, 8),)), (IMAGE,)),),
)
