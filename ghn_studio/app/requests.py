"""What each task can be asked, as values. Dialogs and the command line are made from these."""

from __future__ import annotations

from dataclasses import dataclass

from ghn_studio.ops.spec import param

DEVICES = ("auto", "cpu", "cuda", "mps")
HEADS = ("predicted", "closed-form")
BATCH_NORMS = ("calibrated", "batch")
INITS = ("ghn", "kaiming")


@dataclass(frozen=True, slots=True, kw_only=True)
class CommonRequest:
    """The options every task that predicts or evaluates shares."""

    ghn: str = param("", label="GHN", help="Name or folder of a hypernetwork; empty: the newest shipped one for the dataset.")
    dataset: str = param("digits", label="Dataset", help="A name from `list datasets`, or folder:PATH.")
    device: str = param("auto", label="Device", choices=DEVICES)
    images: int | None = param(None, label="Test images", low=1, help="Evaluate on the first N test images; all by default.")
    image_size: int | None = param(None, label="Image size", unit="px", low=1,
                                   help="Override the network's input size; its own by default.")
    batch_norm: str = param("calibrated", label="Batch norm", choices=BATCH_NORMS,
                            help="Running statistics estimated on training images, or those of each test batch of 64.")
    head: str = param("predicted", label="Head", choices=HEADS,
                      help="Predict the classifier too, or fit it in closed form on training images.")
    head_images: int = param(1000, label="Head images", low=1, help="Training images for the closed-form head.")
    seed: int = param(0, label="Seed", low=0)
    init: str = param("ghn", label="Parameters", choices=INITS, help="Predicted by the GHN, or random (Kaiming).")


@dataclass(frozen=True, slots=True, kw_only=True)
class PredictRequest(CommonRequest):
    """Predict every parameter and, unless told otherwise, evaluate."""

    evaluate: bool = param(True, label="Evaluate")


@dataclass(frozen=True, slots=True, kw_only=True)
class CompareRequest(CommonRequest):
    """Predict, then train the same network from a random start with SGD. Exactly one budget is set."""

    steps: int | None = param(None, label="Steps", low=1)
    minutes: float | None = param(None, label="Minutes", unit="min", low=0.01)
    batch_size: int = param(64, label="Batch size", low=1)
    learning_rate: float = param(0.05, label="Learning rate", low=0.0)


@dataclass(frozen=True, slots=True, kw_only=True)
class SplitRequest(CommonRequest):
    """Predict and evaluate the networks of a DeepNets-1M split."""

    split: str = param("test", label="Split")
    start: int = param(0, label="First index", low=0)
    count: int = param(10, label="Networks", low=1)
