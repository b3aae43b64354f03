"""Adding, downloading, deleting and choosing hypernetworks, from the panel's buttons to the run bar's list."""

from __future__ import annotations

from pathlib import Path
from typing import Any

from PySide6.QtCore import QObject, Signal
from PySide6.QtWidgets import QFileDialog, QInputDialog, QMessageBox, QWidget

from ghn_studio.app.catalogues import ghns, suited_ghn
from ghn_studio.app.requests import AddGhnRequest, DownloadGhnRequest, RemoveGhnRequest
from ghn_studio.app.results import AddGhnReport
from ghn_studio.app.tasks import task
from ghn_studio.errors import CheckpointError
from ghn_studio.ghn.cards import CARD_FILE, Card, read_card
from ghn_studio.gui.banner import Message
from ghn_studio.gui.ghns.ghn_entries import GhnEntry, entries
from ghn_studio.gui.ghns.hypernetworks_panel import HypernetworksPanel
from ghn_studio.gui.jobs.job_desk import Errand, JobDesk, message_for
from ghn_studio.gui.run_bar import RunBar
from ghn_studio.gui.settings import Settings
from ghn_studio.gui.wording import size_text
from ghn_studio.jobs import Progress

GHN_FILTER = "Hypernetworks (*.pt *.pth *.joblib *.pkl);;All files (*)"


class Hypernetworks(QObject):
    """Keeps panel and run bar in step with what is installed."""

    message = Signal(object)
    continue_requested = Signal(object)  # a folder

    def __init__(
        self, panel: HypernetworksPanel, bar: RunBar, desk: JobDesk, settings: Settings, window: QWidget
    ) -> None:
        super().__init__(window)
        self._panel, self._bar, self._desk, self._settings, self._window = panel, bar, desk, settings, window
        self._folders: dict[Path, Card] = {}
        panel.card.use_requested.connect(self.use)
        panel.card.download_requested.connect(self.download)
        panel.card.delete_requested.connect(self.ask_to_delete)
        panel.card.continue_requested.connect(lambda entry: self.continue_requested.emit(entry.card.folder))
        panel.card.cancel_requested.connect(desk.cancel)
        panel.list.activated_entry.connect(self._on_activated)
        desk.changed.connect(lambda: panel.set_busy(desk.is_running))

    def refresh(self, name: str = "") -> None:
        """Read what is installed and show it, the one called ``name`` chosen in the panel."""
        chosen = self._bar.ghn.currentData()
        self._bar.set_ghns(ghns(), suited_ghn(self._bar.choices().dataset))
        for folder, card in self._folders.items():
            self._bar.add_ghn(str(folder), _bar_entry(card))
        if self._folders:
            self._bar.choose(ghn=chosen)
        self._panel.show_entries(entries(self._folders.values()), name)

    def written(self, folder: Path) -> None:
        """Show a hypernetwork that a training wrote, wherever it lies."""
        if (folder / CARD_FILE).is_file():  # else the run ended before it had anything to keep
            self._know(folder)
            self.refresh(folder.name)

    def use(self, entry: GhnEntry) -> None:
        """Choose an installed hypernetwork in the run bar."""
        assert entry.card is not None and entry.card.folder is not None
        self.use_folder(entry.card.folder)

    def use_folder(self, folder: Path) -> None:
        """Choose the hypernetwork in a folder, which need not be a usual one."""
        try:
            card = self._know(folder)
        except CheckpointError as error:
            self.message.emit(message_for("GHN folder", error))
            return
        self.refresh(card.name)
        self._bar.choose(ghn=str(folder) if folder in self._folders else card.name)
        self.message.emit(Message(f"{card.title} ({card.name}) is used from now on.", "info"))

    def _know(self, folder: Path) -> Card:
        """Read a card; remember one that lies where nobody would look."""
        card = read_card(folder)
        if not any(Path(entry["folder"]) == folder for entry in ghns()):
            self._folders[folder] = card
        return card

    def ask_to_add(self) -> None:
        """Ask for a file and a name, and add it."""
        text, _ = QFileDialog.getOpenFileName(
            self._window, "Add a hypernetwork", str(self._settings.last_folder), GHN_FILTER
        )
        if not text:
            return
        name, good = QInputDialog.getText(self._window, "Add a hypernetwork", "Name of the hypernetwork",
                                          text=Path(text).stem.replace("_", "-"))
        if good and name.strip():
            self.add(Path(text), name.strip())

    def add(self, file: Path, name: str) -> None:
        """Convert a file and keep it under a name."""
        self._settings.last_folder = file.resolve().parent
        self._start(f"Add {file.name}", "add-ghn", AddGhnRequest(file=str(file), to=name), name)

    def download(self, entry: GhnEntry) -> None:
        """Fetch a published hypernetwork; one that was interrupted goes on where it stopped."""
        self._start(f"Download {entry.name}", "download-ghn", DownloadGhnRequest(name=entry.name), entry.name)

    def ask_to_delete(self, entry: GhnEntry) -> None:
        """Delete a hypernetwork once a person has said so."""
        buttons = QMessageBox.StandardButton
        box = QMessageBox(QMessageBox.Icon.Warning, "Delete a hypernetwork", f"Delete “{entry.title}”?",
                          buttons.Discard | buttons.Cancel, self._window)
        box.setObjectName("dialog.delete")
        what = " with its checkpoints and training curve" if entry.can_go_on else ""
        box.setInformativeText(f"{entry.name}{what} is removed from the disk. This cannot be undone.")
        box.button(buttons.Discard).setText("Delete")
        box.setDefaultButton(buttons.Cancel)
        box.finished.connect(lambda answer: self.delete(entry) if answer == buttons.Discard else None)
        box.finished.connect(box.deleteLater)
        box.open()

    def delete(self, entry: GhnEntry) -> None:
        """Delete a hypernetwork of the user's own."""
        errand = Errand(
            f"Delete {entry.name}", lambda: task("remove-ghn").start(RemoveGhnRequest(name=entry.name)),
            lambda report: self._on_deleted(entry, report.bytes), needs_torch=False,
        )
        self._desk.start(errand)

    def _start(self, title: str, job: str, request: Any, name: str) -> None:
        def end(report: AddGhnReport) -> None:
            self._panel.show_work(name, None)
            self._on_added(report)

        errand = Errand(
            title, lambda: task(job).start(request), end,
            progressed=lambda progress: self._panel.show_work(name, progress),
            cancelled=lambda: self._panel.show_work(name, None), failed=lambda: self._panel.show_work(name, None),
        )
        if self._desk.start(errand):
            self._panel.show_work(name, Progress("getting ready"))

    def _on_added(self, report: AddGhnReport) -> None:
        self.refresh(report.name)
        if report.added:
            text = f"{report.title} was added as {report.name}."
        else:
            text = f"The very same file is there already, as {report.name}."
        self.message.emit(Message(text, "ok" if report.added else "info"))

    def _on_deleted(self, entry: GhnEntry, freed: int) -> None:
        self.refresh()
        self.message.emit(Message(f"{entry.name} was deleted, {size_text(freed)} are free again.", "ok"))

    def _on_activated(self, entry: GhnEntry | None) -> None:
        if entry is not None and entry.card is not None:
            self.use(entry)


def _bar_entry(card: Card) -> dict[str, Any]:
    return {"name": card.name, "title": card.title, "dataset": card.dataset, "created": card.created}
