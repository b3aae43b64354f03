"""The node canvas."""

from ghn_studio.gui.canvas.dropping import OPERATOR_MIME
from ghn_studio.gui.canvas.view import CanvasView

__all__ = ["OPERATOR_MIME", "CanvasView"]
