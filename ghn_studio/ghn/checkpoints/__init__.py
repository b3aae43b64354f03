"""Checkpoints of the official code: read without trusting them, recognised, kept as the user's own."""

from ghn_studio.ghn.checkpoints.adding import Added, add
from ghn_studio.ghn.checkpoints.reading import Contents, read_checkpoint
from ghn_studio.ghn.checkpoints.recognising import Recognised, recognise

__all__ = ["Added", "Contents", "Recognised", "add", "read_checkpoint", "recognise"]
