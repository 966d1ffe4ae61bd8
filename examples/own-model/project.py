"""Loan defaults, by a model of one's own: a logistic regression in which more of a thing can only mean more risk."""

from pathlib import Path

from rising import RisingLogistic

import perenne as pn

DATA = Path(__file__).parent / "loans.csv"

project = pn.Project(
    "loans",
    problem="Tell the desk which applications to read twice.",
    owner="credit",
    objectives=[pn.Objective("roc_auc", at_least=0.7), pn.Objective("latency_p99_ms", at_most=250)],
    guardrails=[pn.Guardrail("roc_auc", at_least=0.6, by="region")],
)


@project.dataset(key="loan")
def loans():
    """Give the file that `make_data.py` made."""
    return DATA


@project.model(target="defaulted", data=loans, search={"penalty": [0.01, 1.0]})
def model(X, y, params):
    """Fit the class of our own, and hand back what it learned as an estimator that can be compiled."""
    return RisingLogistic(**params).fit(X, y).as_estimator()
