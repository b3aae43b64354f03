"""The formats a network can be exported to, as a person chooses among them, and how each file is used afterwards."""

from __future__ import annotations

import re
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path

from ghn_studio.app.exchange.exporting import FORMATS
from ghn_studio.app.exchange.model_folder import VALUES, module_name
from ghn_studio.codegen import class_name
from ghn_studio.ir.graph import Architecture
from ghn_studio.ops import REGISTRY


@dataclass(frozen=True, slots=True)
class FormatChoice:
    """One format.

    Attributes:
        ending: Key of :data:`FORMATS`.
        name: What people call it.
        sentence: What it is good for.
        holds_values: False for source alone.
        needs_values: False if it can also be written without.
        has_onnx_options: It has an operator set and a batch size.
        can_describe: It has room for how images are prepared.
    """

    ending: str
    name: str
    sentence: str
    holds_values: bool = True
    needs_values: bool = True
    has_onnx_options: bool = False
    can_describe: bool = True


CHOICES: Mapping[str, FormatChoice] = {choice.ending: choice for choice in (
    FormatChoice(".pt", "PyTorch weights", "A state dict for the exported source, or for your own model code."),
    FormatChoice(".pt2", "PyTorch program", "Runs in any PyTorch 2 without source code, on any number of images."),
    FormatChoice(".safetensors", "safetensors", "The weights again, in a format that can hold no code."),
    FormatChoice(".onnx", "ONNX", "For onnxruntime and other runtimes; tried against this network first.",
                 has_onnx_options=True),
    FormatChoice(".py", "PyTorch source", "One readable file with the model's classes; needs PyTorch only.",
                 holds_values=False, needs_values=False),
    FormatChoice("", "Hugging Face folder", "Weights, settings, source and a model card, ready for the hub."),
    FormatChoice(".ghn", "GHN Studio project", "A copy to go on editing here, with its values beside it.",
                 needs_values=False, can_describe=False),
)}


def with_ending(path: Path, ending: str) -> Path:
    """``path`` with another format's ending in place of its own; other dots of a name stay."""
    stem = path.with_suffix("") if path.suffix.lower() in FORMATS and path.suffix else path
    return stem.with_name(stem.name + ending)


def usage(graph: Architecture, path: Path, ending: str) -> str:
    """Three lines of Python that load an exported file and run it.

    For weights without code they take the exported source of the same name.
    """
    name, top = path.name, class_name(graph)
    module = re.sub(r"\W|^(?=\d)", "_", path.stem)
    entry = next((n for n in graph.nodes.values() if REGISTRY[n.op].takes_images), None)
    shape = f"1, {entry.params.channels}, {entry.params.height}, {entry.params.width}" if entry is not None else "…"
    run = f"logits = network.eval()(torch.randn({shape}))"
    return {
        ".pt": f"import torch; from {module} import {top}  # exported as {module}.py\n"
               f'network = {top}(); network.load_state_dict(torch.load("{name}"))\n{run}',
        ".safetensors": f"import safetensors.torch, torch; from {module} import {top}  # {module}.py\n"
                        f'network = {top}(); safetensors.torch.load_model(network, "{name}")\n{run}',
        ".pt2": f'import torch\nnetwork = torch.export.load("{name}").module()\n'
                f"logits = network(torch.randn({shape}))",
        ".onnx": f'import numpy as np, onnxruntime\nsession = onnxruntime.InferenceSession("{name}")\n'
                 f'logits, *_ = session.run(None, {{"{entry.id if entry is not None else "input"}": '
                 f"np.zeros(({shape}), np.float32)}})",
        ".py": f"import torch; from {module} import {top}\nnetwork = {top}()\n{run}" if module == path.stem else
               f'import runpy, torch\nnetwork = runpy.run_path("{name}")["{top}"]()\n{run}',
        "": f"import safetensors.torch, torch; from {module_name(graph)} import {top}\n"
            f'network = {top}(); safetensors.torch.load_model(network, "{VALUES}")\n{run}  # in the folder',
        ".ghn": f'from ghn_studio.project import read, read_values\nproject = read("{name}")\n'
                f'values = read_values("{name}", project)  # if it has some',
    }[ending]
