"""`perenne up`: the loop, kept going until it is told to stop."""

import logging
import signal

import click

from perenne.cli.places import place_options
from perenne.storage.workspace import Workspace

log = logging.getLogger("perenne.control")


@click.command()
@click.option("--port", type=click.IntRange(0, 65_535), help="Where the control plane listens on loopback; 7373 if not given.")
@click.option("--serve-port", type=click.IntRange(0, 65_535), help="Where the model server listens; 7374 if not given.")
@click.option("--no-worker", is_flag=True, help="Do no jobs here: leave them to `perenne worker`, on this machine or others.")
@place_options
@click.pass_obj
def up(workspace: Workspace, port: int | None, serve_port: int | None, no_worker: bool) -> None:
    """Keep the loop going: API, scheduler, worker, and a model server for what is deployed.

    Everything listens on 127.0.0.1. Ctrl-C ends it; the next start goes on where it was.
    """
    import uvicorn

    from perenne.app.control import Background, application
    from perenne.app.serving import DeployedServers
    from perenne.app.wiring import Platform
    from perenne.net.connections import BoundedServer, bounded_config
    from perenne.telemetry import logs, tracing
    from perenne.telemetry.heartbeats import Heartbeat

    logs.configure("perenne-control-plane")
    settings = workspace.settings
    platform = Platform(workspace)
    servers = DeployedServers(workspace, settings.serve_port if serve_port is None else serve_port)
    background = Background(platform, servers, workers=not no_worker)
    port = settings.port if port is None else port
    sock = uvicorn.Config(lambda: None, host="127.0.0.1", port=port, log_config=None).bind_socket()
    bound: int = sock.getsockname()[1]
    server = BoundedServer(bounded_config(application(workspace, port=bound, pulse=platform.loop.pulse)))
    url = f"http://127.0.0.1:{bound}"
    with tracing.traced_process("perenne-control-plane"), Heartbeat(settings.home, "control-plane", address=url):
        log.info("control plane on %s", url)
        background.start()
        try:
            signal.signal(signal.SIGTERM, lambda *_: setattr(server, "should_exit", True))
            server.run(sockets=[sock])
        finally:
            background.stop()
            servers.stop()
