"""What tests of exports share: values to write, and how to read facts back."""

from __future__ import annotations

import json
from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Any

import pytest
import torch

from ghn_studio.app.exchange.exporting import ENDINGS, writing
from ghn_studio.app.results import ExportReport
from ghn_studio.engine.build import build
from ghn_studio.ir import Architecture
from ghn_studio.jobs import run
from ghn_studio.project import read
from ghn_studio.project.safetensors_file import read_metadata

#: As a prediction tells it (``app.predicting.origin_of``).
_ORIGIN: Mapping[str, Any] = {
    "kind": "predicted", "ghn": "tiny", "seed": 3, "head": "predicted", "dataset": "digits",
    "label": "predicted, no training",
    "figures": {"accuracy": 0.25, "loss": 2.5, "images": 364, "part": "test", "dataset": "digits",
                "batch_norm": "calibrated", "label": "predicted, no training"},
}


def _values_of(graph: Architecture, seed: int = 0) -> dict[str, torch.Tensor]:
    """Random values, statistics that do not pass everything on unchanged included."""
    torch.manual_seed(seed)
    state = build(graph).state_dict()
    with torch.no_grad():
        for name, tensor in state.items():
            if name.endswith("running_var"):
                tensor.uniform_(0.5, 1.5)
            elif name.endswith("running_mean"):
                tensor.normal_(0, 0.1)
    return dict(state)


def _write(
    folder: Path, graph: Architecture, format: str, name: str = "net", values: dict[str, torch.Tensor] | None = None,
    origin: Mapping[str, Any] = _ORIGIN, **options: Any,
) -> tuple[Path, ExportReport]:
    """Export into ``folder``; the file or folder, and the report."""
    target = folder / f"{name}{ENDINGS[format]}"
    report = run(writing(target, graph, values or _values_of(graph), origin, format=format, **options))
    return target, report


def _facts_in(file: Path, format: str) -> dict[str, Any]:
    """Preprocessing and figures as a stranger finds them in an exported file."""
    if format == "pt":
        found = dict(torch.load(file, weights_only=True)._metadata["ghn_studio"])
    elif format == "pt2":
        extra = {"ghn_studio.json": ""}
        torch.export.load(str(file), extra_files=extra)
        found = json.loads(extra["ghn_studio.json"])
    elif format == "safetensors":
        found = dict(read_metadata(file))
    elif format == "onnx":
        import onnx

        found = {p.key.removeprefix("ghn_studio."): p.value for p in onnx.load(str(file)).metadata_props}
    elif format == "huggingface":
        return json.loads((file / "config.json").read_text("utf-8"))  # type: ignore[no-any-return]
    else:
        values = read(file).values
        assert values is not None
        return dict(values.origin)
    return {k: json.loads(found[k]) for k in ("preprocessing", "figures") if k in found}


@pytest.fixture(scope="session")
def origin() -> Mapping[str, Any]:
    """Where values come from, figures included."""
    return _ORIGIN


@pytest.fixture(scope="session")
def values_of() -> Callable[..., dict[str, torch.Tensor]]:
    """Makes random values for a network."""
    return _values_of


@pytest.fixture(scope="session")
def write() -> Callable[..., tuple[Path, ExportReport]]:
    """Exports a network into a folder: ``write(folder, graph, format, name, values, origin, **options)``."""
    return _write


@pytest.fixture(scope="session")
def facts_in() -> Callable[[Path, str], dict[str, Any]]:
    """Reads back what an exported file tells of its use."""
    return _facts_in
