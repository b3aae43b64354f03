"""Lift a raw graph to operators through their bindings, and say what could not be lifted."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from math import prod
from typing import Any

from ghn_studio.ir.graph import Node, Source
from ghn_studio.ir.tensors import TensorSpec
from ghn_studio.lifting import folding, patterns
from ghn_studio.lifting.names import Hint, assign_ids
from ghn_studio.lifting.raw import RawGraph, RawInput, RawNode, ordered
from ghn_studio.lifting.stored import Recipe, Stored, filled, from_tensor
from ghn_studio.ops.binding import DOMAIN, OnnxInput, OnnxMatch, OnnxNode, StoredAs, function_params, require_types
from ghn_studio.ops.registry import OpRegistry
from ghn_studio.ops.spec import NoParams, OpSpec, WeightSpec, check_params, full_name

#: Largest value one image may become on its way, in elements: 1 GiB as float32.
MAX_VALUE_ELEMENTS = 2**28


@dataclass(frozen=True, slots=True)
class LiftProblem:
    """A node that no operator takes."""

    node: str
    op_type: str
    reason: str


@dataclass(frozen=True, slots=True)
class LiftedWeight:
    """A parameter as its operator declares it, and how to make it from the source's tensors."""

    spec: WeightSpec
    recipe: Recipe


@dataclass(frozen=True, slots=True)
class Lifted:
    """The nodes that were lifted, in order, their weights by full name,
    and every node that matters and could not be lifted."""

    nodes: tuple[Node, ...]
    weights: Mapping[str, LiftedWeight]
    problems: tuple[LiftProblem, ...]


@dataclass(frozen=True, slots=True)
class _Computed:
    """A value that depends on the images: which use of an operator makes it, and its shape."""

    use: int
    port: int
    spec: TensorSpec


_Args = Sequence[Stored | _Computed | None]


@dataclass(frozen=True, slots=True)
class _Use:
    """One use of an operator before it has an id; inputs refer to uses by position."""

    spec: OpSpec[Any]
    params: Any
    inputs: tuple[tuple[int, int], ...]
    hint: Hint
    weights: Mapping[str, LiftedWeight] = field(default_factory=dict)


def lift(raw: RawGraph, ops: OpRegistry) -> Lifted:
    """Turn every node of ``raw`` into operators of ``ops``.

    Shapes are inferred on the way, so a reader can ask them to prove that, for example, a
    reshape only flattens. Nodes behind one that was not lifted are reported only if no
    operator knows their type; nodes that lead to no output never are. Linear in the graph.

    Raises:
        ValueError: The graph itself is malformed: a cycle, a value with two producers or none.
    """
    return _Lift(patterns.join(raw), ops).run()


class _Lift:
    def __init__(self, raw: RawGraph, ops: OpRegistry) -> None:
        self.raw, self.ops = raw, ops
        self.values: dict[str, Stored | _Computed | None] = {
            name: from_tensor(tensor) for name, tensor in raw.tensors.items()
        }
        self.uses: list[_Use] = []
        self.problems: list[LiftProblem] = []
        self.read = ({name for node in raw.nodes for name in node.inputs} | set(raw.outputs)) - {""}
        self.needed = _needed(raw)
        self.ends = frozenset(raw.outputs)

    def run(self) -> Lifted:
        for entry in self.raw.inputs:
            self._enter(entry)
        finals: dict[str, RawNode | None] = dict.fromkeys(self.raw.outputs)
        for node in ordered(self.raw):
            if self._only_names_an_output(node):
                self.values[node.outputs[0]] = self.values[node.inputs[0]]
                finals[node.outputs[0]] = node
            else:
                self._visit(node)
        for name, last in finals.items():
            self._leave(name, last)
        return self._named()

    def _only_names_an_output(self, node: RawNode) -> bool:
        """True for an Identity that gives a value the name of an output: it *is* the output."""
        return (
            node.op_type == "Identity" and not node.domain and len(node.inputs) == len(node.outputs) == 1
            and node.outputs[0] in self.ends and isinstance(self.values.get(node.inputs[0]), _Computed)
        )

    def _enter(self, entry: RawInput) -> None:
        spec = self.ops["input"]
        params = spec.params(*entry.shape[1:])
        self.uses.append(_Use(spec, params, (), Hint("input", entry.name, exact=self.raw.has_ids)))
        self.values[entry.name] = _Computed(len(self.uses) - 1, 0, _infer(spec, params, ())[0])

    def _leave(self, name: str, node: RawNode | None) -> None:
        value = self.values.get(name)
        if isinstance(value, Stored):
            self.problems.append(LiftProblem(name, "output", "it does not depend on the images"))
        if value is None and not self.problems:
            self.problems.append(LiftProblem(name, "output", "nothing that was understood leads to it"))
        if not isinstance(value, _Computed):
            return
        hint = Hint("output", node.name if node is not None and node.name else name, "Identity", (), self.raw.has_ids)
        self.uses.append(_Use(self.ops["output"], NoParams(), ((value.use, value.port),), hint))

    def _visit(self, node: RawNode) -> None:
        for name in node.outputs:
            self.values[name] = None
        args = [self.values.get(name) if name else None for name in node.inputs]
        unknown = any(arg is None for arg, name in zip(args, node.inputs, strict=True) if name)
        try:
            if unknown:
                if not self._is_known(node):
                    raise ValueError("no operator of this version reads it")
                return
            self._settle(node, args)
        except ValueError as error:
            self._report(node, str(error))
        except (TypeError, LookupError, AttributeError, ArithmeticError) as error:
            # Attributes of the wrong type, inputs left out: the file's fault, found by a rule's arithmetic.
            self._report(node, f"an attribute or input is malformed ({type(error).__name__}: {error})")

    def _report(self, node: RawNode, reason: str) -> None:
        if id(node) in self.needed:
            self.problems.append(LiftProblem(node.label, _type_of(node), reason))

    def _is_known(self, node: RawNode) -> bool:
        if node.domain == DOMAIN:
            return self._function(node) is not None
        return not node.domain and (bool(self.ops.for_onnx(node.op_type)) or folding.has_rule(node.op_type))

    def _function(self, node: RawNode) -> OpSpec[Any] | None:
        """The operator a function of ours stands for."""
        op = node.op_type.partition("__")[0]
        return self.ops[op] if op in self.ops and self.ops[op].onnx is not None else None

    def _settle(self, node: RawNode, args: _Args) -> None:
        """Find the outputs of a node whose inputs are all known."""
        if not node.domain:
            if node.op_type == "Shape" and isinstance(args[0], _Computed):
                self.values[node.outputs[0]] = folding.fold_shape(node, args[0].spec.shape)
                return
            if _changes_nothing(node, args):
                self.values[node.outputs[0]] = args[0]
                return
            alone = node.op_type == "CastLike" or not any(isinstance(arg, _Computed) for arg in args)
            if alone and folding.has_rule(node.op_type):
                self._fold(node, [None if isinstance(arg, _Computed) else arg for arg in args])
                return
        self._take(node, args)

    def _fold(self, node: RawNode, args: list[Stored | None]) -> None:
        found = folding.fold(node, args)
        if found is None:
            raise ValueError("it computes a constant in a way this version cannot follow")
        self.values[node.outputs[0]] = found

    def _take(self, node: RawNode, args: _Args) -> None:
        """Let the first operator that recognises the node take it."""
        seen = OnnxNode(
            node.op_type, node.attrs, tuple(map(_seen, args)), len(node.outputs), self.raw.opset, self.raw.batch,
        )
        reasons: list[str] = []
        for spec, read in self._readers(node):
            try:
                self._use(node, spec, read(seen), args)
                return
            except ValueError as error:
                reasons.append(str(error))
            except (TypeError, LookupError, AttributeError, ArithmeticError) as error:
                reasons.append(f"an attribute or input is malformed ({type(error).__name__}: {error})")
        raise ValueError("; or ".join(dict.fromkeys(reasons)) or "no operator of this version reads it")

    def _readers(self, node: RawNode) -> list[tuple[OpSpec[Any], Any]]:
        if node.domain == DOMAIN:
            spec = self._function(node)
            return [] if spec is None else [(spec, lambda seen: _read_function(spec, seen))]
        if node.domain:
            return []
        return [(spec, spec.onnx.reads[node.op_type]) for spec in self.ops.for_onnx(node.op_type) if spec.onnx]

    def _use(self, node: RawNode, spec: OpSpec[Any], match: OnnxMatch[Any], args: _Args) -> None:
        require_types(match.params)
        wrong = check_params(match.params)
        if wrong:
            raise ValueError("; ".join(wrong))
        data = [arg for arg in (args[i] for i in match.data) if isinstance(arg, _Computed)]
        specs = tuple(arg.spec for arg in data)
        outputs = _infer(spec, match.params, specs)
        extra = [name for name in node.outputs[len(outputs):] if name in self.read]
        if extra:
            raise ValueError(f"its output '{extra[0]}' is used, {spec.title} has only {len(outputs)}")
        declared = spec.weights(match.params, specs)
        if node.domain and len(match.data) + len(declared) != len(args):
            raise ValueError(f"it has {len(args)} inputs, expected {len(match.data)} and {len(declared)} weights")
        weights = _weights(declared, match.weights or _after(match, declared), args)
        owned = tuple(w.recipe.tensor for w in weights.values() if w.recipe.tensor)
        hint = Hint(spec.id, node.name or node.label, node.op_type, owned, self.raw.has_ids)
        self.uses.append(_Use(spec, match.params, tuple((d.use, d.port) for d in data), hint, weights))
        for op in match.then:
            outputs = self._follow(self.ops[op], outputs)
        for port, name in enumerate(node.outputs[:len(outputs)]):
            self.values[name] = _Computed(len(self.uses) - 1, port, outputs[port])

    def _follow(self, spec: OpSpec[Any], inputs: tuple[TensorSpec, ...]) -> tuple[TensorSpec, ...]:
        """Add an operator that one raw node stands for besides its main one."""
        params = spec.params()
        before = self.uses[-1].hint
        hint = Hint(spec.id, f"{before.name.rpartition('/')[0]}/{spec.id}")
        self.uses.append(_Use(spec, params, ((len(self.uses) - 1, 0),), hint))
        return _infer(spec, params, inputs)

    def _named(self) -> Lifted:
        ids = assign_ids([use.hint for use in self.uses])
        nodes = tuple(
            Node(ids[i], use.spec.id, use.params, tuple(Source(ids[source], port) for source, port in use.inputs))
            for i, use in enumerate(self.uses)
        )
        weights = {
            full_name(ids[i], name): weight for i, use in enumerate(self.uses) for name, weight in use.weights.items()
        }
        return Lifted(nodes, weights, tuple(self.problems))


def _needed(raw: RawGraph) -> set[int]:
    """Identities of the nodes that lead to an output."""
    makers = {name: node for node in raw.nodes for name in node.outputs if name}
    found: set[int] = set()
    stack = [makers[name] for name in raw.outputs if name in makers]
    while stack:
        node = stack.pop()
        if id(node) not in found:
            found.add(id(node))
            stack.extend(makers[name] for name in node.inputs if name in makers)
    return found


def _type_of(node: RawNode) -> str:
    return f"{node.domain}.{node.op_type}" if node.domain else node.op_type


def _changes_nothing(node: RawNode, args: _Args) -> bool:
    """True if a node passes a value on: half precision is read as float32, so a cast between
    the two does nothing; joining or adding one value gives that value."""
    if not args or not isinstance(args[0], _Computed):
        return False
    if node.op_type in ("Concat", "Sum"):
        return len(args) == 1
    return node.op_type == "CastLike" or (node.op_type == "Cast" and node.attrs.get("to") in folding.FLOATS)


def _seen(value: Stored | _Computed | None) -> OnnxInput | None:
    if value is None:
        return None
    if isinstance(value, _Computed):
        return OnnxInput(value.spec.shape)
    return OnnxInput(value.shape, True, value.values)


def _read_function(spec: OpSpec[Any], node: OnnxNode) -> OnnxMatch[Any]:
    """Read a function GHN Studio wrote: data inputs first, then the weights in their order."""
    count = 0
    while (given := node.given(count)) is not None and not given.is_stored:
        count += 1
    return OnnxMatch(function_params(spec.params, node.attrs), tuple(range(count)))


def _after(match: OnnxMatch[Any], declared: tuple[WeightSpec, ...]) -> dict[str, StoredAs]:
    """The weights of a function, which follow its data inputs in their declared order."""
    return {weight.name: StoredAs(len(match.data) + i) for i, weight in enumerate(declared)}


def _infer(spec: OpSpec[Any], params: Any, inputs: tuple[TensorSpec, ...]) -> tuple[TensorSpec, ...]:
    """The output shapes, with the checks a file from a stranger needs.

    Raises:
        ValueError: An input has the wrong number of axes, the sizes do not fit, or a value
            would be too large to compute.
    """
    fixed = [port for port in spec.inputs if not port.variadic]
    least = len(fixed) + sum(port.at_least for port in spec.inputs if port.variadic)
    if len(inputs) < least:
        raise ValueError(f"{spec.title} takes at least {least} inputs, gets {len(inputs)}")
    for index, value in enumerate(inputs):
        port = spec.port(index)
        if port is None:
            raise ValueError(f"{spec.title} takes {len(spec.inputs)} inputs, gets {len(inputs)}")
        if port.ranks and value.rank not in port.ranks:
            wanted = " or ".join(map(str, port.ranks))
            raise ValueError(f"{spec.title} needs values with {wanted} axes, gets {value}")
    outputs = spec.infer_outputs(params, inputs)
    for value in outputs:
        if prod(d for d in value.shape if isinstance(d, int)) > MAX_VALUE_ELEMENTS:
            raise ValueError(f"its output {value} is too large to compute")
    return outputs


def _weights(
    declared: tuple[WeightSpec, ...], sources: Mapping[str, StoredAs], args: _Args
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


def _recipe(weight: WeightSpec, source: StoredAs, args: _Args) -> Recipe:
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
