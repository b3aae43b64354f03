"""A module without its data: tracing needs shapes alone and must not touch the original."""

from __future__ import annotations

import copy
from collections.abc import Iterator

import torch
from torch import Tensor, nn

from ghn_studio.errors import TorchConversionError

#: The batch size while tracing, a prime no layer has as a size: an extent it divides comes from the batch.
BATCH_SIZE = 1031


def twin_of(module: nn.Module) -> nn.Module:
    """A copy of ``module`` in evaluation mode whose parameters and buffers are meta tensors.

    Costs no memory for the data; the original keeps its mode, device and values.

    Raises:
        TorchConversionError: The module cannot be copied.
    """
    memo: dict[int, object] = {}
    for tensor in stored_tensors(module).values():
        memo.setdefault(id(tensor), _emptied(tensor))
    try:
        twin = copy.deepcopy(module, memo)
    except (TypeError, RuntimeError, NotImplementedError, AttributeError) as error:
        raise TorchConversionError(
            f"the module {type(module).__name__} cannot be copied ({error}); it has to be a plain torch.nn.Module"
        ) from error
    return twin.eval()


def stored_tensors(module: nn.Module) -> dict[str, Tensor]:
    """Every parameter and buffer by its dotted name, those of shared layers under each of their names."""
    found = dict(module.named_parameters(remove_duplicate=False))
    return {**found, **dict(module.named_buffers(remove_duplicate=False))}


def examples_of(example: object) -> tuple[Tensor, ...]:
    """Meta tensors like the example inputs, with :data:`BATCH_SIZE` images.

    Raises:
        TorchConversionError: An example is no tensor or has no batch axis.
    """
    given = tuple(example) if isinstance(example, tuple | list) else (example,)
    return tuple(_batch_like(value) for value in given)


def _batch_like(value: object) -> Tensor:
    if not isinstance(value, Tensor) or value.dim() < 2:
        found = f"a tensor of shape {list(value.shape)}" if isinstance(value, Tensor) else f"a {type(value).__name__}"
        raise TorchConversionError(
            f"the example input is {found}; give a batch of images such as torch.zeros(1, 3, 224, 224)"
        )
    return torch.empty((BATCH_SIZE, *value.shape[1:]), dtype=value.dtype, device="meta")


def _emptied(tensor: Tensor) -> Tensor:
    empty = torch.empty_like(tensor, device="meta")
    return nn.Parameter(empty, tensor.requires_grad) if isinstance(tensor, nn.Parameter) else empty


def tensors_in(value: object) -> Iterator[Tensor]:
    """Every tensor in a structure of tuples, lists and dictionaries, in order."""
    if isinstance(value, Tensor):
        yield value
    elif isinstance(value, dict):
        for part in value.values():
            yield from tensors_in(part)
    elif isinstance(value, tuple | list):
        for part in value:
            yield from tensors_in(part)
