"""What every operator of the registry promises, checked on each of its examples.

A new operator is covered without a line here. The ONNX promises are in
``tests/onnx_io/test_onnx_contract.py``.
"""

from __future__ import annotations

import inspect
from collections.abc import Iterator, Mapping
from typing import Any

import pytest
import torch
from torch import Tensor

from ghn_studio import codegen, project
from ghn_studio.analysis import infer_shapes, require_shapes
from ghn_studio.engine.build import build
from ghn_studio.engine.execution import Plan, target_of
from ghn_studio.ir import Architecture, Node, NodeId, Source, TensorSpec
from ghn_studio.ops import REGISTRY
from ghn_studio.ops.pooling import AdaptivePoolParams
from ghn_studio.ops.shapes import IMAGE, ODD_IMAGE, TOKENS, VECTOR
from ghn_studio.ops.spec import BARE, Category, Example, NoParams, OpSpec, Primitive, check_params

BATCH = 3
ALL = [pytest.param(s, e, id=f"{s.id}-{i}") for s in REGISTRY for i, e in enumerate(s.examples)]
#: Operators whose layer GHN Studio can make; the rest is run by somebody else.
OWN = [c for c in ALL if c.values[0].category is not Category.HIDDEN]
#: Those that stand between an input and an output.
INNER = [c for c in OWN if c.values[0].category is not Category.TERMINAL]
#: Those with tensors of their own.
OWNERS = [c for c in OWN if c.values[0].weights(c.values[1].params, c.values[1].inputs)]
SPECS = [pytest.param(s, id=s.id) for s in REGISTRY]


def random_values(state: Mapping[str, Tensor], seed: int = 0) -> dict[str, Tensor]:
    """Values that make mistakes visible: nothing is zero or one, variances are positive; positions stay."""
    generator = torch.Generator().manual_seed(seed)
    found = {}
    for name, tensor in state.items():
        if not tensor.is_floating_point():
            found[name] = torch.tensor(3) if name.endswith("num_batches_tracked") else tensor
            continue
        value = torch.randn(tensor.shape, generator=generator) * 0.3
        found[name] = value.abs() + 0.5 if name.endswith("running_var") else value
    return found


def random_inputs(example: Example[Any]) -> list[Tensor]:
    """A batch for every input of an example."""
    generator = torch.Generator().manual_seed(1)
    return [torch.randn(BATCH, *x.shape[1:], generator=generator) for x in example.inputs]


def make_layer(spec: OpSpec[Any], example: Example[Any]) -> torch.nn.Module:
    """The example's layer with random values, ready to evaluate."""
    call = spec.module(example.params, example.inputs)
    layer: torch.nn.Module = target_of(call)(*call.args, **dict(call.kwargs))
    layer.load_state_dict(random_values(layer.state_dict()))
    return layer.eval()


def feeder(name: str, target: TensorSpec) -> Iterator[Node]:
    """Nodes that turn the image into a value of shape ``target``; the last is called ``name``."""
    conv, patches = REGISTRY["conv2d"].params, REGISTRY["patch_embedding"].params
    size = {2: (1, 1), 3: (1, target.shape[1])}.get(target.rank) or target.shape[2:]
    yield Node(NodeId(f"{name}_pool"), "adaptive_avg_pool", AdaptivePoolParams(size), (Source(NodeId("image")),))
    before = (Source(NodeId(f"{name}_pool")),)
    if target.rank == 3:
        yield Node(NodeId(name), "patch_embedding", patches(target.size(2), 1), before)
        return
    maps = NodeId(name if target.rank == 4 else f"{name}_maps")
    yield Node(maps, "conv2d", conv(target.size(1), (1, 1), padding=(0, 0)), before)
    if target.rank == 2:
        yield Node(NodeId(name), "flatten", NoParams(), (Source(maps),))


def surround(spec: OpSpec[Any], example: Example[Any]) -> Architecture:
    """A network around one use of the operator; several outputs are joined in reverse, so that mix-ups show."""
    nodes = [Node(NodeId("image"), "input", REGISTRY["input"].params(3, 19, 17))]
    for index, target in enumerate(example.inputs):
        nodes += feeder(f"feed.f{index}", target)
    feeds = tuple(Source(NodeId(f"feed.f{i}")) for i in range(len(example.inputs)))
    nodes.append(Node(NodeId("body.0.node"), spec.id, example.params, feeds))
    parts = [Source(NodeId("body.0.node"), port) for port in range(len(spec.outputs(example.params)))]
    if len(parts) > 1:
        nodes.append(Node(NodeId("joined"), "concat", REGISTRY["concat"].params(), tuple(reversed(parts))))
        parts = [Source(NodeId("joined"))]
    if not spec.inputs:  # a learned or constant value: it joins the images
        nodes += [*feeder("feed.maps", IMAGE)]
        nodes.append(Node(NodeId("sum"), "add", NoParams(), (Source(NodeId("feed.maps")), parts[0])))
        parts = [Source(NodeId("sum"))]
    nodes.append(Node(NodeId("out"), "output", NoParams(), (parts[0],)))
    return Architecture.build(nodes, name=f"with_{spec.id}")


def image(seed: int = 2) -> Tensor:
    """Images for :func:`surround`."""
    return torch.randn(BATCH, 3, 19, 17, generator=torch.Generator().manual_seed(seed))


@pytest.mark.parametrize(("spec", "example"), OWN)
def test_inferred_shape_is_torchs(spec: OpSpec[Any], example: Example[Any]) -> None:
    inputs = random_inputs(example)
    if spec.takes_images:
        inputs = [torch.zeros(BATCH, *spec.infer_outputs(example.params, ())[0].shape[1:])]
    result = make_layer(spec, example)(*inputs)
    results = result if isinstance(result, tuple) else (result,)
    expected = spec.infer_outputs(example.params, example.inputs)
    assert len(expected) == len(spec.outputs(example.params))
    assert [tuple(r.shape) for r in results] == [tuple(BATCH if d == "N" else d for d in x.shape) for x in expected]


@pytest.mark.parametrize(("spec", "example"), OWN)
def test_declared_weights_are_the_state_dict(spec: OpSpec[Any], example: Example[Any]) -> None:
    layer = make_layer(spec, example)
    declared = [(w.name or BARE, w.shape) for w in spec.weights(example.params, example.inputs)]
    assert declared == [(name, tuple(value.shape)) for name, value in layer.state_dict().items()]
    trainable = {w.name or BARE for w in spec.weights(example.params, example.inputs) if w.trainable}
    assert trainable == {name for name, _ in layer.named_parameters()}


@pytest.mark.parametrize(("spec", "example"), OWNERS)
def test_functional_form_equals_the_module(spec: OpSpec[Any], example: Example[Any]) -> None:
    assert spec.function is not None
    layer, inputs = make_layer(spec, example), random_inputs(example)
    call = spec.function(example.params, example.inputs)
    values = {name.replace(".", "_"): value for name, value in layer.state_dict().items()}
    with torch.no_grad():
        assert torch.equal(target_of(call)(*inputs, *call.args, **dict(call.kwargs), **values), layer(*inputs))


@pytest.mark.parametrize(("spec", "example"), INNER)
def test_generated_source_equals_the_built_network_bit_for_bit(spec: OpSpec[Any], example: Example[Any]) -> None:
    graph = surround(spec, example)
    network = build(graph).eval()
    network.load_state_dict(random_values(network.state_dict()))
    source = codegen.to_source(graph)
    scope: dict[str, Any] = {"__name__": "generated"}
    exec(compile(source, "generated", "exec"), scope)
    copy = scope[codegen.class_name(graph)]().eval()
    copy.load_state_dict(network.state_dict(), strict=True)
    with torch.no_grad():
        # The root of a negative number is no number in both.
        torch.testing.assert_close(copy(image()), network(image()), rtol=0, atol=0, equal_nan=True)
    assert "ghn_studio" not in source.replace("GHN Studio", "")
    assert max(map(len, source.splitlines())) <= 100


@pytest.mark.parametrize(("spec", "example"), INNER)
def test_functional_plan_equals_the_built_network(spec: OpSpec[Any], example: Example[Any]) -> None:
    graph = surround(spec, example)
    network, plan = build(graph).eval(), Plan(graph)
    values = random_values(network.state_dict())
    network.load_state_dict(values)
    assert {w.name: w.shape for w in plan.parameters} == {k: tuple(v.shape) for k, v in values.items()}
    with torch.no_grad():
        # Not bit for bit: torch's matmul takes another path for tensors that require no gradient.
        torch.testing.assert_close(plan.run(image(), values), network(image()), rtol=1e-5, atol=1e-6, equal_nan=True)


@pytest.mark.parametrize(("spec", "example"), ALL)
def test_project_file_gives_the_same_network_back(spec: OpSpec[Any], example: Example[Any]) -> None:
    graph = surround(spec, example) if spec.inputs else Architecture.build([Node(NodeId("a"), spec.id, example.params)])
    text = project.dumps(project.Project(graph))
    back = project.loads(text)
    assert back.architecture == graph
    assert project.dumps(back) == text


@pytest.mark.parametrize(("spec", "example"), ALL)
def test_primitive_nodes_cover_every_trainable_weight_once(spec: OpSpec[Any], example: Example[Any]) -> None:
    nodes = spec.graph(example.params, example.inputs)
    weights = {w.name: w for w in spec.weights(example.params, example.inputs)}
    covered = [name for node in nodes for name in node.parameters]
    assert sorted(covered) == sorted(w.name for w in weights.values() if w.trainable)
    for index, node in enumerate(nodes):
        if node.parameters:
            assert node.shape == weights[node.parameters[0]].shape
        assert all(-1 <= earlier < index for earlier in node.after or ()), "an edge must come from before"


@pytest.mark.parametrize(("spec", "example"), ALL)
def test_cost_and_ranges(spec: OpSpec[Any], example: Example[Any]) -> None:
    assert spec.macs(example.params, example.inputs) >= 0
    assert not check_params(example.params)
    hash(spec.module(example.params, example.inputs))
    for index, value in enumerate(example.inputs):
        port = spec.port(index)
        assert port is not None
        assert not port.ranks or value.rank in port.ranks


@pytest.mark.parametrize("spec", SPECS)
def test_suggested_parameters_fit_the_inputs(spec: OpSpec[Any]) -> None:
    wholes = [e.inputs for e in spec.examples]
    if len(spec.inputs) == 1 and not spec.inputs[0].variadic:
        ranks = spec.inputs[0].ranks
        wholes += [(x,) for x in (IMAGE, ODD_IMAGE, VECTOR, TOKENS) if not ranks or x.rank in ranks]
    own = [e.inputs for e in spec.examples]
    for inputs in wholes:
        try:
            params = spec.suggest(spec.params(), inputs)
        except ValueError:  # no parameters fit; never so for the operator's own examples
            assert inputs not in own
            continue
        assert isinstance(params, spec.params)
        assert not check_params(params)
        assert spec.infer_outputs(params, inputs)


@pytest.mark.parametrize("spec", SPECS)
def test_people_can_read_it(spec: OpSpec[Any]) -> None:
    assert spec.title
    assert spec.title == spec.title.strip()
    assert spec.summary[0].isupper() or not spec.summary[0].isalpha()
    assert spec.id == spec.id.lower()
    assert spec.id.isidentifier()
    for line in spec.form:
        assert line.label, f"{spec.id}.{line.name} has no label"
        assert not line.help or line.help.endswith("."), f"{spec.id}.{line.name}: help is a sentence"
        assert not (line.choices and line.default not in line.choices)
    assert all(port.name for port in spec.inputs)


@pytest.mark.parametrize("spec", [s for s in SPECS if s.values[0].category is not Category.HIDDEN])
def test_wrong_inputs_are_problems_with_addresses_not_crashes(spec: OpSpec[Any]) -> None:
    for value in (IMAGE, ODD_IMAGE, VECTOR, TOKENS, TensorSpec(("N", 1, 1, 1)), TensorSpec(("N", "L", 8))):
        ports = max(1, *(p.at_least for p in spec.inputs)) if spec.inputs else 0
        stub = OpSpec(
            id="stub", title="Stub", category=Category.TERMINAL, summary="Gives a fixed shape.", params=NoParams,
            inputs=(), infer=lambda p, i, value=value: value, module=spec.module, examples=(Example(NoParams(), ()),),
        )
        ops = type(REGISTRY)([*REGISTRY, stub])
        nodes = [Node(NodeId("stub"), "stub", NoParams())]
        nodes.append(Node(NodeId("node"), spec.id, spec.params(), (Source(NodeId("stub")),) * ports))
        report = infer_shapes(Architecture.build(nodes), ops)
        assert ("node" in report.outputs) != any(p.node == "node" for p in report.problems)


def test_all_fifteen_primitives_are_reachable_from_the_palette() -> None:
    found = {
        node.primitive for s in REGISTRY if s.category is not Category.HIDDEN
        for e in s.examples for node in s.graph(e.params, e.inputs)
    }
    assert found == set(Primitive)
    assert len(Primitive) == 15


def test_catalogue_is_the_documented_one() -> None:
    asked = {
        "input", "output", "conv2d", "linear", "batch_norm", "layer_norm", "group_norm", "relu", "relu6", "leaky_relu",
        "prelu", "gelu", "silu", "hardswish", "hardsigmoid", "sigmoid", "tanh", "softmax", "max_pool", "avg_pool",
        "adaptive_avg_pool", "global_avg_pool", "add", "multiply", "concat", "flatten", "dropout", "identity", "cse",
        "msa", "patch_embedding", "pos_enc", "class_token", "layer_scale",
    }
    assert asked <= {s.id for s in REGISTRY}


def test_generated_defaults_are_torchs() -> None:
    from ghn_studio.codegen.constructors import REQUIRED, SIGNATURES

    for target, known in SIGNATURES.items():
        real = inspect.signature(getattr(torch.nn, target.rpartition(".")[2]).__init__).parameters
        order = list(real)[1:]
        for index, (name, default) in enumerate(known):
            assert order[index] == name, target
            expected = real[name].default
            assert default is REQUIRED if expected is inspect.Parameter.empty else default == expected, (target, name)


def test_every_example_network_is_complete() -> None:
    for spec in REGISTRY:
        for example in spec.examples:
            if spec.category not in (Category.HIDDEN, Category.TERMINAL):
                require_shapes(surround(spec, example), REGISTRY)
