"""Files of others: read in a process of their own, kept within limits, compared, and honest about what is left."""

from __future__ import annotations

import os
import subprocess
import sys
from contextlib import closing
from dataclasses import replace
from pathlib import Path
from time import monotonic
from typing import Any

import numpy as np
import onnx
import pytest
import torch
from onnx import TensorProto, helper, numpy_helper

from ghn_studio.app.architectures import read_foreign
from ghn_studio.app.importing import process
from ghn_studio.app.importing.checking import checked
from ghn_studio.app.importing.process import Answer, ask
from ghn_studio.app.importing.reading import Wanted, read_network
from ghn_studio.app.requests import ExportRequest, ImportRequest
from ghn_studio.app.tasks import task
from ghn_studio.engine.execution import Plan
from ghn_studio.errors import ArchitectureError, CheckpointError, MissingDataError, OnnxConversionError
from ghn_studio.ir.graph import Node
from ghn_studio.jobs import run
from ghn_studio.lifting import activations
from ghn_studio.lifting.joining import Joined, Reader, Rule
from ghn_studio.ops import REGISTRY

REQUEST = {"image_size": None, "output": "", "default_size": 32, "run": True, "weights": True}
FAULTS = Path(os.environ.get("GHN_STUDIO_SHARED") or Path(__file__).resolve().parents[3] / "shared") / "fault_corpus"


def saved(folder: Path, *nodes: onnx.NodeProto, out: str = "y", size: Any = 8, tensors: dict[str, Any] | None = None,
          domains: tuple[str, ...] = ()) -> Path:
    model = helper.make_model(
        helper.make_graph(
            nodes, "net", [helper.make_tensor_value_info("x", TensorProto.FLOAT, ["N", 3, size, size])],
            [helper.make_tensor_value_info(out, TensorProto.FLOAT, None)],
            [numpy_helper.from_array(np.asarray(array), name) for name, array in (tensors or {}).items()],
        ),
        opset_imports=[helper.make_opsetid("", 17), *(helper.make_opsetid(d, 1) for d in domains)], ir_version=8,
    )
    path = folder / "net.onnx"
    path.write_bytes(model.SerializeToString())
    return path


def node(op: str, inputs: str, output: str = "y", **attrs: Any) -> onnx.NodeProto:
    return helper.make_node(op, inputs.split(), output.split(), name=output.split()[0], **attrs)


def conv(folder: Path) -> Path:
    weights = np.random.default_rng(0).standard_normal((4, 3, 3, 3)).astype(np.float32)
    nodes = (node("Conv", "x w", "a"), node("Sigmoid", "a", "s"), node("Mul", "a s"))
    return saved(folder, *nodes, tensors={"w": weights})


def test_the_command_reports_what_was_read(tmp_path: Path) -> None:
    request = ImportRequest(file=str(conv(tmp_path)), to=str(tmp_path / "net.ghn"))
    report = run(task("import").start(request)).to_json()
    assert report["max_relative_error"] <= 1e-5 and report["seconds"] > 0
    wanted = {"nodes": 4, "layers": 1, "parameters": 108, "trainable_parameters": 108, "opaque": 0, "opaque_nodes": []}
    assert {k: report[k] for k in wanted} == wanted
    assert report["warnings"] == []
    assert sorted(p.name for p in tmp_path.iterdir()) == ["net.ghn", "net.onnx", "net.safetensors"]


def test_a_relative_path_is_read_from_where_the_person_is(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    (tmp_path / "models").mkdir()
    conv(tmp_path / "models")
    monkeypatch.chdir(tmp_path)
    assert run(read_network(Path("models/net.onnx"))).max_relative_error is not None


def test_open_sizes_are_chosen_and_said(tmp_path: Path) -> None:
    path = saved(tmp_path, node("Relu", "x"), size="side")
    found = run(read_network(path, Wanted(check=False)))
    assert any("224 × 224 px were taken" in w for w in found.warnings)
    chosen = run(read_network(path, Wanted(image_size=40)))
    assert chosen.max_relative_error == 0
    assert next(n.params.width for n in chosen.project.architecture.nodes.values() if n.op == "input") == 40


def test_files_without_parameters_are_compared_all_the_same(tmp_path: Path) -> None:
    fill = helper.make_tensor("value", TensorProto.FLOAT, [1], [0.02])
    path = saved(tmp_path, node("ConstantOfShape", "shape", "w", value=fill), node("Conv", "x w"),
                 tensors={"shape": np.int64([6, 3, 3, 3])})
    found = run(read_network(path))
    assert not found.arrays and any("without parameters" in w for w in found.warnings)
    assert found.max_relative_error is not None and found.max_relative_error < 1e-6


def test_what_only_onnxruntime_knows_is_kept_and_run(tmp_path: Path) -> None:
    path = saved(tmp_path, node("Cosh", "x", "c"), node("CumSum", "c axis", "s"), node("Relu", "s"),
                 tensors={"axis": np.int64(2)})
    found = run(read_network(path))
    assert len(found.opaque) == 2 and found.max_relative_error is not None and found.max_relative_error < 1e-6
    images = torch.randn(5, 3, 8, 8)
    result = Plan(found.project.architecture).run(images, {})
    torch.testing.assert_close(result, torch.cosh(images).cumsum(2).relu())


def test_source_with_what_only_onnxruntime_knows_runs_and_a_program_is_refused(tmp_path: Path) -> None:
    path = saved(tmp_path, node("Cosh", "x", "c"), node("Relu", "c"))
    graph = run(read_network(path)).project.architecture
    run(task("export").start(ExportRequest(to=str(tmp_path / "net.py"), dataset="digits"), graph))
    code = "import net, torch; x = torch.randn(2, 3, 8, 8); print(torch.equal(net.Net()(x), torch.cosh(x).relu()))"
    done = subprocess.run([sys.executable, "-c", code], cwd=tmp_path, capture_output=True, text=True, check=False)
    assert done.stdout.strip() == "True", done.stderr
    with pytest.raises(CheckpointError, match=r"run by onnxruntime, which a PyTorch program cannot hold"):
        run(task("export").start(ExportRequest(to=str(tmp_path / "net.pt2"), dataset="digits"), graph))


def test_what_nothing_knows_opens_and_says_why_it_cannot_run(tmp_path: Path) -> None:
    path = saved(tmp_path, node("Mystery", "x", "m", domain="com.acme", colour=3), node("Relu", "m"),
                 domains=("com.acme",))
    report = run(task("import").start(ImportRequest(file=str(path), to=str(tmp_path / "net.ghn"))))
    assert report.opaque == 1 and report.max_relative_error is None
    assert any("com.acme.Mystery is not supported" in w and "colour = 3" in w for w in report.warnings)
    graph = read_foreign(str(path)).project.architecture
    with pytest.raises(ArchitectureError, match=r"com\.acme\.Mystery is not supported"):
        Plan(graph)


def test_loops_are_never_run(tmp_path: Path) -> None:
    body = helper.make_graph(
        [node("Identity", "go", "still"), node("Relu", "v", "w")], "body",
        [helper.make_tensor_value_info("i", TensorProto.INT64, []),
         helper.make_tensor_value_info("go", TensorProto.BOOL, []), helper.make_tensor_value_info("v", 1, None)],
        [helper.make_tensor_value_info("still", TensorProto.BOOL, []), helper.make_tensor_value_info("w", 1, None)],
    )
    path = saved(tmp_path, node("Loop", "count go0 x", "y", body=body),
                 tensors={"count": np.int64(2**62), "go0": np.bool_(True)})
    began = monotonic()
    found = run(read_network(path))
    assert found.opaque and found.max_relative_error is None and monotonic() - began < 30


def test_the_process_inherits_nothing_secret(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("A_SECRET_TOKEN", "hush")
    assert "A_SECRET_TOKEN" not in process._environment() and "PATH" in process._environment()


def test_a_file_that_takes_too_long_is_given_up(tmp_path: Path) -> None:
    path = conv(tmp_path)
    with pytest.raises(OnnxConversionError, match="'net.onnx' took longer than 0 s"):
        run(ask(path, REQUEST, seconds=0.01))


def children() -> set[int]:
    return {int(p) for p in Path(f"/proc/{os.getpid()}/task/{os.getpid()}/children").read_text().split()}


@pytest.mark.skipif(sys.platform != "linux", reason="processes are listed there")
def test_cancelling_ends_the_process(tmp_path: Path) -> None:
    before = children()
    with closing(ask(conv(tmp_path), REQUEST)) as job:
        next(job)
        assert children() - before
        began = monotonic()
    assert not children() - before and monotonic() - began < 2


@pytest.mark.skipif(sys.platform == "win32", reason="there are no such limits")
def test_the_process_cannot_write_files_or_take_all_memory(tmp_path: Path) -> None:
    script = ("from ghn_studio.app.importing.child import limit\nlimit(2**30)\n"
              "try:\n    bytearray(2**31)\nexcept MemoryError:\n    print('bounded', flush=True)\n"
              f"open({str(tmp_path / 'out')!r}, 'wb').write(b'1' * 10)\n")
    done = subprocess.run([sys.executable, "-c", script], capture_output=True, text=True, check=False,
                          env=process._environment())
    assert done.stdout.strip() == "bounded"
    assert not (tmp_path / "out").exists() or (tmp_path / "out").stat().st_size == 0


def test_a_process_that_dies_is_reported(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(process, "MEMORY", 2**20)
    with pytest.raises(OnnxConversionError, match=r"'net\.onnx' could not be read: the process that read it died"):
        run(ask(conv(tmp_path), REQUEST))


def test_a_difference_that_no_layer_makes_is_only_said(tmp_path: Path) -> None:
    answer = run(ask(conv(tmp_path), REQUEST))
    found = run(read_network(tmp_path / "net.onnx"))
    values = {k.removeprefix("value:"): v for k, v in answer.arrays.items() if k.startswith("value:")}
    other = Answer(answer.said, {**answer.arrays, "result": 2 * answer.arrays["result"]})
    _, error, said = run(checked(found.project.architecture, values, other))
    assert error == pytest.approx(0.5) and not said


def planted(name: str, wrong: str) -> Rule:
    """A rule that takes every sigmoid for something else."""

    def find(reader: Reader, sigmoid: Node) -> Joined:
        other = REGISTRY[wrong]
        return Joined(Node(sigmoid.id, wrong, other.params(), sigmoid.sources), (sigmoid.id,), sigmoid.id)

    return Rule(("sigmoid",), find, name)


def test_a_rule_that_changes_the_result_is_left_out_and_the_others_stay(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    nodes = (node("Sigmoid", "x", "a"), node("Erf", "a", "e"), node("Sigmoid", "e", "b"), node("Mul", "e b"))
    right = run(read_network(saved(tmp_path, *nodes)))
    assert sorted(n.op for n in right.project.architecture.nodes.values() if n.op in ("sigmoid", "silu")) == [
        "sigmoid", "silu",
    ]
    monkeypatch.setattr(activations, "RULES", (*activations.RULES, planted("planted", "tanh")))
    found = run(read_network(tmp_path / "net.onnx"))
    assert found.project.architecture == right.project.architecture
    assert found.max_relative_error is not None and found.max_relative_error <= 1e-6
    assert found.warnings == (
        *right.warnings, "layers of the kind 'planted' changed the result and were left taken apart"
    )


def test_where_two_rules_are_wrong_everything_stays_taken_apart(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    nodes = (node("Sigmoid", "x", "a"), node("Erf", "a", "e"), node("Sigmoid", "e", "b"), node("Mul", "e b"))
    file = saved(tmp_path, *nodes)
    wrong = (planted("planted", "tanh"), planted("planted too", "relu"))
    monkeypatch.setattr(activations, "RULES", (*activations.RULES, *wrong))
    found = run(read_network(file))
    ops = [n.op for n in found.project.architecture.nodes.values()]
    assert ops.count("sigmoid") == 2 and "silu" not in ops
    assert found.max_relative_error is not None and found.max_relative_error <= 1e-6
    assert "recognising layers changed the result, so all of them were left taken apart" in found.warnings


def test_a_file_whose_weights_are_missing_gives_its_layers_when_asked(tmp_path: Path) -> None:
    file = conv(tmp_path)
    whole = run(read_network(file))
    onnx.save(onnx.load(file), file, save_as_external_data=True, location="gone.bin", size_threshold=0)
    (tmp_path / "gone.bin").unlink()
    with pytest.raises(MissingDataError, match=r"needs 'gone\.bin' next to it"):
        run(read_network(file))
    request = ImportRequest(file=str(file), to=str(tmp_path / "net.ghn"))
    with pytest.raises(MissingDataError, match="--no-weights"):
        run(task("import").start(request))
    found = run(read_network(file, Wanted(weights=False)))
    assert found.project.architecture.nodes == whole.project.architecture.nodes
    assert not found.arrays and found.max_relative_error is None
    assert any("only the layers were read" in w for w in found.warnings)
    report = run(task("import").start(replace(request, weights=False)))
    assert report.parameters > 0 and report.max_relative_error is None and (tmp_path / "net.ghn").is_file()


@pytest.mark.skipif(not FAULTS.is_dir(), reason="the prepared fault files are not here (GHN_STUDIO_SHARED)")
@pytest.mark.parametrize(("name", "reason"), [
    ("01_empty.onnx", "is empty"), ("22_constantofshape_bomb.onnx", "100,000,000,000"),
    ("24_ext_missing.onnx", "'gone.bin' next to it"), ("43_channel_mismatch.onnx", "expected [4, 3, 3, 3]"),
    ("51_recursive_function.onnx", "calls itself"),
])
def test_faults_come_out_of_the_process_in_words(name: str, reason: str) -> None:
    with pytest.raises(OnnxConversionError) as caught:
        run(read_network(FAULTS / name))
    assert reason in str(caught.value) and name in str(caught.value)


@pytest.mark.skipif(not FAULTS.is_dir(), reason="the prepared fault files are not here (GHN_STUDIO_SHARED)")
@pytest.mark.parametrize(("name", "opaque"), [
    ("13_unknown_op.onnx", 1), ("14_custom_domain.onnx", 1), ("47_if_subgraph.onnx", 3), ("48_loop_forever.onnx", 1),
    ("53_qdq.onnx", 0), ("56_dynamic_hw.onnx", 0),
])
def test_files_with_foreign_nodes_open(name: str, opaque: int) -> None:
    found = run(read_network(FAULTS / name))
    assert len(found.opaque) == opaque
