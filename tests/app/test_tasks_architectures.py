"""Naming networks: files, examples, sampled networks, and what is said when a name leads nowhere."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest

from ghn_studio.analysis import infer_shapes, require_shapes
from ghn_studio.app.architectures import Wish, examples, has_stored_values, open_architecture, stored_values
from ghn_studio.app.catalogues import CATALOGUES
from ghn_studio.app.fitting import fitted, wish
from ghn_studio.app.requests import PredictRequest
from ghn_studio.deepnets import sample
from ghn_studio.errors import GhnStudioError, ProjectError, UsageError
from ghn_studio.ir import Architecture
from ghn_studio.ops import REGISTRY
from ghn_studio.ops.terminals import InputParams
from ghn_studio.project import Project, write


def test_every_example_opens_by_its_name_and_is_complete() -> None:
    found = examples()
    assert len(found) == 8
    for example in found:
        graph = open_architecture(f"example:{example.name}").architecture
        assert not infer_shapes(graph.expanded(), REGISTRY).problems
        assert example.title
        assert example.summary


def test_an_example_also_opens_by_its_bare_name_unless_a_file_has_it(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(tmp_path)
    assert open_architecture("lenet5") == open_architecture("example:lenet5")
    (tmp_path / "lenet5").write_text("mine")
    with pytest.raises(ProjectError, match="no network that can be opened"):
        open_architecture("lenet5")


def test_a_sampled_network_is_that_of_the_sampler() -> None:
    assert open_architecture("deepnets:test/3").architecture == sample("test", 3)


def test_a_project_file_opens(tmp_path: Path, small_network: Architecture) -> None:
    write(tmp_path / "net.ghn", Project(small_network))
    assert open_architecture(str(tmp_path / "net.ghn")).architecture == small_network


@pytest.mark.parametrize(
    ("text", "error", "words"),
    [
        ("example:lenet", UsageError, "there are darts, lenet5"),
        ("deepnets:tset/1", UsageError, "train, val, test"),
        ("deepnets:test/x", UsageError, "deepnets:test/0"),
        ("deepnets:test", UsageError, "deepnets:test/0"),
        ("deepnets:test/500", UsageError, "0 to 499"),
        ("deepnets:test/-1", UsageError, "number"),
        ("torchvision:resnet5", UsageError, "did you mean resnet50"),
        ("torchvision:", UsageError, "list torchvision"),
        ("resnet.ghn", ProjectError, "did you mean example:resnet20"),
        ("nowhere.onnx", ProjectError, "no file"),
        (".", ProjectError, "is a folder"),
        ("", ProjectError, "is a folder"),
    ],
)
def test_a_name_that_leads_nowhere_says_what_there_is(text: str, error: type[GhnStudioError], words: str) -> None:
    with pytest.raises(error, match=words):
        open_architecture(text)


def test_a_network_of_torchvision_is_made_as_wished() -> None:
    graph = open_architecture("torchvision:resnet18").architecture
    assert graph.name == "resnet18"
    assert graph.nodes["input"].params == InputParams(3, 224, 224)  # type: ignore[index]
    assert graph.nodes["fc"].params.out_features == 1000  # type: ignore[index]
    assert graph.groups["layer1.0"].title == "BasicBlock"
    project = open_architecture("torchvision:resnet18", Wish(7, (1, 32, 32)))
    assert project.architecture.nodes["input"].params == InputParams(1, 32, 32)  # type: ignore[index]
    assert project.architecture.nodes["fc"].params.out_features == 7  # type: ignore[index]
    assert "adapted to small images" in project.summary
    assert "adapted" not in open_architecture("torchvision:resnet18", Wish(7, (1, 32, 32), "off")).summary


@pytest.mark.parametrize(("options", "judged", "expected"), [
    ({}, True, Wish(10)), ({}, False, Wish()), ({"classes": 5}, True, Wish(5)),
    ({"input": "1x32x48", "adapt": "off"}, False, Wish(None, (1, 32, 48), "off")),
    ({"input": "3×64×64", "image_size": 32}, False, Wish(None, (3, 32, 32))),
    ({"image_size": 32}, True, Wish(10, (3, 32, 32))),
])
def test_a_request_says_what_a_network_should_be_like(
    options: dict[str, Any], judged: bool, expected: Wish
) -> None:
    assert wish(PredictRequest(**options), judged=judged) == expected


@pytest.mark.parametrize("text", ["224", "3x0x3", "3x32", "axbxc", "3x32x99999"])
def test_an_input_that_is_no_shape_is_refused(text: str) -> None:
    with pytest.raises(UsageError, match="3x224x224"):
        wish(PredictRequest(input=text), judged=False)


def test_the_input_and_classes_of_any_network_can_be_set() -> None:
    graph = open_architecture("example:plain_cnn").architecture
    changed = fitted(PredictRequest(input="1x24x20", classes=4), graph)
    shapes = require_shapes(changed, REGISTRY)
    assert shapes.outputs["input"][0].shape == ("N", 1, 24, 20)  # type: ignore[index]
    assert next(shapes.outputs[n.id][0].shape for n in changed.nodes.values() if n.op == "output") == ("N", 4)


def test_networks_without_values_have_none(tmp_path: Path, small_network: Architecture) -> None:
    write(tmp_path / "net.ghn", Project(small_network))
    for text in ("example:lenet5", "deepnets:test/0", "torchvision:resnet18", str(tmp_path / "net.ghn")):
        assert not has_stored_values(text)
        assert stored_values(text) is None


@pytest.mark.parametrize("kind", CATALOGUES)
def test_catalogue_entries_have_names_and_titles(kind: str) -> None:
    entries = CATALOGUES[kind]()
    assert all(entry["name"] and entry["title"] for entry in entries)
    assert len({entry["name"] for entry in entries}) == len(entries)


def test_the_palette_s_operators_are_listed() -> None:
    names = [entry["name"] for entry in CATALOGUES["operators"]()]
    assert {"input", "conv2d", "linear", "msa", "cse"} <= set(names)
    assert "opaque" not in names
