"""The shipped networks are complete, readable, placed, and build, run and export alike."""

from __future__ import annotations

import itertools
from math import prod
from pathlib import Path
from typing import Any

import pytest
import torch

from ghn_studio import codegen, paths, project
from ghn_studio.analysis.program import program
from ghn_studio.app.document import Document
from ghn_studio.engine.build import build
from ghn_studio.engine.execution import Plan, random_images
from ghn_studio.ops import REGISTRY
from ghn_studio.ops.spec import Primitive

EXPECTED = {
    "lenet5": "LeNet-5", "plain_cnn": "Plain CNN", "vgg_like": "VGG-like", "resnet20": "ResNet-20",
    "mobilenetv2_like": "MobileNetV2-like", "darts": "DARTS best cell", "vit_small": "Small ViT",
    "se_net": "Squeeze-and-excitation net",
}
FILES = sorted((paths.resources() / "examples").glob("*.ghn"))
each = pytest.mark.parametrize("path", FILES, ids=[f.stem for f in FILES])


def test_there_are_the_eight_asked_for() -> None:
    assert {f.stem: project.read(f).title for f in FILES} == EXPECTED


@each
def test_it_is_complete_small_and_described(path: Path) -> None:
    found = project.read(path)
    plan = program(found.architecture, REGISTRY)
    assert found.architecture.name == path.stem
    assert found.summary.endswith(".")
    assert found.summary.count(". ") <= 1, "one sentence, apart from 'et al.'"
    assert found.values is None
    size = 16 if path.stem in {"plain_cnn", "resnet20", "se_net", "mobilenetv2_like"} else 32
    assert plan.input_spec.shape == ("N", 1 if path.stem == "lenet5" else 3, size, size)
    assert plan.output_spec.shape == ("N", 10)
    trainable = sum(prod(w.shape) for n in plan.graph.nodes.values() for w in plan.weights(n) if w.trainable)
    assert 30_000 <= trainable <= 1_000_000


@each
def test_it_is_written_as_this_version_writes(path: Path) -> None:
    assert project.dumps(project.read(path)) == path.read_text(encoding="utf-8")


@each
def test_every_node_has_a_place_and_none_overlap(path: Path) -> None:
    document = Document(project.read(path))
    sizes = document.sizes()
    assert set(sizes) == set(document.layout)
    boxes = {n: (*document.layout[n], *sizes[n]) for n in sizes}
    for (a, (x, y, w, h)), (b, (u, v, s, t)) in itertools.combinations(boxes.items(), 2):
        assert x + w <= u or u + s <= x or y + h <= v or v + t <= y, f"{a} covers {b}"


@each
def test_built_functional_and_generated_forms_agree(path: Path) -> None:
    graph = project.read(path).architecture
    torch.manual_seed(0)
    network, plan = build(graph).eval(), Plan(graph)
    values = network.state_dict()
    scope: dict[str, Any] = {"__name__": "generated"}
    source = codegen.to_source(graph)
    exec(compile(source, path.stem, "exec"), scope)
    copy = scope[codegen.class_name(graph)]().eval()
    copy.load_state_dict(values, strict=True)
    assert list(copy.state_dict()) == list(values)
    assert max(map(len, source.splitlines())) <= 100
    images = random_images(plan, 3)
    with torch.no_grad():
        expected = network(images)
        assert torch.equal(copy(images), expected)
        torch.testing.assert_close(plan.run(images, values), expected, rtol=1e-4, atol=1e-5)
    assert expected.isfinite().all()
    assert plan.head is not None


def test_together_they_use_most_primitives() -> None:
    used = set()
    for path in FILES:
        plan = program(project.read(path).architecture, REGISTRY)
        for node in plan.graph.nodes.values():
            used |= {p.primitive for p in REGISTRY[node.op].graph(node.params, plan.shapes.inputs[node.id])}
    assert set(Primitive) - used <= {Primitive.AVG_POOL}
