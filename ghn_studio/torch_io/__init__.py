"""PyTorch modules as architectures: traced, lifted to operators, parameter names kept."""

from ghn_studio.torch_io.modules import Traced, trace

__all__ = ["Traced", "trace"]
