"""Orders carried out here, or by processes of joblib: the same rows either way, in the order in which they are done."""

from __future__ import annotations

import queue
import threading
from collections.abc import Callable, Iterator, Sequence
from contextlib import closing, contextmanager
from typing import Any

from ghn_studio.app.predicting import Bench, set_up
from ghn_studio.app.ranking.item import Order, carried_out, carrying_out
from ghn_studio.app.ranking.records import Failure, RankRow
from ghn_studio.app.ranking.requests import RankRequest
from ghn_studio.errors import UsageError
from ghn_studio.jobs import Job, Progress

#: How often the job looks whether it is to stop, in seconds.
_PULSE = 0.1

Done = Callable[[Order, RankRow | Failure], Progress]


class Here:
    """Carries orders out in this process, on one thread; stops within a batch."""

    def __init__(self, request: RankRequest) -> None:
        self._request = request
        self._bench: Bench | None = None

    def carry_out(self, orders: Sequence[Order], done: Done) -> Job[None]:
        """Carry out each order and hand its result to ``done``, whose progress is yielded."""
        import torch

        if self._bench is None:
            self._bench = yield from set_up(self._request, size=self._request.image_size)
        for number, order in enumerate(orders):
            here = Progress(f"ranking, {order.candidate.name}", number, len(orders))
            threads = torch.get_num_threads()
            torch.set_num_threads(1)
            try:
                with closing(carrying_out(order, self._bench)) as job:
                    while True:
                        try:
                            next(job)
                        except StopIteration as stop:
                            result = stop.value
                            break
                        yield here
            finally:
                torch.set_num_threads(threads)
            yield done(order, result)


class Processes:
    """Carries orders out by joblib.

    A process that dies takes down what its fellows were at; what is not done by then is tried once more, each order
    by itself, so that only the one to blame is given up.
    """

    def __init__(self, request: RankRequest, count: int) -> None:
        self._request, self._count = request, count

    def carry_out(self, orders: Sequence[Order], done: Done) -> Job[None]:
        """As :meth:`Here.carry_out`; results come in the order in which they are done."""
        left = dict(enumerate(orders))
        fault = yield from self._round(left, list(left), done)
        if fault is None:
            return
        for number in list(left):
            again = yield from self._round(left, [number], done)
            if again is not None:
                order = left.pop(number)
                reason = f"the process that measured it ended twice ({_short(again)}); it may need more memory"
                yield done(order, Failure(order.candidate.name, reason))

    def _round(self, left: dict[int, Order], numbers: list[int], done: Done) -> Job[BaseException | None]:
        """Give the orders out; those done leave ``left``. Returns the fault that ended it, if one did."""
        total = len(left)
        with _handed_out([(n, left[n]) for n in numbers], self._count, self._request.backend) as results:
            while True:
                try:
                    found = results.get(timeout=_PULSE)
                except queue.Empty:
                    yield Progress("ranking", total - len(left), total)
                    continue
                if found is None or isinstance(found, BaseException):
                    if found is not None and not _is_death(found):
                        raise found
                    return found
                number, result = found
                yield done(left.pop(number), result)


def carried_by(request: RankRequest, orders: int) -> Here | Processes:
    """Who carries the orders out: this process where there is nothing to share."""
    return Processes(request, request.jobs) if min(request.jobs, orders) > 1 else Here(request)


def _numbered(number: int, order: Order) -> tuple[int, RankRow | Failure]:
    return number, carried_out(order)


@contextmanager
def _handed_out(orders: list[tuple[int, Order]], count: int, backend: str) -> Iterator[queue.SimpleQueue[Any]]:
    """A queue that the results arrive in, then None or the fault; leaving early ends the processes."""
    from joblib import Parallel, delayed, parallel_config

    results: queue.SimpleQueue[Any] = queue.SimpleQueue()
    is_over = threading.Event()
    try:
        with parallel_config(backend=backend, n_jobs=max(2, count), inner_max_num_threads=1):
            parallel = Parallel(return_as="generator_unordered", pre_dispatch="n_jobs")
    except (ValueError, ImportError) as error:
        raise UsageError(f"joblib has no backend '{backend}' here ({error}); use loky") from error

    def follow() -> None:
        try:
            with parallel_config(backend=backend, n_jobs=max(2, count), inner_max_num_threads=1):
                for result in parallel(delayed(_numbered)(n, order) for n, order in orders):
                    results.put(result)
                    if is_over.is_set():
                        return
            results.put(None)
        except Exception as error:  # noqa: BLE001 - told to the job, which decides
            results.put(error)

    thread = threading.Thread(target=follow, name="ranking", daemon=True)
    thread.start()
    try:
        yield results
    finally:
        is_over.set()
        if thread.is_alive():
            # What a backend offers to whoever gives up: it ends the processes, in the middle of their work if need be.
            parallel._backend.abort_everything(ensure_ready=False)
        thread.join(2)


def _is_death(error: BaseException) -> bool:
    from joblib.externals.loky.process_executor import BrokenProcessPool, TerminatedWorkerError

    return isinstance(error, TerminatedWorkerError | BrokenProcessPool)


def _short(error: BaseException) -> str:
    return (str(error).strip().splitlines() or [type(error).__name__])[0][:120]
