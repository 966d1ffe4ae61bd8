"""`perenne worker`: do jobs, on this machine or any other that reaches the database and the objects."""

import logging
import signal
import threading

import click

from perenne.core.clock import SECOND, parse_duration
from perenne.storage.workspace import Workspace

log = logging.getLogger("perenne.worker")


@click.command()
@click.option("--kinds", default="", help="Only these kinds of job, with commas between, such as round.run; all if not given.")
@click.option("--slots", type=click.IntRange(1, 256), default=1, show_default=True, help="How many heavy jobs at once.")
@click.option("--grace", default="30s", show_default=True, help="How long running jobs may go on after SIGTERM or Ctrl-C.")
@click.pass_obj
def worker(workspace: Workspace, kinds: str, slots: int, grace: str) -> None:
    """Take jobs and do them until told to stop.

    It needs PERENNE_DATABASE and PERENNE_OBJECTS, and no folder of a project: what was recorded is fetched. SIGTERM and Ctrl-C
    end it in good order: it takes no more jobs, and what does not end within the grace period is stopped and given back at
    once. A second signal kills what runs.

    \b
    Examples:
      perenne worker
      perenne worker --kinds round.run --slots 2
    """
    from perenne.app.wiring import Platform
    from perenne.telemetry import logs, tracing
    from perenne.telemetry.heartbeats import Heartbeat

    logs.configure("perenne-worker")
    seconds = parse_duration(grace) / SECOND
    workforce = Platform(workspace).workforce([kind.strip() for kind in kinds.split(",") if kind.strip()], slots=slots)
    told = threading.Event()

    def stop(number: int, frame: object) -> None:
        if told.is_set():
            workforce.hurry()
        else:
            told.set()
            workforce.drain(seconds)

    for number in (signal.SIGTERM, signal.SIGINT):
        signal.signal(number, stop)
    with tracing.traced_process("perenne-worker"), Heartbeat(workspace.settings.home, "worker"):
        workforce.start()
        log.info("worker waits for jobs")
        while not workforce.join(0.5):
            pass
