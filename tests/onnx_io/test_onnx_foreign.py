"""Node forms that other exporters write, each compared with onnxruntime."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Any

import numpy as np
import onnx
import pytest
import torch
from onnx import TensorProto, helper, numpy_helper

from ghn_studio import onnx_io
from ghn_studio.engine.build import build
from ghn_studio.errors import OnnxConversionError

Run = Callable[[onnx.ModelProto | Path, np.ndarray], np.ndarray]
RANDOM = np.random.default_rng(0)


def real(*shape: int) -> np.ndarray:
    return RANDOM.standard_normal(shape).astype(np.float32)


def ints(*values: int) -> np.ndarray:
    return np.asarray(values, np.int64)


def node(op: str, inputs: str, output: str = "y", **attrs: Any) -> onnx.NodeProto:
    """A node; names of inputs and outputs are separated by blanks, '-' stands for one left out."""
    names = ["" if n == "-" else n for n in inputs.split()]
    return helper.make_node(op, names, output.split(), name=f"node_{output.split()[0]}", **attrs)


def model(
    nodes: Sequence[onnx.NodeProto], tensors: dict[str, np.ndarray] | None = None, *,
    shape: Sequence[Any] = (1, 4, 8, 8), opset: int = 17, out: str = "y", ir: int = 8,
) -> onnx.ModelProto:
    return helper.make_model(
        helper.make_graph(
            list(nodes), "foreign", [helper.make_tensor_value_info("x", TensorProto.FLOAT, list(shape))],
            [helper.make_tensor_value_info(out, TensorProto.FLOAT, None)],
            [numpy_helper.from_array(array, name) for name, array in (tensors or {}).items()],
        ),
        opset_imports=[helper.make_opsetid("", opset)], ir_version=ir,
    )


def saved(proto: onnx.ModelProto, folder: Path) -> Path:
    path = folder / "foreign.onnx"
    path.write_bytes(proto.SerializeToString())
    return path


FLAT = node("Flatten", "x", "f")
CASES: dict[str, tuple[list[str], onnx.ModelProto]] = {
    "gemm-columns": (["flatten", "linear"], model([FLAT, node("Gemm", "f w b")], {"w": real(256, 5), "b": real(5)})),
    "gemm-rows": (["flatten", "linear"], model([FLAT, node("Gemm", "f w", transB=1)], {"w": real(5, 256)})),
    "gemm-bias-row": (
        ["flatten", "linear"], model([FLAT, node("Gemm", "f w b", transB=1)], {"w": real(5, 256), "b": real(1, 5)})),
    "matmul": (["flatten", "linear"], model([FLAT, node("MatMul", "f w")], {"w": real(256, 5)})),
    "matmul-add": (["flatten", "linear"], model(
        [FLAT, node("MatMul", "f w", "m"), node("Add", "b m")], {"w": real(256, 5), "b": real(5)})),
    "matmul-add-through-identity": (["flatten", "linear"], model(
        [FLAT, node("Identity", "b", "same"), node("MatMul", "f w", "m"), node("Add", "m same")],
        {"w": real(256, 5), "b": real(5)})),
    "reshape-minus-one": (["flatten"], model([node("Reshape", "x s")], {"s": ints(1, -1)})),
    "reshape-keeps-batch": (["flatten"], model([node("Reshape", "x s")], {"s": ints(0, -1)})),
    "reshape-known-size": (["flatten"], model([node("Reshape", "x s")], {"s": ints(-1, 256)}, shape=("N", 4, 8, 8))),
    "reshape-computed": (["flatten"], model(
        [node("Shape", "x", "s"), node("Gather", "s zero", "n"), node("Unsqueeze", "n axis", "u"),
         node("Concat", "u rest", "t", axis=0), node("Reshape", "x t")],
        {"zero": np.asarray(0, np.int64), "axis": ints(0), "rest": ints(-1)}, shape=("N", 4, 8, 8))),
    "reshape-computed-with-slices": (["flatten"], model(
        [node("Shape", "x", "s"), node("Slice", "s a b", "n"), node("Slice", "s b c", "r"),
         node("Slice", "r a b", "r0"), node("Mul", "r0 sixtyfour", "size"), node("Concat", "n size", "t", axis=0),
         node("Reshape", "x t")],
        {"a": ints(0), "b": ints(1), "c": ints(4), "sixtyfour": ints(64)}, shape=("N", 4, 8, 8))),
    "mean-keeps-axes": (["global_avg_pool"], model([node("ReduceMean", "x", axes=[2, 3], keepdims=1)])),
    "mean-drops-axes": (["spatial_mean"], model(
        [node("ReduceMean", "x axes", keepdims=0)], {"axes": ints(-1, -2)}, opset=18)),
    "pool-then-squeeze": (["global_avg_pool", "flatten"], model(
        [node("GlobalAveragePool", "x", "g"), node("Squeeze", "g axes")], {"axes": ints(2, 3)})),
    "clip-attributes": (["relu6"], model([node("Clip", "x", min=0.0, max=6.0)], opset=10)),
    "clip-constants": (["relu6"], model(
        [helper.make_node("Constant", [], ["low"], value_float=0.0),
         helper.make_node("Constant", [], ["high"], value=numpy_helper.from_array(np.float32(6))),
         node("Clip", "x low high")])),
    "softmax-old": (["flatten", "softmax"], model([FLAT, node("Softmax", "f")], opset=9)),
    "softmax-old-map": (["global_avg_pool", "softmax"], model(
        [node("GlobalAveragePool", "x", "g"), node("Softmax", "g", axis=1)], opset=9)),
    "conv-same": (["conv2d"], model([node("Conv", "x w", auto_pad="SAME_UPPER")], {"w": real(6, 4, 3, 3)})),
    "conv-valid": (["conv2d"], model([node("Conv", "x w b", auto_pad="VALID", strides=[2, 1])],
                                     {"w": real(6, 4, 3, 2), "b": real(6)})),
    "conv-depthwise": (["conv2d"], model([node("Conv", "x w", group=4, pads=[1, 2, 1, 2], dilations=[1, 2])],
                                         {"w": real(8, 1, 3, 3)})),
    "average-default": (["avg_pool"], model([node("AveragePool", "x", kernel_shape=[3, 3], pads=[1, 1, 1, 1])])),
    "max-dilated": (["max_pool"], model(
        [node("MaxPool", "x", kernel_shape=[2, 2], dilations=[2, 3], strides=[2, 1], ceil_mode=1)])),
    "batch-norm-old": (["batch_norm"], model(
        [node("BatchNormalization", "x s b m v", epsilon=1e-3)],
        {"s": real(4), "b": real(4), "m": real(4), "v": real(4) ** 2}, opset=8, ir=3)),
    "layer-norm-no-shift": (["flatten", "layer_norm"], model(
        [FLAT, node("LayerNormalization", "f s", axis=1)], {"s": real(256)})),
    "group-norm": (["group_norm"], model([node("GroupNormalization", "x s b", num_groups=2)],
                                         {"s": real(4), "b": real(4)}, opset=21)),
    "prelu-channels": (["prelu"], model([node("PRelu", "x s")], {"s": real(4, 1, 1)})),
    "prelu-one": (["prelu"], model([node("PRelu", "x s")], {"s": real(1)})),
    "prelu-one-in-three-axes": (["prelu"], model([node("PRelu", "x s")], {"s": real(1, 1, 1)})),
    "rms-norm": (["flatten", "rms_norm"], model(
        [FLAT, node("RMSNormalization", "f s", axis=1, epsilon=1e-4)], {"s": real(256)}, opset=23)),
    "constant-product-with-bias": (["constant", "add"], model(
        [node("MatMul", "a b", "m"), node("Add", "m c", "s"), node("Add", "x s")],
        {"a": real(8, 3), "b": real(3, 8), "c": real(8)})),
    "constant-cut-to-whole-numbers": (["constant", "add"], model(
        [node("Cast", "c", "i", to=TensorProto.INT64), node("Cast", "i", "f", to=TensorProto.FLOAT),
         node("Add", "x f")], {"c": np.float32([[[1.7]], [[-1.7]], [[0.2]], [[3.0]]])})),
    "constant-softmax": (["constant", "add"], model(
        [node("Softmax", "c", "s", axis=-1), node("Add", "x s")], {"c": real(8, 8)})),
    "constant-gemm": (["constant", "add"], model(
        [node("Gemm", "a b c", "g", transB=1, alpha=0.5), node("Add", "x g")],
        {"a": real(8, 3), "b": real(8, 3), "c": real(8)})),
    "constant-in-two-parts": (["constant", "constant", "add", "multiply"], model(
        [node("Split", "c", "p q", axis=0), node("Add", "x p", "s"), node("Mul", "s q")], {"c": real(2, 8, 8)})),
    "weights-standardised": (["conv2d"], model(
        [node("Reshape", "w rows", "r"), node("BatchNormalization", "r s b m v", "n m1 v1", training_mode=1),
         node("Reshape", "n shape", "k"), node("Conv", "x k")],
        {"w": real(6, 4, 3, 3), "rows": ints(1, 6, 36), "shape": ints(6, 4, 3, 3), "s": np.ones(6, np.float32),
         "b": np.zeros(6, np.float32), "m": np.zeros(6, np.float32), "v": np.ones(6, np.float32)})),
    "several-tokens": (["reshape", "permute", "class_token", "class_token", "class_token"], model(
        [node("Reshape", "x s", "r"), node("Transpose", "r", "t", perm=[0, 2, 1]), node("Concat", "c g t", axis=1)],
        {"s": ints(1, 4, 64), "c": real(1, 1, 4), "g": real(1, 2, 4)})),
    "smallest-number": (["add_scalar"], model([node("Add", "x c")], {"c": np.float32(-3.4028235e38)})),
    "nearest-twice": (["resize"], model(
        [node("Resize", "x - s", coordinate_transformation_mode="asymmetric")], {"s": np.float32([1, 1, 2, 2])})),
    "split-old": (["chunk", "add"], model(
        [node("Split", "x", "a b", axis=1, split=[2, 2]), node("Add", "a b")], opset=11)),
    "split-sizes": (["chunk", "multiply"], model(
        [node("Split", "x sizes", "a b", axis=1), node("Mul", "b a")], {"sizes": ints(2, 2)})),
    "split-last-part-unused": (["chunk", "relu"], model([node("Split", "x", "a b", axis=1), node("Relu", "a")])),
    "sum-of-three": (["relu", "sigmoid", "add"], model(
        [node("Relu", "x", "r"), node("Sigmoid", "x", "s"), node("Sum", "x r s")])),
    "concat-negative-axis": (["relu", "concat"], model([node("Relu", "x", "r"), node("Concat", "x r", axis=-3)])),
    "concat-of-one": (["relu"], model([node("Concat", "x", "c", axis=1), node("Relu", "c")])),
    "position-first": (["pos_enc"], model([node("Add", "p x")], {"p": real(1, 4, 8, 8)})),
    "channel-factors": (["layer_scale"], model([node("Mul", "x f")], {"f": real(1, 4, 1, 1)})),
    "dropout-old": (["dropout"], model([node("Dropout", "x", ratio=0.3)], opset=10)),
    "hard-swish-by-hand": (["hardsigmoid", "multiply"], model(
        [node("HardSigmoid", "x", "h", alpha=1 / 6), node("Mul", "x h")])),
    "weights-by-rule": (["conv2d"], model(
        [helper.make_node("ConstantOfShape", ["shape"], ["zeros"], value=helper.make_tensor("v", 1, [1], [0.5])),
         node("Conv", "x w zeros")], {"w": real(3, 4, 1, 1), "shape": ints(3)})),
    "weights-unsqueezed": (["prelu"], model(
        [node("Unsqueeze", "flat axes", "s"), node("PRelu", "x s")], {"flat": real(4), "axes": ints(1, 2)})),
    "matrix-transposed-by-node": (["flatten", "linear"], model(
        [FLAT, node("Transpose", "w", "t", perm=[1, 0]), node("MatMul", "f t")], {"w": real(5, 256)})),
    "matmul-of-two-values": (["matmul"], model([node("MatMul", "x x")])),
    "clip-other": (["clip"], model([node("Clip", "x a b")], {"a": np.float32([-1]).reshape(()),
                                                             "b": np.float32([1]).reshape(())})),
    "scalar-add": (["add_scalar"], model([node("Add", "x c")], {"c": np.float32([1])})),
    "scalar-power": (["sigmoid", "power"], model([node("Sigmoid", "x", "s"), node("Pow", "s c")],
                                                 {"c": np.float32(3)})),
    "difference-of-turned": (["permute", "subtract"], model([node("Transpose", "x", "t", perm=[0, 1, 3, 2]),
                                                             node("Sub", "x t")])),
    "pads-differ": (["pad", "conv2d"], model([node("Conv", "x w", pads=[0, 0, 1, 1])], {"w": real(3, 4, 2, 2)})),
    "same-upper": (["pad", "conv2d"], model(
        [node("Conv", "x w", auto_pad="SAME_UPPER", strides=[2, 2])], {"w": real(3, 4, 3, 3)})),
    "same-lower-max": (["pad", "max_pool"], model([node("MaxPool", "x", kernel_shape=[2, 2], auto_pad="SAME_LOWER")])),
    "average-pads-differ": (["constant", "pad", "avg_pool", "multiply"], model(
        [node("AveragePool", "x", kernel_shape=[3, 2], pads=[0, 1, 2, 0], strides=[2, 1])])),
    "gemm-scaled": (["flatten", "linear"], model(
        [FLAT, node("Gemm", "f w b", alpha=2.0, beta=0.5)], {"w": real(256, 5), "b": real(5)})),
    "clip-open": (["clip"], model([node("Clip", "x a")], {"a": np.zeros((), np.float32)})),
    "reshape-five": (["reshape"], model([node("Reshape", "x s")], {"s": ints(1, 2, 2, 8, 8)})),
    "softmax-old-joint": (["flatten", "softmax", "reshape"], model([node("Softmax", "x")], opset=11)),
    "hard-sigmoid": (["multiply_scalar", "add_scalar", "clip"], model([node("HardSigmoid", "x")])),
    "split-unequal": (["split", "relu", "concat"], model(
        [node("Split", "x s", "a b", axis=1), node("Relu", "b", "r"), node("Concat", "r a", axis=1)],
        {"s": ints(1, 3)})),
    "slice-of-two-axes": (["slice", "slice"], model(
        [node("Slice", "x a b axes")], {"a": ints(1, 0, 2), "b": ints(3, 2**40, -1), "axes": ints(1, 0, -1)})),
    "places-in-a-row": (["slice"], model([node("Gather", "x i", axis=2)], {"i": ints(2, 3, 4)})),
    "places-anywhere": (["slice", "slice", "concat"], model([node("Gather", "x i", axis=1)], {"i": ints(3, 0)})),
    "one-less": (["neg", "add_scalar"], model([node("Sub", "one x")], {"one": np.float32(1)})),
    "over-a-number": (["multiply_scalar"], model([node("Div", "x c")], {"c": np.float32(4)})),
    "over-a-value": (["sigmoid", "power", "multiply_scalar"], model(
        [node("Sigmoid", "x", "s"), node("Div", "c s")], {"c": np.float32(4)})),
    "largest-of-three": (["neg", "sigmoid", "maximum", "maximum"], model(
        [node("Neg", "x", "n"), node("Sigmoid", "x", "s"), node("Max", "x n s")])),
    "at-least": (["clip"], model([node("Max", "c x")], {"c": np.float32(0.25)})),
    "length": (["power", "reduce", "sqrt"], model([node("ReduceL2", "x", axes=[1], keepdims=0)], opset=13)),
    "sum-of-squares": (["power", "reduce"], model([node("ReduceSumSquare", "x", axes=[-1])], opset=13)),
    "global-max": (["reduce"], model([node("GlobalMaxPool", "x")])),
    "learned-tensor": (["parameter", "multiply"], model([node("Mul", "w x")], {"w": real(8, 8)})),
    "computed-constant": (["constant", "multiply"], model(
        [node("Exp", "w", "e"), node("Mul", "x e")], {"w": real(8, 9)[:, :8].copy()})),
    "heads-joined-with-the-batch": (["permute", "matmul", "reshape"], model(
        [node("Reshape", "x rows", "r"), node("Transpose", "r", "t", perm=[0, 2, 1]), node("MatMul", "r t", "m"),
         node("Reshape", "m whole")], {"rows": ints(-1, 8, 8), "whole": ints(1, 4, 64)})),
    "batch-behind": (["linear_map", "permute"], model(
        [node("Transpose", "x", "t", perm=[2, 0, 1, 3]), node("MatMul", "t w", "m"),
         node("Transpose", "m", perm=[1, 0, 2, 3])], {"w": real(8, 3)})),
    "channels-brought-back-with-the-batch-behind": (["permute", "linear_map", "permute"], model(
        [node("Transpose", "x", "t", perm=[2, 3, 0, 1]), node("MatMul", "t w", "m"),
         node("Transpose", "m", perm=[2, 3, 0, 1])], {"w": real(4, 3)})),
    "depth-to-space": (["reshape", "permute", "reshape"], model([node("DepthToSpace", "x", blocksize=2)])),
    "depth-to-space-columns": (["reshape", "permute", "reshape"], model(
        [node("DepthToSpace", "x", blocksize=2, mode="CRD")])),
    "space-to-depth": (["reshape", "permute", "reshape"], model([node("SpaceToDepth", "x", blocksize=4)])),
    "resize-nearest": (["resize"], model([node("Resize", "x - s", coordinate_transformation_mode="asymmetric",
                                               nearest_mode="floor")], {"s": np.float32([1, 1, 2, 1.5])})),
    "resize-linear": (["resize"], model([node("Resize", "x - - s", mode="linear")], {"s": ints(1, 4, 5, 11)})),
    "resize-corners": (["resize"], model([node("Resize", "x - - s", mode="linear",
                                               coordinate_transformation_mode="align_corners")],
                                         {"s": ints(1, 4, 5, 11)})),
    "upsample": (["resize"], model([node("Upsample", "x s")], {"s": np.float32([1, 1, 2, 2])}, opset=9)),
    "attention": (["permute", "matmul", "multiply_scalar", "softmax", "matmul"], model(
        [node("Attention", "x x x")], opset=23, ir=11)),
    "einsum": (["permute", "matmul"], model([node("Einsum", "x x", equation="nchw,ncvw->nchv")], opset=17)),
    "norm-of-all-tokens": (["permute", "reshape", "permute", "batch_norm", "permute", "reshape"], model([
        node("Transpose", "x", "t", perm=[0, 2, 3, 1]), node("Reshape", "t rows", "r"),
        node("BatchNormalization", "r s b m v", "n"), node("Reshape", "n back")],
        {**{k: real(4) for k in "sbm"}, "v": real(4) ** 2, "rows": ints(-1, 4), "back": ints(-1, 8, 8, 4)},
        shape=("N", 4, 8, 8))),
    "expanded-heads": (["reduce", "expand", "multiply"], model([
        node("Reshape", "x rows", "r"), node("ReduceMax", "r", "m", axes=[2]), node("Expand", "m wide", "e"),
        node("Mul", "r e", "p"), node("Reshape", "p back")],
        {"rows": ints(-1, 8, 8), "wide": ints(1, 8, 8), "back": ints(-1, 4, 8, 8)}, opset=13, shape=("N", 4, 8, 8))),
    "nodes-out-of-order": (["relu", "tanh"], model([node("Tanh", "r"), node("Relu", "x", "r")])),
}


@pytest.mark.parametrize(("zero", "ops"), [
    (np.uint8(0), ["conv2d", "relu"]), (np.int8(-128), ["conv2d", "relu"]), (np.uint8(100), ["conv2d"]),
    (np.int8(0), ["conv2d"]),
])
def test_a_range_from_zero_on_is_the_relu_that_quantisers_leave_out(tmp_path: Path, zero: Any, ops: list[str]) -> None:
    file = tmp_path / "quantised.onnx"
    onnx.save(model(
        [node("Conv", "x w", "c"), node("QuantizeLinear", "c s z", "q"), node("DequantizeLinear", "q s z")],
        {"w": real(6, 4, 3, 3), "s": np.float32(0.05), "z": zero},
    ), file)
    assert [n.op for n in onnx_io.read(file).architecture.nodes.values()] == ["input", *ops, "output"]


@pytest.mark.parametrize("name", CASES)
def test_foreign_nodes_become_operators_that_compute_the_same(name: str, tmp_path: Path, execute: Run) -> None:
    operators, proto = CASES[name]
    path = saved(proto, tmp_path)
    found = onnx_io.read(path)
    assert [n.op for n in found.architecture.topological()] == ["input", *operators, "output"]
    module = build(found.architecture).eval()
    module.load_state_dict({k: torch.from_numpy(v) for k, v in found.values.items()}, strict=True)
    images = real(1, 4, 8, 8)
    with torch.no_grad():
        result = module(torch.from_numpy(images)).numpy()
    expected = execute(proto, images)
    assert result.shape == expected.shape
    np.testing.assert_allclose(result, expected, rtol=1e-5, atol=1e-5 * np.abs(expected).max())


def test_rules_that_drop_the_order_are_reported(tmp_path: Path) -> None:
    found = onnx_io.read(saved(CASES["nodes-out-of-order"][1], tmp_path))
    assert any("sorted" in warning for warning in found.warnings)


REFUSED: dict[str, tuple[str, onnx.ModelProto]] = {
    "asymmetric-ceil": ("opposite sides", model(
        [node("MaxPool", "x", kernel_shape=[2, 2], pads=[0, 0, 1, 1], ceil_mode=1)])),
    "conv-1d": ("two-dimensional", model([node("Conv", "x w")], {"w": real(3, 4, 2)})),
    "reshape-mixes": ("cannot be reshaped", model(
        [node("Reshape", "x s")], {"s": ints(8, -1)}, shape=("N", 4, 8, 8))),
    "mixes-images": ("[N, 4, 8, 8] cannot be reshaped to [3, 4, 8, 8]", model(
        [node("Reshape", "x s")], {"s": ints(3, 4, 8, 8)}, shape=("N", 4, 8, 8))),
    "along-the-batch": ("holds the batch", model(
        [node("Transpose", "x", "t", perm=[1, 0, 2, 3]), node("Softmax", "t", axis=1)])),
    "batch-reversed": ("backwards", model(
        [node("Slice", "x a b axes steps")], {"a": ints(-1), "b": ints(-9), "axes": ints(3), "steps": ints(-1)})),
    "mean-all": ("mixes the images", model([node("ReduceMean", "x")])),
    "training-norm": ("training_mode", model(
        [node("BatchNormalization", "x s b m v", "y n w", training_mode=1)], {k: real(4) for k in "sbmv"})),
    "dropout-mask": ("is used", model([node("Dropout", "x", "d m"), node("Cast", "m", "y", to=1)])),
    "only-the-mask": ("is used", model([node("Dropout", "x", "d y")])),
    "constant-output": ("does not depend", model([node("Identity", "c")], {"c": real(1, 4)})),
    "attribute-of-wrong-type": ("negative_slope is 'steep'", model([node("LeakyRelu", "x", alpha="steep")])),
    "nan-attribute": ("negative_slope is nan", model([node("LeakyRelu", "x", alpha=float("nan"))])),
    "input-left-out": ("malformed", model([node("Shape", ""), FLAT])),
    "wrong-bias": ("its bias has shape [4], expected [5]", model(
        [FLAT, node("Gemm", "f w b")], {"w": real(256, 5), "b": real(4)})),
    "integer-weights": ("holds int64", model([FLAT, node("MatMul", "f w")], {"w": np.ones((256, 5), np.int64)})),
    "many-unknown": ("and 2 more", model(
        [node("Cosh", "x" if i == 0 else f"v{i}", f"v{i + 1}") for i in range(12)], out="v12")),
}


@pytest.mark.parametrize("name", REFUSED)
def test_what_no_operator_can_express_is_refused_with_the_reason(name: str, tmp_path: Path) -> None:
    reason, proto = REFUSED[name]
    with pytest.raises(OnnxConversionError) as caught:
        onnx_io.read(saved(proto, tmp_path))
    assert reason in str(caught.value)
    assert "foreign.onnx" in str(caught.value)


def test_a_refusal_counts_and_lists_ten_nodes(tmp_path: Path) -> None:
    with pytest.raises(OnnxConversionError) as caught:
        onnx_io.read(saved(REFUSED["many-unknown"][1], tmp_path))
    message = str(caught.value)
    assert "12 of 12 nodes" in message and "Cosh × 12" in message and message.count("no operator of this version") == 10


@pytest.mark.parametrize("kind", [np.float16, np.float64])
def test_other_precisions_become_float32_and_it_is_said(kind: type, tmp_path: Path) -> None:
    nodes = [node("Cast", "x", "h", to=TensorProto.FLOAT), node("Conv", "h w")]
    proto = model(nodes, {"w": real(3, 4, 1, 1).astype(kind)})
    found = onnx_io.read(saved(proto, tmp_path))
    (value,) = found.values.values()
    assert value.dtype == np.float32
    assert any(np.dtype(kind).name in warning for warning in found.warnings)


def test_bfloat16_is_read(tmp_path: Path) -> None:
    proto = model([node("PRelu", "x s")])
    proto.graph.initializer.append(helper.make_tensor("s", TensorProto.BFLOAT16, [1], [0.25]))
    (value,) = onnx_io.read(saved(proto, tmp_path)).values.values()
    np.testing.assert_array_equal(value, np.float32([0.25]))


def test_open_image_size_is_asked_for(tmp_path: Path) -> None:
    path = saved(model([node("Relu", "x")], shape=("N", 3, "H", "W")), tmp_path)
    with pytest.raises(OnnxConversionError, match="choose an image size"):
        onnx_io.read(path)
    params = onnx_io.read(path, (20, 30)).architecture.nodes["x"].params
    assert (params.channels, params.height, params.width) == (3, 20, 30)
    assert onnx_io.read(path, 16).architecture.nodes["x"].params.width == 16


def test_fixed_image_size_is_kept(tmp_path: Path) -> None:
    path = saved(model([node("Relu", "x")]), tmp_path)
    assert onnx_io.read(path, 8).architecture.nodes["x"].params.height == 8
    with pytest.raises(OnnxConversionError, match="fixed at 8 × 8"):
        onnx_io.read(path, 16)


def test_files_without_parameters_give_none_unless_asked(tmp_path: Path) -> None:
    fill = helper.make_tensor("v", 1, [1], [0.02])
    nodes = [helper.make_node("ConstantOfShape", ["s"], ["w"], value=fill), node("Conv", "x w")]
    proto = model(nodes, {"s": ints(6, 4, 3, 3)})
    path = saved(proto, tmp_path)
    found = onnx_io.read(path)
    assert not found.values and any("without parameters" in w for w in found.warnings)
    (value,) = onnx_io.read(path, keep_filled=True).values.values()
    assert value.shape == (6, 4, 3, 3) and np.all(value == np.float32(0.02)) and value.flags.writeable


def test_attributes_come_back_as_they_were_written(tmp_path: Path) -> None:
    tensors = {k: real(4) for k in "sbm"} | {"v": real(4) ** 2}
    proto = model([node("BatchNormalization", "x s b m v", epsilon=1e-5, momentum=0.99)], tensors)
    found = onnx_io.read(saved(proto, tmp_path)).architecture.nodes.values()
    params = next(n.params for n in found if n.op == "batch_norm")
    assert (params.eps, params.momentum) == (1e-5, 0.01)


def test_hint_about_folded_batch_norm(tmp_path: Path) -> None:
    folded = model([node("Conv", "x w b")], {"w": real(3, 4, 1, 1), "b": real(3)})
    assert any("no BatchNorm" in w for w in onnx_io.read(saved(folded, tmp_path)).warnings)
    without_bias = model([node("Conv", "x w")], {"w": real(3, 4, 1, 1)})
    assert not onnx_io.read(saved(without_bias, tmp_path)).warnings
