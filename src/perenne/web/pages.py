"""The first segments of the addresses that open the page; what comes after them the page itself takes apart."""

PAGES = (
    "project",
    "data",
    "label",
    "pipeline",
    "runs",
    "experiments",
    "model",
    "gate",
    "deploy",
    "monitor",
    "alert",
    "policy",
    "audit",
    "job",
    "why",
    "lineage",
    "settings",
)
