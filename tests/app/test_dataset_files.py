"""Downloading published data sets from a server that stalls, breaks off and lies; never from the network."""

from __future__ import annotations

import hashlib
import json
from http.server import BaseHTTPRequestHandler
from pathlib import Path
from typing import Any

import pytest
from published_files import NAMES, Shop, send

from ghn_studio.app.catalogues import datasets
from ghn_studio.app.dataset_files import fetch_files
from ghn_studio.app.requests import DownloadDatasetRequest, PredictRequest, RemoveDatasetRequest
from ghn_studio.app.tasks import task
from ghn_studio.cli.program import main
from ghn_studio.datasets.published import PUBLISHED
from ghn_studio.engine.data import load
from ghn_studio.engine.published_images import RemoteFile
from ghn_studio.errors import DownloadError, UsageError
from ghn_studio.jobs import run

CONTENT = bytes(range(256)) * 800
MD5 = hashlib.md5(CONTENT).hexdigest()


def fetch(shop: Shop, folder: Path, *paths: str, md5: str = MD5) -> list[Path]:
    """Fetch one file from addresses of the shop, with little patience."""
    shop.contents.setdefault("f", CONTENT)
    remote = RemoteFile("f", tuple(f"{shop.address}/{path}" for path in paths or ("f",)), md5)
    return run(fetch_files([remote], folder, most_bytes=1 << 20, connect_s=5, stall_s=0.4))


def download(name: str) -> Any:
    return run(task("download-dataset").start(DownloadDatasetRequest(name=name)))


def state(name: str) -> dict[str, Any]:
    return next(entry for entry in datasets() if entry["name"] == name)


# --- when all is well ----------------------------------------------------------------------


@pytest.mark.parametrize("name", NAMES)
def test_what_was_downloaded_can_be_loaded(shop: Shop, name: str) -> None:
    files = shop.publish(name)
    assert not state(name)["installed"]
    report = download(name)
    assert not report.was_here and report.bytes == sum(map(len, files.values())) and report.files == list(files)
    assert state(name)["installed"] and state(name)["begun_bytes"] == report.bytes
    assert len(load(name).test) == 100
    asked = len(shop.requests)
    assert download(name).was_here and len(shop.requests) == asked, "nothing is fetched twice"


def test_a_file_with_another_content_is_fetched_again(shop: Shop) -> None:
    folder = shop.place("mnist")
    (folder / "t10k-labels-idx1-ubyte.gz").write_bytes(b"something else")
    download("mnist")
    assert [name for name, _ in shop.requests] == ["t10k-labels-idx1-ubyte.gz"]
    assert len(load("mnist").test) == 100


def test_a_task_fetches_its_dataset_when_told_to(shop: Shop, capsys: Any, tmp_path: Path) -> None:
    shop.publish("mnist")
    line = ["predict", "example:lenet5", "--dataset", "mnist", "--init", "kaiming", "--images", "20", "--json"]
    assert main(line) == 1
    assert "download-dataset mnist" in capsys.readouterr().err and not shop.requests
    assert main([*line, "--download"]) == 0
    assert json.loads(capsys.readouterr().out)["images"] == 20


def test_the_command_line_downloads_lists_and_removes(shop: Shop, capsys: Any) -> None:
    shop.publish("svhn")
    assert main(["list", "datasets"]) == 0
    assert "(not installed, 235 MB: ghn-studio download-dataset svhn)" in capsys.readouterr().out
    assert main(["download-dataset", "svhn"]) == 0
    assert "svhn" in capsys.readouterr().out
    assert main(["list", "datasets"]) == 0
    assert "(downloaded, 235 MB)" in capsys.readouterr().out
    assert main(["remove-dataset", "svhn"]) == 0
    assert not PUBLISHED["svhn"].folder.exists() and not state("svhn")["installed"]


@pytest.mark.parametrize("request_", [DownloadDatasetRequest(name="digits"), RemoveDatasetRequest(name="stl10")])
def test_unknown_names_are_answered_with_the_known_ones(shop: Shop, request_: Any) -> None:
    job = "download-dataset" if isinstance(request_, DownloadDatasetRequest) else "remove-dataset"
    with pytest.raises(UsageError, match="there are cifar10, cifar100, mnist"):
        run(task(job).start(request_))


def test_removing_what_is_not_here(shop: Shop) -> None:
    with pytest.raises(UsageError, match="not on this machine"):
        run(task("remove-dataset").start(RemoveDatasetRequest(name="mnist")))


def test_download_is_off_unless_asked_for() -> None:
    assert not PredictRequest().download


# --- when it is not ------------------------------------------------------------------------


def stall(shop: Shop) -> Any:
    def behaviour(handler: BaseHTTPRequestHandler, content: bytes, first: int) -> None:
        if not handler.path.endswith("bad/f"):
            return send(handler, content, first)
        handler.send_response(200)
        handler.send_header("Content-Length", str(len(content)))
        handler.end_headers()
        handler.wfile.write(content[:100])
        shop.over.wait()
        return None

    return behaviour


def page(handler: BaseHTTPRequestHandler, content: bytes, first: int) -> None:
    """A captive portal: a web page with status 200."""
    bad = handler.path.endswith("bad/f")
    send(handler, b"<html>log in</html>" if bad else content, 0 if bad else first, "text/html" if bad else "x/y")


def lie(handler: BaseHTTPRequestHandler, content: bytes, first: int) -> None:
    send(handler, content[::-1] if handler.path.endswith("bad/f") else content, first)


def forbid(handler: BaseHTTPRequestHandler, content: bytes, first: int) -> None:
    if handler.path.endswith("bad/f"):
        handler.send_error(403)
    else:
        send(handler, content, first)


@pytest.mark.parametrize(("behaviour", "reason"), [
    (stall, "sent nothing for 0.4 s|does not answer"), (page, "web page"), (lie, f"expected md5 {MD5}, got"),
    (forbid, "403"),
])
def test_the_next_mirror_is_asked_and_without_one_the_reason_named(
    shop: Shop, tmp_path: Path, behaviour: Any, reason: str
) -> None:
    """G10 and G12."""
    shop.behaviour = stall(shop) if behaviour is stall else behaviour
    (path,) = fetch(shop, tmp_path / "a", "bad/f", "f")
    assert path.read_bytes() == CONTENT
    with pytest.raises(DownloadError, match=reason) as caught:
        fetch(shop, tmp_path / "b", "bad/f")
    assert "'digits' needs no download" in str(caught.value)
    assert not (tmp_path / "b" / "f").exists()


def test_a_download_that_was_stopped_goes_on_where_it_stopped(shop: Shop, tmp_path: Path) -> None:
    """G11."""
    name, file = "cifar10", "cifar-10-python.tar.gz"
    size = len(shop.publish(name)[file])
    cut = size * 6 // 10

    def slow(handler: BaseHTTPRequestHandler, content: bytes, first: int) -> None:
        if first:
            return send(handler, content, first)
        handler.send_response(200)
        handler.send_header("Content-Length", str(len(content)))
        handler.end_headers()
        handler.wfile.write(content[:cut])
        handler.wfile.flush()
        shop.over.wait()
        return None

    shop.behaviour = slow
    job = task("download-dataset").start(DownloadDatasetRequest(name=name))
    while next(job).done < cut:
        pass
    job.close()
    assert not state(name)["installed"] and state(name)["begun_bytes"] == cut
    assert not PUBLISHED[name].is_here
    download(name)
    assert shop.requests == [(file, 0), (file, cut)]
    assert len(load(name).test) == 100


def test_plain_http_is_never_spoken_to_another_machine(tmp_path: Path) -> None:
    remote = RemoteFile("f", ("http://host.invalid/f",), MD5)
    with pytest.raises(DownloadError, match="https://host.invalid/f"):
        run(fetch_files([remote], tmp_path, most_bytes=9, connect_s=2, stall_s=0.4))
