"""What a running step may ask: its run, where it may write, where objects are kept, whom to tell how far it is."""

from collections.abc import Callable
from contextvars import ContextVar
from functools import cached_property
from pathlib import Path

from perenne.core.ids import new_id
from perenne.pipelines.scratch import Scratch
from perenne.storage.objects import FileObjects, ObjectStore


class StepContext:
    """The surroundings of a running step.

    Attributes
    ----------
    run : str
        The id of the run, or an empty text outside one.
    step : str
        The name of the step.
    key : str
        The content key: the same for the same work, so it serves as idempotency key of effects outside.
    """

    def __init__(
        self,
        run: str,
        step: str,
        key: str,
        scratch: Callable[[], Path],
        objects: ObjectStore | None,
        report: Callable[[str, float | None], None] | None = None,
    ) -> None:
        self.run = run
        self.step = step
        self.key = key
        self._scratch = scratch
        self._objects = objects
        self._report = report

    @cached_property
    def folder(self) -> Path:
        """An empty folder of this execution alone, made when it is first asked for."""
        folder = self._scratch()
        folder.mkdir(parents=True, exist_ok=True)
        return folder

    @cached_property
    def objects(self) -> ObjectStore:
        """Where results are kept."""
        return self._objects or FileObjects(self.folder / "objects")

    def progress(self, text: str, fraction: float | None = None) -> None:
        """Tell how far the step is; `fraction` lies between 0 and 1."""
        if self._report is not None:
            self._report(text, fraction)


_current: ContextVar[StepContext | None] = ContextVar("perenne_step", default=None)
_outside = Scratch()


def current() -> StepContext:
    """Return the context of the running step; outside any step, one with a temporary folder of its own."""
    context = _current.get()
    if context is None:
        context = outside("")
        _current.set(context)
    return context


def is_inside() -> bool:
    """Tell whether there is a context already."""
    return _current.get() is not None


def outside(step: str) -> StepContext:
    """Return a context for a plain call of a step, as in a unit test; its folder goes with the process."""
    return StepContext("", step, "", lambda: _outside.folder(new_id()), None)


class entered:  # noqa: N801  (reads as a verb: `with entered(context):`)
    """Make a context the current one for a while."""

    def __init__(self, context: StepContext) -> None:
        self._context = context

    def __enter__(self) -> StepContext:
        self._token = _current.set(self._context)
        return self._context

    def __exit__(self, *exception: object) -> None:
        _current.reset(self._token)
