"""The networks a hypernetwork learnt from: drawn again, kept with it, and how near others lie."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st

from ghn_studio import deepnets
from ghn_studio.deepnets import SamplerConfig
from ghn_studio.engine.execution import Plan
from ghn_studio.ghn import reference
from ghn_studio.ghn.cards import Card, CardTask, list_cards, read_card
from ghn_studio.ghn.encoding import encode
from ghn_studio.ghn.familiarity import FAR, IN_DISTRIBUTION, UNUSUAL
from ghn_studio.ghn.networks import Hypernetwork
from ghn_studio.ghn.prediction import predict_parameters
from ghn_studio.ghn.reference import (
    EMBEDDINGS_FILE,
    Neighbourhood,
    ReferenceSet,
    embedding_of,
    gather,
    keep,
    known_neighbourhood,
    neighbourhood,
)
from ghn_studio.ghn.storage import load_folder, save_ghn
from ghn_studio.ir import Architecture
from ghn_studio.jobs import run


@pytest.fixture
def kept(tmp_path: Path, small_ghn: Hypernetwork, monkeypatch: pytest.MonkeyPatch) -> Card:
    """The card of an untrained hypernetwork in a folder of its own, and an empty folder for the user's data."""
    monkeypatch.setenv("GHN_STUDIO_DATA", str(tmp_path / "data"))
    card = Card(
        name="small", title="Untrained", created="2026-01-01",
        tasks=(CardTask("digits", "Digits", tuple("0123456789")),), config={},
        sampler={"channels": [8, 16], "sizes": [8, 16], "splits": {"train": 0.5, "search": 0.5}},
        training={"settings": {"sizes": {"8": 1.0}, "grey_share": 0.5, "normless_share": 0.5}},
    )
    return save_ghn(tmp_path / "small", small_ghn, card)


def cloud(count: int = 200, hidden: int = 6) -> ReferenceSet:
    points = np.random.default_rng(0).normal(size=(count, hidden)) * np.arange(1, hidden + 1)
    return ReferenceSet(tuple(f"deepnets:train/{i}" for i in range(count)), points.astype(np.float32))


def test_the_same_networks_are_drawn_every_time(kept: Card, small_ghn: Hypernetwork) -> None:
    first, second = run(gather(kept, small_ghn, 12)), run(gather(kept, small_ghn, 12))
    assert first.names == second.names
    assert len(set(first.names)) == 12
    np.testing.assert_array_equal(first.embeddings, second.embeddings)
    assert first.embeddings.shape == (12, small_ghn.config.hidden)
    assert first.embeddings.dtype == np.float32


def test_networks_are_drawn_with_the_shares_on_the_card(kept: Card) -> None:
    drawn = list(reference._draw(kept, 60))
    inputs = [next(n.params for n in graph.nodes.values() if n.op == "input") for _, graph in drawn]
    assert {p.height for p in inputs} == {8}
    assert 10 < sum(p.channels == 1 for p in inputs) < 50
    splits = [name.removeprefix("deepnets:").split("/") for name, _ in drawn]
    trained = [int(index) for split, index in splits if split == "train"]
    assert 10 < len(trained) < 50
    # Networks without batch norm are rare in the split itself.
    assert sum(not deepnets.genotype_of("train", i).norm for i in trained) > len(trained) / 4


def test_networks_have_the_classes_of_every_dataset(kept: Card) -> None:
    tasks = (CardTask("two", "Two", ("a", "b")), CardTask("three", "Three", ("a", "b", "c")))
    settings = {"sizes": {"8": 1.0}, "shares": [0.5, 0.5], "channel_step": 8}
    drawn = list(reference._draw(replace(kept, tasks=tasks, training={"settings": settings}), 12))
    assert {Plan(graph).output_spec.shape[1] for _, graph in drawn} == {2, 3}


def test_a_card_without_a_sampler_stands_for_the_published_distribution(kept: Card) -> None:
    drawn = list(reference._draw(replace(kept, sampler={}, training={}), 4))
    assert all(name.startswith("deepnets:train/") for name, _ in drawn)
    inputs = [next(n.params for n in graph.nodes.values() if n.op == "input") for _, graph in drawn]
    assert {(p.channels, p.height) for p in inputs} == {(3, 32)}


def test_embeddings_are_kept_beside_the_weights(kept: Card, small_ghn: Hypernetwork) -> None:
    assert known_neighbourhood(kept) is None
    run(keep(kept, small_ghn, 8))
    assert known_neighbourhood(kept) is not None
    assert kept.folder is not None
    assert sorted(p.name for p in kept.folder.iterdir()) == ["card.json", EMBEDDINGS_FILE, "weights.safetensors"]


@pytest.mark.parametrize("damage", [lambda b: b[:-9], lambda b: b"", lambda b: b.replace(b'"F32"', b'"I32"')])
def test_damaged_embeddings_count_as_none(kept: Card, small_ghn: Hypernetwork, damage: object) -> None:
    run(keep(kept, small_ghn, 8))
    assert kept.folder is not None
    path = kept.folder / EMBEDDINGS_FILE
    before = path.read_bytes()
    path.write_bytes(damage(before))  # type: ignore[operator]
    assert path.read_bytes() != before
    assert known_neighbourhood(kept) is None


def test_embeddings_of_other_weights_count_as_none(kept: Card, small_ghn: Hypernetwork) -> None:
    run(keep(kept, small_ghn, 8))
    assert known_neighbourhood(replace(kept, sha256="0" * 64)) is None


def test_missing_embeddings_are_made_once(
    kept: Card, small_ghn: Hypernetwork, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(reference, "COUNT", 12)
    stages = [p.stage for p in neighbourhood(kept, small_ghn)]
    assert stages
    assert list(neighbourhood(kept, small_ghn)) == []
    assert known_neighbourhood(kept) is not None


def test_a_user_folder_that_cannot_be_written_costs_nothing_but_time(
    kept: Card, small_ghn: Hypernetwork, monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    monkeypatch.setattr(reference, "COUNT", 8)
    (tmp_path / "file").write_bytes(b"")
    monkeypatch.setenv("GHN_STUDIO_DATA", str(tmp_path / "file"))
    assert isinstance(run(neighbourhood(kept, small_ghn)), Neighbourhood)


def test_verdicts_follow_the_percentiles_of_the_reference() -> None:
    known = cloud()
    near = Neighbourhood(known)
    own = [near.familiarity(p) for p in known.embeddings]
    assert all(f is not None and f.verdict == IN_DISTRIBUTION for f in own[:50])
    far = near.familiarity(known.embeddings.mean(0) + 100)
    assert far is not None
    assert (far.verdict, far.percentile) == (FAR, 100)
    found = {near.familiarity(known.embeddings.mean(0) + x).verdict for x in np.linspace(0, 20, 200)}  # type: ignore[union-attr]
    assert found == {IN_DISTRIBUTION, UNUSUAL, FAR}


@given(st.integers(0, 5), st.floats(0, 30), st.floats(0, 30))
def test_what_lies_farther_out_is_less_familiar(axis: int, first: float, second: float) -> None:
    near, direction = Neighbourhood(cloud()), np.eye(6)[axis]
    low, high = (near.familiarity(direction * (20 + x)) for x in sorted((first, second)))
    assert low is not None and high is not None
    assert low.distance <= high.distance + 1e-9
    assert low.percentile <= high.percentile


@given(st.floats(0.01, 100), st.integers(0, 2**31))
def test_a_change_of_scale_and_axes_changes_no_verdict(scale: float, seed: int) -> None:
    known = cloud(60)
    turn = np.linalg.qr(np.random.default_rng(seed).normal(size=(6, 6)))[0]
    turned = ReferenceSet(known.names, (known.embeddings @ turn * scale).astype(np.float32))
    point = np.full(6, 1.5)
    a, b = Neighbourhood(known).familiarity(point), Neighbourhood(turned).familiarity(point @ turn * scale)
    assert a is not None and b is not None
    assert a.distance == pytest.approx(b.distance, rel=1e-3)


def test_nearest_networks_are_named_nearest_first() -> None:
    known = cloud()
    found = Neighbourhood(known).familiarity(known.embeddings[17])
    assert found is not None
    assert found.nearest[0].name == "deepnets:train/17"
    assert found.nearest[0].distance == pytest.approx(0, abs=1e-5)
    distances = [n.distance for n in found.nearest]
    assert distances == sorted(distances)


def test_an_undefined_embedding_has_no_familiarity() -> None:
    assert Neighbourhood(cloud()).familiarity(np.full(6, np.nan)) is None


def test_the_prediction_gives_the_embedding_it_was_decoded_from(
    small_ghn: Hypernetwork, example_networks: dict[str, Architecture]
) -> None:
    plan = Plan(example_networks["lenet5"])
    expected = small_ghn.embed_graphs([encode(plan.graph)])[0].mean(0)
    found = embedding_of(predict_parameters(small_ghn, plan).vectors)
    torch.testing.assert_close(torch.from_numpy(found), expected)


@pytest.mark.skipif(not any(c.name == "ghn2-digits" for c in list_cards()), reason="ghn2-digits is not installed")
def test_the_shipped_hypernetwork_knows_its_kind(example_networks: dict[str, Architecture]) -> None:
    card = next(c for c in list_cards() if c.name == "ghn2-digits")
    assert card.folder is not None
    ghn, card = load_folder(card.folder)
    near = known_neighbourhood(read_card(card.folder))  # type: ignore[arg-type]
    assert near is not None

    def verdict(graph: Architecture) -> str:
        found = near.familiarity(embedding_of(ghn.embed_graphs([encode(graph)])[0]))
        assert found is not None
        return found.verdict

    unseen = [verdict(deepnets.sample("test", i, SamplerConfig())) for i in range(20)]
    assert unseen.count(IN_DISTRIBUTION) >= 17
    assert verdict(example_networks["lenet5"]) == FAR
    assert verdict(example_networks["plain_cnn"]) == FAR
