"""What a program does that lets XGBoost, LightGBM and PyTorch log themselves by MLflow's client.

python tests/protocols/mlflow/clients/frameworks.py http://127.0.0.1:7373
"""

import sys
import time
import warnings
from typing import Any

import lightgbm
import mlflow
import numpy as np
import pytorch_lightning
import torch
import xgboost
from mlflow import MlflowClient
from sklearn.datasets import load_breast_cancer

warnings.filterwarnings("ignore")
X, y = load_breast_cancer(return_X_y=True, as_frame=True)


def boost(client: MlflowClient) -> None:
    """Train with XGBoost and with LightGBM."""
    mlflow.xgboost.autolog()
    table = xgboost.DMatrix(X, label=y)
    with mlflow.start_run() as run:
        xgboost.train({"objective": "binary:logistic", "max_depth": 2}, table, num_boost_round=5, evals=[(table, "train")])
    found = client.get_run(run.info.run_id)
    assert (found.data.params["max_depth"], len(client.get_metric_history(run.info.run_id, "train-logloss"))) == ("2", 5)
    mlflow.lightgbm.autolog()
    rows = lightgbm.Dataset(X, label=y)
    with mlflow.start_run() as run:
        lightgbm.train({"objective": "binary", "num_leaves": 4, "verbose": -1}, rows, num_boost_round=5, valid_sets=[rows])
    found = client.get_run(run.info.run_id)
    assert found.data.params["num_leaves"] == "4" and found.data.metrics


class Line(pytorch_lightning.LightningModule):  # type: ignore[misc]
    """A line through points."""

    def __init__(self) -> None:
        super().__init__()
        self.line = torch.nn.Linear(3, 1)

    def training_step(self, batch: Any, number: int) -> Any:
        """Return the loss of a batch."""
        loss = ((self.line(batch[0]) - batch[1]) ** 2).mean()
        self.log("loss", loss, on_epoch=True)
        return loss

    def configure_optimizers(self) -> Any:
        """Return what makes the loss less."""
        return torch.optim.SGD(self.parameters(), lr=0.01)


def learn(client: MlflowClient) -> None:
    """Keep a network, load it again, and train one."""
    given = np.zeros((2, 3), dtype=np.float32)
    with mlflow.start_run():
        info = mlflow.pytorch.log_model(torch.nn.Linear(3, 1), name="net", input_example=given)
    assert mlflow.pyfunc.load_model(info.model_uri).predict(given).shape == (2, 1)
    mlflow.pytorch.autolog()
    points = torch.utils.data.TensorDataset(torch.randn(32, 3), torch.randn(32, 1))
    trainer = pytorch_lightning.Trainer(
        max_epochs=2, logger=False, enable_checkpointing=False, enable_progress_bar=False, accelerator="cpu"
    )
    with mlflow.start_run() as run:
        trainer.fit(Line(), torch.utils.data.DataLoader(points, batch_size=8))
    assert {"loss", "loss_epoch"} & client.get_run(run.info.run_id).data.metrics.keys()


def main() -> None:
    """Do all of it, with the server of a URL."""
    mlflow.set_tracking_uri(sys.argv[1])
    client = MlflowClient()
    mlflow.set_experiment(f"frameworks-{time.time_ns()}")
    boost(client)
    learn(client)
    print(f"mlflow {mlflow.__version__}: all as expected")


if __name__ == "__main__":
    main()
