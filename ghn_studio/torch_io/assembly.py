"""From a recorded fx graph to the nodes of an architecture."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field, replace
from typing import Any

from torch import Tensor, fx, nn

from ghn_studio.errors import TorchConversionError
from ghn_studio.ir.graph import Node, NodeId, Source
from ghn_studio.ir.tensors import TensorSpec
from ghn_studio.ops.registry import OpRegistry
from ghn_studio.ops.spec import NoParams, WeightSpec, full_name
from ghn_studio.ops.torch_binding import TorchNode, TorchValue
from ghn_studio.torch_io.calls import RESHAPES, function_name, is_pick, leaves, meta_in, owner_path, results_of
from ghn_studio.torch_io.names import Names, renamed
from ghn_studio.torch_io.recognise import Found, recognise_function, recognise_layer
from ghn_studio.torch_io.simpler import simpler
from ghn_studio.torch_io.symbolic import FOUND, SCOPE, VALUE, attribute
from ghn_studio.torch_io.twins import tensors_in
from ghn_studio.torch_io.views import layer_names, layer_view, own_tensors, public_name, spec_of, view_of

#: Constants of the code with at most so many values become part of the network.
MOST_VALUES = 4096


@dataclass(frozen=True, slots=True)
class Assembled:
    """The nodes in order, and the tensors they own: full name in the architecture -> in the module."""

    nodes: tuple[Node, ...]
    owned: Mapping[str, str]


@dataclass(slots=True)
class Assembly:
    """Turns fx nodes into operators, one after the other.

    ``stored`` are the parameters and buffers of the network by name, ``data`` the originals
    with their values where there are any.
    """

    ops: OpRegistry
    root: nn.Module
    stored: Mapping[str, Tensor]
    data: Mapping[str, Tensor]
    names: Names
    nodes: dict[NodeId, Node] = field(default_factory=dict)
    values: dict[fx.Node, Any] = field(default_factory=dict)  # TorchValue, tuples of them, or plain
    sources: list[Source | None] = field(default_factory=list)  # by TorchValue.ref
    refused: dict[str, str] = field(default_factory=dict)  # layer that was looked into -> why
    held: dict[str, TorchValue] = field(default_factory=dict)  # stored tensors that nodes give
    computed: list[TorchValue] = field(default_factory=list)
    owners: dict[str, NodeId] = field(default_factory=dict)  # path in the module -> node that owns its tensors
    owned: dict[tuple[NodeId, str], str] = field(default_factory=dict)  # node and weight -> tensor of the module

    # --- what the tracer asks -------------------------------------------------------------

    def takes(self, module: nn.Module, node: fx.Node) -> tuple[Found, Any] | None:
        """What a layer is read as and gives, or None: then what is inside it is recorded instead."""
        try:
            view = view_of(public_name(type(module)), node, self._shown, (), module)
            found = recognise_layer(view, layer_names(type(module)), self.ops)
            return found, results_of(found)
        except ValueError as error:
            self.refused[str(node.target).partition(".")[2]] = str(error)
            return None

    def may_take(self, module: nn.Module) -> bool:
        """True if an operator reads layers of this class."""
        return any(self.ops.for_layer(name) for name in layer_names(type(module)))

    # --- assembling -----------------------------------------------------------------------

    def add(self, node: fx.Node) -> None:
        """Add what one fx node stands for, unless it was needed before and is there.

        Raises:
            TorchConversionError: No operator expresses it.
        """
        if node in self.values:
            return
        if node.op == "placeholder":
            self._enter(node)
        elif node.op == "get_attr":
            self.values[node] = self._stored_value(str(node.target).removeprefix("network."), node)
        elif node.op == "output":
            self._leave(node)
        elif node.op == "call_module":
            self._place(node, node.meta[FOUND], path=str(node.target).partition(".")[2])
        elif is_pick(node) and isinstance(several := self._argument(node.args[0]), tuple):
            self.values[node] = several[int(str(node.args[1]))]
        elif node.users:
            self._call(node)

    def hang_unused(self, network: nn.Module) -> None:
        """Add layers the result does not depend on, fed by the last value that fits them.

        They do not run, but a hypernetwork can predict them. What fits nothing stays out.
        """
        for path, module in network.named_modules():
            prefix = f"{path}."
            names = [prefix + name for name in own_tensors(module)]
            used = set(self.owned.values())
            if path and names and self.may_take(module) and not used.intersection(names):
                self._hang(path, module)

    def _hang(self, path: str, module: nn.Module) -> None:
        view = layer_view(public_name(type(module)), module)
        for value in reversed({v.shape: v for v in self.computed}.values()):
            try:
                call = replace(view, args=(value, value, value))
                found = recognise_layer(call, layer_names(type(module)), self.ops)
            except ValueError:
                continue
            self._placed(found, "", path)
            return

    def result(self) -> Assembled:
        """Everything that was added."""
        moved = self.names.settled(self.nodes.values())
        nodes = tuple(renamed(node, moved) for node in self.nodes.values())
        owned = {full_name(moved.get(node, node), weight): name for (node, weight), name in self.owned.items()}
        return Assembled(nodes, owned)

    def _enter(self, node: fx.Node) -> None:
        spec = spec_of(node.meta[VALUE])
        extents = [*(d for d in spec.shape[1:] if isinstance(d, int)), 1, 1][:3]
        node_id = self._append("input", "input", self.ops["input"].params(*extents), ())
        image = TensorSpec((spec.shape[0], *extents))
        self.values[node] = self._reshaped_entry(spec, self._computed(node_id, 0, image))

    def _reshaped_entry(self, spec: TensorSpec, image: TorchValue) -> TorchValue:
        """The input of a network that takes vectors or sequences: images of one row or pixel."""
        if spec.rank == 4:
            return image
        call = TorchNode("reshape", (image, spec.shape), results=(spec,))
        found = recognise_function(call, self.ops)
        return self._placed(found, "input", "")[0]

    def _leave(self, node: fx.Node) -> None:
        results = list(leaves(self._argument(node.args[0])))
        if not results:
            raise TorchConversionError("the module returns no tensor")
        for value in results:
            if not isinstance(value, TorchValue) or value.is_stored:
                raise TorchConversionError("the module returns something that does not depend on its input")
            self._append("output", "output", NoParams(), (self._source(value),))

    def _call(self, node: fx.Node) -> None:
        kind = function_name(node)
        view = view_of(kind, node, self._shown, node.meta[VALUE])
        if (alike := self._alike(view)) is not None:
            self.values[node] = alike
            return
        try:
            found = recognise_function(view, self.ops)
        except ValueError as error:
            self.values[node] = self._simpler(node, view, str(error))
        else:
            self._place(node, found, path="")

    def _alike(self, view: TorchNode) -> TorchValue | None:
        """A stored tensor in another shape: repeated for every image, or with axes one long added or removed."""
        value = view.args[0] if view.args else None
        if not isinstance(value, TorchValue) or not value.is_stored or len(view.results) != 1:
            return None
        shape = view.results[0].shape
        if view.kind in ("expand", "repeat", "expand_as"):
            alike = value.shape[:1] == (1,) and shape[1:] == value.shape[1:]
        else:
            alike = view.kind in RESHAPES and [d for d in shape if d != 1] == [d for d in value.shape if d != 1]
        if not alike:
            return None
        self.sources.append(None)
        return replace(value, shape=shape, ref=len(self.sources) - 1)

    def _simpler(self, node: fx.Node, view: TorchNode, reason: str) -> Any:
        """The value of a call that no operator expresses by itself."""
        scope = node.meta.get(SCOPE, "")

        def say(kind: str, *args: Any) -> Any:
            found = recognise_function(TorchNode(kind, args), self.ops)
            return found.match.same or self._placed(found, scope, "", kind)[0]

        try:
            return simpler(view, say)
        except ValueError as error:
            reasons = "; or ".join(dict.fromkeys((reason, str(error))))
            raise TorchConversionError(self._complaint(node, view.kind, reasons)) from error

    def _complaint(self, node: fx.Node, kind: str, reason: str) -> str:
        scope = node.meta.get(SCOPE, "")
        module = attribute(self.root, f"network.{scope}" if scope else "network")
        shape = ", ".join(str(spec_of(t)) for part in node.args for t in tensors_in(meta_in(part)))
        where = f"'{scope}' ({public_name(type(module))})" if scope else public_name(type(module))
        inside = f" (the layer is no operator either: {self.refused[scope]})" if scope in self.refused else ""
        return f"{where} calls {kind} on {shape or 'no tensor'}, which no operator expresses: {reason}{inside}"

    def _place(self, node: fx.Node, found: Found, path: str) -> None:
        if found.match.same is not None:
            self.values[node] = found.match.same
            return
        outputs = self._placed(found, node.meta.get(SCOPE, ""), path, path or function_name(node))
        meta = node.meta[VALUE]
        several = isinstance(meta, tuple | list)
        self.values[node] = (*outputs, *[None] * (len(meta) - len(outputs))) if several else outputs[0]

    def _placed(self, found: Found, scope: str, path: str, kind: str = "") -> list[TorchValue]:
        """Add the node of an operator, called as ``kind``, and those that follow it; its outputs."""
        inputs = tuple(self._source(value, kind) for value in found.match.data)
        node_id, shares = self._identity(found, scope, path)
        self._append(node_id, found.spec.id, found.params, inputs, shares, is_id=True)
        outputs = found.outputs
        for op in found.match.then:
            spec = self.ops[op]
            outputs = spec.infer_outputs(spec.params(), outputs)
            node_id = self._append(f"{scope}.{op}" if scope else op, op, spec.params(), (Source(node_id),))
        return [self._computed(node_id, port, spec) for port, spec in enumerate(outputs)]

    def _identity(self, found: Found, scope: str, path: str) -> tuple[NodeId, NodeId | None]:
        """The id of a new node, and the node whose tensors it shares."""
        if not found.weights:
            wanted = path or (f"{scope}.{found.spec.id}" if scope else found.spec.id)
            return self.names.fresh(wanted, is_path=bool(path)), None
        path = path or (self._owner_path(found) if found.match.weights else "")
        if not path:
            raise TorchConversionError(
                f"the module is a single layer ({found.spec.title}) without a name; wrap it in torch.nn.Sequential"
            )
        if path in self.owners:
            return self.names.fresh(f"{path}_again"), self.owners[path]
        node_id = self.owners[path] = self.names.fresh(path, is_path=True)
        for weight in found.weights:
            if (name := full_name(path, weight.name)) in self.stored:
                self.owned[node_id, weight.name] = name
        return node_id, None

    def _owner_path(self, found: Found) -> str:
        """The path under which the state dict holds a function's weights by the operator's names for them.

        Raises:
            TorchConversionError: They are held under other names.
        """
        paths = set()
        for weight in found.weights:
            given = found.match.weights.get(weight.name)
            if given is not None:
                paths.add(owner_path(given.name, weight))
        path = next(iter(paths)) if len(paths) == 1 else None
        if path is None or any(not self._holds(full_name(path, w.name), w) for w in found.weights):
            names = ", ".join(f"'{v.name}'" for v in found.match.weights.values())
            raise TorchConversionError(
                f"{found.spec.title} uses the parameters {names}, which are no {found.spec.title} of their own: "
                f"put them into one layer with {', '.join(w.name for w in found.weights)}"
            )
        return path

    def _holds(self, name: str, weight: WeightSpec) -> bool:
        if name not in self.stored:
            return weight.initial is not None
        return tuple(self.stored[name].shape) == weight.shape

    # --- values ---------------------------------------------------------------------------

    def _shown(self, node: fx.Node) -> Any:
        """What a reader sees of the value of an fx node; layers are asked about before they are added."""
        self.add(node)
        return self.values[node]

    def _argument(self, value: Any) -> Any:
        return fx.map_arg(value, self._shown) if value is not None else None

    def _computed(self, node_id: NodeId, port: int, spec: TensorSpec) -> TorchValue:
        self.sources.append(Source(node_id, port))
        self.computed.append(TorchValue(spec.shape, len(self.sources) - 1))
        return self.computed[-1]

    def _stored_value(self, name: str, node: fx.Node) -> TorchValue | float:
        """A parameter, a buffer, or a constant that the code makes; one number as that number."""
        known = self.stored.get(name)
        tensor = self.data.get(name) if known is not None else attribute(self.root, str(node.target))
        values = None
        if known is None and tensor is not None and tensor.device.type != "meta" and tensor.numel() <= MOST_VALUES:
            values = tuple(float(v) for v in tensor.flatten().tolist())
            if tensor.dim() == 0:
                return values[0]
        self.sources.append(None)
        is_learned = isinstance(known, nn.Parameter)
        shape = tuple(node.meta[VALUE].shape)
        return TorchValue(shape, len(self.sources) - 1, name, shape, is_learned, values)

    def _source(self, value: TorchValue, used_by: str = "") -> Source:
        """Where a data input comes from; a stored tensor used as one becomes a node."""
        source = self.sources[value.ref]
        if source is None:
            source = self.sources[value.ref] = self._stored_source(value, used_by)
        assert source is not None
        return source

    def _stored_source(self, value: TorchValue, used_by: str) -> Source | None:
        """A node that gives a stored tensor, in the shape the code uses it in."""
        held = replace(value, shape=value.held)
        call = TorchNode("stored" if value.name in self.stored else "given", (held,), {"used_by": used_by})
        try:
            found = recognise_function(call, self.ops)
        except ValueError as error:
            raise TorchConversionError(f"'{value.name}' is used as a value: {error}") from error
        given = self.held.get(value.name) or self._placed(found, "", "")[0]
        self.held[value.name] = given
        # Repeated for every image by the code: operators do that by themselves.
        shape = tuple(1 if isinstance(d, str) else d for d in value.shape)
        if shape == value.held:
            return self.sources[given.ref]
        spec = TensorSpec(shape)
        reshape = recognise_function(TorchNode("reshape", (given, shape), results=(spec,)), self.ops)
        return self.sources[self._placed(reshape, value.name.rpartition(".")[0], "")[0].ref]

    def _append(self, wanted: str, op: str, params: Any, inputs: tuple[Source, ...], shares: NodeId | None = None,
                *, is_id: bool = False) -> NodeId:
        node_id = NodeId(wanted) if is_id else self.names.fresh(wanted)
        self.nodes[node_id] = Node(node_id, op, params, inputs, shares)
        return node_id
