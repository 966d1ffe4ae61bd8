"""A real control plane on a free port of loopback, in a thread of the test's process."""

import socket
import threading
import time
from collections.abc import Iterator
from contextlib import contextmanager

from perenne.app.control import application
from perenne.net.connections import BoundedServer, bounded_config
from perenne.storage.workspace import Workspace

START_SECONDS = 20.0


@contextmanager
def control_plane(workspace: Workspace) -> Iterator[str]:
    """Run the control plane of a workspace; gives its address."""
    sock = socket.create_server(("127.0.0.1", 0))
    port: int = sock.getsockname()[1]
    server = BoundedServer(bounded_config(application(workspace, port=port)))
    thread = threading.Thread(target=server.run, kwargs={"sockets": [sock]}, daemon=True)
    thread.start()
    deadline = time.monotonic() + START_SECONDS
    while not server.started:
        assert time.monotonic() < deadline, "the control plane did not start"
        time.sleep(0.01)
    try:
        yield f"http://127.0.0.1:{port}"
    finally:
        server.should_exit = True
        thread.join(START_SECONDS)
        assert not thread.is_alive(), "the control plane did not end"
