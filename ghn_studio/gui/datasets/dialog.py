"""The data sets in a window of their own. Downloads run beside whatever else does."""

from __future__ import annotations

import time
from typing import TYPE_CHECKING, Any

from PySide6.QtCore import QSize, Qt
from PySide6.QtGui import QShowEvent
from PySide6.QtWidgets import (
    QDialog,
    QFrame,
    QHBoxLayout,
    QListWidget,
    QListWidgetItem,
    QMessageBox,
    QProgressBar,
    QPushButton,
    QScrollArea,
    QVBoxLayout,
    QWidget,
)

from ghn_studio.app.catalogues import datasets
from ghn_studio.app.requests import DownloadDatasetRequest, RemoveDatasetRequest
from ghn_studio.app.tasks import task
from ghn_studio.datasets.published import PUBLISHED
from ghn_studio.gui.datasets.preview import Looked, PreviewGrid, looking
from ghn_studio.gui.dialogs import calm
from ghn_studio.gui.jobs.background import Background
from ghn_studio.gui.look import label
from ghn_studio.gui.wording import duration, plural, size_text
from ghn_studio.jobs import Progress

if TYPE_CHECKING:
    from ghn_studio.gui.main_window import MainWindow

class DatasetsDialog(QDialog):
    """A list with states on the left, the chosen data set on the right. Closed, it pauses what it downloads."""

    def __init__(self, window: MainWindow) -> None:
        super().__init__(window)
        self.setObjectName("dialog.datasets")
        self.setWindowTitle("Data sets")
        self.resize(860, 560)
        self._window = window
        self._fetcher, self._looker = Background(self), Background(self)
        self._fetched = ""
        self._began = (0.0, 0.0)
        self._looked: dict[str, Looked] = {}
        self._faults: dict[str, str] = {}
        self.list = QListWidget()
        self.list.setObjectName("datasets.list")
        self.list.setAccessibleName("Data sets")
        self.list.setFixedWidth(260)
        self.list.setTextElideMode(Qt.TextElideMode.ElideNone)
        self.title, self.state = label("", "heading", wrap=True), label("", wrap=True)
        self.state.setObjectName("datasets.state")
        self.source = label("", "muted", wrap=True)
        self.source.setTextInteractionFlags(Qt.TextInteractionFlag.TextSelectableByMouse)
        self.bar = QProgressBar(textVisible=False)
        self.bar.setProperty("thin", True)
        self.speed = label("", "muted")
        self.fetch, self.pause, self.delete, self.use, self.look, self.folder = (
            QPushButton(text) for text in ("Download", "Pause", "Delete…", "Use", "Show images", "Add image folder…")
        )
        for name, button, act in (
            ("fetch", self.fetch, self.download), ("pause", self.pause, self.stop), ("delete", self.delete, self._ask),
            ("use", self.use, self._use), ("look", self.look, self.show_images), ("folder", self.folder, self._add),
        ):
            button.setObjectName(f"datasets.{name}")
            button.clicked.connect(act)
        self.preview = PreviewGrid()
        self.notes = label("", "muted", wrap=True)
        self._lay_out()
        calm(self)
        self.list.currentItemChanged.connect(lambda *_: self._show())
        self.refresh()
        self.list.setCurrentRow(0)

    def refresh(self) -> None:
        """Read what is here."""
        chosen = self.name
        self.list.blockSignals(True)
        self.list.clear()
        for entry in self._entries():
            item = QListWidgetItem(f"{entry['title'].partition(' (')[0]}\n{_state(entry, self._fetching)}")
            item.setData(Qt.ItemDataRole.UserRole, entry["name"])
            item.setToolTip(entry["source"])
            item.setSizeHint(QSize(0, 46))
            self.list.addItem(item)
            if entry["name"] == chosen:
                self.list.setCurrentItem(item)
        self.list.blockSignals(False)
        self._show()

    @property
    def name(self) -> str:
        """The chosen data set."""
        item = self.list.currentItem()
        return str(item.data(Qt.ItemDataRole.UserRole)) if item is not None else ""

    @property
    def _fetching(self) -> str:
        """What is being downloaded, or ""."""
        return self._fetched if self._fetcher.is_running else ""

    def download(self) -> None:
        """Download the chosen data set, or go on with it, beside other jobs."""
        name = self.name
        job = task("download-dataset").start(DownloadDatasetRequest(name=name))
        self._faults.pop(name, None)
        if self._fetcher.start(job, self._on_progress, finished=self._on_end,
                               failed=lambda error: self._faults.update({name: str(error)})):
            self._fetched = name
            self._began = (time.monotonic(), 0.0)
            self.bar.setRange(0, 0)
            self.refresh()

    def stop(self) -> None:
        """Pause: what is here stays, and the download goes on from there."""
        self._fetcher.cancel()
        self.pause.setEnabled(False)
        self.speed.setText("Stopping…")

    def show_images(self) -> None:
        """Pick some images of each class."""
        name = self.name
        if not self._window.loader.is_loaded:
            self._window.loader.start()
            self.notes.setText("PyTorch is being loaded; try again in a moment.")
            return
        self._faults.pop(name, None)
        self.look.setEnabled(False)
        self.notes.setText("Looking at the images…")
        self._looker.start(
            looking(name), succeeded=lambda found: self._looked.update({name: found}), finished=self._show,
            failed=lambda error: self._faults.update({name: str(error)}),
        )

    def remove(self) -> None:
        """Delete the chosen data set."""
        self._looked.pop(self.name, None)
        name = self.name
        self._fetcher.start(
            task("remove-dataset").start(RemoveDatasetRequest(name=name)), finished=self._on_end,
            failed=lambda error: self._faults.update({name: str(error)}),
        )

    def done(self, answer: int) -> None:
        """Pause what is being downloaded, and go: by the close button or by Escape."""
        self._fetcher.cancel()
        self._looker.cancel()
        super().done(answer)

    def stop_work(self, timeout_s: float) -> None:
        """End what runs; call when the window closes."""
        self._fetcher.stop(timeout_s)
        self._looker.stop(timeout_s)

    def showEvent(self, event: QShowEvent) -> None:
        """Look at what is here now."""
        super().showEvent(event)
        self.refresh()

    def _lay_out(self) -> None:
        page = QWidget()
        column = QVBoxLayout(page)
        column.setContentsMargins(4, 0, 8, 0)
        column.setSpacing(8)
        row = QHBoxLayout()
        for button in (self.fetch, self.pause, self.use, self.look, self.delete):
            row.addWidget(button)
        row.addStretch(1)
        for widget in (self.title, self.state, self.source):
            column.addWidget(widget)
        column.addLayout(row)
        column.addWidget(self.bar)
        column.addWidget(self.speed)
        column.addWidget(self.preview)
        column.addWidget(self.notes)
        column.addStretch(1)
        area = QScrollArea(widgetResizable=True)
        area.setFrameShape(QFrame.Shape.NoFrame)
        area.setWidget(page)
        left = QVBoxLayout()
        left.addWidget(self.list, 1)
        left.addWidget(self.folder)
        layout = QHBoxLayout(self)
        layout.setContentsMargins(16, 16, 16, 16)
        layout.setSpacing(16)
        layout.addLayout(left)
        layout.addWidget(area, 1)

    def _entries(self) -> list[dict[str, Any]]:
        known = datasets()
        folders = self._window.run_bar.folders()
        return [*known, *({"name": name, "title": title, "classes": 0, "shape": (), "source": name[7:],
                           "installed": True, "bytes": 0, "begun_bytes": 0} for name, title in folders)]

    def _show(self) -> None:
        """Show the chosen data set as it is now."""
        name = self.name
        entry = next((e for e in self._entries() if e["name"] == name), None)
        if entry is None:
            return
        here, running = entry["installed"], self._fetching == name
        self.title.setText(entry["title"])
        self.source.setText(entry["source"])
        looked = self._looked.get(name)
        facts = [f"{plural(entry['classes'], 'class')}, images of {'×'.join(map(str, entry['shape']))}"] if (
            entry["classes"]) else []
        if looked is not None:
            facts.append("{:,} for training, {:,} for validation, {:,} for testing".format(*looked.counts))
        fault = self._faults.get(name, "")
        self.state.setText("\n".join(filter(None, (_sentence(_state(entry, self._fetching)), *facts, fault))))
        is_published = name in PUBLISHED
        self.fetch.setVisible(is_published and not here and not running)
        self.fetch.setText("Try again" if fault else "Go on" if entry["begun_bytes"] else "Download")
        self.fetch.setEnabled(not self._fetcher.is_running)
        self.fetch.setToolTip("Another data set is being downloaded." if self._fetcher.is_running else
                              f"{size_text(entry['bytes'])}, to {PUBLISHED[name].folder}" if is_published else "")
        self.pause.setVisible(running)
        self.pause.setEnabled(True)
        self.delete.setVisible(is_published and entry["begun_bytes"] > 0 and not running)
        self.use.setVisible(here)
        self.look.setVisible(here)
        self.look.setEnabled(not self._looker.is_running)
        self.bar.setVisible(running)
        self.speed.setVisible(running)
        self.preview.setVisible(looked is not None)
        self.notes.setText("\n".join(looked.notes) if looked is not None else "")
        if looked is not None:
            self.preview.show_images(looked.classes, looked.images)

    def _on_progress(self, progress: Progress) -> None:
        if progress.unit == "B" and progress.total:
            self.bar.setRange(0, 1000)
            self.bar.setValue(round(1000 * progress.done / progress.total))
            began, first = self._began
            if not first:
                self._began = (time.monotonic(), progress.done)
            elif time.monotonic() - began > 1:
                rate = (progress.done - first) / (time.monotonic() - began)
                left = f", {duration((progress.total - progress.done) / rate)} left" if rate > 0 else ""
                self.speed.setText(f"{size_text(int(progress.done))} of {size_text(int(progress.total))}, "
                                   f"{size_text(int(rate))} a second{left}")

    def _on_end(self) -> None:
        self.speed.clear()
        self._window.run_bar.show_states(datasets())
        self.refresh()

    def _ask(self) -> None:
        images = PUBLISHED[self.name]
        buttons = QMessageBox.StandardButton
        box = QMessageBox(QMessageBox.Icon.Question, "Delete a data set", f"Delete {images.info.title}?",
                          buttons.Discard | buttons.Cancel, self)
        box.setObjectName("dialog.delete")
        box.setInformativeText(f"{size_text(images.begun_bytes)} are freed; it can be downloaded again.")
        box.button(buttons.Discard).setText("Delete")
        box.finished.connect(lambda answer: self.remove() if answer == buttons.Discard else None)
        box.finished.connect(box.deleteLater)
        box.open()

    def _use(self) -> None:
        self._window.run_bar.choose(dataset=self.name)

    def _add(self) -> None:
        self._window.choosing.ask_for_folder()
        self.refresh()


def _sentence(text: str) -> str:
    return f"{text[:1].upper()}{text[1:]}."


def _state(entry: dict[str, Any], fetching: str) -> str:
    if entry["name"] == fetching:
        return "is being downloaded"
    if entry["installed"]:
        return f"here, {size_text(entry['bytes'])}" if entry["bytes"] else "here"
    if entry["begun_bytes"]:
        return f"{size_text(entry['begun_bytes'])} of {size_text(entry['bytes'])} here"
    return f"not here, {size_text(entry['bytes'])}"
