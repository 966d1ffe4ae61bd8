"""Our own traces as rows to watch: monitoring knows nothing of traces, and traces nothing of monitoring."""

from collections.abc import Iterator

from perenne import llm, monitoring, tracking
from perenne.auth.principals import local_principal
from perenne.storage.jobs import Job
from perenne.storage.workspace import Workspace

PAGE = 500
MOST = 100_000


def read_elsewhere(workspace: Workspace, job: Job) -> None:
    """Do the readings of what others serve that were due, our own traces among them."""
    monitoring.elsewhere.reading.read_job(workspace, job, lambda experiment, since: own_traces(workspace, experiment, since))


def own_traces(workspace: Workspace, experiment: str, since: int) -> "Iterator[monitoring.elsewhere.traces.TraceRow]":
    """Go through the traces of an experiment that have ended and began at an instant (milliseconds) or later, oldest first."""
    token, count = "", 0
    while count < MOST:
        with workspace.database.read() as tx:
            number = tracking.experiments.by_name(tx, local_principal(), experiment).id
            found = llm.trace_search.search(
                tx,
                local_principal(),
                experiments=[number],
                text=f"timestamp_ms >= {since}",
                order=["timestamp_ms ASC"],
                limit=PAGE,
                token=token,
            )
        for trace in found.traces:
            count += 1
            if trace.state in (llm.TraceState.OK, llm.TraceState.ERROR):
                yield _row(trace)
        token = found.token
        if not token:
            return


def _row(trace: llm.Trace) -> "monitoring.elsewhere.traces.TraceRow":
    return monitoring.elsewhere.traces.TraceRow(
        id=trace.id,
        started=trace.started,
        duration=trace.duration,
        state=trace.state.value,
        request=trace.request_preview or "",
        response=trace.response_preview or "",
        input_tokens=trace.usage.input_tokens,
        output_tokens=trace.usage.output_tokens,
    )
