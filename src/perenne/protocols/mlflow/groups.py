"""The groups of MLflow's endpoints, each a module with `ENDPOINTS` and, where clients match its domain's errors, `WORDS`."""

from perenne.protocols.mlflow import (
    artifact_parts,
    artifacts,
    assessments,
    evaluation_datasets,
    experiments,
    issues,
    label_schemas,
    logged_models,
    metrics,
    model_versions,
    registered_models,
    review_queues,
    runs,
    scorers,
    server,
    trace_metrics,
    traces,
    webhooks,
    words,
)
from perenne.protocols.mlflow.endpoint import Endpoint
from perenne.protocols.mlflow.wire import Words

GROUPS = (
    experiments,
    runs,
    metrics,
    artifacts,
    artifact_parts,
    logged_models,
    registered_models,
    model_versions,
    traces,
    trace_metrics,
    assessments,
    evaluation_datasets,
    scorers,
    issues,
    label_schemas,
    review_queues,
    webhooks,
    server,
)


def endpoints() -> list[Endpoint]:
    """Return every endpoint of every group."""
    return [endpoint for group in GROUPS for endpoint in group.ENDPOINTS]


def all_words() -> Words:
    """Return what every group says of the errors of its domain."""
    return {code: say for group in (words, *GROUPS) for code, say in getattr(group, "WORDS", {}).items()}
