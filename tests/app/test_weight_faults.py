"""Fault table, section D: checkpoints and safetensors files that are damaged, hostile or someone else's.

Every refusal names the file, what is wrong with it and what to do, runs no code, and leaves nothing behind.
"""

from __future__ import annotations

import os
import pickle  # fixtures only: to write what must not be read
import time
import zipfile
from pathlib import Path

import pytest
import torch

from ghn_studio.app.exchange.weights import match, read_state
from ghn_studio.app.requests import LoadWeightsRequest
from ghn_studio.app.tasks import task
from ghn_studio.engine.build import build
from ghn_studio.errors import CheckpointError
from ghn_studio.ir import Architecture
from ghn_studio.jobs import run

CORPUS = Path(os.environ.get("GHN_STUDIO_SHARED") or Path(__file__).resolve().parents[3] / "shared") / "fault_corpus"
needs_corpus = pytest.mark.skipif(not CORPUS.is_dir(), reason="the prepared faulty files are not here")

#: Line of the table, file, words of the message. What to do is asked of every message below.
REFUSED = [
    ("D02", "72_whole_module.pt", "whole module.*save its state dict"),
    ("D04", "73_truncated.pt", "incomplete or damaged"),
    ("D05", "74_not_zip.pt", "no checkpoint"),
    ("D06", "75_empty.pt", "is empty"),
    ("D07", "76_zip_bomb_1GB.pt", "packed members.*refused"),
    ("D08", "77_storage_size_lie.pt", "damaged or incomplete"),
    ("D10", "79_list_not_dict.pt", "holds a list, no state dict"),
    ("D11", "80_deep_nest_3000.pt", "nested more than.*refused"),
    ("D15", "90_empty.safetensors", "is empty"),
    ("D15", "91_header_len_huge.safetensors", "header"),
    ("D15", "92_header_200MB.safetensors", "header"),
    ("D15", "95_truncated.safetensors", "tensors need"),
    ("D15", "98_trailing.safetensors", "tensors need"),
    ("D16", "93_overlap.safetensors", "begins at byte"),
    ("D16", "94_shape_overflow.safetensors", "needs .* bytes"),
    ("D16", "97_unknown_dtype.safetensors", "unknown element type"),
    ("D17", "96_dup_keys.safetensors", "used twice"),
]


def refusal(graph: Architecture, file: Path, folder: Path) -> str:
    """The message a file is refused with, after a look at what must not have happened."""
    before = sorted(p.name for p in folder.iterdir())
    request = LoadWeightsRequest(weights=str(file), to=str(folder / "net.ghn"), partial=True)
    began = time.monotonic()
    with pytest.raises(CheckpointError) as caught:
        run(task("load-weights").start(request, graph))
    assert time.monotonic() - began < 60
    assert sorted(p.name for p in folder.iterdir()) == before
    message = str(caught.value)
    assert file.name in message
    assert any(way in message for way in ("choose", "save ", "ask for", "refused", "open ", "check ")), message
    return message


@needs_corpus
@pytest.mark.parametrize(("line", "name", "words"), REFUSED, ids=[f"{line}-{name}" for line, name, _ in REFUSED])
def test_damaged_files_are_refused(
    tmp_path: Path, small_network: Architecture, line: str, name: str, words: str
) -> None:
    import re

    assert re.search(words, refusal(small_network, CORPUS / name, tmp_path))


@needs_corpus
def test_d09_values_that_are_no_numbers_are_loaded_and_named() -> None:
    state = read_state(CORPUS / "78_nan_state.pt")
    assert any(not bool(t.isfinite().all()) for t in state.sections[""].values())


class Canary:
    """Writes a file when it is unpickled."""

    def __init__(self, path: Path) -> None:
        self.path = path

    def __reduce__(self) -> tuple[object, ...]:
        return (Path.write_text, (self.path, "sang"))


@pytest.mark.parametrize("name", ["code.pt", "code.ckpt", "code.safetensors", "zipped.pt", "nested.pt"])
def test_d01_d18_code_in_a_file_never_runs(tmp_path: Path, small_network: Architecture, name: str) -> None:
    canary = tmp_path / "canary"
    hostile = Canary(canary)
    file = tmp_path / name
    if name == "zipped.pt":
        torch.save({"head.weight": hostile}, file)
    elif name == "nested.pt":
        torch.save({"state_dict": {"head.weight": torch.zeros(2)}, "hyper_parameters": [hostile]}, file)
    else:
        file.write_bytes(pickle.dumps({"head.weight": hostile}))
    message = refusal(small_network, file, tmp_path)
    assert "contains code" in message or name.endswith(".safetensors")
    assert not canary.exists()
    function, arguments = hostile.__reduce__()  # it does sing where it is let
    function(*arguments)  # type: ignore[operator, misc]
    assert canary.read_text() == "sang"


def test_d01_no_variable_of_the_environment_opens_the_door(
    tmp_path: Path, small_network: Architecture, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("TORCH_FORCE_NO_WEIGHTS_ONLY_LOAD", "1")
    torch.save({"head.weight": Canary(tmp_path / "canary")}, tmp_path / "code.pt")
    refusal(small_network, tmp_path / "code.pt", tmp_path)
    assert not (tmp_path / "canary").exists()


def test_d03_torchscript_is_code(tmp_path: Path, small_network: Architecture) -> None:
    module = torch.jit.trace(build(small_network).eval(), torch.zeros(1, 1, 8, 8))
    torch.jit.save(module, str(tmp_path / "script.pt"))
    assert "TorchScript program" in refusal(small_network, tmp_path / "script.pt", tmp_path)


def test_d07_a_deflated_record_of_numbers_is_refused(tmp_path: Path, small_network: Architecture) -> None:
    torch.save(build(small_network).state_dict(), tmp_path / "plain.pt")
    with zipfile.ZipFile(tmp_path / "plain.pt") as plain, \
            zipfile.ZipFile(tmp_path / "packed.pt", "w", zipfile.ZIP_DEFLATED) as packed:
        for member in plain.infolist():
            packed.writestr(member.filename, plain.read(member))
    assert "packed members" in refusal(small_network, tmp_path / "packed.pt", tmp_path)


def test_d11_a_table_that_holds_itself_ends(tmp_path: Path) -> None:
    inner: dict[str, object] = {"w": torch.zeros(2)}
    inner["again"] = [inner, inner]
    torch.save({"state_dict": inner}, tmp_path / "x.pt")
    assert set(read_state(tmp_path / "x.pt").sections) == {"state_dict"}


def test_d12_differences_are_a_table_and_nothing_is_applied(tmp_path: Path, small_network: Architecture) -> None:
    torch.save({"head.weight": torch.zeros(3, 6), "other": torch.zeros(1)}, tmp_path / "x.pt")
    report = run(task("load-weights").start(LoadWeightsRequest(weights=str(tmp_path / "x.pt")), small_network))
    assert len(report.misshaped) == 1 and len(report.unexpected) == 1 and len(report.missing) == 6
    assert [p.name for p in tmp_path.iterdir()] == ["x.pt"]


def test_d13_weights_saved_on_an_accelerator_load_without_one(tmp_path: Path, small_network: Architecture) -> None:
    state = build(small_network).state_dict()
    torch.save(state, tmp_path / "cpu.pt")
    with zipfile.ZipFile(tmp_path / "cpu.pt") as plain, zipfile.ZipFile(tmp_path / "cuda.pt", "w") as moved:
        for member in plain.infolist():
            data = plain.read(member)
            if member.filename.endswith("data.pkl"):
                assert b"X\x03\x00\x00\x00cpu" in data
                data = data.replace(b"X\x03\x00\x00\x00cpu", b"X\x06\x00\x00\x00cuda:0")
            moved.writestr(member.filename, data)
    table = match(small_network, read_state(tmp_path / "cuda.pt"))
    assert table.is_complete and all(t.device.type == "cpu" for t in table.tensors.values())
    assert torch.equal(table.tensors["head.weight"], state["head.weight"])


def test_d14_a_file_of_a_newer_version_says_so(tmp_path: Path, small_network: Architecture) -> None:
    state = build(small_network).state_dict()
    state._metadata["ghn_studio"] = {"version": "99.1"}  # type: ignore[attr-defined]
    torch.save(state, tmp_path / "x.pt")
    table = match(small_network, read_state(tmp_path / "x.pt"))
    assert table.is_complete and any("99.1, which is newer" in note for note in table.notes)


@pytest.mark.skipif(not hasattr(os, "mkfifo"), reason="this system has no named pipes")
def test_a_pipe_is_refused_before_it_is_opened(tmp_path: Path, small_network: Architecture) -> None:
    os.mkfifo(tmp_path / "pipe.pt")
    assert "pipe" in refusal(small_network, tmp_path / "pipe.pt", tmp_path)


def test_a_folder_a_missing_file_and_a_network_are_told_apart(tmp_path: Path, small_network: Architecture) -> None:
    (tmp_path / "folder.pt").mkdir()
    (tmp_path / "net.onnx").write_bytes(b"\x08\x0a")
    for name, words in (("folder.pt", "a folder"), ("gone.pt", "cannot be read"), ("net.onnx", "open it instead")):
        assert words in refusal(small_network, tmp_path / name, tmp_path)


def test_a_view_that_repeats_one_number_is_no_weight(tmp_path: Path, small_network: Architecture) -> None:
    torch.save({"head.weight": torch.zeros(1).expand(10, 6), "head.bias": torch.zeros(10)}, tmp_path / "x.pt")
    table = match(small_network, read_state(tmp_path / "x.pt"))
    assert set(table.tensors) == {"head.bias"}
