"""ONNX files: reading what a stranger sends, writing what any runtime can execute."""

from ghn_studio.onnx_io.checking import outputs_of, runtime_name
from ghn_studio.onnx_io.external import OnnxFiles, is_data_of
from ghn_studio.onnx_io.files import NEWEST_OPSET
from ghn_studio.onnx_io.reading import Imported, read
from ghn_studio.onnx_io.writing import DRAWN_KEY, OLDEST_WRITTEN_OPSET, export_files, export_model, require_forms, write

__all__ = [
    "DRAWN_KEY", "NEWEST_OPSET", "OLDEST_WRITTEN_OPSET", "Imported", "OnnxFiles", "export_files", "export_model",
    "is_data_of", "outputs_of", "read", "require_forms", "runtime_name", "write",
]
