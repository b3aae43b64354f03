"""Everything the program can be asked to do, once: menus, dialogs and the command line are made from it.

A task's ``run`` takes a request and, where the task is about a network, its architecture,
and returns a job. What a task needs of torch, GHNs or ONNX is imported when the job starts.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

from ghn_studio.app.architectures import Wish
from ghn_studio.app.ranking.requests import RankRequest
from ghn_studio.app.reproducing.requests import ReproduceRequest
from ghn_studio.app.requests import (
    AddGhnRequest,
    CommonRequest,
    CompareRequest,
    DownloadDatasetRequest,
    DownloadGhnRequest,
    ExplainRequest,
    ExportRequest,
    FinetuneRequest,
    ImportRequest,
    LoadWeightsRequest,
    MeasureRequest,
    PredictRequest,
    RemoveDatasetRequest,
    RemoveGhnRequest,
    SampleRequest,
    SplitRequest,
    TrainRequest,
)
from ghn_studio.errors import UsageError
from ghn_studio.ir.graph import Architecture
from ghn_studio.jobs import Job
from ghn_studio.ops.spec import check_params


def _unchanged(request: Any, architecture: str) -> Any:
    return request


def _never(request: Any) -> bool:
    return False


def _always(request: Any) -> bool:
    return True


def _if_evaluated(request: PredictRequest) -> bool:
    return request.evaluate


def _field_label(name: str) -> str:
    return f"'{name}'"


@dataclass(frozen=True, slots=True, kw_only=True)
class Task:
    """One thing the program can do.

    Attributes:
        id: Name of the subcommand.
        title: Name on buttons and windows.
        summary: One sentence.
        request: Frozen dataclass whose fields were declared with ``param``.
        run: Makes the job; the architecture is None where the task takes none.
        takes_architecture: True if the task is about one network.
        positional: Fields a command line gives without their name, in order.
        required: Fields that must not be left empty.
        one_of: Sets of fields of which exactly one must be given.
        adopt: Completes a request with the text the network was named by.
        judges: True if a request compares the network's answers with a dataset's classes.
        records: True if it makes results that are kept as a run.
        resumes: True if ``run`` takes a folder as its third argument, and goes on from what it left there.
        examples: Command lines to show, without program and subcommand.
    """

    id: str
    title: str
    summary: str
    request: type
    run: Callable[..., Job[Any]]
    takes_architecture: bool = False
    positional: tuple[str, ...] = ()
    required: tuple[str, ...] = ()
    one_of: tuple[tuple[str, ...], ...] = ()
    adopt: Callable[[Any, str], Any] = _unchanged
    judges: Callable[[Any], bool] = _never
    records: bool = False
    resumes: bool = False
    examples: tuple[str, ...] = ()

    def wish(self, request: Any) -> Wish:
        """What a network that is made for the request should be like."""
        from ghn_studio.app.fitting import classes_of, wish

        if isinstance(request, CommonRequest | ExplainRequest):
            return wish(request, judged=self.judges(request))
        return Wish(classes_of(request.dataset) if self.judges(request) else None)

    def problems(self, request: Any, name_of: Callable[[str], str] = _field_label) -> tuple[str, ...]:
        """A sentence for everything wrong with a request; ``name_of`` writes a field's name."""
        found = list(check_params(request))
        for name in (*self.positional, *self.required):
            if not getattr(request, name):
                found.append(f"{name_of(name)} must not be empty")
        for names in self.one_of:
            given = [n for n in names if getattr(request, n) not in (None, "")]
            if len(given) != 1:
                *first, last = map(name_of, names)
                found.append(f"give exactly one of {', '.join(first)} and {last}" + (
                    ", not both" if len(names) == len(given) == 2 else ", not several" if given else ""
                ))
        return tuple(found)

    def check(self, request: Any) -> None:
        """Raise :class:`UsageError` if something is wrong with a request; all of it is named."""
        wrong = self.problems(request)
        if wrong:
            raise UsageError("; ".join(wrong))

    def start(self, request: Any, graph: Architecture | None = None, *, record: bool = False) -> Job[Any]:
        """Check the request and make the job, which first fetches the dataset if the request says ``download``.

        With ``record`` a task that makes results is kept as a run, unless the environment forbids it.

        Raises:
            UsageError: Something is wrong with the request.
        """
        from ghn_studio.app.recording import is_on, recorded

        self.check(request)
        return recorded(self, request, graph) if record and self.records and is_on() else self.job(request, graph)

    def job(self, request: Any, graph: Architecture | None = None, folder: Path | None = None) -> Job[Any]:
        """The job of a request that was checked; ``folder`` is for tasks that can resume."""
        job = self.run(request, graph, folder) if self.resumes else self.run(request, graph)
        return _with_dataset(request.dataset, job) if getattr(request, "download", False) else job


def _with_dataset(names: str, job: Job[Any]) -> Job[Any]:
    from ghn_studio.app.dataset_files import ensure

    yield from ensure(names)
    return (yield from job)


# The jobs import their modules when they are started: the table itself must stay cheap.
def _predict(request: PredictRequest, graph: Architecture | None) -> Job[Any]:
    from ghn_studio.app.predicting import predict

    return (yield from predict(request, graph))


def _compare(request: CompareRequest, graph: Architecture | None, folder: Path | None) -> Job[Any]:
    from ghn_studio.app.comparing import compare

    return (yield from compare(request, graph, folder))


def _finetune(request: FinetuneRequest, graph: Architecture | None, folder: Path | None) -> Job[Any]:
    from ghn_studio.app.finetuning import finetune

    return (yield from finetune(request, graph, folder))


def _rank(request: RankRequest, graph: Architecture | None, folder: Path | None) -> Job[Any]:
    from ghn_studio.app.ranking.task import rank

    return (yield from rank(request, graph, folder))


def _reproduce(request: ReproduceRequest, graph: Architecture | None, folder: Path | None) -> Job[Any]:
    from ghn_studio.app.reproducing.task import reproduce

    return (yield from reproduce(request, graph, folder))


def _evaluate_split(request: SplitRequest, graph: Architecture | None) -> Job[Any]:
    from ghn_studio.app.splits import evaluate_split

    return (yield from evaluate_split(request, graph))


def _measure(request: MeasureRequest, graph: Architecture | None) -> Job[Any]:
    from ghn_studio.app.measuring.task import measure_ghn

    return (yield from measure_ghn(request, graph))


def _explain(request: ExplainRequest, graph: Architecture | None) -> Job[Any]:
    from ghn_studio.app.explaining import explain

    return (yield from explain(request, graph))


def _export(request: ExportRequest, graph: Architecture | None) -> Job[Any]:
    from ghn_studio.app.exchange.exporting import export

    return (yield from export(request, graph))


def _import(request: ImportRequest, graph: Architecture | None) -> Job[Any]:
    from ghn_studio.app.exchange.files import import_network

    return (yield from import_network(request, graph))


def _load_weights(request: LoadWeightsRequest, graph: Architecture | None) -> Job[Any]:
    from ghn_studio.app.exchange.loading_weights import load_weights

    return (yield from load_weights(request, graph))


def _train(request: TrainRequest, graph: Architecture | None) -> Job[Any]:
    from ghn_studio.app.training import train_ghn

    return (yield from train_ghn(request, graph))


def _sample(request: SampleRequest, graph: Architecture | None) -> Job[Any]:
    from ghn_studio.app.exchange.files import sample_networks

    return (yield from sample_networks(request, graph))


def _add_ghn(request: AddGhnRequest, graph: Architecture | None) -> Job[Any]:
    from ghn_studio.app.hypernetworks import add_ghn

    return (yield from add_ghn(request, graph))


def _download_ghn(request: DownloadGhnRequest, graph: Architecture | None) -> Job[Any]:
    from ghn_studio.app.hypernetworks import download_ghn

    return (yield from download_ghn(request, graph))


def _remove_ghn(request: RemoveGhnRequest, graph: Architecture | None) -> Job[Any]:
    from ghn_studio.app.hypernetworks import remove_ghn

    return (yield from remove_ghn(request, graph))


def _download_dataset(request: DownloadDatasetRequest, graph: Architecture | None) -> Job[Any]:
    from ghn_studio.app.dataset_files import download_dataset

    return (yield from download_dataset(request, graph))


def _remove_dataset(request: RemoveDatasetRequest, graph: Architecture | None) -> Job[Any]:
    from ghn_studio.app.dataset_files import remove_dataset

    return (yield from remove_dataset(request, graph))


def _with_own_values(request: ExportRequest, architecture: str) -> ExportRequest:
    """Export what the network brings along, unless a GHN or a random start was asked for."""
    from ghn_studio.app.architectures import has_stored_values

    asked = (
        request.stored or request.ghn or request.init != "ghn" or request.head != "predicted"
        or request.replace_classifier
    )
    if asked or not has_stored_values(architecture):
        return request
    return replace(request, stored=architecture)


#: In the order of menus and help texts.
TASKS: tuple[Task, ...] = (
    Task(
        id="predict", title="Predict & Evaluate", request=PredictRequest, run=_predict, takes_architecture=True,
        records=True,
        judges=_if_evaluated,
        summary="Predict every parameter of a network and measure its accuracy.",
        examples=(
            "example:lenet5", "example:resnet20 --head closed-form --json", "net.onnx --no-evaluate --export net.pt",
            "deepnets:test/7 --init kaiming", "torchvision:resnet50 --input 3x32x32",
        ),
    ),
    Task(
        id="evaluate-split", title="Evaluate a split", request=SplitRequest, run=_evaluate_split, positional=("split",),
        records=True,
        summary="Predict and evaluate networks of a DeepNets-1M split.",
        examples=("test --count 100 --json", "wide --count 50 --head closed-form"),
    ),
    Task(
        id="measure", title="Measure a GHN", request=MeasureRequest, run=_measure, records=True, required=("out",),
        summary="Measure a hypernetwork on many networks with every head, in a run that can be continued.",
        examples=(
            "--ghn ghn2-digits --dataset digits --out measured --processes 2",
            "--ghn my-ghn --dataset folder:photos --image-size 32 --out measured --splits test=20,deep=5 --full 2",
        ),
    ),
    Task(
        id="compare", title="Compare with SGD", request=CompareRequest, run=_compare, takes_architecture=True,
        records=True, resumes=True,
        judges=_always,
        one_of=(("steps", "minutes"),),
        summary="Measure how long SGD needs to reach the predicted accuracy.",
        examples=("example:lenet5 --steps 300", "net.ghn --minutes 2 --json"),
    ),
    Task(
        id="finetune", title="Fine-tune", request=FinetuneRequest, run=_finetune, takes_architecture=True,
        records=True, resumes=True,
        judges=_always,
        one_of=(("steps", "minutes"),),
        summary="Go on from predicted parameters by gradient descent, beside training from scratch.",
        examples=(
            "example:resnet20 --steps 300", "net.ghn --minutes 2 --init net.ghn --export tuned.pt",
            "torchvision:resnet18 --steps 500 --init resnet18.pth --optimiser adamw --no-scratch",
        ),
    ),
    Task(
        id="rank", title="Rank", request=RankRequest, run=_rank, one_of=(("candidates", "split", "variants"),),
        records=True, resumes=True,
        summary="Put networks in order by what their predicted parameters achieve, refined by SGD if asked.",
        examples=(
            "--split test --count 40 --jobs 2 --top 5", "--variants example:resnet20 --budget parameters 300000",
            "--candidates net.ghn other.onnx example:lenet5 --refine 60 --top 2",
        ),
    ),
    Task(
        id="reproduce", title="Reproduce the papers' table", request=ReproduceRequest, run=_reproduce,
        records=True, resumes=True,
        summary="Prediction against training on networks of several splits, in the layout of the GHN-2 paper.",
        examples=(
            "--ghn ghn2-digits --count 5 --sgd-steps 100",
            "--ghn my-ghn --dataset folder:photos --splits test,deep --count 50 --out table",
        ),
    ),
    Task(
        id="explain", title="Explain", request=ExplainRequest, run=_explain, takes_architecture=True, judges=_always,
        records=True,
        summary="Measure what each layer's predicted tensors are worth, and how familiar the network is.",
        examples=("example:resnet20", "net.onnx --images 128 --draws 5 --json", "net.ghn --stored net.ghn"),
    ),
    Task(
        id="export", title="Export", request=ExportRequest, run=_export, takes_architecture=True, required=("to",),
        adopt=_with_own_values,
        summary="Write a network with its parameters: .pt, .pt2, .safetensors, .onnx, .py, .ghn or a folder.",
        examples=("example:lenet5 --to lenet.pt", "example:lenet5 --to lenet.py", "net.onnx --to net.safetensors",
                  "example:resnet20 --to resnet20 --format huggingface", "net.ghn --to net.onnx --opset 20"),
    ),
    Task(
        id="import", title="Import", request=ImportRequest, run=_import, positional=("file",), required=("to",),
        summary="Turn an ONNX file into a project.",
        examples=("net.onnx --to net.ghn",),
    ),
    Task(
        id="load-weights", title="Load weights", request=LoadWeightsRequest, run=_load_weights, takes_architecture=True,
        required=("weights",),
        summary="Compare a file of weights with a network, and give the network those that fit.",
        examples=("torchvision:resnet18 --weights resnet18.pth --to resnet18.ghn",
                  "net.ghn --weights last.ckpt --section state_dict --json"),
    ),
    Task(
        id="train", title="Train a GHN", request=TrainRequest, run=_train, records=True, required=("out",),
        one_of=(("steps", "minutes"),),
        summary="Train a hypernetwork on a dataset.",
        examples=("--dataset digits --out my-ghn --minutes 30", "--dataset digits --out my-ghn --steps 5000 --resume"),
    ),
    Task(
        id="sample", title="Sample networks", request=SampleRequest, run=_sample, positional=("split",),
        required=("to",),
        summary="Write networks of a DeepNets-1M split as project files.",
        examples=("test --count 20 --to networks",),
    ),
    Task(
        id="add-ghn", title="Add a GHN", request=AddGhnRequest, run=_add_ghn, positional=("file",), required=("to",),
        summary="Keep a checkpoint of the official GHN-1, GHN-2, MLP or GHN-3 code, for --ghn NAME.",
        examples=("ghn2_cifar10.pt --to ghn2-cifar10", "ghn3tm8.pt --to ghn3-t"),
    ),
    Task(
        id="download-ghn", title="Download a GHN", request=DownloadGhnRequest, run=_download_ghn,
        positional=("name",),
        summary="Fetch a published hypernetwork and keep it.",
        examples=("ghn2-cifar10", "ghn3-t --to tiny"),
    ),
    Task(
        id="remove-ghn", title="Remove a GHN", request=RemoveGhnRequest, run=_remove_ghn, positional=("name",),
        summary="Delete a hypernetwork that was added or downloaded.",
        examples=("ghn3-t",),
    ),
    Task(
        id="download-dataset", title="Download a dataset", request=DownloadDatasetRequest, run=_download_dataset,
        positional=("name",),
        summary="Fetch a published dataset; an interrupted download goes on where it stopped.",
        examples=("cifar10", "fashion-mnist --json"),
    ),
    Task(
        id="remove-dataset", title="Remove a dataset", request=RemoveDatasetRequest, run=_remove_dataset,
        positional=("name",),
        summary="Delete a dataset that was downloaded.",
        examples=("svhn",),
    ),
)


def task(name: str) -> Task:
    """The task with an id.

    Raises:
        UsageError: There is none; the message lists what there is.
    """
    for candidate in TASKS:
        if candidate.id == name:
            return candidate
    raise UsageError(f"there is no task '{name}'; there are {', '.join(t.id for t in TASKS)}")
