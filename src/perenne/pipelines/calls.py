"""One execution of one step: call the function in its context, keep the result, measure."""

import time
from collections.abc import Callable
from typing import Any

import msgspec

from perenne.pipelines.artifacts import Artifacts, Output
from perenne.pipelines.context import StepContext, entered
from perenne.pipelines.steps import Step

PROCESS_CLOCK = time.process_time_ns
THREAD_CLOCK = time.thread_time_ns


class Outcome(msgspec.Struct, frozen=True, array_like=True):
    """A kept result, and what making it took: seconds, and microseconds of processor time."""

    output: Output
    seconds: float
    cpu: int


def perform(
    step: Step[..., Any],
    arguments: Callable[[], dict[str, Any]],
    context: StepContext,
    artifacts: Artifacts,
    clock: Callable[[], int] = PROCESS_CLOCK,
) -> Outcome:
    """Call a step's function and keep what it returns.

    Parameters
    ----------
    arguments : callable
        Loads the arguments, in the thread in which the step runs.
    clock : callable
        Processor time in nanoseconds; of the thread, where several steps run in one process.
    """
    args, kwargs = step.unbind(arguments())
    began, cpu = time.perf_counter(), clock()
    with entered(context):
        value = step.function(*args, **kwargs)
    output = artifacts.keep(value, step.returns)
    return Outcome(output, time.perf_counter() - began, (clock() - cpu) // 1_000)
