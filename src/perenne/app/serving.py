"""The model servers that run beside a control plane: one for each deployment, started when there is something to serve."""

import contextlib
import logging

from perenne import serving
from perenne.auth.publishing import publish
from perenne.core.errors import Unavailable
from perenne.net.listening import LOOPBACK, Listening, needs_tokens
from perenne.serving import Deployment, ModelServer
from perenne.storage.workspace import Workspace
from perenne.telemetry.heartbeats import Heartbeat

log = logging.getLogger("perenne.serving")


class DeployedServers:
    """Starts a model server for every deployment of an installation and ends them all.

    Parameters
    ----------
    workspace : Workspace
        Whose deployments.
    first_port : int
        Where the first one listens, by name; the others follow. 0 takes free ones.
    where : Listening
        How they are reached.
    """

    def __init__(self, workspace: Workspace, first_port: int, where: Listening = LOOPBACK) -> None:
        self._workspace = workspace
        self._first_port = first_port
        self._where = where
        settings = workspace.settings
        self._tokens = settings.keyring if needs_tokens(where, settings.auth) else None
        self._servers: dict[str, ModelServer] = {}
        self._beats = contextlib.ExitStack()

    def start_missing(self) -> int:
        """Start servers for deployments that have none yet and a release to start from; return how many.

        Before that, what the servers know of tokens is brought up to date.
        """
        if self._tokens is not None:
            publish(self._workspace.database, self._tokens, self._workspace.clock.now())
        with self._workspace.database.read() as tx:
            deployments = serving.service.deployments(tx)
        missing = [deployment for deployment in deployments if self._startable(deployment)]
        for deployment in missing:
            self._servers[deployment.name] = self._start(deployment)
        return len(missing)

    def _startable(self, deployment: Deployment) -> bool:
        current = self._workspace.settings.releases / deployment.name / "current.json"
        return deployment.name not in self._servers and current.exists()

    def _start(self, deployment: Deployment) -> ModelServer:
        settings = self._workspace.settings
        port = self._first_port + len(self._servers) if self._first_port else 0
        folder = settings.releases / deployment.name
        server = ModelServer(
            folder,
            settings.logs,
            settings.spool,
            port=port,
            where=self._where,
            tokens=self._tokens,
            token_rate=settings.token_rate,
            repository=settings.repository,
        )
        server.start()
        self._beats.enter_context(Heartbeat(settings.home, "model-server", deployment.name, server.url, server.state))
        try:
            server.wait_ready()
        except Unavailable as error:  # it goes on trying with every new release
            log.error("%s does not answer: %s", deployment.name, error)
            return server
        log.info("%s answers on %s/v2/models/%s/infer", deployment.name, server.url, deployment.name)
        return server

    def stop(self) -> None:
        """Drain and end every server."""
        self._beats.close()
        for server in self._servers.values():
            server.stop()
        self._servers.clear()
