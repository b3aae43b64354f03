"""Exports that anyone can load, byte for byte the same each time, written whole or not at all."""

from __future__ import annotations

import hashlib
import importlib.util
import os
import shutil
import subprocess
import sys
import time
from collections import OrderedDict
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
import torch

from ghn_studio.app.exchange.exporting import check_target, write_network
from ghn_studio.app.requests import ExportRequest, ImportRequest, PredictRequest, SampleRequest
from ghn_studio.app.results import ExportReport, PredictReport
from ghn_studio.app.tasks import task
from ghn_studio.deepnets import sample
from ghn_studio.engine.data import adapt, load
from ghn_studio.errors import CheckpointError, GhnStudioError, PredictionError, UsageError
from ghn_studio.ir import Architecture
from ghn_studio.jobs import run
from ghn_studio.project import Project, read, read_tensors, read_values, write

ENDINGS = (".pt", ".safetensors", ".ghn", ".py", ".onnx", ".pt2")


def export(graph: Architecture, to: Path, **options: Any) -> ExportReport:
    request = ExportRequest(**{"init": "kaiming", "device": "cpu", "to": str(to), **options})
    return run(task("export").start(request, graph))  # type: ignore[no-any-return]


def generated_class(path: Path) -> type[torch.nn.Module]:
    spec = importlib.util.spec_from_file_location(f"generated_{path.stem}", path)
    assert spec is not None
    assert spec.loader is not None
    module = importlib.util.module_from_spec(spec)
    sys.modules[spec.name] = module
    spec.loader.exec_module(module)
    del sys.modules[spec.name]
    classes = [v for v in vars(module).values() if isinstance(v, type) and v.__module__ == spec.name]
    return next(c for c in classes if c.__name__ == "Small")


# --- what is in the files ------------------------------------------------------------------


def test_an_exported_network_is_as_good_as_reported(tmp_path: Path, small_network: Architecture, tiny_ghn: str) -> None:
    """Generated class, strict load, ``eval()``: the accuracy of the report, without any of our code."""
    request = PredictRequest(ghn=tiny_ghn, export=str(tmp_path / "net.pt"), device="cpu")
    report: PredictReport = run(task("predict").start(request, small_network))
    assert report.exported == str(tmp_path / "net.pt")
    export(small_network, tmp_path / "net.py")
    network = generated_class(tmp_path / "net.py")()
    network.load_state_dict(torch.load(tmp_path / "net.pt", weights_only=True), strict=True)
    data = load("digits")
    images = adapt(data.test.images, (1, 8, 8), data.info)
    with torch.inference_mode():
        answers = network.eval()(images).argmax(1)
    accuracy = float((answers == data.test.labels).double().mean())
    assert accuracy == report.accuracy


def test_a_state_dict_is_plain_tensors_with_our_metadata(
    tmp_path: Path, small_network: Architecture, tiny_ghn: str
) -> None:
    export(small_network, tmp_path / "net.pt", init="ghn", ghn=tiny_ghn, seed=7)
    state = torch.load(tmp_path / "net.pt", weights_only=True)
    assert type(state) is OrderedDict
    assert all(type(v) is torch.Tensor for v in state.values())
    facts = state._metadata["ghn_studio"]
    assert (facts["ghn"], facts["seed"], facts["kind"]) == ("tiny", 7, "predicted")
    assert len(facts["sha256"]) == 64
    assert all(type(v) in (str, int, float) for v in facts.values())


def test_all_formats_hold_the_same_values(tmp_path: Path, small_network: Architecture) -> None:
    for ending in ENDINGS[:3]:
        export(small_network, tmp_path / f"net{ending}", seed=1)
    state = torch.load(tmp_path / "net.pt", weights_only=True)
    assert export(small_network, tmp_path / "other.safetensors", seed=1).tensors == len(state)
    plain = read_tensors(tmp_path / "other.safetensors")
    stored = read_values(tmp_path / "net.ghn", read(tmp_path / "net.ghn"))
    for name, value in state.items():
        assert torch.equal(value, plain[name])
        assert torch.equal(value, stored[name])


def test_a_project_records_where_its_values_come_from(tmp_path: Path, small_network: Architecture) -> None:
    export(small_network, tmp_path / "net.ghn", seed=2)
    record = read(tmp_path / "net.ghn").values
    assert record is not None
    assert (record.file, record.missing) == ("net.safetensors", False)
    assert (record.origin["kind"], record.origin["seed"]) == ("random", 2)


@pytest.mark.parametrize("ending", ENDINGS)
def test_equal_requests_give_equal_bytes_whatever_the_file_is_called(
    tmp_path: Path, small_network: Architecture, ending: str
) -> None:
    names = ("a", "another_name") if ending != ".ghn" else ("x/net", "y/net")  # a project names the file beside it
    files = [tmp_path / f"{name}{ending}" for name in names]
    for file in files:
        file.parent.mkdir(exist_ok=True)
        report = export(small_network, file, seed=4)
        assert report.sha256 == hashlib.sha256(file.read_bytes()).hexdigest()
        assert report.bytes == file.stat().st_size, ending
    assert files[0].read_bytes() == files[1].read_bytes()


def test_bytes_do_not_depend_on_the_process(tmp_path: Path, small_network: Architecture) -> None:
    """Hash seeds differ between processes; the order of nothing in a file may follow them."""
    write(tmp_path / "net.ghn", Project(small_network))
    found = set()
    for seed in ("1", "2"):
        options = ["--init", "kaiming", "--to", str(tmp_path / "o.safetensors")]
        command = [sys.executable, "-m", "ghn_studio", "export", str(tmp_path / "net.ghn"), *options]
        subprocess.run(command, env={**os.environ, "PYTHONHASHSEED": seed}, check=True, capture_output=True)
        found.add((tmp_path / "o.safetensors").read_bytes())
    assert len(found) == 1


# --- stored values -------------------------------------------------------------------------


def test_a_network_that_brings_values_is_exported_with_them(tmp_path: Path, small_network: Architecture) -> None:
    export(small_network, tmp_path / "net.ghn", seed=9)
    entry = task("export")
    request = entry.adopt(ExportRequest(to=str(tmp_path / "out.pt")), str(tmp_path / "net.ghn"))
    assert request.stored == str(tmp_path / "net.ghn")
    report = run(entry.start(request, read(tmp_path / "net.ghn").architecture))
    assert report.origin == "random, seed 9"
    stored = read_values(tmp_path / "net.ghn", read(tmp_path / "net.ghn"))
    state = torch.load(tmp_path / "out.pt", weights_only=True)
    assert all(torch.equal(stored[name], state[name]) for name in state)


@pytest.mark.parametrize("asked", [{"init": "kaiming"}, {"ghn": "x"}, {"head": "closed-form"}])
def test_asking_for_other_values_wins(tmp_path: Path, small_network: Architecture, asked: dict[str, str]) -> None:
    export(small_network, tmp_path / "net.ghn")
    request = ExportRequest(to="out.pt", **asked)  # type: ignore[arg-type]
    assert task("export").adopt(request, str(tmp_path / "net.ghn")) == request


def test_values_that_are_gone_are_not_replaced_silently(tmp_path: Path, small_network: Architecture) -> None:
    export(small_network, tmp_path / "net.ghn")
    (tmp_path / "net.safetensors").unlink()
    entry = task("export")
    request = entry.adopt(ExportRequest(to=str(tmp_path / "out.pt")), str(tmp_path / "net.ghn"))
    with pytest.raises(CheckpointError, match="missing"):
        run(entry.start(request, small_network))
    assert not (tmp_path / "out.pt").exists()


def test_values_of_another_network_are_refused_by_name(
    tmp_path: Path, small_network: Architecture, make_small_network: Callable[..., Architecture]
) -> None:
    request = PredictRequest(init="kaiming", images=10, device="cpu")
    values = run(task("predict").start(request, small_network)).values
    with pytest.raises(CheckpointError, match=r"1 have another shape \(head.weight\)|head\.weight"):
        write_network(tmp_path / "net.pt", make_small_network(classes=3), values, {"kind": "random"})
    del values["body.bn.running_var"]
    with pytest.raises(CheckpointError, match=r"1 are missing \(body.bn.running_var\)"):
        write_network(tmp_path / "net.pt", small_network, values, {"kind": "random"})


# --- targets -------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("name", "words"),
    [("net.xyz", "'.xyz'"), ("net", "no ending"), ("nowhere/net.pt", "no folder"), ("", "no ending")],
)
def test_a_target_that_cannot_be_is_refused_before_any_work(
    tmp_path: Path, small_network: Architecture, name: str, words: str
) -> None:
    target = str(tmp_path / name) if name else ""
    if name:
        with pytest.raises(UsageError, match=words):
            next(task("export").start(ExportRequest(to=target), small_network))
    with pytest.raises(UsageError, match=words):
        check_target(target)


def test_a_folder_is_no_target(tmp_path: Path) -> None:
    (tmp_path / "net.pt").mkdir()
    with pytest.raises(UsageError, match="is a folder"):
        check_target(str(tmp_path / "net.pt"))


@pytest.mark.skipif(os.name == "nt" or os.geteuid() == 0, reason="permissions do not bind this user")
def test_a_folder_without_the_right_to_write_is_named(tmp_path: Path) -> None:
    tmp_path.chmod(0o500)
    try:
        with pytest.raises(UsageError, match="does not let you write"):
            check_target(str(tmp_path / "net.pt"))
    finally:
        tmp_path.chmod(0o700)


def test_a_disk_that_fills_up_leaves_the_old_file(
    tmp_path: Path, small_network: Architecture, monkeypatch: pytest.MonkeyPatch
) -> None:
    export(small_network, tmp_path / "net.pt", seed=1)
    before = (tmp_path / "net.pt").read_bytes()

    def full(handle: int) -> None:
        raise OSError(28, "No space left on device")

    monkeypatch.setattr(os, "fsync", full)
    with pytest.raises(GhnStudioError, match="No space left"):
        export(small_network, tmp_path / "net.pt", seed=2)
    assert (tmp_path / "net.pt").read_bytes() == before
    assert [p.name for p in tmp_path.iterdir()] == ["net.pt"]


def test_a_stopped_export_leaves_nothing(tmp_path: Path, small_network: Architecture) -> None:
    job = task("export").start(ExportRequest(init="kaiming", to=str(tmp_path / "net.pt"), device="cpu"), small_network)
    for progress in job:
        if progress.stage == "exporting":
            break
    job.close()
    assert list(tmp_path.iterdir()) == []


# --- import and sample ---------------------------------------------------------------------


def test_an_imported_file_is_a_project_with_its_values(tmp_path: Path, small_network: Architecture) -> None:
    from ghn_studio import onnx_io

    request = PredictRequest(init="kaiming", images=10, device="cpu")
    values = run(task("predict").start(request, small_network)).values
    model = onnx_io.export_model(small_network, {k: v.numpy() for k, v in values.items()})
    (tmp_path / "net.onnx").write_bytes(model.SerializeToString())
    request = ImportRequest(file=str(tmp_path / "net.onnx"), to=str(tmp_path / "in.ghn"))
    report = run(task("import").start(request))
    assert (report.nodes, report.layers, report.parameters) == (8, 3, 136)
    assert (report.input, report.output) == ("1×8×8", "10")
    project = read(tmp_path / "in.ghn")
    assert project.values is not None
    assert project.values.origin == {"kind": "imported", "file": "net.onnx"}
    stored = read_values(tmp_path / "in.ghn", project)
    assert all(torch.equal(stored[n], v) for n, v in values.items() if not n.endswith("num_batches_tracked"))


@pytest.mark.parametrize(
    ("file", "to", "words"),
    [
        ("net.txt", "in.ghn", "give an .onnx file"),
        ("gone.onnx", "in.ghn", "no file"),
        ("net.onnx", "in.json", "must end in .ghn"),
    ],
)
def test_an_import_that_cannot_be_is_refused(tmp_path: Path, file: str, to: str, words: str) -> None:
    with pytest.raises(GhnStudioError, match=words):
        run(task("import").start(ImportRequest(file=str(tmp_path / file), to=str(tmp_path / to))))


def test_a_damaged_onnx_file_is_refused_and_nothing_is_written(tmp_path: Path) -> None:
    (tmp_path / "net.onnx").write_bytes(b"not a model at all")
    with pytest.raises(GhnStudioError):
        run(task("import").start(ImportRequest(file=str(tmp_path / "net.onnx"), to=str(tmp_path / "in.ghn"))))
    assert [p.name for p in tmp_path.iterdir()] == ["net.onnx"]


def test_sampled_files_are_the_networks_of_the_split(tmp_path: Path) -> None:
    folder = tmp_path / "new" / "folder"
    report = run(task("sample").start(SampleRequest(split="test", start=5, count=3, to=str(folder))))
    assert report.count == 3
    names = sorted(p.name for p in folder.iterdir())
    assert names == ["test-000005.ghn", "test-000006.ghn", "test-000007.ghn"]
    assert read(folder / names[1]).architecture == sample("test", 6)


def test_a_thousand_sampled_files_take_less_than_five_seconds(tmp_path: Path) -> None:
    if shutil.disk_usage(tmp_path).free < 2**30:
        pytest.skip("less than 1 GiB of disk is free")
    began = time.process_time()  # the work, not the waiting for a busy machine
    run(task("sample").start(SampleRequest(split="train", count=1000, to=str(tmp_path))))
    assert time.process_time() - began < 5  # 1.5 s on one core of a two-core machine
    assert len(list(tmp_path.iterdir())) == 1000


def test_a_stopped_sampling_leaves_whole_files_only(tmp_path: Path) -> None:
    job = task("sample").start(SampleRequest(split="train", count=500, to=str(tmp_path)))
    next(job)
    job.close()
    assert all(p.suffix == ".ghn" for p in tmp_path.iterdir())


def test_a_ghn_of_another_dataset_is_not_exported_as_if_it_fitted(
    tmp_path: Path, small_network: Architecture, foreign_ghn: str
) -> None:
    with pytest.raises(PredictionError, match="letters"):
        export(small_network, tmp_path / "net.pt", init="ghn", ghn=foreign_ghn)
