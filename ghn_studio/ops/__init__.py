"""The operator registry; standard library only. See ``README.md`` in this folder."""

from ghn_studio.ops.catalog import REGISTRY
from ghn_studio.ops.registry import OpRegistry

__all__ = ["REGISTRY", "OpRegistry"]
