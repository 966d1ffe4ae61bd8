"""A package to make portable, and a real browser to open one in."""

from pathlib import Path

import pytest
from sklearn.ensemble import HistGradientBoostingClassifier
from tests.inference.cases import make_case
from tests.web.conftest import browse, browser, context

from perenne.delivery.portable.preparing import Source
from perenne.stats.columns import Task

__all__ = ["browse", "browser", "context"]


@pytest.fixture(scope="session")
def source(tmp_path_factory: pytest.TempPathFactory) -> Source:
    folder = tmp_path_factory.mktemp("portable") / "package"
    case = make_case(folder, HistGradientBoostingClassifier(max_iter=6), Task.MULTICLASS)
    return Source(case.folder, "late", "3", "abc")


@pytest.fixture
def target(tmp_path: Path) -> Path:
    return tmp_path / "out"
