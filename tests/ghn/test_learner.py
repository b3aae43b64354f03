"""One process's part of a training step, and the settings of a run."""

from __future__ import annotations

import json
import math
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest
import torch

from ghn_studio.engine import data as pixels
from ghn_studio.errors import TrainingError, UsageError
from ghn_studio.ghn.config import GhnConfig
from ghn_studio.ghn.group import Command, Group
from ghn_studio.ghn.learner import Learned, Learner
from ghn_studio.ghn.places import Place
from ghn_studio.ghn.recipe import Clock, TrainConfig
from ghn_studio.ghn.ridge import RidgeHead

CPU = torch.device("cpu")


@pytest.fixture(scope="module")
def digits() -> pixels.ImageData:
    return pixels.load("digits")


@pytest.fixture
def learner(tiny_config: TrainConfig, digits: pixels.ImageData) -> Learner:
    return Learner(tiny_config, [digits], 0, 0, CPU)


def take_step(learner: Learner, step: int, rate: float) -> Learned:
    """A step of a process that is alone."""
    learned = learner.gradient(step)
    Group(Place()).average(learner.parameters, learned.networks)
    assert all(g.isfinite().all() for g in gradients(learner))
    learner.apply(rate)
    return learned


def gradients(learner: Learner) -> list[torch.Tensor]:
    return [p.grad.clone() if p.grad is not None else torch.zeros_like(p) for p in learner.parameters]


def test_the_rate_warms_up_stays_and_decays_by_a_cosine() -> None:
    config = TrainConfig(learning_rate=1.0, warm_up=4)
    assert [Clock(step=s).rate(config) for s in range(6)] == [0.25, 0.5, 0.75, 1, 1, 1]
    decaying = [Clock(step=s, decay_start=10, decay_steps=8).rate(config) for s in range(10, 20)]
    assert decaying[:8] == pytest.approx([0.5 * (1 + math.cos(math.pi * i / 8)) for i in range(8)])
    assert decaying[8:] == pytest.approx([1e-3, 1e-3])


def test_settings_survive_json() -> None:
    config = TrainConfig(ghn=GhnConfig(hidden=8), sizes={8: 0.25, 16: 0.75}, channels=(8, 16), head="both", flip=True)
    assert TrainConfig.from_json(json.loads(json.dumps(config.to_json()))) == config
    assert TrainConfig.from_json({}) == TrainConfig()
    assert TrainConfig.from_json({"ghn": {"hidden": 16}}).ghn == GhnConfig(hidden=16)


@pytest.mark.parametrize("data", [
    {"surprise": 1}, {"head": "none"}, {"sizes": {}}, {"sizes": {"8": 0}}, {"sizes": {"x": 1}}, {"sizes": [8]},
    {"sizes": {"4": 1}}, {"batch": 0}, {"batch": "8"}, {"networks": 0}, {"learning_rate": 0}, {"clip": -1},
    {"grey_share": 1.5}, {"decay_share": -0.1}, {"ema": 1}, {"channels": [8]}, {"channels": [16, 8]},
    {"channels": [7, 9]}, {"betas": 1}, {"ghn": {"hidden": 3}}, {"ghn": {"surprise": 1}}, {"ghn": 1}, [], 5, "x", None,
], ids=str)
def test_malformed_settings_are_refused(data: Any) -> None:
    with pytest.raises(UsageError, match=r"setting|channels|images"):
        TrainConfig.from_json(data)


def test_settings_are_read_from_a_file(tmp_path: Path) -> None:
    path = tmp_path / "config.json"
    path.write_text('{"batch": 16}', "utf-8")
    assert TrainConfig.read(str(path)) == TrainConfig(batch=16)
    assert TrainConfig.read("") == TrainConfig()
    for text in ("{", "\x00"):
        path.write_text(text, "utf-8")
        with pytest.raises(UsageError, match=r"config\.json' cannot be read"):
            TrainConfig.read(str(path))
    with pytest.raises(UsageError, match="cannot be read"):
        TrainConfig.read(str(tmp_path / "nowhere"))


def test_the_ridge_head_is_ridge_regression_on_part_of_the_batch() -> None:
    torch.manual_seed(0)
    features, labels = torch.randn(16, 5).double() * 3 + 1, torch.randint(3, (16,))
    head = RidgeHead().double()
    logits, asked = head(features, labels, 3)
    known, rest = features[:12], features[12:]
    floor = 0.01 * known.var(0).mean() + 1e-6
    scale = (known.var(0) + floor).sqrt() * math.sqrt(5)
    x, y = (known - known.mean(0)) / scale, torch.nn.functional.one_hot(labels[:12], 3).double() - 1 / 3
    weight = torch.linalg.solve(x.T @ x + torch.eye(5).double(), x.T @ y)  # the primal form of the same problem
    expected = (rest - known.mean(0)) / scale @ weight * math.exp(1.5)
    torch.testing.assert_close(logits, expected)
    assert torch.equal(asked, labels[12:])


def test_a_step_draws_the_same_for_the_same_seed_and_step(learner: Learner) -> None:
    def drawn(step: int) -> tuple[Learned, torch.Tensor]:
        learner.optimiser.zero_grad()
        return learner.gradient(step), torch.cat([g.flatten() for g in gradients(learner)])

    first, gradient = drawn(3)
    again, same = drawn(3)
    assert first == again
    assert torch.equal(gradient, same)
    assert drawn(4)[0] != first
    learner.rollbacks = 1
    assert drawn(3)[0] != first


@pytest.mark.parametrize("world", [2, 3])
def test_processes_share_what_one_alone_would_draw(
    world: int, tiny_config: TrainConfig, digits: pixels.ImageData
) -> None:
    """And their shares cost about the same: none has the larger network in every round."""
    config = replace(tiny_config, networks=2)
    alone = Learner(replace(config, networks=2 * world), [digits], 0, 0, CPU)._share(5)
    shares = [Learner(config, [digits], 0, rank, CPU, world)._share(5) for rank in range(world)]
    assert [len(share) for share in shares] == [2] * world
    dealt = [(c.number, c.graph.name) for share in shares for c in share]
    assert sorted(dealt) == sorted((c.number, c.graph.name) for c in alone)
    sizes = [sum(len(c.graph.nodes) for c in share) for share in shares]
    largest = max(len(c.graph.nodes) for c in alone)
    assert max(sizes) - min(sizes) <= largest


def test_several_datasets_get_their_shares_and_their_own_class_rows(
    tiny_config: TrainConfig, digits: pixels.ImageData
) -> None:
    info = replace(digits.info, name="folder:halves", title="Halves", classes=("low", "high"))
    halves = replace(digits, info=info, train=replace(digits.train, labels=(digits.train.labels >= 5).long()))
    learner = Learner(replace(tiny_config, networks=8, shares=(3.0, 1.0)), [digits, halves], 0, 0, CPU)
    assert [(t.start, t.stop) for t in learner.tasks] == [(0, 10), (10, 12)]
    assert learner.config.ghn.classes == 12
    drawn = [choice.task for step in range(12) for choice in learner._share(step)]
    assert 0.6 < sum(task is learner.tasks[0] for task in drawn) / len(drawn) < 0.9
    assert learner.gradient(0).networks == 8
    with pytest.raises(UsageError, match="between 3 datasets, not 2"):
        Learner(replace(tiny_config, shares=(1.0, 1.0, 1.0)), [digits, halves], 0, 0, CPU)


@pytest.mark.parametrize("head", ["predicted", "closed-form", "both"])
def test_the_loss_falls_with_every_head(head: str, tiny_config: TrainConfig, digits: pixels.ImageData) -> None:
    learner = Learner(replace(tiny_config, head=head, batch=16), [digits], 0, 0, CPU)
    losses = []
    for _ in range(20):  # the same networks and images, so that only learning changes the loss
        learned = take_step(learner, 4, 2e-2)
        losses.append(learned.loss / learned.networks)
    assert losses[-1] < 0.85 * losses[0]
    assert bool(learner.ridge.log_strength) == (head != "predicted"), "the strength is learned where the loss sees it"


def test_the_average_follows_the_parameters(learner: Learner) -> None:
    before = [p.clone() for p in learner.average.parameters()]
    take_step(learner, 0, 1e-2)
    ema = learner.config.ema
    for kept, old, new in zip(learner.average.parameters(), before, learner.ghn.parameters(), strict=True):
        torch.testing.assert_close(kept, ema * old + (1 - ema) * new.detach())


def test_gradients_are_means_over_networks(learner: Learner) -> None:
    learned = learner.gradient(0)
    learner.gradient(1)  # added to the first
    summed = gradients(learner)
    alone = Group(Place())
    assert alone.meet(learned, 0.25, Command.GO_ON) == (learned, 0.25, Command.GO_ON)
    alone.average(learner.parameters, 2)
    for whole, parameter in zip(summed, learner.parameters, strict=True):
        torch.testing.assert_close(parameter.grad, whole / 2)


def test_networks_without_a_finite_loss_are_skipped_and_counted(learner: Learner) -> None:
    with torch.no_grad():
        learner.ghn.decoder_1d.fc[2].bias.fill_(float("nan"))
    assert learner.gradient(0) == Learned(0, 0, 0, 1)
    assert all(not g.any() for g in gradients(learner))


def test_a_step_that_would_spoil_the_parameters_is_not_taken(learner: Learner) -> None:
    before = [p.detach().clone() for p in learner.parameters]
    learner.gradient(0)
    learner.parameters[0].grad[0, 0] = float("inf")  # type: ignore[index]
    assert not math.isfinite(learner.apply(1e-3))
    assert all(torch.equal(p, b) for p, b in zip(learner.parameters, before, strict=True))
    assert all(not g.any() for g in gradients(learner))


def test_going_back_draws_anew_every_time_and_forgets_the_step(learner: Learner, tmp_path: Path) -> None:
    path = tmp_path / "checkpoint.pt"
    path.write_bytes(learner.checkpoint(Clock(step=7)))
    for count in (1, 2, 3):
        learner.gradient(7)
        assert learner.resume(path, go_back=True).step == 7
        assert learner.rollbacks == count
        assert all(not g.any() for g in gradients(learner))


def test_checkpoints_hold_everything(
    learner: Learner, tiny_config: TrainConfig, digits: pixels.ImageData, tmp_path: Path
) -> None:
    for step in range(3):
        take_step(learner, step, 1e-2)
    path = tmp_path / "checkpoint.pt"
    clock = Clock(3, 1.5, 2, 4, 6, 1)
    path.write_bytes(learner.checkpoint(clock))
    other = Learner(tiny_config, [digits], 0, 0, CPU)
    assert other.resume(path) == clock
    for learner_ in (learner, other):
        take_step(learner_, 3, 1e-2)
    for mine, its in zip(learner.parameters, other.parameters, strict=True):
        assert torch.equal(mine, its)
    for mine, its in zip(learner.average.parameters(), other.average.parameters(), strict=True):
        assert torch.equal(mine, its)


def test_checkpoints_of_other_settings_are_refused(
    learner: Learner, tiny_config: TrainConfig, digits: pixels.ImageData, tmp_path: Path
) -> None:
    path = tmp_path / "checkpoint.pt"
    path.write_bytes(learner.checkpoint(Clock()))
    with pytest.raises(TrainingError, match="run with another batch, clip"):
        Learner(replace(tiny_config, batch=16, clip=0.5), [digits], 0, 0, CPU).resume(path)
    with pytest.raises(TrainingError, match="run with another seed"):
        Learner(tiny_config, [digits], 1, 0, CPU).resume(path)
    path.write_bytes(path.read_bytes()[:1000])
    with pytest.raises(TrainingError, match="cannot be used as a checkpoint"):
        learner.resume(path)


def test_another_process_takes_over_the_state(
    learner: Learner, tiny_config: TrainConfig, digits: pixels.ImageData
) -> None:
    take_step(learner, 0, 1e-2)
    other = Learner(tiny_config, [digits], 0, 1, CPU)
    assert other.restore(learner.checkpoint(Clock(step=1))) == Clock(step=1)
    assert all(torch.equal(mine, its) for mine, its in zip(learner.parameters, other.parameters, strict=True))


def test_the_precision_may_change_when_a_run_is_continued(
    learner: Learner, tiny_config: TrainConfig, digits: pixels.ImageData, tmp_path: Path
) -> None:
    path = tmp_path / "checkpoint.pt"
    path.write_bytes(learner.checkpoint(Clock(step=3)))
    assert Learner(replace(tiny_config, precision="bfloat16"), [digits], 0, 0, CPU).resume(path).step == 3


def test_a_processor_computes_in_float32_whatever_the_precision(
    tiny_config: TrainConfig, digits: pixels.ImageData
) -> None:
    one, other = (
        Learner(replace(tiny_config, precision=p), [digits], 0, 0, CPU) for p in ("float32", "bfloat16")
    )
    assert one.gradient(0) == other.gradient(0)


@pytest.mark.parametrize("head", ["predicted", "closed-form", "both"])
def test_networks_in_bfloat16_teach_nearly_the_same(
    head: str, tiny_config: TrainConfig, digits: pixels.ImageData
) -> None:
    """The path of a GPU, on a processor that can do it slowly."""
    exact, mixed = (Learner(replace(tiny_config, head=head, batch=16), [digits], 0, 0, CPU) for _ in range(2))
    mixed.is_mixed = True
    one, other = exact.gradient(4), mixed.gradient(4)
    assert one.loss != other.loss
    assert other.loss == pytest.approx(one.loss, rel=0.1)
    assert all(g.dtype is torch.float32 for g in gradients(mixed))
    flat, rounded = (torch.cat([g.flatten() for g in gradients(which)]) for which in (exact, mixed))
    assert torch.cosine_similarity(flat, rounded, dim=0) > 0.9


@pytest.mark.gpu
@pytest.mark.skipif(not torch.cuda.is_available(), reason="needs a CUDA device")
@pytest.mark.parametrize("precision", ["float32", "bfloat16"])
def test_a_gpu_learns_what_a_processor_does(
    precision: str, tiny_config: TrainConfig, digits: pixels.ImageData
) -> None:
    config = replace(tiny_config, precision=precision, head="both", batch=16)
    here, there = (Learner(config, [digits], 0, 0, torch.device(name)) for name in ("cpu", "cuda"))
    assert there.is_mixed == (precision == "bfloat16")
    one, other = here.gradient(1), there.gradient(1)
    assert other.loss == pytest.approx(one.loss, rel=0.1 if there.is_mixed else 0.01)


@pytest.mark.parametrize("head", ["predicted", "closed-form"])
def test_validation_gives_one_accuracy_per_held_out_network(
    head: str, tiny_config: TrainConfig, digits: pixels.ImageData
) -> None:
    learner = Learner(replace(tiny_config, validation_networks=2, head=head), [digits], 0, 0, CPU)
    first = list(learner.validate())
    assert len(first) == 2
    assert all(0 <= a <= 1 for a in first)
    assert first == list(learner.validate())
    if head == "closed-form":  # ridge regression on features of a random start knows digits a little
        assert min(first) > 0.15
