"""Copied autograd functions against those that autograd itself records."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

import pytest
import torch
from torch import Tensor, nn

from ghn_studio.ghn.official.autograd import forget_calls, known_calls, record
from ghn_studio.ghn.official.calls import Function, Leaf, Origin
from ghn_studio.torch_io import zoo

Edge = tuple[Any, ...]


def functions_of(root: Origin) -> Iterator[Edge]:
    """Every function with the names of its inputs."""
    stack, seen = [root], {id(root)}
    while stack:
        origin = stack.pop()
        if isinstance(origin, Leaf):
            continue
        yield (origin.name, *(i.name for i in origin.inputs), origin.kernel, origin.keepdim)
        for source in origin.inputs:
            if id(source) not in seen:
                seen.add(id(source))
                stack.append(source)


def recorded_by_autograd(root: Any, names: dict[int, str]) -> Iterator[Edge]:
    def name_of(node: Any) -> str:
        if hasattr(node, "variable"):
            return names[id(node.variable)]
        return str(node.name()).rpartition("::")[2].partition("Backward")[0]

    stack, seen = [root], {root}
    while stack:
        node = stack.pop()
        if hasattr(node, "variable"):
            continue
        before = [n for n, _ in node.next_functions if n is not None]
        kernel = getattr(node, "_saved_kernel_size", None) if "Pool2D" in name_of(node) else None
        keepdim = name_of(node) == "Mean" and bool(node._saved_keepdim)
        yield (name_of(node), *map(name_of, before), kernel, keepdim)
        stack += [n for n in dict.fromkeys(before) if n not in seen]
        seen.update(before)


def assert_faithful(module: nn.Module, images: Tensor) -> None:
    parameters = dict(module.named_parameters())
    (root,) = record(lambda: module(images), parameters, first_only=True)
    names = {id(tensor): name for name, tensor in parameters.items()}
    expected = recorded_by_autograd(module(images).grad_fn, names)
    assert sorted(map(repr, functions_of(root))) == sorted(map(repr, expected))


@pytest.mark.parametrize("name", ["alexnet", "squeezenet1_1", "shufflenet_v2_x0_5", "mobilenet_v3_small", "vit_b_32",
                                  "convnext_tiny", "swin_t"])
def test_calls_are_copied_as_autograd_records_them(name: str) -> None:
    module = zoo.module(name).eval()
    for _ in range(2):  # learnt, then from the store
        assert_faithful(module, torch.empty(2, 3, 224, 224, device="meta"))


class Changing(nn.Module):
    """Changes tensors in place, through views, and uses one parameter twice."""

    def __init__(self) -> None:
        super().__init__()
        self.one, self.two = nn.Linear(4, 4), nn.Linear(4, 4)
        self.factor = nn.Parameter(torch.ones(4))

    def forward(self, x: Tensor) -> Tensor:
        y = torch.relu_(self.one(x))
        y += x
        z = self.two(y).reshape(-1, 2, 2)
        z[:, 0].mul_(self.factor[:2])
        first, second = (z * 2).chunk(2, 1)
        return torch.cat([first, second, y.reshape(-1, 2, 2)], 1).flatten(1) * self.factor.repeat(2)


def test_changes_in_place_are_followed() -> None:
    forget_calls()
    assert_faithful(Changing().to("meta"), torch.empty(3, 4, device="meta"))


def test_only_what_reaches_the_first_result_is_followed_on_request() -> None:
    layers = nn.ModuleList([nn.Linear(2, 2), nn.Linear(2, 2)])
    parameters = dict(layers.named_parameters())
    images = torch.empty(1, 2, device="meta")
    for first_only, count in ((True, 1), (False, 2)):
        roots = record(lambda: tuple(layer(images) for layer in layers), parameters, first_only)
        assert len(roots) == count
        assert all(isinstance(root, Function) for root in roots)


def test_a_changed_width_is_learnt_alone() -> None:
    def stack(width: int) -> nn.Sequential:
        blocks = [m for i in range(8) for m in (nn.Conv2d(8, 8, 3, padding=1), nn.BatchNorm2d(8), nn.ReLU())]
        return nn.Sequential(*blocks, nn.Conv2d(8, width, 3), nn.ReLU(), nn.Conv2d(width, 4, 3)).eval()

    def learnt(width: int) -> int:
        before, module = known_calls(), stack(width)
        record(lambda: module(torch.empty(1, 8, 9, 9, device="meta")), dict(module.named_parameters()), True)
        return known_calls() - before

    forget_calls()
    assert learnt(16) < 10, "24 layers, few of them different"
    assert learnt(17) == 3
    assert learnt(17) == 0


def test_shapes_that_change_in_place_are_not_followed() -> None:
    layer = nn.Linear(3, 3)
    with pytest.raises(NotImplementedError, match="unsqueeze_"):
        record(lambda: layer(torch.empty(2, 3, device="meta")).unsqueeze_(0), dict(layer.named_parameters()), True)


def test_gradients_may_be_off() -> None:
    layer = nn.Linear(3, 3)
    for off in (torch.no_grad(), torch.inference_mode()):
        with off:
            (root,) = record(lambda: layer(torch.empty(2, 3, device="meta")), dict(layer.named_parameters()), True)
        assert root.name == "Addmm"
