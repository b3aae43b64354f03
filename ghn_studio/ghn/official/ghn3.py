"""The graph of GHN-3 (parity specification, section 3.3), with the authors' corrections of GHN-2's."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence

from ghn_studio.ghn.official import owners
from ghn_studio.ghn.official.calls import Origin
from ghn_studio.ghn.official.owners import Parameter
from ghn_studio.ghn.official.primitives import NORMS, is_attention, of_function
from ghn_studio.ghn.official.wiring import INPUT, Item, Wiring, discover

POSITIONS = frozenset({owners.POSITION, owners.VIT_ENCODER, owners.EMBEDDING})
MATRICES = frozenset({owners.LINEAR, owners.PROJECTION, owners.ATTENTION})
_KNOWN = NORMS | POSITIONS | MATRICES | {owners.CONV}
_SPLIT_POSITIONS = frozenset({owners.POSITION, owners.VIT_ENCODER})
_HEADS = ("classifier", "fc", "head")


def build(roots: Sequence[Origin], parameters: Mapping[str, Parameter]) -> Wiring:
    """Return the graph of a network whose results are ``roots``.

    Node 0 is the input, unless the graph has a cycle: then the order is that of the
    search from the output, as the official code leaves it (Swin V2).
    """
    wiring = discover(roots, parameters, keep=lambda parameter: True, once=True)
    _filter(wiring)
    _put_weights_first(wiring)
    _route_through_attention(wiring)
    if any(item.name.endswith(".reduction.weight") for item in wiring.items):
        _route_through_merging(wiring)
    _filter_merges(wiring, _fan_in(wiring))
    _add_input(wiring)
    order = wiring.sorted_by_generation()
    if order is not None:
        wiring.reorder(order)
    wiring.split_positions(lambda item: item.parameter is not None and item.parameter.owner.kind in _SPLIT_POSITIONS)
    _put_pooling_before_classifier(wiring)
    return wiring


def _filter(wiring: Wiring) -> None:
    counts = dict(zip(map(id, wiring.items), _fan_in(wiring), strict=True))
    gates = any("sigmoid" in item.name.lower() or "swish" in item.name.lower() for item in wiring.items)
    _drop(wiring, "Mul", lambda place: gates and _is_excitation(wiring, place))
    wiring.drop(place for place, item in enumerate(wiring.items) if _is_unsupported(item))
    _drop(wiring, "Mean", lambda place: not gates or _is_near_head(wiring, place))
    _filter_merges(wiring, [counts[id(item)] for item in wiring.items])


def _filter_merges(wiring: Wiring, counts: Sequence[int]) -> None:
    """Drop sums and concatenations that had a single input when ``counts`` were taken."""
    wanted = {id(item): count for item, count in zip(wiring.items, counts, strict=True)}
    for merge in ("Add", "Cat"):
        _drop(wiring, merge, lambda place: wanted[id(wiring.items[place])] > 1)


def _drop(wiring: Wiring, pattern: str, keep: Callable[[int], bool]) -> None:
    wiring.drop([p for p, item in enumerate(wiring.items) if pattern in item.name and not keep(p)])


def _fan_in(wiring: Wiring) -> list[int]:
    return [len(sources) for sources in wiring.before]


def _is_near_head(wiring: Wiring, place: int) -> bool:
    """Whether a classifier is one or two places nearer to the output; the last of the list always counts."""
    if place < 3 - len(wiring) or place + 1 >= len(wiring):
        return True
    # Python's own indices: in front of the first node comes the last one.
    return any(wiring.items[place - back].name.lower().startswith(_HEADS) for back in (1, 2))


def _is_excitation(wiring: Wiring, place: int) -> bool:
    """Whether a product is the last step of a squeeze and excitation, judged by its neighbours in the list."""
    def starts(offset: int, *names: str) -> bool:
        return wiring.items[place + offset].name.lower().startswith(names)

    if _is_near_head(wiring, place):
        return False
    return starts(-2, "hard", "sigmoid") or starts(-3, "relu", "mean") or starts(1, "hard", "sigmoid", "relu")


def _is_unsupported(item: Item) -> bool:
    if item.parameter is None:
        return of_function(item.name) is None
    owner = item.parameter.owner
    if item.name.endswith(".bias") and "norm" in owner.kind.rpartition(".")[2].lower():
        return True
    return not owner.is_a(_KNOWN)


def _put_weights_first(wiring: Wiring) -> None:
    """Autograd enters a linear layer at its bias; from here on data meets the weight first."""
    for place in range(len(wiring)):
        if wiring.before[place] or "weight" not in wiring.items[place].name:
            continue
        for bias in sorted(wiring.after[place]):
            if _belongs(wiring, place, bias) and wiring.before[bias] != {place}:
                _exchange(wiring, place, bias)


def _belongs(wiring: Wiring, weight: int, other: int) -> bool:
    one, two = wiring.items[weight].parameter, wiring.items[other].parameter
    if two is None:
        return not wiring.before[weight] and is_attention(wiring.items[other].name)
    return one is not None and one.owner.module == two.owner.module


def _exchange(wiring: Wiring, weight: int, bias: int) -> None:
    alone = len(wiring.after[weight]) == 1
    wiring.swap(weight, bias)
    wiring.disconnect(weight, bias)
    if alone:
        for target in tuple(wiring.after[bias]):
            wiring.disconnect(bias, target)
            wiring.connect(weight, target)
    wiring.connect(bias, weight)


def _route_through_attention(wiring: Wiring) -> None:
    """Values reach the projection behind an attention through it alone."""
    before = [set(sources) for sources in wiring.before]
    after = [set(targets) for targets in wiring.after]
    for place, item in enumerate(wiring.items):
        if item.parameter is not None or not is_attention(item.name):
            continue
        for target in sorted(after[place]):
            for other in sorted(before[target] - {place}):
                paths = 0 if other == target else _paths(after, other, target)
                fed = place in after[other]
                if paths > 1 or not fed:
                    wiring.disconnect(other, target)
                if paths == 1 and not fed:
                    wiring.connect(other, place)


def _paths(after: Sequence[set[int]], start: int, end: int) -> int:
    """The number of simple paths, counted up to two."""
    useful = _reaching(after, end)
    found, stack, trail = 0, [iter(after[start])], [start]
    while stack and found < 2:
        place = next(stack[-1], None)
        if place is None:
            stack.pop()
            trail.pop()
        elif place == end:
            found += 1
        elif place in useful and place not in trail:
            stack.append(iter(after[place]))
            trail.append(place)
    return found


def _reaching(after: Sequence[set[int]], end: int) -> set[int]:
    before: list[list[int]] = [[] for _ in after]
    for source, targets in enumerate(after):
        for target in targets:
            before[target].append(source)
    found, stack = {end}, [end]
    while stack:
        for place in before[stack.pop()]:
            if place not in found:
                found.add(place)
                stack.append(place)
    return found


def _route_through_merging(wiring: Wiring) -> None:
    """Swin's patch merging: its norm feeds its reduction, and no attention block does."""
    for place, item in enumerate(wiring.items):
        for target in sorted(wiring.after[place]):
            other = wiring.items[target]
            if item.name.endswith("norm.weight") and (other.name.endswith("norm1.weight") or other.calls("Add")):
                wiring.disconnect(place, target)
                reduction = item.name.replace("norm", "reduction")
                wiring.connect(place, next(p for p, i in enumerate(wiring.items) if reduction in i.name))
            elif item.name.endswith("attn.proj.bias") and other.name.endswith("reduction.weight"):
                wiring.disconnect(place, target)
                for total in sorted(wiring.after[target]):
                    if wiring.items[total].calls("Add"):
                        wiring.connect(place, total)


def _add_input(wiring: Wiring) -> None:
    starts = [p for p, item in enumerate(wiring.items) if not wiring.before[p] and "weight" in item.name]
    place = wiring.add(INPUT)
    for start in starts:
        wiring.connect(place, start)


def _put_pooling_before_classifier(wiring: Wiring) -> None:
    """SqueezeNet averages behind its classifier; only what stands at the last three places moves."""
    if not any(".squeeze." in item.name for item in wiring.items) or not wiring.items[-1].calls("Mean"):
        return
    weight, bias, pooling = wiring.items[-3:]
    wiring.items[-3:] = [pooling, weight, bias]
