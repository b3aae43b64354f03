"""Tracing any module: names, sharing, unused layers, fallbacks, and what is said where it fails."""

from __future__ import annotations

import pytest
import torch
from torch import Tensor, nn
from torch.nn import functional as F
from user_networks import Shared, TwoOutputs, Unused, plain_cnn, subclass

import ghn_studio
from ghn_studio.engine.execution import Plan
from ghn_studio.errors import TorchConversionError, UsageError
from ghn_studio.ops import REGISTRY
from ghn_studio.ops.torch_binding import TorchValue
from ghn_studio.torch_io import Traced, trace
from ghn_studio.torch_io.recognise import recognise_layer
from ghn_studio.torch_io.views import layer_names, layer_view, public_name

IMAGES = (1, 3, 32, 32)


def ops_of(traced: Traced) -> list[str]:
    return [node.op for node in traced.architecture.nodes.values()]


def assert_same(module: nn.Module, images: Tensor | None = None) -> Traced:
    """The traced module computes what the module does."""
    images = torch.randn(2, *IMAGES[1:]) if images is None else images
    module.eval()
    traced = trace(module, images)
    with torch.no_grad():
        expected = module(images)
        torch.testing.assert_close(Plan(traced.architecture).run(images, traced.values), expected)
    return traced


def test_the_module_is_left_alone() -> None:
    module = plain_cnn().train()
    before = {k: v.clone() for k, v in module.state_dict().items()}
    trace(module, torch.zeros(IMAGES))
    assert module.training
    assert all(torch.equal(before[k], v) for k, v in module.state_dict().items())
    assert all(p.device.type == "cpu" for p in module.parameters())


def test_the_example_s_values_and_batch_do_not_count() -> None:
    assert trace(plain_cnn(), torch.zeros(IMAGES)).architecture == trace(
        plain_cnn(), torch.empty(5, 3, 32, 32, device="meta")
    ).architecture


def test_a_subclass_that_changes_nothing_is_its_parent() -> None:
    traced = assert_same(subclass())
    assert traced.architecture.nodes["0"].op == "conv2d"  # type: ignore[index]
    assert ops_of(traced).count("multiply_scalar") == 1  # what the other subclass adds


def test_a_shared_layer_owns_its_parameters_once() -> None:
    traced = assert_same(Shared())
    uses = [n for n in traced.architecture.nodes.values() if n.id == "conv" or n.shares == "conv"]
    assert [n.shares for n in uses] == [None, "conv"]
    assert set(traced.values) == set(Shared().state_dict())


def test_of_two_outputs_the_first_is_the_result() -> None:
    plan = Plan(trace(TwoOutputs(), torch.zeros(IMAGES)).architecture)
    assert len(plan.outputs) == 2
    assert plan.output_spec.shape == ("N", 10)


def test_an_unused_layer_hangs_where_it_fits() -> None:
    traced = assert_same(Unused())
    assert not traced.architecture.consumers("un")  # type: ignore[arg-type]
    assert traced.architecture.nodes["un"].op == "conv2d"  # type: ignore[index]


class Misfit(nn.Module):
    """An unused layer that nothing in the network fits, and an unused bare parameter."""

    def __init__(self) -> None:
        super().__init__()
        self.fc = nn.Linear(8, 4)
        self.conv = nn.Conv2d(3, 2, 3)
        self.spare = nn.Parameter(torch.full((5,), 7.0))

    def forward(self, x: Tensor) -> Tensor:
        return self.conv(x)


def test_parameters_that_have_no_place_are_listed_and_kept(any_ghn: str) -> None:
    module = Misfit()
    weight = module.fc.weight.clone()
    assert set(trace(module, torch.zeros(IMAGES)).unused) == {"fc.weight", "fc.bias", "spare"}
    report = ghn_studio.predict(module, ghn=any_ghn, example=torch.zeros(IMAGES))
    assert {u.name for u in report.unpredicted} == {"fc.weight", "fc.bias", "spare"}
    assert torch.equal(module.fc.weight, weight)
    assert torch.equal(module.spare, torch.full((5,), 7.0))


def test_a_predicted_state_dict_loads_strictly(any_ghn: str) -> None:
    module = plain_cnn()
    report = ghn_studio.predict(module, ghn=any_ghn, example=torch.zeros(IMAGES))
    other = plain_cnn()
    other.load_state_dict({**dict(other.named_buffers()), **report.values}, strict=True)
    assert all(torch.equal(a, b) for a, b in zip(module.parameters(), other.parameters(), strict=True))


def test_an_evaluation_also_estimates_running_statistics(any_ghn: str) -> None:
    module = plain_cnn()
    report = ghn_studio.predict(module, ghn=any_ghn, example=torch.zeros(IMAGES), evaluate=True, images=20)
    assert report.accuracy is not None
    assert float(module[1].running_mean.abs().sum()) > 0  # type: ignore[union-attr, operator]


class Stubborn(nn.Module):
    """Code that looks at the type of its input, which symbolic tracing cannot follow."""

    def __init__(self) -> None:
        super().__init__()
        self.conv, self.norm, self.fc = nn.Conv2d(3, 8, 3), nn.BatchNorm2d(8), nn.Linear(8, 10)
        self.last = nn.LayerNorm(10)

    def forward(self, x: Tensor) -> Tensor:
        if type(x).__module__.startswith("torch.fx"):
            raise TypeError("a tensor, please")
        x = F.max_pool2d(F.relu6(self.norm(self.conv(x))), 2)
        return self.last(self.fc(F.dropout(x.mean((2, 3)), 0.2, self.training)))


def test_what_cannot_be_traced_symbolically_is_exported() -> None:
    traced = assert_same(Stubborn())
    assert set(traced.names.values()) == set(Stubborn().state_dict())
    assert {"conv", "norm", "fc", "last"} <= set(traced.architecture.nodes)


class Sequences(nn.Module):
    """A network that takes vectors."""

    def __init__(self) -> None:
        super().__init__()
        self.fc = nn.Linear(12, 3)

    def forward(self, x: Tensor) -> Tensor:
        return self.fc(x).tanh()


def test_vectors_are_images_of_one_pixel() -> None:
    module = Sequences()
    traced = trace(module, torch.zeros(1, 12))
    x = torch.randn(2, 12)
    torch.testing.assert_close(Plan(traced.architecture).run(x[:, :, None, None], traced.values), module(x).detach())


class Written(nn.Module):
    """Attention, channel shuffle and window-free rearrangements written out in one of several ways."""

    def __init__(self, way: str) -> None:
        super().__init__()
        self.way = way
        self.patches = nn.Conv2d(3, 8, 8, 8)
        self.attn = nn.Module()
        self.attn.qkv, self.attn.proj = nn.Linear(8, 24), nn.Linear(8, 8)

    def forward(self, x: Tensor) -> Tensor:
        x = self.patches(x).flatten(2).transpose(1, 2)
        n, t, c = x.shape
        qkv = self.attn.qkv(x)
        if self.way == "chunk":
            q, k, v = (part.reshape(n, t, 2, c // 2).transpose(1, 2) for part in qkv.chunk(3, dim=-1))
        elif self.way == "permute":
            q, k, v = qkv.reshape(n, t, 3, 2, c // 2).permute(2, 0, 3, 1, 4)
        else:
            qkv = qkv.view(n, t, 3, 2, c // 2).permute(2, 0, 3, 1, 4)
            q, k, v = qkv[0], qkv[1], qkv[2]
        scale = 1.0 if self.way == "unscaled" else (c // 2) ** -0.5
        shares = ((q * scale) @ k.transpose(-2, -1)).softmax(dim=-1)
        mixed = (shares @ v).transpose(1, 2).reshape(n, t, c)
        return self.attn.proj(mixed) + (shares.sum() * 0 if self.way == "leaking" else 0)


@pytest.mark.parametrize("way", ["chunk", "permute", "index"])
def test_attention_that_was_written_out_is_one_operator(way: str) -> None:
    traced = assert_same(Written(way))
    assert ops_of(traced).count("msa") == 1
    assert "matmul" not in ops_of(traced)
    assert set(traced.values) == set(Written(way).state_dict())


def test_attention_of_another_scale_stays_as_it_is() -> None:
    traced = assert_same(Written("unscaled"))
    assert "msa" not in ops_of(traced)
    assert ops_of(traced).count("matmul") == 2


class Indexed(nn.Module):
    """Indices of several kinds, arithmetic with numbers on both sides."""

    def forward(self, x: Tensor) -> Tensor:
        a, b = x[:, :2, 1::2, ...], x[:, 1:, ::2, :]
        y = (1 - a) / 2 + 3 * b - 0.5
        return 1 / (torch.stack([y, y * y], dim=2)[:, :, 0].abs() + 1) + F.pad(y, (1, 1))[..., 2:]


def test_indices_and_numbers_are_said_in_simple_operators() -> None:
    assert_same(Indexed())


class Deciding(nn.Module):
    """A branch that depends on values."""

    def __init__(self) -> None:
        super().__init__()
        self.conv = nn.Conv2d(3, 4, 3)
        self.gate = nn.Sequential(Choice())

    def forward(self, x: Tensor) -> Tensor:
        return self.gate(self.conv(x))


class Choice(nn.Module):
    """Does one thing or another."""

    def forward(self, x: Tensor) -> Tensor:
        return x if x.sum() > 0 else -x


class Spectral(nn.Module):
    """Something no operator expresses."""

    def __init__(self) -> None:
        super().__init__()
        self.block = nn.Sequential(nn.Conv2d(3, 4, 3), Fourier())

    def forward(self, x: Tensor) -> Tensor:
        return self.block(x)


class Fourier(nn.Module):
    """A Fourier transform."""

    def forward(self, x: Tensor) -> Tensor:
        return torch.fft.fft(x).real


class Mixing(nn.Module):
    """Joins the images of the batch."""

    def forward(self, x: Tensor) -> Tensor:
        return x.reshape(-1, 3 * 32)


@pytest.mark.parametrize(("module", "words"), [
    (Deciding(), r"'gate\.0' \(Choice\)"), (Spectral(), r"'block\.1' .*Fourier.* fft_fft on \[N, 4, 30, 30\]"),
    (nn.Sequential(nn.Flatten(2), nn.LSTM(1024, 4, batch_first=True)), r"'1' \(torch\.nn\.LSTM\) calls lstm"),
    (Mixing(), "images have to stay apart"), (nn.Conv2d(3, 4, 3), "wrap it in torch.nn.Sequential"),
])
def test_what_cannot_be_expressed_is_named(module: nn.Module, words: str) -> None:
    with pytest.raises(TorchConversionError, match=words):
        trace(module, torch.zeros(IMAGES))


def test_predicting_a_module_needs_an_example_and_memory() -> None:
    with pytest.raises(UsageError, match="example"):
        ghn_studio.predict(plain_cnn())
    with torch.device("meta"):
        module = plain_cnn()
    with pytest.raises(UsageError, match="to_empty"):
        ghn_studio.predict(module, example=torch.zeros(IMAGES))


def torch_examples() -> list[object]:
    """Every example of an operator that is a layer of torch.nn and says how it is recognised."""
    return [
        pytest.param(spec.id, index, id=f"{spec.id}-{index}")
        for spec in REGISTRY for index, example in enumerate(spec.examples)
        if spec.module(example.params, example.inputs).target.startswith("torch.nn.") and spec.torch.modules
    ]


@pytest.mark.parametrize(("op", "index"), torch_examples())
def test_a_layer_of_torch_is_recognised_as_the_operator_that_makes_it(op: str, index: int) -> None:
    spec = REGISTRY[op]
    example = spec.examples[index]
    call = spec.module(example.params, example.inputs)
    layer = getattr(nn, call.short_name)(*call.args, **dict(call.kwargs))
    values = tuple(TorchValue(x.shape, i) for i, x in enumerate(example.inputs))
    view = layer_view(public_name(type(layer)), layer)
    found = recognise_layer(type(view)(view.kind, values, options=view.options, tensors=view.tensors),
                            layer_names(type(layer)), REGISTRY)
    assert found.outputs == spec.infer_outputs(example.params, example.inputs)
    if found.spec is spec:
        assert spec.module(found.params, example.inputs) == call
    else:
        assert (op, found.spec.id) == ("adaptive_avg_pool", "global_avg_pool")  # to 1 × 1 they are the same
