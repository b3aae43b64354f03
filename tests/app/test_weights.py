"""Weights of others for an open network: found whatever they are called, told what fits, nothing applied before."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st

from ghn_studio.app.architectures import open_architecture
from ghn_studio.app.exchange.exporting import write_network
from ghn_studio.app.exchange.weights import Fit, StateFile, completed, match, read_state
from ghn_studio.app.requests import LoadWeightsRequest
from ghn_studio.app.results import LoadWeightsReport
from ghn_studio.app.tasks import task
from ghn_studio.engine.build import build
from ghn_studio.errors import CheckpointError, UsageError
from ghn_studio.ir import Architecture
from ghn_studio.jobs import run
from ghn_studio.project import read, read_values

State = dict[str, torch.Tensor]


def state_of(graph: Architecture, seed: int = 0) -> State:
    torch.manual_seed(seed)
    return {k: torch.rand_like(v) if v.is_floating_point() else v for k, v in build(graph).state_dict().items()}


def prefixed(state: State, prefix: str) -> State:
    return {prefix + k: v for k, v in state.items()}


def load(graph: Architecture, file: Path, **options: Any) -> LoadWeightsReport:
    return run(task("load-weights").start(LoadWeightsRequest(weights=str(file), **options), graph))  # type: ignore[no-any-return]


def equal(one: dict[str, torch.Tensor], other: State) -> bool:
    return all(torch.equal(one[name], other[name]) for name in other if not name.endswith("num_batches_tracked"))


@pytest.mark.parametrize(("section", "prefix"), [
    ("", ""), ("", "module."), ("", "model."), ("", "_orig_mod."), ("", "module.model."), ("state_dict", "model."),
    ("model_state_dict", ""), ("model", "module."), ("checkpoint.state_dict", ""),
])
def test_weights_are_found_wherever_trainers_put_them(
    tmp_path: Path, small_network: Architecture, section: str, prefix: str
) -> None:
    state = state_of(small_network)
    data: Any = prefixed(state, prefix)
    for part in reversed(section.split(".") if section else []):
        data = {part: data, "epoch": 3, "optimizer": {"state": {0: {"exp_avg": torch.zeros(2)}}, "param_groups": [{}]}}
    torch.save(data, tmp_path / "x.pt")
    table = match(small_network, read_state(tmp_path / "x.pt"))
    assert (table.section, table.prefix) == (section, prefix)
    assert table.is_complete and not table.of(Fit.UNEXPECTED)
    assert equal(dict(table.tensors), state)


def test_weights_are_taken_before_their_average_and_the_average_on_request(
    tmp_path: Path, small_network: Architecture
) -> None:
    weights, average = state_of(small_network, 1), state_of(small_network, 2)
    torch.save({"model_ema": average, "state_dict": weights}, tmp_path / "two.pt")
    torch.save(prefixed(average, "ema.") | prefixed(weights, "model."), tmp_path / "flat.pt")
    for name in ("two.pt", "flat.pt"):
        table = match(small_network, read_state(tmp_path / name))
        assert equal(dict(table.tensors), weights)
        assert any("ema" in note and "would fit as well" in note for note in table.notes)
    asked = match(small_network, read_state(tmp_path / "two.pt"), "model_ema")
    assert equal(dict(asked.tensors), average)
    with pytest.raises(CheckpointError, match="no section 'gone'; it has 'model_ema', 'state_dict'"):
        match(small_network, read_state(tmp_path / "two.pt"), "gone")


def test_safetensors_and_our_own_exports_come_back(tmp_path: Path, small_network: Architecture) -> None:
    state = state_of(small_network)
    for ending in (".pt", ".safetensors"):
        write_network(tmp_path / f"net{ending}", small_network, state, {"kind": "random", "seed": 0})
        found = match(small_network, read_state(tmp_path / f"net{ending}"))
        assert found.is_complete and found.notes == () and equal(dict(found.tensors), state)


def test_the_table_names_every_difference_with_both_shapes(
    tmp_path: Path, small_network: Architecture, make_small_network: Callable[..., Architecture]
) -> None:
    state = state_of(make_small_network(classes=3))
    del state["body.bn.weight"]
    state["fc.weight"] = torch.zeros(2, 2)
    torch.save(state, tmp_path / "x.pt")
    report = load(small_network, tmp_path / "x.pt")
    assert report.misshaped == ("head.weight: expected 10×6, found 3×6", "head.bias: expected 10, found 3")
    assert report.missing == ("body.bn.weight (6)",) and report.unexpected == ("fc.weight (2×2)",)
    assert (report.matched, report.tensors, report.written) == (5, 8, "")
    assert [p.name for p in tmp_path.iterdir()] == ["x.pt"]


def test_nothing_is_written_unless_all_of_it_fits_or_a_part_is_asked_for(
    tmp_path: Path, small_network: Architecture
) -> None:
    state = state_of(small_network)
    del state["head.bias"]
    torch.save(state, tmp_path / "x.pt")
    with pytest.raises(CheckpointError, match=r"1 are missing \(head.bias \(10\)\); nothing was written"):
        load(small_network, tmp_path / "x.pt", to=str(tmp_path / "net.ghn"))
    assert [p.name for p in tmp_path.iterdir()] == ["x.pt"]
    report = load(small_network, tmp_path / "x.pt", to=str(tmp_path / "net.ghn"), partial=True)
    assert report.written == str(tmp_path / "net.ghn")
    project = read(tmp_path / "net.ghn")
    assert project.values is not None and project.values.origin == {"kind": "imported", "file": "x.pt"}
    values = read_values(tmp_path / "net.ghn", project)
    assert equal(values, state) and bool(values["head.bias"].isfinite().all())


def test_a_file_without_one_fitting_tensor_is_refused_even_for_a_part(
    tmp_path: Path, small_network: Architecture
) -> None:
    torch.save({"other": torch.zeros(3)}, tmp_path / "x.pt")
    with pytest.raises(CheckpointError, match="no tensor of 'small'"):
        load(small_network, tmp_path / "x.pt", to=str(tmp_path / "net.ghn"), partial=True)


def test_values_that_are_no_numbers_have_to_be_confirmed(tmp_path: Path, small_network: Architecture) -> None:
    state = state_of(small_network)
    state["head.bias"][2] = float("nan")
    torch.save(state, tmp_path / "x.pt")
    assert load(small_network, tmp_path / "x.pt").not_finite == ("head.bias",)
    with pytest.raises(CheckpointError, match="NaN or infinity in head.bias"):
        load(small_network, tmp_path / "x.pt", to=str(tmp_path / "net.ghn"))
    assert not (tmp_path / "net.ghn").exists()
    load(small_network, tmp_path / "x.pt", to=str(tmp_path / "net.ghn"), not_finite=True)
    assert (tmp_path / "net.ghn").exists()


@pytest.mark.parametrize("kind", [torch.float16, torch.bfloat16, torch.float64])
def test_other_precisions_become_float32_and_it_is_said(
    tmp_path: Path, small_network: Architecture, kind: torch.dtype
) -> None:
    state = {k: v.to(kind) if v.is_floating_point() else v for k, v in state_of(small_network).items()}
    torch.save(state, tmp_path / "x.pt")
    table = match(small_network, read_state(tmp_path / "x.pt"))
    assert table.is_complete and all(t.dtype in (torch.float32, torch.int64) for t in table.tensors.values())
    assert any(str(kind).removeprefix("torch.") in note for note in table.notes)


def test_views_of_one_storage_are_loaded_as_what_they_show(tmp_path: Path, small_network: Architecture) -> None:
    state = state_of(small_network)
    state["head.weight"] = torch.rand(6, 20).T[::2]
    torch.save(state, tmp_path / "x.pt")
    table = match(small_network, read_state(tmp_path / "x.pt"))
    assert torch.equal(table.tensors["head.weight"], state["head.weight"])
    assert table.tensors["head.weight"].is_contiguous()


def test_a_file_of_another_network_of_ours_says_so(
    tmp_path: Path, small_network: Architecture, make_small_network: Callable[..., Architecture]
) -> None:
    write_network(tmp_path / "x.pt", small_network, state_of(small_network), {"kind": "random"})
    table = match(make_small_network(size=12, name="bigger"), read_state(tmp_path / "x.pt"))
    assert table.is_complete and any("written for 'small'" in note for note in table.notes)


def test_torchvision_weights_fit_the_network_of_that_name(tmp_path: Path) -> None:
    torchvision = pytest.importorskip("torchvision")
    graph = open_architecture("torchvision:squeezenet1_1").architecture
    module = torchvision.models.squeezenet1_1().eval()
    torch.save(module.state_dict(), tmp_path / "x.pth")
    table = match(graph, read_state(tmp_path / "x.pth"))
    assert table.is_complete and not table.of(Fit.UNEXPECTED)
    network = build(graph).eval()
    network.load_state_dict(completed(graph, table), strict=True)
    images = torch.randn(1, 3, 224, 224, generator=torch.Generator().manual_seed(0))
    with torch.no_grad():
        assert torch.allclose(network(images), module(images), atol=1e-5)


@pytest.mark.parametrize(("to", "words"), [("net.pt", "must end in .ghn"), ("gone/net.ghn", "no folder")])
def test_a_target_that_cannot_be_is_refused_before_the_file_is_read(
    tmp_path: Path, small_network: Architecture, to: str, words: str
) -> None:
    with pytest.raises(UsageError, match=words):
        load(small_network, tmp_path / "gone.pt", to=str(tmp_path / to))


@given(
    dropped=st.sets(st.integers(0, 6)), grown=st.sets(st.integers(0, 6)), added=st.integers(0, 3),
    prefix=st.sampled_from(["", "module.", "net.backbone."]),
)
@settings(max_examples=40)
def test_every_tensor_is_in_the_table_exactly_once(
    small_network: Architecture, dropped: set[int], grown: set[int], added: int, prefix: str
) -> None:
    whole = {k: v for k, v in state_of(small_network).items() if not k.endswith("num_batches_tracked")}
    names = list(whole)
    state = {n: whole[n] for i, n in enumerate(names) if i not in dropped}
    for i in grown - dropped:
        if names[i] in state:
            state[names[i]] = torch.zeros(*whole[names[i]].shape, 2)
    state |= {f"extra{i}": torch.zeros(i) for i in range(added)}
    file = StateFile("x", {"": prefixed(state, prefix)}, {})
    table = match(small_network, file)
    in_network = [e.name for e in table.entries if e.fit is not Fit.UNEXPECTED]
    assert sorted(in_network) == sorted(names)
    if table.of(Fit.MATCHED):
        assert table.prefix == prefix
    matched = {e.name for e in table.of(Fit.MATCHED)}
    assert matched == set(table.tensors)
    in_file = matched | {e.name for e in table.of(Fit.MISSHAPED)}
    assert len(in_file) + len(table.of(Fit.UNEXPECTED)) == len(state)
    assert table.is_complete == (len(matched) == len(names))
