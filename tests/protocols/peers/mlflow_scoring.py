"""What MLflow's scoring client asks of a model server: `python mlflow_scoring.py http://host:port`, where mlflow is installed."""

import sys

import pandas as pd
from mlflow.pyfunc.scoring_server.client import ScoringServerClient

ROWS = pd.DataFrame(
    {
        "distance": [100.5, 900.25],
        "seats": [120, 300],
        "carrier": ["AA", "übrig"],
        "weekend": [True, False],
        "scheduled": ["2013-01-02T03:04:05", "2013-01-02T03:05:00"],
    }
)


def main(url: str) -> None:
    """Ask everything."""
    host, _, port = url.partition("://")[2].rpartition(":")
    client = ScoringServerClient(host, int(port))
    client.ping()
    client.wait_server_ready(timeout=5)
    assert client.get_version()
    whole = client.invoke(ROWS).get_predictions()
    assert isinstance(whole, pd.DataFrame) and len(whole) == 2
    labels = whole.iloc[:, 0].tolist()
    assert set(labels) <= {"late", "on time"}
    for layout in (ROWS.to_dict("records"), ROWS.to_numpy().tolist()):
        assert client.invoke(layout).get_predictions().iloc[:, 0].tolist() == labels
    assert client.invoke(ROWS, params={"depth": 3}).get_predictions().iloc[:, 0].tolist() == labels
    said = ""
    try:
        client.invoke(ROWS.drop(columns="distance"))
    except Exception as error:
        said = str(error)
    assert "error code 400" in said and "Model is missing inputs ['distance']" in said, said
    print(labels)


if __name__ == "__main__":
    main(sys.argv[1])
