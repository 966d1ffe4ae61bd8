"""Where records go: a server, or the database of the workspace. The port, and what chooses its adapter."""

import os
from collections.abc import Sequence
from pathlib import Path
from typing import Protocol

import msgspec

from perenne.net.peer import checked_url
from perenne.tracking.client.records import Begin, End, Input, Metrics

MAX_METRICS, MAX_OTHERS, MAX_TOGETHER = 1_000, 100, 1_000
"""What one batch holds at most, as in MLflow's protocol: metrics, parameters and tags each, all of them."""


class Batch(msgspec.Struct, frozen=True):
    """What is logged at once."""

    metrics: Sequence[Metrics] = ()
    params: dict[str, str] = {}
    tags: dict[str, str] = {}
    inputs: Sequence[Input] = ()


class Destination(Protocol):
    """Takes what runs say. Every adapter passes `perenne.testing.DestinationContract`.

    Everything may be said twice with the effect of once. What cannot be done for the moment raises Unavailable, and is tried
    again; what is refused raises another PerenneError, and never is.
    """

    def begin(self, begin: Begin, objects: Path) -> None:
        """Make the run, with the objects its provenance names, which lie in a folder of objects."""
        ...

    def log(self, run: str, batch: Batch) -> None:
        """Keep a batch: all of it or nothing."""
        ...

    def put(self, run: str, path: str, file: Path) -> None:
        """Keep a file as an artifact of the run."""
        ...

    def end(self, run: str, end: End) -> None:
        """Close the run."""
        ...

    def find_done(self, experiment: str, fingerprint: str) -> str:
        """Return a finished run of an experiment that is the same by its fingerprint, or an empty text."""
        ...

    def close(self) -> None:
        """Let go of connections."""
        ...


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


def open_destination(url: str) -> Destination:
    """Open a server, or with an empty text the workspace of this folder."""
    if url:
        from perenne.tracking.client.server import Server

        return Server(url)
    from perenne.tracking.client.local import Local

    return Local()
