"""A real registry in a process of its own: Debian's `docker-registry`, with or without passwords."""

import http.client
import socket
import subprocess
import time
from pathlib import Path
from types import TracebackType

import bcrypt

_CONFIG = """version: 0.1
log: {{level: error, accesslog: {{disabled: true}}}}
storage:
  filesystem: {{rootdirectory: {folder}/data}}
  delete: {{enabled: true}}
http: {{addr: "127.0.0.1:{port}", secret: tests{tls}}}
{auth}"""


class RegistryServer:
    def __init__(self, folder: Path, user: str = "", password: str = "", more: str = "", tls: str = "") -> None:
        with socket.socket() as free:
            free.bind(("127.0.0.1", 0))
            self.port: int = free.getsockname()[1]
        auth = more
        if user:
            hashed = bcrypt.hashpw(password.encode(), bcrypt.gensalt(4)).decode()
            (folder / "users").write_text(f"{user}:{hashed}\n")
            auth = f"auth: {{htpasswd: {{realm: tests, path: {folder}/users}}}}\n"
        config = folder / "config.yml"
        config.write_text(_CONFIG.format(folder=folder, port=self.port, auth=auth, tls=tls))
        self.address = f"127.0.0.1:{self.port}"
        self._process = subprocess.Popen(
            ["docker-registry", "serve", str(config)],
            stdout=subprocess.DEVNULL,
            stderr=subprocess.DEVNULL,
        )
        self._wait()

    def _wait(self) -> None:
        deadline = time.monotonic() + 30
        while time.monotonic() < deadline:
            try:
                connection = http.client.HTTPConnection(self.address, timeout=1)
                connection.request("GET", "/v2/")
                connection.getresponse().read()
                connection.close()
                return
            except OSError:
                assert self._process.poll() is None, "the registry did not start"
                time.sleep(0.02)
        raise AssertionError("the registry does not answer")

    def __enter__(self) -> "RegistryServer":
        return self

    def __exit__(self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None) -> None:
        self._process.terminate()
        self._process.wait(20)
