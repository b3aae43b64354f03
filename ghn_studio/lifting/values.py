"""What a value of a raw graph is known to be: made by an operator, or stored."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, replace
from math import prod
from typing import Any, TypeAlias

from ghn_studio.ir.tensors import TensorSpec
from ghn_studio.lifting import folding, views
from ghn_studio.lifting.stored import Stored
from ghn_studio.ops.binding import OnnxInput
from ghn_studio.ops.spec import OpSpec

#: Largest value one image may become on its way, in elements: 1 GiB as float32.
MAX_VALUE_ELEMENTS = 2**28


@dataclass(frozen=True, slots=True)
class Computed:
    """A value that depends on the images: which use of an operator makes it, its shape there, and how
    the file's axes lie on it (none given: as they are)."""

    use: int
    port: int
    spec: TensorSpec
    groups: views.Groups = ()

    @property
    def lying(self) -> views.Groups:
        """How the file's axes lie on the value."""
        return self.groups or views.plain(self.spec.rank)

    @property
    def is_plain(self) -> bool:
        """True if the file sees the value as operators do."""
        return not self.groups or self.groups == views.plain(self.spec.rank)

    @property
    def shape(self) -> tuple[Any, ...]:
        """The shape the file sees."""
        return views.visible(self.spec, self.lying)

    def as_made(self) -> Computed:
        """The value as its operator made it."""
        return replace(self, groups=())


Value: TypeAlias = Stored | Computed
Args: TypeAlias = Sequence[Value | None]


def seen(value: Value | None) -> OnnxInput | None:
    """What a binding may look at."""
    if value is None:
        return None
    if isinstance(value, Computed):
        return OnnxInput(value.spec.shape)
    return OnnxInput(value.shape, True, value.values, value.dtype in folding.FLOATS)


def infer(spec: OpSpec[Any], params: Any, inputs: tuple[TensorSpec, ...]) -> tuple[TensorSpec, ...]:
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
