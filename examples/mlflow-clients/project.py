"""Which of three cultivars a wine is of: several classes, few rows."""

from pathlib import Path

import perenne as pn

DATA = Path(__file__).parent / "wine.csv"

project = pn.Project(
    "wine",
    problem="Tell the cellar which cultivar a barrel is of.",
    owner="cellar",
    objectives=[pn.Objective("accuracy", at_least=0.7), pn.Objective("latency_p99_ms", at_most=250)],
)


@project.dataset()
def wines():
    """Give the file that `make_data.py` made."""
    return DATA


@project.model(target="cultivar", data=wines)
def model(X, y, params):
    """Fit a plain logistic regression."""
    from sklearn.impute import SimpleImputer
    from sklearn.linear_model import LogisticRegression
    from sklearn.pipeline import make_pipeline
    from sklearn.preprocessing import StandardScaler

    return make_pipeline(SimpleImputer(), StandardScaler(), LogisticRegression(max_iter=1_000))
