"""Fault table, section H, lines H01 to H06: what is exported comes back, and a failed export leaves no trace."""

from __future__ import annotations

import errno
import os
import signal
import subprocess
import sys
import time
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path

import onnx
import onnxruntime
import pytest
import torch

from ghn_studio import onnx_io
from ghn_studio.app.architectures import open_architecture
from ghn_studio.app.exchange.exporting import ENDINGS, writing
from ghn_studio.app.exchange.weights import match, read_state
from ghn_studio.app.requests import ExportRequest
from ghn_studio.app.results import ExportReport
from ghn_studio.app.tasks import task
from ghn_studio.engine.build import build
from ghn_studio.errors import GhnStudioError, OnnxConversionError
from ghn_studio.ir import Architecture, Node, NodeId, Source
from ghn_studio.jobs import run
from ghn_studio.ops import REGISTRY
from ghn_studio.ops.spec import NoParams
from ghn_studio.project import Project, read_tensors
from ghn_studio.project import write as write_project

FORMATS = tuple(ENDINGS)
Write = Callable[..., tuple[Path, ExportReport]]
Values = Callable[..., dict[str, torch.Tensor]]


def contents(folder: Path) -> dict[str, bytes]:
    """Every file below a folder with its bytes."""
    return {str(p.relative_to(folder)): p.read_bytes() for p in sorted(folder.rglob("*")) if p.is_file()}


# --- H01: export, then import --------------------------------------------------------------


@pytest.mark.parametrize("format", ["pt", "safetensors"])
def test_h01_values_come_back_bit_for_bit(
    tmp_path: Path, small_network: Architecture, format: str, write: Write, values_of: Values
) -> None:
    values = values_of(small_network)
    file, _ = write(tmp_path, small_network, format, values=values)
    table = match(small_network, read_state(file))
    assert table.is_complete and all(torch.equal(table.tensors[n], values[n]) for n in table.tensors)


def test_h01_a_model_was_run_before_it_took_its_name(
    tmp_path: Path, small_network: Architecture, write: Write, monkeypatch: pytest.MonkeyPatch
) -> None:
    """A runtime that computes something else, as one with a fault of its own would."""
    file, _ = write(tmp_path, small_network, "onnx")
    before = file.read_bytes()
    real = onnx_io.outputs_of
    monkeypatch.setattr(onnx_io, "outputs_of", lambda files, images: [y + 1 for y in real(files, images)])
    with pytest.raises(OnnxConversionError, match="computes something else.*nothing was written"):
        write(tmp_path, small_network, "onnx")
    assert file.read_bytes() == before and [p.name for p in tmp_path.iterdir()] == ["net.onnx"]


# --- H02: a failure half-way ---------------------------------------------------------------


@pytest.mark.parametrize("format", FORMATS)
@pytest.mark.parametrize("was_there", [True, False])
def test_h02_a_full_disk_leaves_the_old_files_or_none(
    tmp_path: Path, small_network: Architecture, format: str, was_there: bool, write: Write,
    values_of: Values, monkeypatch: pytest.MonkeyPatch
) -> None:
    if format == "pt2" and was_there:
        pytest.skip("tracing takes its time; the other half of this line is the same code")
    if was_there:
        write(tmp_path, small_network, format, values=values_of(small_network, 1))
    before = contents(tmp_path)

    def full(handle: int) -> None:
        raise OSError(errno.ENOSPC, "No space left on device")

    monkeypatch.setattr(os, "fsync", full)
    with pytest.raises(GhnStudioError, match="No space left"):
        write(tmp_path, small_network, format, values=values_of(small_network, 2))
    assert contents(tmp_path) == before and (was_there or not list(tmp_path.iterdir()))


@pytest.mark.parametrize("format", ["onnx", "pt2", "huggingface"])
def test_h02_a_cancelled_export_leaves_nothing(
    tmp_path: Path, small_network: Architecture, format: str, values_of: Values
) -> None:
    job = writing(tmp_path / "net", small_network, values_of(small_network), {"kind": "random"}, format=format)
    next(job, None) if format != "huggingface" else None  # that one has no step to stop at
    job.close()
    assert list(tmp_path.iterdir()) == []


KILLED = """
import os, sys
import ghn_studio.project.staging as files
real = os.replace
def waiting(source, target):
    print("ready", file=sys.__stdout__, flush=True)
    sys.stdin.read()
    real(source, target)
files.os.replace = waiting
from ghn_studio.cli import main
main(["export", sys.argv[1], "--init", "kaiming", "--seed", "2", "--device", "cpu", "--to", sys.argv[2]])
"""


@pytest.mark.slow
@pytest.mark.skipif(os.name == "nt", reason="signals are those of POSIX")
@pytest.mark.parametrize(("kill", "leaves_nothing"), [(signal.SIGKILL, False), (signal.SIGTERM, True)])
def test_h02_a_killed_export_leaves_the_old_file(
    tmp_path: Path, small_network: Architecture, write: Write, kill: signal.Signals, leaves_nothing: bool
) -> None:
    """Killed between the last byte on the disk and the new name."""
    file, _ = write(tmp_path, small_network, "safetensors")
    before = file.read_bytes()
    (tmp_path / "elsewhere").mkdir()
    write_project(tmp_path / "elsewhere" / "net.ghn", Project(small_network))
    command = [sys.executable, "-c", KILLED, str(tmp_path / "elsewhere" / "net.ghn"), str(file)]
    with subprocess.Popen(command, stdin=subprocess.PIPE, stdout=subprocess.PIPE, stderr=subprocess.PIPE) as process:
        assert process.stdout is not None
        assert process.stdout.readline() == b"ready\n"
        process.send_signal(kill)
        process.wait(60)
    assert file.read_bytes() == before
    left = [p.name for p in tmp_path.iterdir() if p.name not in ("net.safetensors", "elsewhere")]
    assert left == [] or not leaves_nothing
    assert all(name.startswith(".") and name.endswith(".tmp") for name in left)


# --- H03: shared and strided tensors -------------------------------------------------------


def test_h03_shared_and_strided_tensors_are_saved_once_and_load_equal(tmp_path: Path, write: Write) -> None:
    conv = REGISTRY["conv2d"].params(4, bias=False)
    nodes = [Node(NodeId("image"), "input", REGISTRY["input"].params(4, 8, 8))]
    for name, before, owner in (("one", "image", None), ("two", "one", "one"), ("three", "two", "one")):
        nodes.append(Node(NodeId(name), "conv2d", conv, (Source(NodeId(before)),), owner and NodeId(owner)))
    nodes.append(Node(NodeId("out"), "output", NoParams(), (Source(NodeId("three")),)))
    graph = Architecture.build(nodes, name="tied")
    strided = torch.rand(3, 3, 4, 4).permute(3, 2, 0, 1)
    assert not strided.is_contiguous()
    for format in ("safetensors", "pt", "onnx", "huggingface"):
        _, report = write(tmp_path, graph, format, values={"one.weight": strided})
        assert report.tensors == 1
    plain = read_tensors(tmp_path / "net.safetensors")
    assert set(plain) == {"one.weight"} and torch.equal(plain["one.weight"], strided)
    model = onnx.load(str(tmp_path / "net.onnx"))
    assert [t.name for t in model.graph.initializer] == ["one.weight"]


# --- H04: more than one file of the format can hold ----------------------------------------


@pytest.fixture
def small_files(monkeypatch: pytest.MonkeyPatch) -> None:
    """The limit of one file, lowered from 2 GiB to a few hundred bytes."""
    monkeypatch.setattr("ghn_studio.onnx_io.writing.MAX_BYTES", 2**24 + 200)


@pytest.mark.usefixtures("small_files")
def test_h04_large_parameters_lie_beside_the_model(
    tmp_path: Path, small_network: Architecture, write: Write, values_of: Values
) -> None:
    values = values_of(small_network)
    file, report = write(tmp_path, small_network, "onnx", values=values)
    (beside,) = [p for p in tmp_path.iterdir() if p != file]
    assert report.bytes == file.stat().st_size + beside.stat().st_size
    model = onnx.load(str(file), load_external_data=False)
    locations = {e.value for t in model.graph.initializer for e in t.external_data if e.key == "location"}
    assert locations == {beside.name}, "a name without a folder"
    images = torch.randn(2, 1, 8, 8)
    session = onnxruntime.InferenceSession(str(file), providers=["CPUExecutionProvider"])
    network = build(small_network).eval()
    network.load_state_dict(values)
    with torch.no_grad():
        expected = network(images).numpy()
    assert abs(session.run(None, {"input": images.numpy()})[0] - expected).max() <= 1e-5
    assert onnx_io.read(file).architecture == small_network


@pytest.mark.usefixtures("small_files")
def test_h04_a_new_model_never_meets_old_parameters(
    tmp_path: Path, small_network: Architecture, write: Write, values_of: Values, monkeypatch: pytest.MonkeyPatch
) -> None:
    """The parameters get their place first, under another name; a failure in between harms neither model."""
    file, _ = write(tmp_path, small_network, "onnx", values=values_of(small_network, 1))
    before = contents(tmp_path)
    real = os.replace

    def stop_at_model(source: Path, target: Path) -> None:
        if Path(target).name == "net.onnx":
            raise OSError(errno.EIO, "Input/output error")
        real(source, target)

    monkeypatch.setattr(os, "replace", stop_at_model)
    with pytest.raises(GhnStudioError, match="Input/output error"):
        write(tmp_path, small_network, "onnx", values=values_of(small_network, 2))
    monkeypatch.setattr(os, "replace", real)
    assert before.items() <= contents(tmp_path).items()
    write(tmp_path, small_network, "onnx", values=values_of(small_network, 3))
    onnxruntime.InferenceSession(str(file), providers=["CPUExecutionProvider"])
    assert len(list(tmp_path.iterdir())) == 2, "what only older models referred to is gone"


# --- H05: an operator without a form -------------------------------------------------------


def test_h05_operators_without_a_form_are_named_before_anything_is_predicted(
    tmp_path: Path, small_network: Architecture
) -> None:
    act = replace(small_network.nodes[NodeId("body.act")], op="gelu", params=REGISTRY["gelu"].params())
    graph = small_network.with_node(act)
    request = ExportRequest(to=str(tmp_path / "net.onnx"), init="kaiming", opset=19, device="cpu")
    with pytest.raises(OnnxConversionError, match=r"'body.act' \(GELU\) needs operator set 20"):
        next(task("export").start(request, graph))
    run(task("export").start(replace(request, opset=20), graph))
    assert [p.name for p in tmp_path.iterdir()] == ["net.onnx"]


# --- H06: a file that is open elsewhere ----------------------------------------------------


@pytest.mark.parametrize("format", ["safetensors", "huggingface"])
def test_h06_a_file_held_for_a_moment_is_waited_for(
    tmp_path: Path, small_network: Architecture, format: str, write: Write, values_of: Values,
    monkeypatch: pytest.MonkeyPatch
) -> None:
    write(tmp_path, small_network, format, values=values_of(small_network, 1))
    before, real, refusals = contents(tmp_path), os.replace, 3

    def held(source: Path, target: Path) -> None:
        nonlocal refusals
        if Path(target).parent == tmp_path and refusals:
            refusals -= 1
            raise PermissionError(errno.EACCES, "The process cannot access the file")
        real(source, target)

    monkeypatch.setattr(os, "replace", held)
    write(tmp_path, small_network, format, values=values_of(small_network, 2))
    assert refusals == 0 and contents(tmp_path) != before and set(contents(tmp_path)) == set(before)


@pytest.mark.parametrize("format", ["safetensors", "huggingface"])
def test_h06_a_file_that_stays_open_is_named_and_left(
    tmp_path: Path, small_network: Architecture, format: str, write: Write, values_of: Values,
    monkeypatch: pytest.MonkeyPatch
) -> None:
    write(tmp_path, small_network, format, values=values_of(small_network, 1))
    before, real = contents(tmp_path), os.replace

    def held(source: Path, target: Path) -> None:
        if Path(source).name.endswith(".tmp") and Path(target).parent == tmp_path:
            raise PermissionError(errno.EACCES, "The process cannot access the file")
        real(source, target)

    monkeypatch.setattr(os, "replace", held)
    began = time.monotonic()
    with pytest.raises(GhnStudioError, match=r"cannot access the file.*[Cc]hoose another"):
        write(tmp_path, small_network, format, values=values_of(small_network, 2))
    assert time.monotonic() - began < 30
    assert contents(tmp_path) == before


def test_h06_a_reader_of_the_old_file_keeps_it(tmp_path: Path, write: Write) -> None:
    """Where the system lets open files be replaced, whoever reads one reads it to its end."""
    if os.name == "nt":
        pytest.skip("the system locks open files")
    graph = open_architecture("example:lenet5").architecture
    file, _ = write(tmp_path, graph, "safetensors")
    before = file.read_bytes()
    with file.open("rb") as reader:
        start = reader.read(100)
        write(tmp_path, replace(graph, name="other"), "safetensors")
        assert start + reader.read() == before
    assert file.read_bytes() != before
