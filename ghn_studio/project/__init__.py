"""Project files: ``NAME.ghn`` (JSON) and, beside it, ``NAME.safetensors``; no Qt."""

from ghn_studio.project.files import ORIGIN_KINDS, Stored, read, read_values, store, write
from ghn_studio.project.model import Note, Position, Project, ValuesRecord
from ghn_studio.project.safetensors_file import read_tensors, tensors_to_bytes
from ghn_studio.project.staging import Content, replace_file, replace_files, replace_folder
from ghn_studio.project.text import FORMAT, VERSION, dumps, loads

__all__ = [
    "FORMAT", "ORIGIN_KINDS", "VERSION", "Content", "Note", "Position", "Project", "Stored", "ValuesRecord", "dumps",
    "loads", "read", "read_tensors", "read_values", "replace_file", "replace_files", "replace_folder", "store",
    "tensors_to_bytes", "write",
]
