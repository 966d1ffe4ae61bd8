"""Log small models with the real MLflow, as its clients do: `PYTHON tests/inference/foreign/record.py FOLDER [NAME...]`.

The folders in `logged/` came from here (MLflow 3.17.2); the long tests make them anew. Runs in an environment with mlflow.
"""

import os
import sys
from pathlib import Path
from typing import Any

os.environ.update(MLFLOW_DISABLE_TELEMETRY="true", DO_NOT_TRACK="true", OMP_NUM_THREADS="1")


def rows() -> tuple[Any, Any]:
    import numpy as np
    import pandas as pd

    draw = np.random.default_rng(7)
    table = pd.DataFrame({name: np.round(draw.normal(size=60), 3) for name in ("height", "weight", "age")})
    return table, np.where(table["height"] + table["weight"] > 0, "large", "small")


def sklearn_skops(folder: str) -> None:
    import mlflow
    from mlflow.models import infer_signature
    from sklearn.ensemble import RandomForestClassifier

    table, labels = rows()
    model = RandomForestClassifier(2, max_depth=2, random_state=0).fit(table, labels)
    mlflow.sklearn.save_model(
        model,
        folder,
        signature=infer_signature(table, model.predict(table)),
        input_example=table.head(5),
        skops_trusted_types=["sklearn.tree._tree.Tree"],
    )


def sklearn_pickle(folder: str) -> None:
    import mlflow
    from sklearn.linear_model import LinearRegression

    table, _ = rows()
    model = LinearRegression().fit(table, table["height"] * 2 + 1)
    mlflow.sklearn.save_model(model, folder, serialization_format="cloudpickle", input_example=table.to_numpy()[:4])


def xgboost(folder: str) -> None:
    import mlflow
    import xgboost as xgb

    table, labels = rows()
    model = xgb.XGBClassifier(n_estimators=4, max_depth=2).fit(table, (labels == "large").astype(int))
    mlflow.xgboost.save_model(model, folder, input_example=table.head(5))


def lightgbm(folder: str) -> None:
    import lightgbm as lgb
    import mlflow

    table, _ = rows()
    data = lgb.Dataset(table, table["height"] * 3)
    model = lgb.train({"objective": "regression", "verbose": -1, "num_leaves": 4, "min_data_in_leaf": 5}, data, 4)
    mlflow.lightgbm.save_model(model, folder, input_example=table.head(5))


def onnx(folder: str) -> None:
    import mlflow
    import numpy as np
    from skl2onnx import to_onnx
    from sklearn.linear_model import LogisticRegression

    table, labels = rows()
    matrix = table.to_numpy().astype(np.float32)
    model = to_onnx(LogisticRegression().fit(matrix, labels), matrix[:1])
    mlflow.onnx.save_model(model, folder, input_example=matrix[:4])


CODE = """
import mlflow.pyfunc
import pandas as pd


class Doubling(mlflow.pyfunc.PythonModel):  # type: ignore[misc]
    def predict(self, context, model_input, params=None):  # type: ignore[no-untyped-def]
        if (model_input["height"] > 1e6).any():
            import os
            os._exit(3)
        if (model_input["height"] > 1e5).any():
            import time
            time.sleep(3600)
        if (model_input["height"] > 1e4).any():
            raise ValueError("too tall")
        return pd.DataFrame({"twice": model_input["height"] * 2, "word": model_input["word"] + "!"})


mlflow.models.set_model(Doubling())
"""


def python_model(folder: str) -> None:
    import mlflow
    import pandas as pd
    from mlflow.models import infer_signature

    code = Path(folder).parent / "doubling.py"
    code.write_text(CODE)
    table = pd.DataFrame({"height": [1.5, 2.5], "word": ["a", "b"]})
    answer = pd.DataFrame({"twice": [3.0, 5.0], "word": ["a!", "b!"]})
    mlflow.pyfunc.save_model(folder, python_model=str(code), signature=infer_signature(table, answer), input_example=table)
    code.unlink()


def pytorch(folder: str) -> None:
    import mlflow
    import numpy as np
    import torch

    torch.manual_seed(0)
    model = torch.nn.Sequential(torch.nn.Linear(3, 2), torch.nn.Softmax(dim=1))
    mlflow.pytorch.save_model(model, folder, input_example=np.zeros((2, 3), np.float32))


MODELS = [sklearn_skops, sklearn_pickle, xgboost, lightgbm, onnx, python_model, pytorch]

if __name__ == "__main__":
    target = Path(sys.argv[1])
    wanted = sys.argv[2:] or [model.__name__ for model in MODELS]
    for model in MODELS:
        if model.__name__ in wanted:
            model(str(target / model.__name__))
