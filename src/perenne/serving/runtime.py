"""What happens between a request and its answer: who answers, in which batch, who steps in, and what the observer is told.

A protocol gives two functions, one that reads its body as columns and one that writes an answer; all else is the same for all.
"""

import asyncio
import os
import time
from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Any, NamedTuple

import numpy as np
from numpy.typing import NDArray

from perenne.core.clock import parse_time
from perenne.core.errors import Invalid, NotFound, PerenneError, Unavailable
from perenne.inference import Signature
from perenne.net.asgi import Headers, Reply, Request
from perenne.net.identity import identity_headers
from perenne.serving.batching import Batched, Batcher, DeadlinePassed
from perenne.serving.counters import Counters, Gauge, Outcome, SeriesKey, Stages
from perenne.serving.explaining import Explainer
from perenne.serving.lineup import Lineup, Target
from perenne.serving.loading import LoadedVersion
from perenne.serving.messages import CONSTANT, HOLDOUT, PERSON, Served, pack_answers, pack_columns
from perenne.serving.mirror import Mirror
from perenne.serving.model import Constant, Role
from perenne.serving.request_ids import RequestIds
from perenne.serving.switches import NOTHING, Switches
from perenne.serving.tickets import PendingPerson, Ticket, leave_ticket, rows_of
from perenne.stats.columns import Columns

DEADLINE_SECONDS = 60.0


class ModelFailed(PerenneError):
    """No model could answer, and there is no constant."""

    status = 500

    def __init__(self, request_id: str) -> None:
        super().__init__("model failed", code="INTERNAL_ERROR")
        self.request_id = request_id


class Unanswered(Exception):
    """Why a request for predictions got no answer, and the headers that say who was to give it."""

    def __init__(self, error: PerenneError, headers: Headers) -> None:
        super().__init__(error.message)
        self.error = error
        self.headers = headers


class _TooLate(Exception):
    """A variant took longer than it may."""


_STOOD_IN = {"fallback": Outcome.FALLBACK, "late": Outcome.LATE}


class Rows(NamedTuple):
    """What a protocol reads from a body: columns, how many rows, seconds until it is too late, and what its answer needs."""

    columns: Columns
    size: int
    seconds: float = DEADLINE_SECONDS
    context: Any = None


class Answer(NamedTuple):
    """What is answered.

    Attributes
    ----------
    request_id : str
        Ours; prediction ids are this and the row's number.
    labels : list
        One answer per row, as JSON holds it.
    scores : ndarray or None
        (n, classes), NaN where no model answered; None for regression and outputs.
    loaded : LoadedVersion
        The version that answered, or that would have if a constant had not.
    variant, reason : str
        The variant's name or `constant`, and why if not as usual; see `messages.Served`.
    outputs : dict or None
        The tensors of a model that answers such, each (n, *shape); its labels are None then.
    batched : Batched or None
        How it was predicted; None for a constant.
    """

    request_id: str
    labels: list[Any]
    scores: NDArray[np.float64] | None
    loaded: LoadedVersion
    variant: str
    reason: str
    outputs: dict[str, NDArray[Any]] | None = None
    batched: Batched | None = None

    def prediction_ids(self) -> list[str]:
        """Return the id of each row's answer."""
        return [f"{self.request_id}-{row}" for row in range(len(self.labels))]


class Runtime:
    """The state of a worker.

    Parameters
    ----------
    batcher : Batcher
        Predicts.
    mirror : Mirror
        Tells the observer.
    counters : Counters
        Counts.
    switches : Switches, optional
        By which callers take versions out of service; without it they cannot.
    """

    def __init__(self, batcher: Batcher, mirror: Mirror, counters: Counters, switches: Switches | None = None) -> None:
        self.batcher = batcher
        self.mirror = mirror
        self.counters = counters
        self.switches = switches
        self.off = NOTHING
        self.lineup: Lineup | None = None
        self.draining = False
        self.asks_for_tokens = False
        self.spool: Path | None = None
        self.in_flight = 0
        self.times_stages = times_stages()
        batcher.sizes = counters.own_batch_sizes()
        self.ids = RequestIds()
        self.explainer = Explainer()
        self.at_end: list[Callable[[], None]] = [batcher.close, self.explainer.close]
        self._loop = asyncio.get_running_loop()

    @property
    def ready(self) -> bool:
        """Tell whether requests should come here."""
        if self.lineup is None or self.draining:
            return False
        return not self.off.versions or not all(self.off.covers(loaded.version) for loaded in self.lineup.loaded)

    @property
    def problem(self) -> str:
        """What could not be loaded, in a line; empty if nothing."""
        return self.counters.notes().get(self.counters.block, "")

    def require_lineup(self) -> Lineup:
        """Return who answers. Raises Unavailable while nothing is loaded."""
        if self.lineup is None:
            raise Unavailable("the model is being loaded", code="TEMPORARILY_UNAVAILABLE")
        return self.lineup

    def close(self) -> None:
        """Let go of threads and processes, also of those that a protocol has for itself (`at_end`)."""
        for leave in self.at_end:
            leave()

    def follow_switches(self) -> None:
        """Take over what is switched off."""
        if self.switches is not None:
            self.off = self.switches.read()
            self.counters.set(Gauge.SWITCHED, self.off.change)

    def behind(self, change: int) -> bool:
        """Tell whether a worker that answers does not yet do as the switches say."""
        counters = self.counters
        answering = [block for block in range(counters.blocks - 1) if counters.get(Gauge.GENERATION, block)]
        return any(counters.get(Gauge.SWITCHED, block) < change for block in answering)

    def find(self, model: str, version: str | None = None) -> Target:
        """Find who answers for a model's name in a URL. Raises NotFound if it or the version is not served here."""
        lineup = self.require_lineup()
        if model != lineup.deployment.name:
            raise NotFound("there is no model of that name here", code="RESOURCE_DOES_NOT_EXIST")
        found = lineup.default if version is None else lineup.explicit(version)
        if found is not None:
            return found
        raise NotFound("that version of the model is not loaded", code="RESOURCE_DOES_NOT_EXIST")

    def in_service(self, target: Target) -> Target:
        """Return who answers in place of a target that is switched off. Raises Unavailable if nobody does."""
        if not self.off.covers(target.loaded.version):
            return target
        lineup = self.require_lineup()
        for loaded, role in ((lineup.champion, Role.CHAMPION), (lineup.fallback, Role.PREVIOUS)):
            if target.reason != "explicit" and loaded is not None and not self.off.covers(loaded.version):
                return Target(loaded, role.value, "fallback")
        raise Unavailable("the model is unloaded", code="TEMPORARILY_UNAVAILABLE", hint="load it again, or ask another server")

    def headers(self, request: Request, target: Target) -> Headers:
        """Return the headers that say by what a request is found again, and who answers it."""
        return [*identity_headers(request.headers, self.ids.next()), *_model_headers(target.loaded, target.shown)]

    async def score(
        self,
        request: Request,
        endpoint: str,
        target: Target,
        read: Callable[[Request, Signature], Rows],
        write: Callable[[Answer, Any], Reply],
    ) -> Reply:
        """Answer a request for predictions.

        Parameters
        ----------
        request : Request
            For its time and headers.
        endpoint : str
            How the counters call it.
        target : Target
            Who is to answer.
        read, write : callable
            The protocol: the body as rows for a signature, and an answer (with the rows' context) as a reply.

        Raises
        ------
        Unanswered
            For the caller's mistakes, a full queue, a passed deadline, or a model that failed with nobody to step in.
        """
        outcome, rows = Outcome.FAILED, 0
        stages: Stages | None = None
        self.in_flight += 1
        try:
            event_time = self._event_time(request)
            target = self._named(request, target)
            target = self.in_service(target) if self.off.versions else target
            table = read(request, target.loaded.signature)
            rows, read_at = table.size, time.perf_counter_ns()
            lineup = self.require_lineup()
            if target is lineup.default and lineup.chooser is not None:
                target = lineup.choose(request.headers, table.columns)
                target = self.in_service(target) if self.off.versions else target
            answer = await self._answer(request, lineup, target, table, event_time)
            outcome = _STOOD_IN.get(answer.reason, Outcome.OK)
            answered_at = time.perf_counter_ns()
            reply = write(answer, table.context)
            if self.times_stages and answer.batched is not None:
                stages = _stages(request.started, read_at, answer.batched, answered_at)
            return reply._replace(headers=(*_headers(request, answer), *reply.headers))
        except PerenneError as error:
            outcome = _outcome_of(error)
            identity = identity_headers(request.headers, error.request_id or self.ids.next())
            raise Unanswered(error, [*identity, *_model_headers(target.loaded, target.shown)]) from error
        finally:
            self.in_flight -= 1
            key = SeriesKey(self.deployment, target.loaded.version, target.variant, endpoint)
            self.counters.series(key).count(outcome, rows, (time.perf_counter_ns() - request.started) // 1_000, stages)

    def _named(self, request: Request, target: Target) -> Target:
        """Return whom a request names in `x-variant`, else who would answer; a version in the URL goes before."""
        word = request.header(b"x-variant")
        if word is None or target.reason == "explicit":
            return target
        found = self.require_lineup().explicit(word)
        if found is None:
            raise NotFound("the variant that x-variant names is not loaded", code="RESOURCE_DOES_NOT_EXIST")
        return found

    @property
    def deployment(self) -> str:
        """The name of what is served."""
        return self.require_lineup().deployment.name

    async def _answer(self, request: Request, lineup: Lineup, target: Target, table: Rows, event_time: int | None) -> Answer:
        arrival = time.time_ns() // 1_000 - (time.perf_counter_ns() - request.started) // 1_000
        request_id = self.ids.next(arrival)
        batched, served = await self._predict(lineup, target, table)
        constant = _constant_of(lineup, served) if batched is None else None
        predictions, scores = (b"", b"") if batched is None else pack_answers(batched.prediction)
        message = Served(
            request_id=request_id,
            first_row=0,
            rows=table.size,
            arrival=arrival,
            event_time=arrival if event_time is None else event_time,
            latency_us=(time.perf_counter_ns() - request.started) // 1_000,
            batch_rows=table.size if batched is None else batched.rows,
            status=202 if served.variant == PERSON else 500 if batched is None and constant is None else 200,
            role=served.variant,
            reason=served.reason,
            version=served.loaded.version,
            tree=served.loaded.tree,
            dropped=0,
            columns=pack_columns(table.columns, served.loaded.signature.fields),
            predictions=predictions,
            scores=scores,
            answer=constant,
            variant=served.shown,
            propensity=target.propensity,
            sticky_hash=target.sticky_hash,
        )
        if table.size:
            self.mirror.send(message, served.loaded.signature)
        if served.variant == PERSON:
            await self._hand_over(request_id, arrival, lineup, served, table, batched)
        if batched is None:
            if constant is None:
                raise ModelFailed(request_id)
            return _constant_answer(request_id, constant, table.size, served)
        outputs = batched.prediction.outputs
        labels = served.loaded.predictor.labels(batched.prediction) if outputs is None else [None] * table.size
        loaded, scores_of = served.loaded, batched.prediction.scores
        return Answer(request_id, labels, scores_of, loaded, served.shown, served.reason, outputs, batched)

    async def _predict(self, lineup: Lineup, target: Target, table: Rows) -> tuple[Batched | None, Target]:
        """Ask the target, then whoever steps in; None with the constant's target if it is the constant's turn."""
        deadline = self._loop.time() + min(table.seconds, DEADLINE_SECONDS)
        if not target.asks:
            return None, target
        why = "fallback"
        try:
            return await self._ask(target, table, deadline), target
        except _TooLate:
            why = "late"
        except PerenneError as error:
            if not isinstance(error, Invalid):
                raise
        except Exception:  # noqa: S110  the model failed: the next in line answers
            pass
        if target.variant == PERSON:
            return None, target
        if target.reason == "explicit":
            if why == "late":
                raise DeadlinePassed("the variant was not ready in its time", code="DEADLINE_EXCEEDED")
            return None, target
        for step_in in lineup.stand_ins(target, table.columns):
            try:
                return await self._ask(step_in, table, deadline), step_in._replace(reason=why)
            except Exception:  # noqa: S112  who stands in failed too: the next one, or the constant, answers
                continue
        if lineup.deployment.answer is not None:
            return None, Target(target.loaded, CONSTANT, why, asks=False)
        if why == "late":
            raise DeadlinePassed("the variant was not ready in its time", code="DEADLINE_EXCEEDED")
        return None, target

    async def _hand_over(
        self, request_id: str, arrival: int, lineup: Lineup, served: Target, table: Rows, batched: Batched | None
    ) -> None:
        """Leave a request to a person, on the disk before that is promised. Raises PendingPerson, or Unavailable if it cannot."""
        signature = served.loaded.signature
        model_says = None if batched is None or batched.prediction.outputs is not None else batched.prediction
        ticket = Ticket(
            id=request_id,
            deployment=lineup.deployment.name,
            version=served.loaded.version,
            opened=arrival,
            rows=rows_of(table.columns, signature, table.size),
            classes=list(signature.classes or ()),
            suggested=None if model_says is None else served.loaded.predictor.labels(model_says),
        )
        if self.spool is None:
            raise Unavailable("no person can be asked here", code="TEMPORARILY_UNAVAILABLE")
        try:
            await asyncio.to_thread(leave_ticket, self.spool, ticket)
        except OSError:
            raise Unavailable("the request cannot be kept for a person", code="TEMPORARILY_UNAVAILABLE") from None
        raise PendingPerson(request_id)

    async def _ask(self, target: Target, table: Rows, deadline: float) -> Batched:
        """Ask a version; one that has a time-out is not waited for any longer. Raises _TooLate if that is over."""
        if not target.seconds:
            return await self.batcher.submit(target.loaded, table.columns, table.size, deadline)
        soon = self._loop.time() + target.seconds
        try:
            future = self.batcher.submit(target.loaded, table.columns, table.size, min(soon, deadline), beside=True)
            return await asyncio.wait_for(future, min(soon, deadline) - self._loop.time())
        except (TimeoutError, DeadlinePassed):
            if deadline <= soon:
                raise
            raise _TooLate from None

    def _event_time(self, request: Request) -> int | None:
        lineup = self.require_lineup()
        if not lineup.release.replay:
            return None
        text = request.header(b"x-event-time")
        if text is None:
            return None
        try:
            return parse_time(text)
        except PerenneError:
            raise Invalid("x-event-time is not an ISO 8601 time", code="BAD_REQUEST") from None


def times_stages(environment: Mapping[str, str] = os.environ) -> bool:
    """Tell whether the parts of each request are timed, and shown under others' names too; `PERENNE_PEER_METRICS=0` ends it."""
    return environment.get("PERENNE_PEER_METRICS", "1") != "0"


def _stages(started: int, read_at: int, batched: Batched, answered_at: int) -> Stages:
    now = time.perf_counter_ns()
    return Stages((read_at - started) // 1_000, batched.queue_us, batched.took_us, (now - answered_at) // 1_000, batched.leads)


def _outcome_of(error: PerenneError) -> Outcome:
    if error.status < 400:
        return Outcome.OK
    return Outcome.INVALID if error.status < 500 else Outcome.FAILED if error.status == 500 else Outcome.UNAVAILABLE


def _constant_of(lineup: Lineup, served: Target) -> Constant | None:
    """Return what is answered without a model: the holdout's constant, or the deployment's; None if a model was to answer."""
    if served.asks:
        return None
    holdout = lineup.deployment.holdout
    return holdout.answer if served.variant == HOLDOUT and holdout is not None else lineup.deployment.answer


def _constant_answer(request_id: str, constant: Constant, rows: int, served: Target) -> Answer:
    signature = served.loaded.signature
    scores = np.full((rows, len(signature.classes)), np.nan) if signature.classes else None
    return Answer(request_id, [constant] * rows, scores, served.loaded, served.shown, served.reason)


def _headers(request: Request, answer: Answer) -> list[tuple[bytes, bytes]]:
    return [*identity_headers(request.headers, answer.request_id), *_model_headers(answer.loaded, answer.variant)]


def _model_headers(loaded: LoadedVersion, variant: str) -> Headers:
    return (
        (b"x-model-name", loaded.model.encode()),
        (b"x-model-version", loaded.number.encode()),
        (b"x-variant", variant.encode()),
    )
