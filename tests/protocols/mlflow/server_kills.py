"""Kills `perenne up` under eight clients that log. Run as a program: `server_kills.py FOLDER URL FIRST_SEED KILLS`.

Each client has a connection and logs numbered points over MLflow's protocol: a run, points one by one and many at once with a
parameter and a tag, the run's end. What was answered with 200 was acknowledged; what was under way when the server died is never
sent again. The server is killed at a moment drawn from the seed and started again on the same port. At last everything that was
acknowledged must be there, and nothing twice.
"""

import http.client
import json
import os
import random
import signal
import socket
import subprocess
import sys
import threading
import time
from pathlib import Path
from typing import Any

from tests.tracking.log_trials import AT_ONCE, check

from perenne.storage.database import Database

CLIENTS = 8
SECONDS = 1.5


class Client(threading.Thread):
    """Logs for as long as it may, and keeps in mind what was acknowledged."""

    def __init__(self, port: int, seed: str, stop: threading.Event) -> None:
        super().__init__()
        self._port, self._drawn, self._stop_all = port, random.Random(seed), stop
        self._connection = self._connect()
        self._number = 0
        self.acknowledged: list[list[str]] = []
        self.refused: list[tuple[int, bytes]] = []

    def _connect(self) -> http.client.HTTPConnection:
        return http.client.HTTPConnection("127.0.0.1", self._port, timeout=60)

    def run(self) -> None:
        """Log run after run; whatever is under way when the server goes away is let go of."""
        while not self._stop_all.is_set():
            try:
                self._log_a_run()
            except (OSError, http.client.HTTPException):
                self._connection.close()
                self._connection = self._connect()
                time.sleep(0.02)

    def _log_a_run(self) -> None:
        run = self._post("create", {"experiment_id": "0"})["run"]["info"]["run_id"]
        self.acknowledged.append(["run", run])
        for _ in range(self._drawn.randrange(2, 30)):
            first, self._number = self._number, self._number + self._drawn.choice(AT_ONCE)
            points = [{"key": "m", "value": n, "timestamp": n, "step": n} for n in range(first, self._number)]
            if len(points) == 1:
                self._post("log-metric", {"run_id": run, **points[0]})
            else:
                mark = str(self._number)
                marks = {"params": [{"key": f"p{first}", "value": mark}], "tags": [{"key": f"t{first}", "value": mark}]}
                self._post("log-batch", {"run_id": run, "metrics": points, **marks})
            self.acknowledged.append(["points", run, str(first), str(self._number)])
        self._post("update", {"run_id": run, "status": "FINISHED", "end_time": 1})
        self.acknowledged.append(["ended", run])

    def _post(self, what: str, body: dict[str, Any]) -> Any:
        headers = {"Content-Type": "application/json"}
        self._connection.request("POST", f"/api/2.0/mlflow/runs/{what}", json.dumps(body), headers)
        answer = self._connection.getresponse()
        text = answer.read()
        if answer.status != 200:
            self.refused.append((answer.status, text))
            raise http.client.HTTPException(answer.status)
        return json.loads(text)


def start(folder: Path, url: str, port: int) -> subprocess.Popen[bytes]:
    """Start the server and wait until it answers."""
    command = [sys.executable, "-m", "perenne", "up", "--port", str(port), "--serve-port", "0"]
    with (folder / "up.log").open("a") as log:
        server = subprocess.Popen(command, cwd=folder, env={**os.environ, "PERENNE_DATABASE": url}, stderr=log)
    deadline = time.monotonic() + 60
    while time.monotonic() < deadline:
        assert server.poll() is None, (folder / "up.log").read_text()
        try:
            socket.create_connection(("127.0.0.1", port), 1).close()
            return server
        except OSError:
            time.sleep(0.02)
    raise AssertionError("the server does not answer")


def main(folder: Path, url: str, first: int, kills: int) -> None:
    """Play the kills and print how many points were acknowledged."""
    with socket.create_server(("127.0.0.1", 0)) as taken:
        port = taken.getsockname()[1]
    server, stop = start(folder, url, port), threading.Event()
    clients = [Client(port, f"{first}-{number}", stop) for number in range(CLIENTS)]
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
    refused = [answer for client in clients for answer in client.refused]
    assert not refused, refused[:3]
    acknowledged = [said for client in clients for said in client.acknowledged]
    with Database.open(url) as database:
        check(database, acknowledged, first)
    print(sum(int(rest[1]) - int(rest[0]) for _, _, *rest in acknowledged if rest))


if __name__ == "__main__":
    main(Path(sys.argv[1]), sys.argv[2], int(sys.argv[3]), int(sys.argv[4]))
