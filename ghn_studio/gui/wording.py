"""Numbers and findings as people read them. No Qt."""

from __future__ import annotations

import math

from ghn_studio.app.drawing.faces import count_text
from ghn_studio.app.results import CompareReport, FinetuneReport, PredictReport


def percent(fraction: float | None) -> str:
    """``0.923`` as ``92.3 %``; "–" for None and NaN."""
    if fraction is None or math.isnan(fraction):
        return "–"
    return f"{fraction * 100:.1f} %"


def duration(seconds: float) -> str:
    """A measured time: ``4 ms``, ``0.05 s``, ``1.9 s``, ``2 min 5 s``, ``1 h 4 min``."""
    if seconds < 0.01:
        return f"{seconds * 1000:.1f} ms" if seconds < 0.001 else f"{seconds * 1000:.0f} ms"
    if seconds < 1:
        return f"{seconds:.2f} s"
    if seconds < 60:
        return f"{seconds:.1f} s"
    minutes, rest = divmod(round(seconds), 60)
    if minutes < 60:
        return f"{minutes} min {rest} s" if rest else f"{minutes} min"
    return f"{minutes // 60} h {minutes % 60} min"


def remaining(seconds: float) -> str:
    """A guessed time, rounded so that it does not pretend to be exact: ``about 40 s left``."""
    if seconds < 5:
        return "a few seconds left"
    if seconds < 90:
        return f"about {max(1, round(seconds / 5)) * 5} s left"
    if seconds < 5400:
        return f"about {round(seconds / 60)} min left"
    return f"about {seconds / 3600:.1f} h left"


def plural(number: int, noun: str) -> str:
    """``1 node``, ``2 nodes``, ``2 classes``."""
    if number == 1:
        return f"1 {noun}"
    ending = "es" if noun.endswith(("s", "x", "ch", "sh")) else "s"
    return f"{number:,} {noun}{ending}"


def shorten(text: str, letters: int) -> str:
    """``text``, or its beginning and its end with "…" between: what tells names apart is often last."""
    if len(text) <= letters:
        return text
    return f"{text[:(letters - 1) // 2]}…{text[len(text) - letters // 2:]}"


def size_text(number: int) -> str:
    """Bytes as people read them: ``812 kB``, ``27.1 MB``, ``2.44 GB``."""
    for limit, unit, digits in ((2**20, 2**10, 0), (2**30, 2**20, 1)):
        if number < limit:
            return f"{number / unit:,.{digits}f} {'kB' if unit == 2**10 else 'MB'}"
    return f"{number / 2**30:,.2f} GB"


def crossing(report: CompareReport) -> str:
    """Say in one sentence when training reached the predicted accuracy, if it did."""
    took = f"what was {origin(report)} in {duration(report.predict_seconds)}"
    goal = percent(report.predicted_accuracy)
    if report.steps_to_match is not None and report.seconds_to_match is not None:
        if report.steps_to_match == 0:
            return f"The random start of SGD already reaches {goal}, {took}."
        times = f", {report.speedup:,.0f} times as long" if report.speedup and report.speedup >= 2 else ""
        return (
            f"SGD needs {plural(report.steps_to_match, 'step')}, {duration(report.seconds_to_match)}, to reach "
            f"{goal}, {took}{times}."
        )
    if not report.sgd:
        return "SGD was stopped before its first evaluation."
    last = report.sgd[-1]
    best = max(p.accuracy for p in report.sgd)
    return (
        f"After {plural(last.step, 'step')}, {duration(last.seconds)}, SGD is at {percent(best)} at best "
        f"and has not reached {goal}, {took}."
    )


def finetuned(report: FinetuneReport) -> str:
    """Say in one sentence what training on from the start brought, beside training from scratch."""
    gained = (
        f"From {percent(report.initial_accuracy)} to {percent(report.accuracy)} in {plural(report.kept_step, 'step')}"
        if report.kept_step else f"Training brought nothing better than {percent(report.accuracy)}, which it began with"
    )
    if report.diverged_at is not None:
        return f"Training from {percent(report.initial_accuracy)} diverged at step {report.diverged_at:,}."
    if not report.scratch:
        return f"{gained}."
    last = report.scratch[-1]
    difference = 100 * (report.accuracy - last.accuracy)
    side = "ahead of" if difference > 0 else "behind" if difference < 0 else "level with"
    points = f" by {abs(difference):.1f} points" if difference else ""
    other = f"training from scratch ({percent(last.accuracy)} after {plural(last.step, 'step')})"
    return f"{gained}: {side} {other}{points}."


def origin(report: CompareReport) -> str:
    """``predicted``, or what was done instead: the word that fits into "what was … in 0.05 s"."""
    prediction = report.prediction
    if prediction is None or (prediction.head == "predicted" and prediction.init == "ghn"):
        return "predicted"
    return "fitted in closed form" if prediction.head == "closed-form" else "drawn at random"


def facts(report: PredictReport) -> tuple[tuple[str, str], ...]:
    """The lines beside the big number: name and value."""
    seconds = report.graph_seconds + report.predict_seconds
    if report.init == "ghn":
        predicted = f"{count_text(report.predicted_parameters)} of {count_text(report.parameters)}"
        lines = [("Parameters", predicted), ("Prediction", duration(seconds))]
    elif report.init == "trained":
        lines = [("Parameters", f"{count_text(report.parameters)}, trained on")]
    else:
        lines = [("Parameters", f"{count_text(report.parameters)} random"), ("Random (Kaiming)", duration(seconds))]
    if report.accuracy is not None:
        lines += [
            ("Evaluation", duration(report.evaluate_seconds)),
            ("Test images", f"{report.images:,}"),
            ("Loss", "–" if report.loss is None else f"{report.loss:.3f}"),
        ]
        norm = f"calibrated in {duration(report.calibration_seconds)}" if report.calibration_seconds else "calibrated"
        lines.append(("Batch norm", norm if report.batch_norm == "calibrated" else "of each batch of 64"))
    if report.head_seconds:
        lines.append(("Closed-form head", duration(report.head_seconds)))
    if report.ghn:
        lines.append(("GHN", report.ghn))
    if report.graph_note:
        lines.append(("Graph", report.graph_note))
    lines.append(("Device", report.device))
    return tuple(lines)
