"""Predict, compare, cancel and export in the real window, with real images and a real (untrained) hypernetwork."""

from __future__ import annotations

import os
import time
from pathlib import Path

import pytest
from PySide6.QtCore import Qt, QTimer
from PySide6.QtWidgets import QApplication, QDialog, QLabel, QPushButton

from ghn_studio.app.catalogues import suited_ghn
from ghn_studio.gui.exchange.export_form import HELD, RANDOM_START, STORED
from ghn_studio.gui.jobs.job_desk import Errand
from ghn_studio.gui.main_window import MainWindow
from ghn_studio.gui.run_bar import RANDOM
from ghn_studio.gui.safety import leaving
from ghn_studio.gui.safety.questions import Answer
from ghn_studio.jobs import Job, Progress
from ghn_studio.project import read

pytest.importorskip("torch")

#: PyTorch may have to be imported first, on a machine that is busy with other things.
PATIENCE_MS = 120_000


@pytest.fixture
def window(ready_window) -> MainWindow:
    return ready_window


def run(qtbot, window: MainWindow, action: str) -> None:
    window.actions_by_id[action].trigger()
    assert window.desk.is_running
    qtbot.waitUntil(lambda: not window.desk.is_running, timeout=PATIENCE_MS)


def counting(steps: int, pause_s: float, closed: list[float]) -> Job[int]:
    try:
        for step in range(steps):
            yield Progress("counting", step, steps)
            time.sleep(pause_s)
        return steps
    finally:
        closed.append(time.monotonic())


def test_one_click_predicts_and_shows_the_accuracy_with_its_label(window, qtbot):
    graph = window.document.graph
    run(qtbot, window, "run.predict")
    report = window.results.report
    assert report is not None and report.label == "predicted, no training"
    assert report.images == 364 and report.ghn == "tiny"
    assert window.results.summary.accuracy.text() == f"{report.accuracy * 100:.1f} %"
    assert window.results.summary.origin.text() == "predicted, no training"
    assert window.results.summary.unpredicted.text() == "Every trainable parameter was predicted."
    assert window.tabs.currentWidget() is window.results
    assert len(window.results.classes.shares) == 10
    assert window.files.held.fit(graph)
    assert not window.banner.isVisible()


def test_at_least_sixteen_images_wrong_ones_first_filtered_by_the_matrix(window, qtbot):
    run(qtbot, window, "run.predict")
    shown = window.results.samples.samples.samples
    assert len(shown) >= 16
    right = [s.label == s.answer for s in shown]
    assert right == sorted(right), "wrong answers come first"
    confusion = window.results.report.details.confusion
    true, answer = max(((t, a) for t in range(10) for a in range(10)), key=lambda c: confusion[c[0]][c[1]])
    matrix = window.results.confusion
    place = matrix.getPlotItem().getViewBox().mapViewToScene(_centre(answer, true))
    qtbot.mouseClick(matrix.viewport(), Qt.MouseButton.LeftButton, pos=matrix.mapFromScene(place))
    assert matrix.selection == (true, answer)
    filtered = window.results.samples.samples.samples
    assert filtered and all((s.label, s.answer) == (true, answer) for s in filtered)
    qtbot.mouseClick(matrix.viewport(), Qt.MouseButton.LeftButton, pos=matrix.mapFromScene(place))
    assert len(window.results.samples.samples.samples) == len(shown)
    window.results.classes.clicked.emit(3)
    assert {s.label for s in window.results.samples.samples.samples} == {3}


def _centre(x: int, y: int):
    from PySide6.QtCore import QPointF

    return QPointF(x + 0.5, y + 0.5)


def test_an_edit_makes_the_result_belong_to_an_earlier_version(window, qtbot):
    run(qtbot, window, "run.predict")
    assert window.results.stale.isHidden()
    window.canvas.select(("body.conv",))
    window.inspector.editors["out_channels"].spin.setValue(9)
    assert not window.results.stale.isHidden()
    window.document.undo()
    assert window.results.stale.isHidden()
    window.files.open("example:lenet5", ask=False)
    assert window.results.report is None


def test_compare_draws_the_curve_and_names_the_crossing(window, qtbot):
    window.run_bar.choose(ghn=RANDOM)
    window.run_bar.choose_budget(0)
    run(qtbot, window, "run.compare")
    assert window.tabs.currentWidget() is window.curve
    steps = [p.step for p in window.curve.points]
    assert steps == sorted(steps) and steps[-1] == 100
    assert window.curve.plot.curves == window.curve.curves
    assert window.curve.curves[0].points == window.curve.points
    sentence = window.curve.sentence.text()
    assert sentence.startswith(("SGD needs ", "After 100 steps", "The random start"))
    assert window.results.report.label == "random start, no training"


def test_a_comparison_can_be_stopped_and_keeps_its_points(window, qtbot):
    window.run_bar.choose_budget(5)
    window.actions_by_id["run.compare"].trigger()
    qtbot.waitUntil(lambda: len(window.curve.points) >= 2, timeout=PATIENCE_MS)
    window.actions_by_id["run.cancel"].trigger()
    qtbot.waitUntil(lambda: not window.desk.is_running, timeout=20_000)
    assert window.curve.sentence.text().startswith("Stopped: training was at")
    assert len(window.curve.points) >= 2
    assert window.actions_by_id["run.predict"].isEnabled()


def test_stopping_shows_within_200_ms_and_the_job_ends_within_2_s(window, qtbot):
    closed: list[float] = []
    window.desk.start(Errand("Counting", lambda: counting(10_000, 0.02, closed), lambda _: None, needs_torch=False))
    qtbot.waitUntil(lambda: window.run_bar.progress.stage.text() == "Counting: counting", timeout=5000)
    asked = time.monotonic()
    qtbot.mouseClick(window.run_bar.cancel_button, Qt.MouseButton.LeftButton)
    assert window.run_bar.progress.stage.text() == "Stopping…"
    assert time.monotonic() - asked < 0.2
    assert "Stopping…" in window.actions_by_id["run.cancel"].toolTip()
    assert not window.actions_by_id["run.cancel"].isEnabled()
    qtbot.waitUntil(lambda: not window.desk.is_running, timeout=5000)
    assert closed and closed[0] - asked < 2
    assert not window.run_bar.cancel_button.isVisible()


def test_only_one_thing_runs_at_a_time(window, qtbot):
    closed: list[float] = []
    job = Errand("Counting", lambda: counting(10_000, 0.01, closed), lambda _: None, needs_torch=False)
    assert window.desk.start(job)
    assert not window.desk.start(job)
    assert not window.actions_by_id["run.predict"].isEnabled()
    assert "running" in window.actions_by_id["run.predict"].toolTip()
    window.desk.cancel()
    qtbot.waitUntil(lambda: not window.desk.is_running, timeout=5000)


@pytest.mark.parametrize("error", [ValueError("no such thing"), RuntimeError("mat1 and mat2 cannot be multiplied")])
def test_an_unexpected_error_is_shown_with_details_and_kept_in_the_log(window, qtbot, error):
    def job() -> Job[None]:
        yield Progress("about to fail")
        raise error

    window.desk.start(Errand("Trying", job, lambda _: None, needs_torch=False))
    qtbot.waitUntil(lambda: not window.desk.is_running, timeout=5000)
    assert window.banner.isVisible() and str(error) in window.banner.text.text()
    details = next(b for b in window.banner.buttons if b.text() == "Details")
    details.click()
    dialog = window.findChild(QDialog, "dialog.details")
    assert "Traceback" in dialog.text.toPlainText() and str(error) in dialog.text.toPlainText()
    dialog.reject()
    assert window.banner.isVisible(), "reading the details does not dismiss the message"
    qtbot.waitUntil(lambda: str(error) in window.log.text(), timeout=2000)


def test_a_ghn_of_another_dataset_is_refused_with_a_fix_that_runs(window, qtbot):
    window.run_bar.choose(ghn="foreign", head="predicted")
    window.actions_by_id["run.predict"].trigger()
    assert not window.desk.is_running
    assert "letters" in window.banner.text.text()
    (fix,) = window.banner.findChildren(QPushButton, "banner.fix")
    assert fix.text() == "Use closed-form head"
    fix.click()
    qtbot.waitUntil(lambda: not window.desk.is_running and window.results.report is not None, timeout=PATIENCE_MS)
    assert window.results.report.label.startswith("closed form on ")
    assert window.results.report.accuracy > 0.3
    assert "Not predicted" in window.results.summary.unpredicted.text()
    assert window.run_bar.choices().head == "closed-form"


def test_wrong_classes_are_refused_with_a_fix_that_replaces_the_classifier(window, qtbot):
    window.canvas.select(("head",))
    window.inspector.editors["out_features"].spin.setValue(100)
    window.actions_by_id["run.predict"].trigger()
    assert not window.desk.is_running
    assert "100 classes" in window.banner.text.text()
    (fix,) = window.banner.findChildren(QPushButton, "banner.fix")
    assert fix.text() == "Replace the classifier"
    fix.click()
    qtbot.waitUntil(lambda: not window.desk.is_running and window.results.report is not None, timeout=PATIENCE_MS)
    assert window.document.graph.nodes["head"].params.out_features == 10
    assert window.document.undo_label == "Replace the classifier"


def test_without_a_ghn_a_random_start_is_offered(window, qtbot, monkeypatch):
    from ghn_studio.ghn import cards

    monkeypatch.setattr(cards, "list_cards", tuple)
    window.actions_by_id["run.predict"].trigger()
    assert "No hypernetwork can be used" in window.banner.text.text()
    (fix,) = window.banner.findChildren(QPushButton, "banner.fix")
    fix.click()
    qtbot.waitUntil(lambda: not window.desk.is_running and window.results.report is not None, timeout=PATIENCE_MS)
    assert window.results.report.init == "kaiming"


def test_the_bar_starts_with_a_hypernetwork_for_the_dataset(qtbot, installed_ghns):
    made = MainWindow()
    qtbot.addWidget(made)
    suited = suited_ghn("digits")
    assert made.run_bar.ghn.currentData() == suited == made.run_bar.choices().ghn
    assert made.run_bar.choices().init == "ghn"
    made.run_bar.choose(ghn="", dataset="", head="nonsense")
    assert made.run_bar.ghn.currentData() == suited and made.run_bar.choices().head == "predicted"


def test_the_choices_are_remembered(window, qtbot):
    window.run_bar.choose(ghn="foreign", head="closed-form")
    window.document.mark_saved()
    window.close()
    again = MainWindow()
    qtbot.addWidget(again)
    assert (again.run_bar.choices().ghn, again.run_bar.choices().head) == ("foreign", "closed-form")


def test_a_ghn_is_taken_from_its_folder(window, qtbot, foreign_ghn, tmp_path):
    window.hypernetworks.use_folder(tmp_path)
    assert "no hypernetwork" in window.banner.text.text()
    assert window.run_bar.choices().ghn == "tiny"
    window.hypernetworks.use_folder(Path(foreign_ghn))
    assert window.run_bar.choices().ghn == foreign_ghn
    window.run_bar.choose(head="closed-form")
    run(qtbot, window, "run.predict")
    assert window.results.report.ghn == "foreign"


def test_options_are_made_from_the_request_and_reach_the_run(window, qtbot):
    qtbot.mouseClick(window.run_bar.options_button, Qt.MouseButton.LeftButton)
    dialog = window.findChild(QDialog, "dialog.options")
    assert dialog.editors["images"].spin.text() == "default"
    dialog.editors["images"].spin.setValue(100)
    dialog.editors["batch_norm"].combo.setCurrentIndex(1)
    dialog.editors["batch_norm"].combo.activated.emit(1)
    dialog.accept()
    assert window.run_bar.choices().options == {"images": 100, "batch_norm": "batch"}
    run(qtbot, window, "run.predict")
    assert window.results.report.images == 100 and window.results.report.batch_norm == "batch"
    qtbot.mouseClick(window.run_bar.options_button, Qt.MouseButton.LeftButton)
    again = window.findChildren(QDialog, "dialog.options")[-1]
    assert again.editors["images"].spin.value() == 100
    again.reset()
    again.accept()
    assert window.run_bar.choices().options == {}


def test_predicted_values_are_saved_with_the_project_and_can_be_exported_again(window, qtbot, tmp_path):
    import torch

    run(qtbot, window, "run.predict")
    assert window.files.save()
    saved = read(tmp_path / "small.ghn")
    assert saved.values is not None and saved.values.origin["ghn"] == "tiny" and not saved.values.missing
    assert window.document.project.values == saved.values
    window.files.open(str(tmp_path / "small.ghn"), ask=False)
    assert window.files.held is None
    assert STORED in window.exporting.sources()
    with qtbot.waitSignal(window.exporting.exported, timeout=PATIENCE_MS):
        window.exporting.export(tmp_path / "again.pt", STORED)
    state = torch.load(tmp_path / "again.pt", weights_only=True)
    assert "head.weight" in state


def test_the_export_dialog_writes_what_it_announced(window, qtbot, tmp_path):
    import torch

    from ghn_studio.engine.build import build

    run(qtbot, window, "run.predict")
    values = window.files.held.tensors
    window.actions_by_id["file.export"].trigger()
    dialog = window.findChild(QDialog, "dialog.export")
    assert dialog.source == HELD and dialog.target.suffix == ".pt"
    dialog.file.setText(str(tmp_path / "out.pt"))
    with qtbot.waitSignal(window.exporting.exported, timeout=PATIENCE_MS):
        dialog.export_button.click()
    state = torch.load(tmp_path / "out.pt", weights_only=True)
    build(window.document.graph).load_state_dict(state, strict=True)
    assert torch.equal(state["head.weight"], values["head.weight"])
    assert "out.pt" in dialog.outcome.title.text()
    dialog.reject()


def test_the_export_dialog_refuses_before_it_is_too_late(window, tmp_path):
    window.actions_by_id["file.export"].trigger()
    dialog = window.findChild(QDialog, "dialog.export")
    dialog.file.setText(str(tmp_path / "nowhere" / "out.pt"))
    assert not dialog.export_button.isEnabled() and "nowhere" in dialog.note.text()
    dialog.file.setText(str(tmp_path / "out.docx"))
    assert not dialog.export_button.isEnabled()
    dialog.choose(".py")
    assert dialog.target.suffix == ".py" and dialog.export_button.isEnabled()
    assert not dialog.values.isEnabled()
    dialog.reject()


@pytest.mark.parametrize("ending", [".py", ".safetensors", ".ghn"])
def test_every_format_is_exported_without_a_prediction(window, qtbot, tmp_path, ending):
    target = tmp_path / f"out{ending}"
    with qtbot.waitSignal(window.exporting.exported, timeout=PATIENCE_MS):
        window.exporting.export(target, RANDOM_START)
    assert target.stat().st_size > 0
    if ending != ".py":
        assert "random" in window.banner.text.text()


def test_a_dropped_onnx_file_comes_with_its_values(window, qtbot, tmp_path):
    torch = pytest.importorskip("torch")
    onnx_io = pytest.importorskip("ghn_studio.onnx_io")
    from ghn_studio.engine.execution import Plan
    from ghn_studio.engine.initial import kaiming

    graph = window.document.graph
    values = kaiming(Plan(graph), 3)
    file = tmp_path / "foreign.onnx"
    onnx_io.write(file, graph, values)
    window.files.open(str(file), ask=False)
    qtbot.waitUntil(lambda: window.files.held is not None, timeout=PATIENCE_MS)
    assert window.document.path is None
    assert window.exporting.sources()[HELD].startswith("Imported")
    assert any(torch.equal(t, values["head.weight"]) for t in window.files.held.tensors.values())
    assert window.files.save_to(tmp_path / "imported.ghn")
    assert read(tmp_path / "imported.ghn").values.origin["kind"] == "imported"


def test_an_onnx_file_that_cannot_be_read_is_refused_in_words(window, qtbot, tmp_path):
    file = tmp_path / "broken.onnx"
    file.write_bytes(b"not an onnx file at all")
    before = window.document.project
    window.files.open(str(file), ask=False)
    qtbot.waitUntil(lambda: not window.desk.is_running, timeout=PATIENCE_MS)
    assert window.banner.message.kind == "error" and "broken.onnx" in window.banner.text.text()
    assert window.document.project is before


def test_closing_during_a_job_asks_stops_and_waits(window, qtbot, monkeypatch):
    closed: list[float] = []
    answers = [Answer.CANCEL, Answer.STOP]
    monkeypatch.setattr(leaving, "ask_about_job", lambda *a: answers.pop(0))
    window.desk.start(Errand("Counting", lambda: counting(10_000, 0.01, closed), lambda _: None, needs_torch=False))
    qtbot.waitUntil(lambda: window.run_bar.progress.stage.text() == "Counting: counting", timeout=5000)
    assert not window.close()
    assert window.desk.is_running and not closed
    assert window.close()
    assert closed, "the job was closed before the window was gone"


def test_an_image_folder_becomes_the_dataset(window, qtbot, tmp_path):
    from PySide6.QtGui import QColor, QImage

    for part in ("train", "test"):
        for name, colour in (("dark", 20), ("light", 230)):
            folder = tmp_path / "shades" / part / name
            folder.mkdir(parents=True)
            for number in range(6):
                image = QImage(8, 8, QImage.Format.Format_RGB888)
                image.fill(QColor(colour + number, colour + number, colour))
                image.save(str(folder / f"{number}.png"))
    window.choosing.use_folder(tmp_path / "shades")
    qtbot.waitUntil(lambda: window.run_bar.choices().dataset == f"folder:{tmp_path / 'shades'}", timeout=10_000)
    assert window.run_bar.dataset.currentText() == "shades"
    (notice,) = window.problems.notices
    assert notice.fixes[0].title == "Set classes to 2"


def test_clicks_and_keys_during_the_import_of_torch_are_not_lost(window, qtbot):
    """The first click comes while PyTorch is loading (or not even that): it runs when it can."""
    search = window.palette_panel.search
    window.loader.start()
    qtbot.keyClicks(search, "conv")
    qtbot.mouseClick(window.run_bar.predict_button, Qt.MouseButton.LeftButton)
    assert window.desk.is_running
    qtbot.waitUntil(lambda: window.results.report is not None, timeout=PATIENCE_MS)
    assert search.text() == "conv"
    assert window.findChild(QLabel, "status.torch").text() == "PyTorch is ready"


def test_the_window_stays_responsive_during_a_prediction(window, qtbot):
    run(qtbot, window, "run.predict")  # imports are done, charts are built
    window.files.open("example:lenet5", ask=False)
    gaps: list[tuple[float, float]] = []
    last = [time.perf_counter(), time.thread_time()]

    def tick() -> None:
        now = [time.perf_counter(), time.thread_time()]
        gaps.append((1000 * (now[0] - last[0]), 1000 * (now[1] - last[1])))
        last[:] = now

    timer = QTimer(interval=5, timerType=Qt.TimerType.PreciseTimer)
    timer.timeout.connect(tick)
    QApplication.processEvents()
    tick()
    gaps.clear()
    timer.start()
    run(qtbot, window, "run.predict")
    qtbot.wait(100)
    timer.stop()
    waited, worked = max(g[0] for g in gaps), max(g[1] for g in gaps)
    print(f"{len(gaps)} ticks, longest gap {waited:.0f} ms, longest work of the window {worked:.0f} ms")
    assert len(gaps) > 10
    # The window's own work between two ticks, whatever else the machine is busy with.
    assert worked <= 50
    # Waiting counts too where cores are free: for the interpreter's lock, above all.
    if os.getloadavg()[0] < (os.cpu_count() or 1):
        assert waited <= 100


