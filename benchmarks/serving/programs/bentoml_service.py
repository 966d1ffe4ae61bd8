"""BentoML's side: the estimator behind a service, as its documentation writes one."""

import os

import bentoml
import joblib
import numpy as np


@bentoml.service(workers=1)
class Model:
    """Answers rows."""

    def __init__(self) -> None:
        self.model = joblib.load(os.environ["BENCH_MODEL"])

    @bentoml.api
    def predict(self, input: list[list[float]]) -> list[list[float]]:
        """Answer rows with the probabilities of each class."""
        found: list[list[float]] = self.model.predict_proba(np.asarray(input)).tolist()
        return found
