"""Damaged and hostile files: one clear error, nothing else, and no other file is touched."""

from __future__ import annotations

import contextlib
import os
import time
from pathlib import Path

import numpy as np
import onnx
import pytest
from onnx import TensorProto, helper, numpy_helper

from ghn_studio import onnx_io
from ghn_studio.errors import OnnxConversionError

CORPUS = Path(os.environ.get("GHN_STUDIO_SHARED") or Path(__file__).resolve().parents[3] / "shared") / "fault_corpus"

#: Fixtures that hold a sound network, and a word of the warning they have to give ("" for none).
SOUND = {
    "11_unsorted.onnx": "sorted", "31_ext_attr_injection.onnx": "", "45_nan_weights.onnx": "NaN",
    "50_chain_20k.onnx": "", "52_non_utf8_name.onnx": "cleaned", "54_fp16.onnx": "float16",
    "49a_nested_if_20.onnx": "", "53_qdq.onnx": "whole numbers",
    "60_string_tensor.onnx": "ignored",
}

#: A word that tells the person what is wrong with the file.
REASONS = {
    "01_empty.onnx": "empty", "02_random.onnx": "not an ONNX file", "03_truncated_half.onnx": "cut short",
    "04_truncated_last_byte.onnx": "cut short", "05_text.onnx": "is text", "06_git_lfs_pointer.onnx": "git lfs pull",
    "07_html_error_page.onnx": "web page", "08_pt_renamed.onnx": "PyTorch checkpoint", "09_bitflips.onnx": "damaged",
    "10_cycle.onnx": "cycle", "12_dangling_input.onnx": "'nope', which nothing produces",
    "13_unknown_op.onnx": "FooBar",
    "14_custom_domain.onnx": "com.acme", "15_opset_999.onnx": "operator set 999", "16_ir_999.onnx": "newer ONNX",
    "17_no_opset.onnx": "which operator set", "18_huge_dims_no_data.onnx": "would hold 9,895,604,649,984",
    "19_raw_len_mismatch.onnx": "has 100 bytes, needs 432", "20_negative_dim.onnx": "negative size",
    "21_bad_dtype.onnx": "number 77", "22_constantofshape_bomb.onnx": "100,000,000,000",
    "23_expand_bomb.onnx": "100,000,000,000", "24_ext_missing.onnx": "needs 'gone.bin' next to it",
    "28_ext_offset_past_end.onnx": "end at byte 432", "29_ext_negative_offset.onnx": "position -5",
    "30_ext_huge_length.onnx": "needs 432", "32_ext_devzero.onnx": "outside the model's folder",
    "33_dup_outputs.onnx": "called 'y'", "34_no_outputs.onnx": "no output", "35_no_inputs.onnx": "no image input",
    "36_empty_graph.onnx": "no layers", "37_kernel_stride0.onnx": "Stride must be at least 1",
    "38_group0.onnx": "Groups must be at least 1", "39_group_mismatch.onnx": "2 groups do not divide",
    "40_huge_pads.onnx": "too large", "41_dilation_huge.onnx": "does not fit",
    "42_attr_wrong_type.onnx": "kernel_shape is abc",
    "43_channel_mismatch.onnx": "[4, 7, 3, 3], expected [4, 3, 3, 3]",
    "44_reshape_bad.onnx": "[N, 3, 8, 8] cannot be reshaped to [7, -1]",
    "46_two_inputs_outputs.onnx": "2 inputs ('x', 'x2')", "47_if_subgraph.onnx": "If", "48_loop_forever.onnx": "Loop",
    "49b_nested_if_200.onnx": "nested too deeply",
    "51_recursive_function.onnx": "'loc.Self' calls itself",
    "55_sequence_map_output.onnx": "no tensor",
    "56_dynamic_hw.onnx": "choose an image size",
    "57_input_not_image.onnx": "int64 of shape [1, 16]", "58_dup_initializer.onnx": "two stored tensors are called 'w'",
    "59_initializer_shadows_input.onnx": "'x' is also stored", "75_empty.pt": "empty", "90_empty.safetensors": "empty",
    "76_zip_bomb_1GB.pt": "zip archive",
}

FILES = sorted(p for p in CORPUS.iterdir() if p.is_file()) if CORPUS.is_dir() else []


@pytest.mark.skipif(not FILES, reason="the prepared fault files are not here (GHN_STUDIO_SHARED)")
@pytest.mark.parametrize("path", FILES or [Path("none")], ids=lambda p: p.name)
def test_every_fault_file_gives_a_network_or_one_clear_error(path: Path) -> None:
    start = time.process_time()
    if path.name in SOUND:
        found = onnx_io.read(path)
        assert SOUND[path.name] in " ".join(found.warnings)
    else:
        with pytest.raises(OnnxConversionError) as caught:
            onnx_io.read(path)
        message = str(caught.value)
        assert path.name in message and len(message) < 4500
        assert REASONS.get(path.name, "") in message
    assert time.process_time() - start < 10


def network(location: str | None = None, **external: str) -> onnx.ModelProto:
    """A 1×1 convolution whose filters are inline, or external data at ``location``."""
    filters = numpy_helper.from_array(np.ones((2, 3, 1, 1), np.float32), "conv.weight")
    if location is not None:
        filters.ClearField("raw_data")
        filters.data_location = TensorProto.EXTERNAL
        for key, value in {"location": location, **external}.items():
            filters.external_data.add(key=key, value=value)
    return helper.make_model(
        helper.make_graph(
            [helper.make_node("Conv", ["x", "conv.weight"], ["y"])], "net",
            [helper.make_tensor_value_info("x", TensorProto.FLOAT, [1, 3, 4, 4])],
            [helper.make_tensor_value_info("y", TensorProto.FLOAT, None)], [filters],
        ),
        opset_imports=[helper.make_opsetid("", 17)], ir_version=8,
    )


def refusal(path: Path, model: onnx.ModelProto) -> str:
    path.write_bytes(model.SerializeToString())
    with pytest.raises(OnnxConversionError) as caught:
        onnx_io.read(path)
    return str(caught.value)


DATA = np.full((2, 3, 1, 1), 7, np.float32).tobytes()


def test_external_data_beside_the_file_are_read(tmp_path: Path) -> None:
    (tmp_path / "part").mkdir()
    (tmp_path / "part" / "weights.bin").write_bytes(b"1234" + DATA)
    (tmp_path / "net.onnx").write_bytes(network("part/weights.bin", offset="4", length="24").SerializeToString())
    np.testing.assert_array_equal(onnx_io.read(tmp_path / "net.onnx").values["conv.weight"], np.full((2, 3, 1, 1), 7))


@pytest.mark.parametrize("location", [
    "../secret.bin", "sub/../../secret.bin", "{outside}", "..\\secret.bin", "C:\\secret.bin",
    "\\\\host\\secret.bin", "", "/",
])
def test_external_data_outside_the_folder_are_refused(location: str, tmp_path: Path) -> None:
    (tmp_path / "model" / "sub").mkdir(parents=True)
    (tmp_path / "secret.bin").write_bytes(DATA)
    message = refusal(tmp_path / "model" / "net.onnx", network(location.format(outside=tmp_path / "secret.bin")))
    assert "outside the model's folder" in message


def test_links_are_not_followed(tmp_path: Path) -> None:
    (tmp_path / "model").mkdir()
    (tmp_path / "elsewhere").mkdir()
    (tmp_path / "elsewhere" / "secret.bin").write_bytes(DATA)
    (tmp_path / "model" / "soft.bin").symlink_to(tmp_path / "elsewhere" / "secret.bin")
    (tmp_path / "model" / "folder").symlink_to(tmp_path / "elsewhere")
    os.link(tmp_path / "elsewhere" / "secret.bin", tmp_path / "model" / "hard.bin")
    for location in ("soft.bin", "folder/secret.bin"):
        assert "behind a link" in refusal(tmp_path / "model" / "net.onnx", network(location))
    assert "second name of another file" in refusal(tmp_path / "model" / "net.onnx", network("hard.bin"))


@pytest.mark.parametrize(("entries", "reason"), [
    ({"offset": "8"}, "end at byte"), ({"offset": "-1"}, "position -1"), ({"length": "12"}, "needs 24"),
    ({"offset": "ten"}, "not a number"), ({"offset": str(2**70)}, "end at byte"), ({"length": str(2**70)}, "needs 24"),
])
def test_external_data_out_of_bounds_are_refused(entries: dict[str, str], reason: str, tmp_path: Path) -> None:
    (tmp_path / "weights.bin").write_bytes(DATA)
    assert reason in refusal(tmp_path / "net.onnx", network("weights.bin", **entries))


@pytest.mark.skipif(not hasattr(os, "mkfifo"), reason="this system has no named pipes")
def test_pipes_and_folders_are_never_opened(tmp_path: Path) -> None:
    os.mkfifo(tmp_path / "pipe.onnx")
    os.mkfifo(tmp_path / "weights.bin")
    (tmp_path / "folder.onnx").mkdir()
    for name, reason in (("pipe.onnx", "pipe"), ("folder.onnx", "folder"), ("gone.onnx", "cannot be opened")):
        with pytest.raises(OnnxConversionError, match=reason):
            onnx_io.read(tmp_path / name)
    assert "device" in refusal(tmp_path / "net.onnx", network("weights.bin"))


def test_unreadable_names_are_no_crash(tmp_path: Path) -> None:
    for name in ("a" * 300 + ".onnx", "nul\0.onnx"):
        with pytest.raises(OnnxConversionError):
            onnx_io.read(tmp_path / name)
    path = tmp_path / "snow ☃ and spaces.onnx"
    path.write_bytes(network().SerializeToString())
    assert onnx_io.read(path).values


def test_every_cut_of_a_file_is_refused_or_whole(tmp_path: Path) -> None:
    data = network().SerializeToString()
    for length in range(1, len(data)):
        (tmp_path / "net.onnx").write_bytes(data[:length])
        with pytest.raises(OnnxConversionError):
            onnx_io.read(tmp_path / "net.onnx")


def test_every_changed_byte_gives_a_network_or_an_error(tmp_path: Path) -> None:
    data = network().SerializeToString()
    random = np.random.default_rng(0)
    for position in range(len(data)):
        for value in random.integers(0, 256, 3):
            changed = bytearray(data)
            changed[position] = value
            (tmp_path / "net.onnx").write_bytes(bytes(changed))
            with contextlib.suppress(OnnxConversionError):
                onnx_io.read(tmp_path / "net.onnx")


def test_many_nodes_that_want_one_name_take_linear_time(tmp_path: Path) -> None:
    model = network()
    for i in range(5000):
        model.graph.node.add(op_type="Relu", name="same", input=[f"v{i}" if i else "y"], output=[f"v{i + 1}"])
    model.graph.output[0].name = "v5000"
    (tmp_path / "net.onnx").write_bytes(model.SerializeToString())
    start = time.process_time()
    assert len(onnx_io.read(tmp_path / "net.onnx").architecture.nodes) == 5003
    assert time.process_time() - start < 5


def test_functions_of_ours_with_another_body_are_reported(tmp_path: Path) -> None:
    text = '<domain: "ghn_studio", opset_import: ["" : 21]> silu (x) => (y) { y = Relu(x) }'
    model = helper.make_model(
        helper.make_graph(
            [helper.make_node("silu", ["x"], ["y"], domain="ghn_studio")], "net",
            [helper.make_tensor_value_info("x", TensorProto.FLOAT, [1, 3, 4, 4])],
            [helper.make_tensor_value_info("y", TensorProto.FLOAT, None)],
        ),
        opset_imports=[helper.make_opsetid("", 21), helper.make_opsetid("ghn_studio", 1)], ir_version=10,
        functions=[onnx.parser.parse_function(text)],
    )
    (tmp_path / "net.onnx").write_bytes(model.SerializeToString())
    found = onnx_io.read(tmp_path / "net.onnx")
    assert any("'silu' in another way" in warning for warning in found.warnings)


@pytest.mark.parametrize(("op", "attrs", "reason"), [
    ("input", {}, "no operator"), ("opaque", {}, "no operator"), ("nothing", {}, "no operator"),
    ("cse", {"reduction": 0}, "at least 1"), ("cse", {"colour": 3}, "no parameter 'colour'"),
    ("patch_embedding", {"dim": "wide"}, "expected something like"),
    ("adaptive_avg_pool", {"output_size": [2**40, 2**40]}, "too large"),
    ("adaptive_avg_pool", {"output_size": ["a", "b"]}, "expected something like"),
    ("multiply", {}, "at least 2 inputs"),
])
def test_functions_with_impossible_parameters_are_refused(
    op: str, attrs: dict[str, object], reason: str, tmp_path: Path
) -> None:
    model = helper.make_model(
        helper.make_graph(
            [helper.make_node(op, ["x"], ["y"], domain="ghn_studio", **attrs)], "net",
            [helper.make_tensor_value_info("x", TensorProto.FLOAT, [1, 3, 4, 4])],
            [helper.make_tensor_value_info("y", TensorProto.FLOAT, None)],
        ),
        opset_imports=[helper.make_opsetid("", 21), helper.make_opsetid("ghn_studio", 1)], ir_version=10,
    )
    assert reason in refusal(tmp_path / "net.onnx", model)
