"""Predict & Evaluate and Compare with SGD, from a click to a report; refusals come with the way out."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

from PySide6.QtCore import QObject, QTimer, Signal

from ghn_studio.app.document import Document
from ghn_studio.app.predicting import with_scales
from ghn_studio.app.requests import CompareRequest, FinetuneRequest, PredictRequest
from ghn_studio.app.results import CompareReport, FinetuneReport, PredictReport
from ghn_studio.app.tasks import task
from ghn_studio.datasets import DatasetInfo
from ghn_studio.engine.descent.curves import CurvePoint
from ghn_studio.errors import CheckpointError, DatasetError
from ghn_studio.ghn.cards import resolve
from ghn_studio.gui.banner import Message, Way
from ghn_studio.gui.exchange.held_values import HeldValues
from ghn_studio.gui.jobs.job_desk import Errand, JobDesk, message_for
from ghn_studio.gui.options_dialog import RUN_FIELDS, SGD_FIELDS, TUNE_FIELDS
from ghn_studio.gui.panels.advice import classes_fix, output_classes
from ghn_studio.gui.run_bar import RANDOM, Choices, RunBar
from ghn_studio.gui.wording import plural
from ghn_studio.ir.graph import Architecture
from ghn_studio.jobs import Job, Progress


class Predictions(QObject):
    """Makes requests of the run bar's choices and starts them. The network is taken as it is at the click."""

    predicted = Signal(object, object)  # report, architecture
    #: What a comparison or a fine-tuning began with: a result to show, not to keep in place of other values.
    measured = Signal(object, object)  # report, architecture
    compare_began = Signal()
    curve_line = Signal(object)
    curve_point = Signal(object)
    compared = Signal(object, object)  # report, architecture
    finetune_began = Signal(str)
    finetuned = Signal(object, object)  # report, architecture
    compare_stopped = Signal()
    message = Signal(object)

    def __init__(
        self, document: Document, bar: RunBar, desk: JobDesk, dataset: Callable[[], DatasetInfo], parent: QObject
    ) -> None:
        super().__init__(parent)
        self._document, self._bar, self._desk, self._dataset = document, bar, desk, dataset

    def choices(self, again: Callable[[], None]) -> Choices | None:
        """What the bar is set to, if it fits the network; else None, after saying what to do and then ``again``."""
        choices = self._bar.choices()
        return None if self._refused(choices, self._document.graph, again) else choices

    def predict(self) -> None:
        """Predict the network on the canvas and evaluate it."""
        choices, graph = self.choices(self.predict), self._document.graph
        if choices is None:
            return
        request = PredictRequest(**_common(choices, RUN_FIELDS))
        self._desk.start(Errand(
            "Predict & Evaluate", lambda: with_scales(task("predict").start(request, graph, record=True), graph),
            lambda report: self.predicted.emit(report, graph),
        ))

    def compare(self) -> None:
        """Predict, then train the same network from a random start."""
        choices, graph = self.choices(self.compare), self._document.graph
        if choices is None:
            return
        common = _common(choices, RUN_FIELDS + SGD_FIELDS)
        request = CompareRequest(**common, steps=choices.steps, minutes=choices.minutes)
        errand = Errand(
            "Compare with SGD", lambda: task("compare").start(request, graph, record=True),
            lambda report: self._on_compared(report, graph),
            progressed=lambda progress: self._on_progress(progress, graph),
            cancelled=self.compare_stopped.emit,
        )
        if self._desk.start(errand):
            self.compare_began.emit()

    def finetune(self, held: HeldValues | None = None) -> None:
        """Train on from the values held, if they are the network's, or else from a prediction."""
        choices, graph = self.choices(lambda: self.finetune(held)), self._document.graph
        if choices is None:
            return
        common = _common(choices, RUN_FIELDS + SGD_FIELDS + TUNE_FIELDS)
        request = FinetuneRequest(**common, steps=choices.steps, minutes=choices.minutes)
        own = held if held is not None and held.fit(graph) else None
        errand = Errand(
            "Fine-tune", lambda: _tuning(request, graph, own), lambda report: self._on_tuned(report, graph),
            progressed=lambda progress: self._on_progress(progress, graph),
            cancelled=self.compare_stopped.emit,
        )
        if self._desk.start(errand):
            start = "the parameters it has" if own is not None else "a prediction"
            self.finetune_began.emit(f"Training on from {start}…")

    def follow(self, title: str, job: Callable[[], Job[Any]], graph: Architecture, *, has_curve: bool) -> None:
        """Run a prediction, comparison or fine-tuning that somebody else made, for a network of its own."""
        errand = Errand(
            title, job, lambda report: self._on_report(report, graph),
            progressed=lambda progress: self._on_progress(progress, graph),
            cancelled=self.compare_stopped.emit if has_curve else lambda: None,
        )
        if self._desk.start(errand) and has_curve:
            self.finetune_began.emit(f"{title}…")

    def _on_report(self, report: object, graph: Architecture) -> None:
        if isinstance(report, FinetuneReport):
            self._on_tuned(report, graph)
        elif isinstance(report, CompareReport):
            self._on_compared(report, graph)
        elif isinstance(report, PredictReport):
            self.predicted.emit(report, graph)

    def _on_tuned(self, report: FinetuneReport, graph: Architecture) -> None:
        if report.outcome is not None:
            self.predicted.emit(report.outcome, graph)
        self.finetuned.emit(report, graph)

    def _on_progress(self, progress: Progress, graph: Architecture) -> None:
        if isinstance(progress.partial, PredictReport):
            report = progress.partial
            self.measured.emit(report, graph)
            # In a turn of its own: showing a result and drawing a curve together would take too long.
            QTimer.singleShot(0, self, lambda: self.curve_line.emit(report))
        elif isinstance(progress.partial, CurvePoint):
            self.curve_point.emit(progress.partial)

    def _on_compared(self, report: CompareReport, graph: Architecture) -> None:
        if report.prediction is not None:
            self.measured.emit(report.prediction, graph)
        self.compared.emit(report, graph)

    def _refused(self, choices: Choices, graph: Architecture, again: Callable[[], None]) -> bool:
        """Say what does not fit together, before any work; a fix makes the change and tries again."""
        try:
            info = self._dataset()
        except DatasetError as error:
            self.message.emit(message_for("The dataset", error))
            return True
        found = _ghn_refusal(choices, info, self._bar, again) or self._class_refusal(graph, info, again)
        if found is not None:
            self.message.emit(found)
        return found is not None

    def _class_refusal(self, graph: Architecture, info: DatasetInfo, again: Callable[[], None]) -> Message | None:
        classes = output_classes(graph, self._document.shapes)
        if classes is None or not info.classes or classes == info.class_count:
            return None
        text = f"The network tells {plural(classes, 'class')} apart, but {info.title} has {info.class_count}."
        fix = classes_fix(graph, self._document.ops, info.class_count, "Replace the classifier")
        if fix is None:
            return Message(f"{text} End the network in a Linear layer with {info.class_count} outputs.")

        def replace_classifier() -> None:
            if fix.apply(self._document):
                again()

        return Message(text, ways=(Way("Replace the classifier", replace_classifier),))


def _tuning(request: FinetuneRequest, graph: Architecture, held: HeldValues | None) -> Job[FinetuneReport]:
    """The job of fine-tuning: a task like any other, or one that goes on from values that no file holds."""
    if held is None:
        return task("finetune").start(request, graph, record=True)
    from ghn_studio.app.finetuning import given_of
    from ghn_studio.app.recording import recorded_as

    given = given_of(held.tensors, held.origin)
    return recorded_as(task("finetune"), request, graph, given)


def _common(choices: Choices, options: tuple[str, ...]) -> dict[str, Any]:
    """What both requests share, and those of the further options that the request knows."""
    return {
        "ghn": choices.ghn, "dataset": choices.dataset, "device": choices.device, "head": choices.head,
        "init": choices.init, **{name: value for name, value in choices.options.items() if name in options},
    }


def _ghn_refusal(choices: Choices, info: DatasetInfo, bar: RunBar, again: Callable[[], None]) -> Message | None:
    """A GHN predicts the classifier of its own dataset only; its features serve any other."""
    if choices.init == RANDOM:
        return None
    try:
        card = resolve(choices.ghn, choices.dataset)
    except CheckpointError as error:
        def random_start() -> None:
            bar.choose(ghn=RANDOM)
            again()

        return Message(f"No hypernetwork can be used: {error}.", ways=(Way("Use a random start", random_start),))
    if choices.head != "predicted" or card.rows_for(info) is not None:
        return None

    def closed_form() -> None:
        bar.choose(head="closed-form")
        again()

    return Message(
        f"{card.title} predicts the classifier for {card.dataset}, not for {info.title}. "
        "A head in closed form, fitted to training images in one step, works for every dataset.",
        ways=(Way("Use closed-form head", closed_form),),
    )
