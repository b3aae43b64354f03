"""A hypernetwork predicts every trainable tensor of every operator, of its shape and finite."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest
import torch

from ghn_studio.ghn.config import GhnConfig
from ghn_studio.ghn.encoding import EncodedNode, EncodedParameter, GraphEncoding
from ghn_studio.ghn.fitting import fit
from ghn_studio.ghn.networks import Hypernetwork
from ghn_studio.ops import REGISTRY
from ghn_studio.ops.spec import Example, OpSpec, Role

CASES = [
    pytest.param(s, e, id=f"{s.id}-{i}") for s in REGISTRY for i, e in enumerate(s.examples)
    if any(w.trainable for w in s.weights(e.params, e.inputs))
]


@pytest.fixture(scope="module")
def ghn() -> Hypernetwork:
    return Hypernetwork(GhnConfig(hidden=8, max_channels=8, classes=10)).initialise(0)


@pytest.mark.parametrize(("spec", "example"), CASES)
def test_every_trainable_tensor_is_decoded(spec: OpSpec[Any], example: Example[Any], ghn: Hypernetwork) -> None:
    for weight in spec.weights(example.params, example.inputs):
        if not weight.trainable:
            continue
        parameter = EncodedParameter("it", weight.shape, weight.role, weight.fan_in)
        assert weight.primitive is not None
        node = EncodedNode(weight.primitive, weight.shape, (parameter,))
        graph = GraphEncoding((node,), np.zeros((1, 1), np.uint8), np.zeros(1, np.int64))
        with torch.no_grad():
            tensor = ghn([graph])[0]["it"]
        assert tuple(tensor.shape) == weight.shape
        assert bool(tensor.isfinite().all())


def test_a_transposed_kernel_has_the_scale_of_what_one_output_sums() -> None:
    source = torch.randn(8, 8, 3, 3, generator=torch.Generator().manual_seed(0))
    plain = fit(source, EncodedParameter("a", (16, 4, 3, 3), Role.WEIGHT), True)
    turned = fit(source, EncodedParameter("b", (4, 16, 3, 3), Role.TRANSPOSED, fan_in=36), True)
    torch.testing.assert_close(turned, plain.transpose(0, 1))
