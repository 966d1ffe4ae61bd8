"""Warn passengers whose flight is likely to land more than 15 minutes late."""

from pathlib import Path

import perenne as pn

DATA = Path(__file__).parent / "flights.parquet"

project = pn.Project(
    "flight-delays",
    problem="Tell passengers, when they check in, that their flight will probably be late.",
    owner="airport-ops",
    scope="Flights from New York's three airports; cancelled flights are out of scope.",
    objectives=[
        pn.Objective("roc_auc", at_least=0.62),
        pn.Objective("roc_auc", at_least=0.58, by="origin"),
        pn.Objective("latency_p99_ms", at_most=50),
    ],
    window="7d",  # a week holds every weekday
    guardrails=[pn.Guardrail("log_loss", at_most=1.0)],
)


@project.dataset(time="scheduled", key="flight_id", expect=pn.expect.unique("flight_id"))
def flights():
    """All flights that have landed; the window of a round picks those it may know."""
    return DATA


SEARCH = [
    {"kind": "linear"},
    {"kind": "boosting", "learning_rate": 0.05, "max_iter": 100, "max_leaf_nodes": 8},
    {"kind": "boosting", "learning_rate": 0.08, "max_iter": 120, "max_leaf_nodes": 31},
]


@project.model(target="late", data=flights, search=SEARCH)
def late_model(X, y, params):
    """Gradient boosting, and a linear model to beat."""
    # Imported here, so that reading this file stays quick.
    from sklearn.ensemble import HistGradientBoostingClassifier
    from sklearn.impute import SimpleImputer
    from sklearn.linear_model import LogisticRegression
    from sklearn.pipeline import make_pipeline
    from sklearn.preprocessing import StandardScaler

    kind = params.pop("kind")
    if kind == "linear":
        return make_pipeline(SimpleImputer(), StandardScaler(), LogisticRegression(max_iter=1_000))
    return HistGradientBoostingClassifier(min_samples_leaf=200, early_stopping=False, random_state=0, **params)


project.retrain(
    on=[pn.drift(), pn.missed("roc_auc")],
    promote=pn.superior(alpha=0.05),
    approve_by="airport-ops",
    holdout="14d",
    label_delay="1d",
    cooldown="14d",
    shadow="2d",
    shadow_rows=200,
    soak="7d",
)
