"""LitServe's side: the estimator behind a LitAPI, as its documentation writes one."""

import os
import sys
from typing import Any

import joblib
import litserve as ls
import numpy as np


class Model(ls.LitAPI):
    """Answers rows."""

    def setup(self, device: str) -> None:
        """Load the model."""
        self.model = joblib.load(os.environ["BENCH_MODEL"])

    def decode_request(self, request: dict[str, Any]) -> Any:
        """Read rows."""
        return np.asarray(request["input"])

    def predict(self, x: Any) -> Any:
        """Answer them."""
        return self.model.predict_proba(x)

    def encode_response(self, output: Any) -> dict[str, Any]:
        """Write the answers."""
        return {"output": output.tolist()}


if __name__ == "__main__":
    ls.LitServer(Model(), accelerator="cpu", workers_per_device=1).run(
        host="127.0.0.1", port=int(sys.argv[1]), generate_client_file=False, log_level="error"
    )
