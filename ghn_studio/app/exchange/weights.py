"""Values from elsewhere for a network that is open: what of them fits is known before anything is applied.

Files name tensors in their own way: ``module.`` of ``DataParallel``, ``model.`` of Lightning, a
``state_dict`` inside a training checkpoint, a moving average (EMA) beside the weights. The section and
the prefix under which most tensors fit are taken, the others are told.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from enum import StrEnum
from pathlib import Path
from typing import TYPE_CHECKING, Any

from ghn_studio import __version__
from ghn_studio.errors import CheckpointError
from ghn_studio.ir.graph import Architecture
from ghn_studio.ops.spec import Role

if TYPE_CHECKING:
    from torch import Tensor

    from ghn_studio.engine.execution import Plan, PlanWeight

#: How files of weights end.
ENDINGS = (".pt", ".pth", ".ckpt", ".safetensors")

#: A network's tensors may lie this many names below the top.
_MOST_PREFIX_PARTS = 4


class Fit(StrEnum):
    """What became of one name."""

    MATCHED = "matched"
    MISSING = "missing"  #: the network has it, the file does not
    UNEXPECTED = "unexpected"  #: the file has it, the network does not
    MISSHAPED = "misshaped"


@dataclass(frozen=True, slots=True)
class Entry:
    """One line of the table.

    Attributes:
        name: In the network; for what is unexpected, in the file.
        expected: The network's shape; None for what is unexpected.
        found: The file's shape; None for what is missing.
        trainable: False for running statistics and tables.
    """

    name: str
    fit: Fit
    expected: tuple[int, ...] | None
    found: tuple[int, ...] | None
    trainable: bool = True

    @property
    def text(self) -> str:
        """``head.weight: expected 10×64, found 1000×64``."""
        if self.expected is None or self.found is None:
            shape = self.found if self.expected is None else self.expected
            return f"{self.name} ({_extents(shape or ())})"
        return f"{self.name}: expected {_extents(self.expected)}, found {_extents(self.found)}"


@dataclass(frozen=True, slots=True)
class StateFile:
    """Tensors of a file by section (empty for the top) and by their names there, and what the file says of itself."""

    name: str
    sections: Mapping[str, Mapping[str, Tensor]]
    facts: Mapping[str, Any]
    notes: tuple[str, ...] = ()


@dataclass(frozen=True, slots=True)
class WeightsTable:
    """How a file's tensors fit a network.

    ``section`` and ``prefix`` say where in the file they were found, ``not_finite`` which of the fitting ones
    hold NaN or infinity. ``tensors`` are the fitting ones, by the network's names, as float32.
    """

    file: str
    section: str
    prefix: str
    entries: tuple[Entry, ...]
    not_finite: tuple[str, ...]
    notes: tuple[str, ...]
    tensors: Mapping[str, Tensor]

    def of(self, fit: Fit) -> tuple[Entry, ...]:
        """The entries of one kind, in the network's or file's order."""
        return tuple(e for e in self.entries if e.fit is fit)

    @property
    def is_complete(self) -> bool:
        """True if every tensor of the network has its value; unexpected ones do no harm."""
        return not self.of(Fit.MISSHAPED) and not self.of(Fit.MISSING)


def read_state(path: Path | str) -> StateFile:
    """Read a ``.pt``, ``.pth``, ``.ckpt`` or ``.safetensors`` file. No code of it runs.

    Raises:
        CheckpointError: It is damaged, holds code, or holds no tensors by name.
    """
    from ghn_studio.project import read_tensors
    from ghn_studio.project.safetensors_file import read_metadata
    from ghn_studio.project.torch_files import read_torch_file, require_file

    path = Path(path)
    require_file(path)
    if path.suffix.lower() == ".onnx":
        raise CheckpointError(f"'{path.name}' is a network of its own: open it instead of loading weights from it")
    if path.suffix.lower() == ".safetensors":
        return StateFile(path.name, {"": read_tensors(path)}, read_metadata(path))
    data = read_torch_file(path)
    if not isinstance(data, Mapping):
        raise CheckpointError(f"'{path.name}' holds a {type(data).__name__}, no state dict; save model.state_dict()")
    sections = {name: tensors for name, value in _nested(data) if (tensors := _tensors(value))}
    if not sections:
        raise CheckpointError(f"'{path.name}' holds no tensors by name, so no state dict; save model.state_dict()")
    metadata = getattr(data, "_metadata", None)
    facts = metadata.get("ghn_studio") if isinstance(metadata, Mapping) else None
    return StateFile(path.name, sections, facts if isinstance(facts, Mapping) else {}, _left_out(data, sections))


def match(graph: Architecture, state: StateFile, section: str | None = None) -> WeightsTable:
    """Say how the tensors of a file fit a network; nothing is changed.

    Args:
        section: Which part of the file to take; None for the one that fits best, weights before averages of them.

    Raises:
        CheckpointError: The file has no such section.
        ArchitectureError: The network is not complete.
    """
    from ghn_studio.engine.execution import Plan

    plan = Plan(graph)
    if section is not None and section not in state.sections:
        known = ", ".join(f"'{s}'" for s in state.sections if s) or "none"
        raise CheckpointError(f"'{state.name}' has no section '{section}'; it has {known}")
    names = list(state.sections) if section is None else [section]
    wanted = {w.name: w for w in plan.parameters}
    choices = [
        (_score(wanted, state.sections[name], prefix), -_is_average(f"{name}.{prefix}"), -i, -j, name, prefix)
        for i, name in enumerate(names) for j, prefix in enumerate(_prefixes(state.sections[name], wanted))
    ]
    *_, chosen, prefix = max(choices)
    best = max(choices)[0]
    others = [f"'{n or p}'" for score, *_, n, p in choices if score == best and (n, p) != (chosen, prefix)]
    notes = list(state.notes)
    if others and best:
        where = f"'{chosen or prefix}'" if chosen or prefix else "the top"
        notes.append(f"{', '.join(others)} would fit as well; {where} was taken")
    return _table(graph, plan, state, chosen, prefix, notes)


def completed(graph: Architecture, table: WeightsTable, seed: int = 0) -> dict[str, Tensor]:
    """Every tensor of the network: the fitting ones, and a random start (Kaiming) for the others."""
    from ghn_studio.engine.initial import kaiming

    return {**kaiming(graph, seed), **table.tensors}


def _table(
    graph: Architecture, plan: Plan, state: StateFile, section: str, prefix: str, notes: list[str]
) -> WeightsTable:
    found = state.sections[section]
    entries: list[Entry] = []
    tensors: dict[str, Tensor] = {}
    converted: Counter[str] = Counter()
    for weight in plan.parameters:
        tensor = found.get(prefix + weight.name)
        shape = tuple(tensor.shape) if tensor is not None else None
        fit = _fit(weight, tensor)
        if tensor is None and not _is_needed(weight):
            continue
        entries.append(Entry(weight.name, fit, weight.shape, shape, weight.trainable))
        if fit is Fit.MATCHED and tensor is not None:
            tensors[weight.name] = _as(tensor, weight, converted)
    known = {prefix + w.name for w in plan.parameters}
    entries += [Entry(n, Fit.UNEXPECTED, None, tuple(t.shape)) for n, t in found.items() if n not in known]
    broken = tuple(n for n, t in tensors.items() if t.is_floating_point() and not bool(t.isfinite().all()))
    notes += [f"{count} tensors were {kind} and became float32" for kind, count in converted.items()]
    return WeightsTable(
        state.name, section, prefix, tuple(entries), broken, (*notes, *_provenance(graph, state.facts)), tensors
    )


def _fit(weight: PlanWeight, tensor: Tensor | None) -> Fit:
    if tensor is None:
        return Fit.MISSING
    return Fit.MATCHED if tuple(tensor.shape) == weight.shape else Fit.MISSHAPED


def _is_needed(weight: PlanWeight) -> bool:
    """False for what an operator makes from its settings, and for counters."""
    if weight.role is not Role.BUFFER:
        return True
    return weight.spec.initial is None and weight.spec.dtype == "float32"


def _as(tensor: Tensor, weight: PlanWeight, converted: Counter[str]) -> Tensor:
    import torch

    wanted = getattr(torch, weight.spec.dtype)
    if tensor.dtype != wanted and tensor.is_floating_point():
        converted[str(tensor.dtype).removeprefix("torch.")] += 1
    return tensor.to(wanted).contiguous()


def _score(wanted: Mapping[str, PlanWeight], found: Mapping[str, Tensor], prefix: str) -> int:
    """Tensors that fit by name and shape, doubled, and those that fit by name alone."""
    score = 0
    for name, weight in wanted.items():
        tensor = found.get(prefix + name)
        score += 0 if tensor is None else 2 if tuple(tensor.shape) == weight.shape else 1
    return score


def _prefixes(found: Mapping[str, Tensor], wanted: Mapping[str, PlanWeight]) -> list[str]:
    """Beginnings of the file's names that may stand before a network's, shortest first."""
    seen = {""}
    for name in found:
        parts = name.split(".")
        for count in range(1, min(len(parts), _MOST_PREFIX_PARTS + 1)):
            prefix = ".".join(parts[:count]) + "."
            if prefix not in seen and name[len(prefix):] in wanted:
                seen.add(prefix)
    return sorted(seen, key=lambda p: (p.count("."), p))


def _is_average(name: str) -> bool:
    return "ema" in name.lower().replace(".", "_").split("_") or "averaged" in name.lower()


def _nested(data: Mapping[Any, Any]) -> Iterator[tuple[str, Mapping[Any, Any]]]:
    """The top of a file and the tables in it, with their names: ``state_dict``, ``model``, ``model_ema.module``."""
    waiting: list[tuple[str, Mapping[Any, Any]]] = [("", data)]
    seen = {id(data)}
    while waiting:
        name, value = waiting.pop(0)
        yield name, value
        for key, inner in value.items():
            if isinstance(key, str) and isinstance(inner, Mapping) and id(inner) not in seen:
                seen.add(id(inner))
                waiting.append((f"{name}.{key}".lstrip("."), inner))


def _tensors(value: Mapping[Any, Any]) -> dict[str, Tensor]:
    """The plain tensors of a table by name."""
    import torch

    return {
        k: v.detach() for k, v in value.items()
        if isinstance(k, str) and isinstance(v, torch.Tensor) and _is_plain(v)
    }


def _is_plain(tensor: Tensor) -> bool:
    """True for an array of real numbers that holds as many as it says: a view may repeat them a billion times."""
    import torch

    if tensor.layout != torch.strided or tensor.is_quantized or tensor.is_complex() or tensor.device.type == "meta":
        return False
    return tensor.numel() * tensor.element_size() <= tensor.untyped_storage().nbytes()


def _left_out(data: Mapping[Any, Any], sections: Mapping[str, Mapping[str, Tensor]]) -> tuple[str, ...]:
    """A remark on what is in the file and no weights."""
    names = [str(k)[:40] for k in data if k not in sections and k not in sections.get("", {})
             and not any(s.startswith(f"{k}.") for s in sections)]
    if not names:
        return ()
    return (f"not weights, left out: {', '.join(names[:6])}{' …' if len(names) > 6 else ''}",)


def _provenance(graph: Architecture, facts: Mapping[str, Any]) -> Iterator[str]:
    """What a file of ours says about where it was written."""
    from ghn_studio.app.exchange.exporting import fingerprint

    version = str(facts.get("version", ""))
    if version and _number(version) > _number(__version__):
        yield f"written by GHN Studio {version}, which is newer than this ({__version__}); names may have changed"
    if facts.get("sha256") and facts["sha256"] != fingerprint(graph):
        yield f"written for '{facts.get('architecture', '?')}', another network or an earlier state of this one"


def _number(version: str) -> tuple[int, ...]:
    return tuple(int(p) for p in version.split("+")[0].split(".") if p.isascii() and p.isdigit())


def _extents(shape: tuple[int, ...]) -> str:
    return "×".join(map(str, shape)) or "one number"
