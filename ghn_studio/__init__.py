"""GHN Studio: sketch a network, predict every parameter, see what it can do.

    import ghn_studio
    report = ghn_studio.predict("example:resnet20")

Importing the package costs nothing; torch is loaded by the first call that needs it.
"""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import TYPE_CHECKING, Any

from ghn_studio.version import __version__

if TYPE_CHECKING:
    from torch import nn

    from ghn_studio.app.results import PredictReport
    from ghn_studio.ir.graph import Architecture
    from ghn_studio.jobs import Progress
    from ghn_studio.project import Project

__all__ = ["__version__", "predict"]


def predict(
    architecture: str | Path | Architecture | Project | nn.Module,
    ghn: str | Path = "",
    *,
    example: object = None,
    on_progress: Callable[[Progress], None] | None = None,
    **options: Any,  # fields of PredictRequest, each of its own type
) -> PredictReport:
    """Predict every parameter of a network and measure its accuracy, as ``ghn-studio predict`` does.

        report = ghn_studio.predict("example:lenet5", images=100)
        print(report.accuracy, report.label)      # a fraction, and what it means
        weights = report.values                   # name -> torch.Tensor

    A ``torch.nn.Module`` is filled in place, and evaluated only on request:

        report = ghn_studio.predict(module, example=torch.zeros(1, 3, 32, 32))

    Args:
        architecture: An :class:`Architecture`, a project, or its name: a ``.ghn`` or ``.onnx``
            file, ``example:NAME``, ``torchvision:NAME``, ``deepnets:SPLIT/INDEX``; or a module.
        ghn: Name or folder of a hypernetwork; by default the newest shipped one whose card
            names the dataset.
        example: A batch of images the module takes; only its shape counts.
        on_progress: Called on this thread with every step of the work.
        options: Fields of :class:`ghn_studio.app.requests.PredictRequest`, named as the options of the
            command line with ``_`` for ``-``: ``dataset``, ``device``, ``images``, ``image_size``,
            ``batch_norm``, ``head``, ``head_images``, ``seed``, ``init``, ``evaluate``, ``export`` …

    Returns:
        The figures, the confusion matrix and answers (``details``), and every parameter
        (``values``, on the processor). Without evaluation, export or closed-form head the
        running statistics of batch norm are not estimated and left out of ``values``.

    Raises:
        GhnStudioError: What was asked for is not possible; the text says why and what to do.
    """
    from ghn_studio.app.api import predict as run_prediction

    return run_prediction(architecture, ghn, example, on_progress, options)
