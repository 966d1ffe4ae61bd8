"""What MLflow's server has and this one has not: asked for, it says so, in a way that no client tries again."""

import re

from perenne.protocols.mlflow.wire import MlflowError

SUBJECTS = {
    "gateway": r"(ajax-)?api/[23]\.0/mlflow/gateway(/|-proxy|$).*|gateway/.*|v1/mcp.*|mcp(/.*)?",
    "GraphQL": r"graphql",
    "workspaces": r"(ajax-)?api/[23]\.0/mlflow/workspaces(/.*)?",
    "jobs": r"(ajax-)?api/[23]\.0/(mlflow/)?jobs(/.*)?",
    "prompt optimisation": r"(ajax-)?api/[23]\.0/mlflow/prompt-optimization/.*",
    "prompt lab": r"(ajax-)?api/2\.0/mlflow/runs/create-promptlab-run",
    "demo data": r"(ajax-)?api/[23]\.0/mlflow/demo/.*",
    "telemetry": r"(ajax-)?api/[23]\.0/mlflow/ui-telemetry",
    "assistant": r"(ajax-)?api/[23]\.0/mlflow/assistant(/.*)?",
    "MCP servers": r"(ajax-)?api/[23]\.0/mlflow/mcp-?servers?(/.*)?",
    "users with passwords and grants, but tokens with roles": (
        r"(ajax-)?api/[23]\.0/mlflow/(users|roles|experiments/permissions|registered-models/permissions|scorers/permissions)(/.*)?"
    ),
    "judges run by the server": r"(ajax-)?api/[23]\.0/mlflow/(scorer|issues|genai/evaluate)/invoke",
    "tables of a warehouse": r"(ajax-)?api/2\.0/mlflow/(get-online-trace-details|unified-traces)",
}
"""By what it is called: its paths, without the first slash."""

_PATHS = {subject: re.compile(pattern) for subject, pattern in SUBJECTS.items()}
_ANY = re.compile("|".join(f"(?:{pattern})" for pattern in SUBJECTS.values()))


def refusal(path: str) -> MlflowError | None:
    """Return what is said of a path of something that is not here, None for all others.

    >>> refusal("/ajax-api/3.0/mlflow/workspaces").message
    'perenne has no workspaces; what it has of MLflow stands in its documentation, on the page about MLflow'
    """
    if not _ANY.fullmatch(path, 1):
        return None
    for subject, pattern in _PATHS.items():
        if pattern.fullmatch(path[1:]):
            return MlflowError(
                "NOT_IMPLEMENTED",
                f"perenne has no {subject}; what it has of MLflow stands in its documentation, on the page about MLflow",
            )
    return None
