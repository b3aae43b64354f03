"""The process that reads a foreign file: ``python -P -m ghn_studio.app.importing.child`` with a request on its input.

Native code parses the file and may run it, so all of it happens here, with limits on memory and time and
nothing of the parent but what the request says. The answer goes to the standard output: eight bytes with the
length of a JSON text, the text, and the tensors as safetensors.
"""

from __future__ import annotations

import json
import os
import sys
from contextlib import suppress
from pathlib import Path
from typing import Any

#: Seconds of processor time, beside the parent's limit on the clock.
MOST_SECONDS = 300


def limit(memory: int) -> None:
    """Bound what this process may take, where the system can: memory and time, and no file is written."""
    with suppress(ImportError, OSError, ValueError):
        import resource

        resource.setrlimit(resource.RLIMIT_AS, (memory, memory))
        resource.setrlimit(resource.RLIMIT_CPU, (MOST_SECONDS, MOST_SECONDS))
        resource.setrlimit(resource.RLIMIT_FSIZE, (0, 0))
        resource.setrlimit(resource.RLIMIT_CORE, (0, 0))


def answer(request: dict[str, Any]) -> tuple[dict[str, Any], dict[str, Any]]:
    """What there is to say about the file, and the tensors by name."""
    from ghn_studio import onnx_io
    from ghn_studio.app.importing.drawn import as_drawn
    from ghn_studio.errors import GhnStudioError, MissingDataError
    from ghn_studio.project import Project, dumps

    size = request["image_size"]
    try:
        found = onnx_io.read(
            request["file"], tuple(size) if isinstance(size, list) else size, keep_foreign=True, run=request["run"],
            output=request["output"], default_size=request["default_size"], with_weights=request["weights"],
        )
    except MissingDataError as error:
        return {"error": str(error), "lacks_data": True}, {}
    except GhnStudioError as error:
        from ghn_studio.onnx_io.reading import asks_for_size

        return {"error": str(error), "is_size_open": asks_for_size(Path(request["file"]))}, {}
    tensors = {f"value:{name}": array for name, array in found.values.items()}
    if found.sample is not None:
        tensors |= {"images": found.sample.images, "result": found.sample.result}
    said = {
        "project": dumps(Project(as_drawn(found.architecture, found.drawn))),
        "warnings": found.warnings, "opaque": found.opaque,
        "fills": dict(found.fills), "unsampled": found.unsampled, "is_ours": found.is_ours,
        "operations": found.operations, "is_size_open": found.is_size_open,
    }
    return said, tensors


def main() -> None:
    """Answer one request."""
    out = os.dup(1)
    os.dup2(2, 1)  # what libraries print must not get into the answer
    request = json.loads(sys.stdin.buffer.readline())
    limit(request["memory"])
    try:
        said, tensors = answer(request)
    except MemoryError:
        said, tensors = {"error": "reading the file takes more memory than it may"}, {}
    from numpy import asarray
    from safetensors.numpy import save

    text = json.dumps(said).encode("utf-8")
    with os.fdopen(out, "wb") as file:
        file.write(len(text).to_bytes(8, "little") + text)
        file.write(save({name: asarray(array, order="C") for name, array in tensors.items()}) if tensors else b"")


if __name__ == "__main__":
    main()
