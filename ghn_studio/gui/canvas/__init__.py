"""The node canvas."""

from ghn_studio.gui.canvas.view import OPERATOR_MIME, CanvasView

__all__ = ["OPERATOR_MIME", "CanvasView"]
