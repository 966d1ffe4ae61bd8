"""Language models: traces of what they did, what people and programs say of it, and the sets and queues by which they are judged.

`ingest` takes spans and traces in, `traces` reads and deletes them, `trace_search` finds them and `trace_metrics` sums them up;
`assessments` are judgements, `feedback` makes rows of them to train on. `datasets` are sets to evaluate by, `scorers`, `issues`,
`label_schemas` and `review_queues` what belongs to judging; `on_removed` lets go of what belonged to an experiment or a run.
Inside, `names` has the names that senders use, `conventions` puts
those of others under MLflow's, `blocks` are spans as they are stored, `contents` looks into them.
"""

from importlib import import_module
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from perenne.llm import (
        assessments,
        datasets,
        feedback,
        ingest,
        issues,
        label_schemas,
        review_queues,
        scorers,
        trace_metrics,
        trace_search,
        traces,
    )
    from perenne.llm.forgetting import on_removed
    from perenne.llm.model import Assessment, AssessmentKind, Trace, TraceDraft, TraceState

_TYPES = ("Assessment", "AssessmentKind", "Trace", "TraceDraft", "TraceState")

__all__ = [
    "Assessment",
    "AssessmentKind",
    "Trace",
    "TraceDraft",
    "TraceState",
    "assessments",
    "datasets",
    "feedback",
    "ingest",
    "issues",
    "label_schemas",
    "on_removed",
    "review_queues",
    "scorers",
    "trace_metrics",
    "trace_search",
    "traces",
]


def __getattr__(name: str) -> Any:
    if name in _TYPES:
        return getattr(import_module(f"{__name__}.model"), name)
    if name == "on_removed":
        return import_module(f"{__name__}.forgetting").on_removed
    if name not in __all__:
        raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
    return import_module(f"{__name__}.{name}")
