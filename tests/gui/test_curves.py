"""Training curves: what is drawn of them, what their legend, axes and exports do, and fine-tuning in the window."""

from __future__ import annotations

import csv
import io
import math
from pathlib import Path
from xml.etree import ElementTree

import pytest
from hypothesis import given
from hypothesis import strategies as st
from PySide6.QtCore import QPointF, Qt
from PySide6.QtGui import QImage
from PySide6.QtWidgets import QCheckBox
from pytestqt.qtbot import QtBot

from ghn_studio.app.finetuning import given_of
from ghn_studio.app.results import FinetuneReport
from ghn_studio.engine.descent.curves import CurvePoint
from ghn_studio.gui.curves.panel import CurvePanel
from ghn_studio.gui.curves.series import Curve, curves_of, decimated
from ghn_studio.gui.curves.tones import tones
from ghn_studio.gui.main_window import MainWindow
from ghn_studio.gui.saving import with_ending, write
from ghn_studio.gui.wording import finetuned
from ghn_studio.runs import RunStore, State

PATIENCE_MS = 60_000


def points(series: str, *accuracies: float) -> list[CurvePoint]:
    return [CurvePoint(2**i, 0.1 * 2**i, a, 2 - a, None, series) for i, a in enumerate(accuracies)]


def report(**options: object) -> FinetuneReport:
    curve, scratch = tuple(points("finetune", 0.5, 0.7, 0.8)), tuple(points("scratch", 0.1, 0.3, 0.6))
    base = {
        "architecture": "net", "dataset": "digits", "init": "ghn", "ghn": "g", "post_process": "none",
        "initial_accuracy": 0.4, "accuracy": 0.8, "validation_accuracy": 0.8, "kept_step": 4, "steps": 4,
        "seconds": 0.4, "label": "predicted, then trained 4 steps", "curve": curve, "scratch": scratch,
        "scratch_accuracy": 0.6, "settings": "SGD, learning rate 0.025",
    }
    return FinetuneReport(**{**base, **options})  # type: ignore[arg-type]


@pytest.fixture
def panel(qtbot: QtBot) -> CurvePanel:
    made = CurvePanel()
    qtbot.addWidget(made)
    made.resize(900, 420)
    made.show()
    return made


@given(st.lists(st.floats(-1e6, 1e6), max_size=400), st.integers(4, 60))
def test_a_long_line_keeps_its_ends_and_extremes(ys: list[float], most: int) -> None:
    xs = [float(i) for i in range(len(ys))]
    kept_x, kept_y = decimated(xs, ys, most)
    assert len(kept_x) == len(kept_y) <= max(most, 0)
    assert kept_x == sorted(set(kept_x)) and all(ys[int(x)] == y for x, y in zip(kept_x, kept_y, strict=True))
    if ys:
        assert (kept_x[0], kept_x[-1]) == (0, len(ys) - 1)
        assert (min(kept_y), max(kept_y)) == (min(ys), max(ys))


def test_points_are_parted_by_their_series() -> None:
    found = curves_of([*points("finetune", 0.5, 0.6), *points("scratch", 0.1)])
    assert [(c.kind, len(c.points)) for c in found] == [("finetune", 2), ("scratch", 1)]


def test_two_curves_have_a_legend_that_hides_them(panel: CurvePanel, qtbot: QtBot) -> None:
    panel.show_finetuned(report())
    boxes = panel.findChildren(QCheckBox)
    assert [b.text() for b in boxes] == ["Fine-tuned", "From scratch"]
    assert panel.plot is not None and len(panel.plot.curves) == 2
    qtbot.mouseClick(boxes[1], Qt.MouseButton.LeftButton, pos=boxes[1].rect().center())
    if boxes[1].isChecked():  # a style may take clicks on the box only
        boxes[1].setFocus()
        qtbot.keyClick(boxes[1], Qt.Key.Key_Space)
    assert [c.kind for c in panel.plot.curves] == ["finetune"]
    panel.begin()
    assert not panel.plot.curves and panel.settings.isHidden()


def test_the_crossing_is_that_of_training_from_scratch(panel: CurvePanel) -> None:
    panel.show_finetuned(report())
    assert panel.plot is not None and panel.plot.match is not None
    assert 2 < panel.plot.match.step <= 4, "0.4 lies between 0.3 after 2 and 0.6 after 4 steps"


def test_axes_and_quantities_can_be_chosen(panel: CurvePanel, qtbot: QtBot) -> None:
    panel.show_finetuned(report())
    panel.axis.setFocus()
    qtbot.keyClick(panel.axis, Qt.Key.Key_Down)
    panel.axis.activated.emit(panel.axis.currentIndex())
    panel.quantity.setCurrentIndex(1)
    panel.quantity.activated.emit(1)
    plot = panel.plot
    assert plot is not None and (plot.axis, plot.quantity) == ("seconds", "loss")
    assert "Loss while training, against seconds" in plot.accessibleName()
    low, high = plot.getPlotItem().viewRange()[0]
    assert low < math.log10(0.1) and high > math.log10(0.4)


def test_the_readout_names_every_curve(panel: CurvePanel, qtbot: QtBot) -> None:
    panel.show_finetuned(report())
    assert panel.plot is not None
    text = panel.plot.readout(4)
    assert "Fine-tuned: step 4" in text and "accuracy 60.0 %" in text
    qtbot.mouseMove(panel.plot.viewport(), QPointF(panel.plot.rect().center()).toPoint())


def test_fast_points_are_drawn_at_most_ten_times_a_second(panel: CurvePanel, qtbot: QtBot) -> None:
    drawn: list[int] = []
    plot = panel.prepare()
    before = plot.show_curves

    def counted(curves: list[Curve], *rest: object) -> None:
        drawn.append(len(curves))
        before(curves, *rest)  # type: ignore[arg-type]

    plot.show_curves = counted  # type: ignore[method-assign]
    panel.begin()
    for i in range(3000):
        panel.add_point(CurvePoint(i + 1, i / 100, 0.5, 1.0))
    assert len(drawn) == 1
    qtbot.waitUntil(lambda: len(drawn) == 2, timeout=2000)
    assert len(plot.curves[0].points) == 3000
    assert len(plot._lines[0].getData()[0]) <= 2000


def test_earlier_runs_are_laid_over(panel: CurvePanel) -> None:
    panel.overlay([Curve("run a", "earlier", tuple(points("sgd", 0.1, 0.4)))])
    assert "1 curve" in panel.sentence.text() and len(panel.curves) == 1
    panel.show_finetuned(report())
    panel.overlay([Curve("run a", "earlier", tuple(points("sgd", 0.1, 0.4)))])
    assert [c.name for c in panel.curves] == ["Fine-tuned", "From scratch", "run a"]


def test_curves_of_runs_with_one_title_have_colours_and_switches_of_their_own(panel: CurvePanel, qtbot: QtBot) -> None:
    some = tuple(points("sgd", 0.1, 0.4))
    panel.overlay([Curve("run", "earlier", some, "a"), Curve("run", "earlier", some, "b")])
    assert panel.plot is not None and len({tone.name() for tone in tones(panel.plot.curves)}) == 2
    boxes = panel.findChildren(QCheckBox)
    boxes[1].setChecked(False)
    assert [c.run for c in panel.plot.curves] == ["a"] and boxes[0].isChecked()


@pytest.mark.parametrize(("low", "high"), [(272_000, 289_000), (9.5e6, 1.1e7), (1, 300), (0.004, 20), (1.2, 1.9)])
def test_an_axis_of_powers_has_marks_wherever_it_begins(low: float, high: float, panel: CurvePanel) -> None:
    from ghn_studio.gui.curves.plot import Powers

    axis = Powers("bottom")
    marks = sorted(v for _, values in axis.tickValues(math.log10(low), math.log10(high), 600) for v in values)
    assert 2 <= len(marks) <= 18 and all(low * 0.999 <= 10**v <= high * 1.001 for v in marks)
    axis.zero = 0.5
    assert axis.tickStrings([math.log10(0.5), 0.0], 1, 1) == ["0", "1"]
    axis.zero = None
    texts = axis.tickStrings(marks, 1, 1)
    assert len(set(texts)) == len(marks) and max(map(len, texts)) <= 9


def test_a_file_gets_the_ending_of_the_chosen_kind() -> None:
    assert with_ending("a", "SVG picture (*.svg)") == Path("a.svg")
    assert with_ending("a.png", "SVG picture (*.svg)") == Path("a.png")


def test_the_chart_is_saved_as_png_svg_and_csv(panel: CurvePanel, tmp_path: Path) -> None:
    panel.show_finetuned(report())
    for name in ("a.png", "a.svg", "a.csv"):
        assert write(tmp_path / name, panel.content) is None
    said = write(tmp_path / "gone" / "a.png", panel.content)
    assert said is not None and said.text.startswith("a.png was not saved: ")
    assert not QImage(str(tmp_path / "a.png")).isNull()
    root = ElementTree.parse(tmp_path / "a.svg").getroot()
    assert root.tag.endswith("svg") and len(list(root.iter())) > 30
    rows = list(csv.DictReader(io.StringIO((tmp_path / "a.csv").read_text())))
    assert [(r["curve"], int(r["step"]), float(r["accuracy"])) for r in rows] == [
        *(("Fine-tuned", p.step, p.accuracy) for p in report().curve),
        *(("From scratch", p.step, p.accuracy) for p in report().scratch),
    ]


@pytest.mark.parametrize(("options", "words"), [
    ({}, "From 40.0 % to 80.0 % in 4 steps: ahead of training from scratch (60.0 % after 4 steps) by 20.0 points."),
    ({"scratch": ()}, "From 40.0 % to 80.0 % in 4 steps."),
    ({"accuracy": 0.6}, "level with training from scratch"),
    ({"kept_step": 0, "accuracy": 0.4, "scratch": ()},
     "Training brought nothing better than 40.0 %, which it began with."),
    ({"diverged_at": 7}, "Training from 40.0 % diverged at step 7."),
])
def test_the_outcome_is_told_in_a_sentence(options: dict[str, object], words: str) -> None:
    assert words in finetuned(report(**options))


def test_values_are_called_what_their_origin_says() -> None:
    assert given_of({}, {"label": "predicted, no training"}).label == "predicted, no training"
    assert given_of({}, {"kind": "imported", "file": "x"}).label == "imported"
    assert given_of({}, {}).label == "given parameters"


def test_fine_tuning_in_the_window_goes_on_from_what_was_predicted(
    ready_window: MainWindow, qtbot: QtBot, monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    monkeypatch.setenv("GHN_STUDIO_DATA", str(tmp_path / "data"))
    monkeypatch.delenv("GHN_STUDIO_NO_RUNS", raising=False)
    window = ready_window
    window.run_bar.choose_budget(0)
    window.run_bar.set_options({"images": 40})
    window.predictions.predict()
    qtbot.waitUntil(lambda: not window.desk.is_running and window.results.report is not None, timeout=PATIENCE_MS)
    predicted = window.results.report
    assert predicted is not None
    done: list[FinetuneReport] = []
    window.predictions.finetuned.connect(lambda found, graph: done.append(found))
    window.actions_by_id["run.finetune"].trigger()
    assert window.tabs.currentWidget() is window.curve
    qtbot.waitUntil(lambda: bool(done) and not window.desk.is_running, timeout=PATIENCE_MS)
    (found,) = done
    assert found.initial_accuracy == predicted.accuracy and len(found.scratch) == len(found.curve) - 1
    assert (found.curve[0].step, found.curve[0].accuracy) == (0, predicted.accuracy)
    assert window.results.report is not None and window.results.report.label == found.label
    assert window.files.held is not None and window.files.held.origin["kind"] == "trained"
    assert [c.kind for c in window.curve.curves] == ["finetune", "scratch"]
    store = RunStore()
    runs = store.runs()
    store.close()
    assert [(r.task, r.state, r.is_resumable) for r in runs] == [
        ("finetune", State.FINISHED, False), ("predict", State.FINISHED, False),
    ]


def test_values_a_network_has_outlive_a_comparison(ready_window: MainWindow, qtbot: QtBot) -> None:
    window = ready_window
    window.run_bar.choose_budget(0)
    window.run_bar.set_options({"images": 40})
    window.predictions.finetune()
    qtbot.waitUntil(lambda: not window.desk.is_running and window.files.held is not None, timeout=PATIENCE_MS)
    held = window.files.held
    assert held is not None and held.origin["kind"] == "trained"
    window.predictions.compare()
    qtbot.waitUntil(lambda: not window.desk.is_running and len(window.curve.points) > 3, timeout=PATIENCE_MS)
    assert window.files.held is held


def test_what_was_trained_is_offered_when_another_network_is_open(ready_window: MainWindow, qtbot: QtBot) -> None:
    window, graph = ready_window, ready_window.document.graph
    window.run_bar.choose_budget(0)
    window.run_bar.set_options({"images": 40})
    window.predictions.finetune()
    window.files.open("example:lenet5")
    assert window.desk.is_running
    qtbot.waitUntil(lambda: not window.desk.is_running and window.banner.message is not None, timeout=PATIENCE_MS)
    message = window.banner.message
    assert message is not None and "another network is open now" in message.text
    assert window.document.graph.name == "lenet5"
    message.ways[0].act()
    assert window.document.graph.nodes == graph.nodes
    assert window.files.held is not None and window.files.held.fit(window.document.graph)


def test_fine_tuning_stops_within_a_batch(ready_window: MainWindow, qtbot: QtBot) -> None:
    window = ready_window
    window.run_bar.choose_budget(3)
    window.run_bar.set_options({"images": 40})
    window.predictions.finetune()
    qtbot.waitUntil(lambda: len(window.curve.points) >= 3, timeout=PATIENCE_MS)
    window.desk.cancel()
    assert window.desk.is_stopping
    qtbot.waitUntil(lambda: not window.desk.is_running, timeout=2000)
    assert window.curve.sentence.text().startswith("Stopped: training was at")
