"""Downloading a dataset that is chosen in the run bar and is not here yet."""

from __future__ import annotations

from functools import partial

from PySide6.QtCore import QObject, Signal
from PySide6.QtWidgets import QMessageBox, QWidget

from ghn_studio.app.catalogues import datasets
from ghn_studio.app.requests import DownloadDatasetRequest
from ghn_studio.app.results import DownloadDatasetReport
from ghn_studio.app.tasks import task
from ghn_studio.datasets.published import PUBLISHED, PublishedImages
from ghn_studio.gui.banner import Message
from ghn_studio.gui.jobs.job_desk import Errand, JobDesk
from ghn_studio.gui.run_bar import RunBar
from ghn_studio.gui.wording import size_text


class DatasetDownloads(QObject):
    """Asks, downloads as a job, and chooses the dataset when it is here. Cancelling is pausing: nothing is lost."""

    message = Signal(object)

    def __init__(self, bar: RunBar, desk: JobDesk, window: QWidget) -> None:
        super().__init__(window)
        self._bar, self._desk, self._window = bar, desk, window
        bar.missing_dataset_chosen.connect(self.ask)

    def ask(self, name: str) -> None:
        """Ask whether a dataset is to be downloaded, or its download to go on."""
        images = PUBLISHED[name]
        begun = images.begun_bytes
        buttons = QMessageBox.StandardButton
        what = f"Download the other {size_text(max(0, images.bytes - begun))}?" if begun else \
            f"Download {size_text(images.bytes)}?"
        box = QMessageBox(QMessageBox.Icon.Question, f"Download {images.info.title}", what,
                          buttons.Ok | buttons.Cancel, self._window)
        box.setObjectName("dialog.download")
        here = f"{size_text(begun)} are here already. " if begun else ""
        box.setInformativeText(
            f"{images.info.title} is not on this machine. {here}It goes to {images.folder}. The download can be "
            "cancelled at any time; choosing the dataset again goes on from there."
        )
        box.button(buttons.Ok).setText("Download")
        box.finished.connect(lambda answer: self.download(name) if answer == buttons.Ok else None)
        box.finished.connect(box.deleteLater)
        box.open()

    def download(self, name: str) -> None:
        """Download a dataset, or go on with it."""
        images = PUBLISHED[name]
        errand = Errand(
            f"Download {images.info.title}",
            lambda: task("download-dataset").start(DownloadDatasetRequest(name=name)),
            self._on_here, cancelled=partial(self._on_paused, images), failed=self._show_states,
        )
        if not self._desk.start(errand):
            self.message.emit(Message(f"{self._desk.title} is still running; choose {name} again when it is done.",
                                      "info"))

    def _on_here(self, report: DownloadDatasetReport) -> None:
        self._show_states()
        self._bar.choose(dataset=report.name)
        self.message.emit(Message(f"{report.title} is here ({size_text(report.bytes)}) and chosen.", "ok"))

    def _on_paused(self, images: PublishedImages) -> None:
        self._show_states()
        kept = f"{size_text(images.begun_bytes)} of {size_text(images.bytes)} are here; choosing it again goes on."
        self.message.emit(Message(f"The download of {images.info.title} is paused. {kept}", "info"))

    def _show_states(self) -> None:
        self._bar.show_states(datasets())
