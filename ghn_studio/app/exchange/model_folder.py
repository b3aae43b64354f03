"""A folder as on the Hugging Face hub: values, settings, source and a card, for people who have PyTorch only."""

from __future__ import annotations

import json
import re
from collections.abc import Mapping
from typing import TYPE_CHECKING, Any

from ghn_studio.app.exchange.description import Figures, Preprocessing
from ghn_studio.app.exchange.export_files import Facts, Written, safetensors_bytes, source
from ghn_studio.codegen import class_name
from ghn_studio.ir.graph import Architecture

if TYPE_CHECKING:
    from torch import Tensor

VALUES, SETTINGS, CARD = "model.safetensors", "config.json", "README.md"

#: By this entry of the settings a folder is known for one of ours, which may be replaced.
MARK = ("library_name", "ghn-studio")


def model_folder(
    graph: Architecture, values: Mapping[str, Tensor], facts: Facts, prepared: Preprocessing | None,
    figures: Figures | None, origin: str,
) -> Written:
    """``model.safetensors``, ``config.json``, ``modeling_<name>.py`` and ``README.md``.

    Args:
        facts: What the values say about themselves.
        prepared: How images become inputs, if that is known.
        figures: What was measured, if anything.
        origin: Where the values come from, in words.
    """
    module = module_name(graph)
    text = source(graph, prepared, figures, VALUES)
    parameters = sum(v.numel() for v in values.values())
    settings = json.dumps(_settings(graph, facts, prepared, figures), indent=2, ensure_ascii=False, allow_nan=False)
    return Written({
        VALUES: safetensors_bytes(values, facts),
        SETTINGS: f"{settings}\n".encode(),
        f"{module}.py": text.encode(),
        CARD: _card(graph, module, prepared, figures, origin, parameters).encode(),
    })


def module_name(graph: Architecture) -> str:
    """``modeling_resnet20``."""
    return f"modeling_{re.sub(r'[^a-z0-9]+', '_', graph.name.lower()).strip('_') or 'network'}"


def is_model_folder(settings: str) -> bool:
    """True for the text of a ``config.json`` of ours."""
    try:
        data = json.loads(settings)
    except (ValueError, RecursionError):
        return False
    return isinstance(data, dict) and data.get(MARK[0]) == MARK[1]


def _settings(
    graph: Architecture, facts: Facts, prepared: Preprocessing | None, figures: Figures | None
) -> dict[str, Any]:
    found: dict[str, Any] = {
        "architectures": [class_name(graph)], "model_type": module_name(graph).removeprefix("modeling_"),
        MARK[0]: MARK[1], "torch_dtype": "float32",
    }
    if prepared is not None:
        classes = prepared.classes
        found |= {
            "image_size": list(prepared.size), "num_channels": prepared.channels, "num_labels": len(classes),
            "id2label": {str(i): name for i, name in enumerate(classes)},
            "label2id": {name: i for i, name in enumerate(classes)},
            "preprocessing": {k: v for k, v in prepared.to_json().items() if k != "classes"},
        }
    if figures is not None:
        found["figures"] = figures.to_json()
    told = {"preprocessing", "figures"}
    found["ghn_studio"] = {k: v for k, v in facts.items() if k not in told}
    return found


def _card(
    graph: Architecture, module: str, prepared: Preprocessing | None, figures: Figures | None, origin: str,
    numbers: int,
) -> str:
    top = class_name(graph)
    name = " ".join(graph.name.split()) or "Network"
    taken = ", preprocess" if prepared is not None else ""
    lines = [
        "---", "library_name: pytorch", "pipeline_tag: image-classification", "tags:", "- ghn-studio", "---", "",
        f"# {name}", "", f"An image classifier with {numbers:,} stored numbers. Its values are {origin}.", "",
        *_figures(figures), *_preparation(prepared),
        "## Use", "", "PyTorch and `safetensors` are enough; run this in the folder:", "", "```python",
        "from safetensors.torch import load_file", f"from {module} import {top}{taken}", "", f"network = {top}()",
        f'network.load_state_dict(load_file("{VALUES}"))', "network.eval()",
    ]
    if prepared is not None:
        lines.append(f"scores = network(preprocess(images))  # images: uint8, N×{prepared.image_channels}×H×W")
    return "\n".join([*lines, "```", ""])


def _figures(figures: Figures | None) -> list[str]:
    if figures is None:
        return ["## Figures", "", "Nothing was measured with these values.", ""]
    rows = [("Accuracy", figures.accuracy), ("Loss", figures.loss)]
    return [
        "## Figures", "", f"On {figures.images:,} {figures.part} images of {figures.dataset}.", "",
        "| figure | value | how the values were made |", "|---|---|---|",
        *(f"| {title} | {'not finite' if value is None else f'{value:.4f}'} | {figures.label} |"
          for title, value in rows), "",
    ]


def _preparation(prepared: Preprocessing | None) -> list[str]:
    if prepared is None:
        return ["## Images", "", "How images were prepared is not known.", ""]
    height, width = prepared.size
    steps = [f"divided by 255, minus {_numbers(prepared.mean)}, divided by {_numbers(prepared.std)}"]
    if prepared.image_channels == 3 and prepared.channels == 1:
        steps.append("weighted to grey")
    steps.append(f"resized to {height}×{width} px ({prepared.resize})")
    if prepared.image_channels == 1 != prepared.channels:
        steps.append(f"repeated over {prepared.channels} channels")
    before = f" {prepared.before[0].upper()}{prepared.before[1:]}." if prepared.before else ""
    shown = ", ".join(prepared.classes[:20]) + (" …" if len(prepared.classes) > 20 else "")
    return [
        "## Images", "", f"Images of 8 bits in {prepared.channel_order}: {'; '.join(steps)}.{before}", "",
        f"{len(prepared.classes)} classes: {shown}", "",
    ]


def _numbers(values: tuple[float, ...]) -> str:
    return ", ".join(f"{v:g}" for v in values)
