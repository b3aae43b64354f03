"""Folders that a task goes on from: whose they are, and what is in them."""

from __future__ import annotations

import json
from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Any

from ghn_studio.atomic import write_atomically
from ghn_studio.errors import UsageError


def claim(folder: Path, name: str, identity: Mapping[str, Any], what: str) -> None:
    """Make a folder for a task, or see that it is the task's already.

    Args:
        name: File that says whose the folder is.
        identity: What the results depend on, plain JSON data.
        what: What the folder holds, for messages: "ranking", "table".

    Raises:
        UsageError: The folder cannot be made or read, or holds something else; what differs is named.
    """
    path = folder / name
    if not path.is_file():
        try:
            folder.mkdir(parents=True, exist_ok=True)
            write_atomically(path, json.dumps(dict(identity), indent=1).encode())
        except OSError as error:
            raise UsageError(f"'{folder}' cannot be made ({error.strerror}); name another folder") from error
        return
    try:
        kept = json.loads(path.read_text("utf-8"))
    except (OSError, ValueError) as error:
        raise UsageError(f"'{path}' cannot be read ({error}): name another folder") from error
    different = [n for n in {**kept, **identity} if kept.get(n) != identity.get(n)]
    if different:
        told = "; ".join(f"{n}: {kept.get(n)} there, {identity.get(n)} now" for n in different)
        raise UsageError(f"the {what} in '{folder}' is another one ({told}): name another folder")


def lines_of(path: Path) -> Iterator[dict[str, Any]]:
    """The objects in a file of JSON lines; none without the file, and no half a line, as a killed program leaves it."""
    try:
        lines = path.read_bytes().splitlines()
    except OSError:
        return
    for line in lines:
        try:
            entry = json.loads(line)
        except ValueError:
            continue
        if isinstance(entry, dict):
            yield entry
