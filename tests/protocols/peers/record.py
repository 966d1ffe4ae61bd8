"""Write down what real clients send: `python -m tests.protocols.peers.record`; PERENNE_MLFLOW and PERENNE_KSERVE name Pythons.

Each client talks to a model server through a relay, which keeps the requests and with which status they were answered.
"""

import base64
import json
import os
import socket
import subprocess
import sys
import tempfile
import threading
from pathlib import Path
from typing import Any

from tests.serving.packages import ReleaseFolder, made_packages

from perenne.serving import ModelServer

HERE = Path(__file__).parent
RECORDED = HERE / "recorded.json"
KEPT = ("content-type", "content-encoding", "accept-encoding", "inference-header-content-length")
PYTHONS = {
    "tritonclient_http": sys.executable,
    "mlflow_scoring": os.environ.get("PERENNE_MLFLOW", ""),
    "kserve_rest": os.environ.get("PERENNE_KSERVE", ""),
}


class Relay:
    """Passes bytes on to a server and keeps the requests among them."""

    def __init__(self, port: int) -> None:
        self._target = port
        self._listener = socket.create_server(("127.0.0.1", 0))
        self.port: int = self._listener.getsockname()[1]
        self.requests: list[dict[str, Any]] = []
        threading.Thread(target=self._accept, daemon=True).start()

    def _accept(self) -> None:
        while True:
            client, _ = self._listener.accept()
            threading.Thread(target=self._serve, args=(client,), daemon=True).start()

    def _serve(self, client: socket.socket) -> None:
        stream = client.makefile("rb")
        with socket.create_connection(("127.0.0.1", self._target)) as server:
            answers = server.makefile("rb")
            while line := stream.readline():
                head = self._head(stream)
                body = stream.read(int(head.get("content-length", 0)))
                sent = dict(head)
                head["host"] = f"127.0.0.1:{self._target}"
                lines = "".join(f"{name}: {value}\r\n" for name, value in head.items())
                server.sendall(line + lines.encode() + b"\r\n" + body)
                status, reply = answers.readline(), self._head(answers)
                self._keep(line.decode().split(), sent, body, int(status.split()[1]))
                text = "".join(f"{name}: {value}\r\n" for name, value in reply.items())
                client.sendall(status + text.encode() + b"\r\n" + answers.read(int(reply["content-length"])))
        client.close()

    def _head(self, stream: Any) -> dict[str, str]:
        head: dict[str, str] = {}
        while (line := stream.readline().decode("latin-1").strip()) != "":
            name, _, value = line.partition(":")
            head[name.lower()] = value.strip()
        return head

    def _keep(self, line: list[str], head: dict[str, str], body: bytes, status: int) -> None:
        headers = {name: head[name] for name in KEPT if name in head}
        text = base64.b64encode(body).decode()
        self.requests.append({"method": line[0], "path": line[1], "headers": headers, "body": text, "status": status})


def main() -> None:
    """Let each client talk, and write what it sent."""
    recorded = json.loads(RECORDED.read_text()) if RECORDED.exists() else {}
    with tempfile.TemporaryDirectory() as folder:
        release = ReleaseFolder(Path(folder) / "release")
        release.write(release.add(made_packages()["first"], 1))
        with ModelServer(release.folder, Path(folder) / "logs", Path(folder) / "spool") as server:
            server.wait_ready()
            for program, python in PYTHONS.items():
                if Path(python).is_file():
                    relay = Relay(server.port)
                    command = [python, str(HERE / f"{program}.py"), f"http://127.0.0.1:{relay.port}"]
                    subprocess.run(command, check=True)
                    recorded[program] = relay.requests
    RECORDED.write_text(json.dumps(recorded, indent=1) + "\n")


if __name__ == "__main__":
    main()
