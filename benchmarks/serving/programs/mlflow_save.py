"""MLflow's side: the estimator as an MLflow model, with a signature of named double columns."""

import sys

import joblib
import mlflow.sklearn
from mlflow.models import ModelSignature
from mlflow.types import ColSpec, DataType, Schema

source, target = sys.argv[1:]
columns = Schema([ColSpec(DataType.double, f"f{place}") for place in range(30)])
mlflow.sklearn.save_model(
    joblib.load(source),
    target,
    signature=ModelSignature(columns),
    serialization_format="cloudpickle",
    pyfunc_predict_fn="predict_proba",
)
