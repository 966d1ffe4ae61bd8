"""Sending documents to Elasticsearch, or to what answers `_bulk` as it does: a client for one request, and a sender in a thread.

What can be tried again is tried again with growing, drawn pauses; what is refused for good lies in a file with the reason; what
finds no room is dropped and counted. A document is kept once however often it is sent, because it is created under its own id.
"""

import base64
import gzip
import json as plain_json
import logging
import os
import random
import ssl
import threading
import time
from collections import deque
from collections.abc import Callable, Mapping, Sequence
from pathlib import Path

import msgspec

from perenne.core.clock import SystemClock, format_time
from perenne.core.errors import Invalid, PerenneError, Unavailable
from perenne.formats import ecs, elastic
from perenne.formats.elastic import Answered, Document, Fate
from perenne.net.egress import Egress

log = logging.getLogger("perenne.elasticsearch")

SECONDS = 30.0
MAX_ANSWER = 16 * 1024 * 1024
MOST_WAITING = 20_000
FIRST_PAUSE, LONGEST_PAUSE = 0.5, 30.0
ATTEMPTS = 8
MAX_DEAD_FILE = 64 * 1024 * 1024


class Place(msgspec.Struct, frozen=True, kw_only=True):
    """Where Elasticsearch is, and how it is entered: by an API key, or by name and password.

    Attributes
    ----------
    allow : frozenset of str
        `host:port` that may be private, and may be asked without TLS.
    ca : str
        A file of certificates to trust.
    """

    url: str
    key: str = ""
    user: str = ""
    password: str = ""
    ca: str = ""
    allow: frozenset[str] = frozenset()


def place_from(environment: Mapping[str, str] = os.environ) -> Place | None:
    """Return where Elasticsearch is, if the environment says so.

    `PERENNE_ELASTICSEARCH_URL`, and `_KEY` or `_USER` and `_PASSWORD`, `_CA`; `PERENNE_EVENTS_ALLOW` for private hosts.

    >>> place_from({"PERENNE_ELASTICSEARCH_URL": "https://es.example.org/"}).url
    'https://es.example.org'
    """
    url = environment.get("PERENNE_ELASTICSEARCH_URL", "").rstrip("/")
    if not url:
        return None
    allowed = environment.get("PERENNE_EVENTS_ALLOW", "").split(",")
    return Place(
        url=url,
        key=environment.get("PERENNE_ELASTICSEARCH_KEY", ""),
        user=environment.get("PERENNE_ELASTICSEARCH_USER", ""),
        password=environment.get("PERENNE_ELASTICSEARCH_PASSWORD", ""),
        ca=environment.get("PERENNE_ELASTICSEARCH_CA", ""),
        allow=frozenset(part.strip() for part in allowed if part.strip()),
    )


class Client:
    """Asks Elasticsearch.

    Parameters
    ----------
    place : Place
        Where it is.
    """

    def __init__(self, place: Place) -> None:
        self._place = place
        context = ssl.create_default_context(cafile=place.ca) if place.ca else None
        self._egress = Egress(place.allow, context)

    def send(self, documents: Sequence[Document]) -> list[Answered]:
        """Send documents in one request, halved if it is too large, and return what became of each, in order.

        Raises
        ------
        Unavailable
            If nothing became of any of them and it is worth another try.
        Invalid, Denied
            If the address may not be asked, or the log-in is refused.
        """
        status, body = self._ask(b"".join(map(elastic.lines_of, documents)))
        if status == elastic.TOO_LARGE:
            if len(documents) == 1:
                return [Answered(Fate.REFUSED, status, "too large")]
            half = len(documents) // 2
            return [*self.send(documents[:half]), *self.send(documents[half:])]
        if status in elastic.AGAIN:
            raise Unavailable(f"Elasticsearch answered with status {status}", code="elastic.status", hint="it is tried again")
        if status != 200:
            hint = "PERENNE_ELASTICSEARCH_KEY, or _USER and _PASSWORD; may they write to these data streams?"
            raise Invalid(f"Elasticsearch answered with status {status}", code="elastic.status", hint=hint)
        return elastic.read_answer(body, len(documents))

    def _ask(self, lines: bytes) -> tuple[int, bytes]:
        headers = {"Content-Type": elastic.CONTENT_TYPE, "Content-Encoding": "gzip", **self._authorization()}
        packed = gzip.compress(lines, 3, mtime=0)
        with self._egress.exchange("POST", f"{self._place.url}/_bulk", packed, headers, seconds=SECONDS) as (_, answer):
            body = answer.read(MAX_ANSWER)
            return answer.status, body

    def _authorization(self) -> dict[str, str]:
        place = self._place
        if place.key:
            return {"Authorization": f"ApiKey {place.key}"}
        if place.user:
            pair = base64.b64encode(f"{place.user}:{place.password}".encode()).decode()
            return {"Authorization": f"Basic {pair}"}
        return {}


class DeadLetters:
    """A file of documents that were refused for good, a line each with the reason; at most two files of 64 MiB.

    Parameters
    ----------
    path : Path
        Where it lies.
    """

    def __init__(self, path: Path) -> None:
        self._path = path

    def keep(self, document: Document, answered: Answered) -> None:
        """Write a document down. Nothing is raised: a full disk must not stop what is sent."""
        fields = plain_json.loads(ecs.encode(document.fields))
        row = {
            "stream": document.stream,
            "id": document.id,
            "status": answered.status,
            "reason": answered.reason,
            "document": fields,
        }
        try:
            self._path.parent.mkdir(parents=True, exist_ok=True)
            if self._path.exists() and self._path.stat().st_size >= MAX_DEAD_FILE:
                os.replace(self._path, self._path.with_suffix(".1.ndjson"))
            stream = os.open(self._path, os.O_WRONLY | os.O_CREAT | os.O_APPEND, 0o640)
            try:
                os.write(stream, msgspec.json.encode({"at": format_time(SystemClock().now()), **row}) + b"\n")
            finally:
                os.close(stream)
        except OSError as error:
            log.error("a document that was refused cannot be written down: %s", error.strerror)


class BulkSender:
    """Sends documents in a thread.

    Parameters
    ----------
    send : callable
        Sends some documents and tells what became of each; `Client.send`.
    dead : DeadLetters
        Where those lie that are refused for good.
    count : callable
        Is told how many were kept, and how many are lost: refused, or dropped because there was no room.
    most : int
        How many may wait.
    pause : float
        Seconds before the first of several tries is repeated.
    """

    def __init__(
        self,
        send: Callable[[Sequence[Document]], list[Answered]],
        dead: DeadLetters,
        count: Callable[[int, int], None],
        *,
        most: int = MOST_WAITING,
        pause: float = FIRST_PAUSE,
    ) -> None:
        self._send, self._dead, self._count, self._most, self._pause = send, dead, count, most, pause
        self._waiting: deque[tuple[Document, int]] = deque()
        self._changed = threading.Condition()
        self._closed = False
        self._until = float("inf")
        self._failures = 0
        self._thread = threading.Thread(target=self._run, name="perenne-elasticsearch", daemon=True)
        self._thread.start()

    def put(self, documents: Sequence[Document]) -> None:
        """Queue documents; those that find no room are dropped and counted."""
        with self._changed:
            room = max(0, self._most - len(self._waiting))
            self._waiting.extend((document, 1) for document in documents[:room])
            self._changed.notify()
        if len(documents) > room:
            self._count(0, len(documents) - room)

    def close(self, seconds: float = 5.0) -> None:
        """Send what waits, for so long; drop and count the rest."""
        with self._changed:
            self._closed = True
            self._until = time.monotonic() + seconds
            self._changed.notify()
        self._thread.join(seconds)
        with self._changed:
            self._count(0, len(self._waiting))
            self._waiting.clear()

    def _run(self) -> None:
        while True:
            with self._changed:
                while not self._waiting and not self._closed:
                    self._changed.wait()
                if not self._waiting:
                    return
                taken = [self._waiting.popleft() for _ in range(min(len(self._waiting), elastic.MOST_DOCUMENTS))]
            again = self._try(taken)
            if not again:
                self._failures = 0
                continue
            with self._changed:
                self._waiting.extendleft(reversed(again))
                pause = min(LONGEST_PAUSE, self._pause * 2 ** min(self._failures, 10)) * random.uniform(0.5, 1.0)
                self._failures += 1
                self._changed.wait(min(pause, max(0.0, self._until - time.monotonic())))
                if time.monotonic() >= self._until:
                    return

    def _try(self, taken: list[tuple[Document, int]]) -> list[tuple[Document, int]]:
        """Send what was taken; return what is to be sent again, each with which try that will be."""
        tries = {document.id: attempt for document, attempt in taken}
        again: list[tuple[Document, int]] = []
        for portion in elastic.portions([document for document, _ in taken]):
            try:
                answers = self._send(portion)
            except PerenneError as error:
                if not self._failures:
                    log.error("documents cannot be sent: %s", error.message)
                fate = Fate.AGAIN if isinstance(error, Unavailable) else Fate.REFUSED
                answers = [Answered(fate, 0, error.message)] * len(portion)
            again += self._settle(portion, answers, tries)
        return again

    def _settle(
        self, portion: Sequence[Document], answers: Sequence[Answered], tries: Mapping[str, int]
    ) -> list[tuple[Document, int]]:  # fmt: skip
        again, kept, lost = [], 0, 0
        for document, answered in zip(portion, answers, strict=True):
            attempt = tries[document.id]
            if answered.fate is Fate.KEPT:
                kept += 1
            elif answered.fate is Fate.AGAIN and attempt < ATTEMPTS:
                again.append((document, attempt + 1))
            else:
                lost += 1
                self._dead.keep(document, answered)
        self._count(kept, lost)
        return again
