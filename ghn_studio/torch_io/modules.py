"""Any ``torch.nn.Module`` as an architecture."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass

import torch
from torch import Tensor, fx, nn

from ghn_studio.analysis.shapes import require_shapes
from ghn_studio.errors import TorchConversionError
from ghn_studio.ir.graph import Architecture, Group
from ghn_studio.lifting.joining import join
from ghn_studio.ops.catalog import REGISTRY
from ghn_studio.ops.registry import OpRegistry
from ghn_studio.torch_io.assembly import Assembled, Assembly
from ghn_studio.torch_io.exported import exported
from ghn_studio.torch_io.names import Names
from ghn_studio.torch_io.symbolic import Entry, ShapeTracer
from ghn_studio.torch_io.twins import examples_of, stored_tensors, twin_of


@dataclass(frozen=True, slots=True)
class Traced:
    """A module as an architecture.

    Attributes:
        architecture: Node ids are module paths, so parameters keep their names.
        values: The module's tensors that the architecture owns, by their name there; empty for
            a module on the meta device.
        names: From names in the architecture to names in the module. They differ only where a
            module's name cannot name a node.
        unused: Names of parameters that have no node, for the result does not depend on them.
        notes: Remarks for a person.
    """

    architecture: Architecture
    values: Mapping[str, Tensor]
    names: Mapping[str, str]
    unused: tuple[str, ...] = ()
    notes: tuple[str, ...] = ()


def trace(module: nn.Module, example: object, name: str = "", ops: OpRegistry = REGISTRY) -> Traced:
    """Return ``module`` as an architecture; it is neither changed nor run on data.

    Args:
        module: Traced as in evaluation mode.
        example: A batch of images it takes; only its shape counts.
        name: Of the architecture; the module's class by default.

    Raises:
        TorchConversionError: Some part cannot be followed, or no operator expresses it; the
            message says which part and why.
    """
    images = examples_of(example)
    if len(images) != 1:
        raise TorchConversionError(f"{type(module).__name__} takes {len(images)} inputs; networks here take one")
    assembled = _assembled(module, images[0], ops)
    paths = {name: _kind(part) for name, part in module.named_modules() if name}
    graph = Architecture.build(assembled.nodes, _groups(assembled, paths), name or type(module).__name__)
    require_shapes(graph, ops)
    graph = join(graph, ops)
    known = set(assembled.owned.values())
    unused = tuple(n for n, _ in module.named_parameters() if n not in known)
    return Traced(graph, _values(module, assembled.owned), assembled.owned, unused, _notes(unused))


def _assembled(module: nn.Module, images: Tensor, ops: OpRegistry) -> Assembled:
    twin = twin_of(module)
    stored = stored_tensors(twin)
    names = Names([*(path for path, _ in twin.named_modules() if path), *stored])
    entry = Entry(twin)
    assembly = Assembly(ops, entry, stored, stored_tensors(module), names)
    graph = _recorded(ShapeTracer(assembly.takes, assembly.may_take), entry, images)
    for node in graph.nodes:
        assembly.add(node)
    assembly.hang_unused(twin)
    return assembly.result()


def _recorded(tracer: ShapeTracer, entry: Entry, images: Tensor) -> fx.Graph:
    """The graph of a module, by symbolic tracing or, where its code does not allow that, by export.

    Raises:
        TorchConversionError: Neither can follow it.
    """
    try:
        return tracer.trace_network(entry, images)
    except TorchConversionError:
        raise
    except Exception as error:  # noqa: BLE001 - a stranger's code runs here and may raise anything
        reason = f"{error}" or type(error).__name__
    try:
        return exported(entry, images)
    except Exception as error:
        raise TorchConversionError(
            f"{type(entry.network).__name__} cannot be traced: {tracer.place} does something that depends on values "
            f"or on other code ({_first_line(reason)}; torch.export: {_first_line(str(error))})"
        ) from error


def _first_line(text: str) -> str:
    return text.strip().partition("\n")[0][:200]


def _kind(part: nn.Module) -> str:
    """What a block is called besides its path; a mere container has no other name."""
    return "" if type(part).__module__ == nn.Sequential.__module__ else type(part).__name__.lstrip("_")


def _groups(assembled: Assembled, kinds: Mapping[str, str]) -> list[Group]:
    """A block for every module that holds nodes, in their order."""
    paths: dict[str, None] = {}
    for node in assembled.nodes:
        parts = node.id.split(".")
        paths.update(dict.fromkeys(".".join(parts[:i]) for i in range(1, len(parts))))
    return [Group(path, kinds.get(path, "")) for path in paths]


def _values(module: nn.Module, owned: Mapping[str, str]) -> dict[str, Tensor]:
    stored = stored_tensors(module)
    found = {name: stored[original].detach() for name, original in owned.items()}
    return {} if any(t.device == torch.device("meta") for t in found.values()) else found


def _notes(unused: tuple[str, ...]) -> tuple[str, ...]:
    if not unused:
        return ()
    shown = ", ".join(f"'{name}'" for name in unused[:5]) + (f" and {len(unused) - 5} more" if len(unused) > 5 else "")
    return (f"the result does not depend on {shown}",)
