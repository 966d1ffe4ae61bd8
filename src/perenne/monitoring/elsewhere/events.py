"""Events of KServe's logger: a request and its answer, in any order and perhaps twice, become rows once both are there.

Each event is checked at the door and lies in a journal before its sender is told 200, the one status that KServe's worker takes
for a success. They are paired by the event's id within a minute; what has no other half by then is counted and let go.
"""

from collections.abc import Iterable, Mapping
from typing import NamedTuple

import msgspec

from perenne.auth.principals import Principal
from perenne.auth.roles import Action, require, sees
from perenne.core.clock import MINUTE, SystemClock, parse_time
from perenne.core.errors import Invalid, NotFound
from perenne.formats import cloudevents
from perenne.formats.cloudevents import REQUEST, RESPONSE, CloudEvent
from perenne.monitoring.elsewhere import store
from perenne.monitoring.elsewhere.bodies import Features, read_request, read_response
from perenne.monitoring.elsewhere.model import Foreign
from perenne.monitoring.elsewhere.sending import EVENTS, Accepted, Plain, SentRows, check, journal_of
from perenne.storage.database import Transaction
from perenne.storage.workspace import Workspace

PATIENCE = MINUTE
MAX_ID = 200


class Half(msgspec.Struct, frozen=True, omit_defaults=True):
    """An event as it lies in a journal: of a request the features, of an answer what was answered."""

    deployment: str
    id: str
    received: int
    time: int
    features: Features | None = None
    prediction: list[Plain] | None = None
    score: list[list[float]] | None = None


class Paired(NamedTuple):
    """Rows by deployment, up to which position events are done with, how many had no other half, and whether some still wait."""

    rows: dict[str, list[SentRows]]
    end: int
    unpaired: int
    waiting: bool


def accept(workspace: Workspace, actor: Principal, headers: Mapping[str, str], body: bytes) -> Accepted:
    """Keep events that KServe sent, in any of the three modes.

    Raises
    ------
    Invalid, NotFound, Denied, Unavailable
        If one is malformed, or of an inference service that nobody watches; none is kept then.
    """
    events, now = cloudevents.read(headers, body), SystemClock().now()
    services = {_service(event) for event in events}
    with workspace.database.read() as tx:
        known = {service: _known(tx, actor, service) for service in services}
    halves = [_half(event, known[_service(event)].name, now) for event in events]
    journal = journal_of(workspace, EVENTS)
    for place, half in enumerate(halves):
        journal.append(msgspec.msgpack.encode(half), durably=place == len(halves) - 1)
    return Accepted(len(halves))


def _service(event: CloudEvent) -> str:
    namespace, name = (event.extensions.get(part, "") for part in ("namespace", "inferenceservicename"))
    if not name:
        raise _bad("an event does not name its inference service")
    return f"{namespace or 'default'}/{name}"


def _known(tx: Transaction, actor: Principal, service: str) -> Foreign:
    found = store.find_kserve(tx, service)
    if found is None or found.removed or not sees(actor, found.project):
        raise NotFound(
            f"nobody watches the inference service {service[:200]!r}",
            code="monitor.kserve_unknown",
            hint=f"perenne monitor add NAME --kserve {service[:200]}",
        )
    require(actor, Action.LOG, found.project)
    return found


def _half(event: CloudEvent, deployment: str, now: int) -> Half:
    if not 0 < len(event.id) <= MAX_ID:
        raise _bad(f"an event's id is longer than {MAX_ID}")
    half = Half(deployment, event.id, now, _time(event, now))
    if event.type == REQUEST:
        features = read_request(event.data)
        if not features or (isinstance(features, dict) and len({len(values) for values in features.values()}) != 1):
            raise _bad("a request has no rows, or columns of different lengths")
        return msgspec.structs.replace(half, features=features)
    if event.type != RESPONSE:
        raise _bad("an event is neither a request nor an answer of KServe's logger")
    prediction, score = read_response(event.data)
    return msgspec.structs.replace(half, prediction=prediction, score=score)


def _time(event: CloudEvent, now: int) -> int:
    if not event.time:
        return now
    try:
        return parse_time(event.time)
    except Invalid:
        raise _bad("an event's time is none") from None


def _bad(problem: str) -> Invalid:
    return Invalid(problem, code="monitor.event", hint="events of KServe's logger: logger: {mode: all, url: …}")


def pair(found: Iterable[tuple[bytes, int]], start: int, until: int) -> Paired:
    """Pair the events of a journal; those that came by an instant are done with, later ones only serve as other halves.

    Parameters
    ----------
    found : iterable
        Records and the position after each.
    start, until : int
        Where they begin; the instant (microseconds).
    """
    halves: dict[tuple[str, str, bool], Half] = {}
    done: dict[tuple[str, str], None] = {}
    end, waiting = start, False
    for body, following in found:
        half = msgspec.msgpack.decode(body, type=Half)
        halves.setdefault((half.deployment, half.id, half.features is not None), half)
        if half.received <= until and not waiting:
            done[half.deployment, half.id] = None
            end = following
        else:
            waiting = True
    rows: dict[str, list[SentRows]] = {}
    unpaired = 0
    for deployment, identity in done:
        asked, answered = (halves.get((deployment, identity, side)) for side in (True, False))
        made = _rows(asked, answered) if asked is not None and answered is not None else None
        if made is None:
            unpaired += 1
        else:
            rows.setdefault(deployment, []).append(made)
    return Paired(rows, end, unpaired, waiting)


def _rows(asked: Half, answered: Half) -> SentRows | None:
    """Join a request and its answer; None if they do not have as many rows."""
    assert asked.features is not None
    assert answered.prediction is not None
    count = len(answered.prediction)
    made = SentRows(
        time=[asked.time] * count,
        id=[f"{asked.id}-{row}" for row in range(count)],
        features=asked.features,
        prediction=answered.prediction,
        score=answered.score,
    )
    try:
        check(made)
    except Invalid:
        return None
    return made
