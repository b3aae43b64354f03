"""What one process needs to measure networks, and how it measures one. Torch is imported inside the functions."""

from __future__ import annotations

import contextlib
from collections.abc import Iterator
from dataclasses import dataclass, field
from math import prod
from typing import TYPE_CHECKING

from ghn_studio.analysis.classifier import with_classes
from ghn_studio.app.architectures import DEEPNETS, Wish, open_architecture
from ghn_studio.app.fitting import with_image_size
from ghn_studio.app.measuring.records import Accuracy, Entry, NetworkRecord
from ghn_studio.app.requests import MeasureRequest
from ghn_studio.app.splits import sampler_config
from ghn_studio.datasets import describe
from ghn_studio.deepnets import sample
from ghn_studio.errors import GhnStudioError
from ghn_studio.ghn.cards import Card, resolve
from ghn_studio.ir.graph import Architecture
from ghn_studio.jobs import Job, Progress
from ghn_studio.ops import REGISTRY

if TYPE_CHECKING:
    import torch
    from torch import Tensor

    from ghn_studio.engine.data import ImageData
    from ghn_studio.engine.execution import Plan
    from ghn_studio.engine.measuring import Found, Images
    from ghn_studio.ghn.networks import Hypernetwork


@dataclass(frozen=True, slots=True)
class MeasuringBench:
    """What is loaded once: the GHN, the images, and the images fitted to each shape of input met so far."""

    request: MeasureRequest
    device: torch.device
    data: ImageData
    card: Card
    ghn: Hypernetwork
    fitted: dict[tuple[int, int, int], Images] = field(default_factory=dict)

    def images_for(self, plan: Plan) -> Images:
        """The images as a network takes them."""
        from ghn_studio.engine.evaluation import input_shape
        from ghn_studio.engine.measuring import Images

        shape = input_shape(plan)
        if shape not in self.fitted:
            self.fitted.clear()  # networks of one shape follow each other; a second copy would only take memory
            request = self.request
            self.fitted[shape] = Images(
                self.data, shape, self.device, test=request.images, fitted=request.head_images
            )
        return self.fitted[shape]


def set_up(request: MeasureRequest) -> Job[MeasuringBench]:
    """Load torch, the GHN and the images.

    Raises:
        DatasetError, CheckpointError, UsageError: A name leads nowhere, or the device is missing.
    """
    describe(request.dataset)
    card = resolve(request.ghn, request.dataset)
    yield Progress("loading PyTorch")
    from ghn_studio.engine import data as pixels
    from ghn_studio.engine.devices import choose
    from ghn_studio.ghn.storage import load_ghn

    device = choose(request.device)
    ghn = load_ghn(card, device)
    data = yield from pixels.loading(request.dataset)
    return MeasuringBench(request, device, data, card, ghn)


def measure(bench: MeasuringBench, entry: Entry) -> Job[NetworkRecord]:
    """Measure one network, predicted and random; what fails is in the record's ``errors``."""
    found: list[Accuracy] = []
    errors: list[str] = []
    parameters = features = 0
    try:
        from ghn_studio.engine.execution import Plan

        plan = Plan(_network(bench, entry))
        shapes = {w.name: w.shape for w in plan.parameters if w.trainable}
        parameters = sum(map(prod, shapes.values()))
        features = shapes[f"{plan.head}.weight"][1] if plan.head else 0
        for init in ("ghn", "kaiming"):
            try:
                yield from _measure_start(bench, plan, init, entry.full, found)
            except GhnStudioError as error:
                errors.append(f"{init}: {error}")
    except GhnStudioError as error:
        errors.append(str(error))
    return NetworkRecord(entry.split, entry.network, parameters, features, tuple(found), tuple(errors))


@contextlib.contextmanager
def one_thread() -> Iterator[None]:
    """Compute with one thread for a while: results must not depend on how many processes share the work."""
    import torch

    from ghn_studio.engine.kernels import keep_compiled_kernels
    from ghn_studio.engine.memory import keep_freed_memory

    keep_compiled_kernels()
    keep_freed_memory()
    before = torch.get_num_threads()
    torch.set_num_threads(1)
    try:
        yield
    finally:
        torch.set_num_threads(before)


def _network(bench: MeasuringBench, entry: Entry) -> Architecture:
    classes, size = bench.data.info.class_count, bench.request.image_size
    if entry.split != entry.network:
        config = sampler_config(bench.card, bench.data.info, size)
        return sample(entry.split, int(entry.network.removeprefix(DEEPNETS).partition("/")[2]), config)
    # Networks of torchvision are made for the size, so that those for small images come adapted.
    wish = Wish(classes, (3, size, size) if size else None)
    graph = with_image_size(open_architecture(entry.network, wish).architecture, size)
    return with_classes(graph, classes, REGISTRY)


def _measure_start(bench: MeasuringBench, plan: Plan, init: str, full: bool, found: list[Accuracy]) -> Job[None]:
    """Add the accuracies of predicted or of random parameters to ``found``."""
    from ghn_studio.engine.evaluation import LABEL_PREDICTED, LABEL_RANDOM
    from ghn_studio.engine.measuring import measure as measure_values

    yield Progress("predicting" if init == "ghn" else "drawing")
    images = bench.images_for(plan)
    rows = bench.card.rows_for(bench.data.info)
    label: str | None = LABEL_PREDICTED if init == "ghn" else LABEL_RANDOM
    if init == "ghn" and rows is None:
        found.append(Accuracy(init, "predicted", LABEL_PREDICTED, len(images.test), None))
        label = None

    def report(one: Found) -> None:
        head = "closed-form" if one.is_closed_form else "predicted"
        found.append(Accuracy(init, head, one.label, one.images, one.accuracy))

    yield from measure_values(plan, _start(bench, plan, init, rows), images, label, report, full=full)


def _start(bench: MeasuringBench, plan: Plan, init: str, rows: tuple[int, int] | None) -> dict[str, Tensor]:
    seed = bench.request.seed
    if init == "ghn":
        from ghn_studio.ghn.prediction import predict_parameters

        return predict_parameters(bench.ghn, plan, seed, rows).values
    from ghn_studio.engine.initial import initial_tensor

    return {w.name: initial_tensor(w, seed).to(bench.device) for w in plan.parameters if w.trainable}
