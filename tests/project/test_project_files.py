"""Files on disk: values beside the project, atomic writing, hostile tensor files."""

from __future__ import annotations

import json
import os
import struct
from collections.abc import Callable
from pathlib import Path

import pytest
import torch
from torch import Tensor

from ghn_studio import project
from ghn_studio.errors import CheckpointError, ProjectError
from ghn_studio.ir import Architecture
from ghn_studio.project.safetensors_file import check_header


@pytest.fixture
def values(small_network: Architecture) -> dict[str, Tensor]:
    """Random values of the small network."""
    from ghn_studio.engine.build import build

    torch.manual_seed(0)
    return dict(build(small_network).state_dict())


@pytest.fixture
def saved(tmp_path: Path, small_network: Architecture, values: dict[str, Tensor]) -> Path:
    """A project with values."""
    path = tmp_path / "net.ghn"
    project.write(path, project.Project(small_network), values, {"kind": "random", "seed": 0})
    return path


def test_values_lie_beside_the_project_and_come_back(saved: Path, values: dict[str, Tensor]) -> None:
    found = project.read(saved)
    assert found.values is not None
    assert (found.values.file, found.values.missing) == ("net.safetensors", False)
    assert found.values.origin == {"kind": "random", "seed": 0}
    back = project.read_values(saved, found)
    assert set(back) == set(values)
    assert all(torch.equal(back[k], values[k]) for k in values)
    assert saved.stat().st_size < 4000, "no tensor lies in the JSON"
    assert sorted(p.name for p in saved.parent.iterdir()) == ["net.ghn", "net.safetensors"]


def test_equal_values_give_equal_bytes(saved: Path, small_network: Architecture, values: dict[str, Tensor]) -> None:
    before = saved.with_suffix(".safetensors").read_bytes()
    shuffled = dict(reversed(list(values.items())))
    project.write(saved, project.Project(small_network), shuffled, {"kind": "random", "seed": 0})
    assert saved.with_suffix(".safetensors").read_bytes() == before


def test_without_its_values_the_project_opens_with_them_marked_missing(saved: Path) -> None:
    saved.with_suffix(".safetensors").unlink()
    found = project.read(saved)
    assert found.values is not None
    assert found.values.missing
    with pytest.raises(CheckpointError, match=r"the values of net.ghn are missing"):
        project.read_values(saved, found)


def test_changed_values_are_marked_missing(saved: Path) -> None:
    beside = saved.with_suffix(".safetensors")
    beside.write_bytes(beside.read_bytes()[:-4] + b"\0\0\0\1")
    found = project.read(saved)
    assert found.values is not None
    assert found.values.missing
    with pytest.raises(CheckpointError, match=r"sha256 expected [0-9a-f]{12}…, found [0-9a-f]{12}…"):
        project.read_values(saved, found)


def test_saving_again_without_values_keeps_the_record(saved: Path) -> None:
    text = saved.read_text(encoding="utf-8")
    project.write(saved, project.read(saved))
    assert saved.read_text(encoding="utf-8") == text


def test_values_of_another_network_are_refused_with_a_table(
    saved: Path, values: dict[str, Tensor], small_network: Architecture
) -> None:
    wrong = {k: v for k, v in values.items() if k != "head.bias"} | {
        "stray": torch.zeros(1), "head.weight": torch.zeros(2, 2),
    }
    project.write(saved, project.Project(small_network), wrong, {"kind": "imported"})
    with pytest.raises(CheckpointError) as caught:
        project.read_values(saved, project.read(saved))
    for words in ("1 missing (head.bias)", "1 unexpected (stray)", "head.weight: expected [10, 6], found [2, 2]"):
        assert words in str(caught.value)


def test_an_origin_is_required(tmp_path: Path, small_network: Architecture) -> None:
    with pytest.raises(ProjectError, match="origin"):
        project.write(tmp_path / "a.ghn", project.Project(small_network), {}, {"kind": "magic"})
    assert not list(tmp_path.iterdir())


def test_a_project_without_values_says_so(tmp_path: Path, small_network: Architecture) -> None:
    path = tmp_path / "a.ghn"
    project.write(path, project.Project(small_network))
    with pytest.raises(CheckpointError, match="holds no parameter values"):
        project.read_values(path, project.read(path))


def test_a_failed_write_leaves_the_old_files_and_no_others(
    saved: Path, small_network: Architecture, values: dict[str, Tensor], monkeypatch: pytest.MonkeyPatch
) -> None:
    before = {p.name: p.read_bytes() for p in saved.parent.iterdir()}

    def full(handle: int) -> None:
        raise OSError(28, "No space left on device")

    monkeypatch.setattr(os, "fsync", full)
    with pytest.raises(ProjectError, match="No space left on device"):
        project.write(saved, project.Project(small_network, title="new"), values, {"kind": "trained"})
    monkeypatch.undo()
    assert {p.name: p.read_bytes() for p in saved.parent.iterdir()} == before


def test_a_crash_between_writing_and_renaming_leaves_the_old_file(
    saved: Path, small_network: Architecture, monkeypatch: pytest.MonkeyPatch
) -> None:
    before = saved.read_bytes()

    def crash(source: object, target: object) -> None:
        raise KeyboardInterrupt

    monkeypatch.setattr(os, "replace", crash)
    with pytest.raises(KeyboardInterrupt):
        project.write(saved, project.Project(small_network, title="new"))
    monkeypatch.undo()
    assert saved.read_bytes() == before
    assert sorted(p.name for p in saved.parent.iterdir()) == ["net.ghn", "net.safetensors"]


def test_links_and_rights_survive_saving(tmp_path: Path, small_network: Architecture) -> None:
    real = tmp_path / "real.ghn"
    project.write(real, project.Project(small_network))
    real.chmod(0o640)
    link = tmp_path / "link.ghn"
    link.symlink_to(real)
    project.write(link, project.Project(small_network, title="new"))
    assert link.is_symlink()
    assert project.read(real).title == "new"
    assert real.stat().st_mode & 0o777 == 0o640


@pytest.mark.parametrize(("data", "words"), [
    (b"\xff\xfe\x00", "not text in UTF-8"), (b"", "not JSON"), (b"\x80\x04}", "not text in UTF-8"),
])
def test_other_files_are_refused(tmp_path: Path, data: bytes, words: str) -> None:
    path = tmp_path / "x.ghn"
    path.write_bytes(data)
    with pytest.raises(ProjectError, match=words):
        project.read(path)


def test_missing_files_and_folders_are_refused(tmp_path: Path, small_network: Architecture) -> None:
    with pytest.raises(ProjectError, match=r"gone.ghn: cannot be read"):
        project.read(tmp_path / "gone.ghn")
    with pytest.raises(ProjectError, match="cannot be read"):
        project.read(tmp_path)
    with pytest.raises(ProjectError, match="cannot be written"):
        project.write(tmp_path / "no" / "a.ghn", project.Project(small_network))


def pack(header: object, body: bytes = b"", *, length: int | None = None) -> bytes:
    """A safetensors file with any header."""
    text = header if isinstance(header, bytes) else json.dumps(header).encode()
    return struct.pack("<Q", len(text) if length is None else length) + text + body


def tensor(begin: int, end: int, shape: list[int], dtype: str = "F32") -> dict[str, object]:
    """One entry of a header."""
    return {"dtype": dtype, "shape": shape, "data_offsets": [begin, end]}


GOOD = {"a": tensor(0, 8, [2]), "b": tensor(8, 12, [])}
HOSTILE: dict[str, tuple[bytes, str]] = {
    "empty": (b"", "0 bytes"),
    "length beyond the file": (pack(GOOD, bytes(12), length=2**63), "should be 9223372036854775808 bytes"),
    "header of 200 MB": (pack(b"{}", length=200_000_000), "should be 200000000 bytes"),
    "truncated": (pack(GOOD, bytes(11)), "bytes, the file has"),
    "trailing": (pack(GOOD, bytes(13)), "bytes, the file has"),
    "overlap": (pack({"a": tensor(0, 8, [2]), "b": tensor(4, 12, [2])}, bytes(12)), "begins at byte 4, expected 8"),
    "gap": (pack({"a": tensor(0, 8, [2]), "b": tensor(12, 16, [1])}, bytes(16)), "begins at byte 12, expected 8"),
    "shape overflow": (pack({"a": tensor(0, 8, [2**40, 2**40])}, bytes(8)), "needs 4835703278458516698824704 bytes"),
    "negative extent": (pack({"a": tensor(0, 8, [-2])}, bytes(8)), "malformed shape"),
    "true as extent": (pack({"a": tensor(0, 4, [True])}, bytes(4)), "malformed shape"),
    "unknown type": (pack({"a": tensor(0, 8, [2], "F31")}, bytes(8)), "unknown element type 'F31'"),
    "type as list": (pack({"a": {"dtype": [], "shape": [2], "data_offsets": [0, 8]}}, bytes(8)), "unknown element"),
    "duplicate names": (pack(b'{"a":{"dtype":"F32","shape":[1],"data_offsets":[0,4]},'
                             b'"a":{"dtype":"F32","shape":[1],"data_offsets":[4,8]}}', bytes(8)), "'a' is used twice"),
    "duplicate entries": (pack(b'{"a":{"dtype":"F32","dtype":"F32","shape":[1],"data_offsets":[0,4]}}', bytes(4)),
                          "'dtype' is used twice"),
    "a pickle": (b"\x80\x04\x95" + bytes(40), "should be"),
    "not JSON": (pack(b"{]"), "not JSON"),
    "a list": (pack([]), "not a table"),
    "nested deeply": (pack(b"[" * 100_000), "not JSON"),
    "entry as text": (pack({"a": "x"}), "lacks dtype"),
    "offsets reversed": (pack({"a": tensor(8, 0, [2])}, bytes(8)), "needs 8 bytes, has -8"),
}


@pytest.mark.parametrize("name", HOSTILE)
def test_hostile_tensor_files_are_refused(tmp_path: Path, name: str) -> None:
    data, words = HOSTILE[name]
    path = tmp_path / "hostile.safetensors"
    path.write_bytes(data)
    with pytest.raises(CheckpointError, match=words) as caught:
        project.read_tensors(path)
    assert str(caught.value).startswith("hostile.safetensors: not a valid safetensors file")


def test_the_guard_lets_good_files_pass(tmp_path: Path) -> None:
    check_header(pack({"__metadata__": {"format": "pt"}, **GOOD}, bytes(12)), "good")
    check_header(pack({}), "empty")
    path = tmp_path / "kinds.safetensors"
    kinds = (torch.float16, torch.bfloat16, torch.float64, torch.int64, torch.bool, torch.uint8)
    made = {str(k): torch.ones(2, 3, dtype=k) for k in kinds}
    made |= {"none": torch.zeros(0, 4), "turned": torch.ones(2, 3).T}
    path.write_bytes(project.tensors_to_bytes(made))
    back = project.read_tensors(path)
    assert all(torch.equal(back[k], made[k]) for k in made)


def test_the_fault_corpus_is_refused(fault_corpus: Callable[[str], list[Path]]) -> None:
    files = fault_corpus("9*.safetensors")
    assert len(files) >= 9
    for path in files:
        with pytest.raises(CheckpointError):
            project.read_tensors(path)


def test_the_project_room_loads_without_torch() -> None:
    import subprocess
    import sys

    code = "import sys, ghn_studio.project; sys.exit(not {'torch', 'numpy'}.isdisjoint(sys.modules))"
    assert subprocess.run([sys.executable, "-c", code], check=False).returncode == 0
