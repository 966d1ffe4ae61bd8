"""A model server for a trial: the real processes over one version, with a home of their own that goes when it ends."""

import time
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import NamedTuple

import msgspec

from perenne import serving
from perenne.registry import Version
from perenne.serving import Deployment, ModelServer, Variant
from perenne.storage.workspace import Workspace

NAME = "trial"
"""What the deployment is called: `/v2/models/trial/infer`."""


class Trial(NamedTuple):
    """A server that answers, and the seconds from its start until it did."""

    server: ModelServer
    start_seconds: float

    @property
    def workers(self) -> Mapping[str, int]:
        """The ids of the processes that answer, by name."""
        return {name: pid for name, pid in self.server.pids().items() if name.startswith("worker")}


@contextmanager
def serve_trial(workspace: Workspace, version: Version, *, workers: int = 1, timeout: float = 60.0) -> Iterator[Trial]:
    """Serve a version until the block ends: nobody hears of it, and nothing of it is kept.

    Raises
    ------
    Unavailable
        If it does not get ready.
    """
    with TemporaryDirectory(prefix="perenne-trial-", ignore_cleanup_errors=True) as home:
        settings = msgspec.structs.replace(workspace.settings, home=Path(home))
        champion = Variant(name="champion", role=serving.Role.CHAMPION, version=version.id, tree=version.tree)
        deployment = Deployment(name=NAME, project=NAME, generation=1, variants=(champion,))
        with Workspace(settings) as beside:
            folder = serving.release(beside, deployment)
        server = ModelServer(folder, settings.logs, settings.spool, workers=workers)
        began = time.perf_counter()
        with server:
            server.wait_ready(timeout)
            yield Trial(server, time.perf_counter() - began)
