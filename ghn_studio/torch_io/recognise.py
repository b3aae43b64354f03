"""Finding the operator that a layer or a call is: pure, no graph is changed."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass
from typing import Any

from ghn_studio.ir.tensors import TensorSpec
from ghn_studio.ops.registry import OpRegistry
from ghn_studio.ops.spec import OpSpec, WeightSpec, check_params
from ghn_studio.ops.torch_binding import Reader, TorchMatch, TorchNode, params_from


@dataclass(frozen=True, slots=True)
class Found:
    """An operator that expresses one use: its parameters, data inputs, weights and results.

    ``match.same`` is set, and the operator to be ignored, where the use changes nothing.
    """

    spec: OpSpec[Any]
    params: Any
    match: TorchMatch
    weights: tuple[WeightSpec, ...]
    outputs: tuple[TensorSpec, ...]


def recognise_layer(node: TorchNode, names: Iterable[str], ops: OpRegistry) -> Found:
    """The operator of a layer, which declares exactly the tensors the layer holds.

    Raises:
        ValueError: No operator does; the reasons.
    """
    readers = [(spec, spec.torch.modules[name]) for name in names for spec in ops.for_layer(name)]
    return _first(node, readers, lambda found: _check_tensors(found, node.tensors))


def recognise_function(node: TorchNode, ops: OpRegistry) -> Found:
    """The operator of a function call; one that owns the stored tensors before one that is fed them.

    Raises:
        ValueError: No operator reads it; the reasons.
    """
    return _first(node, [(spec, spec.torch.functions[node.kind]) for spec in ops.for_function(node.kind)])


def _first(node: TorchNode, readers: list[tuple[OpSpec[Any], Reader]],
           check: Callable[[Found], None] = lambda found: None) -> Found:
    reasons: list[str] = []
    second: Found | None = None
    for spec, read in readers:
        try:
            found = _read(node, spec, read)
            check(found)
        except ValueError as error:
            reasons.append(str(error))
        except (TypeError, LookupError, AttributeError) as error:
            # A layer of that name with other attributes: of another version, or somebody else's.
            reasons.append(f"an option is malformed ({type(error).__name__}: {error})")
        else:
            if not any(value.is_stored for value in found.match.data):
                return found
            second = second or found
    if second is not None:
        return second
    raise ValueError("; or ".join(dict.fromkeys(reasons)) or "no operator of this version reads it")


def _read(node: TorchNode, spec: OpSpec[Any], read: Reader) -> Found:
    match = read(node)
    if match.same is not None:
        return Found(spec, None, match, (), ())
    params = params_from(spec.params, match.params)
    wrong = check_params(params)
    if wrong:
        raise ValueError("; ".join(wrong))
    inputs = tuple(value.spec for value in match.data)
    outputs = _outputs(spec, params, inputs)
    # What follows changes the shape once more; the caller infers it.
    if not match.then and node.results and not _agree(outputs, node.results):
        raise ValueError(f"{spec.title} would give {_shapes(outputs)}, PyTorch gives {_shapes(node.results)}")
    return Found(spec, params, match, spec.weights(params, inputs), outputs)


def _outputs(spec: OpSpec[Any], params: Any, inputs: tuple[TensorSpec, ...]) -> tuple[TensorSpec, ...]:
    for index, value in enumerate(inputs):
        port = spec.port(index)
        if port is None:
            raise ValueError(f"{spec.title} takes {len(spec.inputs)} inputs, gets {len(inputs)}")
        if port.ranks and value.rank not in port.ranks:
            raise ValueError(f"{spec.title} needs values with {' or '.join(map(str, port.ranks))} axes, gets {value}")
    least = sum(port.at_least if port.variadic else 1 for port in spec.inputs)
    if len(inputs) < least:
        raise ValueError(f"{spec.title} takes at least {least} inputs, gets {len(inputs)}")
    return spec.infer_outputs(params, inputs)


def _agree(outputs: tuple[TensorSpec, ...], results: tuple[TensorSpec, ...]) -> bool:
    # Attention returns its weights too; an operator may leave out results that nothing reads.
    return all(a.shape == b.shape for a, b in zip(outputs, results, strict=False)) and len(outputs) <= len(results)


def _check_tensors(found: Found, tensors: Mapping[str, tuple[int, ...]]) -> None:
    if found.match.same is not None:
        return
    # Tables that follow from the options need not be held by the layer.
    declared = {w.name: w.shape for w in found.weights if w.initial is None or w.name in tensors}
    for name in declared.keys() | tensors.keys():
        if declared.get(name) != tensors.get(name):
            raise ValueError(
                f"the layer's {name} has shape {_listed(tensors.get(name))}, "
                f"that of {found.spec.title} {_listed(declared.get(name))}"
            )


def _listed(shape: tuple[int, ...] | None) -> str:
    return "none" if shape is None else str(list(shape))


def _shapes(specs: tuple[TensorSpec, ...]) -> str:
    return " and ".join(map(str, specs))
