"""A run of a pipeline as a trace: one span for the run, one below it for each execution of a step."""

from collections.abc import Callable

from perenne.pipelines.model import Failed, Finished, Planned, Started, StepEvent
from perenne.telemetry import tracing
from perenne.telemetry.tracing import Span

Listener = Callable[[StepEvent], None]


def followed(run: Span, on_event: Listener | None) -> Listener | None:
    """Return a listener that makes spans of what it hears and passes it on; the very same one if nothing is traced."""
    return StepSpans(run, on_event).hear if tracing.is_on() else on_event


class StepSpans:
    """Hears the events of one run.

    Parameters
    ----------
    run : Span
        Of the run; the steps' spans lie below it, whichever thread tells of them.
    on_event : callable, optional
        Hears them after this.
    """

    def __init__(self, run: Span, on_event: Listener | None) -> None:
        self._run = run
        self._next = on_event
        self._open: dict[str, Span] = {}

    def hear(self, event: StepEvent) -> None:
        """Take an event."""
        match event:
            case Planned(run, _, steps, hits):
                self._run.set("perenne.pipeline.run", run)
                self._run.set("perenne.pipeline.steps", steps)
                self._run.set("perenne.pipeline.hits", hits)
            case Started(step, attempt):
                self._open[step] = tracing.begin(
                    f"step {_name(step)}", {"perenne.step": step, "perenne.attempt": attempt}, self._run
                )
            case Finished(step):
                self._end(step)
            case Failed(step, error):
                self._end(step, error)
        if self._next is not None:
            self._next(event)

    def _end(self, step: str, error: str = "") -> None:
        span = self._open.pop(step, None)
        if span is None:
            return
        if error:
            span.fail("step.failed", error)
        span.end()


def _name(step: str) -> str:
    """Return the function's name: a further call of it is `fit#2`, an item of a map `clean[3]`."""
    return step.partition("#")[0].partition("[")[0]
