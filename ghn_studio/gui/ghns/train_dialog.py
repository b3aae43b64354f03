"""What to train a hypernetwork on, for how long, and under which name; a new run or one that goes on."""

from __future__ import annotations

import os
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

from PySide6.QtCore import QSignalBlocker, Qt
from PySide6.QtWidgets import (
    QComboBox,
    QDialog,
    QDialogButtonBox,
    QFileDialog,
    QFormLayout,
    QHBoxLayout,
    QLabel,
    QLineEdit,
    QPushButton,
    QSpinBox,
    QVBoxLayout,
    QWidget,
)

from ghn_studio.app.requests import TrainRequest
from ghn_studio.app.training import TrainingRun, run_in
from ghn_studio.datasets import DATASETS, portable_name, several
from ghn_studio.datasets.published import PUBLISHED
from ghn_studio.errors import GhnStudioError, UsageError
from ghn_studio.ghn.cards import check_name
from ghn_studio.gui.look import label
from ghn_studio.gui.panels.editors import Editor, editor_for
from ghn_studio.gui.wording import duration, plural
from ghn_studio.ops.spec import Field, form_of

_FIELDS: Mapping[str, Field] = {f.name: f for f in form_of(TrainRequest)}

#: Fields with an editor made from their declaration.
PLAIN = ("processes", "device", "seed")

FOLDER = "folder:"

MINUTES, STEPS = "minutes", "steps"
_USUAL = {MINUTES: 30, STEPS: 2000}

_FIXED = "A run goes on with the {} it began with."


class TrainDialog(QDialog):
    """Collects a :class:`TrainRequest`; ``request`` is taken when the dialog is accepted."""

    def __init__(
        self, root: Path, runs: Sequence[TrainingRun], datasets: Sequence[tuple[str, str]], taken: frozenset[str],
        parent: QWidget | None = None,
    ) -> None:
        """Make the form.

        Args:
            root: Folder that new hypernetworks go to.
            runs: Those that can go on.
            datasets: Value and title of each dataset, the usual one first.
            taken: Names that are in use.
        """
        super().__init__(parent)
        self.setObjectName("dialog.train")
        self.setWindowTitle("Train a GHN")
        self.setMinimumWidth(500)
        self._root, self._taken = root, taken
        self._values: dict[str, Any] = {name: _FIELDS[name].default for name in PLAIN}
        self._values["processes"] = max(1, min(4, (os.cpu_count() or 1) // 2))
        self.editors: dict[str, Editor] = {}
        self._build(runs, datasets)
        self._follow_run()

    @property
    def run(self) -> TrainingRun | None:
        """The run that goes on; None for a new one."""
        chosen = self.which.currentData()
        return chosen if isinstance(chosen, TrainingRun) else None

    @property
    def datasets(self) -> str:
        """The dataset, or several joined by "+", as ``train --dataset`` takes them."""
        text = self.dataset.currentText().strip()
        index = self.dataset.findText(text)
        return str(self.dataset.itemData(index)) if index >= 0 else text

    @property
    def out(self) -> Path:
        """The folder of the run."""
        return self.run.folder if self.run else self._root / self.name.text().strip()

    @property
    def request(self) -> TrainRequest:
        """What was entered."""
        run, unit = self.run, self.unit.currentData()
        done = 0.0 if run is None else run.seconds / 60 if unit == MINUTES else run.steps
        amount = {unit: done + self.amount.value() if unit == MINUTES else int(done) + self.amount.value()}
        return TrainRequest(
            dataset=self.datasets, out=str(self.out), resume=run is not None,
            config=self.config.text().strip(), **amount, **self._values,
        )

    def go_on_with(self, run: TrainingRun) -> None:
        """Choose a run to continue, which need not be in the list yet."""
        found = [i for i in range(self.which.count()) if self.which.itemData(i) == run]
        if not found:
            self.which.insertItem(1, _run_title(run), run)
        self.which.setCurrentIndex(found[0] if found else 1)

    def refusal(self) -> str:
        """Why this cannot be trained, as a sentence; empty if it can."""
        name = self.name.text().strip()
        if self.run is None and not name:
            return "Give the hypernetwork a name."
        try:
            check_name(name)
        except UsageError as error:
            return f"{error}."
        if self.run is None and (name in self._taken or self.out.exists()):
            return f"There is a hypernetwork '{name}' already; choose another name, or continue it above."
        for dataset in several(self.datasets):
            if (refusal := _dataset_refusal(dataset)):
                return refusal
        config = self.config.text().strip()
        if config and not Path(config).is_file():
            return f"There is no file '{config}'."
        return ""

    def _build(self, runs: Sequence[TrainingRun], datasets: Sequence[tuple[str, str]]) -> None:
        column = QVBoxLayout(self)
        column.setContentsMargins(20, 18, 20, 16)
        column.setSpacing(12)
        column.addWidget(label(
            "A hypernetwork sees new networks in every step and learns to predict parameters that work on the "
            "dataset's images. It can be used from the first minute on; stopping keeps a checkpoint.",
            "muted", wrap=True,
        ))
        form = QFormLayout()
        form.setVerticalSpacing(8)
        form.setLabelAlignment(Qt.AlignmentFlag.AlignLeft | Qt.AlignmentFlag.AlignVCenter)
        form.setFieldGrowthPolicy(QFormLayout.FieldGrowthPolicy.AllNonFixedFieldsGrow)
        self._add_choices(form, runs, datasets)
        self._add_budget(form)
        for name in PLAIN:
            self._add_editor(form, name)
        self._add_config(form)
        column.addLayout(form)
        self.where = label("", "muted", wrap=True)
        self.error = label("", "error", wrap=True)
        self.error.setObjectName("train.error")
        column.addWidget(self.where)
        column.addWidget(self.error)
        column.addStretch(1)
        column.addWidget(self._buttons())

    def _add_choices(
        self, form: QFormLayout, runs: Sequence[TrainingRun], datasets: Sequence[tuple[str, str]]
    ) -> None:
        self.which = _named(QComboBox(), "train.run")
        self.which.addItem("New hypernetwork", None)
        for run in runs:
            self.which.addItem(_run_title(run), run)
        self.which.insertSeparator(self.which.count())
        self.which.addItem("Continue in another folder…", "ask")
        self.which.currentIndexChanged.connect(self._follow_run)
        self.which.activated.connect(self._on_which)
        self.name = _named(QLineEdit(), "train.name")
        self.name.textChanged.connect(self._check)
        self.dataset = _named(QComboBox(), "train.dataset")
        self.dataset.setEditable(True)  # several are joined by "+"
        self.dataset.setInsertPolicy(QComboBox.InsertPolicy.NoInsert)
        for value, title in datasets:
            self.dataset.addItem(title, value)
        self.dataset.currentTextChanged.connect(self._suggest_name)
        _row(form, "Run", self.which)
        _row(form, "Name", self.name)
        _row(form, "Dataset", self.dataset, _FIELDS["dataset"].help)

    def _add_budget(self, form: QFormLayout) -> None:
        self.amount = _named(QSpinBox(), "train.amount")
        self.amount.setRange(1, 10_000_000)
        self.amount.lineEdit().setTextMargins(6, 0, 0, 0)
        self.amount.setAccessibleName("How long to train")
        self.unit = _named(QComboBox(), "train.unit")
        for unit in (MINUTES, STEPS):
            self.unit.addItem(unit, unit)
        self.unit.currentIndexChanged.connect(lambda: self.amount.setValue(_USUAL[self.unit.currentData()]))
        self.amount.setValue(_USUAL[MINUTES])
        self._further = label("", "muted")
        row = QHBoxLayout()
        row.setSpacing(8)
        row.addWidget(self.amount)
        row.addWidget(self.unit)
        row.addWidget(self._further, 1)
        title = QLabel("Train for")
        title.setBuddy(self.amount)
        form.addRow(title, row)

    def _add_editor(self, form: QFormLayout, name: str) -> None:
        editor = editor_for(_FIELDS[name], self._values[name])
        editor.show_values([self._values[name]])
        editor.edited.connect(lambda value: self._values.update({name: value}))
        self.editors[name] = editor
        _row(form, _FIELDS[name].label, editor, editor.toolTip())

    def _add_config(self, form: QFormLayout) -> None:
        self.config = _named(QLineEdit(), "train.config")
        self.config.textChanged.connect(self._check)
        choose = QPushButton("Choose…")
        choose.setAccessibleName("Choose a file with settings")
        choose.setAutoDefault(False)
        choose.clicked.connect(self._choose_config)
        row = QHBoxLayout()
        row.setSpacing(8)
        row.addWidget(self.config, 1)
        row.addWidget(choose)
        title = QLabel("Settings")
        title.setToolTip(_FIELDS["config"].help)
        title.setBuddy(self.config)
        form.addRow(title, row)

    def _buttons(self) -> QDialogButtonBox:
        buttons = QDialogButtonBox(QDialogButtonBox.StandardButton.Cancel)
        self.train = buttons.addButton("Train", QDialogButtonBox.ButtonRole.AcceptRole)
        self.train.setObjectName("train.accept")
        self.train.setProperty("primary", True)
        self.train.setDefault(True)
        buttons.accepted.connect(self.accept)
        buttons.rejected.connect(self.reject)
        return buttons

    def _on_which(self, index: int) -> None:
        if self.which.itemData(index) != "ask":
            return
        self.which.setCurrentIndex(0)
        folder = QFileDialog.getExistingDirectory(self, "Folder of a training run", str(self._root.parent))
        if folder:
            try:
                self.go_on_with(run_in(Path(folder)))
            except GhnStudioError as error:
                self.error.setText(f"{error}.")
                self.error.show()

    def _follow_run(self) -> None:
        run = self.run
        for widget, what in ((self.name, "name"), (self.editors["seed"], "seed"), (self.dataset, "dataset")):
            widget.setEnabled(run is None)
            widget.setToolTip(_FIXED.format(what) if run else "")
        # A card knows an image folder by its name only; where it lies now, a person has to say.
        self.dataset.setEnabled(run is None or FOLDER in run.dataset)
        self.config.setPlaceholderText("Default recipe" if run is None else "As the run began")
        self._further.setText("" if run is None else f"more, after {duration(run.seconds)}")
        if run is None:
            self._suggest_name()
        else:
            self._show_run(run)
        self._check()

    def _show_run(self, run: TrainingRun) -> None:
        with QSignalBlocker(self.dataset):
            known = [i for i in range(self.dataset.count()) if portable_name(self.dataset.itemData(i)) == run.dataset]
            if known:
                self.dataset.setCurrentIndex(known[0])
            else:
                self.dataset.setEditText(run.dataset)
        self.name.setText(run.name)
        for name in ("seed", "processes"):
            self._values[name] = getattr(run, name)
            self.editors[name].show_values([self._values[name]])

    def _suggest_name(self) -> None:
        if self.run is None and not self.name.isModified():
            self.name.setText(_free_name(f"ghn-{self._short_dataset()}", self._taken, self._root))
        self._check()

    def _short_dataset(self) -> str:
        return "-".join(Path(part.removeprefix(FOLDER)).name for part in several(self.datasets))

    def _choose_config(self) -> None:
        name, _ = QFileDialog.getOpenFileName(self, "Settings", str(Path.home()), "Settings (*.json);;All files (*)")
        if name:
            self.config.setText(name)

    def _check(self) -> None:
        if not hasattr(self, "train"):
            return  # still being built
        refusal = self.refusal()
        self.train.setEnabled(not refusal)
        self.train.setToolTip(refusal)
        self.error.setText(refusal)
        self.error.setVisible(bool(refusal))
        self.where.setText(f"Goes to {self.out}" if not refusal else "")
        self.where.setVisible(not refusal)


def _dataset_refusal(name: str) -> str:
    """Why a dataset cannot be learnt, as far as a glance can tell; empty if it can."""
    if name.startswith(FOLDER):
        folder = name.removeprefix(FOLDER)
        return "" if Path(folder).is_dir() else f"There is no image folder '{folder}'; write folder: and its path."
    if name in PUBLISHED and not PUBLISHED[name].is_here:
        return f"{PUBLISHED[name].info.title} is not on this machine; choose it in the run bar to download it."
    return "" if name in DATASETS else f"There is no dataset '{name}'; use {', '.join(DATASETS)} or folder:PATH."


def _run_title(run: TrainingRun) -> str:
    return f"Continue {run.name} ({run.dataset}, {plural(run.steps, 'step')}, {duration(run.seconds)})"


def _free_name(wanted: str, taken: frozenset[str], root: Path) -> str:
    plain = "".join(c if c.isalnum() or c in "-_." else "-" for c in wanted)
    names = [plain, *(f"{plain}-{i}" for i in range(2, 100))]
    return next((n for n in names if n not in taken and not (root / n).exists()), plain)


def _named(widget: Any, name: str) -> Any:
    widget.setObjectName(name)
    return widget


def _row(form: QFormLayout, title: str, widget: QWidget, tip: str = "") -> None:
    text = QLabel(title)
    text.setToolTip(tip)
    text.setBuddy(widget)
    widget.setAccessibleName(title)
    form.addRow(text, widget)
