"""`perenne up`: the loop, kept going until it is told to stop."""

import logging
import signal
import socket
import sys
from typing import Any

import click

import perenne
from perenne.cli.listening import listening, listening_options
from perenne.cli.pages import show
from perenne.cli.places import place_options
from perenne.cli.terminal import paint, shows_progress
from perenne.core.errors import Unavailable
from perenne.storage.workspace import Workspace

log = logging.getLogger("perenne.control")


@click.command()
@click.option("--port", type=click.IntRange(0, 65_535), help="The control plane's port; 7373 if not given.")
@click.option("--serve-port", type=click.IntRange(0, 65_535), help="The model server's port; 7374 if not given.")
@click.option("--open", "opens", is_flag=True, help="Show the page in the browser once it answers.")
@listening_options
@click.option("--no-worker", is_flag=True, help="Do no jobs here: leave them to `perenne worker`, on this machine or others.")
@click.option("--no-serve", is_flag=True, help="Start no model servers here: they run elsewhere, such as in a cluster.")
@place_options
@click.pass_obj
def up(
    workspace: Workspace,
    /,
    port: int | None,
    serve_port: int | None,
    no_worker: bool,
    no_serve: bool,
    opens: bool,
    **where_options: Any,
) -> None:
    """Keep the loop going: page, API, scheduler, worker, and a model server for what is deployed.

    Everything listens on 127.0.0.1 unless told otherwise. Ctrl-C ends it; the next start goes on where it was.

    \b
    Examples:
      perenne up
      perenne up --open
      perenne up --port 8080 --serve-port 8081
    """
    from perenne.app.control import Background, application
    from perenne.app.serving import DeployedServers
    from perenne.app.wiring import Platform
    from perenne.auth.publishing import publish
    from perenne.net.connections import BoundedServer, bounded_config
    from perenne.net.listening import check_listening, needs_tokens
    from perenne.telemetry import logs, tracing
    from perenne.telemetry.heartbeats import Heartbeat

    logs.configure("perenne-control-plane")
    settings = workspace.settings
    where = listening(settings, where_options)
    check_listening(where, publish(workspace.database, settings.keyring, workspace.clock.now()))
    platform = Platform(workspace)
    models_port = settings.serve_port if serve_port is None else serve_port
    servers = None if no_serve else DeployedServers(workspace, models_port, where)
    background = Background(platform, servers, workers=not no_worker)
    sock = _bind(where.host, settings.port if port is None else port)
    bound: int = sock.getsockname()[1]
    app = application(workspace, port=bound, listening=where, pulse=platform.loop.pulse)
    server = BoundedServer(bounded_config(app, where))
    url, page = where.url(bound), where.page(bound)
    with (
        tracing.traced_process("perenne-control-plane"),
        Heartbeat(settings.home, "control-plane", "", url, lambda: {"page": page}),
    ):
        log.info("control plane on %s", url)
        models = None if no_serve else where.url(models_port) if models_port else ""
        greet(page, models, asks=needs_tokens(where, settings.auth))
        background.start()
        if opens and not show(page):
            log.warning("no browser can be started from here; open %s in yours", page)
        try:
            signal.signal(signal.SIGTERM, lambda *_: setattr(server, "should_exit", True))
            server.run(sockets=[sock])
        finally:
            background.stop()
            if servers is not None:
                servers.stop()


def greet(page: str, models: str | None, *, asks: bool) -> None:
    """Tell a person who watches what runs now, and what to try; in a pipe the log says where."""
    if not shows_progress():
        return
    rows = [("page", page)]
    if models is not None:
        rows.append(("models", f"{models} and the ports after it, one for each deployment" if models else "free ports"))
    tries = [
        ("perenne open", "what was made last"),
        ("perenne status", "every stage of the loop, and what needs you"),
        ("perenne token create laptop --role owner", "a token to log in with") if asks else ("perenne run", "a new version"),
    ]
    across = max(len(command) for command, _ in tries)
    lines = [
        paint(f"perenne {perenne.__version__} is up", "bold", sys.stderr),
        *(f"  {paint(name.ljust(7), 'dim', sys.stderr)} {where}" for name, where in rows),
        paint("try, in another terminal", "dim", sys.stderr),
        *(f"  {command.ljust(across)}  {paint(what, 'dim', sys.stderr)}" for command, what in tries),
        paint("Ctrl-C ends it; the next start goes on where it was", "dim", sys.stderr),
    ]
    print("\n".join(lines), file=sys.stderr)  # noqa: T201


def _bind(host: str, port: int) -> socket.socket:
    try:
        return socket.create_server((host, port), family=socket.AF_INET6 if ":" in host else socket.AF_INET, backlog=2_048)
    except OSError as error:
        raise Unavailable(
            f"port {port} on {host} cannot be listened on: {error.strerror}", code="up.port", hint="choose another with --port"
        ) from None
