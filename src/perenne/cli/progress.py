"""Work in hand, on stderr: a moving line with the time so far on a terminal, one plain line a step elsewhere."""

import sys
from types import TracebackType
from typing import TYPE_CHECKING, Any

from perenne.core.clock import SECOND, format_duration

if TYPE_CHECKING:
    from perenne.pipelines import StepEvent

_TITLES = {
    "describe": "data: profile",
    "check": "data: hold against the schema",
    "validate": "data: validate",
    "plan": "train: plan columns and split",
    "fit": "train: fit a candidate",
    "choose": "train: choose the best",
    "build": "train: compile and prove parity",
    "evaluate": "review: evaluate and time the compiled form",
}


def _title(step: str) -> str:
    """Return what people call a step; an empty text for one they need not hear of."""
    name, _, number = step.partition("#")
    title = _TITLES.get(name, "")
    return f"{title} {number}" if title and number else title


class RoundProgress:
    """Shows the steps of a round as they start and end; use as a context manager and pass `hear` on."""

    def __init__(self) -> None:
        self._status: Any = None

    def __enter__(self) -> "RoundProgress":
        if sys.stderr.isatty():
            from rich.console import Console

            self._status = Console(stderr=True).status("starting …")
            self._status.start()
        return self

    def __exit__(self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None) -> None:
        if self._status is not None:
            self._status.stop()

    def hear(self, event: "StepEvent") -> None:
        """Show one event of the pipeline."""
        from perenne.pipelines import Failed, Finished, Started

        match event:
            case Started(step) if (title := _title(step)) and self._status is not None:
                self._status.update(f"{title} …")
            case Finished(step, seconds) if title := _title(step):
                self._say(f"{title}  {format_duration(int(seconds * SECOND))}")
            case Failed(step, error) if title := _title(step):
                self._say(f"{title}  failed: {error}")

    def _say(self, text: str) -> None:
        if self._status is not None:
            self._status.console.print(f"  {text}", highlight=False, markup=False)
        else:
            print(f"  {text}", file=sys.stderr, flush=True)  # noqa: T201
