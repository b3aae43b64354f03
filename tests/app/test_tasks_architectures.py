"""Naming networks: files, examples, sampled networks, and what is said when a name leads nowhere."""

from __future__ import annotations

from pathlib import Path

import pytest

from ghn_studio.analysis import infer_shapes
from ghn_studio.app.architectures import examples, has_stored_values, open_architecture, stored_values
from ghn_studio.app.catalogues import CATALOGUES
from ghn_studio.deepnets import sample
from ghn_studio.errors import GhnStudioError, ProjectError, UsageError
from ghn_studio.ir import Architecture
from ghn_studio.ops import REGISTRY
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
        ("resnet.ghn", ProjectError, "did you mean example:resnet20"),
        ("nowhere.onnx", ProjectError, "no file"),
        (".", ProjectError, "is a folder"),
        ("", ProjectError, "is a folder"),
    ],
)
def test_a_name_that_leads_nowhere_says_what_there_is(text: str, error: type[GhnStudioError], words: str) -> None:
    with pytest.raises(error, match=words):
        open_architecture(text)


def test_networks_without_values_have_none(tmp_path: Path, small_network: Architecture) -> None:
    write(tmp_path / "net.ghn", Project(small_network))
    for text in ("example:lenet5", "deepnets:test/0", str(tmp_path / "net.ghn")):
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
