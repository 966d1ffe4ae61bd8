"""Moto's S3 on loopback, in threads of this process: real requests over real sockets, objects in memory.

Stopping and starting it again keeps the objects and the port, as a restart of a real one would.
"""

import logging
import os
import socket
from collections.abc import Mapping
from typing import Any

from perenne.core.ids import new_id

KEY, SECRET = "AKIDOFTHETESTS", "secret-of-the-tests"
ACCOUNT = "123456789012"


class S3Server:
    """A server on a free port of 127.0.0.1."""

    def __init__(self) -> None:
        with socket.create_server(("127.0.0.1", 0)) as free:
            self.port = free.getsockname()[1]
        self._server: Any = None
        self.start()

    @property
    def endpoint(self) -> str:
        return f"http://127.0.0.1:{self.port}"

    @property
    def environment(self) -> Mapping[str, str]:
        """What a client must find in its environment, and nothing else that begins with AWS."""
        return {
            "AWS_ACCESS_KEY_ID": KEY,
            "AWS_SECRET_ACCESS_KEY": SECRET,
            "AWS_REGION": "us-east-1",
            "AWS_ENDPOINT_URL": self.endpoint,
        }

    def child_environment(self, **more: str) -> dict[str, str]:
        """The environment of a child process: this one's, with this server's settings and no other of AWS."""
        kept = {name: value for name, value in os.environ.items() if not name.startswith("AWS_")}
        return {**kept, **self.environment, **more}

    def start(self) -> None:
        from moto.server import ThreadedMotoServer

        logging.getLogger("werkzeug").setLevel(logging.ERROR)
        self._server = ThreadedMotoServer("127.0.0.1", self.port, verbose=False)
        self._server.start()

    def stop(self) -> None:
        self._server.stop()

    def make_bucket(self) -> str:
        name = f"test-{new_id().lower()}"
        self.backend.create_bucket(name, "us-east-1")
        return name

    def drop_bucket(self, name: str) -> None:
        bucket = self.backend.buckets.pop(name)
        for key in bucket.keys.values():
            key.dispose()

    @property
    def backend(self) -> Any:
        """Moto's own state, for what the protocol cannot do or would do slowly."""
        from moto.backends import get_backend

        return get_backend("s3")[ACCOUNT]["aws"]
