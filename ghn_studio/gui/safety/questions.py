"""Questions before something is lost. Buttons say what they do; the default keeps everything."""

from __future__ import annotations

from enum import Enum

from PySide6.QtWidgets import QMessageBox, QPushButton, QWidget


class Answer(Enum):
    """What a person chose."""

    SAVE = "save"
    DISCARD = "discard"
    OVERWRITE = "overwrite"
    SAVE_AS = "save as"
    STOP = "stop"
    CANCEL = "cancel"


def ask_about_changes(parent: QWidget, name: str) -> QMessageBox.StandardButton:
    """Ask "Save, discard or cancel?" and return the button pressed."""
    box = _box(parent, "dialog.unsaved", "Unsaved changes", f"Save the changes to “{name}”?",
               "Changes that are not saved are lost.")
    buttons = QMessageBox.StandardButton
    box.setStandardButtons(buttons.Save | buttons.Discard | buttons.Cancel)
    box.setDefaultButton(buttons.Save)
    box.button(buttons.Discard).setText("Discard")
    return QMessageBox.StandardButton(box.exec())


def ask_about_closing(parent: QWidget, name: str, job: str) -> Answer:
    """Ask once about unsaved changes and a running job: SAVE, DISCARD (both stop the job) or CANCEL."""
    box = _box(parent, "dialog.closing", "Unsaved changes, and something is running",
               f"“{name}” has unsaved changes, and “{job}” has not ended.",
               "Closing the window stops it. Changes that are not saved are lost.")
    return _ask(box, {Answer.SAVE: "Save, stop and close", Answer.DISCARD: "Discard, stop and close",
                      Answer.CANCEL: "Keep working"}, default=Answer.CANCEL)


def ask_about_job(parent: QWidget, job: str) -> Answer:
    """Ask whether a running job may be stopped for closing: STOP or CANCEL."""
    box = _box(parent, "dialog.running", "Something is running", f"“{job}” has not ended. Stop it and close?", "")
    return _ask(box, {Answer.STOP: "Stop and close", Answer.CANCEL: "Keep working"}, default=Answer.CANCEL)


def ask_about_foreign_changes(parent: QWidget, name: str) -> Answer:
    """Ask what to do with a file that another program wrote since: OVERWRITE, SAVE_AS or CANCEL."""
    box = _box(parent, "dialog.changed", "The file has changed",
               f"{name} was changed by another program since it was opened here.",
               "Overwriting it loses those changes; under another name both are kept.")
    return _ask(box, {Answer.SAVE_AS: "Save as…", Answer.OVERWRITE: "Overwrite", Answer.CANCEL: "Cancel"},
                default=Answer.SAVE_AS)


def _box(parent: QWidget, object_name: str, title: str, text: str, more: str) -> QMessageBox:
    box = QMessageBox(parent)
    box.setObjectName(object_name)
    box.setIcon(QMessageBox.Icon.Warning)
    box.setWindowTitle(title)
    box.setText(text)
    box.setInformativeText(more)
    return box


_ROLES = {
    Answer.SAVE: QMessageBox.ButtonRole.AcceptRole, Answer.SAVE_AS: QMessageBox.ButtonRole.AcceptRole,
    Answer.DISCARD: QMessageBox.ButtonRole.DestructiveRole, Answer.OVERWRITE: QMessageBox.ButtonRole.DestructiveRole,
    Answer.STOP: QMessageBox.ButtonRole.DestructiveRole, Answer.CANCEL: QMessageBox.ButtonRole.RejectRole,
}


def _ask(box: QMessageBox, titles: dict[Answer, str], default: Answer) -> Answer:
    made: dict[Answer, QPushButton] = {answer: box.addButton(title, _ROLES[answer]) for answer, title in titles.items()}
    for answer, button in made.items():
        button.setObjectName(f"answer.{answer.value.replace(' ', '_')}")
    box.setDefaultButton(made[default])
    box.setEscapeButton(made[Answer.CANCEL])
    box.exec()
    pressed = box.clickedButton()
    return next((answer for answer, button in made.items() if button is pressed), Answer.CANCEL)
