"""The parameters of lifted operators, and how to make them from the source's tensors."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass

from ghn_studio.lifting import folding
from ghn_studio.lifting.stored import Recipe, Stored, filled
from ghn_studio.lifting.values import Args
from ghn_studio.ops.binding import StoredAs
from ghn_studio.ops.spec import WeightSpec


@dataclass(frozen=True, slots=True)
class LiftedWeight:
    """A parameter as its operator declares it, and how to make it from the source's tensors."""

    spec: WeightSpec
    recipe: Recipe


def lifted_weights(
    declared: tuple[WeightSpec, ...], sources: Mapping[str, StoredAs], args: Args
) -> dict[str, LiftedWeight]:
    """Each declared weight, made from the node's stored inputs.

    Raises:
        ValueError: One is missing, computed at run time or of another shape.
    """
    found: dict[str, LiftedWeight] = {}
    for weight in declared:
        source = sources.get(weight.name)
        if source is None:
            raise ValueError(f"the file has no {weight.keyword}")
        found[weight.name] = LiftedWeight(weight, _recipe(weight, source, args))
    return found


def _recipe(weight: WeightSpec, source: StoredAs, args: Args) -> Recipe:
    if source.position is None:
        return filled(source.fill, weight.shape, "float32").recipe
    value = args[source.position] if source.position < len(args) else None
    if not isinstance(value, Stored):
        raise ValueError(f"its {weight.keyword} is missing or computed at run time")
    if value.dtype not in folding.FLOATS and weight.trainable:
        raise ValueError(f"its {weight.keyword} holds {value.dtype}, not real numbers")
    shape, recipe = value.shape, value.recipe
    if source.transposed:
        shape, recipe = shape[::-1], recipe.then("transpose", *reversed(range(len(shape))))
    if source.repeat > 1:
        shape, recipe = (shape[0] * source.repeat, *shape[1:]), recipe.then("repeat", source.repeat)
    if [d for d in shape if d != 1] != [d for d in weight.shape if d != 1]:
        raise ValueError(f"its {weight.keyword} has shape {list(shape)}, expected {list(weight.shape)}")
    return recipe if shape == weight.shape else recipe.then("reshape", *weight.shape)
