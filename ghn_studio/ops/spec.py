"""What an operator *is*: data plus a few pure functions.

An :class:`OpSpec` imports neither torch nor onnx nor Qt. It says what should be built;
the rooms above interpret it: ``engine`` builds and runs it, ``codegen`` prints it,
``onnx_io`` reads and writes it, ``ghn`` encodes it, ``gui`` draws it.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import MISSING, dataclass, field, fields, is_dataclass
from enum import StrEnum
from functools import cache, cached_property, lru_cache
from typing import Any, Generic, TypeVar

from ghn_studio.ir.graph import Node, NodeId
from ghn_studio.ir.tensors import TensorSpec
from ghn_studio.ops.binding import OnnxBinding
from ghn_studio.ops.reach import POINT, Reach
from ghn_studio.ops.torch_binding import TorchBinding

P = TypeVar("P")
Inputs = Sequence[TensorSpec]

#: What the layer itself, and its function, call a bare parameter.
BARE = "weight"

#: Height and width, in that order.
Pair = tuple[int, int]


class Primitive(StrEnum):
    """Node types a graph hypernetwork knows: the 15 of DeepNets-1M, in the order of the
    official embedding rows (Knyazev et al., 2021, table 1; ``ppuda`` genotypes)."""

    MAX_POOL = "max_pool"
    AVG_POOL = "avg_pool"
    SEP_CONV = "sep_conv"
    DIL_CONV = "dil_conv"
    CONV = "conv"
    MSA = "msa"
    CSE = "cse"
    SUM = "sum"
    CONCAT = "concat"
    INPUT = "input"
    BIAS = "bias"
    BATCH_NORM = "bn"
    LAYER_NORM = "ln"
    POS_ENC = "pos_enc"
    GLOB_AVG = "glob_avg"


class Role(StrEnum):
    """What a tensor is for. It decides how a GHN decodes and scales it and how a random
    start fills it."""

    WEIGHT = "weight"  #: multiplies the input; two axes or more, outputs first
    TRANSPOSED = "transposed"  #: the same with inputs first, as in transposed convolutions
    BIAS = "bias"  #: added, one axis
    SCALE = "scale"  #: multiplies channel by channel, near one (norms, layer scale)
    SHIFT = "shift"  #: the bias of a norm, decoded together with its scale
    SLOPE = "slope"  #: of a parametric ReLU, near zero
    POSITION = "position"  #: added to every position of a map or token sequence
    TOKEN = "token"  #: a learned token, ``(1, 1, channels)``
    TABLE = "table"  #: learned values looked up by position or used as they are; any shape, the last axis channels
    BUFFER = "buffer"  #: not trained: running statistics and tables that follow from the parameters
    CONSTANT = "constant"  #: not trained and stored: without it the network cannot run

    @property
    def trainable(self) -> bool:
        """False for what no optimiser and no GHN touches."""
        return self not in (Role.BUFFER, Role.CONSTANT)


class Category(StrEnum):
    """Palette sections, in their order there; each has one colour in the window."""

    TERMINAL = "Input and output"
    CONVOLUTION = "Convolution"
    LINEAR = "Linear"
    NORMALISATION = "Normalisation"
    ACTIVATION = "Activation"
    POOLING = "Pooling"
    MERGE = "Merge and split"
    RESHAPE = "Shape and regularisation"
    ATTENTION = "Attention and tokens"
    TENSOR = "Tensor"  #: arithmetic and rearrangements that imported networks need; folded away at first
    HIDDEN = "Hidden"


class Measure(StrEnum):
    """What a parameter counts, where other layers have to fit it: edits that mend or widen a network set it."""

    WIDTH = "width"  #: channels or features that the operator gives
    INNER = "inner"  #: channels inside the operator; 0 lets it decide
    PARTS = "parts"  #: divides the channels: groups, heads
    SIZE = "size"  #: height and width that the operator gives
    BORDER = "border"  #: added before and after the last axis, then the last but one


def param(
    default: Any,
    *,
    label: str,
    unit: str = "",
    low: float | None = None,
    high: float | None = None,
    choices: tuple[Any, ...] = (),
    help: str = "",
    key: bool = False,
    measure: Measure | None = None,
) -> Any:
    """Declare one parameter: its default, how a person edits it, what values it takes.

    ``low`` and ``high`` are inclusive and hold for each half of a pair. ``key``
    parameters are shown on the node itself. ``measure`` marks numbers of channels.
    """
    meta = {
        "label": label, "unit": unit, "low": low, "high": high, "choices": choices, "help": help, "key": key,
        "measure": measure,
    }
    return field(default=default, metadata=meta)


@dataclass(frozen=True, slots=True)
class NoParams:
    """The parameters of an operator that has none."""


@dataclass(frozen=True, slots=True)
class Port:
    """A named input.

    ``ranks`` lists the numbers of axes it accepts, empty for any. A ``variadic`` port is
    the last one and stands for ``at_least`` or more inputs of the same kind.
    """

    name: str
    ranks: tuple[int, ...] = ()
    variadic: bool = False
    at_least: int = 1


@dataclass(frozen=True, slots=True)
class WeightSpec:
    """One tensor an operator owns, named as in its module's ``state_dict``.

    Attributes:
        name: Empty for a bare parameter: it is then the only tensor of its node and is called
            like the node (``class_token``, not ``class_token.weight``).
        initial: The call that makes its first value, where that is no random number: index
            tables, constants. Buffers that are not given are made by it.
        fan_in: Inputs that are summed for one output, where that is not the product of all
            axes but the first.
    """

    name: str
    shape: tuple[int, ...]
    role: Role
    primitive: Primitive | None = None
    dtype: str = "float32"
    initial: Call | None = None
    fan_in: int | None = None

    @property
    def trainable(self) -> bool:
        """False for what no optimiser and no GHN touches."""
        return self.role.trainable

    @property
    def keyword(self) -> str:
        """Its name as an argument of the operator's function: ``fc1.weight`` -> ``fc1_weight``."""
        return self.name.replace(".", "_") or BARE


def full_name(node_id: str, weight_name: str) -> str:
    """The name of a node's tensor in state dicts and files; that of the node for a bare parameter."""
    return f"{node_id}.{weight_name}" if weight_name else node_id


def owner_of(node: Node) -> NodeId:
    """The node whose parameters this use takes: itself, or the one it shares them with."""
    return node.shares if node.shares is not None else node.id


@dataclass(frozen=True, slots=True)
class PrimitiveNode:
    """One node of the hypernetwork's graph inside an operator.

    ``parameters`` names the tensors decoded from it (a norm's scale and shift share one
    node). ``shape`` is the shape the node is embedded with: that of its first
    parameter, ``(1, 1, kh, kw)`` for pooling windows, None for the rest. ``after`` lists
    positions in the operator's own list, -1 being the operator's inputs; None means the
    node before it.
    """

    primitive: Primitive
    shape: tuple[int, ...] | None = None
    parameters: tuple[str, ...] = ()
    after: tuple[int, ...] | None = None


@dataclass(frozen=True, slots=True)
class Call:
    """A constructor or function call as data: evaluated by ``engine``, printed by ``codegen``.

    Hashable, so equal calls can share what they make. ``kwargs`` keeps its order.
    """

    target: str
    args: tuple[Any, ...] = ()
    kwargs: tuple[tuple[str, Any], ...] = ()

    @property
    def short_name(self) -> str:
        """The last part of the target: ``Conv2d``."""
        return self.target.rpartition(".")[2]


def call(target: str, *args: Any, **kwargs: Any) -> Call:
    """Write a :class:`Call` the way the call itself is written."""
    return Call(target, args, tuple(kwargs.items()))


@dataclass(frozen=True, slots=True)
class Example(Generic[P]):
    """A small valid use; the contract tests and the manual run every one."""

    params: P
    inputs: tuple[TensorSpec, ...]


@dataclass(frozen=True, slots=True)
class Field:
    """One line of a parameter form."""

    name: str
    default: Any
    label: str
    unit: str
    low: float | None
    high: float | None
    choices: tuple[Any, ...]
    help: str
    key: bool
    measure: Measure | None = None


@cache
def form_of(params: type[Any]) -> tuple[Field, ...]:
    """Read the form of a dataclass whose fields were declared with :func:`param`."""
    assert is_dataclass(params)
    return tuple(
        Field(f.name, None if f.default is MISSING else f.default, **f.metadata) for f in fields(params)
    )


def _one_output(params: Any) -> tuple[str, ...]:
    return ("out",)


def _no_weights(params: Any, inputs: Inputs) -> tuple[WeightSpec, ...]:
    return ()


def _no_macs(params: Any, inputs: Inputs) -> int:
    return 0


# Compared by identity: the registry holds each spec once.
@dataclass(frozen=True, kw_only=True, eq=False)
class OpSpec(Generic[P]):
    """The single source of truth about one operator; see ``ops/README.md``.

    Every function is pure and total on shapes that pass the port ranks; what does not
    fit raises :class:`ValueError` with a sentence a person can act on.

    Attributes:
        formula: What is computed, in one line of plain text: x in, y out, without the batch axis.
        source: Where it was published: ``arXiv:1502.03167``, an address, or nothing.
        infer: The outputs' shapes, one spec or a tuple of them.
        module: The constructor call of the layer, ``torch.nn`` or ``ghn_studio.blocks``.
        function: The same computation without a module, for operators that own
            parameters. It takes the data inputs by position and the parameters by
            keyword, dots written as underscores (``fc1.weight`` -> ``fc1_weight``; a bare
            one is ``weight``).
        weights: Every tensor in the module's ``state_dict``, in its order.
        primitives: The hypernetwork's nodes; by default one per weight (a norm's shift
            joins its scale) or one of type ``primitive`` where there is no weight.
        macs: Multiply-accumulates for one image.
        reach: Which positions of the input a position of the output depends on (``ops/reach.py``).
        suggest: Parameters that fit given inputs, starting from others; new layers use it.
        aliases: Other names people know it by, for the search.
        onnx: How it is written to ONNX and recognised there (``ops/binding.py``).
        torch: How it is recognised in a traced module (``ops/torch_binding.py``).
    """

    id: str
    title: str
    category: Category
    summary: str
    params: type[P]
    inputs: tuple[Port, ...]
    infer: Callable[[P, Inputs], TensorSpec | tuple[TensorSpec, ...]]
    module: Callable[[P, Inputs], Call]
    examples: tuple[Example[P], ...]
    formula: str = ""
    source: str = ""
    outputs: Callable[[P], tuple[str, ...]] = _one_output
    weights: Callable[[P, Inputs], tuple[WeightSpec, ...]] = _no_weights
    function: Callable[[P, Inputs], Call] | None = None
    primitive: Primitive | None = None
    primitives: Callable[[P, Inputs], tuple[PrimitiveNode, ...]] | None = None
    macs: Callable[[P, Inputs], int] = _no_macs
    reach: Callable[[P, Inputs], Reach] = lambda params, inputs: POINT
    suggest: Callable[[P, Inputs], P] = lambda params, inputs: params
    aliases: tuple[str, ...] = ()
    onnx: OnnxBinding[P] | None = None
    torch: TorchBinding = TorchBinding()
    version: int = 1
    upgrades: Mapping[int, Callable[[dict[str, Any]], dict[str, Any]]] = field(default_factory=dict)

    @property
    def takes_images(self) -> bool:
        """True for the operator that stands for the images."""
        return self.primitive is Primitive.INPUT

    @cached_property
    def form(self) -> tuple[Field, ...]:
        """The parameters, in declared order, for forms and help texts."""
        return form_of(self.params)  # type: ignore[arg-type]  # a class has a hash

    def measuring(self, measure: Measure) -> str:
        """The first parameter that counts this; empty where none does."""
        return next((f.name for f in self.form if f.measure is measure), "")

    @cached_property
    def width(self) -> str:
        """The parameter that sets how many channels come out; empty where they follow from the input."""
        return self.measuring(Measure.WIDTH)

    def infer_outputs(self, params: P, inputs: Inputs) -> tuple[TensorSpec, ...]:
        """Like ``infer``, always a tuple with one spec per output port."""
        result = self.infer(params, inputs)
        return result if isinstance(result, tuple) else (result,)

    def port(self, index: int) -> Port | None:
        """The port that input ``index`` belongs to, or None if there is no such input."""
        if index < len(self.inputs):
            return self.inputs[index]
        return self.inputs[-1] if self.inputs and self.inputs[-1].variadic else None

    def graph(self, params: P, inputs: Inputs) -> tuple[PrimitiveNode, ...]:
        """The nodes this use adds to the hypernetwork's graph; empty if it is passed over."""
        if self.primitives is not None:
            return self.primitives(params, inputs)
        nodes: list[PrimitiveNode] = []
        for weight in self.weights(params, inputs):
            if weight.primitive is None:
                continue
            if weight.role is Role.SHIFT and nodes:
                nodes[-1] = PrimitiveNode(
                    nodes[-1].primitive, nodes[-1].shape, (*nodes[-1].parameters, weight.name), nodes[-1].after
                )
            else:
                nodes.append(PrimitiveNode(weight.primitive, weight.shape, (weight.name,)))
        if not nodes and self.primitive is not None:
            nodes.append(PrimitiveNode(self.primitive))
        return tuple(nodes)


@lru_cache(maxsize=16384)
def check_params(params: Any) -> tuple[str, ...]:
    """Return a sentence for every value outside its declared range or choices.

    Cached: networks repeat layers, and validation runs on every edit.
    """
    found: list[str] = []
    for line in form_of(type(params)):  # type: ignore[arg-type]
        value = getattr(params, line.name)
        parts = value if isinstance(value, tuple) else (value,)
        if line.choices and value not in line.choices:
            found.append(f"{line.label} must be one of {', '.join(map(str, line.choices))}, not {value}")
            continue
        for part in parts:
            if isinstance(part, bool) or not isinstance(part, int | float):
                continue
            if line.low is not None and part < line.low:
                found.append(f"{line.label} must be at least {line.low:g}, not {part}")
                break
            if line.high is not None and part > line.high:
                found.append(f"{line.label} must be at most {line.high:g}, not {part}")
                break
    return tuple(found)
