"""What leaves the observer: the rows of the log, sampled and without what is hidden; lines of ECS, Elasticsearch; CloudEvents.

Profiles and challengers see every row as it came; nothing else does.
"""

import hashlib
import logging
import os
from collections.abc import Mapping
from pathlib import Path
from typing import TYPE_CHECKING, Any

from perenne.serving import elastic_log
from perenne.serving.counters import Counters, Gauge
from perenne.serving.ecs_log import EcsLog
from perenne.serving.event_sender import EventSender
from perenne.serving.log_rules import LogRules
from perenne.serving.model import Role
from perenne.serving.redaction import Redaction

if TYPE_CHECKING:
    import pyarrow as pa

    from perenne.net.elasticsearch import BulkSender
    from perenne.serving.model import Deployment

log = logging.getLogger("perenne.observer")

_ALL = 1 << 64


def is_sampled(request_id: str, share: float) -> bool:
    """Tell whether a request's rows are kept: by a hash of its id, so that every process and variant decides alike.

    >>> is_sampled("x", 1.0), is_sampled("x", 0.0)
    (True, False)
    """
    place = int.from_bytes(hashlib.blake2b(request_id.encode(), digest_size=8).digest())
    return place < share * _ALL


def allowed(environment: Mapping[str, str] = os.environ) -> frozenset[str]:
    """Return each `host:port` to which events may go though it is private, as `PERENNE_EVENTS_ALLOW` lists them with commas.

    >>> sorted(allowed({"PERENNE_EVENTS_ALLOW": "127.0.0.1:9000, broker.events:80"}))
    ['127.0.0.1:9000', 'broker.events:80']
    """
    return frozenset(part.strip() for part in environment.get("PERENNE_EVENTS_ALLOW", "").split(",") if part.strip())


class Outlets:
    """Carries out the log rules of a deployment.

    Parameters
    ----------
    folder, logs : Path
        The release folder, and the folder of logs.
    server : str
        Whose log it is.
    counters : Counters
        Where rows that are left out, lines and events are counted.
    """

    def __init__(self, folder: Path, logs: Path, server: str, counters: Counters) -> None:
        self._folder = folder
        self._logs = logs
        self._server = server
        self._counters = counters
        self._name = ""
        self._rules = LogRules()
        self._redaction: Redaction | None = None
        self._ecs: EcsLog | None = None
        self._sender: EventSender | None = None
        self._bulk: BulkSender | None = None

    def follow(self, deployment: "Deployment") -> None:
        """Take over the rules of a release."""
        rules = deployment.log
        if self._name == deployment.name and rules == self._rules:
            return
        self.close()
        self._name, self._rules = deployment.name, rules
        self._redaction = Redaction(rules.redact, self._folder) if rules.redact else None
        self._ecs = EcsLog(self._logs, deployment.name, self._server) if rules.ecs else None
        self._bulk = self._to_elasticsearch() if rules.elasticsearch else None
        if rules.cloudevents_url:
            from perenne.net.egress import Egress

            self._sender = EventSender(rules.cloudevents_url, rules.cloudevents_mode, Egress(allowed()), self._count_events)

    def put(self, table: "pa.Table", variant: str) -> "pa.Table":
        """Send rows where they are to go; return those that are to be logged, as they are to be logged."""
        table = self._sampled(table)
        if not table.num_rows:
            return table
        if self._redaction is not None:
            table = self._redaction.apply(table)
        if self._ecs is not None:
            refused = self._ecs.write(table, self._rules.sample)
            self._counters.add(Gauge.ECS_LINES, table.num_rows - refused)
            self._counters.add(Gauge.ECS_DROPPED, refused)
        if self._bulk is not None:
            self._bulk.put(elastic_log.documents(table, self._name, self._rules.sample))
        if self._sender is not None and variant != Role.CHALLENGER:
            self._sender.put(table, self._name)
        return table

    def close(self) -> None:
        """Finish what is written and sent."""
        if self._ecs is not None:
            self._ecs.close()
        if self._sender is not None:
            self._sender.close()
        if self._bulk is not None:
            self._bulk.close()
        self._ecs = self._sender = self._bulk = self._redaction = None
        self._name = ""

    def _sampled(self, table: "pa.Table") -> "pa.Table":
        share = self._rules.sample
        if share >= 1:
            return table
        import pyarrow as pa

        requests: list[Any] = table.column("request_id").to_pylist()
        chosen = {text for text in set(requests) if is_sampled(text, share)}
        kept = [text in chosen for text in requests]
        self._counters.add(Gauge.LEFT_OUT, kept.count(False))
        return table.filter(pa.array(kept, pa.bool_()))

    def _to_elasticsearch(self) -> "BulkSender | None":
        from perenne.net import elasticsearch

        place = elasticsearch.place_from()
        if place is None:
            log.error("rows are to go to Elasticsearch, but PERENNE_ELASTICSEARCH_URL does not say where that is")
            return None
        dead = elasticsearch.DeadLetters(self._logs / "elasticsearch" / f"{self._name}-{self._server}.ndjson")
        return elasticsearch.BulkSender(elasticsearch.Client(place).send, dead, self._count_documents)

    def _count_documents(self, kept: int, lost: int) -> None:
        self._counters.add(Gauge.INDEXED, kept)
        self._counters.add(Gauge.INDEX_LOST, lost)

    def _count_events(self, sent: int, dropped: int) -> None:
        self._counters.add(Gauge.EVENTS_SENT, sent)
        self._counters.add(Gauge.EVENTS_DROPPED, dropped)
