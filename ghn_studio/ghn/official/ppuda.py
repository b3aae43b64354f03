"""The graph of GHN-1 and GHN-2 (parity specification, section 3.2)."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence

from ghn_studio.ghn.official import owners
from ghn_studio.ghn.official.calls import Origin
from ghn_studio.ghn.official.owners import Parameter
from ghn_studio.ghn.official.primitives import NORMS, of_function
from ghn_studio.ghn.official.wiring import INPUT, Item, RefusedError, Wiring, discover

POSITIONS = frozenset({owners.POSITION})
MATRICES = frozenset({owners.LINEAR})
_KNOWN = NORMS | POSITIONS | MATRICES | {owners.CONV}


def build(roots: Sequence[Origin], parameters: Mapping[str, Parameter]) -> Wiring:
    """Return the graph of a network whose results are ``roots``; node 0 is the input.

    Raises:
        RefusedError: It has several starts, nodes off every path from input to output, or is a vision transformer.
    """
    if any(p.owner.kind == owners.VIT_ENCODER for p in parameters.values()):
        raise RefusedError("GHN-2 refuses torchvision's vision transformers")
    wiring = discover(roots, parameters, keep=_is_known, once=False)
    _put_linear_weights_first(wiring)
    _add_input(wiring)
    order = wiring.sorted_by_depth()
    if order is None:
        raise RefusedError("the graph has a cycle")
    wiring.reorder(order)
    wiring.split_positions(_is_position)
    _filter(wiring)
    _require_paths(wiring)
    return wiring


def _is_known(parameter: Parameter) -> bool:
    kind = parameter.owner.kind
    return kind in _KNOWN and not (kind in NORMS and "bias" in parameter.name.rpartition(".")[2])


def _is_position(item: Item) -> bool:
    return item.parameter is not None and item.parameter.owner.kind in POSITIONS


def _put_linear_weights_first(wiring: Wiring) -> None:
    """Autograd enters a linear layer at its bias; from here on data meets the weight first."""
    for place, item in enumerate(wiring.items):
        parameter = item.parameter
        if parameter is None or parameter.owner.kind != owners.LINEAR or not item.name.endswith(".weight"):
            continue
        for bias in sorted(wiring.after[place]):
            for source in tuple(wiring.before[bias]):
                wiring.disconnect(source, bias)
                wiring.connect(source, place)
            wiring.connect(place, bias)


def _add_input(wiring: Wiring) -> None:
    starts = [place for place, sources in enumerate(wiring.before) if not sources]
    if len(starts) != 1:
        raise RefusedError(f"the graph has {len(starts)} starts, the official code takes one")
    wiring.connect(wiring.add(INPUT), starts[0])


def _filter(wiring: Wiring) -> None:
    def named(offset: int, *starts: str) -> Callable[[int], bool]:
        # Python's own indices: in front of the first node comes the last one.
        return lambda place: wiring.items[place - offset].name.startswith(starts)

    _drop_where(wiring, "Mul", named(2, "Hard"))
    _drop_where(wiring, "Clone", named(11, "Softmax"))
    wiring.drop(place for place, item in enumerate(wiring.items) if _is_unsupported(item))
    _drop_where(wiring, "Mean", lambda place: wiring.items[place].keepdim)
    for merge in ("Add", "Cat"):
        _drop_where(wiring, merge, lambda place: len(wiring.before[place]) > 1)


def _drop_where(wiring: Wiring, pattern: str, keep: Callable[[int], bool]) -> None:
    wiring.drop([p for p, item in enumerate(wiring.items) if pattern in item.name and not keep(p)])


def _is_unsupported(item: Item) -> bool:
    if item is INPUT or item.parameter is not None:
        return False
    return of_function(item.name) is None and item.name != "Clone"


def _require_paths(wiring: Wiring) -> None:
    forth, back = wiring.reachable(0), wiring.reachable(len(wiring) - 1, backwards=True)
    for place, item in enumerate(wiring.items):
        position = _is_position(item)
        if place not in back or (place not in forth and not position):
            raise RefusedError(f"'{item.name}' is on no path from the input to the last node")


