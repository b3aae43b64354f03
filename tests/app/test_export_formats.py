"""Every format says how to use what is in it, in the same words, and the same bytes each time."""

from __future__ import annotations

import json
import os
import subprocess
import sys
from collections.abc import Callable, Mapping
from dataclasses import replace
from pathlib import Path
from typing import Any

import onnx
import pytest
import torch

from ghn_studio.app.architectures import open_architecture
from ghn_studio.app.exchange.description import Preprocessing, known_preprocessing, preprocessing_for
from ghn_studio.app.exchange.exporting import ENDINGS, check_target
from ghn_studio.app.requests import EXPORT_FORMATS, ExportRequest, PredictRequest
from ghn_studio.app.results import ExportReport, PredictReport
from ghn_studio.app.tasks import task
from ghn_studio.datasets import describe
from ghn_studio.errors import UsageError
from ghn_studio.ir import Architecture, Group, Node, NodeId, Source
from ghn_studio.jobs import run
from ghn_studio.ops.spec import NoParams
from ghn_studio.project import Project, loads
from ghn_studio.project import write as write_project

FORMATS = tuple(ENDINGS)
VALUED = tuple(f for f in FORMATS if f != "py")

Write = Callable[..., tuple[Path, ExportReport]]
Facts = Callable[[Path, str], dict[str, Any]]
Values = Callable[..., dict[str, torch.Tensor]]


def test_the_option_knows_every_format() -> None:
    assert ("auto", *(f for f in EXPORT_FORMATS if f in FORMATS)) == EXPORT_FORMATS
    assert set(EXPORT_FORMATS[1:]) == set(FORMATS)


# --- one description, in every format ------------------------------------------------------


@pytest.mark.parametrize("format", [f for f in VALUED if f not in ("ghn", "huggingface")])
def test_formats_tell_preprocessing_and_figures(
    tmp_path: Path, small_network: Architecture, format: str, write: Write, facts_in: Facts, origin: Mapping[str, Any]
) -> None:
    file, report = write(tmp_path, small_network, format)
    expected = preprocessing_for(small_network, describe("digits"))
    assert expected is not None
    assert facts_in(file, format) == {"preprocessing": expected.to_json(), "figures": dict(origin["figures"])}
    assert report.figures == "accuracy 0.2500, loss 2.5000 on 364 test images of digits (predicted, no training)"


def test_a_prediction_tells_them_itself_and_a_project_passes_them_on(
    tmp_path: Path, small_network: Architecture, tiny_ghn: str, facts_in: Facts
) -> None:
    request = PredictRequest(ghn=tiny_ghn, export=str(tmp_path / "net.ghn"), device="cpu", images=50)
    report: PredictReport = run(task("predict").start(request, small_network))
    told = facts_in(tmp_path / "net.ghn", "ghn")
    assert told["figures"]["accuracy"] == report.accuracy and told["figures"]["images"] == 50
    assert told["figures"]["label"] == "predicted, no training"
    assert told["preprocessing"]["mean"] == list(describe("digits").mean)
    again = ExportRequest(to=str(tmp_path / "net.safetensors"), stored=str(tmp_path / "net.ghn"))
    run(task("export").start(again, small_network))
    assert facts_in(tmp_path / "net.safetensors", "safetensors") == {
        k: told[k] for k in ("preprocessing", "figures")
    }


def test_a_hub_folder_has_settings_source_and_a_card(
    tmp_path: Path, small_network: Architecture, write: Write, origin: Mapping[str, Any]
) -> None:
    folder, report = write(tmp_path, small_network, "huggingface")
    assert sorted(p.name for p in folder.iterdir()) == [
        "README.md", "config.json", "model.safetensors", "modeling_small.py",
    ]
    settings = json.loads((folder / "config.json").read_text("utf-8"))
    assert settings["architectures"] == ["Small"] and settings["num_labels"] == 10 and settings["image_size"] == [8, 8]
    assert settings["id2label"]["7"] == "7" and settings["label2id"]["7"] == 7
    assert settings["figures"] == origin["figures"]
    card = (folder / "README.md").read_text("utf-8")
    assert "| Accuracy | 0.2500 | predicted, no training |" in card and "364 test images of digits" in card
    assert "Its values are predicted by tiny, seed 3." in card and "0.304747" in card
    assert report.bytes == sum(p.stat().st_size for p in folder.iterdir())


def test_source_tells_how_images_are_prepared(tmp_path: Path, small_network: Architecture, write: Write) -> None:
    file, _ = write(tmp_path, small_network, "py")
    text = file.read_text("utf-8")
    assert "def preprocess(images: Tensor) -> Tensor:" in text and 'CLASSES = ("0", "1"' in text
    assert "Measured: accuracy 0.2500" in text


@pytest.mark.parametrize("classes", [3, 100])
def test_what_is_not_known_is_not_made_up(
    tmp_path: Path, make_small_network: Callable[..., Architecture], classes: int, write: Write, facts_in: Facts
) -> None:
    """A network of other classes has no images of digits, whatever the origin calls its dataset."""
    graph = make_small_network(classes=classes)
    origin = {"kind": "random", "dataset": "digits"}
    assert known_preprocessing(graph, origin) is None
    file, report = write(tmp_path, graph, "safetensors", origin=origin)
    assert facts_in(file, "safetensors") == {} and report.figures == ""
    folder, _ = write(tmp_path, graph, "huggingface", origin=origin)
    card = (folder / "README.md").read_text("utf-8")
    assert "How images were prepared is not known." in card and "Nothing was measured" in card


def test_a_description_survives_json_and_nothing_else_passes_for_one(small_network: Architecture) -> None:
    found = preprocessing_for(small_network, describe("digits"))
    assert found is not None
    assert Preprocessing.from_json(json.loads(json.dumps(found.to_json()))) == found
    for wrong in (None, [], "x", {"size": [8, 8]}, {**found.to_json(), "more": 1}):
        assert Preprocessing.from_json(wrong) is None


def test_the_path_of_a_folder_of_images_stays_here(tmp_path: Path, small_network: Architecture, write: Write) -> None:
    origin = {"kind": "random", "dataset": f"folder:{tmp_path}/secret place/cats"}
    for format in ("pt", "safetensors", "onnx", "huggingface"):
        file, _ = write(tmp_path, small_network, format, origin=origin)
        files = file.iterdir() if file.is_dir() else [file]
        assert all(b"secret place" not in f.read_bytes() for f in files)


# --- targets and options -------------------------------------------------------------------


def test_the_format_wins_over_the_ending(tmp_path: Path, small_network: Architecture, facts_in: Facts) -> None:
    request = ExportRequest(to=str(tmp_path / "weights.bin"), format="safetensors", init="kaiming", device="cpu")
    run(task("export").start(request, small_network))
    assert facts_in(tmp_path / "weights.bin", "safetensors")["preprocessing"]["size"] == [8, 8]


def test_a_folder_of_others_is_not_replaced(tmp_path: Path, small_network: Architecture, write: Write) -> None:
    (tmp_path / "net").mkdir()
    (tmp_path / "net" / "thesis.txt").write_text("years")
    with pytest.raises(UsageError, match="holds other files"):
        write(tmp_path, small_network, "huggingface")
    assert (tmp_path / "net" / "thesis.txt").read_text() == "years"
    (tmp_path / "net" / "config.json").write_text('{"library_name": "transformers"}')
    with pytest.raises(UsageError, match="holds other files"):
        check_target(str(tmp_path / "net"), "huggingface")
    (tmp_path / "file").write_text("x")
    with pytest.raises(UsageError, match="is a file"):
        check_target(str(tmp_path / "file"), "huggingface")


def test_a_folder_of_ours_is_replaced_as_a_whole(tmp_path: Path, small_network: Architecture, write: Write) -> None:
    folder, first = write(tmp_path, small_network, "huggingface")
    renamed = replace(small_network, name="renamed")
    _, second = write(tmp_path, renamed, "huggingface")
    assert sorted(p.name for p in folder.glob("*.py")) == ["modeling_renamed.py"]
    assert first.sha256 != second.sha256 and [p.name for p in tmp_path.iterdir()] == ["net"]


@pytest.mark.parametrize("opset", [18, 20, 22, 24])
def test_the_operator_set_is_the_one_asked_for(
    tmp_path: Path, small_network: Architecture, opset: int, write: Write
) -> None:
    file, report = write(tmp_path, small_network, "onnx", opset=opset)
    model = onnx.load(str(file))
    assert {o.domain: o.version for o in model.opset_import}[""] == opset
    assert [n.op_type for n in model.graph.node].count("BatchNormalization") == 1
    assert "onnxruntime" in report.checked


def test_an_onnx_model_keeps_what_only_the_program_needs(tmp_path: Path, write: Write) -> None:
    """Repeats and bypassed nodes are written out or left out; the metadata have the network as it was drawn."""
    graph = open_architecture("example:resnet20").architecture
    relu = next(n for n in graph.nodes.values() if n.op == "relu")
    graph = graph.with_node(replace(relu, bypassed=True))
    file, _ = write(tmp_path, graph, "onnx")
    text = next(p.value for p in onnx.load(str(file)).metadata_props if p.key == "ghn_studio.project")
    assert loads(text).architecture == graph


def test_a_program_runs_any_number_of_images(
    tmp_path: Path, small_network: Architecture, write: Write, values_of: Values
) -> None:
    values = values_of(small_network)
    file, report = write(tmp_path, small_network, "pt2", values=values)
    program = torch.export.load(str(file)).module()
    images = torch.randn(7, 1, 8, 8)
    whole = program(images)
    for count in (1, 2, 7):
        assert torch.allclose(program(images[:count]), whole[:count], atol=1e-6)
    assert report.checked.startswith("loaded and run")


# --- the same each time --------------------------------------------------------------------


def test_folders_are_equal_for_equal_requests(tmp_path: Path, small_network: Architecture, write: Write) -> None:
    reports = [write(tmp_path, small_network, "huggingface", name)[1] for name in ("a", "b")]
    assert reports[0].sha256 == reports[1].sha256
    for file in (tmp_path / "a").iterdir():
        assert file.read_bytes() == (tmp_path / "b" / file.name).read_bytes()


@pytest.mark.slow
@pytest.mark.parametrize("name", ["net.pt2", "net.onnx"])
def test_programs_and_models_do_not_depend_on_the_process(
    tmp_path: Path, small_network: Architecture, name: str
) -> None:
    write_project(tmp_path / "net.ghn", Project(small_network))
    found = set()
    for seed in ("1", "2"):
        options = ["--init", "kaiming", "--to", str(tmp_path / name)]
        command = [sys.executable, "-m", "ghn_studio", "export", str(tmp_path / "net.ghn"), *options]
        subprocess.run(command, env={**os.environ, "PYTHONHASHSEED": seed}, check=True, capture_output=True)
        found.add((tmp_path / name).read_bytes())
    assert len(found) == 1


@pytest.mark.parametrize("format", VALUED)
def test_no_file_tells_where_it_was_written(
    tmp_path: Path, small_network: Architecture, format: str, write: Write
) -> None:
    file, _ = write(tmp_path, small_network, format)
    for part in file.iterdir() if file.is_dir() else [file]:
        data = part.read_bytes()
        assert str(tmp_path).encode() not in data and str(Path(__file__).parents[2]).encode() not in data


def test_a_network_of_two_outputs_is_checked_in_both(
    tmp_path: Path, small_network: Architecture, write: Write
) -> None:
    """The second output is a map; formats that run what they wrote compare it too."""
    graph = small_network.with_node(Node(NodeId("maps"), "output", NoParams(), (Source(NodeId("body.conv")),)))
    for format in ("onnx", "pt2"):
        _, report = write(tmp_path, graph, format)
        assert "difference" in report.checked


def test_groups_that_repeat_are_exported_written_out(
    tmp_path: Path, small_network: Architecture, write: Write, values_of: Values
) -> None:
    graph = Architecture.build(
        [n if n.id != "body.conv" else replace(n, params=replace(n.params, out_channels=1))
         for n in small_network.nodes.values()], [Group("body", "Body", 3)], "rows",
    )
    values = values_of(graph)
    for format in ("pt", "onnx", "pt2", "safetensors"):
        _, report = write(tmp_path, graph, format, values=values)
        assert report.tensors == len(values)
