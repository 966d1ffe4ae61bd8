"""One noun everywhere. A folder's name is its command, URL segment and docs page, except where this table differs."""

from typing import NamedTuple


class Noun(NamedTuple):
    """What people call a domain, beside the name of its folder."""

    folder: str
    command: str
    page: str


NOUNS = (
    Noun("storage", "job", "jobs"),
    Noun("projects", "project", "projects"),
    Noun("data", "data", "data"),
    Noun("labels", "label", "labels"),
    Noun("pipelines", "pipeline", "pipelines"),
    Noun("tracking", "runs", "tracking"),
    Noun("training", "run", "training"),
    Noun("registry", "model", "registry"),
    Noun("serving", "deploy", "serving"),
    Noun("delivery", "gate", "delivery"),
    Noun("monitoring", "monitor", "monitoring"),
    Noun("llm", "trace", "traces"),
    Noun("automation", "policy", "automation"),
    Noun("auth", "audit", "governance"),
)
