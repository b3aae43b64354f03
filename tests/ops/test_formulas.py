"""What an operator's formula says is what PyTorch computes, where it can be read as arithmetic."""

from __future__ import annotations

import re

import pytest
import torch

from ghn_studio.ops import REGISTRY
from ghn_studio.ops.spec import Example, OpSpec

#: Names in formulas that are parameters or constants, for the operators that use them.
_LETTERS = {
    "leaky_relu": lambda p: {"a": p.negative_slope}, "elu": lambda p: {"α": p.alpha},
    "selu": lambda p: {"λ": 1.05070098, "α": 1.67326324}, "gelu": lambda p: {},
}
_FUNCTIONS = {
    "exp": torch.exp, "log": torch.log, "tanh": torch.tanh, "Φ": torch.special.ndtr,
    "max": lambda a, b: torch.maximum(*_pair(a, b)), "min": lambda a, b: torch.minimum(*_pair(a, b)),
}
ELEMENTWISE = ("relu", "relu6", "leaky_relu", "gelu", "silu", "hardswish", "hardsigmoid", "sigmoid", "tanh", "elu",
               "selu", "mish", "softplus", "log_sigmoid")


def _pair(a: object, b: object) -> tuple[torch.Tensor, torch.Tensor]:
    return torch.broadcast_tensors(torch.as_tensor(a, dtype=torch.float64), torch.as_tensor(b, dtype=torch.float64))


def evaluate(formula: str, x: torch.Tensor, letters: dict[str, float]) -> torch.Tensor:
    """Read ``y = …`` as arithmetic on ``x``."""
    text = formula.partition(",  ")[0].removeprefix("y = ").replace("·", "*").replace("−", "-")
    cases = re.fullmatch(r"(.+) for x > 0, else (.+)", text)
    scope = {"__builtins__": {}, **_FUNCTIONS, **letters, "x": x}
    if cases is None:
        return torch.as_tensor(eval(text, scope))
    return torch.where(x > 0, eval(cases.group(1), scope), eval(cases.group(2), scope))


@pytest.mark.parametrize("op_id", ELEMENTWISE)
def test_the_formula_of_an_activation_is_what_torch_computes(op_id: str) -> None:
    spec: OpSpec[object] = REGISTRY[op_id]
    example: Example[object] = spec.examples[0]
    call = spec.module(example.params, example.inputs)
    layer = getattr(torch.nn, call.short_name)(*call.args, **dict(call.kwargs))
    x = torch.linspace(-8, 8, 1001, dtype=torch.float64)
    letters = _LETTERS.get(op_id, lambda p: {})(example.params)
    torch.testing.assert_close(evaluate(spec.formula, x, letters), layer(x), rtol=1e-6, atol=1e-7)


def test_a_wrong_formula_would_be_found() -> None:
    x = torch.linspace(-8, 8, 101, dtype=torch.float64)
    assert not torch.allclose(evaluate("y = max(0, x) + 1", x, {}), torch.relu(x))
