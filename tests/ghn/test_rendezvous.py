"""How training processes find each other, and that they refuse to train apart."""

from __future__ import annotations

import socket
import threading
import time
from dataclasses import replace
from datetime import timedelta

import pytest
import torch
from torch import distributed as dist

from ghn_studio.engine import data as pixels
from ghn_studio.engine.devices import share_out
from ghn_studio.errors import TrainingError, UsageError
from ghn_studio.ghn import rendezvous
from ghn_studio.ghn.group import Group, backend_for
from ghn_studio.ghn.membership import Assignment
from ghn_studio.ghn.places import LOOPBACK, Place, is_follower, is_loopback
from ghn_studio.ghn.recipe import TrainConfig
from ghn_studio.ghn.rendezvous import PATIENCE_VARIABLE, digest_of, greetings, open_store, patience_s, require_equal
from ghn_studio.jobs import run


def free_port() -> int:
    with socket.create_server((LOOPBACK, 0)) as server:
        return int(server.getsockname()[1])


def test_without_variables_a_process_is_nobodys_member() -> None:
    assert Place.from_environment({}) is None
    assert Place.from_environment({"RANK": "1"}) is None
    assert not is_follower({"RANK": "1"})


def test_the_address_is_loopback_unless_told_otherwise() -> None:
    place = Place.from_environment({"RANK": "1", "WORLD_SIZE": "3"})
    assert place == Place(1, 3, 1, 3, LOOPBACK, 29500)
    assert place is not None and place.is_one_machine
    assert is_follower({"RANK": "1", "WORLD_SIZE": "3"})


def test_torchruns_variables_are_understood() -> None:
    variables = {
        "RANK": "5", "WORLD_SIZE": "8", "LOCAL_RANK": "1", "LOCAL_WORLD_SIZE": "4", "MASTER_ADDR": "192.0.2.7",
        "MASTER_PORT": "4321", "TORCHELASTIC_USE_AGENT_STORE": "True", "TORCHELASTIC_RESTART_COUNT": "2",
    }
    place = Place.from_environment(variables)
    assert place == Place(5, 8, 1, 4, "192.0.2.7", 4321, has_agent=True, attempt=2)
    assert place is not None and not place.is_one_machine


@pytest.mark.parametrize(("variables", "named"), [
    ({"RANK": "x", "WORLD_SIZE": "2"}, "RANK"),
    ({"RANK": "2", "WORLD_SIZE": "2"}, "RANK"),
    ({"RANK": "0", "WORLD_SIZE": "2", "MASTER_PORT": "70000"}, "MASTER_PORT"),
    ({"RANK": "0", "WORLD_SIZE": "2", "LOCAL_RANK": "a"}, "LOCAL_RANK"),
])
def test_variables_that_make_no_sense_are_named(variables: dict[str, str], named: str) -> None:
    with pytest.raises(UsageError, match=named):
        Place.from_environment(variables)


@pytest.mark.parametrize(("address", "expected"), [
    (LOOPBACK, True), ("127.3.2.1", True), ("::1", True), ("192.0.2.7", False), ("0.0.0.0", False),
    ("no-such-machine.invalid", False),
])
def test_only_loopback_counts_as_loopback(address: str, expected: bool) -> None:
    assert is_loopback(address) is expected


@pytest.mark.parametrize(("devices", "expected"), [
    (["a/cpu", "a/cpu"], "gloo"),
    (["a/cuda:0", "a/cuda:0"], "gloo"),  # two processes on one GPU
    (["a/cuda:0", "a/cuda:1", "b/cuda:0", "b/cuda:0"], "gloo"),
    (["a/cuda:0", "a/cpu"], "gloo"),
    (["a/cuda:0", "a/cuda:1", "b/cuda:0"], "nccl"),
])
def test_nccl_needs_a_gpu_for_every_process(
    devices: list[str], expected: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(dist, "is_nccl_available", lambda: True)
    assert backend_for(devices) == expected


def test_processes_take_gpus_in_turn(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(torch.cuda, "device_count", lambda: 2)
    assert [share_out(torch.device("cuda"), rank).index for rank in range(5)] == [0, 1, 0, 1, 0]
    assert share_out(torch.device("cpu"), 3) == torch.device("cpu")


def test_a_foreign_address_is_warned_about() -> None:
    def warning(place: Place) -> str:
        group = Group(Place())
        group.place, group.is_alone = place, False
        return group.warning()

    assert "without authentication" in warning(Place(0, 2, address="192.0.2.7"))
    assert warning(Place(0, 2)) == ""
    assert warning(Place.spawned(0, 2, "file")) == ""


@pytest.mark.parametrize(("name", "other"), [
    ("the version of torch", "0.0.1"), ("the version of GHN Studio", "9.9"), ("the seed", 1),
    ("the setting 'batch'", 8),
])
def test_a_process_that_means_another_run_is_named(name: str, other: object) -> None:
    greeting = Assignment(TrainConfig(), "digits", 0, "cpu").greeting(torch.device("cpu"))
    said = [greeting, {**greeting, "process": "pid 1", "host": "second", "device": "cuda:0"}]
    require_equal(said)
    said.append({**greeting, "host": "third", name: other})
    with pytest.raises(TrainingError, match=r"process 2 on third differs from process 0 in the") as caught:
        require_equal(said)
    for part in (name, f"expected {greeting[name]!r}", f"found {other!r}"):
        assert part in str(caught.value)


def test_the_checksum_is_of_images_labels_and_classes_not_of_names() -> None:
    data = pixels.load("digits")
    same = replace(data, info=replace(data.info, name="folder:elsewhere", title="other"))
    assert digest_of([data]) == digest_of([same])
    images = data.train.images.clone()
    images[-1, 0, 7, 7] += 1
    labels = data.train.labels.clone()
    labels[0] = (labels[0] + 1) % 10
    others = [
        [replace(data, train=replace(data.train, images=images))],
        [replace(data, train=replace(data.train, labels=labels))],
        [replace(data, info=replace(data.info, classes=data.info.classes[::-1]))], [data, data],
    ]
    assert len({digest_of([data]), *map(digest_of, others)}) == 5


def test_processes_hear_of_a_difference_at_the_same_time() -> None:
    store, errors = dist.HashStore(), {}

    def take_part(rank: int) -> None:
        place = Place(rank, 3)
        try:
            run(greetings(store, place, "hello", {"host": f"h{rank}", "seed": int(rank == 1)}, 20))
        except TrainingError as error:
            errors[rank] = str(error)

    threads = [threading.Thread(target=take_part, args=(rank,)) for rank in range(3)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join(60)
    assert len(errors) == 3 and len(set(errors.values())) == 1
    assert "process 1 on h1 differs from process 0 in seed: expected 0, found 1" in errors[0]


def test_processes_that_do_not_come_are_named_in_time() -> None:
    started = time.monotonic()
    with pytest.raises(TrainingError, match=r"process 0 waited 0\.2 s, but processes 1, 2 of 3 did not come"):
        run(greetings(dist.HashStore(), Place(0, 3), "hello", {}, 0.2))
    assert time.monotonic() - started < 10


def test_waiting_stops_when_the_watch_finds_a_fault() -> None:
    def watch() -> None:
        raise TrainingError("it died")

    with pytest.raises(TrainingError, match="it died"):
        run(greetings(dist.HashStore(), Place(0, 2), "hello", {}, 60, watch))


def test_a_port_in_use_is_reported_at_once() -> None:
    with socket.create_server((LOOPBACK, 0)) as taken:
        port = taken.getsockname()[1]
        with pytest.raises(TrainingError, match=rf"process 0 cannot listen at 127\.0\.0\.1:{port}: .*free port"):
            open_store(Place(0, 2, port=port))


def test_an_address_of_another_machine_is_reported_at_once() -> None:
    with pytest.raises(TrainingError, match=r"cannot listen at 192\.0\.2\.7.*MASTER_ADDR"):
        open_store(Place(0, 2, address="192.0.2.7", port=free_port()))


def test_a_machine_nobody_knows_is_reported_at_once() -> None:
    started = time.monotonic()
    with pytest.raises(TrainingError, match=r"no machine 'no-such-machine\.invalid'"):
        open_store(Place(1, 2, address="no-such-machine.invalid"))
    assert time.monotonic() - started < 30


def test_a_leader_that_is_not_there_is_reported_within_the_time(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv(PATIENCE_VARIABLE, "0.5")
    port = free_port()
    expected = rf"process 1 got no answer from 127\.0\.0\.1:{port} within 0\.5 s.*firewall"
    with pytest.raises(TrainingError, match=expected):
        open_store(Place(1, 2, port=port))


def test_the_store_listens_on_its_address_alone() -> None:
    port = free_port()
    leader, follower = open_store(Place(0, 2, port=port)), open_store(Place(1, 2, port=port))
    leader.set("a", "b")
    follower.wait(["a"], timedelta(seconds=20))
    # Another loopback address of the same machine: a store on all interfaces would answer.
    with pytest.raises(OSError):
        socket.create_connection(("127.0.0.2", port), timeout=2)


@pytest.mark.parametrize("text", ["x", "0", "-3", "inf"])
def test_a_patience_that_is_none_is_refused(text: str, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv(PATIENCE_VARIABLE, text)
    with pytest.raises(UsageError, match=PATIENCE_VARIABLE):
        patience_s()


def test_patience_is_short() -> None:
    assert rendezvous.PATIENCE_S <= 30
