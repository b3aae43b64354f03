"""Stand-alone Python source of a network; imports neither torch nor Qt."""

from ghn_studio.codegen.snippets import part_to_source
from ghn_studio.codegen.source import class_name, to_source

__all__ = ["class_name", "part_to_source", "to_source"]
