"""Progress on a terminal and in a file."""

from __future__ import annotations

import io

import pytest

from ghn_studio.cli import progress as module
from ghn_studio.cli.progress import ProgressLine, describe
from ghn_studio.engine.descent.curves import CurvePoint
from ghn_studio.jobs import Progress


class Terminal(io.StringIO):
    """A stream that says it is a terminal."""

    def isatty(self) -> bool:
        return True


@pytest.mark.parametrize(
    ("progress", "text"),
    [
        (Progress("predicting"), "predicting"),
        (Progress("evaluating", 64, 364), "evaluating 64/364"),
        (Progress("listing", 12), "listing 12"),
        (Progress("training", 4, 60, CurvePoint(4, 1.0, 0.8125, 0.5)), "training 4/60  accuracy 0.812"),
    ],
)
def test_progress_in_words(progress: Progress, text: str) -> None:
    assert describe(progress) == text


def test_a_file_gets_a_line_per_stage_and_not_one_per_step() -> None:
    stream = io.StringIO()
    line = ProgressLine(stream)
    for step in range(100):
        line(Progress(f"training, loss {step}", step, 100))
    line(Progress("exporting"))
    line.close()
    assert stream.getvalue() == "training, loss 0 0/100\nexporting\n"


def test_a_terminal_is_left_clean(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(module, "TERMINAL_INTERVAL_S", 0)
    stream = Terminal()
    line = ProgressLine(stream)
    line(Progress("a long stage", 1, 10))
    line(Progress("short"))
    line.close()
    shown = stream.getvalue()
    assert "\n" not in shown
    rest = shown.rsplit("\r", 2)
    assert rest[-1] == ""
    assert rest[-2].isspace()


def test_a_line_never_wraps(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("COLUMNS", "20")
    stream = Terminal()
    ProgressLine(stream)(Progress("x" * 100))
    assert len(stream.getvalue()) == 20  # the return, and 19 signs
