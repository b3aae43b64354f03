"""Every exception GHN Studio raises on purpose.

The text of each can be shown to a person as it stands: what is wrong, where, what
was expected and found, and what to do. Anything that is not a
:class:`GhnStudioError` is a bug and goes to the log with its traceback.
"""

from __future__ import annotations


class GhnStudioError(Exception):
    """Base class, so that callers can tell "ours" from "not ours"."""


class ArchitectureError(GhnStudioError):
    """An edit that cannot be made, or a network that cannot be built."""


class RegistryError(GhnStudioError):
    """Two operators contradict each other, or one breaks a rule of the registry."""


class UnknownOperatorError(GhnStudioError):
    """An operator id that the registry does not hold."""


class ProjectError(GhnStudioError):
    """A ``.ghn`` file that cannot be read or written."""


class OnnxConversionError(GhnStudioError):
    """An ONNX file that cannot become an architecture, or the other way round."""


class MissingDataError(OnnxConversionError):
    """An ONNX file whose weights lie in a file beside it that is not there; its layers can be read all the same."""


class TorchConversionError(GhnStudioError):
    """A PyTorch module that cannot become an architecture; says which part of it and why."""


class CodegenError(GhnStudioError):
    """An architecture that has no stand-alone source."""


class DatasetError(GhnStudioError):
    """Images that are missing, damaged or do not fit the request."""


class DownloadError(GhnStudioError):
    """A file that could not be fetched from any of its addresses."""


class CheckpointError(GhnStudioError):
    """Weights, a card or a training checkpoint that cannot be used."""


class PredictionError(GhnStudioError):
    """A prediction that was refused, with the reason and the way out."""


class TrainingError(GhnStudioError):
    """A training run that cannot go on."""


class UsageError(GhnStudioError):
    """A request whose words are off: unknown names, values out of range."""


class JobCancelled(GhnStudioError):  # noqa: N818 - the end of a job, not a fault
    """The user stopped a job; its ``finally`` blocks have run."""
