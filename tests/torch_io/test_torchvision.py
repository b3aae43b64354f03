"""All classification models of torchvision become architectures that compute the same."""

from __future__ import annotations

import math

import pytest
import torch
from random_values import filled

from ghn_studio.engine.execution import Plan
from ghn_studio.torch_io import Traced, trace, zoo

#: Looked at in every run: one of each family, small ones.
FEW = (
    "alexnet", "convnext_tiny", "densenet121", "efficientnet_b0", "googlenet", "mnasnet0_5", "mobilenet_v3_small",
    "regnet_y_400mf", "resnet18", "shufflenet_v2_x1_0", "squeezenet1_1", "swin_t", "vgg11_bn", "vit_b_32",
)
#: Larger ones are imported but not run here; `benchmarks/bench_torchvision.py` runs them all.
MOST_PARAMETERS = 30e6

#: Inputs as small as the networks allow.
SHAPES = {"inception_v3": (3, 80, 80), "maxvit_t": (3, 224, 224)}
SMALL = (3, 64, 64)


def every_model() -> list[object]:
    return [name if name in FEW else pytest.param(name, marks=pytest.mark.slow) for name in zoo.names()]


def counted(traced: Traced) -> set[str]:
    return {node.op for node in traced.architecture.nodes.values()}


def test_there_are_eighty() -> None:
    assert len(zoo.names()) == 80
    assert set(FEW) <= set(zoo.names())


@pytest.mark.parametrize("name", every_model())
def test_a_model_is_imported_whole_and_computes_the_same(name: str) -> None:
    shape = SHAPES.get(name, zoo.input_of(name) if name == "vit_h_14" else SMALL)
    network = zoo.module(name, 10, shape)
    is_run = sum(p.numel() for p in network.parameters()) <= MOST_PARAMETERS
    network = filled(network) if is_run else network.eval()
    images = torch.randn(1, *shape, generator=torch.Generator().manual_seed(1))
    traced = trace(network, images)
    assert "opaque" not in counted(traced)
    assert dict.fromkeys(traced.names) == dict.fromkeys(traced.names.values())  # names are kept
    assert set(traced.names) == set(network.state_dict())
    assert not traced.unused
    if is_run:
        with torch.no_grad():
            expected = network(images)
            found = Plan(traced.architecture).run(images, traced.values)
        assert torch.isfinite(expected).all() and expected.abs().max() > 0
        assert (found - expected).norm() <= 1e-5 * expected.norm()


@pytest.mark.parametrize("name", ["swin_t", "vit_b_16", "shufflenet_v2_x1_0", "maxvit_t"])
def test_nothing_is_rearranged_outside_lifted_operators(name: str) -> None:
    assert not counted(zoo.network(name)) & {
        "reshape", "permute", "transpose", "flatten_axes", "squeeze", "unsqueeze", "slice", "select", "roll", "pad",
    }


@pytest.mark.parametrize("name", ["regnet_y_400mf", "vit_b_32", "swin_t"])
def test_the_built_network_has_the_state_dict_of_the_original(name: str) -> None:
    from ghn_studio.engine.build import build

    network, built = zoo.module(name), build(zoo.network(name).architecture)
    assert {k: tuple(v.shape) for k, v in built.state_dict().items()} == {
        k: tuple(v.shape) for k, v in network.state_dict().items()
    }


@pytest.mark.parametrize(("name", "changed"), [
    ("resnet18", {"conv1": ((3, 3), (1, 1), (1, 1)), "maxpool": None}),
    ("densenet121", {"features.conv0": ((3, 3), (1, 1), (1, 1)), "features.pool0": None}),
    ("alexnet", {"features.0": ((11, 11), (1, 1), (2, 2)), "features.2": None}),
    ("mnasnet0_5", {"layers.0": ((3, 3), (1, 1), (1, 1))}),
    ("convnext_tiny", {"features.0.0": ((4, 4), (1, 1), (0, 0))}),
    ("shufflenet_v2_x0_5", {"conv1.0": ((3, 3), (2, 2), (1, 1)), "maxpool": None}),
    ("vgg11", {"features.2": None, "features.5": None}),
    ("mobilenet_v2", {"features.0.0": ((3, 3), (1, 1), (1, 1)), "features.2.conv.1.0": ((3, 3), (1, 1), (1, 1))}),
])
def test_small_images_get_the_published_first_layers(name: str, changed: dict[str, object]) -> None:
    adapted = zoo.network(name, 10, (3, 32, 32))
    nodes = {str(k): v for k, v in adapted.architecture.nodes.items()}
    for path, expected in changed.items():
        if expected is None:
            assert path not in nodes
        else:
            p = nodes[path].params
            assert (p.kernel_size, p.stride, p.padding) == expected
    assert "adapted" in adapted.notes[0]
    assert not zoo.network(name, 10, (3, 96, 96)).notes
    untouched = zoo.network(name, 10, (3, 96, 96), "on").architecture
    assert untouched.with_params("input", nodes["input"].params).nodes == adapted.architecture.nodes  # type: ignore[arg-type]


def test_a_network_without_an_adaptation_says_so() -> None:
    assert "no published adaptation" in zoo.network("squeezenet1_1", 10, (3, 64, 64)).notes[0]
    assert not zoo.network("squeezenet1_1", 10, (3, 64, 64), "off").notes


def test_the_channels_and_classes_are_those_asked_for() -> None:
    plan = Plan(zoo.network("resnet18", 7, (1, 32, 32)).architecture)
    assert plan.input_spec.shape == ("N", 1, 32, 32)
    assert plan.output_spec.shape == ("N", 7)


@pytest.mark.parametrize("name", ["resnet18", "shufflenet_v2_x0_5", "swin_t", "efficientnet_b0"])
def test_the_shipped_hypernetwork_predicts_every_parameter(name: str) -> None:
    from ghn_studio.ghn.cards import list_cards
    from ghn_studio.ghn.prediction import predict_parameters
    from ghn_studio.ghn.storage import load_ghn

    card = next((c for c in list_cards() if c.dataset == "digits"), None)
    if card is None:
        pytest.skip("no hypernetwork is shipped")
    ghn = load_ghn(card, torch.device("cpu"))
    found = predict_parameters(ghn, Plan(zoo.network(name).architecture))
    network = zoo.module(name)
    assert set(found.predicted) == {n for n, _ in network.named_parameters()}
    buffers = dict(network.named_buffers())
    network.load_state_dict({**buffers, **found.values}, strict=True, assign=True)
    assert math.isfinite(sum(float(t.sum()) for t in found.values.values()))
