"""The runner promises: one ending, then ``finished``; clean-up on the worker thread, before the ending."""

from __future__ import annotations

import threading
import time

import pytest

from ghn_studio.gui.jobs.job_runner import QtJobRunner
from ghn_studio.jobs import Job, Progress


class Record:
    """Every signal of a runner, in order."""

    def __init__(self, runner: QtJobRunner) -> None:
        self.events: list[tuple[str, object]] = []
        self.threads: set[int] = set()
        for name in ("progressed", "succeeded", "failed"):
            getattr(runner, name).connect(lambda value, name=name: self._add(name, value))
        for name in ("cancelled", "finished"):
            getattr(runner, name).connect(lambda name=name: self._add(name, None))

    def _add(self, name: str, value: object) -> None:
        self.threads.add(threading.get_ident())
        self.events.append((name, value))

    @property
    def endings(self) -> list[str]:
        return [name for name, _ in self.events if name != "progressed"]


def counting(steps: int, closed_on: list[int], pause_s: float = 0.0, error: Exception | None = None) -> Job[int]:
    try:
        for step in range(steps):
            yield Progress("counting", step, steps)
            time.sleep(pause_s)
        if error is not None:
            raise error
        return steps
    finally:
        closed_on.append(threading.get_ident())


def finish(qtbot, runner: QtJobRunner) -> Record:
    record = Record(runner)
    with qtbot.waitSignal(runner.finished, timeout=5000):
        runner.start()
    return record


def test_a_job_that_succeeds_ends_once_with_its_result(qtbot):
    closed: list[int] = []
    record = finish(qtbot, QtJobRunner(counting(3, closed)))
    assert record.endings == ["succeeded", "finished"]
    assert ("succeeded", 3) in record.events
    assert record.threads == {threading.get_ident()}
    assert closed and closed[0] != threading.get_ident()


@pytest.mark.parametrize(
    "error", [ValueError("bad value"), RuntimeError("mat1 and mat2 shapes cannot be multiplied"), KeyError("x")]
)
def test_every_kind_of_error_is_reported_once(qtbot, error):
    closed: list[int] = []
    record = finish(qtbot, QtJobRunner(counting(2, closed, error=error)))
    assert record.endings == ["failed", "finished"]
    assert ("failed", error) in record.events
    assert len(closed) == 1


def test_a_torch_error_is_a_runtime_error_and_is_reported(qtbot):
    torch = pytest.importorskip("torch")

    def job() -> Job[None]:
        yield Progress("multiplying")
        torch.ones(2, 3) @ torch.ones(2, 3)

    record = finish(qtbot, QtJobRunner(job()))
    assert record.endings == ["failed", "finished"]
    assert isinstance(record.events[-2][1], RuntimeError)


def test_interpreter_exits_inside_a_job_end_the_job_not_the_program(qtbot):
    def job() -> Job[None]:
        yield Progress("about to leave")
        raise SystemExit(3)

    assert finish(qtbot, QtJobRunner(job())).endings == ["failed", "finished"]


def test_cancel_closes_the_job_on_the_worker_thread_before_it_is_announced(qtbot):
    closed: list[int] = []
    runner = QtJobRunner(counting(10_000, closed, pause_s=0.005))
    record = Record(runner)
    runner.cancelled.connect(lambda: record.events.append(("closed first", bool(closed))))
    with qtbot.waitSignal(runner.progressed, timeout=5000):
        runner.start()
    asked = time.monotonic()
    with qtbot.waitSignal(runner.finished, timeout=5000):
        runner.cancel()
        assert runner.is_stopping
    assert time.monotonic() - asked < 2
    assert [n for n in record.endings if n != "closed first"] == ["cancelled", "finished"]
    assert ("closed first", True) in record.events
    assert closed[0] != threading.get_ident()
    assert not runner.is_running and not runner.is_stopping


def test_cancelling_twice_or_after_the_end_changes_nothing(qtbot):
    runner = QtJobRunner(counting(10_000, [], pause_s=0.005))
    record = Record(runner)
    with qtbot.waitSignal(runner.progressed, timeout=5000):
        runner.start()
    with qtbot.waitSignal(runner.finished, timeout=5000):
        runner.cancel()
        runner.cancel()
    runner.cancel()
    assert record.endings == ["cancelled", "finished"]


def test_a_job_cancelled_before_it_starts_does_no_work(qtbot):
    ran: list[str] = []

    def job() -> Job[None]:
        ran.append("body")
        yield Progress("never")

    runner = QtJobRunner(job(), prepare=lambda: ran.append("prepare"))
    record = Record(runner)
    runner.cancel()
    with qtbot.waitSignal(runner.finished, timeout=5000):
        runner.start()
    assert record.endings == ["cancelled", "finished"]
    assert ran == []


def test_progress_arrives_at_a_rate_a_screen_can_show(qtbot):
    def job() -> Job[int]:
        end = time.monotonic() + 0.5
        steps = 0
        while time.monotonic() < end:
            steps += 1
            yield Progress("spinning", steps)
        return steps

    record = finish(qtbot, QtJobRunner(job()))
    shown = sum(name == "progressed" for name, _ in record.events)
    steps = dict(record.events)["succeeded"]
    assert steps > 200
    assert 2 <= shown <= 16  # 25 a second for half a second, and the first one


def test_partial_results_and_new_stages_are_never_thinned_out(qtbot):
    def job() -> Job[None]:
        for point in range(40):
            yield Progress("training", point, 40, partial=point)
        for stage in "abc":
            yield Progress(stage)

    record = finish(qtbot, QtJobRunner(job()))
    reports = [value for name, value in record.events if name == "progressed"]
    assert [r.partial for r in reports if r.partial is not None] == list(range(40))
    assert [r.stage for r in reports if r.stage != "training"] == list("abc")


def test_prepare_runs_on_the_worker_thread_and_its_failure_is_an_ending(qtbot):
    where: list[int] = []
    finish(qtbot, QtJobRunner(counting(1, []), prepare=lambda: where.append(threading.get_ident())))
    assert where[0] != threading.get_ident()

    def broken() -> None:
        raise OSError("no such device")

    assert finish(qtbot, QtJobRunner(counting(1, []), prepare=broken)).endings == ["failed", "finished"]


def test_waiting_for_a_job_that_does_not_yield_times_out_and_says_so(qtbot):
    stuck, release = threading.Event(), threading.Event()

    def job() -> Job[None]:
        yield Progress("stuck")
        stuck.set()
        release.wait(60)

    runner = QtJobRunner(job())
    with qtbot.waitSignal(runner.progressed, timeout=5000):
        runner.start()
    assert stuck.wait(20), "a cancelled job ends where it yields"
    runner.cancel()
    assert not runner.wait(0.05)
    with qtbot.waitSignal(runner.finished, timeout=20_000):
        release.set()
    assert runner.wait(20)
