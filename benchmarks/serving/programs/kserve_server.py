"""KServe's side: the estimator behind a kserve.Model, as its documentation writes one."""

import os
import sys
from typing import Any

import joblib
import kserve
from kserve import InferOutput, InferRequest, InferResponse
from kserve.utils.utils import get_predict_input


class Model(kserve.Model):
    """Answers rows."""

    def __init__(self) -> None:
        super().__init__("m")
        self.model = joblib.load(os.environ["BENCH_MODEL"])
        self.ready = True

    def predict(self, payload: InferRequest, headers: dict[str, str] | None = None) -> Any:
        """Answer rows with the probabilities of each class."""
        found = self.model.predict_proba(get_predict_input(payload))
        output = InferOutput("probabilities", list(found.shape), "FP64")
        output.set_data_from_numpy(found, binary_data=False)
        return InferResponse(payload.id or "1", "m", [output])


if __name__ == "__main__":
    sys.argv = [sys.argv[0], "--http_port", sys.argv[1], "--enable_grpc", "False", "--workers", "1"]
    kserve.ModelServer(http_port=int(sys.argv[2]), enable_grpc=False, workers=1).start([Model()])
