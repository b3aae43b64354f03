"""The papers' table as a value, as text and as comma-separated values; the official figures beside it."""

from __future__ import annotations

import json
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import asdict, dataclass
from math import fsum
from typing import Any

from ghn_studio import paths
from ghn_studio.app.measuring.records import standard_error

#: What the table is about when the data do not say it: the official figures' data set.
OFFICIAL = "cifar10"


@dataclass(frozen=True, slots=True)
class Reading:
    """One accuracy of one network: ``row`` is the line of the table it counts for."""

    split: str
    index: int
    row: str
    accuracy: float

    def metrics(self) -> dict[str, int | float | str | None]:
        """The reading as a line of a run's metrics."""
        return {"series": f"{self.row}, {self.split}", "step": self.index, "accuracy": self.accuracy}


@dataclass(frozen=True, slots=True)
class Missing:
    """A network, or one row of it, that could not be measured."""

    split: str
    index: int
    row: str
    reason: str


@dataclass(frozen=True, slots=True)
class Cell:
    """Accuracies of ``n`` networks, as fractions; ``standard_error`` and ``max`` are None where nobody gives them."""

    n: int
    mean: float
    standard_error: float | None
    max: float | None

    @property
    def text(self) -> str:
        """``66.9 ± 0.3 (77.1)``, in percent."""
        error = "" if self.standard_error is None else f" ± {100 * self.standard_error:.1f}"
        return f"{100 * self.mean:.1f}{error}" + ("" if self.max is None else f" ({100 * self.max:.1f})")


@dataclass(frozen=True, slots=True)
class TableRow:
    """One method: its cells by split."""

    title: str
    cells: Mapping[str, Cell]


@dataclass(frozen=True, slots=True, kw_only=True)
class ReproduceReport:
    """The table: ``rows`` measured here, ``official`` ones of the paper, and in ``caption`` what differs."""

    splits: tuple[str, ...]
    rows: tuple[TableRow, ...]
    official: tuple[TableRow, ...]
    official_source: str
    caption: str
    failed: tuple[Missing, ...]
    ghn: str
    dataset: str
    count: int
    networks: int
    seconds: float
    folder: str = ""

    def to_json(self) -> dict[str, Any]:
        """The documented JSON object."""
        return asdict(self)


def rows_of(readings: Iterable[Reading], titles: Sequence[str]) -> tuple[TableRow, ...]:
    """The table's lines in the order of ``titles``; those without a reading are left out."""
    found: dict[str, dict[str, list[float]]] = {}
    for reading in readings:
        found.setdefault(reading.row, {}).setdefault(reading.split, []).append(reading.accuracy)
    return tuple(
        TableRow(title, {split: _cell(values) for split, values in found[title].items()})
        for title in titles if title in found
    )


def official_rows(splits: Sequence[str]) -> tuple[tuple[TableRow, ...], str]:
    """The official figures for these splits, and their source."""
    data = json.loads((paths.resources() / "official" / f"{OFFICIAL}.json").read_text("utf-8"))
    rows = tuple(
        TableRow(row["title"], {split: Cell(**row["cells"][split]) for split in splits if split in row["cells"]})
        for row in data["rows"]
    )
    return tuple(row for row in rows if row.cells), str(data["source"])


def table_text(report: ReproduceReport) -> str:
    """The table in the layout of the paper: methods down, splits across, mean ± standard error (max) in percent."""
    head = ["", *(f"{split} (n)" for split in report.splits)]
    lines = [head]
    for row in report.rows:
        cells = [row.cells.get(split) for split in report.splits]
        lines.append([row.title, *(f"{c.text} [{c.n}]" if c else "–" for c in cells)])
    lines.append(["official:", *("" for _ in report.splits)])
    for row in report.official:
        cells = [row.cells.get(split) for split in report.splits]
        lines.append([row.title, *(f"{c.text} [{c.n}]" if c else "–" for c in cells)])
    widths = [max(len(line[i]) for line in lines) for i in range(len(head))]
    text = ["  ".join(part.ljust(width) for part, width in zip(line, widths, strict=True)).rstrip() for line in lines]
    return "\n".join([*text, "", report.caption, f"Official: {report.official_source}."])


def table_csv(report: ReproduceReport) -> str:
    """One line for each cell."""
    lines = ["source,method,split,networks,mean,standard_error,max"]
    for source, rows in (("measured", report.rows), ("official", report.official)):
        for row in rows:
            for split, cell in row.cells.items():
                error, most = ("" if v is None else f"{v:.6g}" for v in (cell.standard_error, cell.max))
                lines.append(f'{source},"{row.title}",{split},{cell.n},{cell.mean:.6g},{error},{most}')
    return "\n".join(lines) + "\n"


def _cell(values: Sequence[float]) -> Cell:
    return Cell(len(values), fsum(values) / len(values), standard_error(values), max(values))
