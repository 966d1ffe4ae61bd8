"""The job that estimates a regression's errors in one window, and holds them against its objectives."""

import msgspec

from perenne.monitoring import store
from perenne.monitoring.judge import settle
from perenne.monitoring.model import Figure
from perenne.monitoring.performance.expecting import ToEstimate, estimated
from perenne.monitoring.references import load_reference
from perenne.storage import jobs
from perenne.storage.database import Transaction
from perenne.storage.jobs import Job
from perenne.storage.workspace import Workspace


def estimate_losses(workspace: Workspace, job: Job) -> None:
    """Estimate the errors of a window; its figures and the end of the job are one transaction."""
    asked = msgspec.json.decode(job.payload, type=ToEstimate)
    with workspace.database.read() as tx:
        watch = store.find_watch(tx, asked.key.stream.deployment, asked.key.stream.version)
    figures: dict[str, Figure] = {}
    if watch is not None:
        figures = estimated(workspace, load_reference(workspace.objects, watch.reference), asked.key, asked.span_start)

    def keep(tx: Transaction) -> None:
        jobs.finish(tx, job)
        verdict = store.find_verdict(tx, asked.key)
        if watch is not None and verdict is not None and (verdict.rows, verdict.span_start) == (asked.rows, asked.span_start):
            settle(tx, watch, msgspec.structs.replace(verdict, estimated=figures), workspace.clock.now())

    workspace.database.write(keep)
