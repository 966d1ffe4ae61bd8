"""A repository in the present folder, and where runs are recorded."""

import os
import subprocess
from collections.abc import Iterator
from pathlib import Path

import pytest

from perenne import data
from perenne.core.config import load_settings
from perenne.storage.workspace import Workspace


@pytest.fixture(scope="session")
def recorder(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Workspace]:
    with Workspace(load_settings(tmp_path_factory.mktemp("home"), {})) as workspace:
        yield workspace


@pytest.fixture
def here(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """An empty repository of DVC's and Git's, which is the present folder."""
    monkeypatch.chdir(tmp_path)
    monkeypatch.setenv("SHELL", "/bin/sh")
    for name in [name for name in os.environ if name.startswith("PERENNE_")]:
        monkeypatch.delenv(name)
    subprocess.run(["git", "init", "-q", "-b", "main"], check=True)
    subprocess.run(["git", "config", "user.email", "a@example.org"], check=True)
    subprocess.run(["git", "config", "user.name", "A"], check=True)
    data.versions.init_repository(tmp_path)
    return tmp_path
