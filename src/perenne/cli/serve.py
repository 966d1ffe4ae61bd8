"""`perenne serve`: a model server on its own, from the release folder alone."""

import logging
import signal
import threading
from typing import Any

import click

from perenne.auth.principals import local_principal
from perenne.cli.listening import listening, listening_options
from perenne.core.errors import NotFound
from perenne.storage.workspace import Workspace

log = logging.getLogger("perenne.serving")


@click.command()
@click.argument("name")
@click.option("--port", type=click.IntRange(0, 65_535), help="Where to listen; 7374 if not given, 0 takes a free one.")
@click.option("--workers", type=click.IntRange(1, 64), default=1, show_default=True, help="Worker processes.")
@listening_options
@click.pass_obj
def serve(workspace: Workspace, /, name: str, port: int | None, workers: int, **where_options: Any) -> None:
    """Serve a deployment by its name, or a version as `name@number`, which then becomes the deployment `name`.

    Ends on Ctrl-C or SIGTERM after the last request was answered.
    """
    from perenne.auth.publishing import publish
    from perenne.net.listening import check_listening, needs_tokens
    from perenne.serving import ModelServer
    from perenne.telemetry import logs, tracing
    from perenne.telemetry.heartbeats import Heartbeat

    logs.configure("perenne-model-server")
    tracing.require()
    settings = workspace.settings
    where = listening(settings, where_options)
    check_listening(where, publish(workspace.database, settings.keyring, workspace.clock.now()))
    folder_name = _release(workspace, name)
    workspace.close()
    server = ModelServer(
        settings.releases / folder_name,
        settings.logs,
        settings.spool,
        port=settings.serve_port if port is None else port,
        workers=workers,
        where=where,
        tokens=settings.keyring if needs_tokens(where, settings.auth) else None,
        token_rate=settings.token_rate,
    )
    ended = threading.Event()
    signal.signal(signal.SIGTERM, lambda *_: ended.set())
    server.start()
    try:
        with Heartbeat(settings.home, "model-server", folder_name, server.url, server.state):
            server.wait_ready()
            log.info("%s answers on %s/v2/models/%s/infer", folder_name, server.url, folder_name)
            ended.wait()
    finally:
        server.stop()


def _release(workspace: Workspace, name: str) -> str:
    """Write the release folder and return the deployment's name; without a database, what was released last is served."""
    from perenne import registry, serving

    deployment_name = name.partition("@")[0]
    if "@" in name:
        with workspace.database.read() as tx:
            version = registry.get_version(tx, name)
            present = [item.champion.version for item in serving.service.deployments(tx, version.project)]
        if name not in present:
            workspace.database.write(
                lambda tx: serving.service.deploy(
                    tx, local_principal(), version.project, name, answer=version.fallback, reason="perenne serve"
                )
            )
        deployment_name = version.project
    try:
        with workspace.database.read() as tx:
            deployment = serving.service.get_deployment(tx, deployment_name)
    except NotFound as error:
        error.hint = "`perenne deploy list` shows deployments, `perenne model list` versions"
        raise
    serving.release(workspace, deployment)
    return deployment.name
