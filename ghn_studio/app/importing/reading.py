"""A foreign file as a project, with what there is to say about it."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

from ghn_studio.app.importing.process import ask
from ghn_studio.ir.graph import NodeId
from ghn_studio.jobs import Job, Progress
from ghn_studio.ops import REGISTRY
from ghn_studio.project import Project, loads

#: What exporters call every network; the file's name says more.
GENERIC_NAMES = frozenset({"", "main", "main_graph", "graph", "torch_jit", "torch-jit-export", "untitled"})

#: Height and width, px, of files that leave them open, where nobody says otherwise.
DEFAULT_SIZE = 224

#: A larger relative difference from the original's result means that something was read wrongly.
MOST_ERROR = 1e-4


@dataclass(frozen=True, slots=True)
class Wanted:
    """How a file is to be read: size of the images and output, where it leaves a choice; ``check`` compares the
    network with what onnxruntime computes; without ``weights`` only the layers are read, and compared with nothing.
    ``default_size`` is taken where the file leaves the size open and no
    ``image_size`` is given, which is refused for files of a fixed size."""

    image_size: int | None = None
    output: str = ""
    check: bool = True
    default_size: int = DEFAULT_SIZE
    weights: bool = True


@dataclass(frozen=True, slots=True)
class Found:
    """A network of others.

    ``arrays`` are its values, none if the file has none. ``opaque`` are nodes that onnxruntime runs or nothing
    can. ``max_relative_error`` is the largest difference from onnxruntime's result over its largest value.
    ``operations`` counts the nodes of the file itself.
    """

    project: Project
    arrays: Mapping[str, Any]  # numpy.ndarray
    warnings: tuple[str, ...]
    opaque: tuple[NodeId, ...]
    max_relative_error: float | None
    operations: int
    is_size_open: bool
    is_ours: bool


def read_network(path: Path, wanted: Wanted = Wanted()) -> Job[Found]:
    """Read an ONNX file in a process of its own, join its operators to layers, and compare the result.

    A way of joining that changes what the network computes is undone. Imports torch to compare.

    Raises:
        ImageSizeError: It takes images of any size, but not of this one.
        MissingDataError: Its weights lie in a file that is not there.
        OnnxConversionError: The file is damaged, too large, or has something nothing can express.
    """
    from ghn_studio.lifting.joining import rejoin

    request = {"image_size": wanted.image_size, "output": wanted.output, "default_size": wanted.default_size,
               "run": wanted.check, "weights": wanted.weights}
    answer = yield from ask(path, request)
    graph = loads(answer.said["project"], source=path.name).architecture
    if graph.name in GENERIC_NAMES:
        graph = replace(graph, name=path.stem)
    values = {k.removeprefix("value:"): v for k, v in answer.arrays.items() if k.startswith("value:")}
    warnings = list(answer.said["warnings"])
    if not answer.said["is_ours"]:
        yield Progress("recognising layers")
        if wanted.check and "result" in answer.arrays:
            from ghn_studio.app.importing.checking import checked

            joined, error, said = yield from checked(graph, values, answer)
            warnings += said
        else:
            joined, error = rejoin(graph, REGISTRY, values), None
            if wanted.check and wanted.weights:
                warnings.append(f"the network could not be compared with the file: {answer.said['unsampled']}")
        graph, values = joined.graph, joined.values(values, REGISTRY) if values else {}
    else:
        error = None
    if error is not None and error > MOST_ERROR:
        is_half = error < 1e-2 and any("float16 weights were converted" in warning for warning in warnings)
        reason = ": the file computes in half precision, the network does not" if is_half else ""
        warnings.append(f"its results differ from the file's by {error:.1e} of the largest value{reason}")
    opaque = tuple(NodeId(n) for n in answer.said["opaque"] if n in graph.nodes)
    told = {key: answer.said[key] for key in ("operations", "is_size_open", "is_ours")}
    return Found(Project(graph), values, tuple(warnings), opaque, error, **told)
