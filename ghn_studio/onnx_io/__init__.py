"""ONNX files: reading what a stranger sends, writing what any runtime can execute."""

from ghn_studio.onnx_io.reading import Imported, read
from ghn_studio.onnx_io.writing import export_model, write

__all__ = ["Imported", "export_model", "read", "write"]
