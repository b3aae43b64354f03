"""From node vectors to decoded tensors, before they are brought to the sizes of their parameters."""

from __future__ import annotations

from dataclasses import dataclass

from torch import Tensor, nn
from torch.nn import functional as F

from ghn_studio.ghn.config import GhnConfig
from ghn_studio.ghn.encoding import EncodedParameter
from ghn_studio.ghn.fitting import as_map, decoded_shape
from ghn_studio.ops.spec import Role


@dataclass(frozen=True, slots=True)
class ClassHead:
    """A network's classifier: its node, and which of the hypernetwork's class rows it takes.

    A hypernetwork for several tasks has the rows of all of them, one task after the other.
    """

    node: str
    start: int
    stop: int


@dataclass(frozen=True, slots=True)
class DecodeKey:
    """Parameters with equal keys are decoded in one call.

    Attributes:
        kind: ``weight``, ``class_weight``, ``token``, or a vector that is brought to a range: ``scale``, ``bias``,
            ``class_scale``, ``class_bias``.
        kernel: Of a weight.
        inputs: Input channels that are decoded; 0 for vectors.
        rows: Of a classifier: which class rows it takes; None for all.
    """

    kind: str
    kernel: tuple[int, int] = (1, 1)
    inputs: int = 0
    rows: tuple[int, int] | None = None

    @property
    def is_scale(self) -> bool:
        """True for what multiplies."""
        return self.kind.endswith("scale")

    @property
    def is_vector(self) -> bool:
        """True for what :func:`ghn_studio.ghn.fitting.squash` brings to its range."""
        return self.kind.endswith(("scale", "bias"))

    @property
    def is_class(self) -> bool:
        """True for the tensors of a classifier."""
        return self.kind.startswith("class")


def key_of(parameter: EncodedParameter, head: ClassHead | None, channels: int) -> DecodeKey:
    """How a parameter is decoded by a hypernetwork of up to ``channels`` channels."""
    shape, role = decoded_shape(parameter), parameter.role
    is_class = parameter.is_class or (
        head is not None and parameter.name.rpartition(".")[0] == head.node and shape[0] == head.stop - head.start
    )
    rows = None if head is None else (head.start, head.stop)
    if role in (Role.WEIGHT, Role.TRANSPOSED):
        if is_class and (len(shape) == 2 or parameter.is_class):
            return DecodeKey("class_weight", inputs=channels, rows=rows)
        return DecodeKey("weight", _kernel(shape), _inputs(shape[1], channels))
    if role in (Role.POSITION, Role.TABLE):
        return DecodeKey("weight", _kernel(as_map(shape)), channels)
    if role is Role.TOKEN:
        return DecodeKey("token")
    if is_class and (role is Role.BIAS or parameter.is_class):
        return DecodeKey("class_scale" if role is Role.SCALE else "class_bias", rows=rows)
    return DecodeKey("scale" if role is Role.SCALE else "bias")


def _inputs(wanted: int, channels: int) -> int:
    """Input channels to decode: few sizes, so that few groups differ, none of them much too large."""
    return next((n for n in (1, channels // 8, channels // 2) if wanted <= n), channels)


def _kernel(shape: tuple[int, ...]) -> tuple[int, int]:
    return (shape[2] if len(shape) > 2 else 1, shape[3] if len(shape) > 3 else 1)


def linear_at(layers: nn.Module, index: int) -> nn.Linear:
    """The linear layer at a place in a sequence."""
    assert isinstance(layers, nn.Sequential)
    layer = layers[index]
    assert isinstance(layer, nn.Linear)
    return layer


def decoder_for(config: GhnConfig) -> ConvDecoder | MlpDecoder:
    """The decoder of weights a configuration asks for; parameters are named as in the official checkpoints."""
    return MlpDecoder(config) if config.weight_decoder == "mlp" else ConvDecoder(config)


class _Grid:
    """The square of kernel positions that a decoder decodes."""

    def __init__(self, size: int, crop: str) -> None:
        self.size, self.crop = size, crop

    def window(self, extent: int) -> slice:
        """The positions along one axis that a kernel of ``extent`` takes."""
        if extent > self.size:
            return slice(0, self.size)
        start = 0 if self.crop == "corner" else self.size // 2 - extent // 2
        return slice(start, start + extent)

    def enlarge(self, decoded: Tensor, kernel: tuple[int, int]) -> Tensor:
        """Bring ``(nodes, out, in, height, width)`` to a kernel larger than the grid.

        GHN-2 repeats the grid once, GHN-3 stretches it (parity specification, section 8).
        """
        if decoded.shape[-2:] == kernel:
            return decoded
        if self.crop == "corner" and max(kernel) <= 2 * self.size:
            return decoded.repeat(1, 1, 1, 2, 2)[..., : kernel[0], : kernel[1]]
        flat = F.interpolate(decoded.flatten(1, 2), kernel, mode="bilinear", align_corners=False)
        resized: Tensor = flat.unflatten(1, decoded.shape[1:3])
        return resized


class ConvDecoder(nn.Module):
    """Decodes node vectors into weights of up to ``channels`` × ``channels`` × kernel (GHN-2, appendix B.2)."""

    def __init__(self, config: GhnConfig) -> None:
        super().__init__()
        self.channels, self.grid = config.max_channels, _Grid(config.grid, config.crop)
        first, second = config.decoder
        self.fc = nn.Sequential(nn.Linear(config.hidden, first * config.grid**2), nn.ReLU())
        self.conv = nn.Sequential(nn.Linear(first, second), nn.ReLU(), nn.Linear(second, self.channels**2))
        self.class_layer_predictor = nn.Sequential(nn.ReLU(), nn.Linear(self.channels, config.classes))
        self._first = first

    @property
    def last(self) -> nn.Linear:
        """The layer whose outputs are weights."""
        return linear_at(self.conv, 2)

    def forward(self, x: Tensor, kernel: tuple[int, int], inputs: int) -> Tensor:
        """Map ``(nodes, hidden)`` to ``(nodes, channels, inputs, *kernel)``, ``inputs`` at most ``channels``."""
        rows, columns = (self.grid.window(k) for k in kernel)
        pixels = self._pixels(x, rows, columns)
        hidden = self.conv[1](self.conv[0](pixels))
        last = linear_at(self.conv, 2)
        weight = last.weight.view(self.channels, self.channels, -1)[:, :inputs].flatten(0, 1)
        bias = last.bias.view(self.channels, self.channels)[:, :inputs].flatten()
        decoded: Tensor = F.linear(hidden, weight, bias)  # (nodes, rows, columns, channels * inputs)
        decoded = decoded.unflatten(-1, (self.channels, inputs)).permute(0, 3, 4, 1, 2)
        return self.grid.enlarge(decoded, kernel)

    def class_weight(self, x: Tensor) -> Tensor:
        """Map ``(nodes, hidden)`` to classifier weights ``(nodes, classes, channels)``."""
        square = self(x, (1, 1), self.channels)[..., 0, 0]  # (nodes, out, in)
        return self.class_layer_predictor(square.transpose(1, 2)).transpose(1, 2)  # type: ignore[no-any-return]

    def _pixels(self, x: Tensor, rows: slice, columns: slice) -> Tensor:
        """Only the pixels that are used are decoded: ``(nodes, rows, columns, first)``."""
        fc = linear_at(self.fc, 0)
        grid = (self._first, self.grid.size, self.grid.size)
        weight = fc.weight.view(*grid, -1)[:, rows, columns].permute(1, 2, 0, 3)
        bias = fc.bias.view(grid)[:, rows, columns].permute(1, 2, 0)
        out: Tensor = F.linear(x, weight.flatten(0, 2), bias.flatten()).relu().unflatten(-1, bias.shape)
        return out


class MlpDecoder(nn.Module):
    """Decodes node vectors by a two-layer perceptron; a baseline of the GHN-2 paper."""

    def __init__(self, config: GhnConfig) -> None:
        super().__init__()
        self.channels, self.grid, self.classes = config.max_channels, _Grid(config.grid, config.crop), config.classes
        inner = 2 * config.hidden
        last = nn.Linear(inner, (config.max_channels * config.grid) ** 2)
        self.mlp = nn.ModuleDict({"fc": nn.Sequential(nn.Linear(config.hidden, inner), nn.ReLU(), last)})
        self.class_layer_predictor = nn.Sequential(nn.ReLU(), nn.Linear(inner, config.classes * config.max_channels))

    @property
    def last(self) -> nn.Linear:
        """The layer whose outputs are weights."""
        return linear_at(self.mlp["fc"], 2)

    def forward(self, x: Tensor, kernel: tuple[int, int], inputs: int) -> Tensor:
        """Map ``(nodes, hidden)`` to ``(nodes, channels, inputs, *kernel)``, ``inputs`` at most ``channels``."""
        size = (self.channels, self.channels, self.grid.size, self.grid.size)
        rows, columns = (self.grid.window(k) for k in kernel)
        whole = self.mlp["fc"](x).unflatten(1, size)
        return self.grid.enlarge(whole[:, :, :inputs, rows, columns], kernel)

    def class_weight(self, x: Tensor) -> Tensor:
        """Map ``(nodes, hidden)`` to classifier weights ``(nodes, classes, channels)``."""
        hidden = linear_at(self.mlp["fc"], 0)(x)
        return self.class_layer_predictor(hidden).unflatten(1, (self.classes, self.channels))  # type: ignore[no-any-return]
