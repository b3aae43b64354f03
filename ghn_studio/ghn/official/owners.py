"""The layers that own parameters, by the names of their classes, so that nothing needs to be imported."""

from __future__ import annotations

from dataclasses import dataclass

from torch import nn

CONV = "torch.nn.modules.conv.Conv2d"
LINEAR = "torch.nn.modules.linear.Linear"
PROJECTION = "torch.nn.modules.linear.NonDynamicallyQuantizableLinear"
ATTENTION = "torch.nn.modules.activation.MultiheadAttention"
EMBEDDING = "torch.nn.modules.sparse.Embedding"
BATCH_NORM = "torch.nn.modules.batchnorm.BatchNorm2d"
LAYER_NORM = "torch.nn.modules.normalization.LayerNorm"
MAP_LAYER_NORM = "torchvision.models.convnext.LayerNorm2d"
VIT_ENCODER = "torchvision.models.vision_transformer.Encoder"
POSITION = "ppuda.deepnets1m.ops.PosEnc"


@dataclass(frozen=True, slots=True)
class Owner:
    """The layer a parameter belongs to.

    Attributes:
        module: Its full name in the network.
        classes: Full names of its class and the classes that one is derived from, itself first.
        groups: Of a convolution.
        dilation: The smaller dilation of a convolution.
    """

    module: str
    classes: tuple[str, ...]
    groups: int = 1
    dilation: int = 1

    @property
    def kind(self) -> str:
        """Full name of the class itself."""
        return self.classes[0]

    def is_a(self, kinds: frozenset[str]) -> bool:
        """Whether the class is one of ``kinds`` or derived from one."""
        return not kinds.isdisjoint(self.classes)


@dataclass(frozen=True, slots=True)
class Parameter:
    """A trainable tensor: full name, shape, owner."""

    name: str
    shape: tuple[int, ...]
    owner: Owner


def owner_of(name: str, module: nn.Module) -> Owner:
    """Describe a module."""
    classes = tuple(f"{c.__module__}.{c.__qualname__}" for c in type(module).__mro__)
    dilation = getattr(module, "dilation", 1)
    return Owner(
        name, classes, int(getattr(module, "groups", 1)) if CONV in classes else 1,
        min(dilation) if isinstance(dilation, tuple) else 1,
    )


def parameters_of(root: nn.Module) -> dict[str, Parameter]:
    """Every trainable tensor of a module by full name; a shared one once, under its first name."""
    found: dict[str, Parameter] = {}
    seen: set[int] = set()
    for name, module in root.named_modules():
        owner = None
        for local, tensor in module.named_parameters(name, recurse=False):
            if id(tensor) not in seen:
                owner = owner or owner_of(name, module)
                found[local] = Parameter(local, tuple(tensor.shape), owner)
                seen.add(id(tensor))
    return found
