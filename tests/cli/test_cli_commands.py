"""The command line in one process: what goes to stdout, what to stderr, and the exit code."""

from __future__ import annotations

import json
from dataclasses import fields
from pathlib import Path
from typing import Any

import pytest

import ghn_studio
from ghn_studio.__main__ import main as program
from ghn_studio.app.tasks import TASKS, Task
from ghn_studio.cli import main
from ghn_studio.cli.options import build_parser, flag_of, request_of
from ghn_studio.ir import Architecture
from ghn_studio.project import Project, write

Capture = pytest.CaptureFixture[str]
EACH_TASK = pytest.mark.parametrize("entry", TASKS, ids=[t.id for t in TASKS])


@pytest.fixture
def net(tmp_path: Path, small_network: Architecture) -> str:
    """A project file with the small network."""
    write(tmp_path / "net.ghn", Project(small_network))
    return str(tmp_path / "net.ghn")


def call(capsys: Capture, *arguments: str) -> tuple[int, str, str]:
    """Run the program; its exit code, stdout and stderr."""
    try:
        code = main(arguments)
    except SystemExit as end:  # --help and --version
        code = int(end.code or 0)
    found = capsys.readouterr()
    return code, found.out, found.err


def only_json(out: str) -> Any:
    """The one object on stdout; NaN and infinity are refused."""

    def refuse(name: str) -> None:
        raise AssertionError(f"{name} is not JSON")

    assert out.count("\n") == 1
    assert out.endswith("\n")
    return json.loads(out, parse_constant=refuse)


# --- options come from requests -------------------------------------------------------------


@EACH_TASK
def test_every_field_is_an_option_or_a_positional(entry: Task, capsys: Capture) -> None:
    code, out, _ = call(capsys, entry.id, "--help")
    assert code == 0
    for field in fields(entry.request):
        assert (field.name.upper() if field.name in entry.positional else flag_of(field.name)) in out
    assert all(f"ghn-studio {entry.id} {example}" in out for example in entry.examples)


@EACH_TASK
def test_options_left_out_give_the_request_s_own_defaults(entry: Task) -> None:
    values = {"split": "test", "file": "a.onnx", "to": "b.ghn", "out": "d", "dataset": "digits", "name": "n",
              "weights": "w.pt"}
    needed = {n: values[n] for n in (*entry.positional, *entry.required)}
    field, value = ("variants", "x.ghn") if ("candidates", "split", "variants") in entry.one_of else ("steps", 3)
    budget = [flag_of(field), str(value)] if entry.one_of else []
    arguments = [entry.id, *(["x.ghn"] if entry.takes_architecture else []), *(needed[n] for n in entry.positional)]
    for name in entry.required:
        arguments += [flag_of(name), needed[name]]
    request = request_of(entry, build_parser().parse_args([*arguments, *budget]))
    expected = entry.request(**needed, **({field: value} if budget else {}))
    assert request == expected


def test_options_reach_the_request() -> None:
    line = "predict n.ghn --head closed-form --head-images 7 --images 9 --image-size 32 --no-evaluate --seed 5"
    request = request_of(TASKS[0], build_parser().parse_args(line.split()))
    found = (request.head, request.head_images, request.images, request.image_size, request.evaluate, request.seed)
    assert found == ("closed-form", 7, 9, 32, False, 5)


@pytest.mark.parametrize(
    ("line", "words"),
    [
        ("predict", "ARCH"),
        ("predct a.ghn", "invalid choice: 'predct'"),
        ("predict a.ghn --images 0", "at least 1, not 0"),
        ("predict a.ghn --images two", "'two' is not a whole number"),
        ("predict a.ghn --images 1.5", "'1.5' is not a whole number"),
        ("predict a.ghn --head magic", "invalid choice: 'magic'"),
        ("predict a.ghn --frobnicate", "--frobnicate"),
        ("predict a.ghn --see 3", "--see"),
        ("predict a.ghn --seed -1", "at least 0, not -1"),
        ("predict a.ghn b.ghn", "b.ghn"),
        ("compare a.ghn", "exactly one of --steps and --minutes"),
        ("compare a.ghn --steps 3 --minutes 1", "not both"),
        ("compare a.ghn --minutes nan", "'nan' is not a number"),
        ("compare a.ghn --minutes inf", "'inf' is not a number"),
        ("export a.ghn", "--to"),
        ("export a.ghn --to=", "--to must not be empty"),
        ("train --out x --steps 0", "at least 1"),
        ("train --steps 3", "--out"),
        ("list", "ghns|datasets|examples|torchvision|operators"),
        ("list colours", "invalid choice: 'colours'"),
    ],
)
def test_a_wrong_command_line_ends_with_2_and_one_line(line: str, words: str, capsys: Capture) -> None:
    code, out, err = call(capsys, *line.split())
    assert (code, out) == (2, "")
    assert err.count("\n") == 1
    assert words in err


@pytest.mark.parametrize(
    ("line", "words"),
    [
        ("predict nowhere.ghn", "no file"),
        ("predict {net} --dataset faces", "faces"),
        ("predict {net} --ghn nobody", "nobody"),
        ("predict {net} --dataset folder:/nowhere", "nowhere"),
        ("import {net} --to x.ghn", "give an .onnx file"),
        ("train --dataset faces --out x --steps 1", "faces"),
    ],
)
def test_what_cannot_be_done_ends_with_1_and_one_line(line: str, words: str, net: str, capsys: Capture) -> None:
    code, out, err = call(capsys, *line.format(net=net).split())
    assert (code, out) == (1, "")
    assert err.count("\n") == 1
    assert words in err
    assert "Traceback" not in err


def test_names_the_program_could_know_end_with_2_and_the_list(net: str, capsys: Capture) -> None:
    lines = {"predict example:lenet": "lenet5", "evaluate-split tset": "train, val", "export {net} --to a.b": ".pt"}
    for line, words in lines.items():
        code, _, err = call(capsys, *line.format(net=net).split())
        assert (code, err.count("\n")) == (2, 1)
        assert words in err


# --- results ------------------------------------------------------------------------------


def test_predict_prints_one_object_and_its_progress_elsewhere(net: str, tiny_ghn: str, capsys: Capture) -> None:
    code, out, err = call(capsys, "predict", net, "--ghn", tiny_ghn, "--images", "50", "--device", "cpu", "--json")
    found = only_json(out)
    assert code == 0
    assert found["predicted_parameters"] == found["parameters"] == 136
    assert 0 <= found["accuracy"] <= 1
    assert found["images"] == 50
    assert "evaluating" in err


def test_predict_prints_for_people(net: str, tiny_ghn: str, capsys: Capture) -> None:
    code, out, _ = call(capsys, "predict", net, "--ghn", tiny_ghn, "--images", "50", "--device", "cpu")
    assert code == 0
    assert "136 of 136 predicted" in out
    assert "(predicted, no training)" in out


def test_evaluate_split_and_compare_print_objects(net: str, tiny_ghn: str, capsys: Capture) -> None:
    common = ("--ghn", tiny_ghn, "--images", "10", "--device", "cpu", "--json")
    _, out, _ = call(capsys, "evaluate-split", "val", "--count", "1", *common)
    found = only_json(out)
    assert (found["count"], found["standard_error"]) == (1, None)
    assert set(found["architectures"][0]) == {"index", "accuracy", "parameters"}
    _, out, _ = call(capsys, "compare", net, "--steps", "2", *common)
    found = only_json(out)
    assert [p["step"] for p in found["sgd"]] == [1, 2]
    assert set(found["sgd"][0]) == {"step", "seconds", "accuracy", "loss", "validation", "series"}
    assert {"predicted_accuracy", "predict_seconds", "steps_to_match", "seconds_to_match", "speedup"} <= set(found)


def test_export_prints_what_it_wrote(net: str, tmp_path: Path, capsys: Capture) -> None:
    target = str(tmp_path / "net.pt")
    code, out, _ = call(capsys, "export", net, "--to", target, "--init", "kaiming", "--device", "cpu", "--json")
    found = only_json(out)
    assert (code, found["file"], found["parameters"], found["origin"]) == (0, target, 136, "random, seed 0")


def test_a_network_with_values_is_exported_with_them(net: str, tmp_path: Path, capsys: Capture) -> None:
    """No hypernetwork is named, and none is needed."""
    for source, target in ((net, "a.ghn"), (str(tmp_path / "a.ghn"), "b.pt")):
        init = ("--init", "kaiming") if source == net else ()
        code, out, _ = call(capsys, "export", source, "--to", str(tmp_path / target), *init, "--json")
        assert code == 0
    assert only_json(out)["origin"] == "random, seed 0"


def test_sample_writes_files(tmp_path: Path, capsys: Capture) -> None:
    code, out, _ = call(capsys, "sample", "test", "--count", "2", "--to", str(tmp_path / "nets"), "--json")
    assert (code, only_json(out)["count"]) == (0, 2)
    assert len(list((tmp_path / "nets").iterdir())) == 2


@pytest.mark.parametrize("kind", ["ghns", "datasets", "examples", "operators"])
def test_lists_have_names_and_titles(kind: str, capsys: Capture) -> None:
    code, out, _ = call(capsys, "list", kind, "--json")
    found = only_json(out)
    assert code == 0
    assert list(found) == [kind]
    assert all(entry["name"] and entry["title"] for entry in found[kind])
    _, text, _ = call(capsys, "list", kind)
    assert all(entry["name"] in text for entry in found[kind])


def test_train_makes_a_hypernetwork_that_predict_takes(net: str, tmp_path: Path, capsys: Capture) -> None:
    config = tmp_path / "config.json"
    config.write_text(json.dumps({
        "ghn": {"hidden": 8, "max_channels": 8, "decoder": [8, 8]}, "channels": [8, 8], "sizes": {"8": 1.0},
        "networks": 1, "batch": 8, "validation_networks": 1,
    }))
    out_folder = str(tmp_path / "mine")
    line = f"train --dataset digits --out {out_folder} --steps 2 --config {config} --device cpu --json"
    code, out, err = call(capsys, *line.split())
    assert code == 0, err
    assert only_json(out)["steps"] == 2
    code, out, _ = call(capsys, "predict", net, "--ghn", out_folder, "--images", "10", "--device", "cpu", "--json")
    assert (code, only_json(out)["ghn"]) == (0, "mine")
    code, _, err = call(capsys, *line.split())
    assert code == 2
    assert "--resume" in err
    code, out, _ = call(capsys, *line.replace("--steps 2", "--steps 3 --resume").split())
    assert (code, only_json(out)["steps"]) == (0, 3)


def test_version(capsys: Capture) -> None:
    assert call(capsys, "--version")[:2] == (0, f"ghn-studio {ghn_studio.__version__}\n")


# --- bugs and libraries that misbehave ------------------------------------------------------


def _break(monkeypatch: pytest.MonkeyPatch, error: Exception) -> None:
    from ghn_studio.app import predicting

    def fail(*_: Any, **__: Any) -> None:
        raise error

    monkeypatch.setattr(predicting, "fitted", fail)


def test_a_bug_ends_in_one_line_with_a_hint(net: str, capsys: Capture, monkeypatch: pytest.MonkeyPatch) -> None:
    _break(monkeypatch, RuntimeError("tensors\ndo not match"))
    code, out, err = call(capsys, "predict", net)
    assert (code, out, err.count("\n")) == (1, "", 1)
    assert "unexpected RuntimeError: tensors do not match" in err
    assert "--traceback" in err


def test_the_traceback_can_be_asked_for(net: str, capsys: Capture, monkeypatch: pytest.MonkeyPatch) -> None:
    _break(monkeypatch, RuntimeError("boom"))
    code, _, err = call(capsys, "predict", net, "--traceback")
    assert code == 1
    assert "Traceback" in err
    assert err.rstrip().endswith("unexpected RuntimeError: boom")


def test_too_little_memory_is_said_in_words(net: str, capsys: Capture, monkeypatch: pytest.MonkeyPatch) -> None:
    _break(monkeypatch, MemoryError())
    code, _, err = call(capsys, "predict", net)
    assert code == 1
    assert "not enough memory" in err


def test_what_a_library_prints_does_not_reach_stdout(
    net: str, tiny_ghn: str, capsys: Capture, monkeypatch: pytest.MonkeyPatch
) -> None:
    from ghn_studio.app import predicting

    original = predicting.fitted

    def noisy(*arguments: Any) -> Any:
        print("library: hello")
        return original(*arguments)

    monkeypatch.setattr(predicting, "fitted", noisy)
    _, out, err = call(capsys, "predict", net, "--ghn", tiny_ghn, "--no-evaluate", "--device", "cpu", "--json")
    assert only_json(out)["accuracy"] is None
    assert "library: hello" in err


# --- the window -----------------------------------------------------------------------------


@pytest.fixture
def opened(monkeypatch: pytest.MonkeyPatch) -> list[list[str]]:
    """The arguments of every window that was opened; no window appears."""
    from ghn_studio.gui import app

    given: list[list[str]] = []
    monkeypatch.setattr(app, "main", lambda argv: given.append(argv) or 0)
    return given


@pytest.mark.parametrize("arguments", [(), ("net.ghn",), ("model.onnx",), ("example:lenet5",), ("deepnets:test/0",)])
def test_without_a_subcommand_the_window_opens(arguments: tuple[str, ...], opened: list[list[str]]) -> None:
    assert program(arguments) == 0
    assert opened == [list(arguments)]


def test_with_a_subcommand_it_does_not(opened: list[list[str]], capsys: Capture) -> None:
    assert program(["list", "datasets"]) == 0
    assert "digits" in capsys.readouterr().out
    assert program(["lsit"]) == 2
    assert opened == []


def test_a_network_of_torchvision_is_predicted_by_name(capsys: Capture) -> None:
    line = "predict torchvision:shufflenet_v2_x0_5 --input 3x32x32 --classes 7 --no-evaluate --init kaiming --json"
    code, out, err = call(capsys, *line.split())
    assert (code, json.loads(out)["architecture"]) == (0, "shufflenet_v2_x0_5"), err
    code, out, err = call(capsys, "list", "torchvision", "--json")
    assert code == 0
    assert len(json.loads(out)["torchvision"]) == 80
