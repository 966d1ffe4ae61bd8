"""`perenne serve`: a model server on its own, from the release folder alone."""

import logging
import os
import queue
import signal
import threading
from pathlib import Path
from typing import TYPE_CHECKING, Any

import click

from perenne.auth.principals import local_principal
from perenne.cli.listening import listening, listening_options
from perenne.core.errors import NotFound, PerenneError, Unavailable
from perenne.storage.workspace import Workspace

if TYPE_CHECKING:
    from perenne.serving import ModelServer

LEAVE, RESTART = "leave", "restart"
log = logging.getLogger("perenne.serving")


@click.command()
@click.argument("name")
@click.option("--port", type=click.IntRange(0, 65_535), help="Where to listen; 7374 if not given, 0 takes a free one.")
@click.option("--workers", type=click.IntRange(0, 64), default=1, show_default=True, help="Worker processes; 0 for one a core.")
@click.option(
    "--memory", type=click.IntRange(64, 1 << 20), metavar="MB", help="Replace a process that holds more, before it fails."
)
@click.option("--offline", is_flag=True, help="Serve what was released last; open neither database nor object store.")
@click.option("--take-over", is_flag=True, help="Replace the server that runs at the port, without a lost request.")
@click.option("--name", "called", default="", help="Of a file: what callers call it; its own name if not given.")
@click.option("--example", type=click.Path(path_type=Path), help="Of a file: a table of real rows to prove its forms on.")
@click.option("--trust", multiple=True, metavar="DIGEST", help="Of a file or a logged version: vouch for code in it.")
@listening_options
@click.pass_obj
def serve(
    workspace: Workspace,
    /,
    name: str,
    port: int | None,
    workers: int,
    memory: int | None,
    offline: bool,
    take_over: bool,
    called: str,
    example: Path | None,
    trust: tuple[str, ...],
    **where_options: Any,
) -> None:
    """Serve a deployment by its name, a version as `name@number`, or a model's file.

    A version becomes the deployment of its project. A file (.onnx, .ubj, .json, .txt, .skops, a folder that MLflow logged) is
    served as it is, without anything being registered; a pickle only with --trust and its digest.

    Ends on Ctrl-C or SIGTERM after the last request was answered; SIGHUP replaces the workers one by one.

    \b
    Examples:
      perenne serve churn
      perenne serve churn@3 --port 0
      perenne serve churn --take-over
      perenne serve model.onnx --port 0
      perenne serve model.ubj --example rows.csv --name churn
    """
    from perenne import serving
    from perenne.net.listening import check_listening, needs_tokens
    from perenne.telemetry import logs, tracing

    logs.configure("perenne-model-server")
    tracing.require()
    settings = workspace.settings
    where = listening(settings, where_options)
    is_file = _may_be_file(name) and serving.service.is_model_file(name)
    check_listening(where, _valid_tokens(workspace, offline or (is_file and not _is_there(workspace))))
    if is_file:
        folder = _release_file(workspace, Path(name), called, example, trust)
    else:
        folder = settings.releases / (name if offline else _release(workspace, name, example, trust))
    workspace.close()
    port = settings.serve_port if port is None else port
    before = serving.find_predecessor(folder, port) if take_over else None
    server = serving.ModelServer(
        folder,
        folder / "logs" if is_file else settings.logs,
        folder / "spool" if is_file else settings.spool,
        port=port,
        workers=workers or len(os.sched_getaffinity(0)),
        where=where,
        tokens=settings.keyring if needs_tokens(where, settings.auth) else None,
        token_rate=settings.token_rate,
        repository=settings.repository,
        memory_bytes=(memory or 0) * 1_000_000,
        listening=None if before is None else before.listening,
    )
    _run(server, settings.home, folder.name, before)


def _run(server: "ModelServer", home: Path, name: str, before: Any) -> None:
    """Serve until the process is told to go."""
    from perenne.telemetry.heartbeats import Heartbeat

    orders: queue.SimpleQueue[str] = queue.SimpleQueue()
    signal.signal(signal.SIGTERM, lambda *_: orders.put(LEAVE))
    signal.signal(signal.SIGHUP, lambda *_: orders.put(RESTART))
    server.start()
    try:
        with Heartbeat(home, "model-server", name, server.url, server.state):
            server.wait_ready()
            if before is not None:
                before.let_go()
            server.wait_for_successor(lambda: orders.put(LEAVE))
            if problem := server.problem():
                log.warning("%s", problem)
            log.info("%s answers on %s/v2/models/%s/infer", name, server.url, name)
            while orders.get() == RESTART:
                threading.Thread(target=_restart, args=(server,), daemon=True).start()
    finally:
        server.stop()


def _restart(server: "ModelServer") -> None:
    try:
        server.restart_workers()
        log.info("the workers have been replaced")
    except Unavailable as error:
        log.warning("%s", error.message)


def _valid_tokens(workspace: Workspace, offline: bool) -> int:
    """Write the tokens where the server reads them, and count those that are valid; without a database, those of last time."""
    from perenne.auth.keyring import count_valid

    keyring = workspace.settings.keyring
    if offline:
        return count_valid(keyring)
    from perenne.auth.publishing import publish

    try:
        return publish(workspace.database, keyring, workspace.clock.now())
    except Unavailable as error:
        log.warning("%s; the tokens of last time are valid", error.message)
        return count_valid(keyring)


def _may_be_file(name: str) -> bool:
    """Tell whether it is worth a closer look, which costs half a second: what loads a release folder is spared it."""
    return os.sep in name or bool(Path(name).suffix) or Path(name).exists()


def _is_there(workspace: Workspace) -> bool:
    """Tell whether there is a database already: serving a file makes none."""
    url = workspace.settings.database
    return not url.startswith("sqlite:///") or Path(url.removeprefix("sqlite:///")).exists()


def _release_file(workspace: Workspace, path: Path, name: str, example: Path | None, trust: tuple[str, ...]) -> Path:
    """Package a file and return its release folder; that somebody vouched for code goes into the audit trail, if there is one."""
    from perenne import serving
    from perenne.auth import audit
    from perenne.serving.commands import tell

    served = serving.service.release_file(
        path, workspace.settings.home / "served", name=name, rows=example, trusted=frozenset(trust), on_progress=tell
    )
    packaged = served.packaged
    for note in packaged.notes if packaged else ():
        tell(note)
    if packaged is not None and packaged.trust and _is_there(workspace):
        after = {"trust": packaged.trust, "version": served.version}
        workspace.database.write(lambda tx: audit.record(tx, local_principal(), "trust.file", "file", path.name, after=after))
    return served.folder


def _release(workspace: Workspace, name: str, example: Path | None, trust: tuple[str, ...]) -> str:
    """Write the release folder and return the deployment's name; if that cannot be, what was released last is served."""
    deployment_name = name.partition("@")[0]
    try:
        return _release_now(workspace, name, deployment_name, example, trust)
    except PerenneError as error:
        if "@" in name or not (workspace.settings.releases / deployment_name / "current.json").exists():
            raise
        log.warning("%s; what was released last is served", error.message)
        return deployment_name


def _release_now(workspace: Workspace, name: str, deployment_name: str, example: Path | None, trust: tuple[str, ...]) -> str:
    from perenne import registry, serving
    from perenne.serving.commands import prepare

    if "@" in name:
        with workspace.database.read() as tx:
            version = registry.get_version(tx, name)
            present = [item.champion.version for item in serving.service.deployments(tx, version.project)]
        if name not in present:
            prepare(workspace, name, example=example, trust=trust, reason="perenne serve")
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
