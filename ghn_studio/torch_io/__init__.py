"""PyTorch modules as architectures: traced, lifted to operators, parameter names kept."""

from ghn_studio.torch_io.modules import Traced, trace
from ghn_studio.torch_io.twins import stored_tensors

__all__ = ["Traced", "stored_tensors", "trace"]
