"""Tensors that do not depend on the images: where they come from and how to make them.

While a graph is lifted only shapes and small values are known; a :class:`Recipe` remembers
what to do with the full tensor, so that nothing large is touched before it is needed.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, replace
from math import prod
from typing import Any

import numpy as np

from ghn_studio.lifting.raw import SMALL, RawTensor

#: No tensor larger than this is ever made from a rule such as "400 billion zeros".
MAX_ELEMENTS = 2**30


@dataclass(frozen=True, slots=True)
class Step:
    """One rearrangement: ``reshape`` or ``expand`` to a shape, ``transpose`` by a permutation,
    ``repeat`` of every element so many times."""

    kind: str
    numbers: tuple[int, ...]


@dataclass(frozen=True, slots=True)
class Recipe:
    """How to make a tensor: a stored one by name, a few numbers or one, then rearrangements."""

    tensor: str = ""
    numbers: tuple[float, ...] = ()
    fill: float = 0.0
    steps: tuple[Step, ...] = ()

    def then(self, kind: str, *numbers: int) -> Recipe:
        """The recipe with one more step."""
        return replace(self, steps=(*self.steps, Step(kind, numbers)))

    @property
    def is_filled(self) -> bool:
        """True if the source holds no data for it, only one number."""
        return not self.tensor and not self.numbers


@dataclass(frozen=True, slots=True)
class Stored:
    """What is known of such a tensor. ``values`` (flat) if small; the batch size is "N" there."""

    shape: tuple[int, ...]
    dtype: str
    values: tuple[Any, ...] | None
    recipe: Recipe

    def reshaped(self, shape: tuple[int, ...]) -> Stored:
        """The same elements in another shape of the same size."""
        return self if shape == self.shape else replace(self, shape=shape, recipe=self.recipe.then("reshape", *shape))


def from_tensor(tensor: RawTensor) -> Stored:
    """A tensor as the source stores it."""
    return Stored(tensor.shape, tensor.dtype, tensor.values, Recipe(tensor.name))


def from_numbers(values: tuple[Any, ...], shape: tuple[int, ...], dtype: str = "int64") -> Stored:
    """A small tensor that was computed here."""
    known = tuple(float(v) for v in values if not isinstance(v, str))
    return Stored(shape, dtype, values, Recipe(numbers=known).then("reshape", *shape))


def filled(value: float, shape: tuple[int, ...], dtype: str) -> Stored:
    """A tensor with one value everywhere; takes no memory, whatever its size.

    Raises:
        ValueError: It would have more than ``MAX_ELEMENTS`` elements.
    """
    count = prod(shape)
    if any(d < 0 for d in shape) or count > MAX_ELEMENTS:
        raise ValueError(f"a constant of shape {list(shape)} would hold {count:,} values")
    values = (value,) * count if count <= SMALL else None
    return Stored(shape, dtype, values, Recipe(fill=float(value)).then("expand", *shape))


def realise(recipe: Recipe, load: Callable[[str], np.ndarray]) -> np.ndarray:
    """Make the tensor; ``load`` gives a stored one by name. Filled ones are views of one number."""
    array = load(recipe.tensor) if recipe.tensor else np.asarray(recipe.numbers or recipe.fill, np.float32)
    for step in recipe.steps:
        if step.kind == "transpose":
            array = array.transpose(step.numbers)
        elif step.kind == "expand":
            array = np.broadcast_to(array, step.numbers)
        elif step.kind == "repeat":
            array = np.repeat(array, step.numbers[0], axis=0)
        else:
            array = _reshaped(array, step.numbers)
    return array


def _reshaped(array: np.ndarray, shape: tuple[int, ...]) -> np.ndarray:
    if array.ndim and array.size and not any(array.strides):
        return np.broadcast_to(array[(0,) * array.ndim], shape)  # reshape would copy the view out
    return array.reshape(shape)
