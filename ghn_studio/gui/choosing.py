"""What the run bar cannot answer by itself: image folders, hypernetworks by folder, further options."""

from __future__ import annotations

from pathlib import Path

from PySide6.QtCore import QObject, Qt, Signal
from PySide6.QtWidgets import QFileDialog, QWidget

from ghn_studio.app.importing.reading import DEFAULT_SIZE
from ghn_studio.datasets import DatasetInfo, describe
from ghn_studio.errors import DatasetError
from ghn_studio.gui.jobs.job_desk import Errand, JobDesk
from ghn_studio.gui.options_dialog import OptionsDialog, defaults
from ghn_studio.gui.run_bar import RunBar
from ghn_studio.gui.settings import Settings
from ghn_studio.jobs import Job, Progress


class Choosing(QObject):
    """Asks, reads, and tells the bar. Keeps what it learnt about datasets."""

    message = Signal(object)
    #: The folder of a hypernetwork.
    ghn_chosen = Signal(object)

    def __init__(self, bar: RunBar, desk: JobDesk, settings: Settings, window: QWidget) -> None:
        super().__init__(window)
        self._bar, self._desk, self._settings, self._window = bar, desk, settings, window
        self._infos: dict[str, DatasetInfo] = {}
        bar.folder_requested.connect(self.ask_for_folder)
        bar.ghn_folder_requested.connect(self.ask_for_ghn)
        bar.options_requested.connect(self.ask_for_options)

    def dataset(self) -> DatasetInfo:
        """What is known about the chosen dataset.

        Raises:
            DatasetError: It is not there any more.
        """
        name = self._bar.choices().dataset
        if name not in self._infos:
            self._infos[name] = describe(name)
        return self._infos[name]

    def image_size(self) -> int:
        """Height and width, px, of the chosen dataset's images; a usual one where it is not there any more."""
        try:
            return max(self.dataset().shape[1:])
        except DatasetError:
            return DEFAULT_SIZE

    def ask_for_folder(self) -> None:
        """Ask for an image folder."""
        folder = QFileDialog.getExistingDirectory(self._window, "Image folder", str(self._settings.last_folder))
        if folder:
            self.use_folder(Path(folder))

    def use_folder(self, folder: Path) -> None:
        """Read what an image folder holds, as a job, and choose it as the dataset."""
        name = f"folder:{folder}"

        def job() -> Job[DatasetInfo]:
            yield Progress("looking at the images")
            return describe(name)

        def chosen(info: DatasetInfo) -> None:
            self._infos[name] = info
            self._bar.add_folder(name, folder.name)

        self._desk.start(Errand("Image folder", job, chosen, needs_torch=False))

    def ask_for_ghn(self) -> None:
        """Ask for the folder of a hypernetwork."""
        folder = QFileDialog.getExistingDirectory(self._window, "GHN folder", str(self._settings.last_folder))
        if folder:
            self.ghn_chosen.emit(Path(folder))

    def ask_for_options(self) -> None:
        """Open the dialog of further options."""
        dialog = OptionsDialog(self._bar.choices().options, self._window)
        dialog.setAttribute(Qt.WidgetAttribute.WA_DeleteOnClose)
        plain = defaults()
        dialog.accepted.connect(lambda: self._bar.set_options(
            {name: value for name, value in dialog.values.items() if value != plain[name]}
        ))
        dialog.open()
