"""From node vectors to tensors: shape tables, cropping, tiling, scaling."""

from __future__ import annotations

import math
from collections.abc import Callable
from typing import Any

import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st
from torch import Tensor
from torch.nn import functional as F

from ghn_studio.engine.execution import Plan
from ghn_studio.ghn.config import GhnConfig
from ghn_studio.ghn.decoding import ConvDecoder, DecodeKey, key_of
from ghn_studio.ghn.encoding import EncodedParameter, encode
from ghn_studio.ghn.fitting import fit, tile, weight_scale, write
from ghn_studio.ghn.networks import Hypernetwork, ShapeEncoder, channel_table, nearest, shape_to_four, spatial_table
from ghn_studio.ir import Architecture
from ghn_studio.ops import REGISTRY
from ghn_studio.ops.attention import ClassTokenParams, PositionEmbeddingParams
from ghn_studio.ops.convolution import Conv2dParams
from ghn_studio.ops.dense import LinearParams
from ghn_studio.ops.normalisation import BatchNormParams
from ghn_studio.ops.spec import NoParams, Role
from ghn_studio.ops.terminals import InputParams

Predict = Callable[..., dict[str, Tensor]]


@pytest.fixture
def predict(small_ghn: Hypernetwork, make_chain: Callable[..., Architecture]) -> Predict:
    """Predicts a chain of layers behind an input of three channels."""

    def predicted(*layers: tuple[str, str, object], size: tuple[int, int] = (16, 16)) -> dict[str, Tensor]:
        plan = Plan(make_chain(("x", "input", InputParams(3, *size)), *layers))
        values = small_ghn([encode(plan.graph)], [small_ghn.classifier(plan.head)])[0]
        expected = {w.name: w.shape for w in plan.parameters if w.trainable}
        assert {k: tuple(v.shape) for k, v in values.items()} == expected
        assert all(v.isfinite().all() for v in values.values())
        return values

    return predicted


def test_tables_have_the_published_sizes() -> None:
    assert len(channel_table(10)) == len(channel_table(1000)) == 391
    assert len(channel_table(8)) == 390, "eight is in the table anyway"
    assert spatial_table(11) == [1, 3, 5, 7, 9, 11, 14, 16]
    assert spatial_table(16) == [1, 3, 5, 7, 9, 11, 13, 14, 15, 16]


@pytest.mark.parametrize(("count", "entry"), [
    (1, 1), (2, 1), (3, 3), (4, 8), (5, 8), (6, 8), (7, 8), (8, 8), (10, 10), (11, 10), (13, 10), (14, 16), (20, 16),
    (60, 56), (61, 64), (72, 64), (73, 80), (4088, 4080), (4089, 4096), (4112, 4096), (8192, 8192), (100_000, 8192),
])
def test_channels_take_the_nearest_row(count: int, entry: int) -> None:
    encoder, table = ShapeEncoder(8, 10, 11), channel_table(10)
    rows = encoder.rows((count, count))
    assert [table[r] for r in rows[:2]] == [entry, entry]


def test_a_class_count_between_four_and_seven_has_its_own_row() -> None:
    assert channel_table(5)[ShapeEncoder(8, 5, 11).rows((5,))[0]] == 5


@pytest.mark.parametrize(("size", "small", "large"), [
    (1, 1, 1), (2, 3, 3), (3, 3, 3), (4, 3, 3), (6, 5, 5), (8, 7, 7), (10, 9, 9), (11, 11, 11), (12, 11, 11),
    (13, 14, 13), (14, 14, 14), (15, 14, 15), (16, 16, 16), (31, 16, 16),
])
def test_kernels_take_the_nearest_row(size: int, small: int, large: int) -> None:
    for grid, entry in ((11, small), (16, large)):
        rows = ShapeEncoder(8, 10, grid).rows((8, 8, size, size))
        assert [spatial_table(grid)[r] for r in rows[2:]] == [entry, entry]


def test_nodes_without_a_shape_have_rows_of_their_own() -> None:
    assert ShapeEncoder(8, 10, 11).rows(None) == (391, 391, 8, 8)
    assert ShapeEncoder(8, 10, 11).embed_channel.num_embeddings == 392


@pytest.mark.parametrize(("shape", "four"), [
    ((7,), (7, 1, 1, 1)), ((7, 9), (7, 9, 1, 1)), ((1, 17, 6), (1, 6, 4, 4)), ((1, 16, 6), (1, 6, 4, 4)),
    ((1, 1, 6), (1, 1, 6, 1)), ((5, 3, 2), (5, 3, 2, 1)), ((7, 9, 1, 3), (7, 9, 1, 3)),
])
def test_shapes_are_brought_to_four_axes(shape: tuple[int, ...], four: tuple[int, ...]) -> None:
    assert shape_to_four(shape) == four


@given(st.lists(st.integers(1, 500), min_size=1, max_size=20, unique=True), st.integers(1, 600))
def test_nearest_is_nearest_and_ties_go_down(entries: list[int], value: int) -> None:
    table = sorted(entries)
    assert table[nearest(table, value)] == min(table, key=lambda e: (abs(e - value), e))


def whole_weight(decoder: ConvDecoder, x: Tensor, rows: slice, columns: slice) -> Tensor:
    """Section 8 of the parity specification without any short cut: decode everything, then cut."""
    grid = decoder.fc(x).view(len(x), -1, decoder.grid.size, decoder.grid.size)[:, :, rows, columns]
    pixels = decoder.conv(grid.permute(0, 2, 3, 1))
    return pixels.permute(0, 3, 1, 2).unflatten(1, (decoder.channels, decoder.channels))


@pytest.mark.parametrize("inputs", [1, 3, 8])
@pytest.mark.parametrize(("kernel", "first"), [((1, 1), (5, 5)), ((3, 3), (4, 4)), ((7, 1), (2, 5)), ((2, 4), (4, 3)),
                                               ((11, 11), (0, 0))])
@torch.no_grad()
def test_kernels_are_the_centre_of_the_grid(kernel: tuple[int, int], first: tuple[int, int], inputs: int) -> None:
    torch.manual_seed(0)
    decoder, x = ConvDecoder(GhnConfig(hidden=8, max_channels=8, decoder=(8, 8))), torch.randn(2, 8)
    rows, columns = (slice(f, f + k) for f, k in zip(first, kernel, strict=True))
    expected = whole_weight(decoder, x, rows, columns)[:, :, :inputs]
    torch.testing.assert_close(decoder(x, kernel, inputs), expected, rtol=1e-5, atol=1e-6)


@torch.no_grad()
def test_official_kernels_are_the_top_left_corner() -> None:
    torch.manual_seed(0)
    decoder = ConvDecoder(GhnConfig(hidden=8, max_channels=8, decoder=(8, 8), crop="corner"))
    x = torch.randn(1, 8)
    torch.testing.assert_close(decoder(x, (3, 5), 8), whole_weight(decoder, x, slice(0, 3), slice(0, 5)))


@torch.no_grad()
def test_kernels_larger_than_the_grid_are_stretched() -> None:
    torch.manual_seed(0)
    decoder, x = ConvDecoder(GhnConfig(hidden=8, max_channels=8, grid=5, decoder=(8, 8))), torch.randn(2, 8)
    whole = whole_weight(decoder, x, slice(0, 5), slice(0, 5))
    expected = F.interpolate(whole.flatten(1, 2), (13, 13), mode="bilinear").unflatten(1, (8, 8))
    torch.testing.assert_close(decoder(x, (13, 13), 8), expected, rtol=1e-5, atol=1e-6)
    assert decoder(x, (13, 3), 8).shape == (2, 8, 8, 13, 3)


@torch.no_grad()
def test_official_kernels_larger_than_the_grid_repeat_it() -> None:
    torch.manual_seed(0)
    decoder = ConvDecoder(GhnConfig(hidden=8, max_channels=8, grid=5, decoder=(8, 8), crop="corner"))
    x = torch.randn(2, 8)
    whole = whole_weight(decoder, x, slice(0, 5), slice(0, 5))
    torch.testing.assert_close(decoder(x, (7, 6), 8), whole.repeat(1, 1, 1, 2, 2)[..., :7, :6])


@torch.no_grad()
def test_the_perceptron_decodes_the_same_shapes() -> None:
    """The baseline of the GHN-2 paper: one matrix for the whole grid, a head on its first layer."""
    config = GhnConfig(hidden=8, max_channels=4, grid=5, classes=3, weight_decoder="mlp", encoder="mlp", crop="corner")
    ghn = Hypernetwork(config).initialise(0)
    decoder, x = ghn.decoder, torch.randn(2, 8)
    names = {"decoder.mlp.fc.0.weight": (16, 8), "decoder.mlp.fc.2.weight": (400, 16),
             "decoder.class_layer_predictor.1.weight": (12, 16), "gnn.fc.0.weight": (8, 8), "gnn.fc.2.weight": (8, 8)}
    assert {k: tuple(v.shape) for k, v in ghn.state_dict().items() if k in names} == names
    first, last = decoder.mlp.fc[0], decoder.mlp.fc[2]
    whole = last(first(x).relu()).view(2, 4, 4, 5, 5)
    torch.testing.assert_close(decoder(x, (3, 2), 2), whole[:, :, :2, :3, :2])
    assert decoder(x, (7, 7), 4).shape == (2, 4, 4, 7, 7)
    expected = decoder.class_layer_predictor[1](first(x).relu()).view(2, 3, 4)
    torch.testing.assert_close(decoder.class_weight(x), expected)


@torch.no_grad()
def test_class_weights_are_mapped_along_the_outputs() -> None:
    torch.manual_seed(0)
    decoder, x = ConvDecoder(GhnConfig(hidden=8, max_channels=8, classes=3, decoder=(8, 8))), torch.randn(2, 8)
    square = whole_weight(decoder, x, slice(5, 6), slice(5, 6))[..., 0, 0].relu()
    linear = decoder.class_layer_predictor[1]
    expected = torch.einsum("co,noi->nci", linear.weight, square) + linear.bias[:, None]
    torch.testing.assert_close(decoder.class_weight(x), expected, rtol=1e-5, atol=1e-6)


@settings(max_examples=60)
@given(st.tuples(st.integers(1, 4), st.integers(1, 4)), st.tuples(st.integers(1, 11), st.integers(1, 11)))
def test_wide_layers_repeat_the_decoded_channels(source: tuple[int, int], target: tuple[int, int]) -> None:
    decoded = torch.arange(math.prod(source)).view(source).float()
    found = tile(decoded, target)
    for a in range(target[0]):
        for b in range(target[1]):
            assert found[a, b] == decoded[a % source[0], b % source[1]]


@settings(max_examples=80)
@given(st.tuples(st.integers(1, 4), st.integers(1, 4)), st.tuples(st.integers(1, 11), st.integers(1, 11)),
       st.sampled_from([(), (1, 1), (2, 3)]))
def test_writing_in_one_pass_gives_what_repeating_gives(
    source: tuple[int, int], target: tuple[int, int], kernel: tuple[int, ...]
) -> None:
    shape, small = (*target, *kernel), tuple(min(s, t) for s, t in zip(source, target, strict=True))
    decoded = torch.randn(*kernel, *small).permute(-2, -1, *range(len(kernel)))
    found = write(decoded, shape)
    assert torch.equal(found, tile(decoded, shape))
    assert found.is_contiguous()
    assert found.untyped_storage().data_ptr() != decoded.untyped_storage().data_ptr()


@pytest.mark.parametrize("shape", [(7,), (3000, 40), (2500, 33, 3, 3), (1, 7, 10)])
def test_large_and_odd_tensors_are_written_too(shape: tuple[int, ...]) -> None:
    decoded = torch.randn([min(n, 16) for n in shape[:2]] + [min(n, 4) for n in shape[2:]])
    assert torch.equal(write(decoded, shape), tile(decoded, shape))


def test_prediction_and_training_give_the_same_tensors(
    small_ghn: Hypernetwork, example_networks: dict[str, Architecture]
) -> None:
    for graph in example_networks.values():
        plan = Plan(graph)
        encoding, head = encode(plan.graph), small_ghn.classifier(plan.head)
        expected = small_ghn([encoding], [head])[0]
        found, broken = small_ghn.predict(encoding, head)
        assert not broken
        assert found.keys() == expected.keys()
        for name, tensor in found.items():
            torch.testing.assert_close(tensor, expected[name], rtol=1e-5, atol=1e-5, msg=name)


def test_tiling_leaves_kernels_alone() -> None:
    decoded = torch.randn(2, 2, 3, 5)
    assert torch.equal(tile(decoded, (4, 6, 3, 5))[2:, 4:], decoded)


@pytest.mark.parametrize(("shape", "variance"), [
    ((8, 4), 2 / 4), ((8, 4, 3, 3), 2 / 36), ((8, 4, 7, 1), 2 / 28), ((8, 4, 1, 7), 1 / 28), ((8, 1, 3, 3), 1 / 9),
    ((8, 1), 2 / 1), ((8, 1, 1, 1), 1.0),
])
def test_weights_are_scaled_by_their_fan_in(shape: tuple[int, ...], variance: float) -> None:
    assert weight_scale(shape) == pytest.approx(math.sqrt(variance))
    decoded = torch.randn(16, 16, *shape[2:])
    scaled = fit(decoded, EncodedParameter("w", shape, Role.WEIGHT), weight_norm=True)
    torch.testing.assert_close(scaled, tile(decoded, shape) * math.sqrt(variance))
    assert torch.equal(fit(decoded, EncodedParameter("w", shape, Role.WEIGHT), weight_norm=False), tile(decoded, shape))


@pytest.mark.parametrize("role", [Role.BIAS, Role.SHIFT, Role.SLOPE, Role.SCALE])
def test_vectors_are_squashed(role: Role) -> None:
    decoded = torch.linspace(-30, 30, 61)
    found = fit(decoded, EncodedParameter("v", (61,), role), weight_norm=True)
    expected = 2 / (1 + torch.exp(-0.5 * decoded)) if role is Role.SCALE else torch.tanh(0.2 * decoded)
    torch.testing.assert_close(found, expected)
    low, high = (0, 2) if role is Role.SCALE else (-1, 1)
    assert found.min() >= low
    assert found.max() <= high
    assert torch.equal(fit(decoded, EncodedParameter("v", (61,), role), weight_norm=False), decoded)


@pytest.mark.parametrize(("shape", "scale"), [
    ((1, 8, 11, 11), 1.0), ((1, 8, 7, 7), math.sqrt(2 / (8 * 49))), ((2, 8, 11, 11), math.sqrt(2 / (8 * 121))),
])
def test_the_official_code_tells_position_encodings_by_their_shape(shape: tuple[int, ...], scale: float) -> None:
    decoded = torch.randn(16, 16, *shape[2:])
    for role in (Role.WEIGHT, *([Role.POSITION] if shape[0] == 1 else [])):
        found = fit(decoded, EncodedParameter("w", shape, role, official=True), weight_norm=True)
        torch.testing.assert_close(found, tile(decoded, shape) * scale)


def test_the_official_position_of_a_class_token_is_drawn() -> None:
    decoded = torch.randn(1, 16, 3, 3)
    parameter = EncodedParameter("p", (1, 10, 40), Role.POSITION, official=True)
    found, again = (fit(decoded, parameter, weight_norm=True) for _ in range(2))
    assert torch.equal(found, again)
    assert torch.equal(found[0, 1:, :16], decoded[0].flatten(1).T)
    assert torch.equal(found[..., 16:32], found[..., :16])
    assert 0.005 < float(found[0, 0].std()) < 0.05


@pytest.mark.parametrize(("parameter", "key"), [
    (EncodedParameter("c.weight", (5, 64, 1, 1), Role.WEIGHT, is_class=True), DecodeKey("class_weight", inputs=16)),
    (EncodedParameter("c.bias", (5,), Role.BIAS, is_class=True), DecodeKey("class_bias")),
    (EncodedParameter("n.weight", (5,), Role.SCALE, is_class=True), DecodeKey("class_scale")),
    (EncodedParameter("w", (5, 1, 3, 3), Role.WEIGHT), DecodeKey("weight", (3, 3), 1)),
    (EncodedParameter("w", (5, 7, 1, 3), Role.WEIGHT), DecodeKey("weight", (1, 3), 8)),
    (EncodedParameter("w", (5, 700), Role.WEIGHT), DecodeKey("weight", (1, 1), 16)),
])
def test_places_decide_about_official_classifiers_and_few_inputs_are_decoded_alone(
    parameter: EncodedParameter, key: DecodeKey
) -> None:
    assert key_of(parameter, None, 16) == key


def test_scale_and_shift_of_a_norm_are_the_two_rows_of_one_node(
    small_ghn: Hypernetwork, make_chain: Callable[..., Architecture]
) -> None:
    graph = make_chain(
        ("x", "input", InputParams(3, 8, 8)), ("c", "conv2d", Conv2dParams(8)), ("n", "batch_norm", BatchNormParams())
    )
    encoding = encode(graph)
    values, vectors = small_ghn([encoding])[0], small_ghn.embed_graphs([encoding])[0]
    names = [[p.name for p in node.parameters] for node in encoding.nodes]
    norm = small_ghn.decoder_1d.fc(vectors[names.index(["n.weight", "n.bias"])]).view(2, 16)[:, :8]
    torch.testing.assert_close(values["n.weight"], 2 * torch.sigmoid(0.5 * norm[0]))
    torch.testing.assert_close(values["n.bias"], torch.tanh(0.2 * norm[1]))
    bias = small_ghn.decoder_1d.fc(vectors[names.index(["c.bias"])]).view(2, 16)[:, :8]
    torch.testing.assert_close(values["c.bias"], torch.tanh(0.2 * bias[1]))


def conv(out: int, kernel: tuple[int, int] = (3, 3), **more: Any) -> Conv2dParams:
    padding = (kernel[0] // 2, kernel[1] // 2)
    return Conv2dParams(out, kernel, padding=padding, **more)


def test_unusual_kernels(predict: Predict) -> None:
    values = predict(
        ("large", "conv2d", conv(6, (13, 13))), ("even", "conv2d", conv(6, (2, 4))),
        ("flat", "conv2d", conv(4, (1, 7))), ("one", "conv2d", conv(1)), ("from_one", "conv2d", conv(4)),
        ("depthwise", "conv2d", conv(4, groups=4)), ("grouped", "conv2d", conv(6, groups=2)),
    )
    assert values["large.weight"].shape == (6, 3, 13, 13)


def test_a_layer_four_times_as_wide_repeats_itself(predict: Predict) -> None:
    values = predict(("a", "conv2d", conv(64)), ("b", "conv2d", conv(64)), ("n", "batch_norm", BatchNormParams()))
    for axis in (0, 1):
        parts = values["b.weight"].split(16, axis)
        assert len(parts) == 4
        assert all(torch.equal(parts[0], p) for p in parts)
    assert torch.equal(values["n.weight"][:16], values["n.weight"][48:])
    assert values["b.weight"].std() == pytest.approx(math.sqrt(2 / (64 * 9)), rel=0.7)


def test_position_embeddings_of_maps_and_tokens(predict: Predict) -> None:
    values = predict(("c", "conv2d", conv(20)), ("p", "pos_enc", PositionEmbeddingParams()), size=(9, 13))
    assert values["p.weight"].shape == (1, 20, 9, 13)
    assert torch.equal(values["p.weight"][:, :4], values["p.weight"][:, 16:]), "channels repeat after 16"

    patches = ("e", "patch_embedding", REGISTRY["patch_embedding"].params(20, 4))
    values = predict(patches, ("p", "pos_enc", PositionEmbeddingParams()))
    assert values["p.weight"].shape == (1, 16, 20)

    token = ("t", "class_token", ClassTokenParams())
    values = predict(patches, token, ("p", "pos_enc", PositionEmbeddingParams()))
    table = values["p.weight"]
    assert table.shape == (1, 17, 20)
    torch.testing.assert_close(table[:, 0], table[:, 1:].mean(1))
    assert values["t.weight"].shape == (1, 1, 20)


def test_tokens_that_make_no_square_have_positions_too(predict: Predict) -> None:
    patches = ("e", "patch_embedding", REGISTRY["patch_embedding"].params(8, 4))
    assert predict(patches, ("p", "pos_enc", PositionEmbeddingParams()), size=(12, 20))["p.weight"].shape == (1, 15, 8)
    assert predict(patches, ("p", "pos_enc", PositionEmbeddingParams()), size=(4, 4))["p.weight"].shape == (1, 1, 8)


def test_the_classifier_is_decoded_as_one_only_where_the_classes_fit(
    small_ghn: Hypernetwork, make_chain: Callable[..., Architecture]
) -> None:
    def weight(classes: int, named: bool) -> Tensor:
        graph = make_chain(
            ("x", "input", InputParams(3, 8, 8)), ("c", "conv2d", conv(16)), ("g", "global_avg_pool", NoParams()),
            ("f", "flatten", NoParams()), ("h", "linear", LinearParams(classes)),
        )
        return small_ghn([encode(graph)], [small_ghn.classifier("h" if named else None)])[0]["h.weight"]

    assert not torch.allclose(weight(10, True), weight(10, False), atol=1e-4)
    assert torch.equal(weight(12, True), weight(12, False))


def test_a_fresh_hypernetwork_starts_at_the_usual_scale() -> None:
    """Weights of unit variance before the fan-in rule, whatever the kernel."""
    ghn = Hypernetwork(GhnConfig(hidden=64, max_channels=16, decoder=(64, 64))).initialise(3)
    with torch.no_grad():
        x = torch.randn(200, 64)
        for kernel in ((1, 1), (3, 3), (7, 7)):
            assert ghn.decoder(x, kernel, 16).std() == pytest.approx(1.0, rel=0.4)


@pytest.mark.parametrize("broken", [
    {"hidden": 10}, {"hidden": 0}, {"hidden": "64"}, {"max_channels": 10**9}, {"grid": 10**12}, {"classes": -1},
    {"decoder": (8,)}, {"decoder": (8, 8, 8)}, {"decoder": (8, 0)}, {"crop": "middle"}, {"layer_norm": 1},
    {"hidden": True},
])
def test_impossible_sizes_are_refused(broken: dict[str, Any]) -> None:
    with pytest.raises(ValueError, match=next(iter(broken))):
        GhnConfig(**broken)
