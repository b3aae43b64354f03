"""What the window says and advises, without a window."""

from __future__ import annotations

from dataclasses import replace

import pytest

from ghn_studio.app.document import Document
from ghn_studio.app.results import CompareReport, PredictReport, Unpredicted
from ghn_studio.datasets import DATASETS
from ghn_studio.engine.descent.curves import CurvePoint
from ghn_studio.errors import ProjectError
from ghn_studio.gui.actions import ACTIONS, WindowState, shortcut_rows
from ghn_studio.gui.curves.series import Curve, table
from ghn_studio.gui.ghns.ghn_entries import figures
from ghn_studio.gui.jobs.eta import RemainingTime
from ghn_studio.gui.jobs.job_desk import message_for
from ghn_studio.gui.panels.advice import notices
from ghn_studio.gui.results.results_panel import unpredicted_text
from ghn_studio.gui.wording import crossing, duration, facts, percent, plural, remaining
from ghn_studio.ir.graph import Architecture, Edge, Node, Source
from ghn_studio.jobs import Progress
from ghn_studio.ops import REGISTRY
from ghn_studio.project import Project

REPORT = PredictReport(
    architecture="net", nodes=7, parameters=1000, predicted_parameters=1000, unpredicted=(), graph_seconds=0.01,
    predict_seconds=0.04, ghn="ghn2-digits", head="predicted", dataset="digits", images=364, accuracy=0.874, loss=0.4,
    batch_norm="calibrated", evaluate_seconds=0.3, device="cpu", label="predicted, no training",
)
CURVE = tuple(CurvePoint(s, 0.03 * s, a, 1.0) for s, a in ((1, 0.2), (8, 0.5), (64, 0.9), (300, 0.95)))


def compared(steps: int | None, **changes) -> CompareReport:
    seconds = None if steps is None else 0.03 * steps
    values = {
        "predicted_accuracy": 0.874, "predict_seconds": 0.05, "sgd": CURVE, "steps_to_match": steps,
        "seconds_to_match": seconds, "speedup": None if seconds is None else seconds / 0.05, "prediction": REPORT,
    }
    return CompareReport(**(values | changes))


def test_the_crossing_is_named_in_words():
    assert crossing(compared(64)) == (
        "SGD needs 64 steps, 1.9 s, to reach 87.4 %, what was predicted in 0.05 s, 38 times as long."
    )


def test_a_crossing_that_was_not_reached_is_admitted():
    text = crossing(compared(None, sgd=CURVE[:2]))
    assert text.startswith("After 8 steps, 0.24 s, SGD is at 50.0 % at best and has not reached 87.4 %")
    assert crossing(compared(None, sgd=())) == "SGD was stopped before its first evaluation."


def test_what_was_not_predicted_is_never_called_predicted():
    closed = replace(REPORT, head="closed-form", label="closed form on 1000 images")
    random = replace(REPORT, init="kaiming", label="random start, no training", ghn="")
    assert "fitted in closed form" in crossing(compared(64, prediction=closed))
    assert "drawn at random" in crossing(compared(64, prediction=random))
    assert "Prediction" not in dict(facts(random))
    assert dict(facts(random))["Parameters"] == "1.0 k random"


@pytest.mark.parametrize(("seconds", "text"), [
    (0.0004, "0.4 ms"), (0.004, "4 ms"), (0.05, "0.05 s"), (1.92, "1.9 s"), (60, "1 min"), (125, "2 min 5 s"),
    (3840, "1 h 4 min"),
])
def test_durations_read_like_durations(seconds, text):
    assert duration(seconds) == text


def test_numbers_read_like_numbers():
    assert percent(0.92345) == "92.3 %"
    assert percent(None) == percent(float("nan")) == "–"
    assert [plural(1, "class"), plural(2, "class"), plural(1200, "node")] == ["1 class", "2 classes", "1,200 nodes"]
    assert remaining(2) == "a few seconds left" and remaining(41) == "about 40 s left"
    assert remaining(300) == "about 5 min left"


def test_unpredicted_tensors_are_named_by_reason():
    left = tuple(Unpredicted(f"fc.{n}", (3,), "solved in closed form") for n in "abcde")
    text = unpredicted_text(replace(REPORT, unpredicted=left))
    assert text == "Not predicted: 5 tensors.\nfc.a, fc.b, fc.c and 2 more: solved in closed form."
    assert unpredicted_text(REPORT) == "Every trainable parameter was predicted."


def test_the_remaining_time_is_not_guessed_too_early():
    now = 0.0
    clock = RemainingTime(lambda: now)
    guesses = []
    for step in range(21):
        guesses.append(clock.update(Progress("training", step, 100)))
        now += 0.1
    assert guesses[:4] == [None] * 4
    assert guesses[-1] == pytest.approx(8.0, rel=0.05)
    assert clock.update(Progress("evaluating", 0, 10)) is None, "another stage has another speed"
    assert clock.update(Progress("unknown length", 5)) is None


def test_messages_say_whose_fault_it_is():
    ours = message_for("Open", ProjectError("net.ghn: damaged"))
    assert ours.text == "net.ghn: damaged"
    fault = message_for("Predict", KeyError("weight"))
    assert "unexpectedly (KeyError" in fault.text and "Traceback" not in fault.text and "KeyError" in fault.details
    memory = message_for("Predict", RuntimeError("CUDA out of memory. Tried to allocate 2 GiB"))
    assert "ran out of memory" in memory.text


def test_a_curve_can_be_saved_as_a_table():
    lines = table([Curve("mine, again", "sgd", tuple(CURVE))]).splitlines()
    assert lines[0] == "curve,step,seconds,accuracy,loss,validation"
    assert lines[1] == '"mine, again",1,0.03,0.2,1,' and len(lines) == 5


def test_every_rule_explains_itself_in_a_sentence():
    for spec in ACTIONS:
        for state in (WindowState(), WindowState(nodes=3, problems=2), WindowState(nodes=3, is_running=True),
                      WindowState(nodes=3, is_running=True, is_stopping=True)):
            reason = spec.rule(state)
            assert reason == "" or reason.endswith((".", "…"))


def test_the_cheat_sheet_holds_every_shortcut():
    assert len(list(shortcut_rows())) == sum(spec.shortcut is not None for spec in ACTIONS)


# --- advice ------------------------------------------------------------------------------------


@pytest.fixture
def document(make_small_network) -> Document:
    return Document(Project(make_small_network()))


def edited(document: Document, graph: Architecture) -> Document:
    return Document(Project(graph))


def test_a_sound_network_gets_no_advice(document):
    assert notices(document, DATASETS["digits"]) == ()
    assert notices(Document()) == ()


def change(document: Document, node: str, **values) -> Document:
    graph = document.graph
    params = replace(graph.nodes[node].params, **values)
    return Document(Project(graph.with_params(node, params)))


@pytest.mark.parametrize(("values", "title"), [
    ({"groups": 4}, "Set groups to 3"),
    ({"kernel_size": (31, 3), "padding": (0, 1)}, "Set padding to 15×1"),
    ({"kernel_size": (0, 3)}, "Set kernel size to 1×3"),
])
def test_wrong_parameters_are_put_right_by_the_nearest_that_fit(make_small_network, values, title):
    graph = make_small_network()
    wide = graph.with_node(Node("wide", "conv2d", replace(graph.nodes["body.conv"].params, out_channels=6),
                                (Source("body.act"),))).with_edge(Edge("wide", 0, "pool", 0))
    broken = change(Document(Project(wide)), "wide", **values)
    (notice,) = notices(broken)
    assert notice.node == "wide" and notice.fixes[0].title == title
    assert notice.fixes[0].apply(broken)
    assert notices(broken) == ()
    assert broken.undo_label == title


def test_a_map_in_front_of_a_classifier_can_be_flattened_or_pooled(document):
    graph = document.graph.with_edge(Edge("body.act", 0, "head", 0)).without_nodes(["pool", "flat"])
    broken = edited(document, graph)
    (notice,) = notices(broken)
    titles = [fix.title for fix in notice.fixes]
    assert "Insert Flatten" in titles
    for index in range(len(notice.fixes)):
        mended = edited(document, graph)
        (again,) = notices(mended)
        assert again.fixes[index].apply(mended)
        assert notices(mended) == ()


def test_a_network_without_ends_gets_them(document):
    cut = edited(document, document.graph.without_nodes(["input"]))
    fix = next(n.fixes[0] for n in notices(cut) if "no input" in n.message)
    fix.apply(cut)
    assert any(n.op == "input" for n in cut.graph.nodes.values())
    cut = edited(document, document.graph.without_nodes(["output"]))
    (notice,) = notices(cut)
    notice.fixes[0].apply(cut)
    assert notices(cut) == ()


def test_fixes_exist_only_where_they_work(document):
    """Two loose ends: nobody can know which one belongs to the open input."""
    graph = document.graph.without_edge(Edge("flat", 0, "head", 0))
    graph = graph.with_node(Node("stray", "relu", REGISTRY["relu"].params(), (Source("pool"),)))
    (notice, *_) = notices(edited(document, graph))
    assert notice.node == "head" and notice.fixes == ()


def test_unknown_operators_can_be_deleted(document):
    graph = document.graph.with_node(Node("alien", "from_tomorrow", None, (Source("flat"),)))
    (notice,) = notices(edited(document, graph))
    assert notice.fixes[0].title == "Delete 'alien'"


def test_a_card_s_accuracies_are_read_from_the_end_of_their_keys():
    entry = {"mean": 0.5}
    columns, rows = figures({
        "folder:MNIST (5,000): test at 16 px, ghn, predicted": entry, "test, kaiming, closed-form, all images": entry,
        "older": 0.25,
    })
    assert columns == ("GHN,\npredicted", "Random start,\nclosed form", "Accuracy")
    assert [name for name, _ in rows] == ["MNIST (5,000): test at 16 px", "test, all images", "older"]
