"""Hypernetworks on disk: what is accepted, what is refused, and in which order they are found."""

from __future__ import annotations

import json
import subprocess
import sys
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest
import torch
from safetensors.torch import load_file, save_file

from ghn_studio import paths
from ghn_studio.atomic import write_atomically
from ghn_studio.datasets import DatasetInfo
from ghn_studio.errors import CheckpointError
from ghn_studio.ghn import cards
from ghn_studio.ghn.cards import CARD_FILE, WEIGHTS_FILE, Card, CardTask, read_card
from ghn_studio.ghn.config import GhnConfig
from ghn_studio.ghn.networks import Hypernetwork
from ghn_studio.ghn.storage import load_folder, load_ghn, save_ghn

CONFIG = GhnConfig(hidden=8, max_channels=8, grid=5, decoder=(8, 8))


def make_card(name: str = "small", **more: Any) -> Card:
    task = CardTask(more.pop("dataset", "digits"), "Ten classes", more.pop("classes", tuple("0123456789")))
    return Card(**{
        "name": name, "title": "Small", "created": "2026-02-03", "tasks": (task,),
        "config": {}, "sampler": {"channels": [8, 8]}, "training": {"seed": 1}, "results": {"test": {"mean": 0.5}},
        **more,
    })


def make_folder(folder: Path, **more: Any) -> Path:
    save_ghn(folder, Hypernetwork(CONFIG).initialise(0), make_card(folder.name, **more))
    return folder


def edit_card(folder: Path, **changes: Any) -> Path:
    data = json.loads((folder / CARD_FILE).read_text("utf-8"))
    (folder / CARD_FILE).write_text(json.dumps({**data, **changes}), "utf-8")
    return folder


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    return make_folder(tmp_path / "small")


@pytest.fixture
def data_home(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    monkeypatch.setenv("GHN_STUDIO_DATA", str(tmp_path / "data"))
    return tmp_path / "data" / "ghns"


def test_what_is_saved_is_what_is_loaded(folder: Path) -> None:
    ghn, card = load_folder(folder)
    assert ghn.config == CONFIG
    config = json.loads(json.dumps(CONFIG.to_json()))
    assert card == replace(make_card(), config=config, sha256=card.sha256, folder=folder)
    original = Hypernetwork(CONFIG).initialise(0).state_dict()
    assert ghn.state_dict().keys() == original.keys()
    assert all(torch.equal(v, original[k]) for k, v in ghn.state_dict().items())
    assert not ghn.training
    assert not any(p.requires_grad for p in ghn.parameters())


def test_equal_hypernetworks_give_equal_files(tmp_path: Path, folder: Path) -> None:
    other = make_folder(tmp_path / "elsewhere" / "small")
    for name in (CARD_FILE, WEIGHTS_FILE):
        assert (folder / name).read_bytes() == (other / name).read_bytes()


def test_nothing_is_left_beside_the_files(folder: Path) -> None:
    assert {p.name for p in folder.iterdir()} == {CARD_FILE, WEIGHTS_FILE}


def test_tampered_weights_are_refused(folder: Path) -> None:
    raw = bytearray((folder / WEIGHTS_FILE).read_bytes())
    raw[-1] ^= 1
    (folder / WEIGHTS_FILE).write_bytes(bytes(raw))
    with pytest.raises(CheckpointError, match="is not the file its card describes"):
        load_folder(folder)


def test_missing_weights_are_named(folder: Path) -> None:
    (folder / WEIGHTS_FILE).unlink()
    with pytest.raises(CheckpointError, match=r"weights\.safetensors' is missing"):
        load_folder(folder)


@pytest.mark.parametrize("change", [
    {"hidden": 16}, {"max_channels": 16}, {"hidden": 10**9}, {"grid": 10**15}, {"classes": 12}, {"layer_norm": False},
    {"crop": "middle"}, {"decoder": None}, {"decoder": [8]}, {"hidden": "8"}, {"surprise": 1}, {"virtual_edges": False},
])
def test_weights_that_do_not_fit_the_configuration_are_refused(folder: Path, change: dict[str, Any]) -> None:
    edit_card(folder, config={**CONFIG.to_json(), **change})
    with pytest.raises(CheckpointError, match="does not fit the configuration on its card"):
        load_folder(folder)


def test_a_huge_configuration_costs_no_memory(folder: Path) -> None:
    # Built, it would take terabytes: only a check before that ends in this sentence.
    edit_card(folder, config={**CONFIG.to_json(), "hidden": 4096, "max_channels": 2048, "decoder": [16384, 16384]})
    with pytest.raises(CheckpointError, match=r"'embed\.weight' has shape \(15, 8\), not \(15, 4096\)"):
        load_folder(folder)


def test_a_configuration_that_lacks_an_entry_is_refused(folder: Path) -> None:
    config = CONFIG.to_json()
    del config["decoder"]
    edit_card(folder, config=config)
    with pytest.raises(CheckpointError, match="does not fit"):
        load_folder(folder)


def test_class_names_and_classifier_must_agree(folder: Path) -> None:
    edit_card(folder, tasks=[{"dataset": "digits", "title": "", "classes": ["a", "b"]}])
    with pytest.raises(CheckpointError, match="predicts 10 classes, the card names 2"):
        load_folder(folder)


def test_other_number_types_are_refused(folder: Path) -> None:
    state = load_file(folder / WEIGHTS_FILE)
    save_file({k: v.half() for k, v in state.items()}, folder / WEIGHTS_FILE)
    edit_card(folder, sha256="")
    with pytest.raises(CheckpointError, match="must be float32"):
        load_folder(folder)


@pytest.mark.parametrize("raw", [
    b"", b"\x00", b"\xff" * 64, (2**62).to_bytes(8, "little") + b"{}", (2).to_bytes(8, "little") + b"{}",
    (99).to_bytes(8, "little") + b'{"embed.weight":{"dtype":"F32","shape":[15,8],"data_offsets":[0,99999]}}'.ljust(99),
    (99).to_bytes(8, "little") + b'{"embed.weight":{"dtype":"F32","shape":[15,-8],"data_offsets":[0,480]}}'.ljust(99),
    b"\x80\x04\x95cposix\nsystem\n", b"PK\x03\x04" + b"\0" * 64,
], ids=["empty", "one byte", "noise", "endless header", "no tensors", "beyond the end", "negative", "pickle", "zip"])
def test_hostile_weights_are_refused_in_one_sentence(folder: Path, raw: bytes) -> None:
    (folder / WEIGHTS_FILE).write_bytes(raw)
    edit_card(folder, sha256="")
    with pytest.raises(CheckpointError, match="does not fit the configuration on its card"):
        load_folder(folder)


def test_a_folder_without_a_card_says_what_to_do(tmp_path: Path) -> None:
    with pytest.raises(CheckpointError, match=r"holds no hypernetwork.*list ghns"):
        read_card(tmp_path)
    with pytest.raises(CheckpointError, match="holds no hypernetwork"):
        read_card(tmp_path / "nowhere")


def test_a_newer_card_is_refused_politely(folder: Path) -> None:
    edit_card(folder, format=3)
    with pytest.raises(CheckpointError, match="card format 3; this version of GHN Studio reads 1 to 2: update"):
        read_card(folder)


def test_cards_of_the_first_format_have_one_task(folder: Path) -> None:
    data = json.loads((folder / CARD_FILE).read_text("utf-8"))
    (task,) = data.pop("tasks")
    data |= {"format": 1, "dataset": task["dataset"], "classes": task["classes"]}
    (folder / CARD_FILE).write_text(json.dumps(data), "utf-8")
    card = read_card(folder)
    assert [(t.dataset, t.classes) for t in card.tasks] == [("digits", tuple("0123456789"))]


def test_a_dataset_finds_its_class_rows_by_name_and_else_by_its_classes() -> None:
    letters, digits = CardTask("folder:letters", "", ("a", "b")), CardTask("digits", "", ("0", "1", "2"))
    card = replace(make_card("both"), tasks=(letters, digits))

    def info(name: str, *classes: str) -> DatasetInfo:
        return DatasetInfo(name, name, classes, (1, 8, 8), "")

    assert card.rows_for(info("digits", "0", "1", "2")) == (2, 5)
    assert card.rows_for(info("folder:/far/away/letters", "a", "b")) == (0, 2)
    assert card.rows_for(info("folder:/mine/moved", "a", "b")) == (0, 2)
    assert card.rows_for(info("digits", "0", "1")) is None
    assert card.rows_for(info("folder:/mine/scans", "0", "1", "2")) == (2, 5)
    assert card.rows_for(info("numbers", "0", "1", "2")) is None
    assert card.rows_for(info("folder:/mine/other", "b", "a")) is None
    assert card.dataset == "folder:letters+digits" and card.classes == ("a", "b", "0", "1", "2")


@pytest.mark.parametrize("text", [
    "", "{", "[]", "null", "7", '"card"', "[" * 100_000, '{"format": 1}', '{"format": "1"}', "\udcff",
], ids=["empty", "cut", "list", "null", "number", "text", "deep", "bare", "text format", "not utf-8"])
def test_damaged_cards_are_refused(folder: Path, text: str) -> None:
    (folder / CARD_FILE).write_bytes(text.encode("utf-8", "surrogateescape"))
    with pytest.raises(CheckpointError, match=r"card\.json'"):
        read_card(folder)


@pytest.mark.parametrize("key", ["name", "title", "created", "tasks", "config", "sha256", "results"])
def test_a_card_that_lacks_an_entry_names_it(folder: Path, key: str) -> None:
    data = json.loads((folder / CARD_FILE).read_text("utf-8"))
    del data[key]
    (folder / CARD_FILE).write_text(json.dumps(data), "utf-8")
    with pytest.raises(CheckpointError, match=f"'{key}'"):
        read_card(folder)


def test_cards_are_listed_newest_first_and_damaged_ones_left_out(data_home: Path) -> None:
    for name, created in (("old", "2026-01-01"), ("new", "2026-03-01"), ("middle", "2026-02-01")):
        make_folder(data_home / name, created=created, dataset="letters")
    make_folder(data_home / "broken", dataset="letters")
    (data_home / "broken" / CARD_FILE).write_text("{", "utf-8")
    (data_home / "empty").mkdir()
    (data_home / "a file").write_text("", "utf-8")
    mine = [c.name for c in cards.list_cards() if c.dataset == "letters"]
    assert mine == ["new", "middle", "old"]
    shipped = [c.name for c in cards.list_cards() if c.folder is not None and c.folder.parent == paths.models()]
    assert [c.name for c in cards.list_cards()][:len(shipped)] == shipped, "shipped ones come first"
    found = cards.find("letters")
    assert found is not None
    assert found.name == "new"
    assert cards.find("numerals") is None


def test_names_are_resolved_then_folders(data_home: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    make_folder(data_home / "mine", dataset="letters")
    elsewhere = make_folder(tmp_path / "work" / "other", dataset="letters", created="2027-01-01")
    assert cards.resolve("mine").folder == data_home / "mine"
    assert cards.resolve(str(elsewhere)).folder == elsewhere
    assert cards.resolve("", "letters").name == "mine"
    monkeypatch.chdir(elsewhere.parent)
    assert cards.resolve("other").name == "other"
    with pytest.raises(CheckpointError, match=r"there is no hypernetwork 'absent'; installed: .*mine"):
        cards.resolve("absent")
    with pytest.raises(CheckpointError, match="holds no hypernetwork"):
        cards.resolve(str(tmp_path / "work"))


def test_without_any_hypernetwork_the_way_out_is_named(data_home: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(paths, "models", lambda: data_home / "nowhere")
    with pytest.raises(CheckpointError, match="no hypernetwork is installed; train one"):
        cards.resolve("")


def test_a_dataset_without_a_hypernetwork_gets_the_newest_of_all(
    data_home: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(paths, "models", lambda: data_home / "nowhere")
    make_folder(data_home / "old", created="2025-01-01")
    make_folder(data_home / "new", created="2025-02-01")
    assert cards.resolve("", "folder:/somewhere").name == "new"


def test_a_failed_write_leaves_the_old_file_and_no_litter(tmp_path: Path) -> None:
    path = tmp_path / "file"
    write_atomically(path, b"old")
    with pytest.raises(TypeError):
        write_atomically(path, "not bytes")  # type: ignore[arg-type]
    assert path.read_bytes() == b"old"
    assert [p.name for p in tmp_path.iterdir()] == ["file"]


def test_the_file_before_is_kept_on_request(tmp_path: Path) -> None:
    path, before = tmp_path / "file", tmp_path / "before"
    write_atomically(path, b"1", before)
    assert not before.exists()
    write_atomically(path, b"2", before)
    assert (path.read_bytes(), before.read_bytes()) == (b"2", b"1")


def test_cards_need_no_torch() -> None:
    code = "import sys, ghn_studio.ghn.cards; sys.exit('torch' in sys.modules or 'numpy' in sys.modules)"
    assert subprocess.run([sys.executable, "-c", code], check=False, timeout=60).returncode == 0


def test_weights_move_to_the_device_asked_for(folder: Path) -> None:
    ghn = load_ghn(read_card(folder), torch.device("cpu"))
    assert {p.device.type for p in ghn.parameters()} == {"cpu"}


def test_a_dataset_is_left_to_the_hypernetwork_that_learnt_it_first(data_home: Path) -> None:
    both = (CardTask("folder:photos", "", ("a", "b")), CardTask("letters", "", tuple("0123456789")))
    for name, card in (
        ("mine", make_card("mine", created="2026-01-01", dataset="letters")),
        ("both", replace(make_card("both", created="2027-01-01"), tasks=both)),
    ):
        config = replace(CONFIG, classes=len(card.classes))
        save_ghn(data_home / name, Hypernetwork(config).initialise(0), card)
    assert [found.name for found in map(cards.find, ("letters", "folder:/any/photos")) if found] == ["mine", "both"]
