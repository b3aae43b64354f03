"""Questions about a whole network; standard library only."""

from ghn_studio.analysis.shapes import Problem, ShapeReport, infer_shapes, require_shapes, update_shapes

__all__ = ["Problem", "ShapeReport", "infer_shapes", "require_shapes", "update_shapes"]
