"""Downloads from a server that stalls, breaks off and lies: the right file, or none and a reason."""

from __future__ import annotations

import errno
import hashlib
import os
import socket
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from ghn_studio.errors import DownloadError
from ghn_studio.fetch import download
from ghn_studio.fetch.checks import digests
from ghn_studio.fetch.partial import Partial
from ghn_studio.jobs import Progress, run

from .conftest import Handler, Site, serve_well


def fetch(urls: Any, to: Path, **options: Any) -> Path:
    return run(download(urls, to, **{"connect_s": 5, "stall_s": 0.5, **options}))


def checksums(content: bytes) -> dict[str, str]:
    return {
        "sha256": hashlib.sha256(content).hexdigest(), "md5": hashlib.md5(content).hexdigest(),
        "git_blob": hashlib.sha1(b"blob %d\0" % len(content) + content).hexdigest(),
    }


@pytest.fixture
def target(tmp_path: Path) -> Path:
    """A file in a folder that is not there yet."""
    return tmp_path / "new" / "net.pt"


def left(target: Path) -> list[str]:
    """What is in the target's folder."""
    return sorted(p.name for p in target.parent.iterdir())


# --- when all is well --------------------------------------------------------------------


@pytest.mark.parametrize("known", ["nothing", "sha256", "md5", "git_blob", "size"])
def test_the_file_arrives_whole_whatever_is_known_of_it(site: Site, target: Path, known: str) -> None:
    options: dict[str, Any] = {"size": len(site.content)} if known == "size" else {}
    if known in checksums(b""):
        options = {known: checksums(site.content)[known].upper()}
    assert fetch(site.url, target, **options) == target
    assert target.read_bytes() == site.content
    assert left(target) == ["net.pt"]


def test_a_git_blob_is_named_as_git_names_it(tmp_path: Path) -> None:
    (tmp_path / "a").write_bytes(b"hello\n")
    assert run(digests(tmp_path / "a"))["git_blob"] == "ce013625030ba8dba906f756967f9e9ca394464a"


def test_progress_counts_bytes(site: Site, target: Path) -> None:
    seen: list[Progress] = []
    run(download(site.url, target, sha256=checksums(site.content)["sha256"]), seen.append)
    first = [p for p in seen if p.stage == "downloading net.pt"]
    assert [p.done for p in first] == sorted(p.done for p in first)
    assert (first[-1].done, first[-1].total, first[-1].unit) == (300_000, 300_000, "B")
    assert seen[-1].stage == "checking net.pt"


def test_a_file_that_is_there_is_not_fetched_again(site: Site, target: Path) -> None:
    fetch(site.url, target)
    fetch(site.url, target, **checksums(site.content))
    assert len(site.requests) == 1
    target.write_bytes(b"damaged since")
    fetch(site.url, target, **checksums(site.content))
    assert target.read_bytes() == site.content


def test_chunks_without_a_length_arrive_whole(site: Site, target: Path) -> None:
    def chunked(handler: Handler, content: bytes) -> None:
        handler.head(200, Transfer_Encoding="chunked")
        for at in range(0, len(content), 70_000):
            piece = content[at:at + 70_000]
            handler.wfile.write(b"%x\r\n%b\r\n" % (len(piece), piece))
        handler.wfile.write(b"0\r\n\r\n")

    fetch(site.does(chunked), target)
    assert target.read_bytes() == site.content


def test_a_redirect_is_followed(site: Site, target: Path) -> None:
    moved = site.does(lambda handler, content: handler.head(302, Location="/file", Content_Length=0), "/old")
    fetch(moved, target)
    assert target.read_bytes() == site.content


# --- breaking off and going on -----------------------------------------------------------


def breaks_off(site: Site, cut: int = 90_000, **options: Any) -> str:
    return site.does(lambda handler, content: serve_well(handler, content, cut, **options))


def test_a_connection_that_keeps_breaking_is_continued_where_it_broke(site: Site, target: Path) -> None:
    fetch(breaks_off(site), target)
    assert target.read_bytes() == site.content
    assert [h.get("Range") for _, h in site.requests] == [None, "bytes=90000-", "bytes=180000-", "bytes=270000-"]
    assert [h.get("If-Range") for _, h in site.requests[1:]] == ['"v1"'] * 3


def stop_half_way(url: str, target: Path, **options: Any) -> None:
    job = download(url, target, **options)
    while next(job).done < 90_000:
        pass
    job.close()


def test_a_stopped_download_goes_on_in_another_run(site: Site, target: Path) -> None:
    stop_half_way(breaks_off(site), target)
    assert left(target) == [".net.pt.part", ".net.pt.part.json"]
    site.does(serve_well)
    fetch(site.url, target)
    assert target.read_bytes() == site.content
    assert site.requests[-1][1]["Range"] == "bytes=90000-"
    assert left(target) == ["net.pt"]


def test_a_file_that_changed_in_between_is_fetched_anew(site: Site, target: Path) -> None:
    stop_half_way(breaks_off(site), target)
    site.content = bytes(reversed(site.content))
    site.does(lambda handler, content: serve_well(handler, content, etag='"v2"'))
    fetch(site.url, target)
    assert target.read_bytes() == site.content


def test_what_arrived_from_one_mirror_is_continued_from_another_if_a_checksum_will_tell(
    site: Site, target: Path
) -> None:
    def dies(handler: Handler, content: bytes) -> None:
        if handler.wanted_start:
            handler.head(404, Content_Length=0)
        else:
            serve_well(handler, content, 90_000)

    fetch([site.does(dies, "/dies"), site.url], target, **checksums(site.content))
    assert target.read_bytes() == site.content
    assert site.requests[-1][0] == "/file"
    assert site.requests[-1][1]["Range"] == "bytes=90000-"


def test_without_a_checksum_a_part_from_elsewhere_is_thrown_away(site: Site, target: Path) -> None:
    stop_half_way(breaks_off(site), target)
    fetch(site.does(serve_well, "/mirror"), target)
    assert target.read_bytes() == site.content
    assert "Range" not in site.requests[-1][1]


def ignores_ranges(handler: Handler, content: bytes) -> None:
    handler.head(200, Content_Length=len(content), ETag='"v1"')
    handler.wfile.write(content)


def sends_another_range(handler: Handler, content: bytes) -> None:
    if not handler.wanted_start:
        return serve_well(handler, content)
    handler.head(206, Content_Length=1000, Content_Range=f"bytes 500-1499/{len(content)}", ETag='"v1"')
    handler.wfile.write(content[500:1500])
    return None


def refuses_ranges(handler: Handler, content: bytes) -> None:
    if handler.wanted_start:
        handler.head(416, Content_Length=0)
    else:
        serve_well(handler, content)


@pytest.mark.parametrize("behaviour", [ignores_ranges, sends_another_range, refuses_ranges])
def test_a_server_that_cannot_continue_is_asked_for_all(
    site: Site, target: Path, behaviour: Callable[[Handler, bytes], None]
) -> None:
    stop_half_way(breaks_off(site), target)
    fetch(site.does(behaviour), target)
    assert target.read_bytes() == site.content


def test_a_damaged_part_is_found_by_the_checksum_and_fetched_anew(site: Site, target: Path) -> None:
    stop_half_way(breaks_off(site), target)
    part = target.with_name(".net.pt.part")
    part.write_bytes(b"x" * part.stat().st_size)
    fetch(site.does(serve_well), target, **checksums(site.content))
    assert target.read_bytes() == site.content


def test_a_whole_part_only_needs_its_name(site: Site, target: Path) -> None:
    """The program ended between the last byte and the renaming."""
    fetch(site.url, target)
    part = target.with_name(".net.pt.part")
    target.rename(part)
    part.with_name(".net.pt.part.json").write_text(f'{{"url": "{site.url}", "validator": "", "total": 300000}}')
    fetch(site.url, target, **checksums(site.content))
    assert len(site.requests) == 1
    assert left(target) == ["net.pt"]


# --- servers that fail or lie ------------------------------------------------------------


def says(status: int) -> Callable[[Handler, bytes], None]:
    return lambda handler, content: handler.head(status, Content_Length=0)


def says_html(handler: Handler, content: bytes) -> None:
    handler.head(200, Content_Type="text/html", Content_Length=6)
    handler.wfile.write(b"<html>")


def lies_about_length(handler: Handler, content: bytes) -> None:
    handler.head(200, Content_Length=len(content) + 5, ETag='"v1"')
    if not handler.wanted_start:
        handler.wfile.write(content)


def sends_wrong_bytes(handler: Handler, content: bytes) -> None:
    handler.head(200, Content_Length=len(content))
    handler.wfile.write(bytes(len(content)))


def sends_too_few(handler: Handler, content: bytes) -> None:
    handler.head(200, Content_Length=100)
    handler.wfile.write(content[:100])


def compresses(handler: Handler, content: bytes) -> None:
    handler.head(200, Content_Encoding="gzip", Content_Length=3)
    handler.wfile.write(b"abc")


def circles(handler: Handler, content: bytes) -> None:
    handler.head(302, Location="/file", Content_Length=0)


def leads_out(handler: Handler, content: bytes) -> None:
    handler.head(302, Location="http://example.org/net.pt", Content_Length=0)


def leads_to_files(handler: Handler, content: bytes) -> None:
    handler.head(302, Location="file:///etc/hostname", Content_Length=0)


def talks_nonsense(handler: Handler, content: bytes) -> None:
    handler.wfile.write(b"\x00\x01\x02 no http at all\r\n\r\n")


def hides_its_length(handler: Handler, content: bytes) -> None:
    handler.head(200, Connection="close")
    handler.wfile.write(content[:1000])


LIES: list[tuple[Callable[[Handler, bytes], None], str]] = [
    (says(404), "answers 404"), (says(403), "answers 403"), (says(500), "answers 500"), (says(204), "answers 204"),
    (says_html, "web page"), (lies_about_length, "300,005 bytes"), (sends_wrong_bytes, "expected sha256"),
    (sends_too_few, "100 bytes"), (compresses, "encoded as gzip"), (circles, "redirects in a circle"),
    (leads_out, "not https"), (leads_to_files, "redirect|not https"), (talks_nonsense, "no http|BadStatus|illegal"),
    (hides_its_length, "expected 300,000 bytes, got 1,000"),
]


@pytest.mark.parametrize(("behaviour", "words"), LIES, ids=[w for _, w in LIES])
def test_a_bad_source_is_named_and_the_next_one_tried(
    site: Site, target: Path, behaviour: Callable[[Handler, bytes], None], words: str
) -> None:
    known = {"size": len(site.content), "sha256": checksums(site.content)["sha256"]}
    bad = site.does(behaviour, "/bad")
    site.does(behaviour)
    with pytest.raises(DownloadError, match=words) as caught:
        fetch(bad, target, **known)
    assert f"'net.pt' could not be downloaded: {bad} " in str(caught.value)
    assert not target.exists()
    site.does(serve_well)
    if behaviour is not circles:
        assert fetch([bad, site.url], target, **known).read_bytes() == site.content


def test_all_reasons_are_told(site: Site, target: Path) -> None:
    urls = [site.does(says(404), "/one"), site.does(says_html, "/two")]
    with pytest.raises(DownloadError, match=r"/one answers 404 Not Found; \S+/two sends a web page"):
        fetch(urls, target)


def test_a_wrong_file_leaves_nothing_and_says_what_was_expected_and_got(site: Site, target: Path) -> None:
    with pytest.raises(DownloadError, match=f"expected md5 {'0' * 32}, got {checksums(site.content)['md5']}"):
        fetch(site.url, target, md5="0" * 32)
    assert left(target) == []
    assert len(site.requests) == 2, "one retry"


def test_without_any_length_a_file_nobody_knows_is_refused(site: Site, target: Path) -> None:
    with pytest.raises(DownloadError, match="does not say how long"):
        fetch(site.does(hides_its_length), target)


@pytest.mark.parametrize("says_so", [True, False])
def test_too_large_a_file_is_refused(site: Site, target: Path, says_so: bool) -> None:
    def endless(handler: Handler, content: bytes) -> None:
        handler.head(200, Transfer_Encoding="chunked")
        while not site.over.is_set():
            handler.wfile.write(b"3e8\r\n%b\r\n" % bytes(1000))

    with pytest.raises(DownloadError, match="more than 200,000 bytes"):
        fetch(site.url if says_so else site.does(endless), target, most_bytes=200_000)
    assert left(target) == []


def test_nobody_at_home(target: Path) -> None:
    with socket.socket() as free:
        free.bind(("127.0.0.1", 0))
        port = free.getsockname()[1]
    with pytest.raises(DownloadError, match="refused"):
        fetch(f"http://127.0.0.1:{port}/file", target)


@pytest.mark.parametrize("url", ["http://example.org/x", "ftp://127.0.0.1/x", "file:///etc/hostname", "net.pt", ""])
def test_only_https_leaves_the_machine(target: Path, url: str) -> None:
    with pytest.raises(DownloadError, match="only https"):
        fetch(url, target)
    assert not target.parent.exists()


# --- time ----------------------------------------------------------------------------------


def test_a_stalled_server_is_given_up(site: Site, target: Path) -> None:
    def stalls(handler: Handler, content: bytes) -> None:
        handler.head(200, Content_Length=len(content), ETag='"v1"')
        handler.wfile.write(content[:50_000])
        site.over.wait(10)

    began = time.monotonic()
    fetch([site.does(stalls, "/bad"), site.url], target)
    assert time.monotonic() - began < 5
    assert target.read_bytes() == site.content


def test_a_server_that_trickles_is_given_up(site: Site, target: Path) -> None:
    def trickles(handler: Handler, content: bytes) -> None:
        handler.head(200, Content_Length=len(content), ETag='"v1"')
        while not site.over.wait(0.05):
            handler.wfile.write(b"x")

    with pytest.raises(DownloadError, match="sent nothing|broke off"):
        fetch(site.does(trickles), target)


def test_a_server_that_never_answers_is_given_up(site: Site, target: Path) -> None:
    with pytest.raises(DownloadError, match="does not answer"):
        fetch(site.does(lambda handler, content: void(site.over.wait(10))), target, connect_s=0.3, stall_s=5)


def void(value: object) -> None:
    """Nothing, whatever is given."""


@pytest.mark.parametrize("answers", [True, False])
def test_stopping_takes_less_than_a_second_whatever_the_server_does(site: Site, target: Path, answers: bool) -> None:
    def stalls(handler: Handler, content: bytes) -> None:
        if answers:
            handler.head(200, Content_Length=len(content), ETag='"v1"')
            handler.wfile.write(content[:1000])
        site.over.wait(10)

    job = download(site.does(stalls), target)
    until = time.monotonic() + 0.4
    while time.monotonic() < until:
        began = time.monotonic()
        next(job)
        assert time.monotonic() - began < 0.5
    began = time.monotonic()
    job.close()
    assert time.monotonic() - began < 0.5
    assert not target.exists()


# --- the disk ------------------------------------------------------------------------------


def test_a_disk_without_room_is_said_before_anything_is_written(
    site: Site, target: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    import shutil

    usage = shutil.disk_usage(target.parent.parent)._replace(free=1000)
    monkeypatch.setattr(shutil, "disk_usage", lambda path: usage)
    with pytest.raises(DownloadError, match="needs 300,000 more bytes, the disk has 1,000 left"):
        fetch(site.url, target)
    assert left(target) == []


@pytest.mark.skipif(not Path("/dev/full").exists(), reason="this system has no device that is always full")
def test_a_disk_that_fills_up_is_said_clearly(site: Site, target: Path) -> None:
    target.parent.mkdir()
    target.with_name(".net.pt.part").symlink_to("/dev/full")
    with pytest.raises(DownloadError, match="the disk is full after 0 bytes; free some space"):
        fetch(site.url, target)
    assert not target.exists()


def test_a_folder_that_cannot_be_made_is_named(site: Site, tmp_path: Path) -> None:
    (tmp_path / "new").write_text("a file")
    with pytest.raises(DownloadError, match=f"cannot be written .{os.strerror(errno.EEXIST)}"):
        fetch(site.url, tmp_path / "new" / "net.pt")


def test_two_downloads_of_one_file_do_not_mix(site: Site, target: Path) -> None:
    job = download(breaks_off(site), target)
    while next(job).done < 90_000:
        pass
    with Partial(target) as other:
        other.append(b"of somebody else")
    with pytest.raises(DownloadError, match="by another program"):
        run(job)
