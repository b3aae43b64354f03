"""What the export dialog says about each format: true, short and complete."""

from __future__ import annotations

import sys
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path

import pytest

from ghn_studio.app.architectures import open_architecture, read_foreign
from ghn_studio.app.exchange.export_choices import CHOICES, usage, with_ending
from ghn_studio.app.exchange.exporting import FORMATS

#: As wide as the dialog shows it without scrolling.
MOST_CHARACTERS = 80


def test_every_format_has_its_sentence() -> None:
    assert set(CHOICES) == set(FORMATS)
    assert all(choice.sentence.endswith(".") and len(choice.sentence) <= 80 for choice in CHOICES.values())


@pytest.mark.parametrize(("name", "ending", "expected"), [
    ("net.pt", ".onnx", "net.onnx"), ("net", ".pt", "net.pt"), ("net.v2.pt", "", "net.v2"),
    ("net.v2", ".py", "net.v2.py"),
    ("net.PT2", ".safetensors", "net.safetensors"), ("net", "", "net"),
])
def test_endings_are_replaced_and_other_dots_stay(name: str, ending: str, expected: str) -> None:
    assert with_ending(Path("folder") / name, ending) == Path("folder") / expected


@pytest.mark.parametrize("name", ["net", "my-net.v2"])
@pytest.mark.parametrize("ending", CHOICES)
def test_three_lines_load_what_was_exported(
    ending: str, name: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, write: Callable[..., tuple[Path, object]],
    values_of: Callable[..., dict[str, object]],
) -> None:
    graph = replace(open_architecture("example:lenet5").architecture, name="lines_net")
    values = values_of(graph)
    target, _ = write(tmp_path, graph, ending.lstrip(".") or "huggingface", name, values)
    if ending != ".py":
        write(tmp_path, graph, "py", "net" if name == "net" else "my_net_v2")
    text = usage(graph, target, ending)
    assert len(text.splitlines()) == 3
    assert name != "net" or max(map(len, text.splitlines())) <= MOST_CHARACTERS
    folder = target if target.is_dir() else tmp_path
    monkeypatch.chdir(folder)
    monkeypatch.syspath_prepend(str(folder))
    found: dict[str, object] = {}
    try:
        exec(text, found)
    finally:
        for module in ("net", "my_net_v2", "my-net.v2", "modeling_lines_net"):
            sys.modules.pop(module, None)
    if ending == ".ghn":
        assert set(found["values"]) >= set(values)
    else:
        assert tuple(found["logits"].shape) == (1, 10)


def test_an_onnx_file_can_take_one_image_at_a_time(
    tmp_path: Path, write: Callable[..., tuple[Path, object]], values_of: Callable[..., dict[str, object]]
) -> None:
    import onnx

    graph = open_architecture("example:lenet5").architecture
    target, report = write(tmp_path, graph, "onnx", values=values_of(graph), batch=1, opset=19)
    model = onnx.load(target)
    ends = [*model.graph.input, *model.graph.output]
    assert [e.type.tensor_type.shape.dim[0].dim_value for e in ends] == [1, 1]
    assert next(o.version for o in model.opset_import if not o.domain) == 19
    assert "onnxruntime" in report.checked
    again = read_foreign(str(target)).project.architecture
    assert again.nodes == graph.nodes


def test_what_is_known_about_images_can_be_left_out(
    tmp_path: Path, write: Callable[..., tuple[Path, object]], values_of: Callable[..., dict[str, object]]
) -> None:
    graph = open_architecture("example:se_net").architecture
    said, _ = write(tmp_path, graph, "py", "said", origin={"dataset": "digits"})
    silent, _ = write(tmp_path, graph, "py", "silent", origin={"dataset": "digits"}, describe=False)
    assert "CLASSES" in said.read_text("utf-8") and "CLASSES" not in silent.read_text("utf-8")
