"""MLflow's own clients, unmodified, against a running control plane: the newest here, older ones and frameworks beside it.

The newest comes light with the tools of this repository. The others get environments of their own, made once from locks in
`requirements` and kept in the cache folder: `./perenne test --long tests/protocols/mlflow/test_clients.py`.
"""

import faulthandler
import hashlib
import os
import shutil
import subprocess
import sys
from pathlib import Path

import pytest

from perenne.storage.workspace import Workspace

ROOT = Path(__file__).parents[3]
PROGRAMS = Path(__file__).with_name("clients")
SECONDS = 500.0
LONG = [
    ("newest", "tracking"),
    ("newest", "models"),
    ("newest", "language"),
    ("newest", "frameworks"),
    ("middle", "tracking"),
    ("middle", "models"),
    ("middle", "language"),
    ("oldest", "tracking"),
    ("oldest", "models"),
    ("oldest", "language"),
]


def run(python: Path | str, program: str, url: str, folder: Path) -> None:
    """Run a program of a client; none of its requests is tried twice."""
    faulthandler.cancel_dump_traceback_later()  # it has a limit of its own
    environment = {name: value for name, value in os.environ.items() if not name.startswith(("MLFLOW_", "PERENNE_"))}
    environment |= {"MLFLOW_HTTP_REQUEST_MAX_RETRIES": "0", "MLFLOW_DISABLE_TELEMETRY": "true", "GIT_PYTHON_REFRESH": "quiet"}
    command = [str(python), str(PROGRAMS / f"{program}.py"), url]
    done = subprocess.run(command, cwd=folder, env=environment, capture_output=True, text=True, timeout=SECONDS, check=False)
    assert done.returncode == 0, done.stdout[-4_000:] + done.stderr[-4_000:]
    assert "all as expected" in done.stdout


def environment_of(client: str) -> Path:
    """Return the Python of a client's environment, which is made the first time; without an index to make it from, skip."""
    lock = ROOT / "requirements" / f"mlflow-{client}.lock"
    cache = Path(os.environ.get("XDG_CACHE_HOME", Path.home() / ".cache")) / "perenne-tests"
    folder = cache / f"{client}-{hashlib.sha256(lock.read_bytes()).hexdigest()[:16]}"
    python = folder / ("Scripts" if os.name == "nt" else "bin") / "python"
    if (folder / "whole").exists():
        return python
    if sys.version_info[:2] != (3, 11):
        pytest.skip("the locks of older clients are for Python 3.11")
    faulthandler.cancel_dump_traceback_later()  # to install a few gigabytes is no reason to think that a test hangs
    shutil.rmtree(folder, ignore_errors=True)
    subprocess.run([sys.executable, "-m", "venv", str(folder)], check=True, capture_output=True)
    install = [str(python), "-m", "pip", "install", "--quiet", "--require-hashes", "--no-deps", "-r", str(lock)]
    made = subprocess.run(install, capture_output=True, text=True, check=False)
    if made.returncode:
        pytest.skip(f"the environment of the {client} client cannot be made: {made.stderr.strip()[-300:]}")
    (folder / "whole").touch()
    return python


@pytest.mark.parametrize("workspace", ["sqlite"], indirect=True)
def test_the_newest_client_does_all_it_can(workspace: Workspace, url: str, tmp_path: Path) -> None:
    run(sys.executable, "tracking", url, tmp_path)


@pytest.mark.long
@pytest.mark.parametrize("workspace", ["sqlite"], indirect=True)
@pytest.mark.parametrize(("client", "program"), LONG)
def test_other_clients_and_frameworks_do_all_they_can(
    workspace: Workspace, url: str, tmp_path: Path, client: str, program: str
) -> None:
    run(environment_of(client), program, url, tmp_path)
