"""Official checkpoints: recognised in every form they come in, never run, refused where anything is off."""

from __future__ import annotations

import io
import json
import os
import pickle
import struct
import zipfile
import zlib
from argparse import Namespace
from collections import OrderedDict
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path
from typing import Any

import joblib
import numpy as np
import pytest
import torch
from torch import Tensor

from ghn_studio import paths
from ghn_studio.errors import CheckpointError, UsageError
from ghn_studio.ghn import cards
from ghn_studio.ghn.checkpoints import Added, Contents, add, read_checkpoint, recognise
from ghn_studio.ghn.checkpoints.packed import Reader
from ghn_studio.ghn.config import GhnConfig
from ghn_studio.ghn.networks import Hypernetwork
from ghn_studio.ghn.storage import load_ghn
from ghn_studio.jobs import run

GHN2 = GhnConfig(hidden=8, max_channels=8, grid=11, decoder=(16, 32), classes=10, crop="corner", graph="ppuda")
CONFIGS = {
    "GHN-1": replace(GHN2, virtual_edges=False, layer_norm=False, weight_norm=False),
    "GHN-2": GHN2,
    "MLP": replace(GHN2, encoder="mlp"),
    "GHN-3": replace(GHN2, encoder="graphormer", layers=2, heads=4, grid=16, classes=1000, crop="centre", graph="ghn3"),
}
PACKINGS: list[Any] = [0, ("zlib", 3), ("gzip", 3), ("bz2", 3), ("lzma", 3), ("xz", 3)]


@pytest.fixture(autouse=True)
def data(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """A data folder of the test's own."""
    monkeypatch.setenv("GHN_STUDIO_DATA", str(tmp_path / "data"))
    return paths.user_data()


def official_state(config: GhnConfig, convolutions: bool = True) -> OrderedDict[str, Tensor]:
    """A state dict as the official code has it; 1×1 convolutions where ours has linear layers."""
    state = OrderedDict((k, v.clone()) for k, v in Hypernetwork(config).initialise(1).state_dict().items())
    for key in ("decoder.conv.0.weight", "decoder.conv.2.weight", "decoder.class_layer_predictor.1.weight"):
        if convolutions:
            state[key] = state[key][..., None, None]
    return state


def official_config(config: GhnConfig) -> dict[str, Any]:
    """What the official trainers store beside the weights."""
    channels, grid = config.max_channels, config.grid
    stored = {
        "max_shape": (channels, channels, grid, grid), "num_classes": config.classes, "decoder": "conv",
        "hypernet": "mlp" if config.encoder == "mlp" else "gatedgnn", "weight_norm": config.weight_norm,
        "ve": config.virtual_edges, "layernorm": config.layer_norm, "hid": config.hidden,
    }
    extra = {"layers": config.layers, "heads": config.heads, "is_ghn2": False}
    return stored | (extra if config.graph == "ghn3" else {})


def write_torch(path: Path, ghn: GhnConfig, **changes: Any) -> Path:
    content = {"state_dict": official_state(ghn), "optimzer": {"lr": 1e-3}, "epoch": 3,
               "config": official_config(ghn), **changes}
    torch.save(content, path)
    return path


def read(file: Path) -> Contents:
    return run(read_checkpoint(file))


def keep(file: Path, name: str = "mine") -> Added:
    return run(add(file, name))


# --- what is recognised --------------------------------------------------------------------


@pytest.mark.parametrize("kind", CONFIGS)
def test_a_file_becomes_a_hypernetwork_that_loads(tmp_path: Path, kind: str) -> None:
    config = CONFIGS[kind]
    added = keep(write_torch(tmp_path / "x.pt", config))
    card = cards.resolve("mine")
    assert added.is_new
    assert card == added.card
    assert card.title == f"{kind}, {'ImageNet' if config.classes == 1000 else 'CIFAR-10'}"
    assert card.dataset == ("imagenet" if config.classes == 1000 else "cifar10")
    ghn = load_ghn(card)
    assert ghn.config == config
    expected = official_state(config, convolutions=False)
    assert all(torch.equal(expected[k], v) for k, v in ghn.state_dict().items())


@pytest.mark.parametrize("packing", PACKINGS, ids=lambda p: p[0] if p else "plain")
@pytest.mark.parametrize("kind", ["GHN-2", "GHN-3"])
def test_joblib_s_bare_state_dict_is_read_plain_and_packed(tmp_path: Path, kind: str, packing: Any) -> None:
    """As published: GHN-3 with its tables at the top level, GHN-2 with convolutions."""
    config = replace(CONFIGS[kind], graph="ghn3", heads=4 if kind == "GHN-3" else 1)
    state = official_state(config)
    for key in ("centrality_embed_in", "centrality_embed_out", "input_dist_embed"):
        if kind == "GHN-3":
            state[f"{key}.weight"] = state.pop(f"gnn.0.{key}.weight")
    state["embed.weight"] = torch.nn.Parameter(state["embed.weight"])
    joblib.dump(state, tmp_path / "x.pt", compress=packing)
    found = recognise(read(tmp_path / "x.pt"), "x.pt")
    assert (found.config, found.kind, found.origin) == (config, kind, "ghn3")
    expected = official_state(config, convolutions=False)
    assert found.state.keys() == expected.keys()
    assert all(torch.equal(expected[k], v) for k, v in found.state.items())


@pytest.mark.parametrize("packing", [0, 3])
@pytest.mark.parametrize("order", ["C", "F"])
def test_joblib_s_arrays_are_read_too(tmp_path: Path, order: Any, packing: int) -> None:
    state = {k: np.asarray(v.numpy(), order=order) for k, v in official_state(GHN2).items()}
    joblib.dump(state, tmp_path / "x.pt", compress=packing)
    found = read(tmp_path / "x.pt").state
    assert all(torch.equal(torch.from_numpy(v), found[k]) for k, v in state.items())


@pytest.mark.parametrize("old", [True, False])
def test_torch_s_old_format_and_bare_state_dicts(tmp_path: Path, old: bool) -> None:
    torch.save(official_state(GHN2), tmp_path / "x.pt", _use_new_zipfile_serialization=not old)
    assert recognise(read(tmp_path / "x.pt"), "x.pt").config == replace(GHN2, graph="ghn3")


def test_what_trainers_keep_besides_does_not_disturb(tmp_path: Path) -> None:
    config = CONFIGS["GHN-3"]
    optimizer = {"state": {0: {"exp_avg": torch.ones(3)}}, "param_groups": [{"lr": 1e-3, "betas": (0.9, 0.99)}]}
    file = write_torch(tmp_path / "x.pt", config, args=Namespace(lr=1e-3, name="run"), optimizer=optimizer, step=7)
    assert recognise(read(file), "x.pt").config == config


def test_halves_and_views_become_plain_float32(tmp_path: Path) -> None:
    state = official_state(GHN2)
    state["ln.weight"] = state["ln.weight"].half()
    state["embed.weight"] = state["embed.weight"].t().contiguous().t()
    joblib.dump(state, tmp_path / "x.pt")
    found = recognise(read(tmp_path / "x.pt"), "x.pt").state
    assert {v.dtype for v in found.values()} == {torch.float32}
    assert all(v.is_contiguous() for v in found.values())
    assert torch.equal(found["embed.weight"], state["embed.weight"])


def test_a_card_says_where_the_weights_come_from(tmp_path: Path) -> None:
    file = write_torch(tmp_path / "x.pt", GHN2)
    card = keep(file).card
    assert card.training["source"]["file"] == "x.pt"
    assert card.training["source"]["sha256"] == cards.digest(file)
    assert (card.training["licence"], card.created) == ("unknown", "")
    assert card.classes[:2] == ("airplane", "automobile")
    assert card.config["graph"] == "ppuda"
    assert keep(write_torch(tmp_path / "y.pt", CONFIGS["GHN-3"]), "big").card.classes[0] == "tench"
    odd = replace(GHN2, classes=7)
    card = keep(write_torch(tmp_path / "z.pt", odd), "odd").card
    assert (card.dataset, card.classes[-1]) == ("7-classes", "class_6")


# --- names ---------------------------------------------------------------------------------


def test_the_same_file_again_changes_nothing(tmp_path: Path, data: Path) -> None:
    file = write_torch(tmp_path / "x.pt", GHN2)
    keep(file)
    before = {p: p.stat().st_mtime_ns for p in (data / "ghns" / "mine").iterdir()}
    again = keep(file)
    assert not again.is_new
    assert {p: p.stat().st_mtime_ns for p in (data / "ghns" / "mine").iterdir()} == before
    assert [p.name for p in data.iterdir()] == ["ghns"], "nothing is left over"


def test_the_same_file_repairs_damaged_weights(tmp_path: Path, data: Path) -> None:
    file = write_torch(tmp_path / "x.pt", GHN2)
    keep(file)
    (data / "ghns" / "mine" / "weights.safetensors").write_bytes(b"damaged")
    assert keep(file).is_new
    load_ghn(cards.resolve("mine"))


def test_another_file_does_not_take_a_used_name(tmp_path: Path) -> None:
    keep(write_torch(tmp_path / "x.pt", GHN2))
    with pytest.raises(UsageError, match=r"another hypernetwork, GHN-2, CIFAR-10; choose .* remove-ghn mine"):
        keep(write_torch(tmp_path / "y.pt", CONFIGS["GHN-1"]))
    assert cards.resolve("mine").title == "GHN-2, CIFAR-10"


def test_a_shipped_name_is_not_taken(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    file = write_torch(tmp_path / "x.pt", GHN2)
    keep(file)
    (tmp_path / "data" / "ghns").rename(tmp_path / "models")
    monkeypatch.setattr(paths, "models", lambda: tmp_path / "models")
    with pytest.raises(UsageError, match="name of a hypernetwork in"):
        keep(file)
    with pytest.raises(UsageError, match="came with the program"):
        cards.remove("mine")


@pytest.mark.parametrize("name", ["", "a/b", "..", ".hidden", "a b", "con", "NUL.txt", "x" * 65, "ä", "end."])
def test_a_name_that_is_no_folder_s_is_refused_first(tmp_path: Path, name: str) -> None:
    with pytest.raises(UsageError, match="cannot be a hypernetwork's name"):
        keep(tmp_path / "gone.pt", name)


def test_removing_frees_the_name(tmp_path: Path, data: Path) -> None:
    keep(write_torch(tmp_path / "x.pt", GHN2))
    folder, size = cards.remove("mine")
    assert (folder, folder.exists()) == (data / "ghns" / "mine", False)
    assert size > 10_000
    with pytest.raises(UsageError, match="no hypernetwork 'mine'"):
        cards.remove("mine")
    keep(write_torch(tmp_path / "y.pt", CONFIGS["GHN-1"]))


@pytest.mark.parametrize("name", ["", ".", "..", "../ghns", "mine/.."])
def test_only_a_hypernetwork_is_removed(tmp_path: Path, name: str) -> None:
    keep(write_torch(tmp_path / "x.pt", GHN2))
    with pytest.raises(UsageError, match="no hypernetwork"):
        cards.remove(name)
    assert cards.resolve("mine").title == "GHN-2, CIFAR-10"


# --- what is refused -----------------------------------------------------------------------


class _Canary:
    """Runs a command when it is unpickled by anything that trusts it."""

    def __init__(self, file: Path) -> None:
        self._file = file

    def __reduce__(self) -> Any:
        return os.mkdir, (str(self._file),)


@pytest.mark.parametrize("form", ["torch", "torch-old", "joblib", "joblib-packed", "pickle"])
def test_code_is_named_and_never_run(tmp_path: Path, form: str) -> None:
    canary = tmp_path / "canary"
    state = {**official_state(GHN2), "extra": _Canary(canary)}
    file = tmp_path / "x.pt"
    writers: dict[str, Callable[[], Any]] = {
        "torch": lambda: torch.save(state, file),
        "torch-old": lambda: torch.save(state, file, _use_new_zipfile_serialization=False),
        "joblib": lambda: joblib.dump(state, file), "joblib-packed": lambda: joblib.dump(state, file, compress=3),
        "pickle": lambda: file.write_bytes(pickle.dumps(state)),
    }
    writers[form]()
    with pytest.raises(CheckpointError, match=r"contains code \('(posix|nt|os)\.mkdir'\)"):
        keep(file)
    assert not canary.exists()
    assert cards.resolve("").name != "mine"


def test_the_canary_would_have_been_seen(tmp_path: Path) -> None:
    joblib.dump(_Canary(tmp_path / "canary"), tmp_path / "x.pt")
    joblib.load(tmp_path / "x.pt")
    assert (tmp_path / "canary").exists()


HOSTILE = {
    "builtins": (b"cbuiltins\neval\n(S'1'\ntR.", "contains code \\('builtins.eval'\\)"),
    "getattr by dots": (b"\x80\x04\x8c\x0btorch.utils\x94\x8c\x11model_zoo.os.exec\x94\x93.", "contains code"),
    "instances": (b"(iposix\nsystem\n.", "instruction INST"),
    "persistent ids": (b"Pcommand\n.", "instruction PERSID"),
    "extension codes": (b"\x82\x01.", "instruction EXT1"),
    "a call of text": (b"X\x01\x00\x00\x00a)R.", "damaged"),
    "an empty stack": (b"0.", "damaged"),
    "no mark": (b"t.", "damaged"),
    "a huge memo": (b"Nr\xff\xff\xff\xff.", "NoneType"),
    "huge text": (b"X\xff\xff\xff\xffabc.", "incomplete"),
    "a name without end": (b"c" + b"a" * 5000, "no end"),
    "no stop": (b"N", "incomplete"),
    "an unknown instruction": (b"\xff.", "damaged"),
    "building on a list": (b"](K\x01K\x02tb.", "as if it were"),
    "a called array": (b"cnumpy\nndarray\n)R.", "instead of naming it"),
    "a deep nest": (b"]" * 100_000 + b"a" * 99_999 + b".", "list"),
}


@pytest.mark.parametrize(("program", "words"), HOSTILE.values(), ids=HOSTILE)
@pytest.mark.parametrize("packed", [False, True])
def test_hostile_pickles_are_refused(tmp_path: Path, program: bytes, words: str, packed: bool) -> None:
    content = b"\x80\x02" + program
    (tmp_path / "x.pt").write_bytes(zlib.compress(content) if packed else content)
    with pytest.raises(CheckpointError, match=words if not packed else "x.pt"):
        read(tmp_path / "x.pt")


def storage_bytes(tensor: Tensor) -> bytes:
    """What joblib's pickle of a tensor holds for its numbers."""
    out = io.BytesIO()
    torch.save(tensor.storage(), out, _use_new_zipfile_serialization=False)
    return out.getvalue()


def tensor_program(offset: int, size: tuple[int, ...], stride: tuple[int, ...]) -> bytes:
    """A pickle of ``{"w": tensor}`` over four numbers, with any layout."""
    data = storage_bytes(torch.arange(4.0))

    def whole(numbers: tuple[int, ...]) -> bytes:
        return b"(" + b"".join(b"\x8a\x08" + struct.pack("<q", n) for n in numbers) + b"t"

    return (
        b"\x80\x02}X\x01\x00\x00\x00wctorch._utils\n_rebuild_tensor_v2\n(ctorch.storage\n_load_from_bytes\n"
        b"B" + struct.pack("<I", len(data)) + data + b"\x85R" + whole((offset,))[1:-1] + whole(size) + whole(stride)
        + b"\x89}tRs."
    )


@pytest.mark.filterwarnings("ignore:TypedStorage")
def test_a_tensor_within_its_storage_is_read(tmp_path: Path) -> None:
    (tmp_path / "x.pt").write_bytes(tensor_program(1, (3,), (1,)))
    assert read(tmp_path / "x.pt").state["w"].tolist() == [1, 2, 3]


@pytest.mark.filterwarnings("ignore:TypedStorage")
@pytest.mark.parametrize(
    ("layout", "words"),
    [
        ((0, (5,), (1,)), "beyond its 4 numbers"), ((2, (3,), (1,)), "beyond"), ((0, (2, 2), (1, 3)), "beyond"),
        ((-1, (1,), (1,)), "impossible layout"), ((0, (2,), (-1,)), "impossible"), ((0, (2, 2), (1,)), "impossible"),
        ((0, (2**62,), (2**62,)), "beyond"), ((0, (2**40,), (0,)), "no plain array|damaged"),
    ],
)
def test_a_tensor_that_reaches_beyond_its_numbers_is_refused(tmp_path: Path, layout: Any, words: str) -> None:
    (tmp_path / "x.pt").write_bytes(tensor_program(*layout))
    with pytest.raises(CheckpointError, match=words):
        read(tmp_path / "x.pt")


def test_a_packed_file_that_grows_without_end_is_refused(tmp_path: Path) -> None:
    bomb = b"\x80\x02}X\x01\x00\x00\x00wB" + struct.pack("<I", 200 << 20)
    (tmp_path / "x.pt").write_bytes(zlib.compress(bomb + bytes(200 << 20), 9))
    with pytest.raises(CheckpointError, match="made to fill the memory"):
        read(tmp_path / "x.pt")


def test_many_small_values_do_not_grow_without_end_either(tmp_path: Path) -> None:
    (tmp_path / "x.pt").write_bytes(zlib.compress(bytes(100 << 20), 9))
    with Reader(tmp_path / "x.pt") as reader, pytest.raises(CheckpointError, match="made to fill the memory"):
        all(iter(lambda: reader.read(1 << 20), b""))


def test_packed_members_and_overlaps_of_a_zip_file_are_refused(tmp_path: Path) -> None:
    good = write_torch(tmp_path / "good.pt", GHN2)
    with zipfile.ZipFile(good) as source, zipfile.ZipFile(tmp_path / "x.pt", "w", zipfile.ZIP_DEFLATED) as target:
        for name in source.namelist():
            target.writestr(name, source.read(name))
    with pytest.raises(CheckpointError, match="packed members"):
        read(tmp_path / "x.pt")


def test_a_torchscript_program_is_refused(tmp_path: Path) -> None:
    with zipfile.ZipFile(tmp_path / "x.pt", "w") as archive:
        archive.writestr("x/data.pkl", pickle.dumps({}))
        archive.writestr("x/constants.pkl", pickle.dumps(()))
    with pytest.raises(CheckpointError, match="TorchScript"):
        read(tmp_path / "x.pt")


@pytest.mark.parametrize("form", ["torch", "torch-old", "joblib", "zlib", "xz", "bz2"])
@pytest.mark.parametrize("share", [0.02, 0.5, 0.999])
def test_a_truncated_file_is_called_so(tmp_path: Path, form: str, share: float) -> None:
    file = tmp_path / "x.pt"
    if form.startswith("torch"):
        torch.save(official_state(GHN2), file, _use_new_zipfile_serialization=form == "torch")
    else:
        joblib.dump(official_state(GHN2), file, compress=0 if form == "joblib" else (form, 3))
    data = file.read_bytes()
    file.write_bytes(data[:int(share * len(data))])
    with pytest.raises(CheckpointError, match="incomplete|damaged|unpacked"):
        read(file)


@pytest.mark.parametrize(
    ("content", "words"),
    [(b"", "is empty"), (b"<html>", "no checkpoint"), (b"\x89HDF\r\n", "no checkpoint"), (b"x\x9cgarbage", "unpacked")],
)
def test_other_files_are_called_what_they_are(tmp_path: Path, content: bytes, words: str) -> None:
    (tmp_path / "x.pt").write_bytes(content)
    with pytest.raises(CheckpointError, match=words):
        keep(tmp_path / "x.pt")


def test_a_missing_file_is_named(tmp_path: Path) -> None:
    with pytest.raises(CheckpointError, match=r"no file '.*gone\.pt'"):
        keep(tmp_path / "gone.pt")


def changed(state: OrderedDict[str, Tensor], **changes: Any) -> OrderedDict[str, Tensor]:
    for key, value in changes.items():
        key = key.replace("__", ".")
        if value is None:
            del state[key]
        else:
            state[key] = value
    return state


@pytest.mark.parametrize(
    ("changes", "words"),
    [
        ({"ln__bias": None}, "'ln.bias' is missing"),
        ({"extra": torch.zeros(3)}, "'extra' is superfluous"),
        ({"ln__bias": torch.zeros(9)}, r"'ln.bias' has shape \(9,\), expected \(8,\)"),
        ({"embed__weight": torch.zeros(16, 8)}, "16 rows"),
        ({"embed__weight": torch.zeros(15, 6)}, "multiple of 4"),
        ({"embed__weight": torch.zeros(15)}, "'embed.weight' with 2 axes"),
        ({"decoder__fc__0__weight": torch.zeros(17, 8)}, "expected|square"),
        ({"decoder__conv__2__weight": torch.zeros(63, 32)}, r"\(63, 32\)"),
        ({"gnn__gru__weight_ih": None}, "none of 'gnn.gru.weight_ih'"),
        ({"bias_class__1__weight": None}, "no 'bias_class.1.weight'"),
        ({"ln__bias": torch.full((8,), torch.nan)}, "'ln.bias' holds numbers that are not finite"),
        ({"ln__bias": torch.full((8,), torch.inf)}, "not finite"),
        ({"ln__bias": torch.zeros(8, dtype=torch.int64)}, "torch.int64"),
        ({"ln__bias": torch.zeros(1).expand(8)}, r"shape \(8,\), no plain array"),
        ({"bias_class__1__weight": torch.zeros(10, 0)}, "max_channels must be"),
        ({"gnn__gru__weight_ih": torch.zeros(0, 8)}, "expected"),
        ({"ln__bias": torch.zeros(8, dtype=torch.complex64)}, "torch.complex64"),
        ({"ln__bias": 3}, "'ln.bias' is a int, no tensor"),
    ],
    ids=str,
)
def test_tensors_that_do_not_fit_are_named(tmp_path: Path, changes: dict[str, Any], words: str) -> None:
    torch.save({"state_dict": changed(official_state(GHN2), **changes)}, tmp_path / "x.pt")
    with pytest.raises(CheckpointError, match=words):
        keep(tmp_path / "x.pt")
    assert not (cards.user_folder() / "mine").exists()


@pytest.mark.parametrize(
    ("key", "value"),
    [("hid", 32), ("num_classes", 1000), ("max_shape", (64, 64, 11, 11)), ("ve", False), ("layernorm", False),
     ("decoder", "mlp"), ("max_shape", None), ("hid", torch.ones(3)), ("max_shape", (torch.ones(3),) * 4)],
)
def test_a_configuration_that_contradicts_the_tensors_is_refused(tmp_path: Path, key: str, value: Any) -> None:
    file = write_torch(tmp_path / "x.pt", GHN2, config={**official_config(GHN2), key: value})
    with pytest.raises(CheckpointError, match=f"contradicts itself: its configuration has {key}"):
        keep(file)


@pytest.mark.parametrize("content", [[1, 2], {"state_dict": 3}, {}, {"state_dict": {}, "config": {}}])
def test_a_file_without_parameters_by_name_is_refused(tmp_path: Path, content: Any) -> None:
    torch.save(content, tmp_path / "x.pt")
    with pytest.raises(CheckpointError, match="no parameters by name"):
        keep(tmp_path / "x.pt")


@pytest.mark.parametrize(
    ("config", "words"), [([1], "'config' is a list"), ({"weight_norm": torch.ones(3)}, "weight_norm must be true")]
)
def test_a_configuration_that_makes_no_sense_is_refused(tmp_path: Path, config: Any, words: str) -> None:
    with pytest.raises(CheckpointError, match=words):
        keep(write_torch(tmp_path / "x.pt", GHN2, config=config))


def test_a_full_disk_leaves_nothing(tmp_path: Path, data: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    file = write_torch(tmp_path / "x.pt", GHN2)

    def full(handle: int) -> None:
        raise OSError(28, "No space left on device")

    monkeypatch.setattr(os, "fsync", full)
    with pytest.raises(CheckpointError, match="No space left on device"):
        keep(file)
    assert [p.name for p in data.rglob("*")] == ["ghns"]


# --- the files of the authors' sizes -------------------------------------------------------

PARITY = {
    "ghn1_cifar10": ("GHN-1, CIFAR-10", 1_620_668), "ghn2_cifar10": ("GHN-2, CIFAR-10", 1_620_764),
    "ghn2_imagenet": ("GHN-2, ImageNet", 2_319_720), "ghn3_imagenet": ("GHN-3-T, ImageNet", 6_906_632),
}


@pytest.mark.skipif("GHN_STUDIO_SHARED" not in os.environ, reason="GHN_STUDIO_SHARED names no folder with parity files")
@pytest.mark.parametrize("name", PARITY)
def test_files_of_the_official_code_are_added(name: str) -> None:
    added = keep(Path(os.environ["GHN_STUDIO_SHARED"]) / "parity" / f"{name}_random.pt", name)
    assert (added.card.title, added.card.training["source"]["parameters"]) == PARITY[name]
    ghn = load_ghn(cards.resolve(name))
    assert ghn.config.graph == ("ghn3" if name.startswith("ghn3") else "ppuda")
    assert ghn.config.weight_norm == (not name.startswith("ghn1"))
    assert json.loads((cards.user_folder() / name / "card.json").read_text("utf-8"))["name"] == name
