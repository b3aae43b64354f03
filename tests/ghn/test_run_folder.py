"""What a run's folder tells without torch."""

from __future__ import annotations

from pathlib import Path

from ghn_studio.ghn.learner import TrainConfig
from ghn_studio.ghn.run_folder import METRICS, NEWEST, TrainPoint, checkpoints, read_points
from ghn_studio.ghn.training import TrainOptions, train


def test_the_curve_of_a_running_job_is_the_one_its_folder_keeps(tmp_path: Path, tiny_config: TrainConfig) -> None:
    out = tmp_path / "a"
    live = [p.partial for p in train(TrainOptions(out=out, config=tiny_config, steps=3)) if p.partial is not None]
    assert live[0] == TrainPoint(1, live[0].seconds, 1, live[0].loss, live[0].accuracy)
    assert live[-1].step == 3 and live[-1].validation is not None and live[-1].loss is None
    (kept,) = read_points(out)  # three steps fill no window, so the validation is all there is
    assert (kept.step, kept.networks, kept.validation) == (3, live[-1].networks, live[-1].validation)
    assert checkpoints(out)[0].name == NEWEST


def test_readings_that_were_taken_anew_are_left_out(tmp_path: Path) -> None:
    (tmp_path / METRICS).write_text(
        '{"step": 50, "seconds": 5, "networks": 200, "kind": "train", "loss": 2.0, "accuracy": 0.2}\n'
        '{"step": 60, "seconds": 6, "networks": 240, "kind": "validation", "accuracy": null}\n'
        '{"step": 100, "seconds": 10, "networks": 400, "kind": "train", "loss": 1.0, "accuracy": 0.4}\n'
        '{"step": 70, "seconds": 7, "networks": 280, "kind": "resume", "source": "checkpoint.pt"}\n'
        '{"step": 100, "seconds": 11, "networks": 400, "kind": "train", "loss": 1.1, "accuracy": 0.3}\n'
        'no JSON\n["not", "an", "object"]\n{"step": "x", "kind": "train"}\n{"step": 150, "seco'
    )
    assert read_points(tmp_path) == (
        TrainPoint(50, 5, 200, 2.0, 0.2), TrainPoint(60, 6, 240), TrainPoint(100, 11, 400, 1.1, 0.3),
    )
    assert read_points(tmp_path / "nowhere") == ()
