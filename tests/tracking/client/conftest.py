"""A client in a workspace of its own, in this process or in programs that can be killed."""

import os
import subprocess
import sys
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest

from perenne.storage.workspace import Workspace
from perenne.tracking.client import session

Program = Callable[[str], "subprocess.Popen[bytes]"]


@pytest.fixture
def here(workspace: Workspace, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[Workspace]:
    """The workspace that clients of this process and of programs log to; what is open at the end of the test is ended."""
    for name in ("PERENNE_URL", "MLFLOW_TRACKING_URI", "PERENNE_EXPERIMENT", "MLFLOW_EXPERIMENT_NAME"):
        monkeypatch.delenv(name, raising=False)
    monkeypatch.setenv("PERENNE_HOME", str(workspace.settings.home))
    monkeypatch.chdir(tmp_path)
    yield workspace
    session.close()


@pytest.fixture
def program(here: Workspace, tmp_path: Path) -> Iterator[Program]:
    """Starts Python programs in the workspace; whatever still runs at the end is killed."""
    started: list[subprocess.Popen[bytes]] = []

    def start(text: str) -> "subprocess.Popen[bytes]":
        path = tmp_path / f"program{len(started)}.py"
        path.write_text(text)
        environment = os.environ | {"PYTHONPATH": os.pathsep.join(sys.path)}
        process = subprocess.Popen([sys.executable, str(path)], stdout=subprocess.PIPE, stderr=subprocess.PIPE, env=environment)
        started.append(process)
        return process

    yield start
    for process in started:
        process.kill()
        process.communicate()
