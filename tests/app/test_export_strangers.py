"""A stranger with PyTorch alone loads every export: another process, in which this program cannot be imported."""

from __future__ import annotations

import subprocess
import sys
import sysconfig
from collections.abc import Callable
from pathlib import Path

import pytest
import torch

from ghn_studio.app.architectures import open_architecture
from ghn_studio.app.exchange.exporting import ENDINGS
from ghn_studio.engine.build import build
from ghn_studio.ir import Architecture

#: Isolated, and without the site module: no path of a development install is followed.
BEGIN = """
import importlib.util, sys
sys.path += {paths}
assert importlib.util.find_spec("ghn_studio") is None
import torch
torch.set_num_threads(1)
target, source, images, result = sys.argv[1:]
images = torch.load(images, weights_only=True)
"""

END = """
assert not any(name.partition(".")[0] == "ghn_studio" for name in sys.modules)
torch.save(scores, result)
"""

#: How each format is used; the network's class is ``Net`` for all of them.
USES = {
    "pt": """
spec = importlib.util.spec_from_file_location("net", source)
module = importlib.util.module_from_spec(spec); spec.loader.exec_module(module)
network = module.Net()
network.load_state_dict(torch.load(target, weights_only=True), strict=True)
with torch.inference_mode(): scores = network.eval()(images)
""",
    "safetensors": """
from safetensors.torch import load_file
spec = importlib.util.spec_from_file_location("net", source)
module = importlib.util.module_from_spec(spec); spec.loader.exec_module(module)
network = module.Net()
network.load_state_dict(load_file(target), strict=True)
with torch.inference_mode(): scores = network.eval()(images)
""",
    "pt2": """
with torch.inference_mode(): scores = torch.export.load(target).module()(images)
""",
    "onnx": """
import onnxruntime
session = onnxruntime.InferenceSession(target, providers=["CPUExecutionProvider"])
scores = torch.from_numpy(session.run(None, {session.get_inputs()[0].name: images.numpy()})[0])
""",
    "huggingface": """
import json, pathlib
from safetensors.torch import load_file
folder = pathlib.Path(target); sys.path.append(target)
settings = json.loads((folder / "config.json").read_text("utf-8"))
import modeling_net
network = getattr(modeling_net, settings["architectures"][0])()
network.load_state_dict(load_file(folder / "model.safetensors"), strict=True)
with torch.inference_mode(): scores = network.eval()(images)
""",
}

#: Plain layers with batch norm and groups of blocks; attention with a class token and positions.
NETWORKS = ("example:se_net", "example:vit_small")


def named(name: str) -> Architecture:
    from dataclasses import replace

    return replace(open_architecture(name).architecture, name="net")


@pytest.mark.slow
@pytest.mark.parametrize("name", NETWORKS)
@pytest.mark.parametrize("format", USES)
def test_exports_run_without_this_program(
    tmp_path: Path, name: str, format: str, write: Callable[..., tuple[Path, object]],
    values_of: Callable[..., dict[str, torch.Tensor]]
) -> None:
    graph = named(name)
    values = values_of(graph)
    target, _ = write(tmp_path, graph, format, values=values)
    source, _ = write(tmp_path, graph, "py", "source")
    shape = next(n.params for n in graph.nodes.values() if n.op == "input")
    images = torch.randn(3, shape.channels, shape.height, shape.width, generator=torch.Generator().manual_seed(1))
    torch.save(images, tmp_path / "images.pt")
    script = tmp_path / "stranger.py"
    paths = sorted({sysconfig.get_path("purelib"), sysconfig.get_path("platlib")})
    script.write_text(BEGIN.format(paths=paths) + USES[format] + END, "utf-8")
    arguments = [str(target), str(source), str(tmp_path / "images.pt"), str(tmp_path / "scores.pt")]
    done = subprocess.run(
        [sys.executable, "-I", "-S", str(script), *arguments], cwd=tmp_path, capture_output=True, text=True
    )
    assert done.returncode == 0, done.stderr
    network = build(graph).eval()
    network.load_state_dict(values, strict=True)
    with torch.inference_mode():
        expected = network(images)
    scores = torch.load(tmp_path / "scores.pt", weights_only=True)
    assert float((scores - expected).abs().max()) <= 1e-5 * max(1.0, float(expected.abs().max()))


def test_every_format_with_values_is_tried() -> None:
    assert set(USES) == set(ENDINGS) - {"py", "ghn"}  # source is used by two of them; a project is for this program
