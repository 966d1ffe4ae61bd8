"""What a run of a pipeline is made of, and what it tells while it goes on."""

from enum import StrEnum
from typing import TypeAlias

import msgspec


class RunState(StrEnum):
    """How a run stands: a run whose process died stays `running` until another one comes upon it and calls it `lost`."""

    RUNNING = "running"
    DONE = "done"
    FAILED = "failed"
    INTERRUPTED = "interrupted"
    LOST = "lost"


class StepState(StrEnum):
    """How a step's row stands."""

    RUNNING = "running"
    DONE = "done"
    FAILED = "failed"


class StepRecord(msgspec.Struct, frozen=True):
    """What became of one step in one run.

    Attributes
    ----------
    name : str
        The function's name; a further call is ``fit#2``, an item of a map ``clean[3]``.
    key : str
        The plan key: step, code, environment and what the inputs are made from.
    hit : bool
        Whether the result was there already.
    seconds, cpu_seconds : float
        What the execution took that made the result, in this run or an earlier one.
    attempt : int
        The fencing number of that execution: how often the step was ever claimed; 0 if it never was.
    error : str
        What it failed with, or what kept it from running; empty if it has a result.
    """

    name: str
    key: str
    hit: bool
    seconds: float
    attempt: int
    error: str
    cpu_seconds: float


class Planned(msgspec.Struct, frozen=True, tag=True):
    """The graph was looked up: `hits` of its `steps` have a result already. `notes` say what the keys could not see."""

    run: str
    pipeline: str
    steps: int
    hits: int
    notes: tuple[str, ...] = ()


class Hit(msgspec.Struct, frozen=True, tag=True):
    """A step's result was there already."""

    step: str


class Started(msgspec.Struct, frozen=True, tag=True):
    """A step begins; `attempt` counts within this run."""

    step: str
    attempt: int


class Progress(msgspec.Struct, frozen=True, tag=True):
    """A step says how far it is; `fraction` lies between 0 and 1, or is None if that is not known."""

    step: str
    text: str
    fraction: float | None


class Finished(msgspec.Struct, frozen=True, tag=True):
    """A step has a result."""

    step: str
    seconds: float


class Failed(msgspec.Struct, frozen=True, tag=True):
    """A step failed; it is tried again in `again_in` seconds, or not at all if that is None."""

    step: str
    error: str
    again_in: float | None


StepEvent: TypeAlias = Planned | Hit | Started | Progress | Finished | Failed


class Argument(msgspec.Struct, frozen=True, array_like=True):
    """What an argument was in one execution: a digest of its content, and the keys of the steps that made it."""

    digest: str
    sources: tuple[str, ...] = ()
