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
        pn.Objective("roc_auc", at_least=0.58),  # of a single day: storms make days on which everybody is late
        pn.Objective("roc_auc", at_least=0.5, by="origin"),
        pn.Objective("latency_p99_ms", at_most=250),
    ],
    window="1d",
    guardrails=[
        pn.Guardrail("selection_rate", at_most=0.4),  # who warns everybody warns nobody; known on the day, without a label
        pn.Guardrail("log_loss", at_most=1.5),
    ],
)


@project.dataset(time="scheduled", key="flight_id", expect=pn.expect.unique("flight_id"))
def flights():
    """All flights that have landed; the window of a round picks those it may know."""
    return DATA


@project.model(target="late", data=flights, search=[{"C": 0.003}, {"C": 0.1}, {"C": 3.0}])
def late_model(X, y, params):
    """A logistic regression: small, quick, easy to read, and as exposed to what comes in as a model can be."""
    # Imported here, so that reading this file stays quick.
    from sklearn.impute import SimpleImputer
    from sklearn.linear_model import LogisticRegression
    from sklearn.pipeline import make_pipeline
    from sklearn.preprocessing import StandardScaler

    return make_pipeline(SimpleImputer(), StandardScaler(), LogisticRegression(max_iter=1_000, **params))


project.retrain(
    on=[pn.drift(), pn.missed("roc_auc")],
    promote=pn.superior(alpha=0.05),
    approve_by="airport-ops",
    holdout="14d",
    label_delay="1d",
    cooldown="7d",
    shadow="2d",
    shadow_rows=200,
    soak="5d",
)
