"""Settings: what takes effect at once does, and what waits for the next start says so."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING

from PySide6.QtCore import Qt
from PySide6.QtWidgets import (
    QComboBox,
    QDialog,
    QDialogButtonBox,
    QFileDialog,
    QFormLayout,
    QHBoxLayout,
    QLineEdit,
    QPushButton,
    QSpinBox,
    QVBoxLayout,
)

from ghn_studio import paths
from ghn_studio.gui import theme
from ghn_studio.gui.dialogs import calm
from ghn_studio.gui.look import label
from ghn_studio.gui.settings import DATA_KEY, DATA_VARIABLE, SCALES, apply_threads

if TYPE_CHECKING:
    from ghn_studio.gui.main_window import MainWindow

_THEMES = {"system": "As the system", "light": "Light", "dark": "Dark"}


class SettingsDialog(QDialog):
    """One form; every change is kept at once."""

    def __init__(self, window: MainWindow) -> None:
        super().__init__(window)
        self.setObjectName("dialog.settings")
        self.setAttribute(Qt.WidgetAttribute.WA_DeleteOnClose)
        self.setWindowTitle("Settings")
        self.setMinimumWidth(520)
        self._window, self._settings = window, window.settings
        self.theme = QComboBox()
        for mode, title in _THEMES.items():
            self.theme.addItem(title, mode)
        self.scale = QComboBox()
        for value in SCALES:
            self.scale.addItem(f"{float(value):.0%}" if value else "As the system", value)
        self.threads = QSpinBox()
        self.threads.setRange(0, 256)
        self.threads.lineEdit().setTextMargins(6, 0, 0, 0)
        self.threads.setSpecialValueText("All cores but one")
        self.threads.setToolTip("What PyTorch computes with; one core left over keeps the window quick")
        self.data = QLineEdit(readOnly=True)
        self.choose = QPushButton("Choose…")
        self.choose.clicked.connect(self._on_choose)
        self.note = label("", "muted", wrap=True)
        self.note.setObjectName("settings.note")
        row = QHBoxLayout()
        row.addWidget(self.data, 1)
        row.addWidget(self.choose)
        form = QFormLayout()
        form.setVerticalSpacing(10)
        for name, title, widget in (("theme", "Theme", self.theme), ("scale", "Size of everything", self.scale),
                                    ("threads", "Threads", self.threads)):
            widget.setObjectName(f"settings.{name}")
            widget.setAccessibleName(title)
            form.addRow(title, widget)
        self.data.setObjectName("settings.data")
        self.data.setAccessibleName("Data folder")
        form.addRow("Data folder", row)
        buttons = QDialogButtonBox(QDialogButtonBox.StandardButton.Close)
        reset = buttons.addButton("Defaults", QDialogButtonBox.ButtonRole.ResetRole)
        reset.clicked.connect(self.reset)
        buttons.rejected.connect(self.close)
        column = QVBoxLayout(self)
        column.setContentsMargins(20, 18, 20, 16)
        column.setSpacing(14)
        column.addLayout(form)
        column.addWidget(label("Numbers are written with a point and commas in every language.", "muted"))
        column.addWidget(self.note)
        column.addWidget(buttons)
        calm(self)
        self._show()
        self.theme.activated.connect(lambda _: self._window.set_theme(self.theme.currentData()))
        self.scale.activated.connect(self._on_scale)
        self.threads.valueChanged.connect(self._on_threads)

    def reset(self) -> None:
        """Bring the defaults back."""
        self._window.set_theme("system")
        self._settings.set_text("ui/scale", "")
        self._settings.set_text(DATA_KEY, "")
        self.threads.setValue(0)
        self._show()
        self._note()

    def use_folder(self, folder: Path) -> None:
        """Keep runs, data sets and hypernetworks there from the next start on. Nothing is moved."""
        self._settings.set_text(DATA_KEY, str(folder))
        self.data.setText(str(folder))
        self._note()

    def _show(self) -> None:
        settings = self._settings
        self.theme.setCurrentIndex(max(0, self.theme.findData(theme.current().mode)))
        self.scale.setCurrentIndex(max(0, self.scale.findData(settings.text("ui/scale", ""))))
        self.threads.setValue(settings.threads)
        overridden = paths.is_data_chosen_outside()
        self.data.setText(settings.text(DATA_KEY, "") if not overridden else "")
        self.data.setPlaceholderText(str(paths.user_data()))
        self.choose.setEnabled(not overridden)
        self.choose.setToolTip(f"{DATA_VARIABLE} names the folder, and goes before what is chosen here." if overridden
                               else "Runs, data sets and hypernetworks of your own are kept there")

    def _on_scale(self) -> None:
        self._settings.set_text("ui/scale", self.scale.currentData())
        self._note()

    def _on_threads(self, count: int) -> None:
        self._settings.threads = count
        apply_threads(self._settings)

    def _on_choose(self) -> None:
        folder = QFileDialog.getExistingDirectory(self, "Data folder", str(paths.user_data()))
        if folder:
            self.use_folder(Path(folder))

    def _note(self) -> None:
        self.note.setText("The size and the data folder take effect at the next start. What lies in the folder of now "
                          "stays there: move it yourself if you want it along.")
