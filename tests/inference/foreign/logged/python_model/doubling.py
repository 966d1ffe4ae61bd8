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
