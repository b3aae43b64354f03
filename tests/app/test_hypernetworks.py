"""Adding, downloading and removing hypernetworks as tasks and from the command line."""

from __future__ import annotations

import http.server
import json
import threading
from collections import OrderedDict
from collections.abc import Iterator
from dataclasses import fields
from functools import partial
from pathlib import Path
from typing import Any

import joblib
import pytest
import torch

from ghn_studio.app import hypernetworks
from ghn_studio.app.catalogues import CATALOGUES, ghns
from ghn_studio.app.requests import AddGhnRequest, DownloadGhnRequest, PredictRequest, RemoveGhnRequest
from ghn_studio.app.results import AddGhnReport, RemoveGhnReport
from ghn_studio.app.tasks import task
from ghn_studio.cli import main
from ghn_studio.errors import CheckpointError, DownloadError, UsageError
from ghn_studio.fetch import digests
from ghn_studio.ghn import cards, published
from ghn_studio.ghn.published import PublishedGhn
from ghn_studio.ir import Architecture
from ghn_studio.jobs import run


@pytest.fixture(autouse=True)
def data(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """A data folder of the test's own."""
    monkeypatch.setenv("GHN_STUDIO_DATA", str(tmp_path / "data"))
    return tmp_path / "data"


@pytest.fixture
def checkpoint(tmp_path: Path) -> Path:
    """A small bare GHN-2 in joblib's form."""
    from ghn_studio.ghn.config import GhnConfig
    from ghn_studio.ghn.networks import Hypernetwork

    ghn = Hypernetwork(GhnConfig(hidden=8, max_channels=8, grid=11, decoder=(8, 8), crop="corner")).initialise(0)
    (tmp_path / "site").mkdir()
    joblib.dump(OrderedDict(ghn.state_dict()), tmp_path / "site" / "small.pt", compress=3)
    return tmp_path / "site" / "small.pt"


class _Quiet(http.server.SimpleHTTPRequestHandler):
    def log_message(self, format: str, *args: Any) -> None:
        """Say nothing."""


@pytest.fixture
def entry(checkpoint: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[PublishedGhn]:
    """The small one, published on this machine."""
    handler = partial(_Quiet, directory=checkpoint.parent)
    with http.server.ThreadingHTTPServer(("127.0.0.1", 0), handler) as server:
        thread = threading.Thread(target=server.serve_forever, kwargs={"poll_interval": 0.02})
        thread.start()
        size = sum(v.numel() for v in joblib.load(checkpoint).values())
        entry = PublishedGhn(
            name="small", title="GHN-2, small", origin="ghn3", file="small.pt", dataset="cifar10", classes=10,
            parameters=size, git_blob=run(digests(checkpoint))["git_blob"],
        )
        monkeypatch.setitem(published._FOLDERS, "ghn3", (f"http://127.0.0.1:{server.server_port}",))
        monkeypatch.setattr(published, "PUBLISHED", (entry,))
        yield entry
        server.shutdown()
        thread.join()


def add(file: Path, to: str) -> AddGhnReport:
    return run(task("add-ghn").start(AddGhnRequest(file=str(file), to=to)))  # type: ignore[no-any-return]


def download(**options: str) -> AddGhnReport:
    return run(task("download-ghn").start(DownloadGhnRequest(**options)))  # type: ignore[no-any-return]


# --- add and remove ------------------------------------------------------------------------


def test_an_added_file_can_be_named_everywhere(checkpoint: Path, small_network: Architecture) -> None:
    report = add(checkpoint, "mine")
    assert (report.added, report.source, report.dataset, report.classes) == (True, "small.pt", "cifar10", 10)
    assert report.sha256 == cards.digest(checkpoint)
    assert "mine" in {e["name"] for e in ghns()}
    # The graphs of the official code come with another part of the program; our own serve here.
    card = cards.resolve("mine")
    assert card.folder is not None
    text = json.loads((card.folder / "card.json").read_text("utf-8"))
    text["config"]["graph"] = "semantic"
    text["tasks"] = [{"dataset": "digits", "title": "", "classes": list("0123456789")}]
    (card.folder / "card.json").write_text(json.dumps(text), "utf-8")
    request = PredictRequest(ghn="mine", evaluate=False, device="cpu")
    values = run(task("predict").start(request, small_network)).values
    assert all(torch.isfinite(v).all() for v in values.values())


def test_the_command_line_says_what_happened(checkpoint: Path, capsys: pytest.CaptureFixture[str]) -> None:
    for words in ("mine          added", "was there already"):
        assert main(["add-ghn", str(checkpoint), "--to", "mine"]) == 0
        assert words in capsys.readouterr().out
    assert main(["remove-ghn", "mine"]) == 0
    assert "mine removed" in capsys.readouterr().out
    assert main(["remove-ghn", "mine"]) == 2
    assert main(["add-ghn", "gone.pt", "--to", "mine"]) == 1
    assert "no file 'gone.pt'" in capsys.readouterr().err


def test_reports_are_plain_json(checkpoint: Path) -> None:
    report = add(checkpoint, "mine")
    assert set(json.loads(json.dumps(report.to_json()))) == {f.name for f in fields(report)}
    removed: RemoveGhnReport = run(task("remove-ghn").start(RemoveGhnRequest(name="mine")))
    assert json.loads(json.dumps(removed.to_json()))["bytes"] > 10_000


def test_only_the_user_s_own_can_be_removed(checkpoint: Path, tiny_ghn: str) -> None:
    add(checkpoint, "mine")
    assert hypernetworks.is_removable(cards.resolve("mine"))
    assert not hypernetworks.is_removable(cards.resolve(tiny_ghn))


# --- download ------------------------------------------------------------------------------


def test_a_download_is_installed_under_its_name(entry: PublishedGhn, data: Path) -> None:
    (offered,) = hypernetworks.available()
    assert not offered.installed
    report = download(name="small")
    assert (report.name, report.title, report.added) == ("small", "GHN-2, small", True)
    card = cards.resolve("small")
    assert (card.training["licence"], card.created) == ("MIT", "2023-03-07")
    (offered,) = hypernetworks.available()
    assert offered.installed
    assert sorted(p.name for p in data.iterdir()) == ["downloads", "ghns"]
    assert list((data / "downloads").iterdir()) == []


def test_what_is_installed_is_not_fetched_again(entry: PublishedGhn, checkpoint: Path) -> None:
    download(name="small", to="mine")
    checkpoint.unlink()
    assert not download(name="small", to="mine").added


def test_a_used_name_is_refused_before_anything_is_fetched(
    entry: PublishedGhn, checkpoint: Path, tmp_path: Path
) -> None:
    other = tmp_path / "other.pt"
    state = joblib.load(checkpoint)
    state["embed.weight"] = state["embed.weight"] + 1
    joblib.dump(state, other)
    add(other, "small")
    checkpoint.unlink()
    with pytest.raises(UsageError, match="another hypernetwork.*--to"):
        download(name="small")
    with pytest.raises(UsageError, match="cannot be a hypernetwork's name"):
        download(name="small", to="a/b")


def test_another_file_at_the_address_is_refused(entry: PublishedGhn, checkpoint: Path, data: Path) -> None:
    checkpoint.write_bytes(b"something else")
    with pytest.raises(DownloadError, match="expected git_blob"):
        download(name="small")
    assert not (data / "ghns").exists()


def test_without_a_checksum_the_structure_must_be_the_expected_one(
    entry: PublishedGhn, monkeypatch: pytest.MonkeyPatch, data: Path
) -> None:
    from dataclasses import replace

    monkeypatch.setattr(published, "PUBLISHED", (replace(entry, git_blob="", parameters=entry.parameters + 1),))
    with pytest.raises(CheckpointError, match=f"is not GHN-2, small: expected {entry.parameters + 1:,} parameters"):
        download(name="small")
    assert list((data / "downloads").iterdir()) == []


def test_an_unknown_name_lists_what_there_is() -> None:
    with pytest.raises(UsageError, match="ghn1-cifar10, .*ghn3-xl"):
        download(name="ghn4")


# --- the list ------------------------------------------------------------------------------


def test_every_published_file_is_named_once_over_https() -> None:
    names = [e.name for e in published.PUBLISHED]
    assert len(set(names)) == len(names) == 10
    for entry in published.PUBLISHED:
        cards.check_name(entry.name)
        assert all(url.startswith("https://") and url.endswith(f"/{entry.file}") for url in entry.urls)
        assert len(entry.git_blob) == (40 if entry.origin == "ppuda" else 0)
        assert entry.bytes < entry.most_bytes


def test_the_list_shows_what_is_not_installed_and_how_to_get_it(
    entry: PublishedGhn, capsys: pytest.CaptureFixture[str]
) -> None:
    entries = {e["name"]: e for e in CATALOGUES["ghns"]()}
    assert entries["small"]["installed"] is False
    assert main(["list", "ghns"]) == 0
    assert "small" in (out := capsys.readouterr().out)
    assert "ghn-studio download-ghn small)" in out
    download(name="small")
    assert {e["name"]: e["installed"] for e in CATALOGUES["ghns"]()}["small"] is True
    assert main(["list", "ghns"]) == 0
    assert "download-ghn" not in capsys.readouterr().out
