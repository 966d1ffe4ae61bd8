"""What each running model server says of itself, left in the spool for the control plane: what it serves, and what is wrong.

::

    spool/servers/<deployment>-<server>.json     replaced whenever something changes, and every few seconds; removed at the end
"""

import contextlib
from pathlib import Path

import msgspec

from perenne.core import json
from perenne.core.clock import SECOND
from perenne.core.errors import PerenneError
from perenne.storage.files import sweep, write_atomically

SILENT_AFTER = 30 * SECOND
FORGOTTEN_AFTER = 3600 * SECOND


class ServerStatus(msgspec.Struct, frozen=True, kw_only=True):
    """One model server.

    Attributes
    ----------
    deployment, server : str
        What it serves, and its id.
    url : str
        Where it answers.
    generation, wanted : int
        Which generation of the deployment all its ready workers serve (0 if none is ready), and which one is released.
    ready, workers : int
        How many workers are ready, of how many.
    dropped : int
        Answered rows that are not in the log.
    problem : str
        What could not be loaded; empty if nothing.
    seen : int
        When it said so, microseconds since 1970.
    signatures : dict
        What it found of the signature of each package, by digest; empty where signatures are not looked at.
    """

    deployment: str
    server: str
    url: str
    generation: int
    wanted: int
    ready: int
    workers: int
    dropped: int
    problem: str
    seen: int
    signatures: dict[str, str] = {}


def write_status(spool: Path, status: ServerStatus) -> None:
    """Leave a status. Raises OSError if the disk refuses it."""
    write_atomically(_path(spool, status.deployment, status.server), json.encode(status))


def remove_status(spool: Path, deployment: str, server: str) -> None:
    """Remove the status of a server that ends."""
    with contextlib.suppress(OSError):
        sweep(spool / "servers")
        _path(spool, deployment, server).unlink(missing_ok=True)


def read_statuses(spool: Path, deployment: str | None, now: int) -> list[ServerStatus]:
    """Read what the servers of a deployment, or all, said last; those not heard of for an hour are left out."""
    found = []
    for path in sorted((spool / "servers").glob("[!.]*.json")):
        try:
            status = json.decode(path.read_bytes(), ServerStatus, what=path.name)
        except (OSError, PerenneError):
            continue
        if deployment in (None, status.deployment) and status.seen > now - FORGOTTEN_AFTER:
            found.append(status)
    return found


def describe(status: ServerStatus, now: int) -> str:
    """Say in a few words how a server does."""
    if status.seen < now - SILENT_AFTER:
        return "silent"
    words = f"generation {status.generation} on {status.ready} of {status.workers}" if status.ready else "not ready"
    behind = f", {status.wanted} is released" if status.generation < status.wanted else ""
    return f"{words}{behind}{': ' if status.problem else ''}{status.problem}"


def _path(spool: Path, deployment: str, server: str) -> Path:
    return spool / "servers" / f"{deployment}-{server}.json"
