"""Kills `perenne up` under clients that send spans. Run as a program: `span_kills.py FOLDER URL FIRST_SEED KILLS`.

Each client sends traces in parts, as their spans end, and describes each at its end, as MLflow's client does. What the server
did not answer is sent again, as exporters do: it may have been kept or not. At last every span that was acknowledged is there,
and no token is counted twice.
"""

import http.client
import json
import random
import signal
import socket
import sys
import threading
import time
from pathlib import Path
from typing import Any

from tests.formats.test_otlp import request_of
from tests.llm.spans import span, using
from tests.protocols.mlflow.server_kills import start

from perenne.auth.principals import local_principal
from perenne.formats.otlp import Batch
from perenne.llm import traces
from perenne.storage.database import Database

CLIENTS = 4
SECONDS = 1.5


class Client(threading.Thread):
    """Sends for as long as it may, and keeps in mind which spans of which trace were acknowledged."""

    def __init__(self, port: int, number: int, seed: int, stop: threading.Event) -> None:
        super().__init__()
        self._port, self._number, self._drawn, self._stop_all = port, number, random.Random(f"{seed}-{number}"), stop
        self._connection = self._connect()
        self.acknowledged: dict[str, set[int]] = {}
        self.refused: list[tuple[int, bytes]] = []

    def _connect(self) -> http.client.HTTPConnection:
        return http.client.HTTPConnection("127.0.0.1", self._port, timeout=60)

    def run(self) -> None:
        """Send trace after trace."""
        count = 0
        while not self._stop_all.is_set():
            count += 1
            self._send_a_trace(f"{self._number + 1:08x}{count:024x}")

    def _send_a_trace(self, identity: str) -> None:
        spans = [*range(2, self._drawn.randrange(3, 12)), 1]
        while spans:
            part, spans = spans[:3], spans[3:]
            sent = [span(number, 0 if number == 1 else 1, trace=identity, attributes=using(number)) for number in part]
            body = request_of([Batch({}, sent)]).SerializeToString()
            headers = {"Content-Type": "application/x-protobuf", "x-mlflow-experiment-id": "0"}
            if not self._post("/v1/traces", body, headers):
                return
            self.acknowledged.setdefault(f"tr-{identity}", set()).update(part)
        place = {"type": "MLFLOW_EXPERIMENT", "mlflow_experiment": {"experiment_id": "0"}}
        info = {"trace_id": f"tr-{identity}", "trace_location": place, "request_time": "2026-01-01T00:00:00Z", "state": "OK"}
        self._post("/api/3.0/mlflow/traces", json.dumps({"trace": {"trace_info": info}}).encode(), {})

    def _post(self, path: str, body: bytes, headers: dict[str, str]) -> bool:
        """Send until it is answered or the end has come; tell whether it was taken."""
        while not self._stop_all.is_set():
            try:
                self._connection.request("POST", path, body, {"Content-Type": "application/json"} | headers)
                answer = self._connection.getresponse()
                text = answer.read()
            except (OSError, http.client.HTTPException):
                self._connection.close()
                self._connection = self._connect()
                time.sleep(0.02)
                continue
            if answer.status != 200:
                self.refused.append((answer.status, text))
            return answer.status == 200
        return False


def check(database: Database, acknowledged: dict[str, set[int]]) -> int:
    """Check that every span is there, once, and return how many there are."""
    total = 0
    with database.read() as tx:
        for identity, numbers in acknowledged.items():
            found = traces.get(tx, local_principal(), identity)
            spans = traces.complete_spans(tx, [found], partial=True)[identity]
            there = [int(one.span_id, 16) for one in spans]
            assert len(there) == len(set(there)) == found.spans, (identity, there)
            assert numbers <= set(there), (identity, numbers, there)
            tokens = [1] if 1 in there else there  # the root tells for those below it
            assert found.usage.input_tokens == sum(tokens), (identity, found.usage, there)
            total += len(there)
    return total


def main(folder: Path, url: str, first: int, kills: int) -> None:
    """Play the kills and print how many spans there are."""
    with socket.create_server(("127.0.0.1", 0)) as taken:
        port = taken.getsockname()[1]
    server, stop = start(folder, url, port), threading.Event()
    clients = [Client(port, number, first, stop) for number in range(CLIENTS)]
    try:
        for client in clients:
            client.start()
        for seed in range(first, first + kills):
            time.sleep(random.Random(seed).uniform(0.1, SECONDS))
            server.kill()
            assert server.wait() == -signal.SIGKILL
            server = start(folder, url, port)
        time.sleep(0.5)
    finally:
        stop.set()
        for client in clients:
            client.join()
        server.kill()
        server.wait()
    refused: list[Any] = [answer for client in clients for answer in client.refused]
    assert not refused, refused[:3]
    with Database.open(url) as database:
        print(sum(check(database, client.acknowledged) for client in clients))


if __name__ == "__main__":
    main(Path(sys.argv[1]), sys.argv[2], int(sys.argv[3]), int(sys.argv[4]))
