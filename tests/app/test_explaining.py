"""Explaining predictions: damaged layers are found, and what is said about layers holds."""

from __future__ import annotations

import json
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
import torch

from ghn_studio.analysis.classifier import with_classes
from ghn_studio.app.architectures import Wish, open_architecture
from ghn_studio.app.explaining import explain
from ghn_studio.app.requests import ExplainRequest, PredictRequest
from ghn_studio.app.results import ExplainReport
from ghn_studio.app.tasks import task
from ghn_studio.cli.printing import report_text
from ghn_studio.deepnets import SamplerConfig, sample
from ghn_studio.engine.execution import Plan
from ghn_studio.errors import CheckpointError, PredictionError, UsageError
from ghn_studio.ghn import reference
from ghn_studio.ghn.cards import list_cards
from ghn_studio.ir import Architecture
from ghn_studio.jobs import run
from ghn_studio.ops import REGISTRY

SHIPPED = any(c.name == "ghn2-digits" for c in list_cards())
NEEDS_SHIPPED = pytest.mark.skipif(not SHIPPED, reason="ghn2-digits is not installed")

#: What may happen to a layer's tensors.
DAMAGE: dict[str, Callable[[torch.Tensor], torch.Tensor]] = {
    "zeros": torch.zeros_like,
    "loud noise": lambda t: 10 * _noise(t),
    "quiet noise": lambda t: 0.1 * _noise(t),
    "noise of the same scale": lambda t: _noise(t),
}


def _noise(tensor: torch.Tensor) -> torch.Tensor:
    generator = torch.Generator().manual_seed(1)
    return torch.randn(tensor.shape, generator=generator) * tensor.square().mean().sqrt()


@pytest.fixture
def few_references(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Untrained hypernetworks come without references; eight are enough, kept in a folder of this test."""
    monkeypatch.setattr(reference, "COUNT", 8)
    monkeypatch.setenv("GHN_STUDIO_DATA", str(tmp_path / "data"))


def explained(graph: Architecture, values: dict[str, torch.Tensor] | None = None, **options: Any) -> ExplainReport:
    return run(explain(ExplainRequest(**{"device": "cpu", "images": 64, "draws": 1, **options}), graph, values))


def predicted(graph: Architecture, **options: Any) -> dict[str, torch.Tensor]:
    request = PredictRequest(**{"device": "cpu", "evaluate": False, **options})
    return run(task("predict").start(request, graph)).values  # type: ignore[no-any-return]


def damaged(graph: Architecture, values: dict[str, torch.Tensor], node: str, kind: str) -> dict[str, torch.Tensor]:
    names = [w.name for w in Plan(graph).parameters if w.node == node and w.trainable]
    assert names, f"{node} owns no tensors"
    return {n: DAMAGE[kind](values[n]) for n in names}


# --- damage ----------------------------------------------------------------------------------


@pytest.fixture(scope="module")
def cell_network() -> Architecture:
    """A small network of cells that the shipped hypernetwork predicts well."""
    return sample("test", 20, SamplerConfig(channels=(8, 8), image_size=16))


@NEEDS_SHIPPED
@pytest.mark.slow
@pytest.mark.parametrize("kind", DAMAGE)
@pytest.mark.parametrize("node", ["conv2", "conv4", "fc"])
def test_a_damaged_layer_of_a_plain_network_ranks_first(node: str, kind: str) -> None:
    graph = open_architecture("example:plain_cnn").architecture
    report = explained(graph, damaged(graph, predicted(graph), node, kind))
    first = report.layers[0]
    assert (first.node, first.foreign) == (node, True)
    assert first.repair > 0.1
    assert not any(layer.foreign for layer in report.layers[1:])


@NEEDS_SHIPPED
@pytest.mark.slow
@pytest.mark.parametrize("kind", ["zeros", "loud noise"])
@pytest.mark.parametrize("place", [0, 0.8])
def test_a_damaged_layer_of_a_network_of_cells_ranks_first(
    cell_network: Architecture, place: float, kind: str
) -> None:
    nodes = list(dict.fromkeys(w.node for w in Plan(cell_network).parameters if w.trainable and len(w.shape) == 4))
    node = nodes[int(place * len(nodes))]
    values = damaged(cell_network, predicted(cell_network), node, kind)
    report = explained(cell_network, values, images=32)
    assert report.layers[0].node == node


@NEEDS_SHIPPED
def test_an_undamaged_network_is_ranked_by_cost() -> None:
    graph = open_architecture("example:plain_cnn").architecture
    report = explained(graph)
    assert not any(layer.repair or layer.foreign for layer in report.layers)
    costs = [(layer.cost, layer.loss_cost) for layer in report.layers]
    assert costs == sorted(costs, reverse=True)
    assert costs[0][0] > 0.3
    assert report.agreement is not None
    assert report.agreement > 0.3
    assert report.familiarity is not None


@NEEDS_SHIPPED
def test_a_classifier_in_closed_form_is_fitted_anew_and_not_listed() -> None:
    graph = open_architecture("example:lenet5").architecture
    report = explained(graph, head="closed-form", head_images=100)
    assert "fc2" in {layer.node for layer in explained(graph).layers}
    assert {layer.node for layer in report.layers} == {"conv1", "conv2", "conv3", "fc1"}
    assert report.label == "predicted, closed form on 100 images"
    assert report.accuracy > 0.5


# --- reports ---------------------------------------------------------------------------------


def test_the_report_echoes_the_request_and_covers_every_layer(
    small_network: Architecture, tiny_ghn: str, few_references: None
) -> None:
    report = explained(small_network, ghn=tiny_ghn, draws=2, seed=7)
    assert (report.architecture, report.ghn, report.dataset, report.part) == ("small", "tiny", "digits", "validation")
    assert (report.images, report.draws, report.head, report.seed) == (64, 2, "predicted", 7)
    assert {(layer.node, layer.title, layer.parameters) for layer in report.layers} == {
        ("body.conv", REGISTRY["conv2d"].title, 54), ("body.bn", REGISTRY["batch_norm"].title, 12),
        ("head", REGISTRY["linear"].title, 70),
    }
    data = report.to_json()
    assert json.loads(json.dumps(data, allow_nan=False)) == data
    text = report_text(report)
    assert all(layer.node in text for layer in report.layers)
    assert "Kendall's tau" in text


def test_equal_seeds_give_equal_reports(small_network: Architecture, tiny_ghn: str, few_references: None) -> None:
    first, second = (explained(small_network, ghn=tiny_ghn, seed=3).to_json() for _ in range(2))
    assert {**first, "seconds": 0} == {**second, "seconds": 0}


def test_a_prediction_says_how_familiar_the_network_is(
    small_network: Architecture, tiny_ghn: str, few_references: None
) -> None:
    request = PredictRequest(ghn=tiny_ghn, device="cpu", evaluate=False)
    before = run(task("predict").start(request, small_network))
    assert before.familiarity is None
    assert "unknown" in report_text(before)
    report = explained(small_network, ghn=tiny_ghn)  # embeds the references
    after = run(task("predict").start(request, small_network))
    assert after.familiarity == report.familiarity is not None
    assert after.familiarity.verdict in report_text(after)
    assert after.to_json()["familiarity"]["verdict"] == after.familiarity.verdict


def test_values_that_come_with_a_network_are_explained_on_request(
    small_network: Architecture, tiny_ghn: str, few_references: None, tmp_path: Path
) -> None:
    file = str(tmp_path / "own.ghn")
    run(task("predict").start(PredictRequest(ghn=tiny_ghn, init="kaiming", device="cpu", export=file), small_network))
    report = explained(small_network, ghn=tiny_ghn, stored=file)
    assert report.label == "own values, no training"
    assert all(layer.foreign for layer in report.layers)
    with pytest.raises(CheckpointError, match="brings no parameter values"):
        explained(small_network, ghn=tiny_ghn, stored="example:lenet5")


def test_values_of_another_network_are_refused(
    small_network: Architecture, tiny_ghn: str, few_references: None
) -> None:
    for values in ({"body.conv.weight": torch.zeros(1)}, {"nowhere.weight": torch.zeros(6, 1, 3, 3)}):
        with pytest.raises(CheckpointError, match="not those of 'small'"):
            explained(small_network, values, ghn=tiny_ghn)


def test_what_cannot_be_explained_is_refused(small_network: Architecture, tiny_ghn: str, few_references: None) -> None:
    with pytest.raises(UsageError, match="Images must be at least 4"):
        task("explain").start(ExplainRequest(images=3), small_network)
    with pytest.raises(PredictionError, match="tells 3 classes apart"):
        explained(with_classes(small_network, 3, REGISTRY), ghn=tiny_ghn)


def test_it_can_be_stopped_between_two_replacements(
    small_network: Architecture, tiny_ghn: str, few_references: None
) -> None:
    job = task("explain").start(ExplainRequest(ghn=tiny_ghn, device="cpu"), small_network)
    for progress in job:
        if progress.stage == "replacing layers":
            break
    job.close()
    assert torch.is_grad_enabled()


def test_a_network_made_for_an_explanation_has_the_wanted_shape() -> None:
    request = ExplainRequest(classes=7, input="3x32x32", adapt="off")
    assert task("explain").wish(request) == Wish(7, (3, 32, 32), "off")
