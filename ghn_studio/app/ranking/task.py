"""Ranking as a task: who takes part, what is measured, who is trained a little further, and the order."""

from __future__ import annotations

from collections.abc import Sequence
from contextlib import closing
from dataclasses import replace
from math import log2
from pathlib import Path
from time import perf_counter

from ghn_studio.app.ranking.candidates import candidates_of
from ghn_studio.app.ranking.folder import RankFolder
from ghn_studio.app.ranking.item import Candidate, Order, limit_of
from ghn_studio.app.ranking.records import Failure, Learned, RankReport, RankRow, pareto_front, ranked
from ghn_studio.app.ranking.requests import RankRequest
from ghn_studio.app.ranking.workers import Here, Processes, carried_by
from ghn_studio.datasets import describe
from ghn_studio.errors import PredictionError
from ghn_studio.ghn.cards import resolve
from ghn_studio.ir.graph import Architecture
from ghn_studio.jobs import Job, Progress

#: Rounds of successive halving at most.
MOST_ROUNDS = 3


def rank(request: RankRequest, graph: Architecture | None = None, folder: Path | None = None) -> Job[RankReport]:
    """Measure every candidate, refine the best if asked, and put all in order.

    ``partial`` is each new :class:`RankRow` or :class:`Failure`. In ``folder`` it keeps what is done, and goes on
    from it. Refinement is successive halving (Jamieson and Talwalkar, 2016): all candidates get a few steps of SGD
    from their predicted parameters, the better half as many again, until ``top`` are left, which end with
    ``refine`` steps; those trained longer rank above the others.

    Raises:
        UsageError: The candidates or the budget are not written rightly, or the folder holds another ranking.
        PredictionError: No candidate could be ranked.
    """
    began = perf_counter()
    describe(request.dataset)
    cost, _ = limit_of(request.budget)
    card = resolve(request.ghn, request.dataset) if request.init == "ghn" else None
    yield Progress("listing candidates")
    everyone = candidates_of(request, graph)
    yield Progress("loading PyTorch")
    with closing(RankFolder(folder, request, everyone)) as kept:
        work = carried_by(request, len(everyone))
        results = yield from _stage(0, [Order(request, c) for c in everyone], kept, work)
        rows, failed = _parted(results)
        if request.refine and rows:
            rows, more = yield from _refined(request, rows, everyone, kept, work)
            failed += more
    if not rows:
        reason = failed[0].reason if failed else "there is none"
        raise PredictionError(f"none of {len(everyone)} candidates could be ranked: {reason}")
    learned: Learned | None = None
    notes: tuple[str, ...] = ()
    if request.learned:
        from ghn_studio.app.ranking.learned import learned_scores

        rows, learned, notes = learned_scores(rows, request)
    order = ranked(replace(r, scores={k: v for k, v in r.scores.items() if not k.startswith("feature")}) for r in rows)
    images = request.images
    return RankReport(
        ranking=order, failed=tuple(failed), candidates=len(everyone), top=request.top, budget=request.budget,
        cost=cost, pareto=pareto_front(order, cost), label=_label(request), ghn=card.name if card else "",
        head=request.head, dataset=request.dataset, images=images or 0, refine=request.refine,
        device=request.device, seed=request.seed, seconds=perf_counter() - began, learned=learned, notes=notes,
    )


def _stage(
    stage: int, orders: Sequence[Order], kept: RankFolder, work: Here | Processes
) -> Job[list[RankRow | Failure]]:
    """Carry out the orders that were not carried out before; results in the order of the orders."""
    found = {o.candidate.name: r for o in orders if (r := kept.found(stage, o.candidate.name)) is not None}
    left = [
        replace(o, values=kept.values(stage, o.candidate.name) if o.request.refine else "")
        for o in orders if o.candidate.name not in found
    ]

    def done(order: Order, result: RankRow | Failure) -> Progress:
        kept.add(stage, result)
        found[result.name] = result
        return Progress("ranking" if not stage else f"refining, round {stage}", len(found), len(orders), result)

    if left:
        yield from work.carry_out(left, done)
    return [found[o.candidate.name] for o in orders]


def _refined(
    request: RankRequest, rows: list[RankRow], everyone: Sequence[Candidate], kept: RankFolder,
    work: Here | Processes,
) -> Job[tuple[list[RankRow], list[Failure]]]:
    """Successive halving; those who leave keep what they reached."""
    by_name = {c.name: c for c in everyone}
    rounds = min(MOST_ROUNDS, max(0, round(log2(max(1, len(rows) / request.top)))))
    out: list[RankRow] = []
    failed: list[Failure] = []
    total = 0
    for number in range(rounds + 1):
        steps = max(1, request.refine >> (rounds - number)) - total
        if steps < 1:
            continue
        total += steps
        if number:
            best = sorted(rows, key=lambda r: (-r.accuracy, r.parameters, r.name))
            half = max(min(request.top, len(best)), len(best) // 2)
            rows, out = best[:half], out + best[half:]
        orders = [Order(request, by_name[r.name], steps, r) for r in rows]
        _copy_values(orders, kept, number)
        rows, new = _parted((yield from _stage(number + 1, orders, kept, work)))
        failed += new
    return rows + out, failed


def _copy_values(orders: Sequence[Order], kept: RankFolder, before: int) -> None:
    """Each round starts from a copy, so that one that is interrupted can be repeated."""
    import shutil

    for order in orders:
        name = order.candidate.name
        if kept.found(before + 1, name) is None:
            shutil.copyfile(kept.values(before, name), kept.values(before + 1, name))


def _parted(results: Sequence[RankRow | Failure]) -> tuple[list[RankRow], list[Failure]]:
    rows = [r for r in results if isinstance(r, RankRow)]
    return rows, [r for r in results if isinstance(r, Failure)]


def _label(request: RankRequest) -> str:
    start = "predicted" if request.init == "ghn" else "random start"
    head = f", closed form on {request.head_images} images" if request.head == "closed-form" else ""
    start_of = " from a random start" if request.refine_from == "random" else ""
    end = f", then up to {request.refine} steps{start_of}" if request.refine else ", no training"
    return f"{start}{head}{end}; ranked on validation images"
