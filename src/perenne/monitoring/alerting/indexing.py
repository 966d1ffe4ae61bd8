"""Drift and alerts to Elasticsearch: queued with the event that tells of them, sent by a job, and kept once under their ids."""

from collections.abc import Mapping
from functools import partial

import msgspec

import perenne
from perenne.core.errors import Unavailable
from perenne.core.hashing import key_of
from perenne.formats.elastic import Document, Fate
from perenne.monitoring import alert_store, store
from perenne.monitoring.alerting.documents import ToIndex, of_alert, of_verdict
from perenne.monitoring.events import AlertsChanged, DriftFound
from perenne.monitoring.model import CHAMPION, Stream
from perenne.net.elasticsearch import Client, DeadLetters, Place, place_from
from perenne.storage import jobs
from perenne.storage.database import Transaction
from perenne.storage.jobs import Job, enqueue
from perenne.storage.workspace import Workspace

INDEX = "alert.index"
ATTEMPTS = 12


class Indexing:
    """Queues documents and sends them, if Elasticsearch is there.

    Parameters
    ----------
    place : Place, optional
        Where it is; without it nothing is queued.
    """

    def __init__(self, place: Place | None) -> None:
        self._place = place

    @classmethod
    def of(cls, environment: Mapping[str, str]) -> "Indexing":
        """Return the indexing that an environment asks for."""
        return cls(place_from(environment))

    def on_alerts(self, tx: Transaction, event: AlertsChanged) -> None:
        """Queue what happened to alerts."""
        self._queue(tx, ToIndex(changes=event.changes, window_start=event.window_start))

    def on_drift(self, tx: Transaction, event: DriftFound) -> None:
        """Queue what drifted in a window."""
        self._queue(tx, ToIndex(deployment=event.deployment, version=event.version, window_start=event.window_start))

    def _queue(self, tx: Transaction, asked: ToIndex) -> None:
        if self._place is None:
            return
        alerts = alert_store.some_alerts(tx, [identity for identity, _ in asked.changes])
        told = {(alert.id, alert.sent or 0) for alert in alerts}
        key = key_of({("index", asked.changes, asked.deployment, asked.version, asked.window_start), *told})
        enqueue(tx, INDEX, asked, key=key, attempts_allowed=ATTEMPTS)

    def send(self, workspace: Workspace, job: Job) -> None:
        """Send what a job names. Raises Unavailable if some of it is to be sent again; what is refused lies in a file."""
        asked = msgspec.json.decode(job.payload, type=ToIndex)
        documents = _documents(workspace, asked)
        if self._place is not None and documents:
            answers = Client(self._place).send(documents)
            dead = DeadLetters(workspace.settings.logs / "elasticsearch" / "refused.ndjson")
            again = [answered for answered in answers if answered.fate is Fate.AGAIN]
            for document, answered in zip(documents, answers, strict=True):
                if answered.fate is Fate.REFUSED or (answered.fate is Fate.AGAIN and job.last_try):
                    dead.keep(document, answered)
            if again and not job.last_try:
                text = f"{len(again)} of {len(documents)} documents were not taken: {again[0].status} {again[0].reason}"
                raise Unavailable(text, code="elastic.busy", hint="they are sent again")
        workspace.database.write(partial(jobs.finish, job=job))


def _documents(workspace: Workspace, asked: ToIndex) -> list[Document]:
    now, version = workspace.clock.now(), perenne.__version__
    with workspace.database.read() as tx:
        found = {alert.id: alert for alert in alert_store.some_alerts(tx, [identity for identity, _ in asked.changes])}
        stream = Stream(asked.deployment, CHAMPION, asked.version)
        verdicts = store.recent_verdicts(tx, stream, 1, until=asked.window_start) if asked.deployment else []
    told = [of_alert(found[identity], what, now, version=version) for identity, what in asked.changes if identity in found]
    drifted = [document for verdict in verdicts for document in of_verdict(verdict, version=version)]
    return told + drifted
