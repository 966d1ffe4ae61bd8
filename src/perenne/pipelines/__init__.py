"""Steps that run once: a graph of functions whose results are kept by content, so that cache, resume and lineage are one thing.

`steps` has the decorators, `graph` what a pipeline's calls build, `keys` and `code` what names a step's result,
`artifacts` how results are kept, `store` the tables and the claim, `planning` and `execution` one run, `engine` the door to it,
`calls` how one step is carried out here or in a child process, `context` what a step may ask, `explanation` why a step ran again.
"""

from importlib import import_module
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from perenne.pipelines.context import current
    from perenne.pipelines.engine import Engine, PipelineRun
    from perenne.pipelines.explanation import explain
    from perenne.pipelines.model import Failed, Finished, Hit, Planned, Progress, Started, StepEvent
    from perenne.pipelines.steps import pipeline, step

_ROOMS = {
    "Engine": "engine",
    "Failed": "model",
    "Finished": "model",
    "Hit": "model",
    "PipelineRun": "engine",
    "Planned": "model",
    "Progress": "model",
    "Started": "model",
    "StepEvent": "model",
    "current": "context",
    "explain": "explanation",
    "pipeline": "steps",
    "step": "steps",
}

__all__ = [
    "Engine",
    "Failed",
    "Finished",
    "Hit",
    "PipelineRun",
    "Planned",
    "Progress",
    "Started",
    "StepEvent",
    "current",
    "explain",
    "pipeline",
    "step",
]


def __getattr__(name: str) -> Any:
    if name not in _ROOMS:
        raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
    return getattr(import_module(f"{__name__}.{_ROOMS[name]}"), name)
