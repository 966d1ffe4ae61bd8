"""Where records go: a server, or the database of the workspace.

Both take the same: `begin`, `log`, `put`, `end`, and `find_done`. Everything may be said twice with the effect of once. What
cannot be done for the moment raises Unavailable, and is tried again; what is refused raises another PerenneError, and never is.
"""

import os
from typing import TYPE_CHECKING, TypeAlias

from perenne.core.config import Settings
from perenne.net.peer import checked_url

if TYPE_CHECKING:
    from perenne.tracking.client.local import Local
    from perenne.tracking.client.server import Server

Destination: TypeAlias = "Server | Local"


def configured() -> str:
    """Return the URL of the server that the environment names; empty for the database of the workspace.

    `PERENNE_URL`, else `MLFLOW_TRACKING_URI` if it is a server's.

    Raises
    ------
    Invalid
        If `PERENNE_URL` is no URL of a server.
    """
    if url := os.environ.get("PERENNE_URL", ""):
        return checked_url(url)
    other = os.environ.get("MLFLOW_TRACKING_URI", "")
    return checked_url(other) if other.startswith(("http://", "https://")) else ""


def open_destination(url: str, settings: Settings) -> Destination:
    """Open a server, or with an empty text the workspace."""
    if url:
        from perenne.tracking.client.server import Server

        return Server(url)
    from perenne.tracking.client.local import Local

    return Local(settings)
