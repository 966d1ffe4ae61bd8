"""Fixtures of what is served."""

from pathlib import Path

import pytest
from tests.serving.packages import ReleaseFolder, made_packages


@pytest.fixture(scope="session")
def packages() -> dict[str, Path]:
    return made_packages()


@pytest.fixture
def release(tmp_path: Path) -> ReleaseFolder:
    return ReleaseFolder(tmp_path / "release")
