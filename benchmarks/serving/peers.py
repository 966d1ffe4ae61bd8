"""Those we are compared with: how each is installed, started and asked, at one worker and its own defaults otherwise."""

import json
import os
import socket
import subprocess
import venv
from collections.abc import Callable
from pathlib import Path
from typing import NamedTuple

HERE = Path(__file__).resolve().parent
PROGRAMS = HERE / "programs"
LOCKS = HERE.parents[1] / "requirements"


class Peer(NamedTuple):
    """A server of others.

    Attributes
    ----------
    name : str
        Its name; its lock is `requirements/serving-<name>.lock`.
    path, form : str
        Where and in what words it is asked.
    command : callable
        What starts it: its Python, the folder that holds the model, and the port.
    """

    name: str
    path: str
    form: str
    command: Callable[[str, Path, int], list[str]]


def free_port() -> int:
    """Return a port that nobody listens on."""
    with socket.create_server(("127.0.0.1", 0)) as listening:
        return int(listening.getsockname()[1])


def _mlflow(python: str, folder: Path, port: int) -> list[str]:
    if not (folder / "mlflow").exists():
        save = [python, str(PROGRAMS / "mlflow_save.py"), str(folder / "model.joblib"), str(folder / "mlflow")]
        subprocess.run(save, check=True, capture_output=True)
    serve = ["models", "serve", "--model-uri", str(folder / "mlflow"), "--env-manager", "local", "--port", str(port)]
    return [python, "-m", "mlflow", *serve]


def _mlserver(python: str, folder: Path, port: int) -> list[str]:
    others = {"grpc_port": free_port(), "metrics_port": free_port()}
    settings = {"http_port": port, **others, "host": "127.0.0.1", "parallel_workers": 0}
    model = {"name": "m", "implementation": "mlserver_sklearn.SKLearnModel", "parameters": {"uri": str(folder / "model.joblib")}}
    home = folder / "mlserver"
    home.mkdir(exist_ok=True)
    (home / "settings.json").write_text(json.dumps(settings))
    (home / "model-settings.json").write_text(json.dumps(model))
    return [str(Path(python).with_name("mlserver")), "start", str(home)]


def _bentoml(python: str, folder: Path, port: int) -> list[str]:
    serve = ["serve", "bentoml_service:Model", "--port", str(port), "--host", "127.0.0.1", "--working-dir", str(PROGRAMS)]
    return [python, "-m", "bentoml", *serve]


def _program(name: str) -> Callable[[str, Path, int], list[str]]:
    return lambda python, folder, port: [python, str(PROGRAMS / name), str(port)]


PEERS = (
    Peer("mlflow", "/invocations", "mlflow", _mlflow),
    Peer("bentoml", "/predict", "input", _bentoml),
    Peer("litserve", "/predict", "input", _program("litserve_server.py")),
    Peer("mlserver", "/v2/models/m/infer", "v2", _mlserver),
    Peer("kserve", "/v2/models/m/infer", "v2", _program("kserve_server.py")),
)


def interpreter(peer: Peer, given: dict[str, str], folder: Path) -> str:
    """Return the Python of a peer's environment: the given one, or one that is made from its lock on the first call."""
    if peer.name in given:
        return given[peer.name]
    place = folder / f"serving-{peer.name}"
    python = place / "bin" / "python"
    if not (place / "ready").exists():
        venv.create(place, with_pip=True, clear=True)
        pip = [str(python), "-m", "pip", "install", "--quiet", "--disable-pip-version-check", "--require-hashes"]
        subprocess.run([*pip, "-r", str(LOCKS / f"serving-{peer.name}.lock")], check=True)
        subprocess.run([str(python), "-m", "compileall", "-q", str(place / "lib")], check=False, stdout=subprocess.DEVNULL)
        (place / "ready").touch()
    return str(python)


def environment(python: str, folder: Path) -> dict[str, str]:
    """Return the environment a peer's server runs in: one thread a library, its own programs first."""
    quiet = {"DO_NOT_TRACK": "1", "BENTOML_DO_NOT_TRACK": "True", "MLFLOW_DISABLE_TELEMETRY": "true"}
    threads = {"OMP_NUM_THREADS": "1", "OPENBLAS_NUM_THREADS": "1"}
    path = os.pathsep.join([str(Path(python).parent), os.environ.get("PATH", "")])
    return {**os.environ, **quiet, **threads, "PATH": path, "BENCH_MODEL": str(folder / "model.joblib")}
