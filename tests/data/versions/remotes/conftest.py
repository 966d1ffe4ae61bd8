"""Servers that remotes are tried on."""

from collections.abc import Iterator
from pathlib import Path

import pytest
from tests.sftp_server import SftpServer


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
