"""Choosing a dataset that is not here: asked, downloaded with progress, stopped and continued, in the real window."""

from __future__ import annotations

from http.server import BaseHTTPRequestHandler
from typing import Any

import pytest
from published_files import Shop, send
from PySide6.QtCore import Qt
from PySide6.QtWidgets import QMessageBox

from ghn_studio.datasets.published import PUBLISHED
from ghn_studio.gui.ghns.train_dialog import _dataset_refusal
from ghn_studio.gui.main_window import MainWindow

pytest.importorskip("torch")

#: PyTorch may have to be imported first, on a machine that is busy with other things.
PATIENCE_MS = 120_000


@pytest.fixture
def window(shop: Shop, ready_window: MainWindow) -> MainWindow:
    return ready_window


def choose(qtbot: Any, window: MainWindow, name: str) -> QMessageBox:
    """Choose a dataset in the run bar's list; the question that comes up."""
    box = window.run_bar.dataset
    qtbot.mouseClick(box, Qt.MouseButton.LeftButton)
    view = box.view()
    qtbot.waitUntil(view.isVisible)
    view.setCurrentIndex(box.model().index(box.findData(name), 0))
    qtbot.keyClick(view, Qt.Key.Key_Return)
    qtbot.waitUntil(lambda: window.findChild(QMessageBox, "dialog.download") is not None)
    question = window.findChild(QMessageBox, "dialog.download")
    assert isinstance(question, QMessageBox)
    return question


def press(qtbot: Any, question: QMessageBox, button: QMessageBox.StandardButton) -> None:
    window = question.parent()
    qtbot.mouseClick(question.button(button), Qt.MouseButton.LeftButton)
    qtbot.waitUntil(lambda: window.findChild(QMessageBox, "dialog.download") is None)


def listed(window: MainWindow, name: str) -> str:
    return window.run_bar.dataset.itemText(window.run_bar.dataset.findData(name))


def test_a_missing_dataset_is_asked_for_downloaded_and_chosen(shop: Shop, window: MainWindow, qtbot: Any) -> None:
    shop.publish("mnist")
    assert listed(window, "mnist") == "mnist (11.1 MB)" and listed(window, "digits") == "digits"
    question = choose(qtbot, window, "mnist")
    assert question.text() == "Download 11.1 MB?"
    assert window.run_bar.choices().dataset == "digits", "nothing is chosen that cannot be used"
    press(qtbot, question, QMessageBox.StandardButton.Ok)
    qtbot.waitUntil(lambda: not window.desk.is_running, timeout=PATIENCE_MS)
    assert window.run_bar.choices().dataset == "mnist", window.banner.text.text()
    assert listed(window, "mnist") == "mnist" and PUBLISHED["mnist"].is_here
    assert "MNIST is here" in window.banner.text.text()


def test_nothing_is_fetched_without_a_yes(shop: Shop, window: MainWindow, qtbot: Any) -> None:
    shop.publish("mnist")
    press(qtbot, choose(qtbot, window, "mnist"), QMessageBox.StandardButton.Cancel)
    assert not window.desk.is_running and not shop.requests
    assert window.run_bar.choices().dataset == "digits"


def test_a_download_is_paused_by_cancel_and_goes_on(shop: Shop, window: MainWindow, qtbot: Any) -> None:
    name, file = "cifar10", "cifar-10-python.tar.gz"
    cut = len(shop.publish(name)[file]) * 6 // 10

    def slow(handler: BaseHTTPRequestHandler, content: bytes, first: int) -> None:
        if first:
            return send(handler, content, first)
        handler.send_response(200)
        handler.send_header("Content-Length", str(len(content)))
        handler.end_headers()
        handler.wfile.write(content[:cut])
        shop.over.wait()
        return None

    shop.behaviour = slow
    press(qtbot, choose(qtbot, window, name), QMessageBox.StandardButton.Ok)
    qtbot.waitUntil(lambda: PUBLISHED[name].begun_bytes == cut, timeout=PATIENCE_MS)
    qtbot.mouseClick(window.run_bar.cancel_button, Qt.MouseButton.LeftButton)
    qtbot.waitUntil(lambda: not window.desk.is_running, timeout=PATIENCE_MS)
    assert "The download of CIFAR-10 is paused." in window.banner.text.text()
    assert "MB)" in listed(window, name) and " of 162.6 MB" in listed(window, name)
    question = choose(qtbot, window, name)
    assert "are here already" in question.informativeText()
    press(qtbot, question, QMessageBox.StandardButton.Ok)
    qtbot.waitUntil(lambda: not window.desk.is_running, timeout=PATIENCE_MS)
    assert window.run_bar.choices().dataset == name, window.banner.text.text()
    assert shop.requests == [(file, 0), (file, cut)]


def test_training_refuses_what_is_not_here(shop: Shop) -> None:
    assert "choose it in the run bar" in _dataset_refusal("cifar10")
    shop.place("cifar10")
    assert not _dataset_refusal("cifar10")
