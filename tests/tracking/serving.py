"""A control plane by itself, without loop and workers: `python -m tests.tracking.serving PORT [LIMIT]` says `ready` and serves.

With a limit no file of the process may get longer, which is how a full disk feels.
"""

import asyncio
import resource
import socket
import sys

from perenne.app.control import application
from perenne.net.connections import BoundedServer, bounded_config
from perenne.storage.workspace import Workspace


def main(port: int, limit: int = 0) -> None:
    """Serve until killed."""
    with socket.socket() as listener, Workspace() as workspace:
        listener.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        listener.bind(("127.0.0.1", port))
        listener.listen(64)
        _ = workspace.database
        if limit:
            resource.setrlimit(resource.RLIMIT_FSIZE, (limit, resource.getrlimit(resource.RLIMIT_FSIZE)[1]))
        server = BoundedServer(bounded_config(application(workspace, port=port)))
        print("ready", flush=True)
        asyncio.run(server.serve(sockets=[listener]))


if __name__ == "__main__":
    main(*map(int, sys.argv[1:]))
