"""Why, Hypernetworks and Training in the real window: real clicks, real jobs on tiny hypernetworks, a real server."""

from __future__ import annotations

import http.server
import json
import os
import threading
import time
from collections import OrderedDict
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import joblib
import pytest
from PySide6.QtCore import QPoint, Qt
from PySide6.QtWidgets import QFileDialog, QInputDialog, QMessageBox, QPushButton, QWidget

from ghn_studio.ghn import published
from ghn_studio.ghn.published import PublishedGhn
from ghn_studio.ghn.run_folder import NEWEST
from ghn_studio.gui.ghns.train_dialog import STEPS, TrainDialog
from ghn_studio.gui.main_window import MainWindow
from ghn_studio.gui.results.familiarity_badge import UNKNOWN
from ghn_studio.gui.results.layer_bars import ROW, lost
from ghn_studio.ir.graph import NodeId

pytest.importorskip("torch")

PATIENCE_MS = 120_000


@pytest.fixture
def window(ready_window, monkeypatch) -> MainWindow:
    """The window, whose hypernetworks learnt from eight networks only: hundreds take seconds to embed."""
    from ghn_studio.ghn import reference

    monkeypatch.setattr(reference, "COUNT", 8)
    return ready_window


def click(qtbot, widget: QWidget) -> None:
    assert widget.isVisible() and widget.isEnabled(), f"{widget.objectName()} cannot be clicked: {widget.toolTip()}"
    qtbot.mouseClick(widget, Qt.MouseButton.LeftButton)


def until_idle(qtbot, window: MainWindow) -> None:
    qtbot.waitUntil(lambda: not window.desk.is_running, timeout=PATIENCE_MS)


def explain(qtbot, window: MainWindow) -> None:
    window.tabs.setCurrentWidget(window.why)
    click(qtbot, next(b for b in window.why.findChildren(QPushButton) if b.text() == "Explain" and b.isVisible()))
    assert window.desk.is_running and window.why.cancel_button.isVisible()
    until_idle(qtbot, window)


def click_bar(qtbot, window: MainWindow, row: int) -> str:
    place = QPoint(60, row * ROW + ROW // 2)
    qtbot.mouseClick(window.why.layers.rows, Qt.MouseButton.LeftButton, pos=place)
    return window.why.layers.layers[row].node


# --- Why -----------------------------------------------------------------------------------


def test_explain_shows_bars_colours_the_canvas_and_a_click_selects_the_node(window, qtbot):
    explain(qtbot, window)
    why, report = window.why, window.why.report
    assert report is not None and window.tabs.currentWidget() is why
    assert why.layers.layers == report.layers and {"body.conv", "head"} <= {layer.node for layer in report.layers}
    assert why.badge.verdict == report.familiarity.verdict and why.badge.isVisible()
    assert set(why.neighbours.cards) == {n.name for n in report.familiarity.nearest}
    qtbot.waitUntil(lambda: all(not c.picture.pixmap().isNull() for c in why.neighbours.cards.values()), timeout=20_000)
    assert click_bar(qtbot, window, 1) == window.canvas.selected()[0]
    qtbot.keyClick(why.layers.rows, Qt.Key.Key_Up)
    assert window.canvas.selected() == (NodeId(report.layers[0].node),)
    window.canvas.select((NodeId(report.layers[1].node),))
    assert why.layers.rows.chosen == 1, "the bar follows the canvas"
    nodes = window.canvas.canvas.nodes
    assert all(nodes[NodeId(layer.node)].heat.text for layer in report.layers)
    assert nodes[NodeId("flat")].heat.level is None, "a node without parameters steps back"
    assert window.canvas.legend.isVisible()
    window.actions_by_id["view.overlay.scale"].trigger()
    assert nodes[NodeId("head")].heat.text.startswith("×") and not why.heat.isChecked(), "one overlay at a time"
    why.heat.click()
    assert window.canvas.legend.title.text() == "Accuracy lost without a layer"
    click(qtbot, window.canvas.legend.close_button)
    assert not why.heat.isChecked() and all(item.heat is None for item in nodes.values())


def test_a_prediction_alone_colours_the_layers_by_the_size_of_their_weights(window, qtbot):
    overlay = window.actions_by_id["view.overlay.scale"]
    assert not overlay.isEnabled() and "Predict the network first" in overlay.toolTip()
    window.actions_by_id["run.predict"].trigger()
    until_idle(qtbot, window)
    assert overlay.isEnabled() and not window.actions_by_id["view.overlay.worth"].isEnabled()
    overlay.trigger()
    nodes = window.canvas.canvas.nodes
    assert nodes[NodeId("head")].heat.text.startswith("×") and nodes[NodeId("flat")].heat.level is None
    told = {n: nodes[NodeId(n)].heat.text for n in ("head", "body.conv")}
    explain(qtbot, window)
    overlay.trigger()
    assert told == {n: nodes[NodeId(n)].heat.text for n in told}, "the explanation measures the same"


def test_an_edit_takes_the_colours_off_and_undo_brings_them_back(window, qtbot):
    explain(qtbot, window)
    window.canvas.select(("body.conv",))
    window.inspector.editors["out_channels"].spin.setValue(9)
    assert window.why.stale.isVisible() and window.why.layers.rows.is_dimmed and not window.why.heat.isEnabled()
    assert not window.canvas.legend.isVisible()
    assert all(item.heat is None for item in window.canvas.canvas.nodes.values())
    window.document.undo()
    assert not window.why.stale.isVisible() and window.canvas.legend.isVisible()
    window.files.open("example:lenet5", ask=False)
    assert window.why.report is None and not window.canvas.legend.isVisible()


def test_every_prediction_says_how_familiar_the_network_is(window, qtbot):
    window.actions_by_id["run.predict"].trigger()
    until_idle(qtbot, window)
    assert window.results.report.familiarity is None and not window.results.summary.familiarity.verdict
    assert window.why.sentence.text() == UNKNOWN
    explain(qtbot, window)  # which embeds the networks of this hypernetwork, once
    window.canvas.select(("body.conv",))
    window.inspector.editors["out_channels"].spin.setValue(9)
    window.actions_by_id["run.predict"].trigger()
    until_idle(qtbot, window)
    familiarity = window.results.report.familiarity
    assert window.results.summary.familiarity.verdict == window.why.badge.verdict == familiarity.verdict
    window.tabs.setCurrentWidget(window.why)
    assert window.why.badge.isVisible() and not window.why.heat.isEnabled()
    assert window.why.heat.toolTip() == "Explain the network first."


def test_an_explanation_can_be_cancelled_and_a_random_start_is_refused(window, qtbot):
    window.actions_by_id["run.explain"].trigger()
    qtbot.waitUntil(lambda: window.why.stage.text() != "Getting ready…", timeout=PATIENCE_MS)
    click(qtbot, window.why.cancel_button)
    until_idle(qtbot, window)
    assert window.why.report is None and not window.why.cancel_button.isVisible()
    window.run_bar.choose(ghn="kaiming")
    window.actions_by_id["run.explain"].trigger()
    assert not window.desk.is_running and "nothing to explain" in window.banner.text.text()


# --- Hypernetworks ---------------------------------------------------------------------------


def write_checkpoint(path: Path) -> int:
    """A small GHN-2 as the authors of GHN-3 keep theirs; how many numbers it holds."""
    from ghn_studio.ghn.config import GhnConfig
    from ghn_studio.ghn.networks import Hypernetwork

    config = GhnConfig(hidden=8, max_channels=8, grid=11, decoder=(8, 8), crop="corner")
    state = Hypernetwork(config).initialise(0).state_dict()
    path.parent.mkdir(exist_ok=True)
    joblib.dump(OrderedDict(state), path)
    return sum(value.numel() for value in state.values())


def test_a_file_is_added_used_and_deleted(window, qtbot, tmp_path, monkeypatch):
    write_checkpoint(tmp_path / "site" / "small_ghn.pt")
    monkeypatch.setattr(QFileDialog, "getOpenFileName", lambda *a, **k: (str(tmp_path / "site" / "small_ghn.pt"), ""))
    monkeypatch.setattr(QInputDialog, "getText", lambda *a, text, **k: (text, True))
    window.actions_by_id["ghn.show"].trigger()
    click(qtbot, window.ghns.add_button)
    until_idle(qtbot, window)
    assert "small-ghn" in window.ghns.list.names and window.run_bar.ghn.findData("small-ghn") >= 0
    assert window.ghns.card.entry.name == "small-ghn", "the new one is chosen"
    assert ("Dataset", "cifar10") in window.ghns.card.facts.lines
    click(qtbot, window.ghns.card.use)
    assert window.run_bar.choices().ghn == "small-ghn"
    click(qtbot, window.ghns.card.delete)
    box = window.findChild(QMessageBox, "dialog.delete")
    click(qtbot, box.button(QMessageBox.StandardButton.Discard))
    until_idle(qtbot, window)
    assert "small-ghn" not in window.ghns.list.names and window.run_bar.ghn.findData("small-ghn") < 0
    assert not (Path(os.environ["GHN_STUDIO_DATA"]) / "ghns" / "small-ghn").exists()


def test_what_cannot_be_done_says_why(window, qtbot):
    window.actions_by_id["ghn.show"].trigger()
    shipped = next((e for e in window.ghns.list.names if e == "ghn2-digits"), None)
    if shipped is not None:
        window.ghns.list.choose(shipped)
        assert not window.ghns.card.delete.isEnabled() and "shipped" in window.ghns.card.delete.toolTip()
    window.ghns.list.choose("ghn3-xl")
    assert window.ghns.card.download.isVisible() and not window.ghns.card.use.isVisible()
    window.actions_by_id["run.predict"].trigger()
    assert not window.ghns.card.download.isEnabled() and "running" in window.ghns.card.download.toolTip()
    assert not window.ghns.train_button.isEnabled() and "running" in window.ghns.train_button.toolTip()
    until_idle(qtbot, window)
    assert window.ghns.card.download.isEnabled()


class _Stalling(http.server.BaseHTTPRequestHandler):
    """Sends half of the file and waits, the first time; later it sends all that is asked for."""

    server: Any

    def do_GET(self) -> None:
        content: bytes = self.server.content
        start = int(self.headers["Range"].removeprefix("bytes=").rstrip("-")) if self.headers.get("Range") else 0
        self.send_response(206 if start else 200)
        if start:
            self.send_header("Content-Range", f"bytes {start}-{len(content) - 1}/{len(content)}")
        self.send_header("Content-Length", str(len(content) - start))
        self.send_header("ETag", '"v1"')
        self.end_headers()
        first = not self.server.starts
        self.server.starts.append(start)
        self.wfile.write(content[start : len(content) // 2] if first else content[start:])
        if first:
            self.server.over.wait(30)

    def log_message(self, format: str, *args: Any) -> None:
        """Say nothing."""


@pytest.fixture
def server(tmp_path, monkeypatch) -> Iterator[Any]:
    """A hypernetwork published on this machine, by a server that stalls once."""
    file = tmp_path / "site" / "small.pt"
    parameters = write_checkpoint(file)
    with http.server.ThreadingHTTPServer(("127.0.0.1", 0), _Stalling) as server:
        server.content, server.starts, server.over = file.read_bytes(), [], threading.Event()
        thread = threading.Thread(target=server.serve_forever, kwargs={"poll_interval": 0.02})
        thread.start()
        monkeypatch.setitem(published._FOLDERS, "ghn3", (f"http://127.0.0.1:{server.server_port}",))
        monkeypatch.setattr(published, "PUBLISHED", (PublishedGhn(
            name="small", title="GHN-2, small", origin="ghn3", file="small.pt", dataset="cifar10", classes=10,
            parameters=parameters,
        ),))
        yield server
        server.over.set()
        server.shutdown()
        thread.join()


def test_a_download_is_cancelled_and_goes_on_where_it_stopped(window, qtbot, server):
    window.hypernetworks.refresh()
    window.actions_by_id["ghn.show"].trigger()
    window.ghns.list.choose("small")
    card = window.ghns.card
    click(qtbot, card.download)
    qtbot.waitUntil(lambda: "kB of" in card.stage.text(), timeout=PATIENCE_MS)
    asked = time.monotonic()
    click(qtbot, card.cancel)
    qtbot.waitUntil(lambda: not window.desk.is_running, timeout=5000)
    assert time.monotonic() - asked < 2
    assert not card.cancel.isVisible() and "small" in window.ghns.list.names and card.entry.card is None
    click(qtbot, card.download)
    until_idle(qtbot, window)
    assert server.starts[0] == 0 and server.starts[1] > 0
    assert card.entry.name == "small" and card.entry.card is not None, window.banner.text.text()
    assert window.run_bar.ghn.findData("small") >= 0


# --- Training ----------------------------------------------------------------------------------


@pytest.fixture
def settings_file(tmp_path) -> Path:
    """A recipe whose steps take a moment."""
    path = tmp_path / "recipe.json"
    path.write_text(json.dumps({
        "channels": [8, 8], "sizes": {"16": 1.0}, "batch": 4, "networks": 1, "warm_up": 2, "validation_networks": 1,
        "ghn": {"hidden": 8, "max_channels": 8, "grid": 5, "decoder": [8, 8]},
    }))
    return path


def train_dialog(window: MainWindow) -> TrainDialog:
    dialog = window.findChild(TrainDialog, "dialog.train")
    assert isinstance(dialog, TrainDialog)
    return dialog


def test_a_training_is_started_stopped_and_continued(window, qtbot, settings_file):
    window.actions_by_id["ghn.show"].trigger()
    click(qtbot, window.ghns.train_button)
    dialog = train_dialog(window)
    assert dialog.name.text() == "ghn-digits" and dialog.train.isEnabled()
    dialog.config.setText(str(settings_file))
    dialog.unit.setCurrentIndex(dialog.unit.findData(STEPS))
    click(qtbot, dialog.train)
    panel = window.training
    assert window.tabs.currentWidget() is panel
    qtbot.waitUntil(lambda: any(p.loss is not None for p in panel.points), timeout=PATIENCE_MS)
    assert "ghn-digits" in window.ghns.list.names, "it can be used while it trains"
    click(qtbot, panel.stop)
    until_idle(qtbot, window)
    folder = Path(os.environ["GHN_STUDIO_DATA"]) / "ghns" / "ghn-digits"
    assert panel.state.text() == "Stopped" and (folder / NEWEST).is_file()
    done = panel.points[-1].step
    click(qtbot, panel.resume)
    dialog = train_dialog(window)
    assert dialog.run is not None and dialog.run.folder == folder and not dialog.name.isEnabled()
    dialog.unit.setCurrentIndex(dialog.unit.findData(STEPS))
    dialog.amount.setValue(2)
    click(qtbot, dialog.train)
    until_idle(qtbot, window)
    assert panel.state.text() == "Finished", window.banner.text.text()
    assert panel.points[-1].step >= done + 2 and panel.points[-1].validation is not None
    assert panel.accuracy.text() == f"{100 * panel.points[-1].validation:.1f} %"
    click(qtbot, panel.use)
    assert window.run_bar.choices().ghn == "ghn-digits"


def test_the_training_dialog_refuses_what_cannot_be_trained(window, qtbot, tmp_path):
    dialog = window.trainings.ask()
    for name, part in (("", "name"), ("../elsewhere", "cannot be"), ("tiny", "already")):
        dialog.name.setText(name)
        assert not dialog.train.isEnabled() and part in dialog.error.text() and part in dialog.train.toolTip()
    dialog.name.setText("fresh")
    dialog.config.setText(str(tmp_path / "none.json"))
    assert not dialog.train.isEnabled() and "no file" in dialog.error.text()
    dialog.config.clear()
    assert dialog.train.isEnabled() and dialog.request.minutes == 30 and dialog.request.out.endswith("fresh")
    dialog.reject()


def test_losses_of_accuracy_are_written_with_their_sign():
    assert [lost(c) for c in (0.4121, -0.004, 0.0004, 0.0)] == ["−41.2", "+0.4", "0.0", "0.0"]
