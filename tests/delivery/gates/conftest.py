"""A small project, done once with two versions; each test gets a copy of what it left."""

import atexit
import shutil
import tempfile
from collections.abc import Iterator
from functools import cache
from pathlib import Path

import msgspec
import pyarrow as pa
import pyarrow.compute as pc
import pyarrow.csv as csv
import pytest
from tests.automation.conftest import PROJECT
from tests.training.conftest import table_of

from perenne.auth.principals import Principal
from perenne.auth.roles import Role
from perenne.automation.rounds import run_round
from perenne.core.clock import ManualClock, parse_time
from perenne.core.config import load_settings
from perenne.delivery.gates.running import find_version, rules_of
from perenne.delivery.gates.subject import Subject
from perenne.projects import load_project
from perenne.registry import dossier, placing
from perenne.storage.workspace import Workspace

ADA = Principal("ada", roles=frozenset(Role), solo=True)
WITHOUT_SPEED = PROJECT.replace(', pn.Objective("latency_p99_ms", at_most=1_000)', "")


def table() -> pa.Table:
    return table_of("breast_cancer")


@cache
def made() -> Path:
    """Do two rounds of a project, the second on fewer rows; the first version is champion."""
    home = Path(tempfile.mkdtemp(prefix="perenne-gates-"))
    atexit.register(shutil.rmtree, home, ignore_errors=True)
    folder = home / "lumps"
    folder.mkdir()
    (folder / "project.py").write_text(WITHOUT_SPEED)
    with Workspace(load_settings(home, {}), ManualClock(parse_time("2021-12-01"))) as workspace:
        rows = table()
        for part in (rows, rows.filter(pc.greater(rows.column(1), pc.quantile(rows.column(1), q=0.02)[0]))):
            csv.write_csv(part, folder / "samples.csv")
            run_round(workspace, ADA, load_project(folder))
        workspace.database.write(lambda tx: placing.set_alias(tx, ADA, "lumps", "champion", "lumps@1"))
    return home


class Done:
    """A workspace with the two versions, and the project's folder."""

    def __init__(self, home: Path) -> None:
        self.folder = home / "lumps"
        self.workspace = Workspace(load_settings(home, {}), ManualClock(parse_time("2021-12-02")))

    def state(self, text: str) -> None:
        """Say something of gates beside the project."""
        (self.folder / "gates.yaml").write_text(text)

    def subject(self, scratch: Path, identity: str = "lumps@2", *, champion: bool = True, project: bool = True) -> Subject:
        """Put a version before the gates."""
        loaded = load_project(self.folder)
        with self.workspace.database.read() as tx:
            known = dossier(tx, find_version(tx, ADA, identity).id)
            rival = placing.aliased(tx, "lumps", "champion") if champion else None
        now = self.workspace.clock.now()
        rules = rules_of(loaded, None)
        return Subject(self.workspace, known, rules, scratch, rival, loaded if project else None, now)


@pytest.fixture
def done(tmp_path: Path) -> Iterator[Done]:
    home = tmp_path / "home"
    shutil.copytree(made(), home)
    found = Done(home)
    with found.workspace:
        yield found


@pytest.fixture
def subject(done: Done, tmp_path: Path) -> Subject:
    return done.subject(tmp_path / "scratch")


@pytest.fixture(scope="module")
def shared(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Subject]:
    """A version that many tests look at, and none changes."""
    found = Done(made())
    with found.workspace:
        yield found.subject(tmp_path_factory.mktemp("shared"))


def lost(subject: Subject) -> Subject:
    """Return a version about which nothing can be told: its files, its run and its data are elsewhere."""
    version = msgspec.structs.replace(subject.version, tree="", run="", snapshot="")
    dossier = msgspec.structs.replace(subject.dossier, version=version)
    return Subject(subject.workspace, dossier, subject.rules, subject.scratch, None, None, subject.now)
