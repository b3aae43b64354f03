"""The folder of a measurement: the request, a line per network as soon as it is measured, the summary."""

from __future__ import annotations

import json
import os
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

from ghn_studio.app.measuring.records import Entry, MeasureReport, NetworkRecord
from ghn_studio.errors import PredictionError, UsageError

REQUEST, RESULTS, TIMES, SUMMARY = "request.json", "results.jsonl", "times.jsonl", "summary.json"


class RunFolder:
    """The records of one request. A run killed at any moment loses at most the networks it was at."""

    def __init__(self, folder: Path, request: Mapping[str, Any], entries: Sequence[Entry]) -> None:
        """Open a folder that is new, or holds the same request.

        Raises:
            UsageError: It holds another one; the message names what differs.
            PredictionError: It is damaged.
        """
        self.path = folder
        self._order = {entry.network: i for i, entry in enumerate(entries)}
        self._records: dict[str, NetworkRecord] = {}
        if (folder / REQUEST).is_file():
            self._require_same(request)
            self._read()
        else:
            self._replace(REQUEST, json.dumps(request, indent=2, ensure_ascii=False) + "\n")

    @property
    def records(self) -> tuple[NetworkRecord, ...]:
        """What was measured so far, in the order of the request."""
        return tuple(sorted(self._records.values(), key=lambda r: self._order[r.network]))

    def left(self, entries: Sequence[Entry]) -> list[Entry]:
        """The networks still to be measured."""
        return [entry for entry in entries if entry.network not in self._records]

    def add(self, record: NetworkRecord, seconds: float) -> None:
        """Append a record and push it to the disk."""
        self._records[record.network] = record
        self._append(RESULTS, record.to_json())
        self._append(TIMES, {"network": record.network, "seconds": round(seconds, 2)})

    def finish(self, report: MeasureReport) -> None:
        """Bring the lines into the order of the request, whichever process was first, and write the summary."""
        self._replace(RESULTS, "".join(_line(r.to_json()) for r in self.records))
        summary = {name: value for name, value in report.to_json().items() if name != "folder"}
        self._replace(SUMMARY, json.dumps(summary, indent=2, ensure_ascii=False) + "\n")

    def _require_same(self, request: Mapping[str, Any]) -> None:
        try:
            found = json.loads((self.path / REQUEST).read_text("utf-8"))
        except (OSError, ValueError) as error:
            raise PredictionError(f"'{self.path / REQUEST}' cannot be read: {error}; choose another --out") from error
        found = found if isinstance(found, dict) else {}
        differing = [
            f"{name.replace('_', ' ')} is {found.get(name)!r} there and {request.get(name)!r} now"
            for name in {**found, **request} if found.get(name) != request.get(name)
        ]
        if differing:
            raise UsageError(
                f"'{self.path}' holds the measurement of another request: {'; '.join(differing)}; "
                "choose another --out, or ask for the same"
            )

    def _read(self) -> None:
        """Take up complete lines; a torn last one, of a run that was killed, is cut off."""
        if not (self.path / RESULTS).is_file():
            return
        lines = (self.path / RESULTS).read_text("utf-8").split("\n")
        kept = lines[:-1]
        for number, line in enumerate(kept, 1):
            try:
                record = NetworkRecord.from_json(json.loads(line))
            except (ValueError, TypeError, KeyError) as error:
                raise PredictionError(
                    f"line {number} of '{self.path / RESULTS}' is damaged ({error}): delete that line"
                ) from error
            if record.network in self._order:
                self._records[record.network] = record
        if lines[-1]:
            self._replace(RESULTS, "".join(line + "\n" for line in kept))

    def _append(self, name: str, data: Mapping[str, Any]) -> None:
        with (self.path / name).open("a", encoding="utf-8") as file:
            file.write(_line(data))
            file.flush()
            os.fsync(file.fileno())

    def _replace(self, name: str, text: str) -> None:
        from ghn_studio.atomic import write_atomically

        write_atomically(self.path / name, text.encode())


def _line(data: Mapping[str, Any]) -> str:
    return json.dumps(data, ensure_ascii=False, allow_nan=False) + "\n"
