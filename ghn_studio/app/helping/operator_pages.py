"""The manual's page about an operator, made from the registry alone. No Qt, no torch."""

from __future__ import annotations

from dataclasses import dataclass, fields
from functools import cache
from typing import Any

from ghn_studio.app.architectures import EXAMPLE, example_names, open_architecture
from ghn_studio.app.drawing.faces import value_text
from ghn_studio.app.helping.markup import slug
from ghn_studio.codegen.constructors import literal
from ghn_studio.ops.binding import DOMAIN
from ghn_studio.ops.spec import Call, Category, Example, Field, Inputs, OpSpec, Port, Primitive, Role

#: What people call the hypernetwork's node types.
PRIMITIVES = {
    Primitive.MAX_POOL: "maximum pooling", Primitive.AVG_POOL: "average pooling",
    Primitive.SEP_CONV: "separable convolution", Primitive.DIL_CONV: "dilated convolution",
    Primitive.CONV: "convolution, or any matrix", Primitive.MSA: "self-attention",
    Primitive.CSE: "channel gate", Primitive.SUM: "sum", Primitive.CONCAT: "concatenation",
    Primitive.INPUT: "input", Primitive.BIAS: "bias", Primitive.BATCH_NORM: "batch norm",
    Primitive.LAYER_NORM: "layer norm", Primitive.POS_ENC: "position embedding",
    Primitive.GLOB_AVG: "global average pooling",
}
_ROLES = {
    Role.WEIGHT: "weight", Role.TRANSPOSED: "weight, inputs first", Role.BIAS: "bias", Role.SCALE: "scale, near one",
    Role.SHIFT: "shift", Role.SLOPE: "slope, near zero", Role.POSITION: "added to every position",
    Role.TOKEN: "learned token", Role.TABLE: "learned table", Role.BUFFER: "not trained: follows from the data",
    Role.CONSTANT: "not trained: stored",
}
#: Examples shown; the contract tests run all of them.
MOST_EXAMPLES = 4


def page(spec: OpSpec[Any]) -> str:
    """The page about ``spec`` as Markdown."""
    parts = [
        f"# {spec.title}", spec.summary, f"```\n{spec.formula}\n```" if spec.formula else "", _links(spec),
        "## Parameters", parameter_table(spec), "## Shapes", _ports(spec), _examples(spec),
        _tensors(spec), "## In other words", _names(spec), "## Used in", _used_in(spec),
    ]
    return "\n\n".join(part for part in parts if part)


def documentation_url(call: Call) -> str:
    """Where PyTorch describes a layer; "" for layers of our own."""
    if not call.target.startswith("torch.nn."):
        return ""
    return f"https://pytorch.org/docs/stable/generated/{call.target}.html"


def source_url(spec: OpSpec[Any]) -> str:
    """Where the operator was published, or ""."""
    number = spec.source.removeprefix("arXiv:")
    return f"https://arxiv.org/abs/{number}" if number != spec.source else spec.source


def parameter_table(spec: OpSpec[Any]) -> str:
    """Every parameter with its default, what it may be, and what it means."""
    if not spec.form:
        return "It has none."
    rows = [f"| {line.label} | {_value(line.default)}{_unit(line)} | {line.help} *{allowed(line)}*, `{line.name}` |"
            for line in spec.form]
    return "\n".join(["| Name | Default | Meaning, *allowed*, `name in files` |", "|---|---|---|", *rows])


def allowed(line: Field) -> str:
    """The values a parameter takes, in words."""
    if line.choices:
        return " or ".join(map(str, line.choices))
    if isinstance(line.default, bool):
        return "yes or no"
    low = None if line.low is None else f"{line.low:g}"
    high = None if line.high is None else f"{line.high:g}"
    if low is not None and high is not None:
        return f"{low} to {high}"
    if low is not None:
        return f"{low} or more"
    if high is not None:
        return f"{high} or less"
    sample = line.default[0] if isinstance(line.default, tuple) and line.default else line.default
    return {int: "any whole number", float: "any number", str: "any text"}.get(type(sample), "any")


def category_address(category: Category) -> str:
    """Where the list of operators of a category is."""
    return f"operators.md#{slug(category)}"


def _unit(line: Field) -> str:
    return f" {line.unit}" if line.unit else ""


def _value(value: Any) -> str:
    return value_text(value) or "empty"


def _links(spec: OpSpec[Any]) -> str:
    first = spec.examples[0]
    found = [f"[{spec.category}]({category_address(spec.category)})"]
    address = documentation_url(spec.module(first.params, first.inputs))
    if address:
        found.append(f"[PyTorch documentation]({address})")
    if spec.source:
        found.append(f"[{spec.source}]({source_url(spec)})")
    return " · ".join(found)


def _ports(spec: OpSpec[Any]) -> str:
    if not spec.inputs:
        return "It takes no input."
    rows = [f"| {port.name} | {_takes(port)} |" for port in spec.inputs]
    return "\n".join(["| Input | Takes |", "|---|---|", *rows])


def _takes(port: Port) -> str:
    names = {1: "one number an image", 2: "vectors (channels)", 3: "sequences (2 axes)",
             4: "maps (3 axes, such as channels × height × width)", 5: "groups of positions (4 axes)"}
    what = ", ".join(names.get(rank, f"{rank - 1} axes") for rank in port.ranks) or "any shape"
    if not port.variadic:
        return what
    return f"{what}; {port.at_least} or more of them" if port.at_least else f"{what}; any number of them"


def _examples(spec: OpSpec[Any]) -> str:
    rows = [f"| {_differences(e)} | {_extents(e.inputs)} | {_extents(spec.infer_outputs(e.params, e.inputs))} |"
            for e in spec.examples[:MOST_EXAMPLES]]
    return "\n".join(["| With | In | Out |", "|---|---|---|", *rows])


def _extents(specs: Inputs) -> str:
    return ", ".join(f"`{s.extents}`" for s in specs) or "–"


def _differences(example: Example[Any]) -> str:
    changed = [f"{f.metadata['label'].lower()} {_value(getattr(example.params, f.name))}"
               for f in fields(example.params) if getattr(example.params, f.name) != f.default]
    return ", ".join(changed) or "defaults"


def _tensors(spec: OpSpec[Any]) -> str:
    first = spec.examples[0]
    weights = spec.weights(first.params, first.inputs)
    if not weights:
        return ""
    rows = [f"| {f'`{w.name}`' if w.name else '*called like the node*'} | `{'×'.join(map(str, w.shape)) or 'scalar'}` "
            f"| {_ROLES[w.role]} |" for w in weights]
    return "\n".join([
        "## Tensors", "", f"Of the first example ({_differences(first)}):", "",
        "| Name | Shape | Role |", "|---|---|---|", *rows,
    ])


def _names(spec: OpSpec[Any]) -> str:
    first = spec.examples[0]
    rows = [f"| PyTorch | `{_call_text(spec.module(first.params, first.inputs))}` |",
            f"| ONNX | {_onnx(spec)} |", f"| GHN | {_primitives(spec)} |", f"| In files | `{spec.id}` |"]
    return "\n".join(["| | |", "|---|---|", *rows])


def _call_text(call: Call) -> str:
    args = [literal(a) for a in call.args] + [f"{name}={literal(value)}" for name, value in call.kwargs]
    return f"{call.target.removeprefix('ghn_studio.').replace('torch.nn', 'nn')}({', '.join(args)})"


def _onnx(spec: OpSpec[Any]) -> str:
    if spec.onnx is None:
        return "the graph's own inputs and outputs" if spec.category is Category.TERMINAL else "no form of its own"
    first = spec.examples[0]
    form = spec.onnx.write(first.params, first.inputs)
    written = f"`{form.op_type}`" if form.op_type else f"a function `{DOMAIN}.{spec.id}` that any runtime can execute"
    others = sorted(set(spec.onnx.reads) - {form.op_type})
    return f"{written}, also read from {', '.join(f'`{name}`' for name in others)}" if others else written


def _primitives(spec: OpSpec[Any]) -> str:
    found: list[Primitive] = []
    for example in spec.examples:
        for node in spec.graph(example.params, example.inputs):
            if node.primitive not in found:
                found.append(node.primitive)
    if not found:
        return "passed over: the hypernetwork does not see it"
    return ", ".join(f"`{p}` ({PRIMITIVES[p]})" for p in found)


def _used_in(spec: OpSpec[Any]) -> str:
    users = [facts for facts in map(example_facts, example_names()) if spec.id in facts.operators]
    names = [f"[{facts.title}]({EXAMPLE}{facts.name})" for facts in users]
    return ", ".join(names) if names else "None of the shipped examples."


@dataclass(frozen=True, slots=True)
class ExampleFacts:
    """What the manual says about a shipped network."""

    name: str
    title: str
    summary: str
    operators: frozenset[str]


@cache
def example_facts(name: str) -> ExampleFacts:
    """Read a shipped network, once: some 3 ms."""
    project = open_architecture(EXAMPLE + name)
    graph = project.architecture
    return ExampleFacts(name, project.title or graph.name, project.summary,
                        frozenset(node.op for node in graph.nodes.values()))
