"""A repository in a work tree of Git, and the commands as a person types them."""

import os
import subprocess
from collections.abc import Iterator
from pathlib import Path

import pytest

from perenne.data.versions.repository import Repository, init_repository

GIT = {
    "GIT_AUTHOR_NAME": "T",
    "GIT_AUTHOR_EMAIL": "t@example.org",
    "GIT_COMMITTER_NAME": "T",
    "GIT_COMMITTER_EMAIL": "t@example.org",
}


def git(folder: Path, *arguments: str) -> str:
    done = subprocess.run(["git", *arguments], cwd=folder, check=True, capture_output=True, text=True, env=os.environ | GIT)
    return done.stdout


@pytest.fixture
def work(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """Give a work tree of Git, and be in it."""
    folder = tmp_path / "work"
    folder.mkdir()
    git(folder, "init", "-q", "-b", "main")
    monkeypatch.chdir(folder)
    return folder


@pytest.fixture
def repository(work: Path) -> Iterator[Repository]:
    with init_repository(work) as made:
        yield made
