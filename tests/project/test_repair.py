"""E11 and E12: files of newer versions and damaged ones are read as far as possible, with a report item by item."""

from __future__ import annotations

import json
import time
from collections.abc import Callable
from contextlib import suppress
from pathlib import Path
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from ghn_studio import project
from ghn_studio.errors import ProjectError
from ghn_studio.project.repair import MAX_FINDINGS, Repaired, repaired

GOLDEN = (Path(__file__).with_name("golden") / f"v{project.VERSION}.ghn").read_text("utf-8")

Damage = Callable[[dict[str, Any]], object]


def damaged(*damages: Damage) -> Repaired:
    data = json.loads(GOLDEN)
    for damage in damages:
        damage(data)
    return repaired(json.dumps(data), source="net.ghn")


def test_a_sound_file_has_no_findings() -> None:
    found = repaired(GOLDEN)
    assert found.findings == ()
    assert not found.is_newer
    assert found.project == project.loads(GOLDEN)


def test_e11_a_newer_version_is_read_without_what_it_knows_and_we_do_not() -> None:
    found = damaged(
        lambda d: d.update(version=99, palette="warm"), lambda d: d["nodes"][1].update(glow=3),
        lambda d: d["nodes"][1]["params"].update(curvature=0.5), lambda d: d["operators"].update(conv2d=7, warp=1),
        lambda d: d["nodes"].append({"id": "w", "op": "warp", "params": {}, "inputs": ["image"]}),
        lambda d: d["groups"][0].update(colour="red"),
    )
    assert found.is_newer and found.version == 99
    report = "\n".join(found.findings)
    for words in ("palette: not known", "nodes[1] 'stem.conv'.glow: not known", "params.curvature: not known",
                  "operators.conv2d: expected version 1 to 1, found 7", "'w'.op: expected an operator", "\"warp\"",
                  "groups[0].colour: not known"):
        assert words in report
    assert found.project.architecture == project.loads(GOLDEN).architecture
    with pytest.raises(ProjectError, match="newer"):
        project.loads(json.dumps({**json.loads(GOLDEN), "version": 99}))


CASES: list[tuple[str, Damage, str, int]] = [
    ("wrong type of a parameter", lambda d: d["nodes"][1]["params"].update(bias="no"),
     "nodes[1] 'stem.conv'.params.bias: expected true or false, found \"no\"; the default was taken", 0),
    ("a parameter missing", lambda d: d["nodes"][1]["params"].pop("groups"), "params.groups: missing", 0),
    ("parameters as a list", lambda d: d["nodes"][1].update(params=[]), "params.out_channels: missing", 0),
    ("a node that is none", lambda d: d["nodes"].insert(3, 7), "nodes[3]: expected an object, found 7; left out", 0),
    ("a node without operator", lambda d: d["nodes"][11].pop("op"), "nodes[11] 'loose'.op: expected an operator", 1),
    ("an id with a space", lambda d: d["nodes"][11].update(id="a b"), "id: expected dotted parts", 1),
    ("duplicate ids", lambda d: d["nodes"].append(d["nodes"][2]), "'stem.norm': a second node of this name", 0),
    ("an edge to a missing node", lambda d: d["nodes"][2].update(inputs=["gone"]),
     "'stem.norm': input 0 came from 'gone', which is not there; left open", 0),
    ("an edge that is none", lambda d: d["nodes"][2].update(inputs=[{}]), "inputs[0]: expected a text", 0),
    ("a cycle", lambda d: d["nodes"][1].update(inputs=["head"]), "closed a cycle; the input was left open", 0),
    ("a node as a path", lambda d: d["nodes"][0].update(id="block"), "'block' is a node and also the path", 1),
    ("sharing with nobody", lambda d: d["nodes"][1].update(shares="nobody"), "it has its own now", 0),
    ("bypassed as a text", lambda d: d["nodes"][1].update(bypassed="yes"), "bypassed: expected true or false", 0),
    ("NaN positions", lambda d: d["layout"].update(image=[float("nan"), 0]),
     "layout.image[0]: expected a finite number, found \"NaN\"; left out", 0),
    ("a position of texts", lambda d: d["layout"].update(image=["a", 0]), "layout.image[0]: expected a finite", 0),
    ("no layout", lambda d: d.update(layout=3), "layout: expected an object, found 3", 0),
    ("no operators", lambda d: d.pop("operators"), "operators.conv2d: missing; read as version 1", 0),
    ("a repeat of 0", lambda d: d["groups"][0].update(repeat=0), "repeat: expected at least 1, found 0; left out", 0),
    ("repeats without end", lambda d: d["groups"][1].update(repeat=10**6), "every group counts once", 0),
    ("a note of nothing", lambda d: d["notes"].update(note_1=[]), "notes.note_1: expected an object", 0),
    ("values elsewhere", lambda d: d["values"].update(file="../x"), "the record of values was left out", 0),
    ("a name of numbers", lambda d: d.update(name=3), "name: expected a text, found 3", 0),
    ("no version", lambda d: d.pop("version"), "version: expected a whole number, found null", 0),
    ("version true", lambda d: d.update(version=True), "version: expected a whole number, found true", 0),
]


@pytest.mark.parametrize(("damage", "words", "lost"), [pytest.param(d, w, n, id=name) for name, d, w, n in CASES])
def test_e12_damage_costs_the_item_it_is_in_and_is_reported(damage: Damage, words: str, lost: int) -> None:
    found = damaged(damage)
    assert words in "\n".join(found.findings)
    before = project.loads(GOLDEN).architecture
    assert len(found.project.architecture.nodes) == len(before.nodes) - lost
    again = project.loads(project.dumps(found.project))
    assert again.architecture == found.project.architecture, "what was read can be saved"


def test_e12_a_truncated_file_keeps_its_whole_lines() -> None:
    lines = GOLDEN.splitlines(keepends=True)
    first = next(i for i, line in enumerate(lines) if line.strip() == '"nodes": [') + 1
    count = len(project.loads(GOLDEN).architecture.nodes)
    for cut in range(2, len(lines) - 1):
        found = repaired("".join(lines[:cut]) + lines[cut][: len(lines[cut]) // 2])
        assert len(found.project.architecture.nodes) == max(0, min(cut - first, count))
        assert any("cut short" in finding for finding in found.findings)


def test_e12_a_million_nodes_are_refused_at_once() -> None:
    nodes = ",".join(f'{{"id":"n{i}","op":"relu","params":{{}}}}' for i in range(1_000_000))
    text = f'{{"format":"ghn-studio","version":2,"name":"x","operators":{{"relu":1}},"nodes":[{nodes}]}}'
    began = time.thread_time()
    for read in (project.loads, repaired):
        with pytest.raises(ProjectError, match="at most 200000 nodes"):
            read(text)
    assert time.thread_time() - began < 0.5, "before they fill the memory"


def test_e12_a_flood_of_findings_is_cut() -> None:
    found = damaged(lambda d: d["nodes"].extend([1] * 5000))
    assert len(found.findings) == MAX_FINDINGS + 1
    assert found.findings[-1] == f"and {5000 - MAX_FINDINGS} more"


def test_e12_the_first_of_two_equal_keys_counts() -> None:
    found = repaired(GOLDEN.replace('"version": 2,', '"version": 2, "version": 9,'))
    assert found.version == 2
    assert any('"version" stands twice' in finding for finding in found.findings)


@pytest.mark.parametrize("text", ["", "[]", "null", "PK\x03\x04", "[" * 100_000, '{"format": "onnx"}', '{"a": ' * 5000])
def test_e12_what_is_no_project_is_refused(text: str) -> None:
    with pytest.raises(ProjectError):
        repaired(text)


@given(st.data())
@settings(max_examples=80)
def test_e12_no_mutation_ends_in_a_traceback(data: st.DataObject) -> None:
    start = data.draw(st.integers(0, len(GOLDEN) - 1))
    cut = data.draw(st.integers(0, 400))
    put = data.draw(st.one_of(st.text(max_size=4), st.sampled_from(["null", "{}", "[]", "-1", "1e999", '"', "NaN"])))
    with suppress(ProjectError):
        found = repaired(GOLDEN[:start] + put + GOLDEN[start + cut:])
        project.loads(project.dumps(found.project)).title.encode("utf-8")
