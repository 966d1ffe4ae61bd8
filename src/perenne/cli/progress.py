"""Work in hand, on stderr: a moving line with the time so far on a terminal, one plain line a step elsewhere."""

import sys
import time
from types import TracebackType
from typing import TYPE_CHECKING, Any

from perenne.core.clock import SECOND, format_duration

if TYPE_CHECKING:
    from perenne.pipelines import Progress

_TITLES = {
    "take_snapshot": "data: look for new rows",
    "describe": "data: profile",
    "validate": "data: validate",
    "plan": "train: plan columns and split",
    "fit": "train: fit a candidate",
    "choose": "train: choose the best",
    "build": "train: compile and prove parity",
    "evaluate": "review: evaluate and time the compiled form",
}


class RoundProgress:
    """Shows the steps of a round as they start and end; use as a context manager and pass `hear` on."""

    def __init__(self) -> None:
        self._started: dict[str, float] = {}
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

    def hear(self, event: "Progress") -> None:
        """Show one event of the pipeline."""
        title = _TITLES.get(event.step)
        if title is None:
            return
        if event.kind == "started":
            self._started[event.step] = time.monotonic()
            if self._status is not None:
                self._status.update(f"{title} …")
        elif event.kind == "finished":
            took = time.monotonic() - self._started.get(event.step, time.monotonic())
            self._say(f"{title}  {format_duration(int(took * SECOND))}")
        elif event.kind == "failed":
            self._say(f"{title}  failed")

    def _say(self, text: str) -> None:
        if self._status is not None:
            self._status.console.print(f"  {text}", highlight=False, markup=False)
        else:
            print(f"  {text}", file=sys.stderr, flush=True)  # noqa: T201
