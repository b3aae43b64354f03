"""Write an architecture as ONNX, through the bindings of its operators."""

from __future__ import annotations

import json
import os
from collections.abc import Mapping, Sequence
from dataclasses import fields, replace
from math import prod
from pathlib import Path
from types import MappingProxyType
from typing import Any

import numpy as np
import onnx
from onnx import TensorProto, helper, numpy_helper, parser

from ghn_studio.analysis.shapes import ShapeReport, require_shapes
from ghn_studio.errors import OnnxConversionError
from ghn_studio.ir.graph import Architecture, Node, NodeId, Source
from ghn_studio.ir.tensors import TensorSpec
from ghn_studio.onnx_io.external import OnnxFiles, moved_out
from ghn_studio.onnx_io.files import MAX_BYTES, NEWEST_OPSET
from ghn_studio.ops import REGISTRY, OpRegistry
from ghn_studio.ops.binding import DOMAIN, OnnxConstant, OnnxForm, OnnxWeight, function_attrs, same_number, tidy
from ghn_studio.ops.spec import BARE, OpSpec, Role, WeightSpec, full_name, owner_of

PRODUCER = "ghn-studio"

#: Key of the model's metadata that holds the groups.
GROUPS_KEY = "ghn_studio.groups"
#: The text of the project that a model was made from, with repeats and bypassed nodes.
DRAWN_KEY = "ghn_studio.project"

#: Key of the model's metadata that holds which nodes share the parameters of which.
SHARES_KEY = "ghn_studio.shares"

#: Key of the model's metadata that holds settings with more digits than an attribute keeps.
EXACT_KEY = "ghn_studio.exact"

#: The bodies of our functions use inputs that older operator sets have as attributes.
OLDEST_WRITTEN_OPSET = 18

#: The operator set that is written unless another is asked for.
OPSET = 21

#: A model without its parameters takes less.
_ROOM = 2**24

Values = Mapping[str, np.ndarray]


def export_model(
    graph: Architecture, values: Values | None, *, opset: int = OPSET, ops: OpRegistry = REGISTRY,
    properties: Mapping[str, str] = MappingProxyType({}),
) -> onnx.ModelProto:
    """Return the checked ONNX model of an architecture.

    Repeated groups are written out. Node names are node ids, initialisers are named
    ``<id>.<weight>``, the batch axis is dynamic. Operators without a node of their own
    become functions of the domain ``ghn_studio`` that any runtime can execute.

    Args:
        graph: A complete network.
        values: The parameters by full name; None writes the architecture alone, its
            weights as rules (``ConstantOfShape``) that take no room.
        opset: 18 to 24.
        ops: The registry the architecture uses.
        properties: Further entries of the model's metadata.

    Raises:
        OnnxConversionError: An operator has no form in that operator set, parameters are
            missing or misshaped, or the model would pass 2 GiB. Nothing is left out silently.
        ArchitectureError: The network is not complete.
    """
    writer = _checked_writer(graph, values, opset, ops)
    if writer.stored_bytes() > MAX_BYTES - _ROOM:
        raise OnnxConversionError(
            f"the parameters of '{graph.name}' take {writer.stored_bytes() / 2**30:.1f} GiB, an ONNX file holds less "
            "than 2: keep them beside it"
        )
    model = writer.model(values, properties)
    _check(model, graph.name)
    return model


def export_files(
    graph: Architecture, values: Values, stem: str, *, opset: int = OPSET, ops: OpRegistry = REGISTRY,
    properties: Mapping[str, str] = MappingProxyType({}), most: int | None = None, batch: int | None = None,
) -> OnnxFiles:
    """Like :func:`export_model`, as bytes; parameters of more than ``most`` bytes go to a file of their own.

    That file is called after the model's (``stem``) and what is in it, so that a new one never takes the
    place of the one an older model refers to. The model names it without a folder. None stands for what one
    file of the format can hold, nearly 2 GiB. ``batch`` is the number of images the model takes, None for any.

    Raises:
        OnnxConversionError, ArchitectureError: As for :func:`export_model`.
    """
    writer = _checked_writer(graph, values, opset, ops)
    model = writer.model(values, properties)
    if batch is not None:
        for end in (*model.graph.input, *model.graph.output):
            end.type.tensor_type.shape.dim[0].dim_value = batch
    data: list[bytes] = []
    name = ""
    if writer.stored_bytes() > (MAX_BYTES - _ROOM if most is None else most):
        data, name = moved_out(model, stem)
    _check(model, graph.name)
    return OnnxFiles(model.SerializeToString(deterministic=True), name, tuple(data))


def _checked_writer(graph: Architecture, values: Values | None, opset: int, ops: OpRegistry) -> _Writer:
    """A writer of the network with its repeats written out, after everything was looked at that could be missing."""
    if not OLDEST_WRITTEN_OPSET <= opset <= NEWEST_OPSET:
        raise OnnxConversionError(
            f"operator set {opset} cannot be written, choose {OLDEST_WRITTEN_OPSET} to {NEWEST_OPSET}"
        )
    graph = graph.expanded()
    writer = _Writer(graph, require_shapes(graph, ops), ops, opset)
    writer.refuse_unwritable()
    if values is not None:
        writer.refuse_missing(values)
    return writer


def _check(model: onnx.ModelProto, name: str) -> None:
    try:
        if any(t.data_location == TensorProto.EXTERNAL for t in model.graph.initializer):
            # The checker looks for the other file, which is not written yet.
            onnx.shape_inference.infer_shapes(model, check_type=True, strict_mode=True)
        else:
            onnx.checker.check_model(model, full_check=True)
    except Exception as error:  # several types; a model we wrote ourselves has to be valid
        raise OnnxConversionError(f"the model of '{name}' does not pass the ONNX checker: {error}") from error


def write(
    path: Path | str, graph: Architecture, values: Values | None, *, opset: int = OPSET, ops: OpRegistry = REGISTRY
) -> None:
    """Write :func:`export_model` to ``path``; an interrupted or failed export leaves the old file or none.

    Equal arguments give equal bytes.

    Raises:
        OnnxConversionError: See :func:`export_model`; or the file cannot be written.
    """
    path = Path(path)
    data = export_model(graph, values, opset=opset, ops=ops).SerializeToString(deterministic=True)
    try:
        temporary = path.with_name(f".{path.name}.{os.getpid()}.tmp")
        try:
            with open(temporary, "wb") as file:
                file.write(data)
                file.flush()
                os.fsync(file.fileno())
            os.replace(temporary, path)
        finally:
            temporary.unlink(missing_ok=True)
    except OSError as error:
        raise OnnxConversionError(f"'{path}' cannot be written: {error.strerror or error}") from error


def require_forms(graph: Architecture, *, opset: int, ops: OpRegistry = REGISTRY) -> None:
    """Raise :class:`OnnxConversionError` for nodes that have no form in that operator set; it names them."""
    _checked_writer(graph, None, opset, ops)


def functions_of(graph: Architecture, *, opset: int, ops: OpRegistry = REGISTRY) -> list[onnx.FunctionProto]:
    """The functions an export of ``graph`` would carry."""
    writer = _Writer(graph, require_shapes(graph, ops), ops, opset)
    writer.nodes()
    return writer.functions


class _Writer:
    def __init__(self, graph: Architecture, shapes: ShapeReport, ops: OpRegistry, opset: int) -> None:
        self._graph, self._shapes, self._ops, self._opset = graph, shapes, ops, opset
        self._constants: list[TensorProto] = []
        self._names: dict[tuple[str, str], str] = {}
        self._variants: dict[str, int] = {}
        self.functions: list[onnx.FunctionProto] = []

    def refuse_unwritable(self) -> None:
        """Name every node that has no form in the operator set, before anything is made."""
        bad = []
        for node in self._graph.nodes.values():
            if node.op in ("input", "output"):
                continue
            form = self._form(node)
            if form is None:
                bad.append(f"'{node.id}' ({self._ops[node.op].title}) has no ONNX form")
            elif form.since > self._opset:
                bad.append(f"'{node.id}' ({self._ops[node.op].title}) needs operator set {form.since}")
        for end in ("input", "output"):
            if not any(node.op == end for node in self._graph.nodes.values()):
                bad.append(f"there is no {end} node")
        if bad:
            more = f" and {len(bad) - 10} more" if len(bad) > 10 else ""
            raise OnnxConversionError(
                f"'{self._graph.name}' cannot be written with operator set {self._opset}: {'; '.join(bad[:10])}{more}"
            )

    def refuse_missing(self, values: Values) -> None:
        """Check that every stored parameter is there and has its shape."""
        bad = []
        for node, weight in self._stored_weights():
            name = full_name(node.id, weight.name)
            found = values.get(name)
            if found is None:
                bad.append(f"'{name}' is missing")
            elif tuple(found.shape) != weight.shape:
                bad.append(f"'{name}' has shape {list(found.shape)}, expected {list(weight.shape)}")
        if bad:
            more = f" and {len(bad) - 10} more" if len(bad) > 10 else ""
            raise OnnxConversionError(f"parameters do not fit '{self._graph.name}': {'; '.join(bad[:10])}{more}")

    def stored_bytes(self) -> int:
        """What the parameters take."""
        return sum(np.dtype(w.dtype).itemsize * prod(w.shape) for _, w in self._stored_weights())

    def model(self, values: Values | None, more: Mapping[str, str]) -> onnx.ModelProto:
        nodes = self.nodes()
        weights, rules = self._weights(values)
        ends = {op: [n for n in self._graph.nodes.values() if n.op == op] for op in ("input", "output")}
        graph = helper.make_graph(
            [*rules, *nodes], self._graph.name or "untitled",
            [_value_info(n.id, self._shapes.outputs[n.id][0]) for n in ends["input"]],
            [_value_info(n.id, self._shapes.outputs[n.id][0]) for n in ends["output"]],
            [*weights, *self._constants],
        )
        imports = [helper.make_opsetid("", self._opset)]
        if self.functions:
            imports.append(helper.make_opsetid(DOMAIN, 1))
        model = helper.make_model(
            graph, opset_imports=imports, producer_name=PRODUCER, functions=self.functions,
            ir_version=max(8, helper.find_min_ir_version_for([helper.make_opsetid("", self._opset)])),
        )
        properties = dict(more)
        if self._graph.groups:
            properties[GROUPS_KEY] = json.dumps([[g.path, g.title, g.repeat] for g in self._graph.groups.values()])
        shares = {n.id: n.shares for n in self._graph.nodes.values() if n.shares is not None}
        if shares:
            properties[SHARES_KEY] = json.dumps(shares)
        exact = _finer_than_attributes(self._graph)
        if exact:
            properties[EXACT_KEY] = json.dumps(exact)
        if properties:
            helper.set_model_props(model, properties)
        return model

    def nodes(self) -> list[onnx.NodeProto]:
        """Every node in order; collects functions and constants on the way."""
        return [self._node(node) for node in self._graph.topological() if node.op != "input"]

    def _form(self, node: Node) -> OnnxForm | None:
        binding = self._ops[node.op].onnx
        try:
            return None if binding is None else binding.write(node.params, self._shapes.inputs[node.id])
        except ValueError as error:
            raise OnnxConversionError(f"'{node.id}' cannot be written as ONNX: {error}") from error

    def _node(self, node: Node) -> onnx.NodeProto:
        data = [self._value(source) for source in node.sources]
        outputs = [self._value(Source(node.id, port)) for port in range(len(self._shapes.outputs[node.id]))]
        if node.op == "output":
            return helper.make_node("Identity", data, outputs, node.id)
        form = self._form(node)
        assert form is not None
        spec, inputs = self._ops[node.op], self._inputs(node, form, data)
        if form.body:
            name = self._function(spec, node, form)
            return helper.make_node(name, inputs, outputs, node.id, domain=DOMAIN, **function_attrs(node.params))
        return helper.make_node(form.op_type, inputs, outputs, node.id, **dict(form.attrs))

    def _value(self, source: Source) -> str:
        several = len(self._shapes.outputs[source.node]) > 1
        return f"{source.node}:{source.port}" if several else source.node

    def _inputs(self, node: Node, form: OnnxForm, data: list[str]) -> list[str]:
        if form.operands is None:
            return [*data, *(_initialiser(node, w.name) for w in self._declared(node))]
        names = []
        for index, operand in enumerate(form.operands):
            if isinstance(operand, int):
                names.append(data[operand])
            elif isinstance(operand, OnnxWeight):
                names.append(_initialiser(node, operand.name))
            else:
                names.append(self._constant(f"{node.id}:in{index}", operand))
        return names

    def _constant(self, name: str, constant: OnnxConstant) -> str:
        array = np.asarray(constant.values, constant.dtype)
        self._constants.append(numpy_helper.from_array(array.reshape(()) if constant.scalar else array, name))
        return name

    def _function(self, spec: OpSpec[Any], node: Node, form: OnnxForm) -> str:
        """The name of the function with this body; uses with equal bodies share one."""
        specs = self._shapes.inputs[node.id]
        inputs = ["x"] if len(specs) == 1 else [f"x{i}" for i in range(len(specs))]
        inputs += [w.keyword for w in self._declared(node)]
        count = len(self._shapes.outputs[node.id])
        outputs = ["y"] if count == 1 else [f"y{i}" for i in range(count)]
        body = f"({', '.join(inputs)}) => ({', '.join(outputs)}) {{\n{form.body}\n}}"
        known = self._names.get((spec.id, body))
        if known is not None:
            return known
        number = self._variants[spec.id] = self._variants.get(spec.id, 0) + 1
        name = self._names[spec.id, body] = spec.id if number == 1 else f"{spec.id}__{number}"
        attrs = ", ".join(f.name for f in fields(spec.params))
        self.functions.append(parser.parse_function(
            f'<domain: "{DOMAIN}", opset_import: ["" : {self._opset}]>\n{name} {f"<{attrs}> " if attrs else ""}{body}'
        ))
        return name

    def _declared(self, node: Node) -> tuple[WeightSpec, ...]:
        return self._ops[node.op].weights(node.params, self._shapes.inputs[node.id])

    def _stored_weights(self) -> list[tuple[Node, WeightSpec]]:
        """The parameters ONNX keeps, each under its owner; it does not count batches."""
        found = []
        for node in (n for n in self._graph.topological() if n.shares is None):
            stored = _kept(self._form(node)) if node.op not in ("input", "output") else None
            found += [(node, w) for w in self._declared(node) if stored is None or w.name in stored]
        return found

    def _weights(self, values: Values | None) -> tuple[list[TensorProto], list[onnx.NodeProto]]:
        """The parameters as initialisers, or as nodes that fill their shape with one number."""
        tensors, rules = [], []
        for node, weight in self._stored_weights():
            name, shape = _initialiser(node, weight.name), _stored_shape(self._form(node), weight)
            if values is not None:
                found = np.asarray(values[full_name(node.id, weight.name)], weight.dtype)
                array = np.ascontiguousarray(found.reshape(shape))
                tensors.append(numpy_helper.from_array(array, name))
                continue
            tensors.append(numpy_helper.from_array(np.asarray(shape, np.int64), f"{name}:shape"))
            kind = helper.np_dtype_to_tensor_dtype(np.dtype(weight.dtype))
            fill = helper.make_tensor("value", kind, [1], [_placeholder(weight)])
            rules.append(helper.make_node("ConstantOfShape", [f"{name}:shape"], [name], f"{name}:fill", value=fill))
        return tensors, rules


def with_exact_settings(model: onnx.ModelProto, nodes: Sequence[Node]) -> tuple[Node, ...]:
    """Nodes of a model of ours with the digits that its attributes dropped.

    A setting that somebody changed in the file since, and one that does not exist, stays as it was read.

    Raises:
        ValueError: The table of settings is damaged.
    """
    text = next((p.value for p in model.metadata_props if p.key == EXACT_KEY), None)
    if text is None or model.producer_name != PRODUCER:
        return tuple(nodes)
    table = json.loads(text)
    if not isinstance(table, dict) or not all(isinstance(found, dict) for found in table.values()):
        raise ValueError("the table of exact settings is damaged")
    return tuple(replace(n, params=_exact(n.params, table[n.id])) if n.id in table else n for n in nodes)


def _exact(params: Any, found: Mapping[str, Any]) -> Any:
    fits = {
        name: value for name, value in found.items()
        if isinstance(value, float) and isinstance(getattr(params, name, None), float)
        and same_number(getattr(params, name), value)
    }
    return replace(params, **fits)


def _finer_than_attributes(graph: Architecture) -> dict[str, dict[str, float]]:
    """The settings that float32, which attributes are, does not bring back."""
    found = {
        node.id: {f.name: value for f in fields(node.params)
                  if isinstance(value := getattr(node.params, f.name), float)
                  and tidy(float(np.float32(value))) != value}
        for node in graph.nodes.values()
    }
    return {node_id: settings for node_id, settings in found.items() if settings}


def _initialiser(node: Node, weight_name: str) -> str:
    """A parameter's name in the file. Values are called like their nodes, so a bare parameter cannot be."""
    return full_name(owner_of(node), weight_name or BARE)


def _kept(form: OnnxForm | None) -> set[str] | None:
    """The names of the parameters a form stores; None for all."""
    if form is None or form.operands is None:
        return None
    return {operand.name for operand in form.operands if isinstance(operand, OnnxWeight)}


def _stored_shape(form: OnnxForm | None, weight: WeightSpec) -> Sequence[int]:
    for operand in (form.operands or ()) if form is not None else ():
        if isinstance(operand, OnnxWeight) and operand.name == weight.name and operand.shape is not None:
            return operand.shape
    return weight.shape


def _placeholder(weight: WeightSpec) -> float:
    """A number that lets a network without parameters run: no layer divides by zero or passes nothing."""
    if weight.role is Role.SCALE or weight.name.endswith("running_var"):
        return 1
    return 0.01 if weight.role in (Role.WEIGHT, Role.TRANSPOSED) else 0


def _value_info(name: NodeId, spec: TensorSpec) -> onnx.ValueInfoProto:
    return helper.make_tensor_value_info(name, TensorProto.FLOAT, list(spec.shape))
