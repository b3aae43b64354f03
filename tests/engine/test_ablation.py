"""Running a network again from a layer on, and what that says about the layer."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from itertools import combinations

import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st
from torch import Tensor

from ghn_studio.deepnets import SamplerConfig, sample
from ghn_studio.engine.ablation import Ablation, Answers
from ghn_studio.engine.data import ImageData, Split
from ghn_studio.engine.evaluation import BATCH, without_statistics
from ghn_studio.engine.evidence import Effect, WeightStatistics, effective_rank, kendall, random_like
from ghn_studio.engine.execution import Plan, PlanWeight, random_images
from ghn_studio.engine.heads import closed_form
from ghn_studio.engine.initial import initial_tensor, kaiming
from ghn_studio.engine.replacement import Replacements
from ghn_studio.errors import PredictionError
from ghn_studio.ir.graph import NodeId
from ghn_studio.jobs import run
from ghn_studio.ops.spec import Role, WeightSpec

Small = tuple[Plan, dict[str, Tensor]]
NETWORKS = [("bnfree", 3), ("test", 2)]


def weight(role: Role = Role.WEIGHT, shape: tuple[int, ...] = (64, 32, 3, 3)) -> PlanWeight:
    return PlanWeight("layer.weight", NodeId("layer"), WeightSpec("weight", shape, role))


# --- forks -----------------------------------------------------------------------------------


@pytest.mark.parametrize(("split", "index"), NETWORKS)
def test_a_fork_gives_what_the_whole_network_gives(split: str, index: int) -> None:
    plan = Plan(sample(split, index, SamplerConfig(channels=(8, 8), image_size=8)))
    values, others = (without_statistics(plan, kaiming(plan, seed)) for seed in (0, 1))
    images = random_images(plan, 4)
    forks = list(plan.forks(images, values))
    assert [f.node for f in forks] == list(dict.fromkeys(w.node for w in plan.parameters if w.trainable))
    for fork in forks:
        changed = {**values, **{n: others[n] for n in fork.needed}}
        assert torch.equal(fork.run(changed), plan.run(images, changed)), fork.node
        if fork.node != plan.head:
            assert torch.equal(fork.features(changed), plan.features(images, changed)), fork.node


def test_a_fork_can_be_run_twice(small: Small) -> None:
    plan, values = small
    values = without_statistics(plan, values)
    images = random_images(plan, 4)
    for fork in plan.forks(images, values):
        assert torch.equal(fork.run(values), fork.run(values))


# --- ablation --------------------------------------------------------------------------------


def halved(values: Mapping[str, Tensor], node: NodeId) -> Iterator[Mapping[str, Tensor]]:
    yield {n: 0.5 * t for n, t in values.items() if n.startswith(f"{node}.")}


def test_the_two_halves_of_the_images_know_nothing_of_each_other(small: Small, digits: ImageData) -> None:
    plan, values = small
    values = without_statistics(plan, values)
    first = digits.validation.first(60)
    other = Split(torch.cat((first.images[:30], digits.test.images[:30])), first.labels)
    found = []
    for images in (first, other):
        ablation = Ablation(plan, values, images, digits.info)
        answers = run(ablation.measure(ablation.layers(), lambda node: halved(values, node)))
        found.append({"": run(ablation.baseline()), **{str(n): a for n, (a,) in answers.items()}})
    for key, answers in found[0].items():
        assert torch.equal(answers.loss[:30], found[1][key].loss[:30]), key
        assert not torch.equal(answers.loss[30:], found[1][key].loss[30:]), key


def test_own_tensors_in_their_own_place_change_nothing(small: Small, digits: ImageData) -> None:
    plan, values = small
    values = without_statistics(plan, values)
    solved = run(closed_form(plan, values, digits, images=100, batch_norm=BATCH))
    for arguments in ((), (solved, digits.train.first(100))):
        ablation = Ablation(plan, values, digits.validation.first(40), digits.info, *arguments)
        base = run(ablation.baseline())
        answers = run(ablation.measure(ablation.layers(), lambda node: iter([{}])))
        for (found,) in answers.values():
            assert torch.equal(found.loss, base.loss)
        assert (plan.head in answers) is (not arguments)


def test_the_refitted_head_is_the_fitted_one_where_nothing_is_replaced(small: Small, digits: ImageData) -> None:
    plan, values = small
    values = without_statistics(plan, values)
    solved = run(closed_form(plan, values, digits, images=64, batch_norm=BATCH))  # one batch, as below
    images = digits.validation.first(40)
    refitted = run(Ablation(plan, values, images, digits.info, solved, digits.train.first(64)).baseline())
    kept = run(Ablation(plan, {**values, **solved.values}, images, digits.info).baseline())
    # Single precision in the folded head against double.
    torch.testing.assert_close(refitted.loss, kept.loss, rtol=1e-3, atol=1e-3)


def test_measuring_can_stop_and_leaves_gradients_on(small: Small, digits: ImageData) -> None:
    plan, values = small
    ablation = Ablation(plan, without_statistics(plan, values), digits.validation.first(40), digits.info)
    job = ablation.measure(ablation.layers(), lambda node: iter([{}]))
    next(job)
    next(job)
    assert torch.is_grad_enabled()
    job.close()
    assert torch.is_grad_enabled()


def test_three_images_are_too_few(small: Small, digits: ImageData) -> None:
    plan, values = small
    with pytest.raises(PredictionError, match="at least 4 images"):
        Ablation(plan, values, digits.validation.first(3), digits.info)


def test_an_undefined_answer_counts_as_a_uniform_one() -> None:
    logits = torch.tensor([[0.0, 9.0], [float("nan"), 1.0], [float("inf"), 1.0]])
    found = Answers.of(logits, torch.tensor([1, 1, 1]))
    assert found.right.tolist() == [1, 0, 0]
    assert found.loss[1:].tolist() == pytest.approx([0.6931, 0.6931], abs=1e-4)


# --- replacements ----------------------------------------------------------------------------


@pytest.mark.parametrize("scale", [1e-3, 1.0, 50.0])
def test_random_tensors_have_the_scale_of_the_layer(scale: float) -> None:
    generator = torch.Generator().manual_seed(0)
    tensor = scale * torch.randn(64, 32, 3, 3, generator=generator)
    found = random_like(weight(), tensor, generator)
    assert float(found.square().mean() / tensor.square().mean()) == pytest.approx(1, abs=0.05)
    assert abs(float((found * tensor).mean())) < 0.05 * scale**2  # nothing of the layer is left
    norm = 1 + 0.1 * scale * torch.randn(4096, generator=generator)
    found = random_like(weight(Role.SCALE, (4096,)), norm, generator)
    assert float(found.mean()) == pytest.approx(float(norm.mean()), abs=0.02 * scale)
    assert float(found.std() / norm.std()) == pytest.approx(1, abs=0.1)


def test_sound_tensors_are_tried_only_where_there_is_a_reason(small: Small) -> None:
    plan, values = small
    values = without_statistics(plan, values)
    node = NodeId("body.conv1")
    name = f"{node}.weight"
    counts = {}
    for case, tensor in {"own": values[name], "foreign": 9 * values[name], "zero": 0 * values[name]}.items():
        sound = values if case == "foreign" else {}
        layers = Replacements(
            plan, {**values, name: tensor}, sound, names=set(values), nodes=[node], seed=0, draws=3
        )
        counts[case] = len(list(layers.tensors(node)))
    assert counts == {"own": 3, "foreign": 4, "zero": 6}


# --- figures ---------------------------------------------------------------------------------


def test_effective_rank_counts_directions() -> None:
    assert effective_rank(torch.eye(12)) == pytest.approx(12)
    assert effective_rank(torch.ones(12, 5)) == pytest.approx(1)
    assert effective_rank(torch.zeros(12, 5)) == 0


@pytest.mark.parametrize("shape", [(64, 32, 3, 3), (10, 64), (16, 1, 3, 3), (2000, 900)])
def test_a_fresh_weight_has_scale_and_spectrum_one(shape: tuple[int, ...]) -> None:
    fresh = weight(shape=shape)
    found = WeightStatistics.of([fresh], {fresh.name: initial_tensor(fresh, 1)}, seed=0)
    assert found.scale == pytest.approx(1, abs=0.15)
    assert found.spectrum == pytest.approx(1, abs=0.15)
    assert found.is_sound


def test_a_vector_has_no_spectrum_and_a_bias_no_scale() -> None:
    norm, bias = weight(Role.SCALE, (8,)), weight(Role.BIAS, (8,))
    found = WeightStatistics.of([norm], {norm.name: torch.full((8,), 3.0)}, 0)
    assert (found.scale, found.spectrum, found.is_sound) == (3, None, False)
    found = WeightStatistics.of([bias], {bias.name: torch.ones(8)}, 0)
    assert (found.scale, found.spectrum, found.is_sound) == (None, None, True)


def answers(right: list[float], loss: float = 1.0) -> Answers:
    return Answers(torch.tensor(right, dtype=torch.double), torch.full((len(right),), loss, dtype=torch.double))


def test_a_layer_is_harmful_if_sound_tensors_do_better() -> None:
    base, better, worse = answers([1, 0] * 32), answers([1, 1] * 32, 0.5), answers([0, 0] * 32, 2.0)
    whole = slice(None)
    assert Effect.of(base, [worse], [], better, whole) == Effect(True, 0.5, 0.5, 0.5, 1.0)
    assert Effect.of(base, [worse], [], worse, whole) == Effect(True, 0, 0, 0.5, 1.0)
    assert Effect.of(base, [worse], [better], None, whole) == Effect(False, 0.5, 0.5, 0.5, 1.0)
    assert Effect.of(base, [better], [], None, whole) == Effect(False, 0.5, 0.5, -0.5, -0.5)


def test_luck_makes_no_layer_harmful() -> None:
    base, lucky = answers([0] * 60 + [1] * 4), answers([0] * 57 + [1] * 7)
    found = Effect.of(base, [lucky], [lucky], None, slice(None))
    assert (found.repair, found.cost) == (0, -3 / 64)


@given(st.lists(st.tuples(st.integers(0, 5), st.integers(0, 5)), min_size=2, max_size=20))
def test_agreement_is_kendalls_tau(items: list[tuple[int, int]]) -> None:
    """Tau-b by its definition: concordant minus discordant pairs, over pairs without ties in either ranking."""
    pairs = [((a - c), (b - d)) for (a, b), (c, d) in combinations(items, 2)]
    balance = sum((x * y > 0) - (x * y < 0) for x, y in pairs)
    ordered = sum(x != 0 for x, _ in pairs) * sum(y != 0 for _, y in pairs)
    found = kendall([a for a, _ in items], [b for _, b in items])
    assert found is None if not ordered else found == pytest.approx(balance / ordered**0.5)
