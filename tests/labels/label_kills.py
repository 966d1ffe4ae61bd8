"""Kills `perenne up` under people who label. Run as a program: `label_kills.py FOLDER URL FIRST_SEED KILLS`.

Each labeller takes items and labels them over REST. What was answered with 201 was acknowledged; what was under way when the
server died is sent again under the same request. At last every acknowledged label must be there, and each request once. (They are
windows of the same person, who is alone on loopback: two of them may have the same item.)
"""

import http.client
import json
import random
import signal
import socket
import sys
import threading
import time
import uuid
from collections import Counter
from pathlib import Path
from typing import Any

import sqlalchemy as sa
from tests.labels.people import ADA, filled, rows
from tests.protocols.mlflow.server_kills import start

from perenne.core.config import load_settings
from perenne.labels import queues, store
from perenne.storage.database import Database
from perenne.storage.workspace import Workspace

LABELLERS = 3
ITEMS = 4_000
SECONDS = 0.8


class Labeller(threading.Thread):
    """Labels until told to stop, and keeps in mind what was acknowledged."""

    def __init__(self, port: int, stop: threading.Event) -> None:
        super().__init__()
        self._port, self._stop_all = port, stop
        self._connection = http.client.HTTPConnection("127.0.0.1", port, timeout=60)
        self.acknowledged: dict[str, str] = {}
        self.refused: list[tuple[int, bytes]] = []

    def run(self) -> None:
        while not self._stop_all.is_set():
            for item in self._asked("next", {"count": 5})["items"]:
                request = uuid.uuid4().hex
                self._asked("labels", {"labels": [{"item": item["item"], "value": "yes", "request": request}]})
                self.acknowledged[request] = item["item"]

    def _asked(self, what: str, body: dict[str, Any]) -> Any:
        """Ask until there is an answer: a server that is away is asked again for the very same."""
        while True:
            try:
                headers = {"Content-Type": "application/json"}
                self._connection.request("POST", f"/api/label/late/{what}", json.dumps(body), headers)
                answer = self._connection.getresponse()
                text = answer.read()
            except (OSError, http.client.HTTPException):
                self._connection.close()
                self._connection = http.client.HTTPConnection("127.0.0.1", self._port, timeout=60)
                time.sleep(0.02)
                continue
            if answer.status not in (200, 201):
                self.refused.append((answer.status, text))
                raise AssertionError(text)
            return json.loads(text)


def check(url: str, labellers: list[Labeller]) -> int:
    with Database.open(url) as database, database.read() as tx:
        kept = [(row.request, row.item) for row in tx.execute(sa.select(store.label.c.request, store.label.c.item))]
        progress = queues.progress(tx, ADA, "late")
    times = Counter(request for request, _ in kept)
    acknowledged = {request: item for each in labellers for request, item in each.acknowledged.items()}
    lost = set(acknowledged.items()) - set(kept)
    assert not lost, f"lost: {len(lost)}"
    assert max(times.values()) == 1, "a label was kept twice"
    assert len(kept) - len(acknowledged) <= len(labellers), "more was kept than was ever under way"
    assert progress.done == len({item for _, item in kept})
    return len(acknowledged)


def main(folder: Path, url: str, first: int, kills: int) -> None:
    """Play the kills and print how many labels were acknowledged."""
    import msgspec

    settings = msgspec.structs.replace(load_settings(folder, {}), database=url)
    settings.home.mkdir(parents=True, exist_ok=True)
    with Workspace(settings) as workspace:
        filled(workspace, rows(ITEMS))
    with socket.create_server(("127.0.0.1", 0)) as taken:
        port = taken.getsockname()[1]
    server, stop = start(folder, url, port), threading.Event()
    labellers = [Labeller(port, stop) for _ in range(LABELLERS)]
    try:
        for labeller in labellers:
            labeller.start()
        for seed in range(first, first + kills):
            time.sleep(random.Random(seed).uniform(0.1, SECONDS))
            server.kill()
            assert server.wait() == -signal.SIGKILL
            server = start(folder, url, port)
        time.sleep(0.3)
    finally:
        stop.set()
        for labeller in labellers:
            labeller.join()
        server.kill()
        server.wait()
    refused = [answer for labeller in labellers for answer in labeller.refused]
    assert not refused, refused[:3]
    print(check(url, labellers))


if __name__ == "__main__":
    main(Path(sys.argv[1]), sys.argv[2], int(sys.argv[3]), int(sys.argv[4]))
