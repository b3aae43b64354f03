"""Who takes part in a ranking."""

from __future__ import annotations

from ghn_studio.app.architectures import DEEPNETS, open_architecture
from ghn_studio.app.exchange.files import check_range
from ghn_studio.app.fitting import wish
from ghn_studio.app.ranking.item import Candidate
from ghn_studio.app.ranking.requests import RankRequest, parted
from ghn_studio.app.ranking.variants import variants
from ghn_studio.app.splits import sampler_config
from ghn_studio.datasets import describe
from ghn_studio.deepnets import sample
from ghn_studio.errors import GhnStudioError, UsageError
from ghn_studio.ghn.cards import find, resolve
from ghn_studio.ir.graph import Architecture
from ghn_studio.project import Project, dumps

#: What stands for the network that is open, as candidate or as the one whose variants are ranked.
OPEN = "-"


def candidates_of(request: RankRequest, graph: Architecture | None = None) -> tuple[Candidate, ...]:
    """The candidates a request names, each with a name of its own.

    Networks that cannot be opened take part with their error, so that the others are ranked all the same.

    Args:
        graph: The network that ``-`` stands for.

    Raises:
        UsageError: A split is unknown or too small, nobody is named, or the network to vary cannot be opened.
    """
    if request.split:
        return _of_split(request)
    if request.variants:
        return _variants(request, graph)
    names = parted(request.candidates)
    if not names:
        raise UsageError("there is nobody to rank: give --candidates, --split or --variants")
    return tuple(_opened(name, request, graph) for name in names)


def _of_split(request: RankRequest) -> tuple[Candidate, ...]:
    split = request.split
    check_range(split, request.start, request.count)
    card = resolve(request.ghn, request.dataset) if request.init == "ghn" else find(request.dataset)
    config = sampler_config(card, describe(request.dataset), request.image_size)
    indices = range(request.start, request.start + request.count)
    return tuple(
        Candidate(f"{split}/{i}", f"{DEEPNETS}{split}/{i}", dumps(Project(sample(split, i, config)))) for i in indices
    )


def _variants(request: RankRequest, graph: Architecture | None) -> tuple[Candidate, ...]:
    name = request.variants
    if name != OPEN:
        graph = open_architecture(name, wish(request, judged=True)).architecture
    if graph is None:
        raise UsageError("there is no open network to vary: name one")
    found = [Candidate(graph.name, "" if name == OPEN else name, dumps(Project(graph)))]
    return (*found, *(Candidate(title, "", dumps(Project(other))) for title, other in variants(graph, request.count)))


def _opened(name: str, request: RankRequest, graph: Architecture | None) -> Candidate:
    if name == OPEN and graph is not None:
        return Candidate(graph.name, "", dumps(Project(graph)))
    try:
        return Candidate(name, name, dumps(open_architecture(name, wish(request, judged=True))))
    except GhnStudioError as error:
        return Candidate(name, name, "", str(error))
