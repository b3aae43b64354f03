"""What each task can be asked, as values. Dialogs and the command line are made from these."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

from ghn_studio.engine.descent.settings import AUGMENTATIONS, OPTIMISERS, PRECISIONS, SCHEDULES
from ghn_studio.ops.spec import param

DEVICES = ("auto", "cpu", "cuda", "mps")
HEADS = ("predicted", "closed-form")
BATCH_NORMS = ("calibrated", "batch")
ADAPTATIONS = ("auto", "on", "off")
INITS = ("ghn", "kaiming")
POST_PROCESSING = ("none", "noise", "orthogonal")
EXPORT_FORMATS = ("auto", "pt", "pt2", "safetensors", "onnx", "py", "ghn", "huggingface")
#: The ONNX operator set that is written unless another is asked for.
OPSET = 21

#: The largest seed every generator in use accepts (NumPy's takes 32 bits).
MAX_SEED = 2**32 - 1
#: A wider input than this is a slip of the keyboard and would only exhaust the memory.
MAX_IMAGE_SIZE = 4096


def _classes() -> Any:
    return param(None, label="Classes", low=1,
                 help="Outputs of the last linear layer; torchvision networks that are evaluated have as many as the "
                      "dataset by default.")


def _input() -> Any:
    return param("", label="Input",
                 help="Channels, height and width the network takes, as in 3x224x224; its own by default.")


def _download() -> Any:
    return param(False, label="Download", help="Fetch the dataset first if it is one of those that have to be.")


def _adapt() -> Any:
    return param("auto", label="Small images", choices=ADAPTATIONS,
                 help="Give torchvision networks the published first layers for 32 px; auto: for 64 px or less.")


@dataclass(frozen=True, slots=True, kw_only=True)
class CommonRequest:
    """The options every task that predicts or evaluates shares."""

    ghn: str = param("", label="GHN",
                     help="Name or folder of a hypernetwork; empty: the newest shipped one for the dataset.")
    dataset: str = param("digits", label="Dataset", help="A name from `list datasets`, or folder:PATH.")
    download: bool = _download()
    device: str = param("auto", label="Device", choices=DEVICES,
                        help="Where to compute; auto takes the fastest there is.")
    images: int | None = param(None, label="Test images", low=1,
                               help="Evaluate on the first N test images; all by default.")
    image_size: int | None = param(None, label="Image size", unit="px", low=1, high=MAX_IMAGE_SIZE,
                                   help="Override the network's input size; its own by default.")
    batch_norm: str = param("calibrated", label="Batch norm", choices=BATCH_NORMS,
                            help="Running statistics estimated on training images, or those of each test batch of 64.")
    head: str = param("predicted", label="Head", choices=HEADS,
                      help="Predict the classifier too, or fit it in closed form on training images.")
    head_images: int = param(1000, label="Head images", low=1, help="Training images for the closed-form head.")
    replace_classifier: bool = param(False, label="Replace classifier",
                                     help="Give the last linear layer as many outputs as the dataset has classes.")
    classes: int | None = _classes()
    input: str = _input()
    adapt: str = _adapt()
    seed: int = param(0, label="Seed", low=0, high=MAX_SEED,
                      help="Of everything random: equal seeds give equal results.")
    init: str = param("ghn", label="Parameters", choices=INITS, help="Predicted by the GHN, or random (Kaiming).")


@dataclass(frozen=True, slots=True, kw_only=True)
class PredictRequest(CommonRequest):
    """Predict every parameter and, unless told otherwise, evaluate."""

    evaluate: bool = param(True, label="Evaluate", help="Measure the accuracy on test images.")
    export: str = param("", label="Export to",
                        help="Also write the network there: .pt, .pt2, .safetensors, .onnx, .ghn or .py.")


@dataclass(frozen=True, slots=True, kw_only=True)
class DescentRequest(CommonRequest):
    """How a network is trained by gradient descent. Exactly one budget is set.

    The defaults are the GHN-2 authors' for CIFAR-10; see :class:`ghn_studio.engine.descent.settings.DescentConfig`.
    """

    steps: int | None = param(None, label="Steps", low=1, help="Train for N steps.")
    minutes: float | None = param(None, label="Minutes", unit="min", low=0.01, help="Train for that long.")
    optimiser: str = param("sgd", label="Optimiser", choices=OPTIMISERS, help="SGD with momentum, or AdamW.")
    learning_rate: float | None = param(None, label="Learning rate", low=1e-6, high=100.0,
                                        help="At its highest; 0.025 for SGD and 0.001 for AdamW by default.")
    schedule: str = param("cosine", label="Schedule", choices=SCHEDULES,
                          help="How the learning rate falls: along a cosine, by ten at half and three quarters, or "
                               "not at all.")
    warm_up: float = param(0.0, label="Warm-up", low=0.0, high=0.9,
                           help="Share of the budget during which the learning rate grows to its peak.")
    batch_size: int = param(96, label="Batch size", low=1, help="Training images per step.")
    momentum: float = param(0.9, label="Momentum", low=0.0, high=0.999, help="Of SGD; the first beta of AdamW.")
    weight_decay: float = param(3e-4, label="Weight decay", low=0.0, high=1.0, help="Pull of every tensor towards 0.")
    clip: float = param(5.0, label="Gradient clip", low=0.0, help="Largest norm of the gradient; 0 for none.")
    label_smoothing: float = param(0.0, label="Label smoothing", low=0.0, high=0.9,
                                   help="Probability that is spread over all classes.")
    augmentation: str = param("none", label="Augmentation", choices=AUGMENTATIONS,
                              help="Whether training images are moved and mirrored.")
    precision: str = param("auto", label="Precision", choices=PRECISIONS,
                           help="auto: bfloat16 on GPUs that have it, float32 elsewhere.")


@dataclass(frozen=True, slots=True, kw_only=True)
class CompareRequest(DescentRequest):
    """Predict, then train the same network from a random start. Exactly one budget is set."""


@dataclass(frozen=True, slots=True, kw_only=True)
class FinetuneRequest(DescentRequest):
    """Go on from predicted, random or given parameters by gradient descent. Exactly one budget is set."""

    init: str = param("ghn", label="Start", help="ghn (predicted), kaiming (random), or a file with weights: .pt, "
                                                  ".safetensors, .ghn.")
    post_process: str = param("none", label="Post-processing", choices=POST_PROCESSING,
                              help="What is done to predicted weights first: nothing, a little noise, or noise and "
                                   "orthogonal columns, as the authors of GHN-2 and GHN-3 do.")
    scratch: bool = param(True, label="Train from scratch too",
                          help="Also train from a random start, as long, for the second curve.")
    keep_best: bool = param(True, label="Keep the best",
                            help="End with the parameters that were best on validation images, not with the last.")
    patience: int = param(0, label="Patience", low=0,
                          help="Stop after N measurements without a better one on validation images; 0: never.")
    export: str = param("", label="Export to",
                        help="Also write the network there: .pt, .pt2, .safetensors, .onnx, .ghn or .py.")


@dataclass(frozen=True, slots=True, kw_only=True)
class ExplainRequest:
    """Measure what each layer of a predicted network is worth."""

    ghn: str = param("", label="GHN",
                     help="Name or folder of a hypernetwork; empty: the newest shipped one for the dataset.")
    dataset: str = param("digits", label="Dataset", help="A name from `list datasets`, or folder:PATH.")
    download: bool = _download()
    device: str = param("auto", label="Device", choices=DEVICES,
                        help="Where to compute; auto takes the fastest there is.")
    images: int = param(256, label="Images", low=4,
                        help="Measure on the first N validation images, so that test images stay unseen.")
    draws: int = param(3, label="Draws", low=1, high=100, help="Random replacements of each layer.")
    image_size: int | None = param(None, label="Image size", unit="px", low=1, high=MAX_IMAGE_SIZE,
                                   help="Override the network's input size; its own by default.")
    head: str = param("predicted", label="Head", choices=HEADS,
                      help="Keep the predicted classifier, or fit one in closed form anew for every replacement.")
    head_images: int = param(1000, label="Head images", low=1, help="Training images for the closed-form head.")
    replace_classifier: bool = param(False, label="Replace classifier",
                                     help="Give the last linear layer as many outputs as the dataset has classes.")
    classes: int | None = _classes()
    input: str = _input()
    adapt: str = _adapt()
    seed: int = param(0, label="Seed", low=0, high=MAX_SEED,
                      help="Of everything random: equal seeds give equal results.")
    stored: str = param("", label="Stored values",
                        help="Network whose own parameter values are explained instead of predicted ones.")


@dataclass(frozen=True, slots=True, kw_only=True)
class SplitRequest(CommonRequest):
    """Predict and evaluate the networks of a DeepNets-1M split."""

    split: str = param("test", label="Split", help="train, val, test, wide, deep, dense, bnfree or search.")
    start: int = param(0, label="First index", low=0, help="Begin with this network of the split.")
    count: int = param(10, label="Networks", low=1, help="So many networks.")


@dataclass(frozen=True, slots=True, kw_only=True)
class MeasureRequest:
    """Measure a hypernetwork on many networks, with every head, into a folder."""

    out: str = param("", label="Folder", help="Where the results go; the same command continues an interrupted run.")
    splits: str = param("test=100,wide=25,deep=25,dense=25,bnfree=25", label="Splits",
                        help="So many networks of each split, SPLIT=N,SPLIT=N.")
    networks: str = param("", label="Networks", help="Further networks, ARCH,ARCH.")
    full: int = param(0, label="In full", low=0,
                      help="Measure the first N networks of test on all images too.")
    ghn: str = param("", label="GHN",
                     help="Name or folder of a hypernetwork; empty: the newest shipped one for the dataset.")
    head_images: int = param(2000, label="Head images", low=1, help="Training images for the closed-form head.")
    dataset: str = param("digits", label="Dataset", help="A name from `list datasets`, or folder:PATH.")
    download: bool = _download()
    images: int = param(2000, label="Test images", low=1, help="Evaluate on the first N test images.")
    image_size: int | None = param(None, label="Image size", unit="px", low=1, high=MAX_IMAGE_SIZE,
                                   help="Of every network; by default the GHN's first and a named network's own.")
    device: str = param("auto", label="Device", choices=DEVICES,
                        help="Where to compute; auto takes the fastest there is.")
    processes: int = param(1, label="Processes", low=1, high=64, help="Processes that share the networks.")
    seed: int = param(0, label="Seed", low=0, high=MAX_SEED,
                      help="Of everything random: equal seeds give equal results.")


@dataclass(frozen=True, slots=True, kw_only=True)
class ExportRequest(CommonRequest):
    """Write a network with its parameters: those it brings along, or else predicted ones."""

    to: str = param("", label="File",
                    help="The ending decides: .pt, .pt2, .safetensors, .onnx, .py or .ghn; a folder with --format "
                         "huggingface.")
    format: str = param("auto", label="Format", choices=EXPORT_FORMATS,
                        help="What to write, where the ending does not say it.")
    opset: int = param(OPSET, label="ONNX operator set", low=18, high=24, help="Of an .onnx file.")
    batch: int | None = param(None, label="Batch size", low=1,
                              help="Images an .onnx file takes at a time; any number by default.")
    describe: bool = param(True, label="Description",
                           help="Say in the file how images are prepared and what the classes are called, if known.")
    stored: str = param("", label="Stored values",
                        help="Network whose own parameter values are written instead of predicted ones; "
                             "ARCH itself if it has some and neither --ghn nor --init is given.")


@dataclass(frozen=True, slots=True, kw_only=True)
class LoadWeightsRequest:
    """Compare a file of weights with a network, and give the network those that fit."""

    weights: str = param("", label="Weights", help="A .pt, .pth, .ckpt or .safetensors file; no code in it is run.")
    to: str = param("", label="Project", help="The .ghn file to write, values beside it; empty: only compare.")
    section: str = param("", label="Section", help="Part of the file, as in model_ema; empty: the one that fits best.")
    partial: bool = param(False, label="Partial", help="Also where some do not fit: these get a random start.")
    not_finite: bool = param(False, label="Not finite", help="Also values that are NaN or infinite.")
    seed: int = param(0, label="Seed", low=0, high=MAX_SEED,
                      help="Of everything random: equal seeds give equal results.")


@dataclass(frozen=True, slots=True, kw_only=True)
class ImportRequest:
    """Turn a foreign file into a project."""

    file: str = param("", label="Foreign file", help="An ONNX file.")
    to: str = param("", label="Project", help="The .ghn file to write; values go beside it.")
    image_size: int | None = param(None, label="Image size", unit="px", low=1, high=4096,
                                   help="Height and width, where the file leaves them open; 224 by default.")
    output: str = param("", label="Output", help="The output with the class scores, where the file has several; the "
                                                 "first by default.")
    weights: bool = param(True, label="Weights", help="Read the parameters too; without them a file can be read whose "
                                                      "data are gone.")


@dataclass(frozen=True, slots=True, kw_only=True)
class TrainRequest:
    """Train a hypernetwork. Exactly one budget is set."""

    dataset: str = param("digits", label="Dataset", help="A name from `list datasets`, or folder:PATH.")
    download: bool = _download()
    out: str = param("", label="Folder", help="Where card, weights, checkpoints and metrics go.")
    minutes: float | None = param(None, label="Minutes", unit="min", low=0.01, help="Train for that long.")
    steps: int | None = param(None, label="Steps", low=1, help="Train for N optimiser steps.")
    config: str = param("", label="Configuration",
                        help="JSON file with settings that differ from the default recipe.")
    resume: bool = param(False, label="Resume", help="Continue from the last checkpoint in the folder.")
    device: str = param("auto", label="Device", choices=DEVICES,
                        help="Where to compute; auto takes the fastest there is.")
    processes: int = param(1, label="Processes", low=1, high=64, help="Worker processes that share each step.")
    seed: int = param(0, label="Seed", low=0, high=MAX_SEED,
                      help="Of everything random: equal seeds give equal results.")


@dataclass(frozen=True, slots=True, kw_only=True)
class SampleRequest:
    """Write networks of a DeepNets-1M split as project files."""

    split: str = param("train", label="Split", help="train, val, test, wide, deep, dense, bnfree or search.")
    start: int = param(0, label="First index", low=0, help="Begin with this network of the split.")
    count: int = param(10, label="Networks", low=1, help="So many networks.")
    to: str = param("", label="Folder", help="Where the .ghn files go; made if missing.")


@dataclass(frozen=True, slots=True, kw_only=True)
class AddGhnRequest:
    """Keep a checkpoint file as a hypernetwork of the user's own."""

    file: str = param("", label="Checkpoint", help="A GHN-1, GHN-2, MLP or GHN-3 file of the official code.")
    to: str = param("", label="Name", help="What --ghn will take.")


@dataclass(frozen=True, slots=True, kw_only=True)
class DownloadGhnRequest:
    """Fetch a published checkpoint and keep it."""

    name: str = param("", label="Hypernetwork", help="A name from `list ghns` that is not installed.")
    to: str = param("", label="Name", help="What --ghn will take; empty: the same name.")


@dataclass(frozen=True, slots=True, kw_only=True)
class RemoveGhnRequest:
    """Delete a hypernetwork of the user's own."""

    name: str = param("", label="Hypernetwork", help="The name it was added or downloaded under.")


@dataclass(frozen=True, slots=True, kw_only=True)
class DownloadDatasetRequest:
    """Fetch a published dataset."""

    name: str = param("", label="Dataset", help="A name from `list datasets` that has to be downloaded.")


@dataclass(frozen=True, slots=True, kw_only=True)
class RemoveDatasetRequest:
    """Delete a downloaded dataset."""

    name: str = param("", label="Dataset", help="The name it was downloaded by.")
