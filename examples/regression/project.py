"""How far a disease has gone after a year: a regression with limits for everybody and for each group."""

from pathlib import Path

import perenne as pn

DATA = Path(__file__).parent / "diabetes.csv"

project = pn.Project(
    "diabetes",
    problem="Tell doctors whom to see again sooner.",
    owner="clinic",
    scope="Adults; a teaching data set, not for treatment.",
    objectives=[
        pn.Objective("rmse", at_most=70),
        pn.Objective("r2", at_least=0.2),
        pn.Objective("rmse", at_most=80, by="sex"),
        pn.Objective("latency_p99_ms", at_most=250),
    ],
    guardrails=[pn.Guardrail("mae", at_most=65)],
)


@project.dataset(
    key="patient", expect=[pn.expect.unique("patient"), pn.expect.holds("a plausible age", "age between 15 and 100")]
)
def patients():
    """Give the file that `make_data.py` made."""
    return DATA


SEARCH = [
    {"kind": "ridge", "alpha": 1.0},
    {"kind": "ridge", "alpha": 30.0},
    {"kind": "forest", "n_estimators": 60, "min_samples_leaf": 5},
]


@project.model(target="progression", data=patients, search=SEARCH)
def model(X, y, params):
    """Two ridges and a forest."""
    from sklearn.ensemble import RandomForestRegressor
    from sklearn.impute import SimpleImputer
    from sklearn.linear_model import Ridge
    from sklearn.pipeline import make_pipeline
    from sklearn.preprocessing import StandardScaler

    kind = params.pop("kind")
    last = Ridge(**params) if kind == "ridge" else RandomForestRegressor(random_state=0, **params)
    return make_pipeline(SimpleImputer(), StandardScaler(), last)


project.retrain(on=[pn.drift(), pn.missed("rmse")], promote=pn.superior(alpha=0.05))
