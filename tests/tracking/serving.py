"""A control plane by itself, without loop and workers: `python -m tests.tracking.serving PORT` says `ready` and serves."""

import asyncio
import socket
import sys

from perenne.app.control import application
from perenne.net.connections import BoundedServer, bounded_config
from perenne.storage.workspace import Workspace


def main(port: int) -> None:
    """Serve until killed."""
    with socket.socket() as listener, Workspace() as workspace:
        listener.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        listener.bind(("127.0.0.1", port))
        listener.listen(64)
        _ = workspace.database
        server = BoundedServer(bounded_config(application(workspace, port=port)))
        print("ready", flush=True)
        asyncio.run(server.serve(sockets=[listener]))


if __name__ == "__main__":
    main(int(sys.argv[1]))
