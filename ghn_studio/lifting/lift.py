"""Lift a raw graph to operators through their bindings, and say what could not be lifted."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field, replace
from math import prod
from typing import Any

import numpy as np

from ghn_studio.ir.graph import Node, Source
from ghn_studio.ir.tensors import BATCH, TensorSpec
from ghn_studio.lifting import evaluating, folding, patterns, rewriting
from ghn_studio.lifting.names import Hint, assign_ids, is_telling
from ghn_studio.lifting.raw import SMALL, RawGraph, RawInput, RawNode, ordered
from ghn_studio.lifting.simpler import SIMPLER
from ghn_studio.lifting.stored import Recipe, Stored, from_numbers, from_tensor, realise
from ghn_studio.lifting.values import Args, Computed, Value, infer, seen
from ghn_studio.lifting.weights import LiftedWeight, lifted_weights
from ghn_studio.ops.binding import (
    DOMAIN,
    STORED,
    OnnxMatch,
    OnnxNode,
    OtherOperatorError,
    StoredAs,
    function_params,
    require_types,
)
from ghn_studio.ops.registry import OpRegistry
from ghn_studio.ops.spec import NoParams, OpSpec, WeightSpec, check_params, full_name

#: What rounds a value to whole numbers and turns it back: left out, the value stays real.
QUANTISING = ("QuantizeLinear", "DequantizeLinear")

#: Operators whose values a range from 0 on does not cut.
NEVER_NEGATIVE = frozenset({"relu", "relu6", "sigmoid", "softmax", "hardsigmoid"})

#: Gives a stored tensor by name.
Load = Callable[[str], np.ndarray]


@dataclass(frozen=True, slots=True)
class LiftProblem:
    """A node that no operator takes."""

    node: str
    op_type: str
    reason: str


@dataclass(frozen=True, slots=True)
class Lifted:
    """The nodes that were lifted, in order, their weights by full name,
    and every node that matters and could not be lifted.

    ``computed`` are tensors that recipes name and the source does not store.
    """

    nodes: tuple[Node, ...]
    weights: Mapping[str, LiftedWeight]
    problems: tuple[LiftProblem, ...]
    computed: Mapping[str, np.ndarray] = field(default_factory=dict)


@dataclass(frozen=True, slots=True)
class Foreign:
    """A node no operator takes, as an operator that keeps it: its parameters, and which inputs it is fed."""

    op: str
    params: Any
    data: tuple[int, ...]


#: Says how a node that no operator takes is kept; raises :class:`ValueError` if it cannot be.
Keep = Callable[[RawNode, tuple[Any, ...]], Foreign]

#: The outputs of a node whose inputs are all known, None where nobody can tell; raises :class:`ValueError`.
Compute = Callable[[RawNode, Sequence[np.ndarray | None]], Sequence[np.ndarray] | None]


@dataclass(frozen=True, slots=True)
class _Use:
    """One use of an operator before it has an id; inputs refer to uses by position."""

    spec: OpSpec[Any]
    params: Any
    inputs: tuple[tuple[int, int], ...]
    hint: Hint
    weights: Mapping[str, LiftedWeight] = field(default_factory=dict)


def lift(
    raw: RawGraph, ops: OpRegistry, load: Load | None = None, keep: Keep | None = None, compute: Compute | None = None
) -> Lifted:
    """Turn every node of ``raw`` into operators of ``ops``.

    Shapes are inferred on the way, so a reader can ask them to prove that, for example, a
    reshape only flattens. Nodes behind one that was not lifted are reported only if no
    operator knows their type; nodes that lead to no output never are. Linear in the graph.

    Args:
        raw: The network.
        ops: The registry.
        load: Gives stored tensors, for constants that are computed from others; without it only
            what follows from shapes and small values is.
        keep: What to do with nodes that no operator takes; without it they are problems.
        compute: Works out constants that no rule of :mod:`~ghn_studio.lifting.evaluating` knows.

    Raises:
        ValueError: The graph itself is malformed: a cycle, a value with two producers or none.
    """
    return _Lift(patterns.join(raw), ops, load, keep, compute).run()


class _Lift:
    def __init__(
        self, raw: RawGraph, ops: OpRegistry, load: Load | None, keep: Keep | None, compute: Compute | None
    ) -> None:
        self.raw, self.ops, self.load, self.keep, self.compute = raw, ops, load, keep, compute
        self.values: dict[str, Value | None] = {name: from_tensor(tensor) for name, tensor in raw.tensors.items()}
        self.computed: dict[str, np.ndarray] = {}
        self.sources: dict[Recipe, Computed] = {}
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
            and node.outputs[0] in self.ends and isinstance(self.values.get(node.inputs[0]), Computed)
        )

    def _enter(self, entry: RawInput) -> None:
        spec = self.ops["input"]
        params = spec.params(*entry.shape[1:])
        self.uses.append(_Use(spec, params, (), Hint("input", entry.name, exact=self.raw.has_ids)))
        self.values[entry.name] = Computed(len(self.uses) - 1, 0, infer(spec, params, ())[0])

    def _leave(self, name: str, node: RawNode | None) -> None:
        value = self.values.get(name)
        if isinstance(value, Stored):
            self.problems.append(LiftProblem(name, "output", "it does not depend on the images"))
        if value is None and not self.problems:
            self.problems.append(LiftProblem(name, "output", "nothing that was understood leads to it"))
        if not isinstance(value, Computed):
            return
        if not value.is_plain:
            if [a for group in value.lying for a in group] != list(range(value.spec.rank)):
                self.problems.append(LiftProblem(name, "output", "the batch is not in front"))
                return
            # The scores of one image, without its batch: the operator's value has it still.
            value = value.as_made()
        hint = Hint("output", node.name if node is not None and node.name else name, "Identity", (), self.raw.has_ids)
        self.uses.append(_Use(self.ops["output"], NoParams(), ((value.use, value.port),), hint))

    # --- one node -------------------------------------------------------------------------

    def _visit(self, node: RawNode) -> None:
        for name in node.outputs:
            self.values[name] = None
        args = [self.values.get(name) if name else None for name in node.inputs]
        unknown = any(arg is None for arg, name in zip(args, node.inputs, strict=True) if name)
        if unknown and self._is_known(node):
            return
        mark = len(self.uses)
        results: tuple[Value | None, ...]
        try:
            if unknown:
                raise ValueError("no operator of this version reads it")
            results = self.results(node, args)
        except ValueError as error:
            results = self._kept(node, args, mark, str(error), unknown)
        except (TypeError, LookupError, AttributeError, ArithmeticError) as error:
            # Attributes of the wrong type, inputs left out: the file's fault, found by a rule's arithmetic.
            reason = f"an attribute or input is malformed ({type(error).__name__}: {error})"
            results = self._kept(node, args, mark, reason, unknown)
        self.values.update(zip(node.outputs, results, strict=False))

    def _kept(self, node: RawNode, args: Args, mark: int, reason: str, unknown: bool) -> tuple[Value | None, ...]:
        """What a node that no operator takes gives: values of a node that keeps it, or a problem."""
        self._undo(mark)
        if id(node) not in self.needed:
            return ()
        if self.keep is not None and not unknown:
            try:
                return self._foreign(node, args)
            except ValueError as error:
                reason = f"{reason}; {error}"
        self.problems.append(LiftProblem(node.label, _type_of(node), reason))
        return ()

    def _undo(self, mark: int) -> None:
        """Forget the uses that an attempt made."""
        del self.uses[mark:]
        self.sources = {recipe: value for recipe, value in self.sources.items() if value.use < mark}

    def _foreign(self, node: RawNode, args: Args) -> tuple[Computed, ...]:
        assert self.keep is not None
        known = tuple(
            _typed(realise(arg.recipe, self.load_any), arg) if isinstance(arg, Stored) and _is_concrete(arg) else
            arg.shape if isinstance(arg, Computed) and arg.is_plain else None for arg in args
        )
        if any(value is None and arg is not None for value, arg in zip(known, args, strict=True)):
            raise ValueError("its inputs are joined with the batch in a way a foreign node cannot be given")
        found = self.keep(node, known)
        data = [args[i] for i in found.data]
        inputs = tuple((d.use, d.port) for d in data if isinstance(d, Computed))
        spec = self.ops[found.op]
        self.uses.append(_Use(spec, found.params, inputs, Hint(spec.id, node.name or node.label, node.op_type)))
        outputs = tuple(TensorSpec((BATCH, *shape)) for shape in found.params.shapes)
        return tuple(Computed(len(self.uses) - 1, port, output) for port, output in enumerate(outputs))

    def _is_known(self, node: RawNode) -> bool:
        if node.domain == DOMAIN:
            return self._function(node) is not None
        return not node.domain and (
            bool(self.ops.for_onnx(node.op_type)) or folding.has_rule(node.op_type) or node.op_type in SIMPLER
            or evaluating.can_evaluate(node.op_type)
        )

    def _function(self, node: RawNode) -> OpSpec[Any] | None:
        """The operator a function of ours stands for."""
        op = node.op_type.partition("__")[0]
        return self.ops[op] if op in self.ops and self.ops[op].onnx is not None else None

    def results(self, node: RawNode, args: Args) -> tuple[Value, ...]:
        """The outputs of a node whose inputs are all known.

        Raises:
            ValueError: No operator takes it; the reasons.
        """
        if node.domain:
            return self._take(node, args)
        if node.op_type == "Shape" and isinstance(args[0], Computed):
            return (folding.fold_shape(node, args[0].shape),)
        if _changes_nothing(node, args):
            assert args[0] is not None
            if _cuts_off_negatives(node, args) and self._made_by(args[0]) not in NEVER_NEGATIVE:
                return self(node, "Relu", args[0])
            return (args[0],)
        if not any(isinstance(arg, Computed) for arg in args) or node.op_type == "CastLike":
            known = [None if isinstance(arg, Computed) else arg for arg in args]
            if folding.has_rule(node.op_type) or evaluating.can_evaluate(node.op_type):
                return (self._folded(node, known),)
            if (found := self._computed(node, known)) is not None:
                return found
        elif (viewed := rewriting.viewed(node, args, self.raw.batch, self)) is not None:
            return viewed
        return self._taken_or_simpler(node, args)

    def _made_by(self, value: Value) -> str:
        """The operator that gives a value."""
        return self.uses[value.use].spec.id if isinstance(value, Computed) else ""

    def _taken_or_simpler(self, node: RawNode, args: Args) -> tuple[Value, ...]:
        mark = len(self.uses)
        try:
            return self._take(node, args)
        except ValueError as error:
            rule = SIMPLER.get(node.op_type)
            if rule is None:
                raise
            reason = str(error)
        self._undo(mark)
        try:
            return rule(node, args, self)
        except OtherOperatorError as error:
            self._undo(mark)
            raise ValueError(reason) from error
        except (ValueError, TypeError, LookupError, AttributeError, ArithmeticError) as error:
            self._undo(mark)
            raise ValueError("; or ".join(dict.fromkeys((reason, str(error))))) from error

    def __call__(self, node: RawNode, op_type: str, *args: Value | float | None, **attrs: Any) -> tuple[Value, ...]:
        """The outputs of another node that stands for (a part of) ``node``; ``plainly`` for one that
        an operator has to take as it is."""
        values = tuple(from_numbers((a,), (), "float32") if isinstance(a, int | float) else a for a in args)
        outputs, plainly = ("",) * int(attrs.pop("outputs", 1)), attrs.pop("plainly", False)
        inputs = tuple("" if v is None else "given" for v in values)
        other = replace(node, op_type=op_type, inputs=inputs, outputs=outputs, attrs=attrs)
        return self._take(other, values) if plainly else self.results(other, values)

    # --- constants ------------------------------------------------------------------------

    def load_any(self, name: str) -> np.ndarray:
        """A tensor that a recipe names."""
        if name in self.computed:
            return self.computed[name]
        if self.load is None:
            raise ValueError("its values are not at hand")
        return self.load(name)

    def _folded(self, node: RawNode, args: list[Stored | None]) -> Stored:
        found = folding.fold(node, args)
        if found is not None:
            return self._valued(found)
        if all(arg is None or _is_concrete(arg) for arg in args) and evaluating.can_evaluate(node.op_type):
            arrays = [None if a is None else _typed(realise(a.recipe, self.load_any), a) for a in args]
            array = evaluating.evaluate(node, arrays)
            if array is not None:
                return self._stored(node.outputs[0], array)
        others = self._computed(node, args)
        if others is not None:
            return others[0]
        raise ValueError("it computes a constant in a way this version cannot follow")

    def _computed(self, node: RawNode, args: list[Stored | None]) -> tuple[Stored, ...] | None:
        """What somebody else makes of a node that only has constants; None where nobody does."""
        if self.compute is None or not all(arg is None or _is_concrete(arg) for arg in args):
            return None
        arrays = [None if a is None else _typed(realise(a.recipe, self.load_any), a) for a in args]
        found = self.compute(node, arrays)
        if found is None:
            return None
        return tuple(self._stored(name, array) for name, array in zip(node.outputs, found, strict=False))

    def _valued(self, value: Stored) -> Stored:
        """A small tensor with its values, where they can be had."""
        if value.values is not None or prod(value.shape) > SMALL or (value.recipe.tensor and self.load is None):
            return value
        array = _typed(realise(value.recipe, self.load_any), value)
        return replace(value, values=tuple(array.ravel().tolist()))

    def array(self, value: Stored) -> np.ndarray | None:
        """The elements of a stored tensor; None where some depend on the batch or cannot be had."""
        if not _is_concrete(value) or (value.recipe.tensor not in self.computed and self.load is None):
            return None
        return _typed(realise(value.recipe, self.load_any), value)

    def _stored(self, name: str, array: np.ndarray) -> Stored:
        if array.size <= SMALL:
            return from_numbers(tuple(array.ravel().tolist()), array.shape, str(array.dtype))
        name = name or f"constant {len(self.computed)}"
        self.computed[name] = array
        return Stored(array.shape, str(array.dtype), None, Recipe(name))

    def _source(self, value: Stored, node: RawNode) -> Computed:
        """A node that gives a stored tensor used as a value."""
        if value.recipe in self.sources:
            return self.sources[value.recipe]
        name = value.recipe.tensor
        stored = self.raw.tensors.get(name)
        # Files without parameters describe each by one number.
        is_learned = stored.is_learned if stored is not None else value.recipe.is_filled
        attrs = {"used_by": node.op_type, "is_learned": is_learned}
        label = name if stored is not None else node.label
        made = replace(node, op_type=STORED, inputs=("given",), outputs=("",), attrs=attrs, name=label)
        (found,) = self._take(made, (value,))
        self.sources[value.recipe] = found
        return found

    # --- operators ------------------------------------------------------------------------

    def _take(self, node: RawNode, args: Args) -> tuple[Computed, ...]:
        """Let the first operator that recognises the node take it; one that owns stored tensors before one
        that is fed them."""
        given = OnnxNode(node.op_type, node.attrs, tuple(map(seen, args)), len(node.outputs), self.raw.opset,
                         self.raw.batch)
        reasons: list[str] = []
        others: list[str] = []
        second: list[tuple[OpSpec[Any], OnnxMatch[Any]]] = []
        for spec, read in self._readers(node):
            try:
                match = read(given)
                if node.op_type != STORED and any(isinstance(args[i], Stored) for i in match.data):
                    second.append((spec, match))
                else:
                    return self._use(node, spec, match, args)
            except ValueError as error:
                (others if isinstance(error, OtherOperatorError) else reasons).append(str(error))
            except (TypeError, LookupError, AttributeError, ArithmeticError) as error:
                reasons.append(f"an attribute or input is malformed ({type(error).__name__}: {error})")
        for spec, match in second:
            try:
                return self._use(node, spec, match, args)
            except ValueError as error:
                reasons.append(str(error))
        raise ValueError("; or ".join(dict.fromkeys(reasons or others)) or "no operator of this version reads it")

    def _readers(self, node: RawNode) -> list[tuple[OpSpec[Any], Any]]:
        if node.domain == DOMAIN:
            spec = self._function(node)
            return [] if spec is None else [(spec, lambda seen: _read_function(spec, seen))]
        if node.domain:
            return []
        return [(spec, spec.onnx.reads[node.op_type]) for spec in self.ops.for_onnx(node.op_type) if spec.onnx]

    def _use(self, node: RawNode, spec: OpSpec[Any], match: OnnxMatch[Any], args: Args) -> tuple[Computed, ...]:
        params = self._bare(spec, match, args)
        require_types(params)
        wrong = check_params(params)
        if wrong:
            raise ValueError("; ".join(wrong))
        data = [self._source(arg, node) if isinstance(arg, Stored) else arg
                for arg in (args[i] for i in match.data) if arg is not None]
        specs = tuple(arg.spec for arg in data)
        outputs = infer(spec, params, specs)
        extra = [name for name in node.outputs[len(outputs):] if name in self.read]
        if extra:
            raise ValueError(f"its output '{extra[0]}' is used, {spec.title} has only {len(outputs)}")
        declared = spec.weights(params, specs)
        if node.domain and len(match.data) + len(declared) != len(args):
            raise ValueError(f"it has {len(args)} inputs, expected {len(match.data)} and {len(declared)} weights")
        given = match.weights or _after(match, declared)
        if len(declared) == len(given) == 1:
            given = dict(zip((declared[0].name,), given.values(), strict=True))  # a bare tensor has no name of its own
        weights = lifted_weights(declared, given, args)
        owned = tuple(w.recipe.tensor for w in weights.values() if w.recipe.tensor)
        bare = owned[0] if owned and not declared[0].name else ""
        hint = Hint(spec.id, node.name or node.label, node.op_type, owned, self.raw.has_ids, bare)
        self.uses.append(_Use(spec, params, tuple((d.use, d.port) for d in data), hint, weights))
        for op in match.then:
            outputs = self._follow(self.ops[op], outputs)
        return tuple(Computed(len(self.uses) - 1, port, output) for port, output in enumerate(outputs))

    def _bare(self, spec: OpSpec[Any], match: OnnxMatch[Any], args: Args) -> Any:
        """The parameters; the only tensor of a node is called like the node if the file calls it by a name
        that is not a layer's."""
        params = match.params
        if self.raw.has_ids or len(match.weights) != 1 or getattr(params, "bare", True):
            return params
        (source,) = match.weights.values()
        value = args[source.position] if source.position is not None else None
        name = value.recipe.tensor if isinstance(value, Stored) else ""
        return replace(params, bare=True) if is_telling(name) and not name.endswith(".weight") else params

    def _follow(self, spec: OpSpec[Any], inputs: tuple[TensorSpec, ...]) -> tuple[TensorSpec, ...]:
        """Add an operator that one raw node stands for besides its main one."""
        params = spec.params()
        before = self.uses[-1].hint
        hint = Hint(spec.id, f"{before.name.rpartition('/')[0]}/{spec.id}")
        self.uses.append(_Use(spec, params, ((len(self.uses) - 1, 0),), hint))
        return infer(spec, params, inputs)

    def _named(self) -> Lifted:
        ids = assign_ids([use.hint for use in self.uses])
        nodes = tuple(
            Node(ids[i], use.spec.id, use.params, tuple(Source(ids[source], port) for source, port in use.inputs))
            for i, use in enumerate(self.uses)
        )
        weights = {
            full_name(ids[i], name): weight for i, use in enumerate(self.uses) for name, weight in use.weights.items()
        }
        return Lifted(nodes, weights, tuple(self.problems), self.computed)


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


def _is_concrete(value: Stored) -> bool:
    """True if nothing in it depends on the batch."""
    return value.values is None or not any(isinstance(v, str) for v in value.values)


def _typed(array: np.ndarray, value: Stored) -> np.ndarray:
    """The array with the element type the file gives it; halves are computed as float32."""
    return array.astype("float32" if value.dtype in folding.FLOATS else value.dtype, copy=False)


def _changes_nothing(node: RawNode, args: Args) -> bool:
    """True if a node passes a value on: half precision is read as float32, so a cast between
    the two does nothing; joining or adding one value gives that value."""
    if not args or not isinstance(args[0], Computed):
        return False
    if node.op_type in QUANTISING:
        return True
    if node.op_type in ("Concat", "Sum", "Max", "Min", "Mean"):
        return len(args) == 1
    return node.op_type == "CastLike" or (node.op_type == "Cast" and node.attrs.get("to") in folding.FLOATS)


def _cuts_off_negatives(node: RawNode, args: Args) -> bool:
    """True if a node rounds to whole numbers from 0 on: quantisers leave a ReLU out where their range begins at 0."""
    if node.op_type != "QuantizeLinear":
        return False
    zero = args[2] if len(args) > 2 else None
    if zero is None:
        return True  # of type uint8
    least = {"uint8": 0, "uint16": 0, "int8": -(2**7), "int16": -(2**15)}
    if not isinstance(zero, Stored) or zero.dtype not in least or zero.values is None:
        return False
    return all(value == least[zero.dtype] for value in zero.values)


def _read_function(spec: OpSpec[Any], node: OnnxNode) -> OnnxMatch[Any]:
    """Read a function GHN Studio wrote: data inputs first, then the weights in their order."""
    count = 0
    while (given := node.given(count)) is not None and not given.is_stored:
        count += 1
    return OnnxMatch(function_params(spec.params, node.attrs), tuple(range(count)))


def _after(match: OnnxMatch[Any], declared: tuple[WeightSpec, ...]) -> dict[str, StoredAs]:
    """The weights of a function, which follow its data inputs in their declared order."""
    return {weight.name: StoredAs(len(match.data) + i) for i, weight in enumerate(declared)}
