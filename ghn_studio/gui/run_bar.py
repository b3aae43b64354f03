"""The bar that runs things: what to predict with and on, the primary button, and progress while something runs."""

from __future__ import annotations

import time
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from functools import partial
from typing import Any

from PySide6.QtCore import QSize, Qt, Signal
from PySide6.QtGui import QAction
from PySide6.QtWidgets import (
    QComboBox,
    QHBoxLayout,
    QLabel,
    QMenu,
    QProgressBar,
    QToolButton,
    QWidget,
)

from ghn_studio.app.requests import DEVICES, HEADS
from ghn_studio.gui import icons, theme
from ghn_studio.gui.choice_box import ChoiceBox
from ghn_studio.gui.jobs.eta import RemainingTime
from ghn_studio.gui.look import ElidedLabel, action_button, label
from ghn_studio.gui.wording import duration, remaining, size_text
from ghn_studio.jobs import Progress

Entry = dict[str, Any]

#: The entry of the GHN list that predicts nothing.
RANDOM = "kaiming"
#: The entry of the dataset list that asks for a folder.
OTHER_FOLDER = "folder:"
MANAGE = "manage:"
#: The entry of the GHN list that asks for a folder.
OTHER_GHN = "ghn-folder:"

#: Role of a dataset's entry: True if it has to be downloaded.
_MISSING = Qt.ItemDataRole.UserRole + 1

#: Narrower windows leave the titles of the lists out, still narrower ones words on the buttons, then in the lists.
ROOMY_WIDTH, TIGHT_WIDTH, CRAMPED_WIDTH = 1440, 1240, 1020

_HEAD_TITLES = {"predicted": "Predicted", "closed-form": "Closed form"}
_DEVICE_TITLES = {"auto": "Auto", "cpu": "CPU", "cuda": "CUDA", "mps": "MPS"}

#: What SGD may be given, as (title, steps, minutes).
BUDGETS: tuple[tuple[str, int | None, float | None], ...] = (
    ("100 steps", 100, None), ("300 steps", 300, None), ("1,000 steps", 1000, None),
    ("3,000 steps", 3000, None), ("1 minute", None, 1.0), ("5 minutes", None, 5.0),
)


@dataclass(frozen=True, slots=True)
class Choices:
    """What the bar is set to, in the words of :mod:`ghn_studio.app.requests`."""

    ghn: str = ""
    dataset: str = "digits"
    head: str = "predicted"
    device: str = "auto"
    init: str = "ghn"
    steps: int | None = 300
    minutes: float | None = None
    #: Options that differ from their defaults, by the names of their request's fields.
    options: Mapping[str, Any] = field(default_factory=dict)


class RunBar(QWidget):
    """Reports what a person chose and shows progress; it decides nothing."""

    changed = Signal()
    folder_requested = Signal()
    manage_requested = Signal()
    #: Name of a dataset that has to be downloaded; the choice stays what it was.
    missing_dataset_chosen = Signal(str)
    ghn_folder_requested = Signal()
    options_requested = Signal()

    def __init__(self, predict: QAction, compare: QAction, cancel: QAction, parent: QWidget | None = None) -> None:
        super().__init__(parent)
        self.setObjectName("runBar")
        self.ghn = ChoiceBox("run.ghn", "Hypernetwork", 84, 200)
        self.dataset = ChoiceBox("run.dataset", "Dataset", 86, 150)
        self.head = ChoiceBox("run.head", "How the classifier is made", 104, 136)
        self.device = ChoiceBox("run.device", "Where to compute", 84, 92)
        for name in HEADS:
            self.head.addItem(_HEAD_TITLES.get(name, name), name)
        self.head.setItemData(0, "The GHN predicts the classifier too.", Qt.ItemDataRole.ToolTipRole)
        self.head.setItemData(1, "The classifier is fitted to training images in one step, for any dataset.",
                              Qt.ItemDataRole.ToolTipRole)
        for name in DEVICES:
            self.device.addItem(_DEVICE_TITLES.get(name, name), name)
        self._budget = 1
        self._dataset_before = self._ghn_before = 0
        self._options: Mapping[str, Any] = {}
        self.predict_button = action_button(predict, "run.predict.button", primary=True)
        self.compare_button = action_button(compare, "run.compare.button")
        self.cancel_button = action_button(cancel, "run.cancel.button")
        self._actions = (predict, compare, cancel)
        self.progress = _ProgressRow()
        self._choice = self._choice_row()
        layout = QHBoxLayout(self)
        layout.setContentsMargins(0, 0, 0, 0)
        layout.setSpacing(8)
        # Not a stack, which would be as wide as the wider of the two: a bar that needs more room
        # than there is disappears behind the tool bar's end.
        layout.addWidget(self._choice, 1)
        layout.addWidget(self.progress, 1)
        layout.addWidget(self.cancel_button)
        layout.addWidget(self.compare_button)
        layout.addWidget(self._budget_button())
        layout.addWidget(self.predict_button)
        self.ghn.activated.connect(self._on_ghn)
        for combo in (self.head, self.device):
            combo.activated.connect(lambda _: self.changed.emit())
        self.dataset.activated.connect(self._on_dataset)
        self.set_options({})
        self.show_running(False)

    def choices(self) -> Choices:
        """What is chosen now."""
        ghn = self.ghn.currentData() or ""
        _, steps, minutes = BUDGETS[self._budget]
        return Choices(
            ghn="" if ghn == RANDOM else ghn, dataset=self.dataset.currentData() or "digits",
            head=self.head.currentData(), device=self.device.currentData(),
            init=RANDOM if ghn == RANDOM else "ghn", steps=steps, minutes=minutes, options=self._options,
        )

    def choose(self, **names: str) -> None:
        """Set combos by value (``ghn``, ``dataset``, ``head``, ``device``); unknown values leave them alone."""
        for combo, value in names.items():
            box: QComboBox = getattr(self, combo)
            index = box.findData(value) if value else -1
            if index >= 0 and not box.itemData(index, _MISSING):
                box.setCurrentIndex(index)
                if box is self.dataset:
                    self._dataset_before = index
                elif box is self.ghn:
                    self._ghn_before = index
        self.changed.emit()

    def set_ghns(self, entries: Sequence[Entry], suited: str = "") -> None:
        """Fill the list of hypernetworks; the last entry is none, a random start.

        What was chosen stays so; where nothing was, ``suited`` is.
        """
        chosen = self.ghn.currentData()
        self.ghn.clear()
        for entry in entries:
            self._add_ghn(self.ghn.count(), entry["name"], entry)
        self.ghn.addItem("Random start", RANDOM)
        self.ghn.setItemData(self.ghn.count() - 1, "Parameters drawn at random (Kaiming), to compare with.",
                             Qt.ItemDataRole.ToolTipRole)
        self.ghn.insertSeparator(self.ghn.count())
        self.ghn.addItem("GHN folder…", OTHER_GHN)
        # A separator holds None: it must not be found in place of "nothing chosen yet".
        self.ghn.setCurrentIndex(max(0, self.ghn.findData(chosen or suited)) if chosen or suited else 0)
        self._ghn_before = self.ghn.currentIndex()

    def add_ghn(self, name: str, entry: Entry) -> None:
        """Add a hypernetwork by its folder and choose it."""
        if self.ghn.findData(name) < 0:
            self._add_ghn(0, name, entry)
        self.choose(ghn=name)

    def set_options(self, options: Mapping[str, Any]) -> None:
        """Take over the options that differ from their defaults; the button shows how many."""
        self._options = dict(options)
        self.options_button.setText(f" {len(options)}" if options else "")
        changed = ", ".join(f"{name.replace('_', ' ')} {value}" for name, value in options.items())
        self.options_button.setToolTip(f"Options: {changed}" if changed else "Options: images, batch norm, seed, SGD")
        self.changed.emit()

    def set_datasets(self, entries: Sequence[Entry]) -> None:
        """Fill the list of datasets; the last entry asks for an image folder."""
        self.dataset.clear()
        for entry in entries:
            self.dataset.addItem(entry["name"], entry["name"])
        self.show_states(entries)
        self.dataset.insertSeparator(self.dataset.count())
        self.dataset.addItem("Image folder…", OTHER_FOLDER)
        self.dataset.addItem("Manage data sets…", MANAGE)
        self.dataset.setCurrentIndex(0)

    def show_states(self, entries: Sequence[Entry]) -> None:
        """Show which of the listed datasets are here and which have to be downloaded."""
        for entry in entries:
            index = self.dataset.findData(entry["name"])
            size, begun = size_text(entry["bytes"]), size_text(entry["begun_bytes"])
            state = f"{begun} of {size}" if entry["begun_bytes"] else size
            is_missing = not entry["installed"]
            self.dataset.setItemText(index, f"{entry['name']} ({state})" if is_missing else entry["name"])
            tip = f"{entry['title']}\nNot on this machine: choose it to download it." if is_missing else entry["title"]
            self.dataset.setItemData(index, tip, Qt.ItemDataRole.ToolTipRole)
            self.dataset.setItemData(index, is_missing, _MISSING)

    def folders(self) -> list[tuple[str, str]]:
        """The image folders in the list: names as ``--dataset`` takes them, and titles."""
        entries = [(self.dataset.itemData(i), self.dataset.itemText(i)) for i in range(self.dataset.count())]
        return [(name, title) for name, title in entries
                if isinstance(name, str) and name.startswith(OTHER_FOLDER) and name != OTHER_FOLDER]

    def add_folder(self, name: str, title: str) -> None:
        """Add an image folder (``folder:PATH``) and choose it."""
        index = self.dataset.findData(name)
        if index < 0:
            index = max(0, self.dataset.count() - 3)
            self.dataset.insertItem(index, title, name)
            self.dataset.setItemData(index, name.removeprefix("folder:"), Qt.ItemDataRole.ToolTipRole)
        self.choose(dataset=name)

    def show_running(self, running: bool, title: str = "") -> None:
        """Swap choices and progress."""
        if running:
            self.progress.begin(title)
        choosing: list[QWidget] = [self._choice]
        doing: list[QWidget] = [self.progress, self.cancel_button]
        going, coming = (choosing, doing) if running else (doing, choosing)
        # First out, then in: for a moment with all of them the bar would not fit, and the tool bar would hide it.
        for widget in going:
            widget.hide()
        for widget in coming:
            widget.show()
        self._lay_out_again()

    def set_room(self, window_width: int) -> None:
        """Leave out what tooltips repeat where the window is narrow: the lists' titles first, then words on buttons."""
        for title, combo in self._titles.items():
            title.setVisible(window_width >= ROOMY_WIDTH)
            combo.squeeze(window_width < CRAMPED_WIDTH)
        is_tight = window_width < TIGHT_WIDTH
        predict, compare, _ = self._actions
        self.predict_button.setText("Predict" if is_tight else predict.text())
        self.compare_button.setText("" if is_tight else compare.text())
        self._lay_out_again()

    def _lay_out_again(self) -> None:
        """A tool bar hides what does not fit, and what is hidden is not laid out again by itself."""
        for widget in (self._choice, self, self.parentWidget()):
            layout = widget.layout() if widget is not None else None
            if layout is not None:
                layout.invalidate()
                layout.activate()

    def restyle(self) -> None:
        """Draw the icons again in the colours of the current theme."""
        self._fill_icons()

    def _choice_row(self) -> QWidget:
        row = QWidget()
        layout = QHBoxLayout(row)
        layout.setContentsMargins(0, 0, 0, 0)
        layout.setSpacing(6)
        self.options_button = QToolButton()
        self.options_button.setObjectName("run.options")
        self.options_button.setAccessibleName("Options of the run")
        self.options_button.setToolButtonStyle(Qt.ToolButtonStyle.ToolButtonTextBesideIcon)
        self.options_button.setIconSize(QSize(18, 18))
        self.options_button.clicked.connect(self.options_requested)
        named = {"GHN": self.ghn, "Dataset": self.dataset, "Head": self.head, "Device": self.device}
        self._titles = {label(title, "muted"): combo for title, combo in named.items()}
        for name, combo in self._titles.items():
            name.setBuddy(combo)
            layout.addWidget(name)
            layout.addWidget(combo, 40 if combo is self.ghn else 24 if combo is self.head else 20)
            layout.addSpacing(4)
        layout.addWidget(self.options_button)
        layout.addStretch(1)
        return row

    def _budget_button(self) -> QToolButton:
        self.budget_button = QToolButton()
        self.budget_button.setObjectName("run.budget")
        self.budget_button.setAccessibleName("How long SGD may train")
        self.budget_button.setProperty("outlined", True)
        self.budget_button.setPopupMode(QToolButton.ToolButtonPopupMode.InstantPopup)
        menu = QMenu(self.budget_button)
        for index, (title, _, _) in enumerate(BUDGETS):
            menu.addAction(title).triggered.connect(partial(self.choose_budget, index))
        self.budget_button.setMenu(menu)
        self.choose_budget(self._budget)
        self._fill_icons()
        return self.budget_button

    def choose_budget(self, index: int, _checked: bool = False) -> None:
        """Give SGD one of :data:`BUDGETS`."""
        self._budget = index
        self.budget_button.setText(BUDGETS[index][0])
        self.budget_button.setToolTip(f"SGD trains for {BUDGETS[index][0]}. Click to change.")

    def _fill_icons(self) -> None:
        tokens = theme.current().tokens
        self.predict_button.setIcon(icons.icon("predict", tokens.on_primary))
        self.compare_button.setIcon(icons.icon("compare"))
        self.cancel_button.setIcon(icons.icon("stop"))
        self.options_button.setIcon(icons.icon("settings"))

    def _add_ghn(self, index: int, name: str, entry: Entry) -> None:
        self.ghn.insertItem(index, entry["name"], name)
        tip = f"{entry['title']}\nTrained on {entry['dataset']}, {entry['created']}"
        self.ghn.setItemData(index, tip, Qt.ItemDataRole.ToolTipRole)

    def _on_ghn(self, index: int) -> None:
        if self.ghn.itemData(index) == OTHER_GHN:
            self.ghn.setCurrentIndex(self._ghn_before)
            self.ghn_folder_requested.emit()
            return
        self._ghn_before = index
        self.changed.emit()

    def _on_dataset(self, index: int) -> None:
        if self.dataset.itemData(index) == MANAGE:
            self.dataset.setCurrentIndex(self._dataset_before)
            self.manage_requested.emit()
            return
        if self.dataset.itemData(index) == OTHER_FOLDER:
            self.dataset.setCurrentIndex(self._dataset_before)
            self.folder_requested.emit()
            return
        if self.dataset.itemData(index, _MISSING):
            name = self.dataset.itemData(index)
            self.dataset.setCurrentIndex(self._dataset_before)
            self.missing_dataset_chosen.emit(name)
            return
        self._dataset_before = index
        self.changed.emit()


class _ProgressRow(QWidget):
    """Stage, bar and time left."""

    def __init__(self) -> None:
        super().__init__()
        self.setObjectName("run.progress")
        self._remaining = RemainingTime()
        self._began = 0.0
        self._title = ""
        self.stage = ElidedLabel()
        self.stage.setObjectName("run.stage")
        self.bar = QProgressBar(textVisible=False)
        self.bar.setProperty("thin", True)
        self.bar.setMaximum(1000)
        self.time = QLabel()
        self.time.setProperty("role", "muted")
        layout = QHBoxLayout(self)
        layout.setContentsMargins(4, 0, 8, 0)
        layout.setSpacing(12)
        layout.addWidget(self.stage, 3)
        layout.addWidget(self.bar, 2)
        layout.addWidget(self.time)

    def begin(self, title: str) -> None:
        """Show a job that has just been started."""
        self._remaining = RemainingTime()
        self._began, self._title = time.monotonic(), title
        self.stage.set_full_text(f"{title}…")
        self.bar.setMaximum(0)
        self.time.clear()

    def show_progress(self, progress: Progress) -> None:
        """Show one report."""
        left = self._remaining.update(progress)
        self.stage.set_full_text(f"{self._title}: {progress.stage}")
        fraction = progress.fraction
        self.bar.setMaximum(0 if fraction is None else 1000)
        if fraction is not None:
            self.bar.setValue(round(1000 * fraction))
        elapsed = time.monotonic() - self._began
        self.time.setText(remaining(left) if left is not None else duration(elapsed) if elapsed >= 1 else "")

    def show_stopping(self) -> None:
        """Say that Cancel was heard; the job ends at its next step."""
        self.stage.set_full_text("Stopping…")
        self.bar.setMaximum(0)
        self.time.clear()
