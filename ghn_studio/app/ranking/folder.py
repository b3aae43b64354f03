"""What a ranking keeps while it goes on, so that an interruption repeats no work."""

from __future__ import annotations

import json
import tempfile
from dataclasses import asdict
from hashlib import sha256
from pathlib import Path

from ghn_studio.app.keeping import claim, lines_of
from ghn_studio.app.ranking.item import Candidate
from ghn_studio.app.ranking.records import Failure, RankRow
from ghn_studio.app.ranking.requests import RankRequest
from ghn_studio.atomic import append_line

ROWS, IDENTITY = "rows.jsonl", "ranking.json"

#: Settings that change how the work is shared, not what comes out.
_FREE = ("jobs", "backend", "download", "top")


class RankFolder:
    """Rows and failures by (stage, candidate), and a place for each candidate's values. Without a folder: temporary.

    Raises:
        UsageError: The folder holds a ranking of other candidates or with other settings.
    """

    def __init__(self, folder: Path | None, request: RankRequest, candidates: tuple[Candidate, ...]) -> None:
        self._temporary = tempfile.TemporaryDirectory(prefix="ranking-") if folder is None else None
        self._folder = Path(self._temporary.name) if self._temporary is not None else folder or Path()
        self._found: dict[tuple[int, str], RankRow | Failure] = {}
        identity = {name: value for name, value in asdict(request).items() if name not in _FREE}
        identity["networks"] = sha256(repr(candidates).encode()).hexdigest()[:16]
        claim(self._folder, IDENTITY, identity, "ranking")
        for entry in lines_of(self._folder / ROWS):
            made = RankRow(**entry["row"]) if "row" in entry else Failure(**entry["failure"])
            self._found[entry["stage"], made.name] = made

    def found(self, stage: int, name: str) -> RankRow | Failure | None:
        """What a stage found of a candidate, if it was done before."""
        return self._found.get((stage, name))

    def add(self, stage: int, result: RankRow | Failure) -> None:
        """Keep a result at once."""
        self._found[stage, result.name] = result
        kind = "row" if isinstance(result, RankRow) else "failure"
        append_line(self._folder / ROWS, json.dumps({"stage": stage, kind: asdict(result)}).encode())

    def values(self, stage: int, name: str) -> str:
        """Where a candidate's values are kept after a stage."""
        return str(self._folder / f"{stage}-{sha256(name.encode()).hexdigest()[:16]}.safetensors")

    def close(self) -> None:
        """Remove what was only needed meanwhile."""
        if self._temporary is not None:
            self._temporary.cleanup()
