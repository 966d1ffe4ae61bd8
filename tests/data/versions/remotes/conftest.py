"""Servers that remotes are tried on."""

from collections.abc import Iterator
from pathlib import Path

import pytest
from tests.data.versions.remotes.scenes import git, set_remote, write
from tests.sftp_server import SftpServer

from perenne.data.versions.adding import add
from perenne.data.versions.repository import Repository, init_repository, open_repository


@pytest.fixture
def sftp(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[SftpServer]:
    """An SFTP server whose key is known, for a person with a home of their own."""
    home, served = tmp_path / "home", tmp_path / "served"
    (home / ".ssh").mkdir(parents=True)
    (served / "deep").mkdir(parents=True)
    server = SftpServer(served)
    (home / ".ssh/known_hosts").write_text(server.known_host)
    monkeypatch.setenv("HOME", str(home))
    monkeypatch.delenv("SSH_AUTH_SOCK", raising=False)
    yield server
    server.stop()


@pytest.fixture
def repository(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Repository:
    """A repository under Git, in the present folder, with a folder and a file that are tracked; its remote is a folder."""
    root = tmp_path / "repository"
    root.mkdir()
    monkeypatch.chdir(root)
    monkeypatch.setenv("XDG_CONFIG_HOME", str(tmp_path / "no-config"))
    git(root, "init", "--quiet", "--initial-branch=main")
    git(root, "config", "user.email", "ada@example.org")
    git(root, "config", "user.name", "Ada")
    opened = init_repository(root)
    write(
        root, {"data/a.txt": b"a", "data/sub/b.bin": bytes(range(256)) * 40, "data/empty": b"", "single.bin": b"single" * 1_000}
    )
    add(opened, [root / "data", root / "single.bin"])
    set_remote(opened, "store", str(tmp_path / "store"))
    git(root, "add", ".")
    git(root, "commit", "--quiet", "--message=first")
    return open_repository(root)
