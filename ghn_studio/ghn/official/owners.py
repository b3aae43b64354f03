"""The layers that own parameters, by the names of their classes, so that nothing needs to be imported."""

from __future__ import annotations

from dataclasses import dataclass

from torch import Tensor, nn

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


def parameters_of(root: nn.Module) -> tuple[dict[str, Parameter], dict[str, Tensor]]:
    """Every parameter of a module, described and itself, by full name; a shared one once, under its first name."""
    found: dict[str, Parameter] = {}
    tensors: dict[str, Tensor] = {}
    seen: set[int] = set()
    for name, module in root.named_modules():
        own = [(key, tensor) for key, tensor in module._parameters.items() if tensor is not None]
        owner = owner_of(name, module) if own else None
        for key, tensor in own:
            if owner is not None and id(tensor) not in seen:
                full = f"{name}.{key}" if name else key
                found[full], tensors[full] = Parameter(full, tuple(tensor.shape), owner), tensor
                seen.add(id(tensor))
    return found, tensors
