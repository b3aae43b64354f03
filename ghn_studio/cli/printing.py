"""Reports as people read them in a terminal."""

from __future__ import annotations

import math
from collections.abc import Sequence
from functools import singledispatch
from typing import Any

from ghn_studio.app.measuring.records import MeasureReport, Row
from ghn_studio.app.ranking.records import RankReport, RankRow
from ghn_studio.app.reproducing.records import ReproduceReport, table_text
from ghn_studio.app.results import (
    AddGhnReport,
    CompareReport,
    ExplainReport,
    ExportReport,
    FinetuneReport,
    ImportReport,
    LayerEvidence,
    LoadWeightsReport,
    PredictReport,
    RemoveGhnReport,
    SampleReport,
    SplitReport,
    Unpredicted,
)
from ghn_studio.engine.descent.curves import CurvePoint
from ghn_studio.ghn.familiarity import Familiarity

Lines = list[tuple[str, str]]

#: Longer lists are cut; ``--json`` has all of it.
SHOWN = 8

REFERENCE = "the networks the GHN learnt from"


@singledispatch
def report_text(report: Any) -> str:
    """The report as lines of label and value."""
    return table([(k.replace("_", " "), str(v)) for k, v in report.to_json().items()])


@report_text.register
def _(report: PredictReport) -> str:
    predicted = f"{report.predicted_parameters:,} of {report.parameters:,} predicted"
    lines: Lines = [
        ("network", f"{report.architecture}, {report.nodes} nodes"),
        ("parameters", predicted if report.init == "ghn" else f"{report.parameters:,} random"),
        ("GHN", report.ghn or "none (random start)"),
        ("time", f"{report.graph_seconds + report.predict_seconds:.3f} s to predict"),
    ]
    if report.graph_note:
        lines.append(("graph", report.graph_note))
    elif report.graph_mode != "semantic":
        lines.append(("graph", f"as the official code makes it ({report.graph_mode})"))
    if report.accuracy is not None:
        lines += [
            ("accuracy", f"{report.accuracy:.4f}  ({report.label})"),
            ("loss", _number(report.loss)),
            ("images", f"{report.images} test images of {report.dataset}; {report.adaptation}"),
            ("batch norm", _batch_norm(report)),
            ("evaluation", f"{report.evaluate_seconds:.2f} s on {report.device}"),
        ]
    if report.init == "ghn":
        lines.append(("familiarity", _familiarity(report.familiarity)))
        lines += _unpredicted(report.unpredicted)
    if report.exported:
        lines.append(("exported", report.exported))
    return table(lines)


def _familiarity(found: Familiarity | None) -> str:
    if found is None:
        return f"unknown: there are no embeddings of {REFERENCE} yet (explain makes them)"
    nearest = f"; nearest {found.nearest[0].name}" if found.nearest else ""
    share = "all" if found.percentile >= 100 else f"{found.percentile:.1f} %"
    return f"{found.verdict}, farther than {share} of {REFERENCE}{nearest}"


def _batch_norm(report: PredictReport) -> str:
    if report.batch_norm != "calibrated":
        return "statistics of each test batch of 64"
    if not report.calibration_seconds:
        return "none to calibrate"
    return f"statistics from training images ({report.calibration_seconds:.2f} s)"


def _unpredicted(items: Sequence[Unpredicted]) -> Lines:
    lines = [("not predicted", f"{u.name} {'×'.join(map(str, u.shape))}: {u.reason}") for u in items[:SHOWN]]
    if len(items) > SHOWN:
        lines.append(("", f"… and {len(items) - SHOWN} more"))
    return lines


@report_text.register
def _(report: CompareReport) -> str:
    lines: Lines = [("predicted", f"{report.predicted_accuracy:.4f} in {report.predict_seconds:.3f} s")]
    lines += [("trained with", report.settings), *_curve(report.sgd)]
    if report.diverged_at is not None:
        lines.append(("diverged", f"the loss stopped being finite at step {report.diverged_at}"))
    if report.steps_to_match is None:
        lines.append(("match", "SGD did not reach the predicted accuracy within its budget"))
    else:
        lines.append(("match", f"after {report.steps_to_match} steps, {_number(report.seconds_to_match)} s"))
        lines.append(("speed-up", f"{_number(report.speedup)} times"))
    lines += [("note", note) for note in report.notes]
    return table(lines)


@report_text.register
def _(report: ReproduceReport) -> str:
    failed = [f"not measured: {m.split}/{m.index}, {m.row}: {m.reason}" for m in report.failed]
    return "\n".join([table_text(report), *failed])


@report_text.register
def _(report: RankReport) -> str:
    lines: Lines = [
        (f"{row.rank}", f"{row.accuracy:.4f}  (test {row.test_accuracy:.4f})  {row.parameters:,} parameters  "
                        f"{row.macs:,} MACs{_latency(row)}  {row.name}")
        for row in report.ranking
    ]
    lines += [("failed", f"{failure.name}: {failure.reason}") for failure in report.failed]
    lines += [("ranked", f"{len(report.ranking)} of {report.candidates}  ({report.label})"),
              ("front", ", ".join(report.pareto))]
    if report.learned is not None:
        lines.append(("learned", f"from {report.learned.points} networks, Kendall tau {report.learned.tau:.2f}"))
    lines += [("note", note) for note in report.notes]
    return table(lines)


def _latency(row: RankRow) -> str:
    return "" if row.latency is None else f"  {row.latency:.3g} ms"


@report_text.register
def _(report: FinetuneReport) -> str:
    lines: Lines = [("start", f"{report.initial_accuracy:.4f}"), ("trained with", report.settings)]
    lines += _curve(report.curve)
    if report.diverged_at is not None:
        lines.append(("diverged", f"the loss stopped being finite at step {report.diverged_at}"))
    lines.append(("accuracy", f"{report.accuracy:.4f}  ({report.label})"))
    if report.scratch:
        last = report.scratch[-1]
        lines.append(("from scratch", f"{last.accuracy:.4f} after {last.step} steps, {last.seconds:.2f} s"))
    lines += [("note", note) for note in report.notes]
    if report.exported:
        lines.append(("written", report.exported))
    return table(lines)


def _curve(points: Sequence[CurvePoint]) -> Lines:
    return [(f"step {p.step}", f"{p.accuracy:.4f} after {p.seconds:.2f} s, loss {_number(p.loss)}") for p in points]


@report_text.register
def _(report: SplitReport) -> str:
    error = "" if report.standard_error is None else f" ± {report.standard_error:.4f} (standard error)"
    lines: Lines = [(str(e.index), f"{e.accuracy:.4f}  {e.parameters:,} parameters") for e in report.architectures]
    lines += [(f"{e.index} failed", e.message) for e in report.errors]
    lines += [
        ("split", f"{report.split}, {report.count} networks from {report.start}"),
        ("mean", f"{report.mean:.4f}{error}  ({report.label})"),
        ("range", f"{report.min:.4f} to {report.max:.4f}"),
    ]
    return table(lines)


@report_text.register
def _(report: MeasureReport) -> str:
    bodies = {"ghn": "predicted", "kaiming": "random"}
    lines: Lines = [
        (f"{row.split}, {bodies[row.init]} body", f"{_accuracy(row)}  ({row.label})") for row in report.rows
    ]
    lines += [(f"{network} failed", message) for network, message in report.failures[:SHOWN]]
    lines.append(("measured", f"{report.networks} of {report.total} networks, {report.folder}"))
    return table(lines)


def _accuracy(row: Row) -> str:
    error = "" if row.standard_error is None else f" ± {row.standard_error:.4f}"
    return f"{row.mean:.4f}{error}, best {row.max:.4f}, {row.networks} networks, {row.images} test images"


@report_text.register
def _(report: ExplainReport) -> str:
    agreement = "undefined" if report.agreement is None else f"{report.agreement:.2f}"
    lines: Lines = [
        ("network", report.architecture),
        ("GHN", report.ghn),
        ("familiarity", _familiarity(report.familiarity)),
        ("accuracy", f"{report.accuracy:.4f}  ({report.label})"),
        ("loss", _number(report.loss)),
        ("images", f"{report.images} {report.part} images of {report.dataset}, each batch with its own statistics"),
        ("agreement", f"{agreement}  (Kendall's tau of the order on two halves of the images)"),
        ("time", f"{report.seconds:.1f} s on {report.device}, {report.draws} draws"),
    ]
    return "\n".join((table(lines), "", *_layer_rows(report.layers)))


def _layer_rows(layers: Sequence[LayerEvidence]) -> list[str]:
    """A table: foreign and harmful layers first, then the most costly to replace by random values of the same scale."""
    width = max((len(layer.node) for layer in layers), default=0)
    kind = max((len(layer.title) for layer in layers), default=0)
    notable = not all(layer.foreign for layer in layers)  # else it says nothing about one of them
    head = f"{'numbers':>10}  {'cost':>7}  {'loss':>8}  {'scale':>6}  rank"
    return [f"{'layer'.ljust(width)}  {'kind'.ljust(kind)}  {head}", *(
        f"{layer.node.ljust(width)}  {layer.title.ljust(kind)}  {layer.parameters:>10,}  {layer.cost:>7.4f}  "
        f"{layer.loss_cost:>8.3g}  {_ratio(layer.scale):>6}  {_ratio(layer.spectrum):>4}{_remark(layer, notable)}"
        for layer in layers
    )]


def _remark(layer: LayerEvidence, notable: bool) -> str:
    if layer.repair > 0 or layer.loss_repair > 0:
        return f"  harmful: better tensors regain {layer.repair:.4f} of accuracy, {layer.loss_repair:.3g} of loss"
    return "  not the GHN's tensors, harmless" if layer.foreign and notable else ""


def _ratio(value: float | None) -> str:
    return "–" if value is None else f"{value:.2f}"


@report_text.register
def _(report: ExportReport) -> str:
    lines: Lines = [("file", report.file), ("format", report.format), ("size", f"{report.bytes:,} bytes")]
    if report.tensors:
        lines += [("parameters", f"{report.parameters:,} in {report.tensors} tensors"), ("values", report.origin)]
    lines += [(label, text) for label, text in (("measured", report.figures), ("checked", report.checked)) if text]
    return table([*lines, ("sha256", report.sha256)])


@report_text.register
def _(report: LoadWeightsReport) -> str:
    where = " in ".join(f"'{part}'" for part in (report.prefix, report.section) if part)
    lines: Lines = [
        ("network", report.architecture),
        ("matched", f"{report.matched} of {report.tensors} tensors{f', under {where}' if where else ''}"),
    ]
    for label, entries in (("other shape", report.misshaped), ("missing", report.missing),
                           ("unexpected", report.unexpected), ("not finite", report.not_finite)):
        lines += [(label, text) for text in entries[:SHOWN]]
        lines += [("", f"… and {len(entries) - SHOWN} more")] if len(entries) > SHOWN else []
    lines += [("note", text) for text in report.notes]
    return table([*lines, ("written", report.written or "nothing, only compared")])


@report_text.register
def _(report: ImportReport) -> str:
    lines: Lines = [
        ("network", f"{report.architecture}, {report.nodes} nodes, {report.layers} layers with parameters"),
        ("parameters", f"{report.parameters:,}, {report.trainable_parameters:,} of them trainable"),
        ("images", f"{report.input} to {report.output}"),
        ("difference", "not known" if report.max_relative_error is None else
         f"{report.max_relative_error:.1e} of the largest value, from onnxruntime"),
        *([("foreign nodes", f"{report.opaque}: {', '.join(report.opaque_nodes[:5])}")] if report.opaque else []),
        *(("note", text) for text in report.warnings),
        ("written", report.file),
    ]
    return table(lines)


@report_text.register
def _(report: AddGhnReport) -> str:
    state = "added" if report.added else "was there already, from the same file; nothing changed"
    lines: Lines = [
        (report.name, state), ("hypernetwork", f"{report.title}, {report.parameters:,} parameters"),
        ("classes", f"{report.classes} of {report.dataset}"), ("from", f"{report.source}, sha256 {report.sha256}"),
        ("folder", report.folder),
    ]
    return table(lines)


@report_text.register
def _(report: RemoveGhnReport) -> str:
    return f"{report.name} removed, {report.bytes / 1e6:,.1f} MB freed ({report.folder})"


@report_text.register
def _(report: SampleReport) -> str:
    last = report.start + report.count - 1
    which = f"{report.count} networks, {report.split} {report.start} to {last}"
    return f"{which}, in {report.folder} ({report.seconds:.1f} s)"


def catalogue_text(entries: Sequence[dict[str, Any]], kind: str) -> str:
    """One line per entry of ``list KIND``: what to type, and what it is."""
    if not entries:
        return "none"
    return table([(entry["name"], entry["title"] + _state(entry, kind)) for entry in entries])


def _state(entry: dict[str, Any], kind: str) -> str:
    """Whether an entry is here, and what to do before it can be used, if anything."""
    size = f"{entry.get('bytes', 0) / 2**20:,.0f} MB"
    if entry.get("installed", True):
        return f"  (downloaded, {size})" if kind == "datasets" and entry["bytes"] else ""
    begun = entry.get("begun_bytes", 0) / 2**20
    what = f"{begun:,.0f} of {size} downloaded" if begun else f"not installed, {size}"
    command = "download-dataset" if kind == "datasets" else "download-ghn"
    return f"  ({what}: ghn-studio {command} {entry['name']})"


def table(lines: Sequence[tuple[str, str]]) -> str:
    """Two columns, the first as wide as it has to be."""
    width = max((len(label) for label, _ in lines), default=0)
    return "\n".join(f"{label.ljust(width)}  {value}".rstrip() for label, value in lines)


def _number(value: float | None) -> str:
    return f"{value:.4g}" if value is not None and math.isfinite(value) else "not finite"
